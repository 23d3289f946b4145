/* The HTTP server: connections, limits, routing and the one dispatcher that writes responses.
 * Handlers see requests and responses as plain structures; server/http/ alone knows the library
 * underneath. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gradreg/status.h"
#include "server/files.h"
#include "server/json.h"

enum {
    HTTP_MAXIMUM_PATH_PARAMETERS = 4,
    HTTP_MAXIMUM_QUERY = 16,
    HTTP_MAXIMUM_HEADERS = 8,
    HTTP_HEADER_VALUE_SIZE = 320
};

/* -- who asks
 * --------------------------------------------------------------------------------------- */
/* Each scope includes those before it. */
typedef enum http_scope {
    HTTP_SCOPE_PUBLIC, /* nobody in particular */
    HTTP_SCOPE_READ,
    HTTP_SCOPE_SUBMIT,
    HTTP_SCOPE_ADMIN
} http_scope;
const char *http_scope_name(http_scope scope); /* "public", "read", "submit", "admin" */

/* Who asks, as far as the server knows. */
typedef struct http_identity {
    int64_t token;   /* 0: asks without a token */
    int64_t session; /* the browser session that stands for it; 0: the token itself was sent */
    http_scope scope;
    char name[64]; /* the token's; "": none */
} http_identity;

/* -- requests
 * --------------------------------------------------------------------------------------- */
typedef struct http_query_item {
    char *name, *value; /* percent-decoded, UTF-8 without U+0000 */
} http_query_item;

typedef struct http_request {
    const char *method; /* "GET" for HEAD too */
    char *path;         /* percent-decoded: for messages; matching is done on the segments */
    char *host;         /* the authority of a request in absolute form; NULL otherwise */
    char **segments;    /* the path cut at "/", each percent-decoded; owned */
    size_t segment_count;
    const char *
        parameters[HTTP_MAXIMUM_PATH_PARAMETERS]; /* what {…} in the pattern stands for, in order */
    http_query_item query[HTTP_MAXIMUM_QUERY];
    size_t query_count;
    const char *body; /* never NULL; followed by a NUL that is not part of it */
    size_t body_length;
    /* Where the route takes a file, the body is not there but here: whole, and abandoned after the
     * answer. Else NULL. */
    file_replacement *file;
    uint64_t file_length;
    http_identity identity;
    const char *(*header)(const void *connection, const char *name);
    const void *connection;
} http_request;

/* The value of a query parameter, or NULL where it was not given. Borrowed. */
const char *http_query(const http_request *request, const char *name);
/* A whole number in minimum … maximum from the query, or `fallback` where it was not given.
 * GR_INVALID names the parameter and the range. */
gr_status http_query_integer(const http_request *request, const char *name, int64_t minimum,
                             int64_t maximum, int64_t fallback, int64_t *value, gr_error *error);
/* "true" or "false" from the query; false where it was not given. */
gr_status http_query_boolean(const http_request *request, const char *name, bool *value,
                             gr_error *error);
/* A header's value, or NULL. Borrowed. */
const char *http_header(const http_request *request, const char *name);

/* Which of `count` media types the Accept header prefers (RFC 9110 §12.5.1): the greatest quality;
 * of equals what the header names first, then the first of `types`. 0 without a header, and where
 * it takes none of them. */
size_t http_preferred(const http_request *request, const char *const types[], size_t count);

/* Cuts and decodes a request's target (RFC 9112 §3.2) into path, segments and query. GR_INVALID for
 * an escape that is none, U+0000, bytes that are no UTF-8, a parameter given twice, or too many of
 * them. */
gr_status http_request_parse(http_request *request, const char *target, gr_error *error);
void http_request_clear(http_request *request);

/* -- responses
 * -------------------------------------------------------------------------------------- */
/* A stream: a response whose end is not known when it starts. */
typedef struct http_stream http_stream;
enum { HTTP_STREAM_END = -1, HTTP_STREAM_FAILED = -2 };
typedef struct http_stream_source {
    /* Called once before the first read, on a server thread. */
    void (*open)(void *context, http_stream *stream);
    /* Writes at most `size` bytes. 0: nothing now; it is called again after http_stream_wake, and
     * at least every keep_alive_seconds. HTTP_STREAM_END: the response is complete;
     * HTTP_STREAM_FAILED: it never will be, and the client sees it break off. Never called while
     * the client has not taken what was written before, so a source that makes its text here needs
     * no queue of text. */
    ssize_t (*read)(void *context, char *buffer, size_t size);
    /* Called once, always: the client left, the stream ended or it never started. Frees context. */
    void (*close)(void *context);
    /* A part of the response is worth nothing: a stopping server breaks it off instead of ending it
     * as if that were all. */
    bool must_be_whole;
} http_stream_source;
/* Something may be read. From any thread, any time between open and close. */
void http_stream_wake(http_stream *stream);

/* What a handler answers. Zeroed before the handler runs. */
typedef struct http_response {
    int status;               /* 0: 200 */
    const char *content_type; /* NULL: application/json */
    char *body;               /* owned (free), or */
    const void *static_body;  /* bytes that live as long as the program, or */
    int file;                 /* an open file of `length` bytes, taken over, where has_file, or */
    bool has_file;
    const http_stream_source *stream; /* a stream */
    void *stream_context;
    uint64_t length;
    size_t header_count;
    struct http_response_header {
        const char *name; /* static */
        char value[HTTP_HEADER_VALUE_SIZE];
    } headers[HTTP_MAXIMUM_HEADERS]; /* replace the dispatcher's own of the same name */
} http_response;

/* Takes over `document` (NULL: out of memory). */
void http_answer_json(http_response *response, int status, cJSON *document);
/* Adds a header; a value that does not fit or holds control characters is a defect (asserted). */
void http_answer_header(http_response *response, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Makes the response an RFC 9457 problem, discarding what it held. `errors` may be NULL. */
void http_answer_problem(http_response *response, int status, const problems *errors,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));
/* What a status of the program is in HTTP: GR_NOT_FOUND 404, GR_CONFLICT 409, … */
int http_status_of(gr_status status);
/* The problem that a status of the program stands for: GR_NOT_FOUND is 404, GR_CONFLICT 409, …. */
void http_answer_error(http_response *response, const gr_error *error);
void http_response_clear(http_response *response);
/* RFC 9110 §13: what If-Match and If-None-Match want of a thing with this strong entity tag (given
 * with its quotes). *status: 0: go on; 304: not changed (of a GET); 412: a precondition failed.
 * GR_INVALID for a header that is no list of entity tags. */
gr_status http_condition(const http_request *request, const char *etag, int *status,
                         gr_error *error);
/* Copies text for a message: what is not printable ASCII becomes "?", what does not fit is cut.
 * Returns `out`. */
const char *http_printable(const char *text, char *out, size_t size);

/* -- routes
 * ----------------------------------------------------------------------------------------- */
typedef struct http_parameter {
    const char *name, *help;
} http_parameter;

/* Answers a request: fills *response and returns GR_OK, or returns an error, of which the
 * dispatcher makes a problem. Several run at once, on the server's threads. */
typedef gr_status (*http_handler)(void *context, const http_request *request,
                                  http_response *response, gr_error *error);

/* What else is to be known of a route. Without one of the scopes, GET needs "read" and every other
 * method "submit". */
enum {
    HTTP_TAKES_JSON = 1, /* the body is a JSON document: other content types are 415 */
    HTTP_NEEDS_NOTHING = 2,
    HTTP_NEEDS_READ = 4,
    HTTP_NEEDS_ADMIN = 8,
    HTTP_TAKES_FILE = 16 /* the body is any bytes, received into a file, if its sender may */
};

typedef struct http_route {
    const char *method;
    const char
        *pattern; /* "/api/v1/experiments/{id}"; a last "{name*}" stands for the rest of any path */
    http_handler handler;
    const char *help; /* one line */
    const http_parameter
        *query;      /* what may be in the query, ended by a row without a name; NULL: nothing */
    unsigned traits; /* HTTP_TAKES_JSON | who may use it, or 0 */
} http_route;
http_scope http_route_scope(const http_route *route);

/* Finds the route of a request and fills request->parameters. NULL: none; then *status is 404, or
 * 405, or 204 for OPTIONS, with what Allow should say (empty for 404). Tables end with a row
 * without a method, the list with NULL. */
const http_route *http_find_route(const http_route *const *tables, http_request *request,
                                  int *status, char *allow, size_t allow_size);

/* -- who may ask
 * ------------------------------------------------------------------------------------ */
/* True where a Host header's value names this machine's loopback (any port) or `listen_host`
 * (without port or brackets): a name that a stranger's DNS made point here is refused. */
bool http_host_is_allowed(const char *host, const char *listen_host);
/* True where a Host header's value is a numeric address: no name that a stranger's DNS answers for.
 */
bool http_host_is_address(const char *host);
/* True where a Host header's value, without its port, is one of `names` (ended by NULL; may be
 * NULL). */
bool http_host_is_named(const char *host, const char *const *names);
/* True where an Origin header's value is the origin "http://" (or "https://") + host. */
bool http_origin_is_same(const char *origin, const char *host, bool tls);

/* -- the server
 * ------------------------------------------------------------------------------------- */
/* One request that has been answered: for logs and statistics. Borrowed. */
typedef struct http_record {
    const char *id;             /* also the answer's X-Request-Id */
    const char *method, *route; /* the route's pattern; "": none was found */
    const char *path;           /* printable, without the query */
    const char *address;        /* who asked */
    int status;                 /* 0: refused before it was a request (no valid HTTP, too long) */
    uint64_t bytes;             /* of the answer's body */
    double seconds;             /* from the end of its headers to the end of the answer */
    int64_t token;
    bool completed; /* false: the connection broke off */
    bool stream;    /* a response without a foreseeable end: its seconds say nothing */
} http_record;

typedef struct http_options {
    int listener;                    /* a listening socket; taken over, also on failure */
    const char *listen_host;         /* as in http_host_is_allowed; borrowed */
    const http_route *const *tables; /* borrowed */
    void *context;                   /* for the handlers */
    /* The rest may be NULL, false or 0. Borrowed for the server's life. */
    const char *const *host_names; /* further names of this server, as in http_host_is_named */
    bool any_address;              /* numeric addresses in Host are this server's too */
    const char *tls_certificate, *tls_key; /* PEM texts, both or neither */
    bool https; /* the origin of this server's pages is https: by the two above, or by a proxy */
    /* Says who asks; NULL: everybody may do everything. GR_INVALID: 401 with the message. */
    gr_status (*identify)(void *context, const http_request *request, http_identity *identity,
                          gr_error *error);
    void (*on_record)(void *context, const http_record *record); /* from the server's threads */
    size_t body_limit;                                           /* bytes of one body; 0: 1 MiB */
    const char *upload_folder; /* where files are received; NULL: none are taken */
    uint64_t upload_limit;     /* bytes of one file */
    /* 0 in each of these means its default. */
    int request_seconds;     /* bounds the time from the first byte of a request to the last, and
                                idleness; 30 */
    int stall_seconds;       /* a stream whose client takes nothing for so long is cut; 60 */
    int keep_alive_seconds;  /* 15 */
    int maximum_connections; /* 512 */
    int maximum_connections_per_address; /* further ones are 429; 64; loopback has no such limit */
    bool limit_loopback;                 /* … but where this is set (for tests) */
    int maximum_streams;                 /* further ones are 503; 256 */
} http_options;

/* Answers a parsed request with its route's handler, or with a problem. *route (may be NULL) is the
 * route that was found, or NULL. */
void http_dispatch(const http_options *options, http_request *request, http_response *answer,
                   const http_route **route);

/* The first half of it: whether the handler of the route that the request has would be asked. False
 * where the answer, which it fills, is one of the dispatcher. */
bool http_admit(const http_options *options, http_request *request, http_response *answer,
                const http_route **route);

typedef struct http_server http_server;
gr_status http_start(const http_options *options, http_server **server, gr_error *error);
/* Stops accepting, ends streams, lets requests that are being answered end (for two seconds), and
 * frees. */
void http_stop(http_server *server);

#endif
