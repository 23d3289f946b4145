/* The REST API from the other side: what `submit` and `watch` need of it, through libcurl. */
#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include "server/json.h"

typedef struct client client;

/* `url`: --server's value, or NULL for GRADREG_SERVER or else http://127.0.0.1:8080. GR_INVALID for
 * what is no http(s) URL. Every request carries the access token in GRADREG_TOKEN, where there is
 * one; GRADREG_CA_FILE is the PEM file of certificates that an https server's must lead to. */
gr_status client_create(const char *url, client **result, gr_error *error);
void client_free(client *self); /* NULL is allowed */
/* The server's URL without a slash at its end; borrowed. */
const char *client_url(const client *self);

/* Asks and waits: `path` begins with "/"; `body` (NULL: none) is JSON. *document is the answer,
 * owned by the caller (NULL for an empty one). A problem becomes an error: GR_NOT_FOUND for 404,
 * GR_INVALID, GR_CONFLICT, …, with its detail and all its errors, one a line, in `details` (owned
 * by the caller; may be NULL). GR_IO where the server cannot be reached. */
gr_status client_request(client *self, const char *method, const char *path, const char *body,
                         size_t length, cJSON **document, char **details, gr_error *error);

/* Gets what is no JSON: the whole text, owned by the caller (free). Failures as above. */
gr_status client_get_text(client *self, const char *path, char **text, gr_error *error);

/* What an event stream brings. Return false to end the stream. */
typedef struct client_listener {
    bool (*event)(void *context, const char *name, const cJSON *data);
    bool (*opened)(void *context); /* the stream stands: what happens from now on will be told */
    bool (*tick)(void *context);   /* about once a second */
    void *context;
} client_listener;
/* Listens until the listener or the server ends it. GR_OK where the listener did; GR_IO otherwise.
 */
gr_status client_listen(client *self, const char *path, const client_listener *listener,
                        gr_error *error);

#endif
