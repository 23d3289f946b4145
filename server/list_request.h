/* What a request says of a list of experiments: filter, order, page, fields, form. */
#ifndef SERVER_LIST_REQUEST_H
#define SERVER_LIST_REQUEST_H

#include "server/api.h"

typedef enum list_format { LIST_AS_JSON, LIST_AS_CSV, LIST_AS_JSON_LINES } list_format;

typedef struct list_request {
    listing list; /* what it points to is below */
    list_format format;
    filter *filter;
    sort_key keys[FILTER_MAXIMUM_SORT_KEYS];
    list_place place;
    bool has_fields;
    field_pick picks[FILTER_MAXIMUM_FIELDS];
    size_t pick_count;
    bool has_limit;
    char fingerprint[17]; /* of all that a cursor belongs to */
} list_request;

enum { LIST_DEFAULT_PAGE = 50, LIST_MAXIMUM_PAGE = 500 };

/* The metrics that there are, for messages and checks; vocabulary_clear. */
gr_status vocabulary_read(store *store, filter_vocabulary *vocabulary, gr_error *error);
void vocabulary_clear(filter_vocabulary *vocabulary);

/* Reads the query. *wrong is true where the filter, sort or fields are wrong: *found says where.
 * Cleared on failure. */
gr_status list_request_read(struct api *api, const http_request *request, list_request *result,
                            bool *wrong, problems *found, gr_error *error);
void list_request_clear(list_request *request);
/* `from` is empty afterwards. */
void list_request_move(list_request *to, list_request *from);
/* The opaque text for the page that begins at `place`; owned by the caller, NULL without memory. */
char *list_cursor(const list_request *request, const list_place *place);

/* The query's parameters. */
extern const http_parameter list_query[];

#endif
