/* What evaluations are judged by, without a training: the best, the progress, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/early_stopping.h"
#include "tests/settings_builder.h"

static gr_early_stopping create(const char *text, bool classification) {
    gr_settings training = settings_build(&gr_training_family, text);
    assert_int_equal(gr_early_stopping_check(&training, classification, 1, NULL), GR_OK);
    const gr_early_stopping made = gr_early_stopping_create(&training, classification);
    gr_settings_clear(&training);
    return made;
}

typedef struct judged {
    double loss, accuracy;
    int64_t best_iteration, waited;
    bool stopped;
} judged;

/* Evaluations at iterations 10, 20, … of 1000. */
static void follow(const char *text, const judged *steps, int count) {
    gr_early_stopping state = create(text, true);
    for (int i = 0; i < count; i++) {
        state =
            gr_early_stopping_after(&state, 10 * (i + 1), 1000, steps[i].loss, steps[i].accuracy);
        if (state.best_iteration != steps[i].best_iteration || state.waited != steps[i].waited ||
            state.stopped != steps[i].stopped)
            fail_msg("%s: evaluation %d: best %lld, waited %lld, stopped %d", text, i,
                     (long long)state.best_iteration, (long long)state.waited, state.stopped);
    }
}

#define COUNT(steps) (int)(sizeof(steps) / sizeof *(steps))

static void test_accuracy(void **state) {
    (void)state;
    static const judged steps[] = {
        {9, 0.0, 10, 0, false}, /* the first is the best so far, however bad */
        {1, 0.5, 20, 0, false}, {2, 0.5, 20, 1, false}, /* of equals the first */
        {3, 0.6, 40, 0, false}, {0, 0.1, 40, 1, false}, {0, 0.6, 40, 2, true}};
    follow("{early_stopping: {patience: 2}}", steps, COUNT(steps));
}

static void test_loss(void **state) {
    (void)state;
    static const judged steps[] = {{2, 0.1, 10, 0, false},
                                   {1, 0.0, 20, 0, false},
                                   {1.5, 0.9, 20, 1, false},
                                   {1, 0.9, 20, 2, false},
                                   {0.5, 0, 50, 0, false}};
    follow("{early_stopping: {patience: 3, metric: validation_loss}}", steps, COUNT(steps));
}

/* Small gains are the best, but no progress; progress is counted from the last progress. */
static void test_minimum_change(void **state) {
    (void)state;
    static const judged steps[] = {
        {1, 0.5, 10, 0, false},    {1, 0.53125, 20, 1, false},
        {1, 0.5625, 30, 2, false}, {1, 0.625, 40, 3, false}, /* 0.125 over the first: not more */
        {1, 0.6875, 50, 0, false},                           /* more */
        {1, 0.75, 60, 1, false}};
    follow("{early_stopping: {patience: 4, minimum_change: 0.125}}", steps, COUNT(steps));
}

static void test_without_patience(void **state) {
    (void)state;
    static const judged steps[] = {{1, 0.5, 10, 0, false},
                                   {1, 0.4, 10, 1, false},
                                   {1, 0.3, 10, 2, false},
                                   {1, 0.6, 40, 0, false}};
    follow("{keep: best}", steps, COUNT(steps));
    const gr_early_stopping off = create("{}", true);
    assert_false(gr_early_stopping_judges(&off));
    const gr_early_stopping after = gr_early_stopping_after(&off, 10, 1000, 1, 1);
    assert_int_equal(after.best_iteration, 0);
}

static void test_end_is_no_stop(void **state) {
    (void)state;
    gr_early_stopping s = create("{early_stopping: {patience: 1}}", true);
    s = gr_early_stopping_after(&s, 10, 20, 1, 0.5);
    s = gr_early_stopping_after(&s, 20, 20, 1, 0.5);
    assert_int_equal(s.waited, 1);
    assert_false(s.stopped);
}

static void test_check(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool classification;
        int64_t samples;
        const char *place;
    } bad[] = {{"{keep: best}", true, 0, "/keep"},
               {"{early_stopping: {patience: 1}}", false, 0, "/early_stopping/patience"},
               {"{keep: best, early_stopping: {metric: validation_accuracy}}", false, 5,
                "/early_stopping/metric"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gr_settings training = settings_build(&gr_training_family, bad[i].text);
        gr_error error = {0};
        assert_int_equal(
            gr_early_stopping_check(&training, bad[i].classification, bad[i].samples, &error),
            GR_INVALID);
        assert_string_equal(error.place, bad[i].place);
        gr_settings_clear(&training);
    }
    assert_true(create("{keep: best}", true).by_accuracy);
    assert_false(create("{keep: best}", false).by_accuracy);
}

static void test_at_rest(void **state) {
    (void)state;
    const gr_early_stopping fresh = create("{keep: best, early_stopping: {patience: 2}}", true);
    gr_early_stopping s = gr_early_stopping_after(&fresh, 10, 1000, 1, 0.5), back = fresh;
    s = gr_early_stopping_after(&s, 20, 1000, 1, 0.3);
    gr_arrays arrays = {0};
    assert_int_equal(gr_early_stopping_save(&s, &arrays, NULL), GR_OK);
    assert_int_equal(gr_early_stopping_restore(&back, &arrays, 20, NULL), GR_OK);
    assert_true(back.best_iteration == 10 && back.waited == 1 && !back.stopped &&
                back.best == 0.5 && back.reference == 0.5);
    int64_t *counters = arrays.items[0].data;
    double *scores = arrays.items[1].data;
    static const int64_t impossible[][3] = {{-1, 1, 0},  {21, 1, 0}, {10, -1, 0},
                                            {10, 21, 0}, {10, 1, 2}, {10, 1, -1}};
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        memcpy(counters, impossible[i], sizeof impossible[i]);
        assert_int_equal(gr_early_stopping_restore(&back, &arrays, 20, NULL), GR_CORRUPT);
    }
    memcpy(counters, (int64_t[]){10, 1, 0}, 3 * sizeof *counters);
    assert_int_equal(gr_early_stopping_restore(&back, &arrays, 20, NULL), GR_OK);
    scores[1] = 0.0 / 0.0;
    assert_int_equal(gr_early_stopping_restore(&back, &arrays, 20, NULL), GR_CORRUPT);
    gr_arrays_clear(&arrays);
    assert_int_equal(gr_early_stopping_restore(&back, &arrays, 20, NULL), GR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),       cmocka_unit_test(test_loss),
        cmocka_unit_test(test_minimum_change), cmocka_unit_test(test_without_patience),
        cmocka_unit_test(test_end_is_no_stop), cmocka_unit_test(test_check),
        cmocka_unit_test(test_at_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
