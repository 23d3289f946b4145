#include "server/watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/progress_bar.h"

enum { MAXIMUM_RETRIES = 30, REDRAW_MILLISECONDS = 100, STALE_SECONDS = 5 };

typedef struct watched {
    int64_t id;
    char label[128], state[16], reason[256];
    int64_t iteration, iterations;
    double rate, loss, accuracy, test_accuracy;
    bool ended;
} watched;

typedef struct watch {
    client *server;
    watched *items;
    progress_bar *bars;
    size_t count;
    bool terminal;
    int drawn;
    int64_t last_draw, last_read; /* monotonic milliseconds */
    gr_status status;
    gr_error *error;
} watch;

/* -- reading
 * -------------------------------------------------------------------------------------------- */
static double number_of(const cJSON *object, const char *name, double otherwise) {
    double value;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item && json_to_double(item, &value) ? value : otherwise;
}

/* Copies text for the terminal: control characters could move its cursor. */
static void copy_text(const cJSON *item, char *out, size_t size) {
    const char *text = cJSON_GetStringValue(item);
    snprintf(out, size, "%s", text ? text : "");
    for (; *out; out++)
        if ((unsigned char)*out < 0x20 || *out == 0x7F) *out = '?';
}

static void take_metrics(watched *item, const cJSON *values) {
    item->loss = number_of(values, "train_loss", item->loss);
    item->accuracy = number_of(values, "validation_accuracy", item->accuracy);
    item->test_accuracy = number_of(values, "test_accuracy", item->test_accuracy);
}

static void take_progress(watched *item, const cJSON *progress) {
    item->iteration = (int64_t)number_of(progress, "iteration", 0);
    item->iterations = (int64_t)number_of(progress, "iterations", 0);
    item->rate = number_of(progress, "iterations_per_second", 0);
}

static bool is_final(const char *state) {
    static const char *const finals[] = {"succeeded", "failed", "diverged", "cancelled", "deleted"};
    for (size_t i = 0; i < sizeof finals / sizeof *finals; i++)
        if (strcmp(state, finals[i]) == 0) return true;
    return false;
}

static void print_line(const watch *self, const watched *item) {
    char eta[24];
    if (self->terminal) return;
    printf("#%lld %s %lld/%lld", (long long)item->id, item->state, (long long)item->iteration,
           (long long)item->iterations);
    if (!item->ended && item->rate > 0)
        printf(" %.0f it/s, ETA %s", item->rate,
               progress_bar_time((double)(item->iterations - item->iteration) / item->rate, eta));
    if (!isnan(item->loss)) printf(", loss %.4g", item->loss);
    if (!isnan(item->accuracy)) printf(", validation accuracy %.2f%%", item->accuracy * 100);
    if (!isnan(item->test_accuracy)) printf(", test accuracy %.2f%%", item->test_accuracy * 100);
    if (*item->reason) printf(": %s", item->reason);
    putchar('\n');
    fflush(stdout);
}

static void take_experiment(watch *self, watched *item, const cJSON *experiment) {
    char name[96], state[16];
    copy_text(cJSON_GetObjectItemCaseSensitive(experiment, "name"), name, sizeof name);
    copy_text(cJSON_GetObjectItemCaseSensitive(experiment, "state"), state, sizeof state);
    copy_text(cJSON_GetObjectItemCaseSensitive(experiment, "error"), item->reason,
              sizeof item->reason);
    snprintf(item->label, sizeof item->label, "#%lld %s", (long long)item->id, name);
    take_progress(item, cJSON_GetObjectItemCaseSensitive(experiment, "progress"));
    take_metrics(item, cJSON_GetObjectItemCaseSensitive(experiment, "metrics"));
    bool changed = strcmp(state, item->state) != 0;
    strcpy(item->state, state);
    item->ended = is_final(state);
    if (changed) print_line(self, item);
}

/* Asks for every experiment that has not ended. */
static bool read_all(watch *self) {
    self->last_read = clock_milliseconds();
    for (size_t i = 0; i < self->count; i++) {
        watched *item = &self->items[i];
        if (item->ended) continue;
        char path[64];
        cJSON *document;
        snprintf(path, sizeof path, "/api/v1/experiments/%lld", (long long)item->id);
        self->status =
            client_request(self->server, "GET", path, NULL, 0, &document, NULL, self->error);
        if (self->status != GR_OK) return false;
        take_experiment(self, item, document);
        cJSON_Delete(document);
    }
    return true;
}

static void draw(watch *self, bool now) {
    int64_t clock = clock_milliseconds();
    if (!self->terminal || (!now && clock - self->last_draw < REDRAW_MILLISECONDS)) return;
    self->last_draw = clock;
    for (size_t i = 0; i < self->count; i++) {
        const watched *item = &self->items[i];
        double left = (double)(item->iterations - item->iteration);
        self->bars[i] = (progress_bar){
            .label = item->label,
            .state = item->state,
            .iteration = item->iteration,
            .iterations = item->iterations,
            .iterations_per_second = item->ended ? 0 : item->rate,
            .eta_seconds = !item->ended && item->rate > 0 ? left / item->rate : NAN,
            .loss = item->loss,
            .accuracy = isnan(item->test_accuracy) ? item->accuracy : item->test_accuracy};
    }
    progress_bar_draw(stdout, self->bars, self->count, &self->drawn);
}

/* True while something is left to wait for. */
static bool goes_on(watch *self) {
    bool all_ended = true;
    for (size_t i = 0; i < self->count; i++) all_ended &= self->items[i].ended;
    draw(self, all_ended);
    return !all_ended && self->status == GR_OK;
}

/* -- the stream
 * ----------------------------------------------------------------------------------------- */
static bool on_opened(void *context) {
    watch *self = context;
    return read_all(self) && goes_on(self);
}

static bool on_event(void *context, const char *name, const cJSON *data) {
    watch *self = context;
    int64_t id = (int64_t)number_of(data, "id", 0);
    for (size_t i = 0; i < self->count; i++) {
        watched *item = &self->items[i];
        if (item->id != id || item->ended) continue;
        if (strcmp(name, "experiment") == 0) {
            take_experiment(self, item, data);
        } else if (strcmp(name, "progress") == 0) {
            take_progress(item, data);
        } else if (strcmp(name, "metrics") == 0) {
            take_metrics(item, cJSON_GetObjectItemCaseSensitive(data, "values"));
            item->iteration = (int64_t)number_of(data, "iteration", (double)item->iteration);
            print_line(self, item);
        } else if (strcmp(name, "deleted") == 0) {
            strcpy(item->state, "deleted");
            item->ended = true;
            print_line(self, item);
        }
    }
    return goes_on(self);
}

static bool on_tick(void *context) {
    watch *self = context;
    /* Events are the news; now and then the store is the truth. */
    if (clock_milliseconds() - self->last_read > STALE_SECONDS * 1000 && !read_all(self))
        return false;
    return goes_on(self);
}

gr_status watch_experiments(client *server, const int64_t *ids, size_t count, bool *succeeded,
                            gr_error *error) {
    watch self = {.server = server, .count = count, .error = error};
    self.terminal = progress_bar_columns(stdout) > 0;
    self.items = calloc(count + 1, sizeof *self.items);
    self.bars = calloc(count + 1, sizeof *self.bars);
    gr_status status = GR_OK;
    *succeeded = true;
    if (self.items == NULL || self.bars == NULL) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
        count = 0;
    }
    for (size_t i = 0; i < count; i++)
        self.items[i] = (watched){.id = ids[i], .loss = NAN, .accuracy = NAN, .test_accuracy = NAN};
    const client_listener listener = {on_event, on_opened, on_tick, &self};
    for (int retries = 0; status == GR_OK && goes_on(&self);) {
        status = client_listen(server, "/api/v1/events", &listener, error);
        if (status == GR_OK) status = self.status; /* why the listener ended it */
        if (status == GR_OK) continue;
        if (status == GR_IO && (self.last_read > 0 || retries > 0) && retries < MAXIMUM_RETRIES) {
            if (clock_milliseconds() - self.last_read < 2000) retries = 0;
            retries++;
            self.status = status = GR_OK;
            sleep(1); /* a server that restarts goes on where it was */
        }
    }
    for (size_t i = 0; i < count; i++) *succeeded &= strcmp(self.items[i].state, "succeeded") == 0;
    if (self.terminal && status == GR_OK)
        for (size_t i = 0; i < count; i++)
            if (*self.items[i].reason)
                printf("#%lld %s: %s\n", (long long)ids[i], self.items[i].state,
                       self.items[i].reason);
    free(self.items);
    free(self.bars);
    return status;
}
