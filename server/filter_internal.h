/* What the files of the filter language share: tokens, and what a field's segments may be. */
#ifndef SERVER_FILTER_INTERNAL_H
#define SERVER_FILTER_INTERNAL_H

#include "server/filter.h"

typedef enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* a keyword, or a field: its segments */
    TOKEN_NUMBER, /* Infinity and -Infinity too */
    TOKEN_TEXT,
    TOKEN_SIGN /* ( ) , = == != <> < <= > >= - */
} token_kind;

enum { MAXIMUM_SEGMENTS = 16, SEGMENT_SIZE = 128 };

typedef struct segment {
    size_t column;
    bool quoted;
    char text[SEGMENT_SIZE];
} segment;

typedef struct token {
    token_kind kind;
    size_t column; /* of its first character */
    char sign[3];
    double number;
    char *text; /* TOKEN_TEXT: owned */
    segment segments[MAXIMUM_SEGMENTS];
    size_t segment_count;
} token;

typedef struct lexer {
    const char *rest;
    size_t column; /* of `rest`, in characters */
    filter_problem *problem;
} lexer;

/* Fills the problem; returns GR_INVALID. */
gr_status filter_fail(filter_problem *problem, size_t column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next token; frees the text that `next` held. */
gr_status lexer_next(lexer *from, token *next);
/* How a message calls a token: `"x"`, `the end`. Returns `out`. */
const char *token_shown(const token *one, char *out, size_t size);
/* Whether it is this keyword (given in capitals). */
bool token_is_word(const token *one, const char *keyword);

/* What a word of one or more segments names. GR_INVALID points at the segment that names nothing.
 */
gr_status filter_resolve(const token *word, const filter_vocabulary *vocabulary,
                         filter_field *field, filter_problem *problem);
/* The same of a spec's path, from its second segment on. */
gr_status filter_resolve_parameter(const token *word, filter_field *field, filter_problem *problem);
/* Appends ".part" to a name. GR_INVALID where that is too long. */
gr_status filter_name_append(filter_field *field, const segment *part, filter_problem *problem);
/* "there is no field X", with the nearest of the names, or all of them. */
gr_status filter_unknown(filter_problem *problem, const segment *where, const char *what,
                         const char *const *names, size_t count);
/* RFC 3339, or a date alone (its first moment, UTC), in milliseconds since 1970. */
bool filter_time(const char *text, double *milliseconds);

#endif
