/* The HTTP server on libmicrohttpd: connections and their deadlines, bodies, streams, dispatch.
 *
 * What the library (0.9.75) does not do and this file therefore does: it bounds a request's whole
 * time (the library's timeout bounds only silence) by a clock thread that shuts sockets down; it
 * sees that the client of a suspended stream has left; it resumes every stream before the stop (the
 * library aborts over a suspended one); it parses the request's target itself (the library's own
 * path ends at an encoded NUL). */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "server/http.h"

enum {
    /* So that a slow answer does not hold up the others, and that many submissions are committed
     * together: each waits on its thread. */
    MAXIMUM_THREADS = 16,
    MINIMUM_THREADS = 4,
    CONNECTIONS_PER_THREAD = 8,     /* where few connections are allowed: each has to find room */
    STREAM_BLOCK = 16 * 1024,       /* bytes asked of a stream at once */
    DRAIN_LIMIT = 64 * 1024 * 1024, /* of a refused body; then the connection is cut */
    MAXIMUM_UPLOADS = 4,            /* files received at once */
    UPLOAD_STEP = 1024 * 1024,      /* bytes that have the time of a request to arrive */
    SLOWEST_CLIENT = 32 * 1024,     /* bytes per second that a client must take of a long answer */
    CLOCK_MILLISECONDS = 250,
    MAXIMUM_REQUEST_HEADERS = 100,
    REFUSED_SECONDS = 5, /* what a connection over the limit may take to ask and be told so */
    STOP_MILLISECONDS = 2000
};
static const size_t all_bodies_limit = 64 * 1024 * 1024; /* memory of all bodies being received */

/* TLS 1.2 and 1.3 with forward secrecy. */
static const char tls_priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:"
    "+CHACHA20-POLY1305";

struct connection {
    struct connection *next, **link;
    int socket;
    struct sockaddr_storage address;
    bool over_limit;  /* too many from its address: told so, and closed */
    int64_t deadline; /* monotonic milliseconds; 0: none */
    bool answering;   /* a request is being answered: a stop waits for it */
    struct http_stream *stream;
    struct exchange
        *exchange; /* being received or answered; the connection's thread alone uses it */
};

struct http_server {
    struct MHD_Daemon *daemon;
    http_options options;
    char *listen_host;
    pthread_t clock;
    pthread_mutex_t mutex; /* guards the connections; taken before a stream's */
    pthread_cond_t stop_clock;
    struct connection *connections;
    atomic_bool stopping;
    bool clock_stops;
    atomic_int streams;
    atomic_size_t body_bytes;
    atomic_int uploads;
    uint64_t first_id; /* request ids count from here */
    atomic_uint_fast64_t requests;
};

struct http_stream {
    http_server *server;
    struct MHD_Connection *handle;
    struct connection *connection; /* guarded by the server's mutex */
    const http_stream_source *source;
    void *context;
    bool opened; /* only touched by the connection's thread */
    pthread_mutex_t mutex;
    bool suspended, woken, client_left;
    int64_t last_read;           /* monotonic milliseconds */
    atomic_uint_fast64_t *bytes; /* the exchange's; it outlives the response's callbacks */
};

/* One request while it is received and answered. */
struct exchange {
    http_server *server;
    char *target;
    char id[20];
    char method[12], path[200];
    const http_route *route;
    int status;
    int64_t token;
    bool is_stream;
    atomic_uint_fast64_t bytes;
    double begun_at;
    bool begun, refused_too_large, refused_no_memory, answered;
    char *body;
    size_t length, capacity;
    uint64_t drained;
    bool takes_file;        /* as its route: */
    file_replacement *file; /* NULL: it is not received */
    uint64_t file_length;
    gr_error file_error; /* why it could not be written; status GR_OK: it could */
};

static int64_t now_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* -- connections
 * --------------------------------------------------------------------------------------- */
static struct connection *connection_of(struct MHD_Connection *handle) {
    const union MHD_ConnectionInfo *information =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return information ? information->socket_context : NULL;
}

static void set_deadline(http_server *server, struct connection *connection, bool answering,
                         int64_t milliseconds) {
    if (connection == NULL) return;
    pthread_mutex_lock(&server->mutex);
    connection->answering = answering;
    connection->deadline = milliseconds ? now_milliseconds() + milliseconds : 0;
    pthread_mutex_unlock(&server->mutex);
}

static void end_exchange(http_server *server, struct connection *connection, bool completed);

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
    if (a->ss_family != b->ss_family) return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    /* One subscriber has 2⁶⁴ addresses: they count as one. */
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, 8) == 0;
}

static bool is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

/* Under the server's mutex, before `new` is in the list: is it one too many from its address? A
 * connection far over the limit is not even told. */
static void check_address(http_server *server, struct connection *new) {
    const int limit = server->options.maximum_connections_per_address;
    int count = 1;
    if (is_loopback(&new->address) && !server->options.limit_loopback) return;
    for (const struct connection *each = server->connections; each; each = each->next)
        count += same_address(&each->address, &new->address);
    if (count <= limit) return;
    new->over_limit = true;
    new->deadline = now_milliseconds() + REFUSED_SECONDS * 1000;
    if (count > 2 * limit) shutdown(new->socket, SHUT_RDWR);
}

static void address_text(const struct connection *connection, char text[INET6_ADDRSTRLEN]) {
    const void *number = NULL;
    snprintf(text, INET6_ADDRSTRLEN, "unknown");
    if (connection == NULL) return;
    if (connection->address.ss_family == AF_INET)
        number = &((const struct sockaddr_in *)&connection->address)->sin_addr;
    else if (connection->address.ss_family == AF_INET6)
        number = &((const struct sockaddr_in6 *)&connection->address)->sin6_addr;
    if (number) inet_ntop(connection->address.ss_family, number, text, INET6_ADDRSTRLEN);
}

static void on_connection(void *context, struct MHD_Connection *handle, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    http_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *new = calloc(1, sizeof *new);
        const union MHD_ConnectionInfo *information =
            MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (new == NULL || information == NULL) { /* nothing could bound it: it ends at once */
            if (information) shutdown(information->connect_fd, SHUT_RDWR);
            free(new);
            return;
        }
        new->socket = information->connect_fd;
        socklen_t length = sizeof new->address;
        if (getpeername(new->socket, (struct sockaddr *)&new->address, &length) != 0)
            new->address.ss_family = AF_UNSPEC;
        new->deadline = now_milliseconds() + (int64_t)server->options.request_seconds * 1000;
        pthread_mutex_lock(&server->mutex);
        check_address(server, new);
        new->next = server->connections;
        new->link = &server->connections;
        if (new->next) new->next->link = &new->next;
        server->connections = new;
        pthread_mutex_unlock(&server->mutex);
        *socket_context = new;
    } else {
        struct connection *old = *socket_context;
        if (old == NULL) return;
        end_exchange(server, old, false); /* the library forgets some that it refused itself */
        pthread_mutex_lock(&server->mutex);
        *old->link = old->next;
        if (old->next) old->next->link = old->link;
        if (old->stream) old->stream->connection = NULL;
        pthread_mutex_unlock(&server->mutex);
        free(old);
        *socket_context = NULL;
    }
}

/* -- streams
 * ------------------------------------------------------------------------------------------- */
void http_stream_wake(http_stream *stream) {
    pthread_mutex_lock(&stream->mutex);
    stream->woken = true;
    if (stream->suspended) {
        stream->suspended = false;
        MHD_resume_connection(stream->handle);
    }
    pthread_mutex_unlock(&stream->mutex);
}

static ssize_t stream_read(void *context, uint64_t position, char *buffer, size_t size) {
    http_stream *stream = context;
    (void)position;
    if (!stream->opened) {
        stream->opened = true;
        stream->source->open(stream->context, stream);
    }
    for (;;) {
        pthread_mutex_lock(&stream->mutex);
        stream->woken = false;
        stream->last_read = now_milliseconds();
        bool left = stream->client_left;
        pthread_mutex_unlock(&stream->mutex);
        if (left) return MHD_CONTENT_READER_END_WITH_ERROR;
        if (atomic_load(&stream->server->stopping))
            return stream->source->must_be_whole ? MHD_CONTENT_READER_END_WITH_ERROR
                                                 : MHD_CONTENT_READER_END_OF_STREAM;
        ssize_t count = stream->source->read(stream->context, buffer, size);
        if (count == HTTP_STREAM_FAILED) return MHD_CONTENT_READER_END_WITH_ERROR;
        if (count < 0) return MHD_CONTENT_READER_END_OF_STREAM;
        if (count > 0) {
            atomic_fetch_add(stream->bytes, (uint64_t)count);
            return count;
        }
        pthread_mutex_lock(&stream->mutex);
        /* `stopping` is set before the stop wakes the streams: one of the two is seen here. */
        bool again = stream->woken || atomic_load(&stream->server->stopping);
        if (!again) {
            stream->suspended = true;
            MHD_suspend_connection(stream->handle);
        }
        pthread_mutex_unlock(&stream->mutex);
        if (!again) return 0;
    }
}

static void stream_free(void *context) {
    http_stream *stream = context;
    pthread_mutex_lock(&stream->server->mutex);
    if (stream->connection) stream->connection->stream = NULL;
    pthread_mutex_unlock(&stream->server->mutex);
    stream->source->close(stream->context);
    atomic_fetch_sub(&stream->server->streams, 1);
    pthread_mutex_destroy(&stream->mutex);
    free(stream);
}

static struct MHD_Response *stream_response(http_server *server, struct MHD_Connection *handle,
                                            struct exchange *exchange, http_response *answer) {
    http_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    pthread_mutex_init(&stream->mutex, NULL);
    *stream = (http_stream){.server = server,
                            .handle = handle,
                            .source = answer->stream,
                            .context = answer->stream_context,
                            .mutex = stream->mutex,
                            .bytes = &exchange->bytes,
                            .last_read = now_milliseconds()};
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, stream, stream_free);
    if (response == NULL) {
        pthread_mutex_destroy(&stream->mutex);
        free(stream);
        return NULL;
    }
    answer->stream = NULL; /* stream_free closes it from now on */
    atomic_fetch_add(&server->streams, 1);
    struct connection *connection = connection_of(handle);
    pthread_mutex_lock(&server->mutex);
    stream->connection = connection;
    if (connection) {
        connection->stream = stream;
        connection->deadline = 0;
    }
    pthread_mutex_unlock(&server->mutex);
    return response;
}

/* -- the clock
 * ------------------------------------------------------------------------------------------ */
static bool peer_has_left(int socket) {
    struct pollfd state = {.fd = socket, .events = POLLRDHUP};
    return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void check_stream(http_server *server, struct connection *connection, int64_t now) {
    http_stream *stream = connection->stream;
    bool wake = false;
    pthread_mutex_lock(&stream->mutex);
    int64_t idle = now - stream->last_read;
    if (stream->suspended && peer_has_left(connection->socket)) stream->client_left = wake = true;
    if (stream->suspended && idle >= (int64_t)server->options.keep_alive_seconds * 1000)
        wake = true;
    if (!stream->suspended && idle >= (int64_t)server->options.stall_seconds * 1000)
        shutdown(connection->socket, SHUT_RDWR);
    pthread_mutex_unlock(&stream->mutex);
    if (wake || atomic_load(&server->stopping)) http_stream_wake(stream);
}

static void check_connections(http_server *server) {
    int64_t now = now_milliseconds();
    for (struct connection *each = server->connections; each; each = each->next) {
        if (each->stream)
            check_stream(server, each, now);
        else if (each->deadline && now >= each->deadline)
            shutdown(each->socket, SHUT_RDWR); /* the library sees the end and closes */
    }
}

static void *run_clock(void *context) {
    http_server *server = context;
    pthread_mutex_lock(&server->mutex);
    while (!server->clock_stops) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += CLOCK_MILLISECONDS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&server->stop_clock, &server->mutex, &until);
        check_connections(server);
    }
    pthread_mutex_unlock(&server->mutex);
    return NULL;
}

/* -- answering
 * ----------------------------------------------------------------------------------------- */
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
static enum MHD_Result send_answer(http_server *server, struct MHD_Connection *handle,
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
        response = stream_response(server, handle, exchange, answer);
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
            set_deadline(server, connection_of(handle), true,
                         (int64_t)server->options.request_seconds * 1000 +
                             (int64_t)(length / SLOWEST_CLIENT) * 1000);
        result = MHD_queue_response(handle, (unsigned)answer->status, response);
    }
    if (response) MHD_destroy_response(response);
    http_response_clear(answer);
    return result;
}

static const char *library_header(const void *handle, const char *name) {
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

static uint64_t limit_of(const http_server *server, const struct exchange *exchange) {
    return exchange->takes_file ? server->options.upload_limit : server->options.body_limit;
}

static enum MHD_Result answer_too_large(http_server *server, struct MHD_Connection *handle,
                                        struct exchange *exchange) {
    http_response answer = {0};
    note_route(server, exchange);
    http_answer_problem(&answer, 413, NULL,
                        "the body is larger than %llu bytes, which is the limit",
                        (unsigned long long)limit_of(server, exchange));
    return send_answer(server, handle, exchange, &answer);
}

/* What is refused whatever it asks for. True where it has filled the answer. */
static bool refuse_excess(http_server *server, struct MHD_Connection *handle,
                          http_response *answer) {
    const struct connection *connection = connection_of(handle);
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
    if (library_header(handle, "Transfer-Encoding") && library_header(handle, "Content-Length")) {
        http_answer_problem(answer, 400, NULL,
                            "the request has both Content-Length and Transfer-Encoding");
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

static enum MHD_Result answer_request(http_server *server, struct MHD_Connection *handle,
                                      const char *method, struct exchange *exchange) {
    http_response answer = {0};
    http_request request = {.method = strcmp(method, "HEAD") == 0 ? "GET" : method,
                            .body = exchange->body ? exchange->body : "",
                            .body_length = exchange->length,
                            .file = exchange->file,
                            .file_length = exchange->file_length,
                            .header = library_header,
                            .connection = handle};
    set_deadline(server, connection_of(handle), true,
                 0); /* the time of a handler is not the client's */
    if (!refuse_excess(server, handle, &answer)) answer_parsed(server, exchange, &request, &answer);
    http_request_clear(&request);
    return send_answer(server, handle, exchange, &answer);
}

/* -- receiving
 * ----------------------------------------------------------------------------------------- */
/* Called with the raw target before anything else of a request: it becomes the request's context.
 */
static void *on_target(void *context, const char *target, struct MHD_Connection *handle) {
    http_server *server = context;
    struct connection *connection = connection_of(handle);
    struct exchange *new = connection ? calloc(1, sizeof *new) : NULL;
    if (new == NULL) return NULL;
    end_exchange(server, connection, false);
    new->server = server;
    new->begun_at = now_seconds();
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
    address_text(connection, address);
    const http_record record = {.id = exchange->id,
                                .method = exchange->method,
                                .route = exchange->route ? exchange->route->pattern : "",
                                .path = exchange->path,
                                .address = address,
                                .status = exchange->status,
                                .bytes = atomic_load(&exchange->bytes),
                                .seconds = now_seconds() - exchange->begun_at,
                                .token = exchange->token,
                                .completed = completed,
                                .stream = exchange->is_stream};
    server->options.on_record(server->options.context, &record);
}

/* Records and frees the request of a connection, if there is one. */
static void end_exchange(http_server *server, struct connection *connection, bool completed) {
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

static void on_completed(void *context, struct MHD_Connection *handle, void **request_context,
                         enum MHD_RequestTerminationCode code) {
    http_server *server = context;
    struct connection *connection = connection_of(handle);
    *request_context = NULL;
    if (connection) end_exchange(server, connection, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    set_deadline(server, connection, false, (int64_t)server->options.request_seconds * 1000);
}

/* Opens the file of a request whose route takes one. Who may not send it is told so when the body
 * has been drained, as others are whose body is refused; or at once, if they wait to be asked. */
static void begin_file(http_server *server, struct MHD_Connection *handle, const char *method,
                       struct exchange *exchange) {
    http_request request = {
        .method = method, .body = "", .header = library_header, .connection = handle};
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
        set_deadline(server, connection, false, (int64_t)server->options.request_seconds * 1000);
    exchange->file_length += size;
}

/* Keeps a part of the body, or notes why the body is refused and drops it. */
static void receive(http_server *server, struct connection *connection, struct exchange *exchange,
                    const char *data, size_t size) {
    const uint64_t there = exchange->takes_file ? exchange->file_length : exchange->length;
    if (there + size > limit_of(server, exchange)) exchange->refused_too_large = true;
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
    const char *announced = library_header(handle, "Content-Length");
    if (announced == NULL) return false;
    unsigned long long length = strtoull(announced, NULL, 10);
    return length > limit_of(server, exchange) &&
           (length > DRAIN_LIMIT || library_header(handle, "Expect") != NULL);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *handle, const char *url,
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
        if (refuse_announced(server, handle, exchange))
            return answer_too_large(server, handle, exchange);
        return exchange->takes_file && !exchange->file && library_header(handle, "Expect")
                   ? answer_request(server, handle, method, exchange)
                   : MHD_YES;
    }
    if (*size > 0) {
        receive(server, connection_of(handle), exchange, data, *size);
        *size = 0;
        return exchange->drained > DRAIN_LIMIT ? MHD_NO : MHD_YES;
    }
    if (exchange->answered) return MHD_YES;
    if (exchange->refused_too_large) return answer_too_large(server, handle, exchange);
    if (exchange->refused_no_memory) {
        http_response answer = {0};
        http_answer_problem(&answer, 503, NULL,
                            "too many large bodies are being received; try again later");
        return send_answer(server, handle, exchange, &answer);
    }
    return answer_request(server, handle, method, exchange);
}

/* -- the server
 * ---------------------------------------------------------------------------------------- */
static int or_default(int value, int otherwise) {
    return value ? value : otherwise;
}

static int thread_count(const http_options *options) {
    const int count = options->maximum_connections / CONNECTIONS_PER_THREAD;
    return count < MINIMUM_THREADS   ? MINIMUM_THREADS
           : count > MAXIMUM_THREADS ? MAXIMUM_THREADS
                                     : count;
}

static void server_free(http_server *server) {
    if (server->options.listener >= 0) close(server->options.listener);
    pthread_cond_destroy(&server->stop_clock);
    pthread_mutex_destroy(&server->mutex);
    free(server->listen_host);
    free(server);
}

gr_status http_start(const http_options *options, http_server **result, gr_error *error) {
    *result = NULL;
    http_server *server = calloc(1, sizeof *server);
    char *host = strdup(options->listen_host);
    if (server == NULL || host == NULL) {
        close(options->listener);
        free(server);
        free(host);
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    server->options = *options;
    server->options.listen_host = server->listen_host = host;
    if (options->body_limit == 0) server->options.body_limit = 1024 * 1024;
    server->options.request_seconds = or_default(options->request_seconds, 30);
    server->options.stall_seconds = or_default(options->stall_seconds, 60);
    server->options.keep_alive_seconds = or_default(options->keep_alive_seconds, 15);
    server->options.maximum_connections = or_default(options->maximum_connections, 512);
    server->options.maximum_connections_per_address =
        or_default(options->maximum_connections_per_address, 64);
    server->options.maximum_streams = or_default(options->maximum_streams, 256);
    /* Ids of different runs differ: the upper half is the time of the start. */
    server->first_id = (uint64_t)time(NULL) << 32;
    pthread_mutex_init(&server->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->stop_clock, &monotonic);
    pthread_condattr_destroy(&monotonic);

    const bool tls = options->tls_key != NULL;
    const struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->tls_key},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->tls_certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
        {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0u), 0,
        NULL, NULL, on_request, server, MHD_OPTION_ARRAY, tls ? tls_options : no_options,
        MHD_OPTION_LISTEN_SOCKET, server->options.listener, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)thread_count(&server->options), MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->options.maximum_connections, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, server, MHD_OPTION_END);
    if (server->daemon == NULL) {
        server_free(server);
        return gr_fail(error, GR_IO, "the HTTP server could not be started%s: %s",
                       tls ? " (with TLS)" : "", strerror(errno));
    }
    if (pthread_create(&server->clock, NULL, run_clock, server) != 0) {
        MHD_quiesce_daemon(
            server->daemon); /* which leaves closing the listening socket to server_free */
        MHD_stop_daemon(server->daemon);
        server_free(server);
        return gr_fail(error, GR_IO, "the HTTP server's clock could not be started");
    }
    *result = server;
    return GR_OK;
}

void http_stop(http_server *server) {
    if (server == NULL) return;
    MHD_quiesce_daemon(server->daemon);
    atomic_store(&server->stopping, true);
    /* The clock wakes streams at each turn while `stopping`; they end themselves. Idle connections
     * are cut. */
    int64_t until = now_milliseconds() + STOP_MILLISECONDS;
    for (bool waiting = true; waiting && now_milliseconds() < until;) {
        pthread_mutex_lock(&server->mutex);
        check_connections(server);
        waiting = false;
        for (struct connection *each = server->connections; each; each = each->next) {
            if (each->stream == NULL && !each->answering) shutdown(each->socket, SHUT_RDWR);
            waiting = true;
        }
        pthread_mutex_unlock(&server->mutex);
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
    }
    pthread_mutex_lock(&server->mutex);
    for (struct connection *each = server->connections; each; each = each->next)
        shutdown(each->socket, SHUT_RDWR);
    server->clock_stops = true;
    pthread_cond_signal(&server->stop_clock);
    pthread_mutex_unlock(&server->mutex);
    pthread_join(server->clock, NULL);
    MHD_stop_daemon(server->daemon);
    server_free(server);
}
