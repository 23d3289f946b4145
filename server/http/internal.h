/* What the files of the HTTP server share: they alone know the library (libmicrohttpd). */
#ifndef SERVER_HTTP_INTERNAL_H
#define SERVER_HTTP_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "server/http.h"

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

/* -- connections (connections.c)
 * --------------------------------------------------------------------------------------- */

/* NULL where nothing was known of it when it began. */
struct connection *http_connection_of(struct MHD_Connection *handle);
/* The time that it has from now on (0: all); answering: a stop waits for it. `connection` may be
 * NULL. */
void http_set_deadline(http_server *server, struct connection *connection, bool answering,
                       int64_t milliseconds);
/* Numeric, "unknown" where it is not known or `connection` is NULL. */
void http_address_text(const struct connection *connection, char text[INET6_ADDRSTRLEN]);
/* Shuts down whose time is over, and looks after the streams. Under the server's mutex. */
void http_check_connections(http_server *server);
/* Does that until clock_stops. The argument is the server. */
void *http_run_clock(void *server);
/* The library's notification; the context is the server. */
void http_on_connection(void *context, struct MHD_Connection *handle, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);

/* -- streams (streams.c)
 * ------------------------------------------------------------------------------------------- */
/* Takes the answer's stream over; NULL without memory. */
struct MHD_Response *http_stream_response(http_server *server, struct MHD_Connection *handle,
                                          struct exchange *exchange, http_response *answer);
/* Ends it where its client has left or takes nothing, wakes it where it is to say that it lives.
 * Under the server's mutex; of a connection with a stream. */
void http_check_stream(http_server *server, struct connection *connection, int64_t now);

/* -- answering (answer.c): each sends an answer; MHD_NO (the connection is cut) without memory
 * ----------------------------------------------------------------------------------------- */
/* Clears the answer. */
enum MHD_Result http_send_answer(http_server *server, struct MHD_Connection *handle,
                                 struct exchange *exchange, http_response *answer);
/* To the request that has been received. */
enum MHD_Result http_answer_request(http_server *server, struct MHD_Connection *handle,
                                    const char *method, struct exchange *exchange);
enum MHD_Result http_answer_too_large(http_server *server, struct MHD_Connection *handle,
                                      struct exchange *exchange);
/* Bytes of a body that are taken. */
uint64_t http_limit_of(const http_server *server, const struct exchange *exchange);
/* Whether the request has a Transfer-Encoding that is not chunked. */
bool http_has_strange_coding(struct MHD_Connection *handle);
/* A header's value; the handle is a struct MHD_Connection. */
const char *http_library_header(const void *handle, const char *name);

/* -- receiving (receive.c)
 * ----------------------------------------------------------------------------------------- */
/* The library's callbacks; the context is the server. */
void *http_on_target(void *context, const char *target, struct MHD_Connection *handle);
enum MHD_Result http_on_request(void *context, struct MHD_Connection *handle, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *size, void **request_context);
void http_on_completed(void *context, struct MHD_Connection *handle, void **request_context,
                       enum MHD_RequestTerminationCode code);
/* Records and frees the request of a connection, if there is one. */
void http_end_exchange(http_server *server, struct connection *connection, bool completed);

#endif
