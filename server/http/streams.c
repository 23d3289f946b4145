/* Streams: answers without a foreseeable end. One that has nothing to say is suspended until it is
 * woken; the clock sees that the client of a suspended one has left. */
#include <poll.h>
#include <stdlib.h>

#include "server/clock.h"
#include "server/http/internal.h"

enum { STREAM_BLOCK = 16 * 1024 }; /* bytes asked of a stream at once */

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
        stream->last_read = clock_milliseconds();
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

struct MHD_Response *http_stream_response(http_server *server, struct MHD_Connection *handle,
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
                            .last_read = clock_milliseconds()};
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, stream, stream_free);
    if (response == NULL) {
        pthread_mutex_destroy(&stream->mutex);
        free(stream);
        return NULL;
    }
    answer->stream = NULL; /* stream_free closes it from now on */
    atomic_fetch_add(&server->streams, 1);
    struct connection *connection = http_connection_of(handle);
    pthread_mutex_lock(&server->mutex);
    stream->connection = connection;
    if (connection) {
        connection->stream = stream;
        connection->deadline = 0;
    }
    pthread_mutex_unlock(&server->mutex);
    return response;
}

static bool peer_has_left(int socket) {
    struct pollfd state = {.fd = socket, .events = POLLRDHUP};
    return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void http_check_stream(http_server *server, struct connection *connection, int64_t now) {
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
