/* The HTTP server on libmicrohttpd: connections and their deadlines, bodies, streams, dispatch.
 *
 * What the library (0.9.75) does not do and this file therefore does: it bounds a request's whole
 * time (the library's timeout bounds only silence) by a clock thread that shuts sockets down; it
 * sees that the client of a suspended stream has left; it resumes every stream before the stop (the
 * library aborts over a suspended one); it parses the request's target itself (the library's own
 * path ends at an encoded NUL). */
#include <errno.h>
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
    SERVER_THREADS = 4,             /* so that a slow answer does not hold up the others */
    STREAM_BLOCK = 16 * 1024,       /* bytes asked of a stream at once */
    DRAIN_LIMIT = 64 * 1024 * 1024, /* of a refused body; then the connection is cut */
    SLOWEST_CLIENT = 32 * 1024,     /* bytes per second that a client must take of a long answer */
    CLOCK_MILLISECONDS = 250,
    STOP_MILLISECONDS = 2000
};
static const size_t all_bodies_limit = 64 * 1024 * 1024; /* memory of all bodies being received */

struct connection {
    struct connection *next, **link;
    int socket;
    int64_t deadline; /* monotonic milliseconds; 0: none */
    bool answering;   /* a request is being answered: a stop waits for it */
    struct http_stream *stream;
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
    int64_t last_read; /* monotonic milliseconds */
};

/* One request while it is received and answered. */
struct exchange {
    http_server *server;
    char *target;
    bool begun, refused_too_large, refused_no_memory, answered;
    char *body;
    size_t length, capacity;
    uint64_t drained;
};

static int64_t now_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
        new->deadline = now_milliseconds() + (int64_t)server->options.request_seconds * 1000;
        pthread_mutex_lock(&server->mutex);
        new->next = server->connections;
        new->link = &server->connections;
        if (new->next) new->next->link = &new->next;
        server->connections = new;
        pthread_mutex_unlock(&server->mutex);
        *socket_context = new;
    } else {
        struct connection *old = *socket_context;
        if (old == NULL) return;
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
        if (count > 0) return count;
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
                                            http_response *answer) {
    http_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    pthread_mutex_init(&stream->mutex, NULL);
    *stream = (http_stream){.server = server,
                            .handle = handle,
                            .source = answer->stream,
                            .context = answer->stream_context,
                            .mutex = stream->mutex,
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

static bool add_headers(struct MHD_Response *response, const http_response *answer) {
    bool complete = true;
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
                                   http_response *answer) {
    if (answer->status == 0) answer->status = 200;
    struct MHD_Response *response = NULL;
    bool stream = answer->stream != NULL;
    uint64_t length = answer->length;
    if (stream) {
        response = stream_response(server, handle, answer);
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
    if (response && add_headers(response, answer)) {
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

static enum MHD_Result answer_too_large(http_server *server, struct MHD_Connection *handle,
                                        struct exchange *exchange) {
    http_response answer = {0};
    exchange->answered = true;
    http_answer_problem(&answer, 413, NULL, "the body is larger than %zu bytes, which is the limit",
                        server->options.body_limit);
    return send_answer(server, handle, &answer);
}

static enum MHD_Result answer_request(http_server *server, struct MHD_Connection *handle,
                                      const char *method, struct exchange *exchange) {
    http_response answer = {0};
    http_request request = {.method = strcmp(method, "HEAD") == 0 ? "GET" : method,
                            .body = exchange->body ? exchange->body : "",
                            .body_length = exchange->length,
                            .header = library_header,
                            .connection = handle};
    gr_error error = {0};
    exchange->answered = true;
    set_deadline(server, connection_of(handle), true,
                 0); /* the time of a handler is not the client's */
    gr_status status = http_request_parse(&request, exchange->target, &error);
    if (status == GR_OK)
        http_dispatch(&server->options, &request, &answer);
    else
        http_answer_error(&answer, &error);
    http_request_clear(&request);
    if (answer.stream && atomic_load(&server->streams) >= server->options.maximum_streams) {
        http_answer_problem(&answer, 503, NULL,
                            "%d streams are open, which is the limit; close some first",
                            server->options.maximum_streams);
        http_answer_header(&answer, "Retry-After", "30");
    }
    return send_answer(server, handle, &answer);
}

/* -- receiving
 * ----------------------------------------------------------------------------------------- */
/* Called with the raw target before anything else of a request: it becomes the request's context.
 */
static void *on_target(void *context, const char *target, struct MHD_Connection *handle) {
    (void)handle;
    struct exchange *new = calloc(1, sizeof *new);
    if (new == NULL) return NULL;
    new->server = context;
    new->target = strdup(target);
    if (new->target) return new;
    free(new);
    return NULL;
}

static void on_completed(void *context, struct MHD_Connection *handle, void **request_context,
                         enum MHD_RequestTerminationCode code) {
    http_server *server = context;
    struct exchange *old = *request_context;
    (void)code;
    if (old) {
        atomic_fetch_sub(&server->body_bytes, old->capacity);
        free(old->body);
        free(old->target);
        free(old);
        *request_context = NULL;
    }
    set_deadline(server, connection_of(handle), false,
                 (int64_t)server->options.request_seconds * 1000);
}

/* Keeps a part of the body, or notes why the body is refused and drops it. */
static void receive(http_server *server, struct exchange *exchange, const char *data, size_t size) {
    if (exchange->length + size > server->options.body_limit) exchange->refused_too_large = true;
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
static bool refuse_announced(const http_server *server, struct MHD_Connection *handle) {
    const char *announced = library_header(handle, "Content-Length");
    if (announced == NULL) return false;
    unsigned long long length = strtoull(announced, NULL, 10);
    return length > server->options.body_limit &&
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
        return refuse_announced(server, handle) ? answer_too_large(server, handle, exchange)
                                                : MHD_YES;
    }
    if (*size > 0) {
        receive(server, exchange, data, *size);
        *size = 0;
        return exchange->drained > DRAIN_LIMIT ? MHD_NO : MHD_YES;
    }
    if (exchange->answered) return MHD_YES;
    if (exchange->refused_too_large) return answer_too_large(server, handle, exchange);
    if (exchange->refused_no_memory) {
        http_response answer = {0};
        exchange->answered = true;
        http_answer_problem(&answer, 503, NULL,
                            "too many large bodies are being received; try again later");
        return send_answer(server, handle, &answer);
    }
    return answer_request(server, handle, method, exchange);
}

/* -- the server
 * ---------------------------------------------------------------------------------------- */
static int or_default(int value, int otherwise) {
    return value ? value : otherwise;
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
    server->options.maximum_streams = or_default(options->maximum_streams, 256);
    pthread_mutex_init(&server->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->stop_clock, &monotonic);
    pthread_condattr_destroy(&monotonic);

    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, server->options.listener, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)SERVER_THREADS, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->options.maximum_connections, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, server, MHD_OPTION_END);
    if (server->daemon == NULL) {
        server_free(server);
        return gr_fail(error, GR_IO, "the HTTP server could not be started: %s", strerror(errno));
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
