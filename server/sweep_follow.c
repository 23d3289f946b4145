#include "server/sweep_follow.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/progress_bar.h"

enum { MAXIMUM_BARS = 8, FIRST_RETRIES = 60, SILENT_RETRIES = 6, POLL_MILLISECONDS = 500 };

double sweep_number(const cJSON *object, const char *name, double otherwise) {
    double value;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item && json_to_double(item, &value) ? value : otherwise;
}

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
                             .iteration = (int64_t)sweep_number(sweep, "ended", 0),
                             .iterations = (int64_t)sweep_number(sweep, "experiments", 0),
                             .eta_seconds = sweep_number(progress, "eta_seconds", NAN),
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
        snprintf(labels[count], sizeof labels[count], "#%.0f %s", sweep_number(item, "id", 0),
                 own_name);
        bars[count] =
            (progress_bar){.label = labels[count],
                           .state = "running",
                           .iteration = (int64_t)sweep_number(own, "iteration", 0),
                           .iterations = (int64_t)sweep_number(own, "iterations", 0),
                           .iterations_per_second = sweep_number(own, "iterations_per_second", 0),
                           .eta_seconds = sweep_number(own, "eta_seconds", NAN),
                           .loss = sweep_number(metrics, "train_loss", NAN),
                           .accuracy = sweep_number(metrics, "validation_accuracy", NAN)};
        count++;
    }
    progress_bar_draw(stdout, bars, count, &self->drawn);
}

static void print_line(following *self, const cJSON *sweep) {
    const double ended = sweep_number(sweep, "ended", 0);
    char time[24], state[24];
    if (ended == self->last_ended && !self->ended) return;
    self->last_ended = ended;
    copy_text(cJSON_GetObjectItemCaseSensitive(sweep, "state"), state, sizeof state);
    printf("sweep %lld %s: %.0f of %.0f experiments have ended", (long long)self->id, state, ended,
           sweep_number(sweep, "experiments", 0));
    const double eta =
        sweep_number(cJSON_GetObjectItemCaseSensitive(sweep, "progress"), "eta_seconds", NAN);
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
    self->bad = sweep_number(states, "failed", 0) + sweep_number(states, "diverged", 0);
    if (strcmp(strategy, "asha") != 0 || strcmp(state, "cancelled") == 0)
        self->bad += sweep_number(states, "cancelled", 0);
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

gr_status sweep_follow(client *server, int64_t id, double *bad, gr_error *error) {
    following all = {.server = server,
                     .id = id,
                     .terminal = isatty(STDOUT_FILENO) != 0,
                     .last_ended = -1},
              *self = &all;
    bool seen = false;
    for (int failures = 0; !self->ended;) {
        const gr_status status = look(self, error);
        seen |= status == GR_OK;
        if (status != GR_OK) {
            if (status != GR_IO || (!seen && failures == FIRST_RETRIES)) return status;
            if (seen && failures == SILENT_RETRIES) {
                fprintf(stderr, "%s\nwaiting for it; the sweep goes on where it was\n",
                        error->message);
                self->drawn = 0; /* the bars stand above that now */
            }
            failures++;
        } else {
            failures = 0;
        }
        if (!self->ended) nanosleep(&(struct timespec){0, POLL_MILLISECONDS * 1000000L}, NULL);
    }
    *bad = self->bad;
    return GR_OK;
}
