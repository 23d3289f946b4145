#include "server/experiment_export.h"

#include <stdlib.h>
#include <string.h>

#include "server/csv_table.h"

enum {
    AT_ONCE = 50,              /* records that are made into text together */
    MAXIMUM_EXPORTS = 8,       /* they take the processor from everybody else */
    MOST_EXPERIMENTS = 1 << 30 /* 8 bytes each are kept */
};

typedef struct export {
    struct api *api;
    list_request wanted;
    csv_table *table; /* NULL: JSON Lines */
    int64_t *ids;
    size_t count, next;
    char *text; /* what is on its way to the client */
    size_t length, sent;
}
export;

/* -- the text
 * ------------------------------------------------------------------------------------------ */

static bool print_json(const export *self, const experiment *record, FILE *out) {
    cJSON *document = self->wanted.has_fields ? experiment_json_picked(record, self->wanted.picks,
                                                                       self->wanted.pick_count)
                                              : experiment_json(record);
    char *text = document ? json_text(document) : NULL;
    cJSON_Delete(document);
    if (text) fprintf(out, "%s\n", text);
    free(text);
    return text != NULL;
}

static bool print_records(export *self, const experiment *items, size_t count) {
    free(self->text);
    self->text = NULL;
    self->sent = self->length = 0;
    json_memory_forget();
    FILE *out = open_memstream(&self->text, &self->length);
    if (!out) return false;
    bool good = true;
    if (self->table && self->next == 0) csv_table_header(self->table, out);
    for (size_t i = 0; good && i < count; i++)
        good = self->table ? csv_table_line(self->table, &items[i], out)
                           : print_json(self, &items[i], out);
    return fclose(out) == 0 && good && !json_memory_failed();
}

/* The next experiments; a header belongs to the first, also where there are none. */
static bool make_text(export *self) {
    experiment *items;
    size_t count;
    const size_t left = self->count - self->next, part = left < AT_ONCE ? left : AT_ONCE;
    if (store_records(self->api->store, self->ids + self->next, part, self->wanted.list.trashed,
                      &items, &count, NULL) != GR_OK)
        return false;
    const bool good = print_records(self, items, count);
    experiments_free(items, count);
    self->next += part;
    return good;
}

/* -- the stream
 * ------------------------------------------------------------------------------------------ */

static void open_export(void *context, http_stream *stream) {
    (void)context, (void)stream;
}

static ssize_t read_export(void *context, char *buffer, size_t size) {
    export *self = context;
    while (self->sent == self->length) {
        if (self->next == self->count && self->text) return HTTP_STREAM_END;
        if (!make_text(self)) return HTTP_STREAM_FAILED;
    }
    const size_t left = self->length - self->sent, count = left < size ? left : size;
    memcpy(buffer, self->text + self->sent, count);
    self->sent += count;
    return (ssize_t)count;
}

static void close_export(void *context) {
    export *self = context;
    atomic_fetch_sub(&self->api->exports, 1);
    list_request_clear(&self->wanted);
    csv_table_free(self->table);
    free(self->ids);
    free(self->text);
    free(self);
}

static const http_stream_source source = {open_export, read_export, close_export, true};

/* -- the answer
 * ------------------------------------------------------------------------------------------ */

static gr_status make_table(export *self, gr_error *error) {
    const list_request *wanted = &self->wanted;
    char **names = NULL;
    size_t count = 0;
    if (csv_table_needs_names(wanted->picks, wanted->pick_count))
        GR_TRY(store_fact_names(self->api->store, self->ids, self->count, &names, &count, error));
    self->table = csv_table_create(wanted->picks, wanted->pick_count, names, count);
    fact_names_free(names, count);
    return self->table ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
}

static gr_status prepare(export *self, gr_error *error) {
    listing *list = &self->wanted.list;
    if (!self->wanted.has_limit) list->limit = MOST_EXPERIMENTS;
    GR_TRY(store_list_ids(self->api->store, list, &self->ids, &self->count, error));
    return self->wanted.format == LIST_AS_CSV ? make_table(self, error) : GR_OK;
}

gr_status experiment_export_answer(struct api *api, list_request *wanted, http_response *response,
                                   gr_error *error) {
    export *self = calloc(1, sizeof *self);
    if (!self) {
        list_request_clear(wanted);
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    const bool is_csv = wanted->format == LIST_AS_CSV;
    self->api = api;
    list_request_move(&self->wanted, wanted);
    if (atomic_fetch_add(&api->exports, 1) >= MAXIMUM_EXPORTS) {
        close_export(self);
        http_answer_problem(response, 503, NULL,
                            "%d lists are being exported, which is the limit; try again when one "
                            "of them is done",
                            MAXIMUM_EXPORTS);
        http_answer_header(response, "Retry-After", "10");
        return GR_OK;
    }
    const gr_status status = prepare(self, error);
    if (status != GR_OK) {
        close_export(self);
        return status;
    }
    response->stream = &source;
    response->stream_context = self;
    response->content_type =
        is_csv ? "text/csv; charset=utf-8; header=present" : "application/jsonl";
    http_answer_header(response, "Content-Disposition", "attachment; filename=\"experiments.%s\"",
                       is_csv ? "csv" : "jsonl");
    return GR_OK;
}
