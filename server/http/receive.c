/* Requests while they are received: their bodies, in memory or in a file, and their records. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/http/internal.h"

enum {
    DRAIN_LIMIT = 64 * 1024 * 1024, /* of a refused body; then the connection is cut */
    MAXIMUM_UPLOADS = 4,            /* files received at once */
    UPLOAD_STEP = 1024 * 1024       /* bytes that have the time of a request to arrive */
};
static const size_t all_bodies_limit = 64 * 1024 * 1024; /* memory of all bodies being received */

/* Called with the raw target before anything else of a request: it becomes the request's context.
 */
void *http_on_target(void *context, const char *target, struct MHD_Connection *handle) {
    http_server *server = context;
    struct connection *connection = http_connection_of(handle);
    struct exchange *new = connection ? calloc(1, sizeof *new) : NULL;
    if (new == NULL) return NULL;
    http_end_exchange(server, connection, false);
    new->server = server;
    new->begun_at = clock_seconds();
    snprintf(new->id, sizeof new->id, "%016" PRIx64,
             server->first_id + atomic_fetch_add(&server->requests, 1));
    new->target = strdup(target);
    if (new->target) {
        connection->exchange = new;
        return new;
    }
    free(new);
    return NULL;
}

static void report(http_server *server, const struct connection *connection,
                   const struct exchange *exchange, bool completed) {
    char address[INET6_ADDRSTRLEN];
    if (server->options.on_record == NULL) return;
    http_address_text(connection, address);
    const http_record record = {.id = exchange->id,
                                .method = exchange->method,
                                .route = exchange->route ? exchange->route->pattern : "",
                                .path = exchange->path,
                                .address = address,
                                .status = exchange->status,
                                .bytes = atomic_load(&exchange->bytes),
                                .seconds = clock_seconds() - exchange->begun_at,
                                .token = exchange->token,
                                .completed = completed,
                                .stream = exchange->is_stream};
    server->options.on_record(server->options.context, &record);
}

/* Records and frees the request of a connection, if there is one. */
void http_end_exchange(http_server *server, struct connection *connection, bool completed) {
    struct exchange *old = connection->exchange;
    if (old == NULL) return;
    connection->exchange = NULL;
    report(server, connection, old, completed);
    atomic_fetch_sub(&server->body_bytes, old->capacity);
    if (old->file) atomic_fetch_sub(&server->uploads, 1);
    file_replacement_abandon(old->file);
    free(old->body);
    free(old->target);
    free(old);
}

void http_on_completed(void *context, struct MHD_Connection *handle, void **request_context,
                       enum MHD_RequestTerminationCode code) {
    http_server *server = context;
    struct connection *connection = http_connection_of(handle);
    *request_context = NULL;
    if (connection)
        http_end_exchange(server, connection, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    http_set_deadline(server, connection, false, (int64_t)server->options.request_seconds * 1000);
}

/* Opens the file of a request whose route takes one. Who may not send it is told so when the body
 * has been drained, as others are whose body is refused; or at once, if they wait to be asked. */
static void begin_file(http_server *server, struct MHD_Connection *handle, const char *method,
                       struct exchange *exchange) {
    http_request request = {
        .method = method, .body = "", .header = http_library_header, .connection = handle};
    http_response answer = {0};
    const http_route *route;
    if (strcmp(method, "POST") == 0 &&
        http_request_parse(&request, exchange->target, NULL) == GR_OK) {
        char allow[96];
        int status;
        route = http_find_route(server->options.tables, &request, &status, allow, sizeof allow);
        exchange->takes_file = route && (route->traits & HTTP_TAKES_FILE);
    }
    if (exchange->takes_file && http_admit(&server->options, &request, &answer, &route)) {
        gr_error *error = &exchange->file_error;
        char *path = NULL;
        if (atomic_fetch_add(&server->uploads, 1) >= MAXIMUM_UPLOADS)
            gr_fail(error, GR_TOO_MANY, "%d files are being received: try again later",
                    MAXIMUM_UPLOADS);
        else if (!server->options.upload_folder ||
                 asprintf(&path, "%s/file", server->options.upload_folder) < 0)
            gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
        else if (file_replacement_begin(path, &exchange->file, error) != GR_OK)
            exchange->file = NULL;
        if (!exchange->file) atomic_fetch_sub(&server->uploads, 1);
        free(path);
    }
    http_response_clear(&answer);
    http_request_clear(&request);
}

/* Its sender has the time of a request for every step of it. */
static void receive_file(http_server *server, struct connection *connection,
                         struct exchange *exchange, const char *data, size_t size) {
    const gr_status status =
        file_replacement_write(exchange->file, data, size, &exchange->file_error);
    if (status == GR_NO_SPACE) /* not where our folders are */
        gr_fail(&exchange->file_error, status,
                "the file cannot be stored: no space is left on the disk that holds the data "
                "directory");
    if (status != GR_OK) {
        file_replacement_abandon(exchange->file);
        exchange->file = NULL;
        atomic_fetch_sub(&server->uploads, 1);
        return;
    }
    if (exchange->file_length / UPLOAD_STEP != (exchange->file_length + size) / UPLOAD_STEP)
        http_set_deadline(server, connection, false,
                          (int64_t)server->options.request_seconds * 1000);
    exchange->file_length += size;
}

/* Keeps a part of the body, or notes why the body is refused and drops it. */
static void receive(http_server *server, struct connection *connection, struct exchange *exchange,
                    const char *data, size_t size) {
    const uint64_t there = exchange->takes_file ? exchange->file_length : exchange->length;
    if (there + size > http_limit_of(server, exchange)) exchange->refused_too_large = true;
    if (exchange->file && !exchange->refused_too_large) {
        receive_file(server, connection, exchange, data, size);
        return;
    }
    if (exchange->takes_file) {
        exchange->drained += size;
        return;
    }
    if (exchange->refused_too_large || exchange->refused_no_memory) {
        exchange->drained += size;
        return;
    }
    if (exchange->length + size + 1 > exchange->capacity) {
        size_t capacity = exchange->capacity ? exchange->capacity * 2 : 4096;
        while (capacity < exchange->length + size + 1) capacity *= 2;
        size_t more = capacity - exchange->capacity;
        char *body = NULL;
        if (atomic_fetch_add(&server->body_bytes, more) + more <= all_bodies_limit)
            body = realloc(exchange->body, capacity);
        if (body == NULL) {
            atomic_fetch_sub(&server->body_bytes, more);
            exchange->refused_no_memory = true;
            return;
        }
        exchange->body = body;
        exchange->capacity = capacity;
    }
    memcpy(exchange->body + exchange->length, data, size);
    exchange->length += size;
    exchange->body[exchange->length] = 0;
}

/* True where the announced body is too large to be worth receiving. A client that waits for "100
 * Continue" is told at once; to others the answer would be lost in a reset connection unless the
 * body is drained first. */
static bool refuse_announced(const http_server *server, struct MHD_Connection *handle,
                             const struct exchange *exchange) {
    const char *announced = http_library_header(handle, "Content-Length");
    if (announced == NULL) return false;
    unsigned long long length = strtoull(announced, NULL, 10);
    return length > http_limit_of(server, exchange) &&
           (length > DRAIN_LIMIT || http_library_header(handle, "Expect") != NULL);
}

enum MHD_Result http_on_request(void *context, struct MHD_Connection *handle, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *size, void **request_context) {
    http_server *server = context;
    struct exchange *exchange = *request_context;
    (void)url, (void)version;
    if (exchange == NULL) return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        http_printable(method, exchange->method, sizeof exchange->method);
        begin_file(server, handle, method, exchange);
        if (http_has_strange_coding(handle)) /* nobody knows where its body ends */
            return http_answer_request(server, handle, method, exchange);
        if (refuse_announced(server, handle, exchange))
            return http_answer_too_large(server, handle, exchange);
        return exchange->takes_file && !exchange->file && http_library_header(handle, "Expect")
                   ? http_answer_request(server, handle, method, exchange)
                   : MHD_YES;
    }
    if (*size > 0) {
        receive(server, http_connection_of(handle), exchange, data, *size);
        *size = 0;
        return exchange->drained > DRAIN_LIMIT ? MHD_NO : MHD_YES;
    }
    if (exchange->answered) return MHD_YES;
    if (exchange->refused_too_large) return http_answer_too_large(server, handle, exchange);
    if (exchange->refused_no_memory) {
        http_response answer = {0};
        http_answer_problem(&answer, 503, NULL,
                            "too many large bodies are being received; try again later");
        return http_send_answer(server, handle, exchange, &answer);
    }
    return http_answer_request(server, handle, method, exchange);
}
