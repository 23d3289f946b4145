#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

typedef union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} any_address;

static gr_status parse(const char *text, any_address *address, socklen_t *length, gr_error *error) {
    char host[64];
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : 0;
    bool brackets = size > 2 && text[0] == '[' && text[size - 1] == ']';
    if (brackets) {
        text++;
        size -= 2;
    }
    size_t digits = colon ? strlen(colon + 1) : 0;
    bool is_port = digits > 0 && digits <= 5 && strspn(colon + 1, "0123456789") == digits &&
                   atoi(colon + 1) <= 65535;
    if (size == 0 || size >= sizeof host || !is_port)
        return gr_fail(error, GR_INVALID,
                       "--listen wants ADDRESS:PORT with a port from 0 to 65535, such as "
                       "127.0.0.1:8080 or [::1]:8080");
    memcpy(host, text, size);
    host[size] = 0;
    in_port_t port = htons((in_port_t)atoi(colon + 1));
    *address = (any_address){0};
    if (strcmp(host, "localhost") == 0) strcpy(host, "127.0.0.1");
    if (!brackets && inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = port;
        *length = sizeof address->v4;
        return GR_OK;
    }
    if (brackets && inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = port;
        *length = sizeof address->v6;
        return GR_OK;
    }
    return gr_fail(error, GR_INVALID,
                   "--listen wants a numeric address (IPv6 in brackets) or localhost, not \"%s\"",
                   host);
}

static bool is_loopback(const any_address *address) {
    if (address->any.sa_family == AF_INET) return (ntohl(address->v4.sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

static gr_status fail_to_listen(int code, const char *text, gr_error *error) {
    if (code == EADDRINUSE)
        return gr_fail(
            error, GR_CONFLICT,
            "%s is in use by another program: choose another port with --listen, or port "
            "0 for any free one",
            text);
    return gr_fail(error, GR_IO, "cannot listen at %s: %s", text, strerror(code));
}

gr_status listen_open(const char *text, bool https, listen_address *result, gr_error *error) {
    any_address address;
    socklen_t length;
    GR_TRY(parse(text, &address, &length, error));
    int one = 1;
    int listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) return fail_to_listen(errno, text, error);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, &address.any, length) != 0 || listen(listener, BACKLOG) != 0 ||
        getsockname(listener, &address.any, &length) != 0) {
        int code = errno;
        close(listener);
        return fail_to_listen(code, text, error);
    }
    bool v4 = address.any.sa_family == AF_INET;
    const void *number = v4 ? (const void *)&address.v4.sin_addr : &address.v6.sin6_addr;
    inet_ntop(address.any.sa_family, number, result->host, sizeof result->host);
    result->port = ntohs(v4 ? address.v4.sin_port : address.v6.sin6_port);
    result->loopback = is_loopback(&address);
    snprintf(result->url, sizeof result->url, v4 ? "http%s://%s:%d/" : "http%s://[%s]:%d/",
             https ? "s" : "", result->host, result->port);
    result->socket = listener;
    return GR_OK;
}
