/* From a run to the store and the event streams: metric rows, warnings, heartbeats, progress. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/worker_run.h"

enum {
    BEAT_MILLISECONDS = 2000,
    MAXIMUM_ROWS_PER_WRITE = 4096,
    RATE_MILLISECONDS = 4000 /* the time constant of the smoothed rate */
};

static double processor_seconds(const run *self) {
    struct timespec now = {0};
    clock_gettime(self->processor, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void run_initialize(run *self, store *to, data_cache *data, events *hub,
                    const atomic_bool *stopping, experiment *record) {
    *self = (run){.store = to,
                  .data = data,
                  .events = hub,
                  .stopping = stopping,
                  .record = *record,
                  .iteration = record->iteration,
                  .begun_iteration = -1,
                  .iterations = record->iterations,
                  .beat_at = clock_milliseconds(),
                  .published_iteration = -1};
    *record = (experiment){0};
    if (pthread_getcpuclockid(pthread_self(), &self->processor) != 0)
        self->processor = CLOCK_THREAD_CPUTIME_ID;
    self->worked = processor_seconds(self);
    pthread_mutex_init(&self->lock, NULL);
    pthread_mutex_init(&self->flushing, NULL);
}

void run_destroy(run *self) {
    experiment_clear(&self->record);
    free(self->rows);
    pthread_mutex_destroy(&self->flushing);
    pthread_mutex_destroy(&self->lock);
}

void run_publish(const run *self, event_type type, int64_t iteration) {
    events_publish(self->events, &(event){.type = type,
                                          .id = self->record.id,
                                          .iteration = iteration,
                                          .iterations = atomic_load(&self->iterations),
                                          .iterations_per_second = atomic_load(&self->rate)});
}

/* Every failed write tells whether the lease is still ours. */
static gr_status heed(run *self, gr_status status) {
    if (status == GR_CONFLICT || status == GR_NOT_FOUND) atomic_store(&self->lost, true);
    return status;
}

/* -- rows
 * ------------------------------------------------------------------------------------------------
 */

gr_status run_add_rows(run *self, const gr_metric *rows, size_t count, gr_error *error) {
    gr_status status = GR_OK;
    pthread_mutex_lock(&self->lock);
    if (self->row_count + count > self->row_capacity) {
        size_t capacity = 2 * self->row_capacity + count + 64;
        metric_row *larger = realloc(self->rows, capacity * sizeof *larger);
        if (larger) {
            self->rows = larger;
            self->row_capacity = capacity;
        } else {
            status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the metrics");
        }
    }
    for (size_t i = 0; i < count && status == GR_OK; i++) {
        metric_row *row = &self->rows[self->row_count++];
        *row = (metric_row){.iteration = rows[i].iteration, .value = rows[i].value};
        snprintf(row->name, sizeof row->name, "%s", rows[i].name);
    }
    pthread_mutex_unlock(&self->lock);
    return status;
}

/* Stores the first rows that wait; *left: whether there are more. Under self->flushing. */
static gr_status flush_some(run *self, bool *left, gr_error *error) {
    gr_metric metrics[64], *rows = metrics;
    metric_row copies[64], *kept = copies;
    pthread_mutex_lock(&self->lock);
    size_t count = self->row_count;
    if (count > MAXIMUM_ROWS_PER_WRITE) count = MAXIMUM_ROWS_PER_WRITE;
    *left = self->row_count > count;
    if (count > 64) {
        rows = malloc(count * sizeof *rows);
        kept = malloc(count * sizeof *kept);
    }
    /* The array may move while rows are added: the write works on a copy. */
    if (rows && kept && count) memcpy(kept, self->rows, count * sizeof *kept);
    pthread_mutex_unlock(&self->lock);
    gr_status status = GR_OK;
    if (!rows || !kept) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory to store the metrics");
    } else if (count) {
        for (size_t i = 0; i < count; i++)
            rows[i] = (gr_metric){kept[i].name, kept[i].iteration, kept[i].value};
        status = heed(self, store_metrics(self->store, self->record.id, self->record.attempt, rows,
                                          count, error));
    }
    if (status == GR_OK && count) {
        pthread_mutex_lock(&self->lock);
        self->row_count -= count;
        memmove(self->rows, self->rows + count, self->row_count * sizeof *self->rows);
        pthread_mutex_unlock(&self->lock);
        for (size_t i = 0; i < count; i++)
            if (i + 1 == count || rows[i + 1].iteration != rows[i].iteration)
                run_publish(self, EVENT_METRICS, rows[i].iteration);
    }
    if (rows != metrics) free(rows);
    if (kept != copies) free(kept);
    return status;
}

static gr_status flush_warning(run *self, gr_error *error) {
    char warning[GR_MESSAGE_SIZE];
    pthread_mutex_lock(&self->lock);
    memcpy(warning, self->warning, sizeof warning);
    pthread_mutex_unlock(&self->lock);
    if (!*warning) return GR_OK;
    gr_status status =
        heed(self, store_warn(self->store, self->record.id, self->record.attempt, warning, error));
    if (status == GR_OK) {
        pthread_mutex_lock(&self->lock);
        if (strcmp(self->warning, warning) == 0) self->warning[0] = 0;
        pthread_mutex_unlock(&self->lock);
        run_publish(self, EVENT_EXPERIMENT, atomic_load(&self->iteration));
    }
    return status;
}

gr_status run_flush(run *self, gr_error *error) {
    gr_status status = GR_OK;
    bool left = true;
    pthread_mutex_lock(&self->flushing);
    while (left && status == GR_OK) status = flush_some(self, &left, error);
    if (status == GR_OK) status = flush_warning(self, error);
    pthread_mutex_unlock(&self->flushing);
    return status;
}

void run_warn(run *self, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&self->lock);
    vsnprintf(self->warning, sizeof self->warning, format, arguments);
    pthread_mutex_unlock(&self->lock);
    va_end(arguments);
}

/* -- the lease, the rate, progress
 * ------------------------------------------------------------------------ */

/* What the thread has worked since this was last asked. */
static double take_work(run *self, bool trained) {
    pthread_mutex_lock(&self->lock);
    const double now = processor_seconds(self), work = self->trained ? 0 : now - self->worked;
    self->worked = now;
    self->trained |= trained;
    pthread_mutex_unlock(&self->lock);
    return work;
}

/* Of a write that failed: the next one has it. */
static void give_back(run *self, double work) {
    pthread_mutex_lock(&self->lock);
    self->worked -= work;
    pthread_mutex_unlock(&self->lock);
}

void run_trained(run *self) {
    gr_error error;
    heed(self, store_trained(self->store, self->record.id, self->record.attempt,
                             take_work(self, true), &error));
}

void run_beat(run *self) {
    worker_request request = REQUEST_NONE;
    gr_error error;
    const double work = take_work(self, false);
    gr_status status =
        heed(self, store_heartbeat(self->store, self->record.id, self->record.attempt,
                                   atomic_load(&self->iteration), atomic_load(&self->rate), work,
                                   &request, &error));
    /* A heartbeat that could not be stored is made up for by the next: the lease outlasts many. */
    if (status != GR_OK) {
        give_back(self, work);
        return;
    }
    if (request == REQUEST_CANCEL) atomic_store(&self->cancelled, true);
    atomic_store(&self->pausing, request == REQUEST_PAUSE);
}

static void measure(run *self, int64_t now) {
    int64_t iteration = atomic_load(&self->iteration);
    if (self->measured_at && iteration >= self->measured_iteration && now > self->measured_at) {
        double elapsed = (double)(now - self->measured_at);
        double current = (double)(iteration - self->measured_iteration) * 1000.0 / elapsed;
        double smoothed = atomic_load(&self->rate);
        double weight = smoothed > 0 ? 1 - exp(-elapsed / RATE_MILLISECONDS) : 1;
        atomic_store(&self->rate, smoothed + weight * (current - smoothed));
    }
    self->measured_at = now;
    self->measured_iteration = iteration;
}

void run_keep(run *self) {
    if (atomic_load(&self->lost)) return;
    int64_t now = clock_milliseconds();
    measure(self, now);
    gr_error error;
    run_flush(self, &error); /* what could not be stored stays, and is tried again */
    int64_t iteration = atomic_load(&self->iteration);
    if (iteration != self->published_iteration) {
        self->published_iteration = iteration;
        run_publish(self, EVENT_PROGRESS, iteration);
    }
    if (now - self->beat_at >= BEAT_MILLISECONDS) {
        self->beat_at = now;
        run_beat(self);
    }
}
