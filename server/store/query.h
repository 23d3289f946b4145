/* Filters and sort keys as SQL. */
#ifndef SERVER_STORE_QUERY_H
#define SERVER_STORE_QUERY_H

#include <stdio.h>

#include "server/store/internal.h"

/* SQL text under construction, with the values of its parameters in their order. */
typedef struct query {
    FILE *out;
    char *sql;
    size_t length;
    list_value *values; /* owned; texts are borrowed */
    size_t count, capacity;
    bool failed; /* for want of memory */
} query;

/* Adds "?" and its value. */
void query_bind(query *to, const list_value *value);
void query_bind_number(query *to, double number);
void query_bind_text(query *to, const char *text);

/* Adds a condition on `experiments AS e`: 0 or 1, never NULL. */
void query_filter(query *to, const filter *tree);
/* Adds the value of a field, NULL where it is not there (or NaN). */
void query_field(query *to, const filter_field *field);

#endif
