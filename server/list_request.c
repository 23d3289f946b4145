#include "server/list_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/digest.h"

const http_parameter list_query[] = {
    {"state", "only experiments in this state"},
    {"sweep", "only experiments of this sweep"},
    {"trashed", "true: those in the trash instead of all others"},
    {"filter", "only those of which this holds: state = \"succeeded\" AND metrics.test_accuracy > "
               "0.9"},
    {"sort", "by these, separated by commas, - before one for downwards; newest first where it is "
             "not given"},
    {"limit", "at most so many, 1 to 500; 50 where it is not given; of a CSV or JSON Lines export "
              "all"},
    {"cursor", "next_cursor of the page before"},
    {"fields", "only these members of each experiment, separated by commas; and "
               "params.…, tags.…, metrics.…"},
    {"format", "json, csv or jsonl, instead of Accept"},
    {0}};

/* -- the metrics that there are
 * ------------------------------------------------------------------------------------------ */

gr_status vocabulary_read(store *from, filter_vocabulary *vocabulary, gr_error *error) {
    char **names;
    size_t count;
    *vocabulary = (filter_vocabulary){0};
    GR_TRY(store_metric_names(from, &names, &count, error));
    *vocabulary = (filter_vocabulary){(const char *const *)names, count};
    return GR_OK;
}

void vocabulary_clear(filter_vocabulary *vocabulary) {
    fact_names_free((char **)(uintptr_t)vocabulary->metrics, vocabulary->metric_count);
    *vocabulary = (filter_vocabulary){0};
}

/* -- cursors: "<fingerprint>~<id>", and for each key "~n<the double's bits>", "~t<the text's
 * bytes>" or "~m" (missing), all in hexadecimal digits
 * ------------------------------------------------------------------------------------------ */

char *list_cursor(const list_request *request, const list_place *place) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!out) return NULL;
    fprintf(out, "%s~%llx", request->fingerprint, (unsigned long long)place->id);
    for (size_t i = 0; i < place->count; i++) {
        const list_value *value = &place->values[i];
        unsigned long long bits;
        fputs("~", out);
        if (value->kind == LIST_MISSING) {
            fputc('m', out);
        } else if (value->kind == LIST_NUMBER) {
            memcpy(&bits, &value->number, sizeof bits);
            fprintf(out, "n%016llx", bits);
        } else {
            fputc('t', out);
            for (const char *c = value->text; *c; c++) fprintf(out, "%02x", (unsigned char)*c);
        }
    }
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

static int hexadecimal(char c) {
    const char *const digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Up to `most` digits; moves *text behind them. False where there is none. */
static bool read_bits(const char **text, int most, uint64_t *bits) {
    int count = 0;
    *bits = 0;
    for (; count < most && hexadecimal(**text) >= 0; count++, ++*text)
        *bits = *bits << 4 | (uint64_t)hexadecimal(**text);
    return count > 0;
}

static bool read_bytes(const char **text, char **bytes) {
    const size_t length = strspn(*text, "0123456789abcdef");
    uint64_t byte;
    if (length % 2) return false;
    *bytes = malloc(length / 2 + 1);
    if (!*bytes) return false;
    for (size_t i = 0; i < length / 2; i++) {
        read_bits(text, 2, &byte);
        (*bytes)[i] = (char)byte;
        if (byte == 0) return false;
    }
    (*bytes)[length / 2] = 0;
    return true;
}

static bool read_key(const char **text, list_place *place) {
    list_value *value = &place->values[place->count++];
    uint64_t bits;
    if (*(*text)++ != '~') return false;
    switch (*(*text)++) {
    case 'm':
        return true;
    case 'n':
        value->kind = LIST_NUMBER;
        if (!read_bits(text, 16, &bits)) return false;
        memcpy(&value->number, &bits, sizeof value->number);
        return value->number == value->number;
    case 't':
        value->kind = LIST_TEXT;
        return read_bytes(text, &value->text);
    default:
        return false;
    }
}

static bool read_cursor(const char *text, list_request *request) {
    uint64_t id;
    const size_t length = strlen(request->fingerprint);
    if (strncmp(text, request->fingerprint, length) != 0 || text[length] != '~') return false;
    text += length + 1;
    if (!read_bits(&text, 15, &id) || id == 0) return false;
    request->place.id = (int64_t)id;
    for (size_t i = 0; i < request->list.key_count; i++)
        if (!*text || !read_key(&text, &request->place)) return false;
    request->list.after = &request->place;
    return *text == 0;
}

/* A cursor belongs to these parameters: with others it would be a place in another list. */
static void make_fingerprint(const http_request *from, char fingerprint[17]) {
    static const char *const names[] = {"state", "sweep", "trashed", "filter", "sort"};
    enum { COUNT = sizeof names / sizeof *names };
    digest_part parts[COUNT];
    char hex[DIGEST_SIZE];
    for (size_t i = 0; i < COUNT; i++) {
        const char *value = http_query(from, names[i]);
        parts[i] = (digest_part){value ? value : "", value ? strlen(value) : 0};
    }
    digest_parts(parts, COUNT, hex);
    snprintf(fingerprint, 17, "%.16s", hex);
}

/* -- the query
 * ------------------------------------------------------------------------------------------ */

static gr_status read_state(const char *name, int *state, gr_error *error) {
    experiment_state found;
    *state = -1;
    if (name == NULL) return GR_OK;
    if (state_from_name(name, &found)) {
        *state = (int)found;
        return GR_OK;
    }
    return gr_fail(error, GR_INVALID,
                   "the query parameter \"state\" must be queued, running, paused, succeeded, "
                   "failed, diverged or cancelled");
}

static gr_status read_format(const http_request *from, list_format *format, gr_error *error) {
    enum { FORMS = 4 };
    static const list_format formats[FORMS] = {LIST_AS_JSON, LIST_AS_CSV, LIST_AS_JSON_LINES,
                                               LIST_AS_JSON_LINES};
    static const char *const names[FORMS] = {"json", "csv", "jsonl", "jsonl"};
    static const char *const types[FORMS] = {"application/json", "text/csv", "application/jsonl",
                                             "application/x-ndjson"};
    const char *wanted = http_query(from, "format");
    *format = formats[http_preferred(from, types, FORMS)];
    if (!wanted) return GR_OK;
    for (int i = 0; i < FORMS; i++)
        if (strcmp(wanted, names[i]) == 0) {
            *format = formats[i];
            return GR_OK;
        }
    return gr_fail(error, GR_INVALID, "the query parameter \"format\" is json, csv or jsonl");
}

/* The parameters that are written in the filter's language. */
static gr_status read_language(const http_request *from, const filter_vocabulary *vocabulary,
                               list_request *to, problems *found, gr_error *error) {
    const char *text;
    const char *parameter = NULL;
    filter_problem wrong = {0};
    gr_status status = GR_OK;
    if ((text = http_query(from, "filter")) != NULL) {
        parameter = "filter";
        status = filter_parse(text, vocabulary, &to->filter, &wrong);
        to->list.filter = to->filter;
    }
    if (status == GR_OK && (text = http_query(from, "sort")) != NULL) {
        parameter = "sort";
        status = filter_parse_sort(text, vocabulary, to->keys, &to->list.key_count, &wrong);
        to->list.keys = to->keys;
    }
    if (status == GR_OK && (text = http_query(from, "fields")) != NULL) {
        parameter = "fields";
        to->has_fields = true;
        status = filter_parse_fields(text, vocabulary, experiment_members, to->picks,
                                     &to->pick_count, &wrong);
    }
    if (status == GR_OUT_OF_MEMORY) return gr_fail(error, status, "out of memory");
    if (status != GR_OK) {
        problems_add(found, "", "%s", wrong.detail);
        problems_locate(found, parameter, wrong.column);
    }
    return status;
}

static gr_status read_all(struct api *api, const http_request *from, list_request *to, bool *wrong,
                          problems *found, gr_error *error) {
    const char *cursor = http_query(from, "cursor");
    filter_vocabulary vocabulary = {0};
    GR_TRY(read_state(http_query(from, "state"), &to->list.state, error));
    GR_TRY(http_query_integer(from, "sweep", 1, INT64_MAX, 0, &to->list.sweep, error));
    GR_TRY(http_query_boolean(from, "trashed", &to->list.trashed, error));
    GR_TRY(http_query_integer(from, "limit", 1, LIST_MAXIMUM_PAGE, LIST_DEFAULT_PAGE,
                              &to->list.limit, error));
    to->has_limit = http_query(from, "limit") != NULL;
    GR_TRY(read_format(from, &to->format, error));
    if (http_query(from, "filter") || http_query(from, "sort") || http_query(from, "fields"))
        GR_TRY(vocabulary_read(api->store, &vocabulary, error));
    const gr_status status = read_language(from, &vocabulary, to, found, error);
    vocabulary_clear(&vocabulary);
    *wrong = status == GR_INVALID;
    GR_TRY(status);
    make_fingerprint(from, to->fingerprint);
    if (cursor && !read_cursor(cursor, to))
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"cursor\" is none that this server gave for this "
                       "list: take \"next_cursor\" of the page before, with the same filter and "
                       "sort");
    return GR_OK;
}

gr_status list_request_read(struct api *api, const http_request *from, list_request *result,
                            bool *wrong, problems *found, gr_error *error) {
    *wrong = false;
    *result = (list_request){0};
    const gr_status status = read_all(api, from, result, wrong, found, error);
    if (status != GR_OK) list_request_clear(result);
    return status;
}

void list_request_clear(list_request *request) {
    filter_free(request->filter);
    request->filter = NULL;
    request->list.filter = NULL;
    list_place_clear(&request->place);
}

void list_request_move(list_request *to, list_request *from) {
    *to = *from;
    if (from->list.keys) to->list.keys = to->keys;
    if (from->list.after) to->list.after = &to->place;
    from->filter = NULL;
    from->place = (list_place){0};
}
