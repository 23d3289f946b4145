/* A training that is stopped and goes on from its state at rest, in a fresh training, is the same
 * training bit for bit: parameters, every metric row, what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/core/training_record.h"

/* One in so many places: the sanitizers are slow, and this uses one thread. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
enum { SLOWER = 11 };
#else
enum { SLOWER = 1 };
#endif

/* Stopped between any two advances (within an interval, within an evaluation, at a multiple of
 * evaluate_every before and after its rows, at the end), and restored into a new training: the same
 * bits, and the same rows from there on. Saving disturbs nothing. */
static void stop_in_places(const spec_texts *texts, int stride) {
    spec s;
    spec_build(&s, texts);
    record whole;
    gr_training *training = create(&s);
    run_to_end(training, &whole);
    gr_training_free(training);

    gr_training *saved = create(&s); /* saved before every advance */
    for (int stop = 0; stop <= whole.advances; stop++) {
        if (stop % (stride * SLOWER) != 0) {
            advance(saved);
            continue;
        }
        gr_arrays at_rest = {0}, again = {0};
        gr_error error = {0};
        assert_int_equal(gr_training_save(saved, &at_rest, &error), GR_OK);
        gr_training *resumed = create(&s);
        if (gr_training_restore(resumed, &at_rest, &error) != GR_OK) fail_msg("%s", error.message);
        assert_int_equal(gr_training_iteration(resumed), gr_training_iteration(saved));
        assert_int_equal(gr_training_save(resumed, &again, &error), GR_OK);
        assert_true(same_arrays(&at_rest, &again));
        record rest;
        char what[64];
        snprintf(what, sizeof what, "stopped after %d advances", stop);
        run_to_end(resumed, &rest);
        if (!same_arrays(&rest.model, &whole.model)) fail_msg("%s: other weights", what);
        assert_same_rows(what, &rest, &whole, whole.rows_before[stop]);
        gr_arrays_clear(&rest.model);
        gr_arrays_clear(&at_rest);
        gr_arrays_clear(&again);
        gr_training_free(resumed);
        if (stop < whole.advances) advance(saved);
    }
    assert_int_equal(advance(saved), GR_PROGRESS_FINISHED);
    gr_arrays model = {0};
    assert_int_equal(gr_training_model(saved, &model, NULL), GR_OK);
    assert_true(same_arrays(&model, &whole.model));
    gr_arrays_clear(&model);
    gr_training_free(saved);
    gr_arrays_clear(&whole.model);
    spec_clear(&s);
}

static void stop_anywhere(const spec_texts *texts) {
    stop_in_places(texts, 1);
}

static void test_stop_anywhere(void **state) {
    (void)state;
    stop_anywhere(&(spec_texts){.seed = 7, .model = SMALL_MODEL});
    stop_anywhere(&(spec_texts){.seed = 7, .model = NORMALISED_MODEL}); /* running statistics */
}

/* With every optimiser, a schedule that depends on the length, clipping, and early stopping's state
 * in play: the best is not the last, and the last may come early. */
static void test_stop_anywhere_with_options(void **state) {
    (void)state;
    static const char *const optimizers[] = {
        "{type: sgd, learning_rate: 0.2}", "{type: momentum, learning_rate: 0.02}",
        "{type: nesterov, learning_rate: 0.02}", "{type: adamw, learning_rate: 0.01}",
        "{type: rmsprop, learning_rate: 0.002, momentum: 0.5}"};
    static const char *const trainings[] = {
        "{iterations: 9, batch_size: 20, evaluate_every: 2, clip_norm: 0.5, keep: best}",
        "{iterations: 9, batch_size: 20, evaluate_every: 2, clip_value: 0.01, keep: best, "
        "early_stopping: {patience: 2, metric: validation_loss, minimum_change: 0.05}}",
        "{iterations: 9, batch_size: 20, evaluate_every: 2, "
        "early_stopping: {patience: 1, minimum_change: 0.5}}"};
    for (size_t o = 0; o < sizeof optimizers / sizeof *optimizers; o++)
        stop_anywhere(&(spec_texts){.seed = 7,
                                    .model = NORMALISED_MODEL,
                                    /* adamw has a decay of its own */
                                    .regularizers = "[{type: datagrad, weight: 0.5}, "
                                                    "{type: spectreg, weight: 0.01}]",
                                    .optimizer = optimizers[o],
                                    .schedule = "{type: cosine, warmup: 0.2}",
                                    .training = trainings[o % 3]});
}

/* -- everything that has a state, or could have one, in one run
 * -------------------------------------------------- */

/* Of the ramps one is over, one under way, and one has not begun when the run stops early. */
#define EVERYTHING                                                                        \
    .seed = 5,                                                                            \
    .dataset = "{name: digits, train_size: 130, validation_size: 600, "                   \
               "augment: {shift: 0.1, flip: true}, label_noise: 0.1}",                    \
    .model = "{layers: [{type: conv2d, filters: 4, kernel: 5, stride: 3}, "               \
             "{type: batchnorm}, {type: relu}, {type: maxpool2d}, {type: flatten}, "      \
             "{type: dropout, rate: 0.3}, {type: linear, units: 12}, {type: batchnorm}, " \
             "{type: tanh}, {type: dropout}, {type: linear, units: 10}]}",                \
    .loss = "{type: cross_entropy, label_smoothing: 0.1}", .regularizers = EVERY_PENALTY
#define EVERY_PENALTY                                                        \
    "[{type: datagrad, weight: 0.5, ramp: [0, 0.2]}, "                       \
    "{type: spectreg, weight: 0.05, per: sample, resample_dropout: true}, "  \
    "{type: jacreg, weight: 0.3, at: noise, ramp: [0.1, 0.6]}, "             \
    "{type: spectral_norm, weight: 0.05}, {type: input_noise, sigma: 0.1}, " \
    "{type: adversarial, epsilon: 0.05, steps: 2, weight: 0.2}, "            \
    "{type: weight_decay, weight: 0.001, ramp: [0.3, 0.9]}]"
enum { PENALTIES = 7, PENALTY_WITHOUT_VALUE = 4 };

static const spec_texts everything[] = {
    {EVERYTHING, .optimizer = "{type: adam, learning_rate: 0.2}",
     .schedule = "{type: cosine, warmup: 0.2}",
     .training = "{iterations: 40, batch_size: 20, evaluate_every: 4, clip_norm: 5, keep: best, "
                 "early_stopping: {patience: 3, metric: validation_loss, minimum_change: 0.02}}"},
    {EVERYTHING, .optimizer = "{type: momentum, learning_rate: 0.5, nesterov: true}",
     .schedule = "{type: one_cycle, warmup: 0.1}",
     .training = "{iterations: 22, batch_size: 20, evaluate_every: 5, keep: best, "
                 "early_stopping: {patience: 9, minimum_change: 0.02}}"},
};

/* The one that stops early or the one that does not, with a seed whose best evaluation is neither
 * the first nor the last: only then has everything of the state an effect. */
static spec_texts eventful(bool stops_early) {
    spec_texts texts = everything[stops_early ? 0 : 1];
    for (texts.seed = 8; texts.seed < 58; texts.seed++) {
        record whole;
        run(&texts, &whole);
        const int64_t last = whole.rows[whole.row_count - 1].iteration;
        const int64_t best = (int64_t)row_value(&whole, "best_iteration", last);
        const bool good = best > 5 && best < last && whole.stopped_early == stops_early;
        gr_arrays_clear(&whole.model);
        if (good) return texts;
    }
    fail_msg("no seed makes a run whose best evaluation is in its middle");
    return texts;
}

static void test_everything_in_play(void **state) {
    (void)state;
    for (int stops_early = 0; stops_early <= 1; stops_early++) {
        const spec_texts texts = eventful(stops_early);
        stop_in_places(&texts, 3);
    }
}

/* -- nothing of the state is there in vain: a run that goes on without a part of it is another
 * ------------------- */

/* An array of the state, or one of its elements, that can be put back to what it is at the start.
 */
typedef struct part {
    const char *array;
    int64_t element; /* ALL: the whole array */
    bool noticed;
} part;
enum { ALL = -1, MAXIMUM_PARTS = 64 };

typedef struct parts {
    part items[MAXIMUM_PARTS];
    int count;
} parts;

/* Whether an array is small and of numbers with a meaning of their own. */
static bool by_element(const gr_array *array) {
    return strcmp(array->name, "counters") == 0 || strcmp(array->name, "interval") == 0 ||
           strncmp(array->name, "early_stopping.", 15) == 0;
}

static parts parts_of(const gr_arrays *state) {
    parts all = {0};
    for (size_t i = 0; i < state->count; i++) {
        const gr_array *array = &state->items[i];
        int64_t count = by_element(array) ? gr_shape_elements(&array->shape) : 1;
        if (strcmp(array->name, "interval") == 0) count = 2 + PENALTIES; /* the rest is unused */
        for (int64_t e = 0; e < count; e++) {
            assert_true(all.count < MAXIMUM_PARTS);
            if (strcmp(array->name, "interval") == 0 && e == 2 + PENALTY_WITHOUT_VALUE) continue;
            all.items[all.count++] = (part){array->name, by_element(array) ? e : ALL, false};
        }
    }
    return all;
}

static const gr_array *find(const gr_arrays *state, const char *name) {
    const gr_array *array = gr_arrays_find(state, name);
    if (!array) fail_msg("the state has no %s", name);
    return array;
}

/* Exchanges a part of one state with that of the other. False where they are the same. */
static bool exchange(const part *p, const gr_arrays *one, const gr_arrays *other) {
    const gr_array *a = find(one, p->array), *b = find(other, p->array);
    const size_t size = gr_element_size(a->type);
    const size_t first = p->element == ALL ? 0 : (size_t)p->element * size;
    const size_t length = p->element == ALL ? (size_t)gr_shape_elements(&a->shape) * size : size;
    char *to = (char *)a->data + first, *from = (char *)b->data + first;
    if (memcmp(to, from, length) == 0) return false;
    char *kept = malloc(length);
    assert_non_null(kept);
    memcpy(kept, to, length);
    memcpy(to, from, length);
    memcpy(from, kept, length);
    free(kept);
    return true;
}

/* Whether a training that goes on from this state differs from the whole one, or refuses it. */
static bool is_noticed(const spec *s, const gr_arrays *at_rest, const record *whole, int stop) {
    gr_training *resumed = create(s);
    bool noticed = gr_training_restore(resumed, at_rest, NULL) != GR_OK;
    if (!noticed) {
        record rest;
        run_to_end(resumed, &rest);
        const int first = whole->rows_before[stop];
        noticed =
            !same_arrays(&rest.model, &whole->model) || rest.row_count != whole->row_count - first;
        for (int i = 0; !noticed && i < rest.row_count; i++)
            noticed =
                memcmp(&rest.rows[i].value, &whole->rows[first + i].value, sizeof(double)) != 0;
        gr_arrays_clear(&rest.model);
    }
    gr_training_free(resumed);
    return noticed;
}

static void check_every_part(const spec_texts *texts) {
    spec s;
    spec_build(&s, texts);
    record whole;
    gr_training *training = create(&s), *saved = create(&s);
    gr_arrays fresh = {0};
    assert_int_equal(gr_training_save(training, &fresh, NULL), GR_OK);
    parts all = parts_of(&fresh);
    run_to_end(training, &whole);
    for (int stop = 0; stop <= whole.advances; stop++) {
        gr_arrays at_rest = {0};
        assert_int_equal(gr_training_save(saved, &at_rest, NULL), GR_OK);
        for (int i = 0; i < all.count; i++) {
            part *p = &all.items[i];
            if (p->noticed || !exchange(p, &at_rest, &fresh)) continue;
            p->noticed = is_noticed(&s, &at_rest, &whole, stop);
            exchange(p, &at_rest, &fresh);
        }
        gr_arrays_clear(&at_rest);
        if (stop < whole.advances) advance(saved);
    }
    for (int i = 0; i < all.count; i++)
        if (!all.items[i].noticed)
            fail_msg("%s[%lld] of the state makes no difference", all.items[i].array,
                     (long long)all.items[i].element);
    gr_training_free(training);
    gr_training_free(saved);
    gr_arrays_clear(&fresh);
    gr_arrays_clear(&whole.model);
    spec_clear(&s);
}

__attribute__((unused)) static void test_every_part_of_the_state_counts(void **state) {
    (void)state;
    const spec_texts texts = eventful(true);
    check_every_part(&texts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_anywhere),
        cmocka_unit_test(test_stop_anywhere_with_options),
        cmocka_unit_test(test_everything_in_play),
#ifndef __SANITIZE_ADDRESS__ /* which would see nothing here that it does not see above */
        cmocka_unit_test(test_every_part_of_the_state_counts),
#endif
    };
    return cmocka_run_group_tests(tests, load_digits, free_digits);
}
