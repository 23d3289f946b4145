/* The language in which lists are filtered and sorted (docs/api.md): from text to a tree, with
 * errors that name the column. It knows what may be named, and nothing of where it is stored.
 *
 *   expression = term { OR term };  term = factor { AND factor };  factor = [ NOT ] primary
 *   primary    = "(" expression ")" | field test
 *   test       = ( = | == | != | <> | < | <= | > | >= ) value
 *              | [ NOT ] IN "(" value { "," value } ")" | [ NOT ] BETWEEN value AND value
 *              | [ NOT ] LIKE text | IS [ NOT ] ( NULL | NAN )
 *   field      = name { "." ( name | digits | text ) };  value = number | text | TRUE | FALSE
 *
 * Keywords are taken in any case. A text stands in " or ', and the quote that it stands in is
 * doubled within. */
#ifndef SERVER_FILTER_H
#define SERVER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradreg/status.h"

enum {
    FILTER_MAXIMUM_BYTES = 4096,
    FILTER_MAXIMUM_DEPTH = 32,  /* of parentheses and NOT */
    FILTER_MAXIMUM_TERMS = 200, /* tests, and values of IN */
    FILTER_MAXIMUM_SORT_KEYS = 4,
    FILTER_MAXIMUM_FIELDS = 64,
    FILTER_NAME_SIZE = 256
};

/* -- what can be named
 * ------------------------------------------------------------------------------------------ */

/* An experiment's own members. */
typedef enum filter_member {
    MEMBER_ID,
    MEMBER_NAME,
    MEMBER_STATE,
    MEMBER_PRIORITY,
    MEMBER_ATTEMPT,
    MEMBER_SWEEP,
    MEMBER_ARM, /* of the sweep */
    MEMBER_CREATED_AT,
    MEMBER_STARTED_AT,
    MEMBER_FINISHED_AT,
    MEMBER_ELAPSED_SECONDS,
    MEMBER_FACT /* none of them: a fact of this name (facts.h), or a metric's value */
} filter_member;

typedef enum filter_type {
    TYPE_NUMBER,
    TYPE_TEXT,
    TYPE_STATE,
    TYPE_TIME, /* milliseconds since 1970, written as a text */
    TYPE_ANY   /* of params: number, text or boolean, whatever the spec has there */
} filter_type;

typedef struct filter_field {
    filter_member member;
    filter_type type;
    bool is_metric;              /* its fact is indexed by value */
    char name[FILTER_NAME_SIZE]; /* "params.…", "tags.…", "metrics.…"; or the member's own */
} filter_field;

/* The metrics that there are, beside those that every training has. */
typedef struct filter_vocabulary {
    const char *const *metrics;
    size_t metric_count;
} filter_vocabulary;

/* -- the tree
 * ------------------------------------------------------------------------------------------ */

typedef struct filter_value {
    bool is_text;
    double number; /* a time: milliseconds since 1970 */
    char *text;    /* owned; NULL: a number */
} filter_value;

typedef enum filter_kind {
    FILTER_AND,
    FILTER_OR,
    FILTER_NOT, /* left alone */
    FILTER_EQUAL,
    FILTER_UNEQUAL,
    FILTER_LESS,
    FILTER_LESS_OR_EQUAL,
    FILTER_GREATER,
    FILTER_GREATER_OR_EQUAL,
    FILTER_IN,
    FILTER_BETWEEN, /* both ends included */
    FILTER_LIKE,    /* % any characters, _ one; \ before them: themselves */
    FILTER_IS_NULL, /* it is not there */
    FILTER_IS_NAN
} filter_kind;

/* A test is true or false, never unknown: what is not there, and a NaN, pass none but IS. */
typedef struct filter {
    filter_kind kind;
    struct filter *left, *right; /* of AND, OR, NOT; owned */
    filter_field field;          /* of tests */
    filter_value *values;        /* owned */
    size_t value_count;
} filter;

typedef struct sort_key {
    filter_field field;
    bool descending;
} sort_key;

/* Where a text is wrong: its column in characters, from 1. */
typedef struct filter_problem {
    size_t column;
    char detail[GR_MESSAGE_SIZE];
} filter_problem;

/* *result is owned by the caller (filter_free). GR_INVALID fills *problem; GR_OUT_OF_MEMORY. */
gr_status filter_parse(const char *text, const filter_vocabulary *vocabulary, filter **result,
                       filter_problem *problem);
void filter_free(filter *tree); /* NULL is allowed */

/* "-metrics.test_accuracy, name": at most FILTER_MAXIMUM_SORT_KEYS keys. */
gr_status filter_parse_sort(const char *text, const filter_vocabulary *vocabulary,
                            sort_key keys[FILTER_MAXIMUM_SORT_KEYS], size_t *count,
                            filter_problem *problem);

/* One name or path of a list of them, as `fields` has it: members of an experiment that are no
 * field of this language are taken too, as their name with `is_member`. */
typedef struct field_pick {
    bool is_member;
    filter_field field; /* where is_member: only its name */
} field_pick;
/* `members` (ended by NULL) are the names beside this language's own. At most
 * FILTER_MAXIMUM_FIELDS. */
gr_status filter_parse_fields(const char *text, const filter_vocabulary *vocabulary,
                              const char *const *members, field_pick picks[FILTER_MAXIMUM_FIELDS],
                              size_t *count, filter_problem *problem);

#endif
