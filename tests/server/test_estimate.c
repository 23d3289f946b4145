/* The memory that an estimate says is the memory that a training allocates. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/experiment_setup.h"

/* What the rounding of sizes and the small things that no estimate lists may come to. */
#define TOLERANCE 0.02
enum { SMALL_THINGS = 64 * 1024 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CAN_COUNT = 0 };
#else
enum { CAN_COUNT = 1 };
#endif

static int64_t allocated(void) {
    const struct mallinfo2 about = mallinfo2();
    return (int64_t)(about.uordblks + about.hblkhd);
}

static data_cache *data;

static void assert_estimate(const char *rest, int steps) {
    char text[2048];
    gr_error error = {0};
    experiment_setup setup;
    gr_training *training;
    snprintf(
        text, sizeof text,
        "{\"dataset\": {\"name\": \"digits\", \"train_size\": 400, \"validation_size\": 100}, %s}",
        rest);
    if (experiment_setup_check(text, strlen(text), data, &setup, NULL, NULL, &error) != GR_OK)
        fail_msg("%s: %s", rest, error.message);
    malloc_trim(0);
    const int64_t before = allocated();
    if (gr_training_create(&setup.plan, setup.dataset, &training, &error) != GR_OK)
        fail_msg("%s: %s", rest, error.message);
    int64_t most = allocated() - before;
    gr_progress progress;
    for (int i = 0; i < steps; i++) { /* a step allocates nothing that stays */
        if (gr_training_advance(training, &progress, &error) != GR_OK)
            fail_msg("%s", error.message);
        if (allocated() - before > most) most = allocated() - before;
    }
    const int64_t said = setup.estimate.memory_bytes;
    /* Beside what stays, drawing the split takes some memory for a moment. */
    const gr_dataset_information *about = gr_dataset_describe(setup.dataset);
    const int64_t drawing = (about->training_samples + about->test_samples) * 16;
    const double allowed = TOLERANCE * (double)most + SMALL_THINGS;
    if ((double)(said - most - drawing) > allowed || (double)(most - said) > allowed)
        fail_msg("%s: the estimate is %lld bytes, allocated are %lld", rest, (long long)said,
                 (long long)most);
    gr_training_free(training);
    experiment_setup_clear(&setup);
}

static void says_what_is_allocated(void **state) {
    (void)state;
    if (!CAN_COUNT) skip(); /* a sanitizer's allocator does not say what is in use */
    static const char *const models[] = {
        "\"model\": {\"preset\": \"mlp\", \"widths\": [300, 200]}",
        "\"model\": {\"preset\": \"lenet\"}",
        "\"model\": {\"layers\": [{\"type\": \"conv2d\", \"filters\": 8, \"kernel\": 3}, "
        "{\"type\": \"batchnorm\"}, {\"type\": \"tanh\"}, {\"type\": \"maxpool2d\", \"size\": 2}, "
        "{\"type\": \"flatten\"}, {\"type\": \"dropout\", \"rate\": 0.1}, {\"type\": \"linear\", "
        "\"units\": 10}]}"};
    static const char *const penalties[] = {
        "\"regularizers\": []", "\"regularizers\": [{\"type\": \"datagrad\", \"weight\": 1}]",
        "\"regularizers\": [{\"type\": \"spectreg\", \"weight\": 1}, {\"type\": \"weight_decay\", "
        "\"weight\": 0.001}]",
        "\"regularizers\": [{\"type\": \"jacreg\", \"weight\": 1}]"};
    static const char *const rests[] = {"\"training\": {\"batch_size\": 50}",
                                        "\"optimizer\": {\"type\": \"sgd\", \"learning_rate\": "
                                        "0.01}, \"training\": {\"batch_size\": 130, "
                                        "\"keep\": \"best\"}"};
    char text[1500];
    for (size_t m = 0; m < sizeof models / sizeof *models; m++)
        for (size_t p = 0; p < sizeof penalties / sizeof *penalties; p++)
            for (size_t r = 0; r < sizeof rests / sizeof *rests; r++) {
                snprintf(text, sizeof text, "%s, %s, %s", models[m], penalties[p], rests[r]);
                assert_estimate(text, 1);
            }
}

int main(void) {
    data = data_cache_create("/nonexistent");
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_what_is_allocated)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    data_cache_free(data);
    return failed;
}
