/* gradreg sweep: posts a sweep to a server, follows it, and ends with its table. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/client.h"
#include "server/commands.h"
#include "server/progress_bar.h"

enum { MAXIMUM_SPEC = 1 << 20, MAXIMUM_BARS = 8, MAXIMUM_RETRIES = 60, POLL_MILLISECONDS = 500 };

static const char usage[] =
    "usage: gradreg sweep SWEEP.json|ID [OPTION…]\n"
    "\n"
    "  SWEEP.json          a sweep's spec (docs/sweeps.md); \"-\" reads one from the standard "
    "input\n"
    "  ID                  or a sweep that the server has already\n"
    "  --server URL        the server (GRADREG_SERVER, else http://127.0.0.1:8080)\n"
    "  --check             only check it and say what it would cost\n"
    "  --no-wait           submit it and leave\n"
    "  --format FORMAT     of the table: markdown (default), latex, csv or json\n"
    "  --statistic NAME    mean (default, with Student's interval), mean_sd, median or\n"
    "                      interquartile_mean\n"
    "  --rows, --columns, --metric, --baseline TEXT\n"
    "                      what the table shows, as the query parameters of those names\n"
    "\n"
    "Ends with status 0 if every experiment succeeded or was dropped by successive halving, else "
    "1.\n";

enum { OPTION_SERVER, OPTION_CHECK, OPTION_NO_WAIT, OPTION_HELP, FIRST_TABLE_OPTION };
static const struct option known[] = {{"server", required_argument, NULL, OPTION_SERVER},
                                      {"check", no_argument, NULL, OPTION_CHECK},
                                      {"no-wait", no_argument, NULL, OPTION_NO_WAIT},
                                      {"help", no_argument, NULL, OPTION_HELP},
                                      {"format", required_argument, NULL, FIRST_TABLE_OPTION},
                                      {"statistic", required_argument, NULL, FIRST_TABLE_OPTION},
                                      {"rows", required_argument, NULL, FIRST_TABLE_OPTION},
                                      {"columns", required_argument, NULL, FIRST_TABLE_OPTION},
                                      {"metric", required_argument, NULL, FIRST_TABLE_OPTION},
                                      {"baseline", required_argument, NULL, FIRST_TABLE_OPTION},
                                      {0}};

typedef struct options {
    const char *what, *server;
    bool check, no_wait, has_format;
    char query[900]; /* of the table */
} options;

/* -- arguments
 * ------------------------------------------------------------------------------------------ */

/* Adds "name=value" to the query, percent-encoded. False where there is no room. */
static bool add_query(options *chosen, const char *name, const char *value) {
    size_t length = strlen(chosen->query);
    const size_t size = sizeof chosen->query;
    length +=
        (size_t)snprintf(chosen->query + length, size - length, "%c%s=", length ? '&' : '?', name);
    for (; *value && length + 4 < size; value++) {
        const bool plain = strchr("-._~", *value) || (*value >= '0' && *value <= '9') ||
                           (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z');
        length += (size_t)snprintf(chosen->query + length, size - length, plain ? "%c" : "%%%02X",
                                   (unsigned char)*value);
    }
    return *value == 0;
}

/* -1: go on; otherwise the exit status. */
static int parse_options(int argc, char **argv, options *chosen) {
    *chosen = (options){0};
    optind = 1;
    for (int letter, index; (letter = getopt_long(argc, argv, "h", known, &index)) != -1;) {
        if (letter == OPTION_SERVER) {
            chosen->server = optarg;
        } else if (letter == OPTION_CHECK) {
            chosen->check = true;
        } else if (letter == OPTION_NO_WAIT) {
            chosen->no_wait = true;
        } else if (letter == OPTION_HELP || letter == 'h') {
            fputs(usage, stdout);
            return 0;
        } else if (letter == FIRST_TABLE_OPTION) {
            chosen->has_format |= strcmp(known[index].name, "format") == 0;
            if (!add_query(chosen, known[index].name, optarg)) {
                fprintf(stderr, "gradreg sweep: --%s is too long\n", known[index].name);
                return 2;
            }
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind != argc - 1) {
        fputs(usage, stderr);
        return 2;
    }
    chosen->what = argv[optind];
    if (!chosen->has_format) add_query(chosen, "format", "markdown");
    return -1;
}

/* The whole file (free). */
static gr_status read_spec(const char *path, char **bytes, size_t *length, gr_error *error) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!file) return gr_fail(error, GR_IO, "%s", strerror(errno));
    *bytes = malloc(MAXIMUM_SPEC + 1);
    gr_status status = *bytes ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) {
        errno = 0;
        *length = fread(*bytes, 1, MAXIMUM_SPEC + 1, file);
        if (ferror(file)) status = gr_fail(error, GR_IO, "%s", strerror(errno));
        if (status == GR_OK && *length > MAXIMUM_SPEC)
            status = gr_fail(error, GR_TOO_LARGE, "a sweep has at most %d bytes", MAXIMUM_SPEC);
    }
    if (file != stdin) fclose(file);
    if (status == GR_OK) return GR_OK;
    free(*bytes);
    *bytes = NULL;
    return status;
}

/* -- submission
 * ----------------------------------------------------------------------------------------- */

static double number_of(const cJSON *object, const char *name, double otherwise) {
    double value;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item && json_to_double(item, &value) ? value : otherwise;
}

static void print_estimate(const cJSON *answer) {
    const cJSON *estimate = cJSON_GetObjectItemCaseSensitive(answer, "estimate");
    const double seconds = number_of(estimate, "seconds", NAN);
    char time[24];
    printf("%.0f arms, %.0f experiments, %.0f iterations; at most %.0f MiB of memory each",
           number_of(estimate, "arms", 0), number_of(estimate, "experiments", 0),
           number_of(estimate, "iterations", 0), number_of(estimate, "memory_bytes", 0) / 1048576);
    if (!isnan(seconds)) printf("; about %s", progress_bar_time(seconds, time));
    putchar('\n');
}

/* *id: 0 where it was only checked. */
static gr_status submit(client *server, const options *chosen, int64_t *id, gr_error *error) {
    char *text = NULL, *details = NULL;
    size_t length = 0;
    cJSON *answer = NULL;
    *id = 0;
    GR_TRY(read_spec(chosen->what, &text, &length, error));
    gr_status status = client_request(
        server, "POST", chosen->check ? "/api/v1/sweeps?validate_only=true" : "/api/v1/sweeps",
        text, length, &answer, &details, error);
    if (status != GR_OK) {
        if (details) fprintf(stderr, "%s", details);
    } else if (chosen->check) {
        print_estimate(answer);
    } else {
        *id = (int64_t)number_of(answer, "id", 0);
        printf("sweep %lld: %.0f arms, %.0f experiments, %s/#/sweeps/%lld\n", (long long)*id,
               number_of(answer, "arms", 0), number_of(answer, "experiments", 0),
               client_url(server), (long long)*id);
        fflush(stdout);
    }
    cJSON_Delete(answer);
    free(details);
    free(text);
    return status;
}

/* -- following
 * ------------------------------------------------------------------------------------------ */

typedef struct following {
    client *server;
    int64_t id;
    bool terminal, ended;
    int drawn;
    double last_ended, bad; /* bad: experiments that failed, diverged, or were cancelled by hand */
} following;

static void copy_text(const cJSON *item, char *out, size_t size) {
    const char *text = cJSON_GetStringValue(item);
    snprintf(out, size, "%s", text ? text : "");
}

static void draw(following *self, const cJSON *sweep, const cJSON *running) {
    progress_bar bars[MAXIMUM_BARS + 1];
    char labels[MAXIMUM_BARS + 1][320], state[24], name[256], of[128];
    size_t count = 1;
    const cJSON *progress = cJSON_GetObjectItemCaseSensitive(sweep, "progress"), *item;
    copy_text(cJSON_GetObjectItemCaseSensitive(sweep, "name"), of, sizeof of);
    copy_text(cJSON_GetObjectItemCaseSensitive(sweep, "state"), state, sizeof state);
    snprintf(labels[0], sizeof labels[0], "sweep %lld %s", (long long)self->id, of);
    bars[0] = (progress_bar){.label = labels[0],
                             .state = state,
                             .iteration = (int64_t)number_of(sweep, "ended", 0),
                             .iterations = (int64_t)number_of(sweep, "experiments", 0),
                             .eta_seconds = number_of(progress, "eta_seconds", NAN),
                             .loss = NAN,
                             .accuracy = NAN};
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(running, "experiments")) {
        if (count > MAXIMUM_BARS) break;
        const cJSON *own = cJSON_GetObjectItemCaseSensitive(item, "progress");
        const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(item, "metrics");
        copy_text(cJSON_GetObjectItemCaseSensitive(item, "name"), name, sizeof name);
        /* Bars are narrow, and the sweep's name stands above them. */
        const size_t common = strlen(of);
        const char *own_name =
            strncmp(name, of, common) == 0 && strncmp(name + common, ": ", 2) == 0
                ? name + common + 2
                : name;
        snprintf(labels[count], sizeof labels[count], "#%.0f %s", number_of(item, "id", 0),
                 own_name);
        bars[count] =
            (progress_bar){.label = labels[count],
                           .state = "running",
                           .iteration = (int64_t)number_of(own, "iteration", 0),
                           .iterations = (int64_t)number_of(own, "iterations", 0),
                           .iterations_per_second = number_of(own, "iterations_per_second", 0),
                           .eta_seconds = number_of(own, "eta_seconds", NAN),
                           .loss = number_of(metrics, "train_loss", NAN),
                           .accuracy = number_of(metrics, "validation_accuracy", NAN)};
        count++;
    }
    progress_bar_draw(stdout, bars, count, &self->drawn);
}

static void print_line(following *self, const cJSON *sweep) {
    const double ended = number_of(sweep, "ended", 0);
    char time[24], state[24];
    if (ended == self->last_ended && !self->ended) return;
    self->last_ended = ended;
    copy_text(cJSON_GetObjectItemCaseSensitive(sweep, "state"), state, sizeof state);
    printf("sweep %lld %s: %.0f of %.0f experiments have ended", (long long)self->id, state, ended,
           number_of(sweep, "experiments", 0));
    const double eta =
        number_of(cJSON_GetObjectItemCaseSensitive(sweep, "progress"), "eta_seconds", NAN);
    if (!self->ended && !isnan(eta)) printf(", ETA %s", progress_bar_time(eta, time));
    putchar('\n');
    fflush(stdout);
}

static gr_status look(following *self, gr_error *error) {
    char path[160], state[24], strategy[16];
    cJSON *sweep, *running = NULL;
    snprintf(path, sizeof path, "/api/v1/sweeps/%lld", (long long)self->id);
    GR_TRY(client_request(self->server, "GET", path, NULL, 0, &sweep, NULL, error));
    copy_text(cJSON_GetObjectItemCaseSensitive(sweep, "state"), state, sizeof state);
    copy_text(cJSON_GetObjectItemCaseSensitive(sweep, "strategy"), strategy, sizeof strategy);
    self->ended = strcmp(state, "finished") == 0 || strcmp(state, "cancelled") == 0;
    const cJSON *states = cJSON_GetObjectItemCaseSensitive(sweep, "states");
    self->bad = number_of(states, "failed", 0) + number_of(states, "diverged", 0);
    if (strcmp(strategy, "asha") != 0 || strcmp(state, "cancelled") == 0)
        self->bad += number_of(states, "cancelled", 0);
    gr_status status = GR_OK;
    if (self->terminal) {
        snprintf(path, sizeof path,
                 "/api/v1/experiments?sweep=%lld&state=running&limit=%d&fields=id,name,progress,"
                 "metrics",
                 (long long)self->id, MAXIMUM_BARS);
        status = client_request(self->server, "GET", path, NULL, 0, &running, NULL, error);
        if (status == GR_OK) draw(self, sweep, running);
    } else {
        print_line(self, sweep);
    }
    cJSON_Delete(running);
    cJSON_Delete(sweep);
    return status;
}

/* Until it has ended. A server that restarts goes on where it was. */
static gr_status follow(following *self, gr_error *error) {
    for (int failures = 0; !self->ended;) {
        const gr_status status = look(self, error);
        if (status == GR_OK)
            failures = 0;
        else if (status != GR_IO || ++failures > MAXIMUM_RETRIES)
            return status;
        if (!self->ended) nanosleep(&(struct timespec){0, POLL_MILLISECONDS * 1000000L}, NULL);
    }
    return GR_OK;
}

static gr_status print_table(client *server, int64_t id, const options *chosen, gr_error *error) {
    char path[1000], *table;
    snprintf(path, sizeof path, "/api/v1/sweeps/%lld/table%s", (long long)id, chosen->query);
    GR_TRY(client_get_text(server, path, &table, error));
    printf("\n%s", table);
    free(table);
    return GR_OK;
}

static bool is_id(const char *text) {
    const size_t length = strlen(text);
    return length > 0 && length <= 18 && *text != '0' && strspn(text, "0123456789") == length;
}

int command_sweep(int argc, char **argv) {
    options chosen;
    const int early = parse_options(argc, argv, &chosen);
    if (early >= 0) return early;
    client *server = NULL;
    gr_error error = {0};
    following self = {.terminal = isatty(STDOUT_FILENO) != 0, .last_ended = -1};
    gr_status status = client_create(chosen.server, &server, &error);
    if (status == GR_OK && is_id(chosen.what))
        self.id = strtoll(chosen.what, NULL, 10);
    else if (status == GR_OK)
        status = submit(server, &chosen, &self.id, &error);
    self.server = server;
    const bool waits = self.id > 0 && !chosen.no_wait && !chosen.check;
    if (status == GR_OK && waits) status = follow(&self, &error);
    if (status == GR_OK && waits) status = print_table(server, self.id, &chosen, &error);
    if (status != GR_OK)
        fprintf(stderr, "gradreg sweep: %s: %s\n", chosen.what, error.message);
    else if (self.bad > 0)
        fprintf(stderr,
                "gradreg sweep: %.0f experiments did not succeed; \"gradreg sweep %lld\" "
                "shows the table again after a retry\n",
                self.bad, (long long)self.id);
    client_free(server);
    return status == GR_OK && self.bad == 0 ? 0 : 1;
}
