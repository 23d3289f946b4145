/* What a training adds to the process's memory beside the data set, over two of its iterations. One
 * that would take very much is not run: then there is only its estimate. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/bench.h"

/* The kernel's figure for this process, such as "VmHWM" (the most it has had) or "VmRSS". */
static gr_status resident_bytes(const char *name, int64_t *bytes, gr_error *error) {
    FILE *file = fopen("/proc/self/status", "re");
    if (!file) return gr_fail(error, GR_IO, "/proc/self/status: %s", strerror(errno));
    char line[256];
    *bytes = -1;
    while (*bytes < 0 && fgets(line, sizeof line, file)) {
        long long kib;
        if (strncmp(line, name, strlen(name)) == 0 &&
            sscanf(line + strlen(name), ":%lld", &kib) == 1)
            *bytes = kib * 1024;
    }
    fclose(file);
    return *bytes >= 0 ? GR_OK : gr_fail(error, GR_IO, "/proc/self/status says no %s", name);
}

gr_status bench_memory(const bench_options *options, cJSON *result, gr_error *error) {
    enum { ITERATIONS = 2 };
    const int64_t most_to_run = (int64_t)4 << 30;
    bench_subject subject;
    gr_training *training = NULL;
    int64_t before = 0, most = 0;
    GR_TRY(bench_pin(options->cores[0], error));
    gr_status status = bench_subject_open(options, &subject, error);
    if (status == GR_OK)
        cJSON_AddItemToObject(result, "estimated_bytes",
                              json_integer(subject.setup.estimate.memory_bytes));
    const bool runs = status == GR_OK && subject.setup.estimate.memory_bytes <= most_to_run;
    if (runs) status = resident_bytes("VmRSS", &before, error);
    if (runs && status == GR_OK)
        status = gr_training_create(&subject.setup.plan, subject.setup.dataset, &training, error);
    gr_progress progress;
    for (int i = 0; i < ITERATIONS && runs && status == GR_OK; i++)
        status = gr_training_advance(training, &progress, error);
    if (runs && status == GR_OK) status = resident_bytes("VmHWM", &most, error);
    if (runs && status == GR_OK)
        cJSON_AddItemToObject(result, "resident_bytes", json_integer(most - before));
    gr_training_free(training);
    bench_subject_close(&subject);
    return status;
}
