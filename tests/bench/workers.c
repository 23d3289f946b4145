/* Two trainings in two threads against one, as the server's workers train; and what the machine
 * itself gives: two matrix products at once against one. */
#include <pthread.h>
#include <stdlib.h>

#include "tests/bench/bench.h"

enum { ROUNDS = 5 };

typedef struct worker {
    pthread_t thread;
    int core;
    gr_training *training; /* NULL: products */
    bench_product *product;
    pthread_barrier_t *start;
    double seconds;
    double rate; /* done a second */
    gr_status status;
    gr_error error;
} worker;

static void *work(void *context) {
    worker *w = context;
    w->status = bench_pin(w->core, &w->error);
    pthread_barrier_wait(w->start);
    const double began = bench_now();
    double now = began;
    int64_t done = 0;
    for (; w->status == GR_OK && now < began + w->seconds; done++) {
        gr_progress progress;
        if (w->training)
            w->status = gr_training_advance(w->training, &progress, &w->error);
        else
            bench_product_run(w->product);
        now = bench_now();
    }
    w->rate = (double)done / (now - began);
    return NULL;
}

/* What `count` workers do a second together. */
static gr_status together(worker workers[], unsigned count, double *rate, gr_error *error) {
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, count);
    *rate = 0;
    for (unsigned i = 0; i < count; i++) {
        workers[i].start = &start;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return gr_fail(error, GR_INTERNAL, "no thread can be started");
    }
    gr_status status = GR_OK;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        *rate += workers[i].rate;
        if (workers[i].status != GR_OK) {
            status = workers[i].status;
            *error = workers[i].error;
        }
    }
    pthread_barrier_destroy(&start);
    return status;
}

static gr_status rounds(worker trainings[], worker products[], double seconds, cJSON *result,
                        gr_error *error) {
    bench_times one = {0}, ratio = {0}, product_ratio = {0};
    gr_status status = GR_OK;
    for (int i = 0; i < BENCH_CORES; i++)
        trainings[i].seconds = products[i].seconds = seconds / (4 * ROUNDS);
    for (int round = 0; round < ROUNDS && status == GR_OK; round++) {
        double rates[4];
        status = together(trainings, 1, &rates[0], error);
        if (status == GR_OK) status = together(trainings, BENCH_CORES, &rates[1], error);
        if (status == GR_OK) status = together(products, 1, &rates[2], error);
        if (status == GR_OK) status = together(products, BENCH_CORES, &rates[3], error);
        bench_add(&one, rates[0]);
        bench_add(&ratio, rates[1] / rates[0]);
        bench_add(&product_ratio, rates[3] / rates[2]);
    }
    if (status == GR_OK) {
        cJSON_AddItemToObject(result, "iterations_per_second",
                              json_number(bench_quantile(&one, 0.5)));
        cJSON_AddItemToObject(result, "two_against_one", json_number(bench_quantile(&ratio, 0.5)));
        cJSON_AddItemToObject(result, "two_products_against_one",
                              json_number(bench_quantile(&product_ratio, 0.5)));
    }
    free(one.items);
    free(ratio.items);
    free(product_ratio.items);
    return status;
}

gr_status bench_workers(const bench_options *options, cJSON *result, gr_error *error) {
    bench_subject subject;
    worker trainings[BENCH_CORES] = {0}, products[BENCH_CORES] = {0};
    gr_status status = bench_subject_open(options, &subject, error);
    for (int i = 0; i < BENCH_CORES && status == GR_OK; i++) {
        trainings[i].core = products[i].core = options->cores[i];
        products[i].product = bench_product_create();
        status = gr_training_create(&subject.setup.plan, subject.setup.dataset,
                                    &trainings[i].training, error);
    }
    if (status == GR_OK) status = rounds(trainings, products, options->seconds, result, error);
    for (int i = 0; i < BENCH_CORES; i++) {
        gr_training_free(trainings[i].training);
        bench_product_free(products[i].product);
    }
    bench_subject_close(&subject);
    return status;
}
