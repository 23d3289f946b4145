#include "server/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

enum { MAXIMUM_ANSWER = 64 * 1024 * 1024, MAXIMUM_EVENT = 16 * 1024 * 1024 };

struct client {
    char *url;
    CURL *handle, *stream;
};

typedef struct text {
    char *bytes;
    size_t length, limit;
} text;

static bool text_add(text *to, const char *bytes, size_t count) {
    if (count > to->limit - to->length) return false;
    char *grown = realloc(to->bytes, to->length + count + 1);
    if (grown == NULL) return false;
    to->bytes = grown;
    memcpy(grown + to->length, bytes, count);
    to->length += count;
    grown[to->length] = 0;
    return true;
}

gr_status client_create(const char *url, client **result, gr_error *error) {
    *result = NULL;
    if (url == NULL) url = getenv("GRADREG_SERVER");
    if (url == NULL || *url == 0) url = "http://127.0.0.1:8080";
    if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
        return gr_fail(
            error, GR_INVALID,
            "the server's address must be a URL such as http://127.0.0.1:8080, not \"%s\"", url);
    client *self = calloc(1, sizeof *self);
    if (self && curl_global_init(CURL_GLOBAL_DEFAULT) == 0) {
        self->url = strdup(url);
        self->handle = curl_easy_init();
        self->stream = curl_easy_init();
    }
    if (self == NULL || self->url == NULL || self->handle == NULL || self->stream == NULL) {
        client_free(self);
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    for (size_t n = strlen(self->url); n > 0 && self->url[n - 1] == '/'; n--) self->url[n - 1] = 0;
    *result = self;
    return GR_OK;
}

void client_free(client *self) {
    if (self == NULL) return;
    if (self->handle) curl_easy_cleanup(self->handle);
    if (self->stream) curl_easy_cleanup(self->stream);
    free(self->url);
    free(self);
}

const char *client_url(const client *self) {
    return self->url;
}

/* Sets what all requests have in common. False without memory. */
static bool prepare(client *self, CURL *handle, const char *path, char *reason) {
    char address[1024];
    if ((size_t)snprintf(address, sizeof address, "%s%s", self->url, path) >= sizeof address)
        return false;
    curl_easy_reset(handle);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "gradreg/" GRADREG_VERSION);
    const char *token = getenv("GRADREG_TOKEN"), *authority = getenv("GRADREG_CA_FILE");
    if (token && *token) {
        curl_easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, token);
    }
    if (authority && *authority) curl_easy_setopt(handle, CURLOPT_CAINFO, authority);
    return curl_easy_setopt(handle, CURLOPT_URL, address) == CURLE_OK;
}

static gr_status fail_to_reach(const client *self, CURLcode code, const char *reason,
                               gr_error *error) {
    return gr_fail(error, GR_IO, "the server at %s: %s", self->url,
                   *reason ? reason : curl_easy_strerror(code));
}

/* -- one request
 * ---------------------------------------------------------------------------------------- */
static size_t receive(char *bytes, size_t size, size_t count, void *context) {
    return text_add(context, bytes, size * count) ? size * count : 0;
}

static gr_status status_of(long status) {
    switch (status) {
    case 404:
        return GR_NOT_FOUND;
    case 409:
        return GR_CONFLICT;
    case 413:
        return GR_TOO_LARGE;
    default:
        return status < 500 ? GR_INVALID : GR_INTERNAL;
    }
}

/* The problem's errors, one a line: "  /model/preset: …". */
static char *problem_details(const cJSON *answer) {
    text lines = {.limit = MAXIMUM_ANSWER};
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer, "errors")) {
        const char *pointer =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "pointer"));
        const char *detail = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "detail"));
        if (pointer == NULL || detail == NULL) continue;
        text_add(&lines, "  ", 2);
        text_add(&lines, pointer, strlen(pointer));
        if (*pointer) text_add(&lines, ": ", 2);
        text_add(&lines, detail, strlen(detail));
        text_add(&lines, "\n", 1);
    }
    return lines.bytes;
}

static gr_status read_answer(const client *self, long status, const text *answer, cJSON **document,
                             char **details, gr_error *error) {
    cJSON *read = NULL;
    bool is_json =
        answer->length > 0 && json_parse(answer->bytes, answer->length, &read, NULL) == GR_OK;
    if (status >= 200 && status < 300 && (is_json || answer->length == 0)) {
        *document = read;
        return GR_OK;
    }
    const char *detail = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(read, "detail"));
    gr_status failed = status >= 200 && status < 300 ? GR_INTERNAL : status_of(status);
    if (detail) {
        gr_fail(error, failed, "%s", detail);
        if (details) *details = problem_details(read);
    } else {
        gr_fail(error, failed, "what answers at %s (status %ld) is no gradreg server", self->url,
                status);
    }
    cJSON_Delete(read);
    return failed;
}

gr_status client_request(client *self, const char *method, const char *path, const char *body,
                         size_t length, cJSON **document, char **details, gr_error *error) {
    char reason[CURL_ERROR_SIZE] = "";
    text answer = {.limit = MAXIMUM_ANSWER};
    long status = 0;
    *document = NULL;
    if (details) *details = NULL;
    if (!prepare(self, self->handle, path, reason))
        return gr_fail(error, GR_INVALID, "the server's address is too long");
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(self->handle, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(self->handle, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(self->handle, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(self->handle, CURLOPT_TIMEOUT, 120L);
    if (body) {
        curl_easy_setopt(self->handle, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(self->handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
        curl_easy_setopt(self->handle, CURLOPT_POSTFIELDS, body);
    }
    CURLcode code = curl_easy_perform(self->handle);
    curl_easy_getinfo(self->handle, CURLINFO_RESPONSE_CODE, &status);
    gr_status result = code == CURLE_OK
                           ? read_answer(self, status, &answer, document, details, error)
                           : fail_to_reach(self, code, reason, error);
    curl_easy_reset(self->handle);
    curl_slist_free_all(headers);
    free(answer.bytes);
    return result;
}

gr_status client_get_text(client *self, const char *path, char **result, gr_error *error) {
    char reason[CURL_ERROR_SIZE] = "";
    text answer = {.limit = MAXIMUM_ANSWER};
    long status = 0;
    *result = NULL;
    if (!prepare(self, self->handle, path, reason))
        return gr_fail(error, GR_INVALID, "the server's address is too long");
    curl_easy_setopt(self->handle, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(self->handle, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(self->handle, CURLOPT_TIMEOUT, 120L);
    const CURLcode code = curl_easy_perform(self->handle);
    curl_easy_getinfo(self->handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_reset(self->handle);
    if (code == CURLE_OK && status == 200 && answer.bytes) {
        *result = answer.bytes;
        return GR_OK;
    }
    cJSON *document = NULL;
    gr_status failed = code == CURLE_OK ? read_answer(self, status, &answer, &document, NULL, error)
                                        : fail_to_reach(self, code, reason, error);
    if (failed == GR_OK) failed = gr_fail(error, GR_INTERNAL, "the server's answer is empty");
    cJSON_Delete(document);
    free(answer.bytes);
    return failed;
}

/* -- event streams
 * -------------------------------------------------------------------------------------- */
typedef struct listening {
    const client_listener *listener;
    text line, data;
    char name[32];
    bool opened, ended;
} listening;

static bool dispatch_event(listening *self) {
    cJSON *document = NULL;
    bool go_on = true;
    if (self->data.length > 0 &&
        json_parse(self->data.bytes, self->data.length, &document, NULL) == GR_OK)
        go_on = self->listener->event(self->listener->context, self->name, document);
    cJSON_Delete(document);
    self->data.length = 0;
    *self->name = 0;
    return go_on;
}

static bool take_line(listening *self, const char *line) {
    if (*line == 0) return dispatch_event(self);
    size_t name = strcspn(line, ":");
    const char *value = line[name] ? line + name + 1 : "";
    if (*value == ' ') value++;
    if (name == 5 && strncmp(line, "event", 5) == 0)
        snprintf(self->name, sizeof self->name, "%s", value);
    if (name == 4 && strncmp(line, "data", 4) == 0) {
        if (self->data.length > 0 && !text_add(&self->data, "\n", 1)) return false;
        return text_add(&self->data, value, strlen(value));
    }
    return true;
}

static size_t receive_events(char *bytes, size_t size, size_t count, void *context) {
    listening *self = context;
    size_t length = size * count;
    if (!self->opened) {
        self->opened = true;
        if (!self->listener->opened(self->listener->context)) self->ended = true;
    }
    for (size_t begin = 0; begin < length && !self->ended;) {
        const char *end = memchr(bytes + begin, '\n', length - begin);
        size_t part = end ? (size_t)(end - bytes) - begin : length - begin;
        if (!text_add(&self->line, bytes + begin, part)) return 0;
        begin += part + 1;
        if (end == NULL) break;
        if (!take_line(self, self->line.bytes)) self->ended = true;
        self->line.length = 0;
    }
    return self->ended ? 0 : length;
}

static int on_tick(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    listening *self = context;
    (void)a, (void)b, (void)c, (void)d;
    if (self->opened && !self->listener->tick(self->listener->context)) self->ended = true;
    return self->ended;
}

gr_status client_listen(client *self, const char *path, const client_listener *listener,
                        gr_error *error) {
    char reason[CURL_ERROR_SIZE] = "";
    listening state = {
        .listener = listener, .line = {.limit = MAXIMUM_EVENT}, .data = {.limit = MAXIMUM_EVENT}};
    if (!prepare(self, self->stream, path, reason))
        return gr_fail(error, GR_INVALID, "the server's address is too long");
    curl_easy_setopt(self->stream, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(self->stream, CURLOPT_WRITEFUNCTION, receive_events);
    curl_easy_setopt(self->stream, CURLOPT_WRITEDATA, &state);
    curl_easy_setopt(self->stream, CURLOPT_XFERINFOFUNCTION, on_tick);
    curl_easy_setopt(self->stream, CURLOPT_XFERINFODATA, &state);
    curl_easy_setopt(self->stream, CURLOPT_NOPROGRESS, 0L);
    /* The server says something every 15 seconds; a minute of silence is a lost connection. */
    curl_easy_setopt(self->stream, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(self->stream, CURLOPT_LOW_SPEED_TIME, 60L);
    CURLcode code = curl_easy_perform(self->stream);
    long status = 0;
    curl_easy_getinfo(self->stream, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_reset(self->stream);
    free(state.line.bytes);
    free(state.data.bytes);
    if (state.ended) return GR_OK;
    if (status == 401)
        return gr_fail(error, GR_INVALID,
                       "the server at %s wants an access token that it knows: set GRADREG_TOKEN",
                       self->url);
    if (code == CURLE_OK) return gr_fail(error, GR_IO, "the server at %s has stopped", self->url);
    return fail_to_reach(self, code, reason, error);
}
