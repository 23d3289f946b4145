/* The HTTP server on libmicrohttpd: its start and its end.
 *
 * What the library (0.9.75) does not do and the files here therefore do: it bounds a request's
 * whole time (the library's timeout bounds only silence) by a clock thread that shuts sockets down;
 * it sees that the client of a suspended stream has left; it resumes every stream before the stop
 * (the library aborts over a suspended one); it refuses new connections by itself during the stop
 * (MHD_quiesce_daemon and the library's threads both take the listening socket out of epoll, and
 * whichever comes second aborts); it parses the request's target itself (the library's own path
 * ends at an encoded NUL). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/http/internal.h"

enum {
    /* So that a slow answer does not hold up the others, and that many submissions are committed
     * together: each waits on its thread. */
    MAXIMUM_THREADS = 16,
    MINIMUM_THREADS = 4,
    CONNECTIONS_PER_THREAD = 8, /* where few connections are allowed: each has to find room */
    STOP_MILLISECONDS = 2000
};

/* TLS 1.2 and 1.3 with forward secrecy. */
static const char tls_priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:"
    "+CHACHA20-POLY1305";

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
    pthread_cond_destroy(&server->stop_clock);
    pthread_mutex_destroy(&server->mutex);
    free(server->listen_host);
    free(server);
}

/* Nobody is let in during the stop: the connection is closed at once. */
static enum MHD_Result on_accept(void *context, const struct sockaddr *address, socklen_t length) {
    const http_server *server = context;
    (void)address, (void)length;
    return atomic_load(&server->stopping) ? MHD_NO : MHD_YES;
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
    clock_condition_init(&server->stop_clock);

    const bool tls = options->tls_key != NULL;
    const struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->tls_key},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->tls_certificate},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
        {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0u), 0,
        on_accept, server, http_on_request, server, MHD_OPTION_ARRAY,
        tls ? tls_options : no_options, MHD_OPTION_LISTEN_SOCKET, server->options.listener,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)thread_count(&server->options),
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)server->options.maximum_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, http_on_target, server, MHD_OPTION_NOTIFY_CONNECTION,
        http_on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, server,
        MHD_OPTION_END);
    if (server->daemon == NULL) {
        const int reason = errno;
        close(options->listener);
        server_free(server);
        return gr_fail(error, GR_IO, "the HTTP server could not be started%s: %s",
                       tls ? " (with TLS)" : "", strerror(reason));
    }
    if (pthread_create(&server->clock, NULL, http_run_clock, server) != 0) {
        MHD_stop_daemon(server->daemon);
        server_free(server);
        return gr_fail(error, GR_IO, "the HTTP server's clock could not be started");
    }
    *result = server;
    return GR_OK;
}

void http_stop(http_server *server) {
    if (server == NULL) return;
    atomic_store(&server->stopping, true);
    /* The clock wakes streams at each turn while `stopping`; they end themselves. Idle connections
     * are cut. */
    int64_t until = clock_milliseconds() + STOP_MILLISECONDS;
    for (bool waiting = true; waiting && clock_milliseconds() < until;) {
        pthread_mutex_lock(&server->mutex);
        http_check_connections(server);
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
    MHD_stop_daemon(server->daemon); /* closes the listening socket too */
    server_free(server);
}
