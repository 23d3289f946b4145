/* What a run of a small training came to, to compare it with another bit for bit. Include after
 * cmocka. */
#ifndef TESTS_CORE_TRAINING_RECORD_H
#define TESTS_CORE_TRAINING_RECORD_H

#include <math.h>
#include <stdio.h>

#include "tests/core/training_helper.h"

enum { MAXIMUM_ROWS = 512 };
typedef struct row {
    char name[32];
    int64_t iteration;
    double value;
} row;

typedef struct record {
    row rows[MAXIMUM_ROWS];
    int row_count;
    int advances;                  /* until GR_PROGRESS_FINISHED, that one not counted */
    int rows_before[MAXIMUM_ROWS]; /* rows reported before each advance */
    bool stopped_early;
    gr_arrays model;
} record;

static inline gr_training *create(const spec *s) {
    gr_training *training = NULL;
    gr_error error = {0};
    if (gr_training_create(&s->plan, digits, &training, &error) != GR_OK)
        fail_msg("%s %s", error.place, error.message);
    return training;
}

static inline gr_progress advance(gr_training *training) {
    gr_progress progress;
    gr_error error = {0};
    if (gr_training_advance(training, &progress, &error) != GR_OK) fail_msg("%s", error.message);
    return progress;
}

/* Runs to the end; rows come from here on only. gr_arrays_clear(&r->model). */
static inline void run_to_end(gr_training *training, record *r) {
    *r = (record){0};
    for (;;) {
        assert_true(r->advances < MAXIMUM_ROWS);
        r->rows_before[r->advances] = r->row_count;
        const gr_progress progress = advance(training);
        if (progress == GR_PROGRESS_FINISHED) break;
        r->advances++;
        if (progress != GR_PROGRESS_METRICS) continue;
        size_t count;
        const gr_metric *metrics = gr_training_metrics(training, &count);
        for (size_t i = 0; i < count; i++) {
            assert_true(r->row_count < MAXIMUM_ROWS);
            row *to = &r->rows[r->row_count++];
            snprintf(to->name, sizeof to->name, "%s", metrics[i].name);
            to->iteration = metrics[i].iteration;
            to->value = metrics[i].value;
        }
    }
    assert_int_equal(advance(training), GR_PROGRESS_FINISHED); /* and it stays so */
    r->stopped_early = gr_training_iteration(training) < gr_training_iterations(training);
    gr_error error = {0};
    assert_int_equal(gr_training_model(training, &r->model, &error), GR_OK);
}

static inline void run(const spec_texts *texts, record *r) {
    spec s;
    spec_build(&s, texts);
    gr_training *training = create(&s);
    run_to_end(training, r);
    gr_training_free(training);
    spec_clear(&s);
}

static inline bool same_arrays(const gr_arrays *a, const gr_arrays *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const gr_array *x = &a->items[i], *y = &b->items[i];
        if (strcmp(x->name, y->name) != 0 || x->type != y->type ||
            !gr_shape_equal(&x->shape, &y->shape) ||
            memcmp(x->data, y->data,
                   (size_t)gr_shape_elements(&x->shape) * gr_element_size(x->type)) != 0)
            return false;
    }
    return true;
}

/* The rows of `rest` are those of `whole` from number `first` on, bit for bit. */
static inline void assert_same_rows(const char *what, const record *rest, const record *whole,
                                    int first) {
    if (rest->row_count != whole->row_count - first)
        fail_msg("%s: %d rows, not %d", what, rest->row_count, whole->row_count - first);
    for (int i = 0; i < rest->row_count; i++) {
        const row *a = &rest->rows[i], *b = &whole->rows[first + i];
        if (strcmp(a->name, b->name) != 0 || a->iteration != b->iteration ||
            memcmp(&a->value, &b->value, sizeof a->value) != 0)
            fail_msg("%s: row %d is %s %lld %.17g, not %s %lld %.17g", what, i, a->name,
                     (long long)a->iteration, a->value, b->name, (long long)b->iteration, b->value);
    }
}

static inline double row_value(const record *r, const char *name, int64_t iteration) {
    for (int i = 0; i < r->row_count; i++)
        if (strcmp(r->rows[i].name, name) == 0 && r->rows[i].iteration == iteration)
            return r->rows[i].value;
    fail_msg("no row %s at iteration %lld", name, (long long)iteration);
    return NAN;
}

#endif
