#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gradreg/processor.h"
#include "server/restart.h"
#include "tests/bench/bench.h"

static const struct {
    const char *name, *help;
    gr_status (*run)(const bench_options *options, cJSON *result, gr_error *error);
} measurements[] = {
    {"machine", "kernels in use, the rate of sgemm and the most that a core can do", bench_machine},
    {"iterations", "training steps of a spec", bench_iterations},
    {"evaluation", "evaluations of a spec whose evaluate_every is 1", bench_evaluation},
    {"kernels", "each layer's passes at the spec's batch size", bench_kernels},
    {"memory", "what a training of a spec allocates, against its estimate", bench_memory},
    {"workers", "two trainings of a spec at once against one", bench_workers},
};
enum { MEASUREMENTS = sizeof measurements / sizeof *measurements };

static void print_usage(FILE *file) {
    fputs("usage: gradreg_bench MEASUREMENT [--spec FILE|-] [--data-dir DIR] [--seconds S]\n"
          "                     [--cores A[,B]]\n"
          "\n"
          "Measures and prints one JSON object; tools/bench makes the table.\n"
          "\n",
          file);
    for (int i = 0; i < MEASUREMENTS; i++)
        fprintf(file, "  %-11s %s\n", measurements[i].name, measurements[i].help);
}

gr_status bench_machine(const bench_options *options, cJSON *result, gr_error *error) {
    GR_TRY(bench_pin(options->cores[0], error));
    bench_product *product = bench_product_create();
    bench_times times = {0};
    const bench_share share = bench_share_begin();
    const double end = bench_now() + options->seconds;
    do bench_add(&times, bench_product_run(product));
    while (bench_now() < end);
    cJSON_AddStringToObject(result, "kernels", gr_kernels_name());
    cJSON_AddStringToObject(result, "openblas", gr_blas_configuration());
    cJSON_AddStringToObject(result, "openblas_kernel", gr_blas_kernel());
    const char *best = gr_blas_best_kernel();
    cJSON_AddStringToObject(result, "best_openblas_kernel", best ? best : "");
    cJSON_AddItemToObject(result, "core_share", json_number(bench_share_end(&share)));
    cJSON_AddStringToObject(result, "engine", gr_engine_version());
    cJSON_AddItemToObject(result, "peak_gflops",
                          json_number(bench_peak_gflops(gr_kernels_name(), options->seconds / 4)));
    cJSON_AddItemToObject(
        result, "sgemm_gflops",
        json_number(2e-9 * bench_product_operations() / bench_quantile(&times, 0.5)));
    free(times.items);
    bench_product_free(product);
    return GR_OK;
}

static int measure(int which, const bench_options *options) {
    gr_error error = {0};
    cJSON *result = cJSON_CreateObject();
    const gr_status status = measurements[which].run(options, result, &error);
    char *text = status == GR_OK ? json_text(result) : NULL;
    cJSON_Delete(result);
    if (!text) {
        fprintf(stderr, "gradreg_bench %s: %s%s%s\n", measurements[which].name, error.place,
                *error.place ? ": " : "", error.message);
        return 1;
    }
    puts(text);
    free(text);
    return 0;
}

static bool parse_seconds(const char *text, double *seconds) {
    char *end;
    *seconds = strtod(text, &end);
    return end != text && !*end && *seconds >= 0 && *seconds <= 3600;
}

int main(int argc, char **argv) {
    static const struct option known[] = {
        {"spec", required_argument, NULL, 's'},    {"data-dir", required_argument, NULL, 'd'},
        {"seconds", required_argument, NULL, 't'}, {"cores", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},          {0}};
    restart_with_better_kernels(argv);
    bool good = true;
    bench_options options = {.seconds = 1, .cores = {-1, -1}};
    for (int letter; (letter = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (letter == 's') options.spec = optarg;
        if (letter == 'd') options.data_directory = optarg;
        if (letter == 't') good = parse_seconds(optarg, &options.seconds);
        if (letter == 'c')
            good = sscanf(optarg, "%d,%d", &options.cores[0], &options.cores[1]) >= 1;
        if (letter == 'h' || letter == '?' || !good) {
            print_usage(letter == 'h' ? stdout : stderr);
            return letter == 'h' ? 0 : 2;
        }
    }
    for (int i = 0; i < MEASUREMENTS && optind + 1 == argc; i++)
        if (strcmp(argv[optind], measurements[i].name) == 0) return measure(i, &options);
    print_usage(stderr);
    return 2;
}
