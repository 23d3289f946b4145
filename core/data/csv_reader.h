/* Comma-separated values (RFC 4180): rows of cells, the first of which is the header by convention
 * of the caller. */
#ifndef CORE_DATA_CSV_READER_H
#define CORE_DATA_CSV_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradreg/status.h"

enum { GR_CSV_MAXIMUM_COLUMNS = 65536 };

/* Reads in place: cells are NUL-terminated within the content, which is changed for that. Zeroed,
 * it may be ended. */
typedef struct gr_csv {
    const char *name; /* for messages; borrowed */
    char *at, *end;
    char delimiter;
    int64_t line;     /* that `at` is in, from 1 */
    char **cells;     /* [count]: of the row that was read last; they stay valid with the content */
    int64_t count;    /* of cells */
    int64_t row_line; /* where that row begins */
    int64_t capacity;
} gr_csv;

/* `content` has `count` bytes and one more that may be overwritten. A UTF-8 byte order mark is
 * skipped. */
void gr_csv_begin(gr_csv *csv, const char *name, uint8_t *content, size_t count, char delimiter);

/* The next row into csv->cells; *there is false at the end. Cells in quotes may hold delimiters,
 * line ends and doubled quotes; spaces around other cells are dropped. Lines end with LF or CRLF.
 * Empty lines are allowed at the end only. GR_CORRUPT (with file and line), GR_OUT_OF_MEMORY. */
gr_status gr_csv_next(gr_csv *csv, bool *there, gr_error *error);

void gr_csv_end(gr_csv *csv);

/* Whether a cell is a decimal number that float32 can hold ("-1.5e3"; no hexadecimal, no infinity).
 */
bool gr_csv_number(const char *cell, double *number);

#endif
