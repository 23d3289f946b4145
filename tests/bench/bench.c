#include "tests/bench/bench.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/blas.h"
#include "server/files.h"
#include "server/paths.h"

enum { SIDE = 1024, MAXIMUM_SPEC_FILE = 1 << 20 };

static double clock_seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double bench_now(void) {
    return clock_seconds(CLOCK_MONOTONIC);
}

bench_share bench_share_begin(void) {
    return (bench_share){bench_now(), clock_seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

double bench_share_end(const bench_share *share) {
    return (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - share->processor) /
           (bench_now() - share->began);
}

/* What cannot go on without memory ends here: this is a tool, measured with memory to spare. */
static void *need(void *memory) {
    if (memory) return memory;
    fputs("gradreg_bench: no memory\n", stderr);
    exit(1);
}

void bench_add(bench_times *times, double seconds) {
    if (times->count == times->capacity) {
        times->capacity = times->capacity ? 2 * times->capacity : 256;
        times->items = need(realloc(times->items, times->capacity * sizeof *times->items));
    }
    times->items[times->count++] = seconds;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_quantile(bench_times *times, double q) {
    if (times->count == 0) return NAN;
    qsort(times->items, times->count, sizeof *times->items, ascending);
    const double place = q * (double)(times->count - 1);
    const size_t low = (size_t)place, high = low + 1 < times->count ? low + 1 : low;
    return times->items[low] + (place - (double)low) * (times->items[high] - times->items[low]);
}

struct bench_product {
    gr_real *a, *b, *c;
};

bench_product *bench_product_create(void) {
    bench_product *product = need(calloc(1, sizeof *product));
    gr_real **matrices[] = {&product->a, &product->b, &product->c};
    for (int m = 0; m < 3; m++) {
        *matrices[m] = need(aligned_alloc(4096, (size_t)SIDE * SIDE * sizeof(gr_real)));
        for (int i = 0; i < SIDE * SIDE; i++)
            (*matrices[m])[i] = (gr_real)((i * 7 + m) % 13) / 13 - (gr_real)0.5;
    }
    gr_blas_single_thread();
    return product;
}

void bench_product_free(bench_product *product) {
    if (!product) return;
    free(product->a);
    free(product->b);
    free(product->c);
    free(product);
}

double bench_product_run(const bench_product *product) {
    const double began = bench_now();
    gr_gemm(false, false, SIDE, SIDE, SIDE, 1, product->a, SIDE, product->b, SIDE, 0, product->c,
            SIDE);
    return bench_now() - began;
}

double bench_product_operations(void) {
    return (double)SIDE * SIDE * SIDE;
}

gr_status bench_subject_open(const bench_options *options, bench_subject *subject,
                             gr_error *error) {
    *subject = (bench_subject){0};
    if (!options->spec) return gr_fail(error, GR_INVALID, "this measurement needs --spec FILE");
    void *text;
    size_t length;
    if (strcmp(options->spec, "-") == 0)
        GR_TRY(file_read_input(MAXIMUM_SPEC_FILE, &text, &length, error));
    else
        GR_TRY(file_read(options->spec, MAXIMUM_SPEC_FILE, &text, &length, error));
    subject->data = need(data_cache_create(paths_data_directory(options->data_directory)));
    const gr_status status =
        experiment_setup_check(text, length, subject->data, &subject->setup, NULL, NULL, error);
    free(text);
    return status;
}

void bench_subject_close(bench_subject *subject) {
    experiment_setup_clear(&subject->setup);
    data_cache_free(subject->data);
}

gr_status bench_pin(int core, gr_error *error) {
    if (core < 0) return GR_OK;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (core < CPU_SETSIZE) CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0) return GR_OK;
    return gr_fail(error, GR_INVALID, "cannot run on core %d: %s", core, strerror(errno));
}
