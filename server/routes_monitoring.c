/* /metrics: the server in numbers, in Prometheus' text format. */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gradreg/processor.h"
#include "server/api.h"

static void head(FILE *out, const char *name, const char *type, const char *help) {
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, double value) {
    head(out, name, type, help);
    fprintf(out, "%s %.17g\n", name, value);
}

/* `labels`: "" or "a=\"b\"," */
static void print_histogram(FILE *out, const char *name, const char *labels,
                            const histogram *durations) {
    const int length = (int)strlen(labels) - (*labels ? 1 : 0);
    uint64_t sum = 0;
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
        sum += durations->counts[i];
        fprintf(out, "%s_bucket{%sle=\"%g\"} %llu\n", name, labels, histogram_bounds[i],
                (unsigned long long)sum);
    }
    sum += durations->counts[HISTOGRAM_BOUNDS];
    fprintf(out, "%s_bucket{%sle=\"+Inf\"} %llu\n", name, labels, (unsigned long long)sum);
    const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    fprintf(out, "%s_sum%s%.*s%s %.17g\n%s_count%s%.*s%s %llu\n", name, open, length, labels, close,
            durations->sum, name, open, length, labels, close, (unsigned long long)sum);
}

/* -- requests
 * ------------------------------------------------------------------------------------------ */
static void print_requests(FILE *out, statistics *from) {
    char labels[320];
    int count;
    statistics_row *rows = statistics_copy(from, &count);
    if (rows == NULL) return;
    head(out, "gradreg_http_requests_total", "counter", "Requests answered.");
    for (int i = 0; i < count; i++)
        for (int k = 0; k < STATISTICS_STATUSES && rows[i].statuses[k].count; k++)
            fprintf(out,
                    "gradreg_http_requests_total{method=\"%s\",route=\"%s\",status=\"%d\"} "
                    "%llu\n",
                    rows[i].method, rows[i].route, rows[i].statuses[k].status,
                    (unsigned long long)rows[i].statuses[k].count);
    head(out, "gradreg_http_response_bytes_total", "counter", "Bytes of the answers' bodies.");
    for (int i = 0; i < count; i++)
        fprintf(out, "gradreg_http_response_bytes_total{method=\"%s\",route=\"%s\"} %llu\n",
                rows[i].method, rows[i].route, (unsigned long long)rows[i].bytes);
    head(out, "gradreg_http_request_duration_seconds", "histogram",
         "From a request's headers to the end of its answer; without event streams.");
    for (int i = 0; i < count; i++) {
        snprintf(labels, sizeof labels, "method=\"%s\",route=\"%s\",", rows[i].method,
                 rows[i].route);
        print_histogram(out, "gradreg_http_request_duration_seconds", labels, &rows[i].seconds);
    }
    free(rows);
}

/* -- work
 * ---------------------------------------------------------------------------------------------- */
static void print_workers(FILE *out, struct api *api) {
    enum { MAXIMUM_WORKERS_SHOWN = 256 };
    worker_status rows[MAXIMUM_WORKERS_SHOWN];
    int count = workers_status(api->workers, rows, MAXIMUM_WORKERS_SHOWN), busy = 0;
    double rate = 0;
    for (int i = 0; i < count && i < MAXIMUM_WORKERS_SHOWN; i++) {
        busy += rows[i].experiment != 0;
        rate += rows[i].experiment ? rows[i].iterations_per_second : 0;
    }
    head(out, "gradreg_workers", "gauge", "Worker threads by what they do.");
    fprintf(out, "gradreg_workers{state=\"busy\"} %d\ngradreg_workers{state=\"idle\"} %d\n", busy,
            count - busy);
    one(out, "gradreg_training_iterations_total", "counter", "Training iterations of all workers.",
        (double)workers_iterations(api->workers));
    one(out, "gradreg_training_iterations_per_second", "gauge",
        "Training iterations per second of all workers, smoothed.", rate);
    one(out, "gradreg_event_streams", "gauge", "Open event streams.",
        event_streams_count(api->streams));
}

static gr_status print_store(FILE *out, struct api *api, gr_error *error) {
    int64_t counts[STATE_COUNT];
    store_statistics about;
    struct statvfs disk;
    GR_TRY(store_counts(api->store, counts, error));
    head(out, "gradreg_experiments", "gauge", "Experiments by state.");
    for (int state = 0; state < STATE_COUNT; state++)
        fprintf(out, "gradreg_experiments{state=\"%s\"} %lld\n",
                state_name((experiment_state)state), (long long)counts[state]);
    store_statistics_read(api->store, &about);
    one(out, "gradreg_store_commits_total", "counter", "Transactions committed.",
        (double)about.commits);
    one(out, "gradreg_store_writes_total", "counter", "Writes that the transactions grouped.",
        (double)about.writes);
    head(out, "gradreg_store_commit_duration_seconds", "histogram",
         "Transactions, from their first statement to the end of the commit.");
    print_histogram(out, "gradreg_store_commit_duration_seconds", "", &about.commit_seconds);
    one(out, "gradreg_database_bytes", "gauge", "Size of the database file.",
        (double)about.database_bytes);
    one(out, "gradreg_database_log_bytes", "gauge", "Size of its write-ahead log.",
        (double)about.log_bytes);
    if (statvfs(api->data_directory, &disk) == 0)
        one(out, "gradreg_disk_free_bytes", "gauge", "Free space where the data directory is.",
            (double)disk.f_bavail * (double)disk.f_frsize);
    return GR_OK;
}

/* -- the process: the names that Prometheus' own clients use
 * -------------------------------------------- */
static void print_process(FILE *out, const struct api *api) {
    struct rusage usage;
    unsigned long long pages_all = 0, pages_resident = 0;
    FILE *memory = fopen("/proc/self/statm", "re");
    if (memory && fscanf(memory, "%llu %llu", &pages_all, &pages_resident) == 2) {
        const double page = (double)sysconf(_SC_PAGESIZE);
        one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
            (double)pages_all * page);
        one(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
            (double)pages_resident * page);
    }
    if (memory) fclose(memory);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        one(out, "process_cpu_seconds_total", "counter", "Processor time, user and system.",
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    DIR *files = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and the folder itself */
    while (files && readdir(files)) count++;
    if (files) {
        closedir(files);
        one(out, "process_open_fds", "gauge", "Open file descriptors.", count);
    }
    one(out, "process_start_time_seconds", "gauge", "Start, in seconds since 1970.",
        (double)api->started_at / 1000);
    head(out, "gradreg_build_info", "gauge", "Always 1; the labels say what runs.");
    fprintf(out, "gradreg_build_info{version=\"%s\",engine=\"%s\",kernels=\"%s\",blas=\"%s\"} 1\n",
            GRADREG_VERSION, gr_engine_version(), gr_kernels_name(), gr_blas_kernel());
}

static gr_status get_metrics(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    struct api *api = context;
    char *text = NULL;
    size_t length = 0;
    (void)request;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    gr_status status = print_store(out, api, error);
    if (status == GR_OK) {
        print_workers(out, api);
        print_requests(out, &api->statistics);
        print_process(out, api);
    }
    if (fclose(out) != 0 && status == GR_OK)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status != GR_OK) {
        free(text);
        return status;
    }
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    response->body = text;
    response->length = length;
    return GR_OK;
}

const http_route monitoring_routes[] = {
    {"GET", "/metrics", get_metrics, "the server in numbers, for Prometheus", NULL, 0}, {0}};
