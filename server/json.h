/* JSON for the server: cJSON with the strictness that it lacks. */
#ifndef SERVER_JSON_H
#define SERVER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "gradreg/status.h"

/* One thing wrong with a document; pointer is an RFC 6901 JSON Pointer ("" is the whole document).
 */
typedef struct problem {
    char pointer[GR_PLACE_SIZE];
    const char *parameter; /* of the query, in the place of the pointer; static; NULL: none */
    size_t column;         /* of a text within which it is, in characters from 1; 0: none */
    char detail[GR_MESSAGE_SIZE];
} problem;

/* All that is wrong with a document, in document order; at most MAXIMUM_PROBLEMS are kept and the
 * count goes on. */
enum { MAXIMUM_PROBLEMS = 100 };
typedef struct problems {
    size_t count; /* found; items[0 … min(count, kept)-1] are described */
    size_t kept;
    problem *items; /* owned */
} problems;

void problems_add(problems *problems, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The last problem that was added is in this column of a text, and (where `parameter` is not NULL)
 * in that parameter of the query. */
void problems_locate(problems *problems, const char *parameter, size_t column);
void problems_clear(problems *problems);

/* Parses strict JSON (RFC 8259): valid UTF-8, no \u0000, no trailing text, nesting <= 64, and
 * numbers in range. GR_INVALID with line and column for what is not JSON. Duplicate members are
 * legal here; the spec parser reports them. *document is owned by the caller (cJSON_Delete). */
gr_status json_parse(const char *text, size_t length, cJSON **document, gr_error *error);

/* The one way a double becomes JSON: 17 significant digits where they are needed (shortest of 15…17
 * that reads back equal); NaN and infinities become the strings "NaN", "Infinity", "-Infinity".
 * NULL without memory. */
cJSON *json_number(double value);
cJSON *json_integer(int64_t value);
/* The same as texts, for what is written without a document: what is not finite without quotes. The
 * result begins somewhere in `text`. */
enum { JSON_NUMBER_SIZE = 32 };
const char *json_number_text(double value, char text[JSON_NUMBER_SIZE]);
const char *json_integer_text(int64_t value, char text[JSON_NUMBER_SIZE]);
/* "NaN", "Infinity", "-Infinity": what stands for a value that is not finite, in quotes. */
const char *json_not_finite(double value);
/* The inverse, accepting the three strings. False where item is neither. */
bool json_to_double(const cJSON *item, double *value);
/* Compact text, owned by the caller (free); NULL without memory. */
char *json_text(const cJSON *document);
/* Indented text for people, owned by the caller (free). */
char *json_pretty_text(const cJSON *document);
/* Adds `item`, taken over also where that fails; NULL: out of memory. */
bool json_put(cJSON *object, const char *name, cJSON *item);
bool json_append(cJSON *list, cJSON *item);
/* Puts `item` (taken over; NULL: out of memory) into the object, in the place of a member of that
 * name if there is one. False without memory, and then the object is not to be used. (cJSON's own
 * replacing goes on without a name where there is no memory for it.) */
bool json_set(cJSON *object, const char *name, cJSON *item);

/* Documents are built by many small allocations, and one that failed leaves a document that lacks a
 * member. After json_watch_memory (once, before there are threads) each thread remembers whether
 * one has failed since json_memory_forget: what it has built since then is worth nothing. */
void json_watch_memory(void);
void json_memory_forget(void);
bool json_memory_failed(void);
/* RFC 3339 UTC with milliseconds ("2026-01-31T12:00:00.000Z") from milliseconds since 1970. */
void json_time(int64_t milliseconds, char text[32]);

#endif
