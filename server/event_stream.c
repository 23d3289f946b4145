#include "server/event_stream.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"

enum {
    TEXT_BLOCK = 16 * 1024, /* of metric rows formatted at once */
    CHANGED_AT_ONCE = 100,  /* experiments read at once in a replay */
    KEEP_ALIVE_MILLISECONDS = 10000,
    RETRY_MILLISECONDS = 3000, /* what a browser waits before it connects again */
    RETRY_AFTER_END = 600000   /* … once nothing will change any more */
};

struct event_stream {
    struct api *api;
    int64_t id; /* 0: all experiments */

    pthread_mutex_t lock;                /* guards the next five */
    event notices[EVENT_STREAM_NOTICES]; /* a ring */
    size_t first_notice, notice_count;
    bool overflowed;
    event progress[EVENT_STREAM_PROGRESS]; /* the latest of each experiment */
    size_t progress_count;

    /* Touched by the connection's thread alone. */
    bool started, replaying, ended;
    int64_t revision; /* the greatest that was sent; -1: none */
    /* In a stream of one experiment, of the metric rows sent: the iteration of the last, and how
     * many it had. */
    int64_t last_iteration;
    size_t last_count;
    int64_t last_write; /* milliseconds since 1970 */
    char *text;         /* formatted and not yet taken */
    size_t length, taken;
    metric_row *rows; /* being sent: of rows_id, by iteration */
    size_t row, row_count;
    int64_t rows_id;
    experiment after_rows; /* sent when the rows are through, where has_after_rows */
    bool has_after_rows;
    const char *end_state; /* what ends the stream when the rows are through; NULL: nothing */
    experiment *changed;   /* of a replay */
    size_t changed_next, changed_count;
};

event_stream *event_stream_create(struct api *api, int64_t id, int64_t last_revision) {
    event_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    pthread_mutex_init(&stream->lock, NULL);
    stream->api = api;
    stream->id = id;
    stream->revision = last_revision;
    stream->last_iteration = -1;
    return stream;
}

void event_stream_free(event_stream *stream) {
    if (stream == NULL) return;
    pthread_mutex_destroy(&stream->lock);
    free(stream->text);
    free(stream->rows);
    if (stream->has_after_rows) experiment_clear(&stream->after_rows);
    experiments_free(stream->changed, stream->changed_count);
    free(stream);
}

/* -- what has happened
 * -------------------------------------------------------------------------------- */
static void notify_progress(event_stream *stream, const event *change) {
    size_t i = 0;
    while (i < stream->progress_count && stream->progress[i].id != change->id) i++;
    if (i == EVENT_STREAM_PROGRESS) return; /* the first thing to be dropped */
    if (i == stream->progress_count) stream->progress_count++;
    stream->progress[i] = *change;
}

static event *notice_at(event_stream *stream, size_t position) {
    return &stream->notices[(stream->first_notice + position) % EVENT_STREAM_NOTICES];
}

void event_stream_notify(event_stream *stream, const event *change) {
    if (stream->id != 0 && stream->id != change->id) return;
    pthread_mutex_lock(&stream->lock);
    if (change->type == EVENT_PROGRESS) {
        notify_progress(stream, change);
    } else if (!stream->overflowed) {
        /* A record is read when it is sent: two waiting notices of it are one, if nothing stands
         * between. */
        event *last = stream->notice_count ? notice_at(stream, stream->notice_count - 1) : NULL;
        bool same = last && last->type == EVENT_EXPERIMENT && change->type == EVENT_EXPERIMENT &&
                    last->id == change->id;
        if (stream->notice_count == EVENT_STREAM_NOTICES) {
            stream->overflowed = true;
            stream->notice_count = stream->progress_count = 0;
        } else if (!same) {
            *notice_at(stream, stream->notice_count++) = *change;
        }
    }
    pthread_mutex_unlock(&stream->lock);
}

/* Takes the next notice, then the next progress. False where there is nothing. */
static bool take_notice(event_stream *stream, event *change, bool *overflowed) {
    pthread_mutex_lock(&stream->lock);
    bool found = true;
    *overflowed = stream->overflowed;
    stream->overflowed = false;
    if (*overflowed) {
        found = false;
    } else if (stream->notice_count > 0) {
        *change = *notice_at(stream, 0);
        stream->first_notice = (stream->first_notice + 1) % EVENT_STREAM_NOTICES;
        stream->notice_count--;
    } else if (stream->progress_count > 0) {
        *change = stream->progress[0];
        stream->progress_count--;
        memmove(stream->progress, stream->progress + 1,
                stream->progress_count * sizeof *stream->progress);
    } else {
        found = false;
    }
    pthread_mutex_unlock(&stream->lock);
    return found;
}

/* -- the text of events
 * ------------------------------------------------------------------------------- */
/* Writes one event; `document` is taken over. False without memory. id < 0: no id. */
static bool write_event(FILE *out, const char *name, int64_t id, cJSON *document) {
    char *text = document ? json_text(document) : NULL;
    cJSON_Delete(document);
    if (text == NULL || json_memory_failed()) {
        free(text);
        return false;
    }
    fprintf(out, "event: %s\n", name);
    if (id >= 0) fprintf(out, "id: %lld\n", (long long)id);
    for (const char *line = text; line;) { /* stored JSON may be of several lines */
        size_t length = strcspn(line, "\n");
        fprintf(out, "data: %.*s\n", (int)length, line);
        line = line[length] ? line + length + 1 : NULL;
    }
    fputc('\n', out);
    free(text);
    return true;
}

static cJSON *id_document(int64_t id) {
    cJSON *document = cJSON_CreateObject();
    json_put(document, "id", json_integer(id));
    return document;
}

static bool write_experiment(event_stream *stream, FILE *out, const experiment *record) {
    if (record->revision > stream->revision) stream->revision = record->revision;
    return write_event(out, "experiment", record->revision, experiment_json(record));
}

static bool write_end(event_stream *stream, FILE *out, const char *state) {
    cJSON *document = id_document(stream->id);
    cJSON_AddStringToObject(document, "state", state);
    stream->ended = true;
    fprintf(out, "retry: %d\n", RETRY_AFTER_END);
    return write_event(out, "end", -1, document);
}

/* revision: of a record in the trash; -1: not known. */
static bool write_deleted(event_stream *stream, FILE *out, int64_t id, int64_t revision) {
    if (revision > stream->revision) stream->revision = revision;
    return write_event(out, "deleted", revision, id_document(id)) &&
           (stream->id == 0 || write_end(stream, out, "deleted"));
}

static bool write_progress(FILE *out, const event *change) {
    cJSON *document = id_document(change->id);
    double fraction =
        change->iterations > 0 ? (double)change->iteration / (double)change->iterations : 0;
    double rate = change->iterations_per_second;
    double eta = experiment_eta_seconds(change->iteration, change->iterations, rate);
    json_put(document, "iteration", json_integer(change->iteration));
    json_put(document, "iterations", json_integer(change->iterations));
    json_put(document, "fraction", json_number(fraction));
    json_put(document, "iterations_per_second", rate > 0 ? json_number(rate) : cJSON_CreateNull());
    json_put(document, "eta_seconds", isfinite(eta) ? json_number(eta) : cJSON_CreateNull());
    return write_event(out, "progress", -1, document);
}

/* -- metric rows
 * -------------------------------------------------------------------------------------- */
static int by_iteration(const void *a, const void *b) {
    const metric_row *one = a, *other = b;
    if (one->iteration != other->iteration) return one->iteration < other->iteration ? -1 : 1;
    return strcmp(one->name, other->name);
}

/* Reads the rows that are sent next: those of iteration >= from and <= to. */
static bool load_rows(event_stream *stream, int64_t id, int64_t from, int64_t to) {
    metric_row *rows = NULL;
    size_t count = 0, kept = 0;
    if (store_series(stream->api->store, id, NULL, from - 1, &rows, &count, NULL) != GR_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        if (rows[i].iteration <= to) rows[kept++] = rows[i];
    if (kept > 1) qsort(rows, kept, sizeof *rows, by_iteration);
    free(stream->rows);
    stream->rows = rows;
    stream->rows_id = id;
    stream->row = 0;
    stream->row_count = kept;
    return true;
}

/* In a stream of one experiment: reads the rows that were not sent. The last iteration's are sent
 * again where there are more of them by now: the test at the end. */
static bool load_new_rows(event_stream *stream) {
    size_t same = 0;
    if (!load_rows(stream, stream->id, stream->last_iteration, INT64_MAX)) return false;
    while (same < stream->row_count && stream->rows[same].iteration == stream->last_iteration)
        same++;
    if (same == stream->last_count) stream->row = same;
    return true;
}

/* Writes the rows of one iteration as one event. */
static bool write_iteration(event_stream *stream, FILE *out) {
    const metric_row *rows = stream->rows;
    int64_t iteration = rows[stream->row].iteration;
    cJSON *document = id_document(stream->rows_id);
    json_put(document, "iteration", json_integer(iteration));
    cJSON *values = cJSON_AddObjectToObject(document, "values");
    const size_t first = stream->row;
    for (; stream->row < stream->row_count && rows[stream->row].iteration == iteration;
         stream->row++)
        json_put(values, rows[stream->row].name, json_number(rows[stream->row].value));
    stream->last_iteration = iteration;
    stream->last_count = stream->row - first;
    return write_event(out, "metrics", -1, document);
}

static bool write_rows(event_stream *stream, FILE *out) {
    while (stream->row < stream->row_count)
        if (!write_iteration(stream, out))
            return false;
        else if (ftell(out) >= TEXT_BLOCK)
            return true;
    free(stream->rows);
    stream->rows = NULL;
    stream->row = stream->row_count = 0;
    bool complete = true;
    if (stream->has_after_rows) {
        complete = write_experiment(stream, out, &stream->after_rows);
        experiment_clear(&stream->after_rows);
        stream->has_after_rows = false;
    }
    if (complete && stream->end_state) complete = write_end(stream, out, stream->end_state);
    return complete;
}

/* The record is sent after the rows: who has seen its revision has seen its rows. Takes it over. */
static void set_after_rows(event_stream *stream, const experiment *record) {
    stream->after_rows = *record;
    stream->has_after_rows = true;
}

/* -- what is sent next
 * -------------------------------------------------------------------------------- */
static bool start_one(event_stream *stream, FILE *out) {
    experiment record;
    gr_status status = store_get(stream->api->store, stream->id, &record, NULL);
    if (status == GR_NOT_FOUND) return write_deleted(stream, out, stream->id, -1);
    if (status != GR_OK) return false;
    if (state_is_final(record.state)) stream->end_state = state_name(record.state);
    bool complete = write_experiment(stream, out, &record) && load_new_rows(stream);
    experiment_clear(&record);
    return complete;
}

static bool start(event_stream *stream, FILE *out) {
    int64_t newest;
    stream->started = true;
    fprintf(out, "retry: %d\n\n", RETRY_MILLISECONDS);
    if (stream->id != 0) return start_one(stream, out);
    if (store_revision(stream->api->store, &newest, NULL) != GR_OK) return false;
    if (stream->revision >= 0 && stream->revision <= newest) {
        stream->replaying = true;
    } else {
        stream->revision = newest; /* an id alone: a client that reconnects will say so */
        fprintf(out, "id: %lld\n\n", (long long)newest);
    }
    return true;
}

/* The next experiment that has changed since stream->revision, with all its rows, or that it is in
 * the trash by now. */
static bool replay(event_stream *stream, FILE *out) {
    if (stream->changed_next == stream->changed_count) {
        experiments_free(stream->changed, stream->changed_count);
        stream->changed = NULL;
        stream->changed_next = stream->changed_count = 0;
        if (store_changed_since(stream->api->store, stream->revision, CHANGED_AT_ONCE,
                                &stream->changed, &stream->changed_count, NULL) != GR_OK)
            return false;
        stream->replaying = stream->changed_count > 0;
        if (!stream->replaying) return true;
    }
    experiment *next = &stream->changed[stream->changed_next++];
    if (next->trashed_at) return write_deleted(stream, out, next->id, next->revision);
    set_after_rows(stream, next);
    *next = (experiment){0};
    return load_rows(stream, stream->after_rows.id, 0, INT64_MAX);
}

static bool send_record(event_stream *stream, FILE *out, int64_t id) {
    experiment record;
    gr_status status = store_get(stream->api->store, id, &record, NULL);
    if (status == GR_NOT_FOUND) return true; /* deleted since: that is told by its own notice */
    if (status != GR_OK) return false;
    if (stream->id != 0 && state_is_final(record.state)) {
        stream->end_state = state_name(record.state);
        set_after_rows(stream, &record);
        return load_new_rows(stream);
    }
    bool complete = write_experiment(stream, out, &record);
    experiment_clear(&record);
    return complete;
}

static bool send_notice(event_stream *stream, FILE *out, const event *change) {
    switch (change->type) {
    case EVENT_EXPERIMENT:
        return send_record(stream, out, change->id);
    case EVENT_METRICS:
        return stream->id ? load_new_rows(stream)
                          : load_rows(stream, change->id, change->iteration, change->iteration);
    case EVENT_PROGRESS:
        return write_progress(out, change);
    case EVENT_DELETED:
        return write_deleted(stream, out, change->id, -1);
    }
    return true;
}

/* Writes something, or nothing where there is nothing to write. False: the stream cannot go on. */
static bool fill(event_stream *stream, FILE *out) {
    event change;
    bool overflowed;
    if (!stream->started) return start(stream, out);
    while (!stream->ended && ftell(out) == 0) {
        if (stream->rows || stream->has_after_rows || stream->end_state) {
            if (!write_rows(stream, out)) return false;
        } else if (stream->replaying) {
            if (!replay(stream, out)) return false;
        } else if (take_notice(stream, &change, &overflowed)) {
            if (!send_notice(stream, out, &change)) return false;
        } else if (overflowed) {
            if (stream->id != 0) return start_one(stream, out);
            stream->replaying = true;
        } else {
            break;
        }
    }
    return true;
}

ssize_t event_stream_read(event_stream *stream, char *buffer, size_t size) {
    if (stream->taken == stream->length) {
        free(stream->text);
        stream->text = NULL;
        stream->length = stream->taken = 0;
        if (stream->ended) return HTTP_STREAM_END;
        FILE *out = open_memstream(&stream->text, &stream->length);
        if (out == NULL) return HTTP_STREAM_END;
        json_memory_forget();
        bool complete = fill(stream, out);
        if (complete && ftell(out) == 0 &&
            clock_milliseconds() - stream->last_write >= KEEP_ALIVE_MILLISECONDS)
            fputs(": keep-alive\n\n", out);
        complete &= fclose(out) == 0;
        if (!complete)
            return HTTP_STREAM_END; /* the client connects again and is sent what it lacks */
        if (stream->length == 0) return 0;
        stream->last_write = clock_milliseconds();
    }
    size_t count = stream->length - stream->taken;
    if (count > size) count = size;
    memcpy(buffer, stream->text + stream->taken, count);
    stream->taken += count;
    return (ssize_t)count;
}
