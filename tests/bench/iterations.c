/* Whole training steps, optimiser included, of any spec; and the evaluation of samples. */
#include <stdlib.h>

#include "core/network.h"
#include "core/plan.h"
#include "tests/bench/bench.h"

/* Long enough that the caches, which a matrix product fills with its own, are ours again for most
 * of the steps. */
static const double turn_seconds = 0.05;
enum { WARM_UP = 3, MINIMUM_TURNS = 3 };

/* Multiply-accumulates of one sample's forward pass through the first layer with weights: what an
 * ordinary backward pass saves, which needs no adjoint at the input. */
static gr_status first_layer_operations(const bench_subject *subject, double *operations,
                                        gr_error *error) {
    gr_network *network;
    GR_TRY(gr_plan_network(&subject->setup.plan, subject->setup.dataset, &network, error));
    *operations = network->nodes[network->first_trained].operations;
    gr_network_free(network);
    return GR_OK;
}

static void add_rate(cJSON *result, bench_times *products) {
    cJSON_AddItemToObject(
        result, "sgemm_gflops",
        json_number(2e-9 * bench_product_operations() / bench_quantile(products, 0.5)));
}

static void add_times(cJSON *result, bench_times *times) {
    cJSON_AddItemToObject(result, "ms", json_number(1e3 * bench_quantile(times, 0.5)));
    cJSON_AddItemToObject(result, "ms_lower_quartile",
                          json_number(1e3 * bench_quantile(times, 0.25)));
    cJSON_AddItemToObject(result, "ms_upper_quartile",
                          json_number(1e3 * bench_quantile(times, 0.75)));
    cJSON_AddItemToObject(result, "count", json_integer((int64_t)times->count));
}

static gr_status iterate(gr_training *training, const bench_product *product, double seconds,
                         bench_times *steps, bench_times *products, gr_error *error) {
    gr_progress progress = GR_PROGRESS_ITERATION;
    for (int i = 0; i < WARM_UP; i++) GR_TRY(gr_training_advance(training, &progress, error));
    const double end = bench_now() + seconds;
    for (int turn = 0; turn < MINIMUM_TURNS || bench_now() < end; turn++) {
        bench_add(products, bench_product_run(product));
        const double turn_end = bench_now() + turn_seconds;
        double began, now;
        do {
            began = bench_now();
            GR_TRY(gr_training_advance(training, &progress, error));
            now = bench_now();
            if (progress != GR_PROGRESS_ITERATION)
                return gr_fail(error, GR_INVALID,
                               "the spec's training ends or is evaluated too soon to be timed: "
                               "raise /training/iterations and /training/evaluate_every");
            bench_add(steps, now - began);
        } while (now < turn_end);
    }
    return GR_OK;
}

gr_status bench_iterations(const bench_options *options, cJSON *result, gr_error *error) {
    bench_subject subject;
    gr_training *training = NULL;
    bench_product *product = NULL;
    bench_times steps = {0}, products = {0};
    double first = 0;
    GR_TRY(bench_pin(options->cores[0], error));
    gr_status status = bench_subject_open(options, &subject, error);
    if (status == GR_OK) status = first_layer_operations(&subject, &first, error);
    if (status == GR_OK)
        status = gr_training_create(&subject.setup.plan, subject.setup.dataset, &training, error);
    if (status == GR_OK) {
        product = bench_product_create();
        const bench_share share = bench_share_begin();
        status = iterate(training, product, options->seconds, &steps, &products, error);
        cJSON_AddItemToObject(result, "core_share", json_number(bench_share_end(&share)));
    }
    if (status == GR_OK) {
        const gr_estimate *estimate = &subject.setup.estimate;
        add_times(result, &steps);
        add_rate(result, &products);
        cJSON_AddItemToObject(result, "parameters", json_integer(estimate->parameters));
        cJSON_AddItemToObject(result, "memory_bytes", json_integer(estimate->memory_bytes));
        cJSON_AddItemToObject(result, "forward_operations",
                              json_number(estimate->forward_operations));
        cJSON_AddItemToObject(result, "first_layer_operations", json_number(first));
        cJSON_AddItemToObject(result, "iteration_operations",
                              json_number(estimate->iteration_operations));
    }
    free(steps.items);
    free(products.items);
    bench_product_free(product);
    gr_training_free(training);
    bench_subject_close(&subject);
    return status;
}

/* Evaluations, each after one step: of the training samples that count (2,000 at most) and of the
 * validation samples. */
static gr_status evaluate(gr_training *training, const bench_product *product, double seconds,
                          bench_times *evaluations, bench_times *products, gr_error *error) {
    const double end = bench_now() + seconds;
    for (int turn = 0; turn <= MINIMUM_TURNS || bench_now() < end; turn++) {
        gr_progress progress;
        bench_add(products, bench_product_run(product));
        GR_TRY(gr_training_advance(training, &progress, error));
        double time = 0;
        do {
            const double began = bench_now();
            GR_TRY(gr_training_advance(training, &progress, error));
            time += bench_now() - began;
        } while (progress == GR_PROGRESS_EVALUATION);
        if (progress != GR_PROGRESS_METRICS)
            return gr_fail(error, GR_INVALID, "the spec must be evaluated after every iteration");
        if (turn > 0) bench_add(evaluations, time);
    }
    return GR_OK;
}

gr_status bench_evaluation(const bench_options *options, cJSON *result, gr_error *error) {
    bench_subject subject;
    gr_training *training = NULL;
    bench_product *product = NULL;
    bench_times evaluations = {0}, products = {0};
    GR_TRY(bench_pin(options->cores[0], error));
    gr_status status = bench_subject_open(options, &subject, error);
    if (status == GR_OK)
        status = gr_training_create(&subject.setup.plan, subject.setup.dataset, &training, error);
    if (status == GR_OK) {
        product = bench_product_create();
        const bench_share share = bench_share_begin();
        status = evaluate(training, product, options->seconds, &evaluations, &products, error);
        cJSON_AddItemToObject(result, "core_share", json_number(bench_share_end(&share)));
    }
    if (status == GR_OK) {
        enum { TRAINING_SAMPLES = 2000 }; /* as core/training.c takes at most */
        const gr_split *split = gr_training_split(training);
        int64_t samples = gr_split_size(split, GR_PART_TRAINING);
        if (samples > TRAINING_SAMPLES) samples = TRAINING_SAMPLES;
        samples += gr_split_size(split, GR_PART_VALIDATION);
        add_times(result, &evaluations);
        add_rate(result, &products);
        cJSON_AddItemToObject(result, "samples", json_integer(samples));
        cJSON_AddItemToObject(result, "forward_operations",
                              json_number(subject.setup.estimate.forward_operations));
    }
    free(evaluations.items);
    free(products.items);
    bench_product_free(product);
    gr_training_free(training);
    bench_subject_close(&subject);
    return status;
}
