/* Connections: how many an address may have, and the deadlines of their requests, which a clock
 * thread sees to by shutting sockets down. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/clock.h"
#include "server/http/internal.h"

enum {
    CLOCK_MILLISECONDS = 250,
    REFUSED_SECONDS = 5 /* what a connection over the limit may take to ask and be told so */
};

struct connection *http_connection_of(struct MHD_Connection *handle) {
    const union MHD_ConnectionInfo *information =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return information ? information->socket_context : NULL;
}

void http_set_deadline(http_server *server, struct connection *connection, bool answering,
                       int64_t milliseconds) {
    if (connection == NULL) return;
    pthread_mutex_lock(&server->mutex);
    connection->answering = answering;
    connection->deadline = milliseconds ? clock_milliseconds() + milliseconds : 0;
    pthread_mutex_unlock(&server->mutex);
}

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
    new->deadline = clock_milliseconds() + REFUSED_SECONDS * 1000;
    if (count > 2 * limit) shutdown(new->socket, SHUT_RDWR);
}

void http_address_text(const struct connection *connection, char text[INET6_ADDRSTRLEN]) {
    const void *number = NULL;
    snprintf(text, INET6_ADDRSTRLEN, "unknown");
    if (connection == NULL) return;
    if (connection->address.ss_family == AF_INET)
        number = &((const struct sockaddr_in *)&connection->address)->sin_addr;
    else if (connection->address.ss_family == AF_INET6)
        number = &((const struct sockaddr_in6 *)&connection->address)->sin6_addr;
    if (number) inet_ntop(connection->address.ss_family, number, text, INET6_ADDRSTRLEN);
}

void http_on_connection(void *context, struct MHD_Connection *handle, void **socket_context,
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
        new->deadline = clock_milliseconds() + (int64_t)server->options.request_seconds * 1000;
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
        http_end_exchange(server, old, false); /* the library forgets some that it refused itself */
        pthread_mutex_lock(&server->mutex);
        *old->link = old->next;
        if (old->next) old->next->link = old->link;
        if (old->stream) old->stream->connection = NULL;
        pthread_mutex_unlock(&server->mutex);
        free(old);
        *socket_context = NULL;
    }
}

/* -- the clock
 * ------------------------------------------------------------------------------------------ */
void http_check_connections(http_server *server) {
    int64_t now = clock_milliseconds();
    for (struct connection *each = server->connections; each; each = each->next) {
        if (each->stream)
            http_check_stream(server, each, now);
        else if (each->deadline && now >= each->deadline)
            shutdown(each->socket, SHUT_RDWR); /* the library sees the end and closes */
    }
}

void *http_run_clock(void *context) {
    http_server *server = context;
    pthread_mutex_lock(&server->mutex);
    while (!server->clock_stops) {
        const struct timespec until = clock_after(CLOCK_MILLISECONDS);
        pthread_cond_timedwait(&server->stop_clock, &server->mutex, &until);
        http_check_connections(server);
    }
    pthread_mutex_unlock(&server->mutex);
    return NULL;
}
