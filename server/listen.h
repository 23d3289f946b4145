/* The address that the server listens at. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <stdbool.h>

#include "gradreg/status.h"

typedef struct listen_address {
    char host[64]; /* numeric, without brackets: "127.0.0.1", "::1" */
    char url[96];  /* "http://127.0.0.1:8080/", with the port that was really taken */
    int port;      /* that port */
    bool loopback; /* only this machine reaches it */
    int socket;    /* listening, close-on-exec, not blocking; owned by the caller */
} listen_address;

/* Listens at "ADDRESS:PORT", "[ADDRESS]:PORT" or "localhost:PORT"; port 0 takes a free one.
 * `https`: for the url. GR_INVALID for what is no such text; GR_CONFLICT where the port is in use,
 * GR_IO with the reason otherwise. */
gr_status listen_open(const char *text, bool https, listen_address *result, gr_error *error);

#endif
