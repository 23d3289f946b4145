/* gradreg serve: the server, from its arguments to its last checkpoint. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/api.h"
#include "server/commands.h"
#include "server/listen.h"
#include "server/paths.h"

enum { MAXIMUM_WORKERS = 256 };

static const char usage[] =
    "usage: gradreg serve [--listen ADDRESS:PORT] [--data-dir DIR] [--workers N]\n"
    "\n"
    "  --listen ADDRESS:PORT  where to listen (127.0.0.1:8080); port 0 takes a free one\n"
    "  --data-dir DIR         experiments, results and data sets (GRADREG_DATA_DIR, else ./data)\n"
    "  --workers N            experiments trained at once, 1 to 256 (one for each processor)\n";

typedef struct serve_options {
    const char *listen, *data_directory;
    int workers;
} serve_options;

static int processor_count(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > MAXIMUM_WORKERS ? MAXIMUM_WORKERS : count;
}

/* -1: go on; otherwise the exit status. */
static int parse_options(int argc, char **argv, serve_options *options) {
    static const struct option known[] = {{"listen", required_argument, NULL, 'l'},
                                          {"data-dir", required_argument, NULL, 'd'},
                                          {"workers", required_argument, NULL, 'w'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    *options = (serve_options){"127.0.0.1:8080", NULL, processor_count()};
    optind = 1;
    for (int letter; (letter = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        char *end;
        long number;
        switch (letter) {
        case 'l':
            options->listen = optarg;
            break;
        case 'd':
            options->data_directory = optarg;
            break;
        case 'w':
            number = strtol(optarg, &end, 10);
            if (end == optarg || *end || number < 1 || number > MAXIMUM_WORKERS) {
                fprintf(stderr,
                        "gradreg serve: --workers wants a number from 1 to %d, not \"%s\"\n",
                        MAXIMUM_WORKERS, optarg);
                return 2;
            }
            options->workers = (int)number;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind == argc) return -1;
    fprintf(stderr, "gradreg serve: unexpected argument \"%s\"\n%s", argv[optind], usage);
    return 2;
}

/* Everything that is started and must be stopped, in this order. */
typedef struct service {
    struct api api;
    listen_address address;
    char *datasets;
    http_server *http;
} service;

static gr_status service_start(service *self, const serve_options *options, gr_error *error) {
    struct api *api = &self->api;
    self->address.socket = -1;
    api->started_at = api_now();
    api->data_directory = paths_data_directory(options->data_directory);
    GR_TRY(listen_open(options->listen, &self->address, error));
    GR_TRY(paths_make_directories(api->data_directory, error));
    GR_TRY(store_open(api->data_directory, &api->store, error));
    self->datasets = paths_join(api->data_directory, PATHS_DATASETS);
    api->data = self->datasets ? data_cache_create(self->datasets) : NULL;
    api->events = events_create();
    api->streams = api->events ? event_streams_create(api) : NULL;
    if (api->data == NULL || api->streams == NULL)
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    GR_TRY(
        workers_start(api->store, api->data, api->events, options->workers, &api->workers, error));
    const http_options http = {.listener = self->address.socket,
                               .listen_host = self->address.host,
                               .tables = api_routes,
                               .context = api};
    self->address.socket = -1; /* taken over */
    atomic_store(&api->ready, true);
    return http_start(&http, &self->http, error);
}

static void service_stop(service *self) {
    struct api *api = &self->api;
    atomic_store(&api->ready, false);
    http_stop(self->http);
    if (api->workers) workers_stop(api->workers);
    event_streams_free(api->streams);
    events_free(api->events);
    data_cache_free(api->data);
    if (api->store) store_close(api->store);
    if (self->address.socket >= 0) close(self->address.socket);
    free(self->datasets);
}

int command_serve(int argc, char **argv) {
    serve_options options;
    int status = parse_options(argc, argv, &options);
    if (status >= 0) return status;

    /* Threads inherit the mask: the signals wait for this thread, which takes them below. */
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &ends, &before);

    service self = {0};
    gr_error error = {0};
    status = 0;
    if (service_start(&self, &options, &error) != GR_OK) {
        fprintf(stderr, "gradreg serve: %s\n", error.message);
        status = 1;
    } else {
        int received = 0;
        printf("gradreg listening on %s\n", self.address.url);
        fflush(stdout);
        sigwait(&ends, &received);
        fprintf(stderr, "gradreg: stopping; what is running is checkpointed and goes on at the "
                        "next start\n");
        /* Whoever asks a second time is not made to wait: nothing that was told to be stored can be
         * lost. */
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    service_stop(&self);
    return status;
}
