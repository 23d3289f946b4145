/* Answers: headers that all have, what is refused whatever it asks for, dispatch. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/http/internal.h"

enum {
    SLOWEST_CLIENT = 32 * 1024, /* bytes per second that a client must take of a long answer */
    MAXIMUM_REQUEST_HEADERS = 100
};

static const struct {
    const char *name, *value;
} default_headers[] = {
    {"Content-Type", "application/json"},
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

static bool answer_has_header(const http_response *answer, const char *name) {
    for (size_t i = 0; i < answer->header_count; i++)
        if (strcasecmp(answer->headers[i].name, name) == 0) return true;
    return false;
}

static bool add_headers(struct MHD_Response *response, const http_response *answer,
                        const char *id) {
    bool complete = MHD_add_response_header(response, "X-Request-Id", id) == MHD_YES;
    for (size_t i = 0; i < sizeof default_headers / sizeof *default_headers; i++) {
        const char *value = default_headers[i].value;
        if (i == 0 && answer->content_type) value = answer->content_type;
        if (i == 0 && (answer->status == 204 || answer->status == 304)) continue;
        if (!answer_has_header(answer, default_headers[i].name))
            complete &=
                MHD_add_response_header(response, default_headers[i].name, value) == MHD_YES;
    }
    for (size_t i = 0; i < answer->header_count; i++)
        complete &= MHD_add_response_header(response, answer->headers[i].name,
                                            answer->headers[i].value) == MHD_YES;
    return complete;
}

/* Sends and clears the answer. MHD_NO (the connection is cut) without memory. */
enum MHD_Result http_send_answer(http_server *server, struct MHD_Connection *handle,
                                 struct exchange *exchange, http_response *answer) {
    if (answer->status == 0) answer->status = 200;
    exchange->answered = true;
    exchange->status = answer->status;
    exchange->is_stream = answer->stream != NULL;
    atomic_store(&exchange->bytes, answer->stream ? 0 : answer->length);
    struct MHD_Response *response = NULL;
    bool stream = answer->stream != NULL;
    uint64_t length = answer->length;
    if (stream) {
        response = http_stream_response(server, handle, exchange, answer);
    } else if (answer->has_file) {
        response = MHD_create_response_from_fd64(length, answer->file);
        if (response) answer->has_file = false;
    } else if (answer->body) {
        response =
            MHD_create_response_from_buffer((size_t)length, answer->body, MHD_RESPMEM_MUST_FREE);
        if (response) answer->body = NULL;
    } else {
        response = MHD_create_response_from_buffer(
            (size_t)length, (void *)(uintptr_t)(answer->static_body ? answer->static_body : ""),
            MHD_RESPMEM_PERSISTENT);
    }
    enum MHD_Result result = MHD_NO;
    if (response && add_headers(response, answer, exchange->id)) {
        if (!stream)
            http_set_deadline(server, http_connection_of(handle), true,
                              (int64_t)server->options.request_seconds * 1000 +
                                  (int64_t)(length / SLOWEST_CLIENT) * 1000);
        result = MHD_queue_response(handle, (unsigned)answer->status, response);
    }
    if (response) MHD_destroy_response(response);
    http_response_clear(answer);
    return result;
}

const char *http_library_header(const void *handle, const char *name) {
    return MHD_lookup_connection_value((struct MHD_Connection *)(uintptr_t)handle, MHD_HEADER_KIND,
                                       name);
}

/* For the record of a request that is answered before it is dispatched. */
static void note_route(http_server *server, struct exchange *exchange) {
    http_request request = {.method = exchange->method};
    char allow[96];
    int status;
    if (http_request_parse(&request, exchange->target, NULL) == GR_OK)
        exchange->route =
            http_find_route(server->options.tables, &request, &status, allow, sizeof allow);
    if (request.path) http_printable(request.path, exchange->path, sizeof exchange->path);
    http_request_clear(&request);
}

uint64_t http_limit_of(const http_server *server, const struct exchange *exchange) {
    return exchange->takes_file ? server->options.upload_limit : server->options.body_limit;
}

enum MHD_Result http_answer_too_large(http_server *server, struct MHD_Connection *handle,
                                      struct exchange *exchange) {
    http_response answer = {0};
    note_route(server, exchange);
    http_answer_problem(&answer, 413, NULL,
                        "the body is larger than %llu bytes, which is the limit",
                        (unsigned long long)http_limit_of(server, exchange));
    return http_send_answer(server, handle, exchange, &answer);
}

typedef struct header_count {
    const char *name;
    int count;
} header_count;

static enum MHD_Result count_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    const char *value) {
    header_count *self = context;
    (void)kind, (void)value;
    self->count += strcasecmp(name, self->name) == 0;
    return MHD_YES;
}

bool http_has_strange_coding(struct MHD_Connection *handle) {
    const char *coding = http_library_header(handle, "Transfer-Encoding");
    return coding && strcasecmp(coding, "chunked") != 0;
}

/* What is refused whatever it asks for. True where it has filled the answer. */
static bool refuse_excess(http_server *server, struct MHD_Connection *handle,
                          http_response *answer) {
    const struct connection *connection = http_connection_of(handle);
    if (connection && connection->over_limit) { /* set before the connection's first request */
        http_answer_problem(answer, 429, NULL,
                            "more than %d connections from your address are open; close some, or "
                            "use fewer and keep them",
                            server->options.maximum_connections_per_address);
        http_answer_header(answer, "Retry-After", "5");
        http_answer_header(answer, "Connection", "close");
        return true;
    }
    /* Two lengths are how requests are smuggled past proxies (RFC 9112 §6.1): nothing that follows
     * on this connection is read. */
    if (http_library_header(handle, "Transfer-Encoding") &&
        http_library_header(handle, "Content-Length")) {
        http_answer_problem(answer, 400, NULL,
                            "the request has both Content-Length and Transfer-Encoding");
        http_answer_header(answer, "Connection", "close");
        return true;
    }
    if (http_has_strange_coding(handle)) {
        http_answer_problem(answer, 400, NULL,
                            "the request's Transfer-Encoding must be chunked, or left out");
        http_answer_header(answer, "Connection", "close");
        return true;
    }
    static const char *const once[] = {"Content-Length", "Host"};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        header_count found = {.name = once[i]};
        MHD_get_connection_values(handle, MHD_HEADER_KIND, count_header, &found);
        if (found.count < 2) continue;
        http_answer_problem(answer, 400, NULL, "the request has several %s", once[i]);
        http_answer_header(answer, "Connection", "close");
        return true;
    }
    if (MHD_get_connection_values(handle, MHD_HEADER_KIND, NULL, NULL) > MAXIMUM_REQUEST_HEADERS) {
        http_answer_problem(answer, 431, NULL,
                            "the request has more than %d headers, which is the limit",
                            MAXIMUM_REQUEST_HEADERS);
        return true;
    }
    return false;
}

static void answer_parsed(http_server *server, struct exchange *exchange, http_request *request,
                          http_response *answer) {
    gr_error error = {0};
    if (exchange->file_error.status != GR_OK) {
        note_route(server, exchange);
        http_answer_error(answer, &exchange->file_error);
    } else if (http_request_parse(request, exchange->target, &error) == GR_OK)
        http_dispatch(&server->options, request, answer, &exchange->route);
    else
        http_answer_error(answer, &error);
    if (request->path) http_printable(request->path, exchange->path, sizeof exchange->path);
    exchange->token = request->identity.token;
    if (answer->stream && atomic_load(&server->streams) >= server->options.maximum_streams) {
        http_answer_problem(answer, 503, NULL,
                            "%d streams are open, which is the limit; close some first",
                            server->options.maximum_streams);
        http_answer_header(answer, "Retry-After", "30");
    }
}

enum MHD_Result http_answer_request(http_server *server, struct MHD_Connection *handle,
                                    const char *method, struct exchange *exchange) {
    http_response answer = {0};
    http_request request = {.method = strcmp(method, "HEAD") == 0 ? "GET" : method,
                            .body = exchange->body ? exchange->body : "",
                            .body_length = exchange->length,
                            .file = exchange->file,
                            .file_length = exchange->file_length,
                            .header = http_library_header,
                            .connection = handle};
    http_set_deadline(server, http_connection_of(handle), true,
                      0); /* the time of a handler is not the client's */
    if (!refuse_excess(server, handle, &answer)) answer_parsed(server, exchange, &request, &answer);
    http_request_clear(&request);
    return http_send_answer(server, handle, exchange, &answer);
}
