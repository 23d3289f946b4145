/* Filters and sort keys as SQL. */
#ifndef SERVER_STORE_QUERY_H
#define SERVER_STORE_QUERY_H

#include <stdio.h>

#include "server/store/internal.h"

enum { QUERY_MAXIMUM_JOINED = FILTER_MAXIMUM_SORT_KEYS + 1 };

/* SQL text under construction, with the values of its parameters in their order. */
typedef struct query {
    FILE *out;
    char *sql;
    size_t length;
    list_value *values; /* owned; texts are borrowed */
    size_t count, capacity;
    bool failed; /* for want of memory */
    /* Facts whose rows are joined to `experiments AS e`, as s0, s1, …: they need no search of their
     * own where a filter tests them. Borrowed; NULL: there is none of this number. */
    const char *joined[QUERY_MAXIMUM_JOINED];
} query;

/* Adds "?" and its value. */
void query_bind(query *to, const list_value *value);
void query_bind_number(query *to, double number);
void query_bind_text(query *to, const char *text);

/* The number of the joined row of this fact; -1: it is not joined. */
int query_joined(const query *to, const char *name);
/* Adds a condition on `experiments AS e`: 0 or 1, never NULL. */
void query_filter(query *to, const filter *tree);
/* Adds the value of a field, NULL where it is not there (or NaN): a member's, or that of a fact
 * that is joined. */
void query_field(query *to, const filter_field *field);
/* Whether the filter holds only where this fact has a value in a range, or one of some values. */
bool query_bounds(const filter *tree, const char *name);
/* Adds " AND " and a condition for each test of this fact that must hold, in the form that an index
 * on "s<number>.value" is entered by. */
void query_add_bounds(query *to, const filter *tree, const char *name, int number);
/* Adds "(the name's number)". */
void query_name(query *to, const char *name);

#endif
