/* gradreg_bench measures one thing at a time and prints it as one JSON object; tools/bench calls it
 * for each row of its table. What is compared is measured in turns within one process: a matrix
 * product, then the thing, then a matrix product again. Not a test: no figure decides anything
 * here. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stddef.h>

#include "server/experiment_setup.h"

enum { BENCH_CORES = 2 };

typedef struct bench_options {
    const char *spec;           /* a file, or "-" */
    const char *data_directory; /* with a folder datasets/ */
    double seconds;             /* to measure for, about */
    int cores[BENCH_CORES];     /* to run on; -1: wherever */
} bench_options;

/* One row of the table of measurements, in main.c. Each prints to standard output and fills the
 * error where it fails. */
gr_status bench_iterations(const bench_options *options, cJSON *result, gr_error *error);
gr_status bench_evaluation(const bench_options *options, cJSON *result, gr_error *error);
gr_status bench_kernels(const bench_options *options, cJSON *result, gr_error *error);
gr_status bench_workers(const bench_options *options, cJSON *result, gr_error *error);
gr_status bench_memory(const bench_options *options, cJSON *result, gr_error *error);
gr_status bench_machine(const bench_options *options, cJSON *result, gr_error *error);

/* -- time
 * ---------------------------------------------------------------------------------------------- */

double bench_now(void); /* seconds */
/* What share of the time between two calls this process was running: below 1 where others wanted
 * the core too. */
typedef struct bench_share {
    double began, processor;
} bench_share;
bench_share bench_share_begin(void);
double bench_share_end(const bench_share *share);

/* Times of the same thing, again and again. Zero-initialise; free items. */
typedef struct bench_times {
    size_t count, capacity;
    double *items;
} bench_times;
void bench_add(bench_times *times, double seconds);
/* The q-quantile (0.5: the median); sorts. */
double bench_quantile(bench_times *times, double q);

/* -- the yardstick: sgemm of 1024³
 * --------------------------------------------------------------------- */

typedef struct bench_product bench_product;
bench_product *bench_product_create(void);
void bench_product_free(bench_product *product);
/* Seconds of one product. */
double bench_product_run(const bench_product *product);
/* Multiply-accumulates of one product. */
double bench_product_operations(void);

/* The best rate of multiply-accumulates on registers alone that was seen within `seconds`, with the
 * vectors of a set of kernels; 0: not known for it. */
double bench_peak_gflops(const char *kernels, double seconds);

/* -- what is measured: a spec
 * -----------------------------------------------------------------------------------------------
 */

typedef struct bench_subject {
    data_cache *data;
    experiment_setup setup;
} bench_subject;

/* Reads and checks options->spec. bench_subject_close also where it fails. */
gr_status bench_subject_open(const bench_options *options, bench_subject *subject, gr_error *error);
void bench_subject_close(bench_subject *subject);

/* The calling thread on that core alone; nothing where core < 0. */
gr_status bench_pin(int core, gr_error *error);

#endif
