#include "core/data/csv_reader.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/file_content.h"

void gr_csv_begin(gr_csv *csv, const char *name, uint8_t *content, size_t count, char delimiter) {
    *csv = (gr_csv){.name = name,
                    .at = (char *)content,
                    .end = (char *)content + count,
                    .delimiter = delimiter,
                    .line = 1};
    if (count >= 3 && memcmp(content, "\xef\xbb\xbf", 3) == 0) csv->at += 3;
}

void gr_csv_end(gr_csv *csv) {
    free(csv->cells);
    *csv = (gr_csv){0};
}

/* Length of the line end at csv->at: 0 where there is none. */
static int line_end(const gr_csv *csv) {
    if (csv->at < csv->end && *csv->at == '\n') return 1;
    return csv->end - csv->at >= 2 && csv->at[0] == '\r' && csv->at[1] == '\n' ? 2 : 0;
}

static gr_status add_cell(gr_csv *csv, char *cell, gr_error *error) {
    if (csv->count == GR_CSV_MAXIMUM_COLUMNS)
        return gr_fail(error, GR_CORRUPT, "%s, line %lld: more than %d columns",
                       gr_path_shown(csv->name), (long long)csv->line, GR_CSV_MAXIMUM_COLUMNS);
    if (csv->count == csv->capacity) {
        int64_t capacity = csv->capacity ? 2 * csv->capacity : 64;
        char **cells = realloc(csv->cells, (size_t)capacity * sizeof *cells);
        if (!cells)
            return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for a row",
                           gr_path_shown(csv->name));
        csv->cells = cells;
        csv->capacity = capacity;
    }
    csv->cells[csv->count++] = cell;
    return GR_OK;
}

static gr_status no_nul(const gr_csv *csv, char character, gr_error *error) {
    if (character) return GR_OK;
    return gr_fail(error, GR_CORRUPT, "%s, line %lld: a zero byte: this is no text file",
                   gr_path_shown(csv->name), (long long)csv->line);
}

/* Behind its opening quote. *cell_end is where the cell's NUL has to go. */
static gr_status quoted_cell(gr_csv *csv, char **cell_end, gr_error *error) {
    const int64_t first_line = csv->line;
    char *to = csv->at;
    for (;;) {
        if (csv->at == csv->end)
            return gr_fail(error, GR_CORRUPT,
                           "%s, line %lld: a quoted cell begins here and does not end",
                           gr_path_shown(csv->name), (long long)first_line);
        char character = *csv->at++;
        GR_TRY(no_nul(csv, character, error));
        if (character == '"') {
            if (csv->at == csv->end || *csv->at != '"') break;
            csv->at++;
        } else if (character == '\n') {
            csv->line++;
        }
        *to++ = character;
    }
    *cell_end = to;
    if (csv->at == csv->end || *csv->at == csv->delimiter || line_end(csv)) return GR_OK;
    return gr_fail(error, GR_CORRUPT,
                   "%s, line %lld: text follows the closing quote of a cell (a quote within a "
                   "quoted cell is doubled)",
                   gr_path_shown(csv->name), (long long)csv->line);
}

static bool blank(char character) {
    return character == ' ' || character == '\t';
}

static gr_status plain_cell(gr_csv *csv, char **begin, char **cell_end, gr_error *error) {
    for (; csv->at < csv->end && *csv->at != csv->delimiter && !line_end(csv); csv->at++) {
        GR_TRY(no_nul(csv, *csv->at, error));
        if (*csv->at == '"')
            return gr_fail(error, GR_CORRUPT,
                           "%s, line %lld: a quote within a cell that does not begin with one",
                           gr_path_shown(csv->name), (long long)csv->line);
        if (*csv->at == '\r')
            return gr_fail(error, GR_CORRUPT,
                           "%s, line %lld: a carriage return without a line feed: lines have to "
                           "end with LF or CRLF",
                           gr_path_shown(csv->name), (long long)csv->line);
    }
    *cell_end = csv->at;
    while (*begin < *cell_end && blank(**begin)) ++*begin;
    while (*cell_end > *begin && blank((*cell_end)[-1])) --*cell_end;
    return GR_OK;
}

/* Skips empty lines, which may only be the last ones. */
static gr_status skip_empty(gr_csv *csv, gr_error *error) {
    const int64_t first = csv->line;
    for (int length; (length = line_end(csv)) > 0; csv->line++) csv->at += length;
    if (csv->line == first || csv->at == csv->end) return GR_OK;
    return gr_fail(error, GR_CORRUPT, "%s, line %lld: is empty, but lines with cells follow",
                   gr_path_shown(csv->name), (long long)first);
}

gr_status gr_csv_next(gr_csv *csv, bool *there, gr_error *error) {
    csv->count = 0;
    GR_TRY(skip_empty(csv, error));
    csv->row_line = csv->line;
    *there = csv->at < csv->end;
    while (*there) {
        char *begin = csv->at, *cell_end = csv->at;
        if (csv->at < csv->end && *csv->at == '"') {
            begin = ++csv->at;
            GR_TRY(quoted_cell(csv, &cell_end, error));
        } else {
            GR_TRY(plain_cell(csv, &begin, &cell_end, error));
        }
        GR_TRY(add_cell(csv, begin, error));
        const int length = line_end(csv);
        const bool more = csv->at < csv->end && length == 0; /* at a delimiter */
        csv->at += more ? 1 : length;
        csv->line += length > 0;
        *cell_end = 0; /* now that what stood there has been looked at */
        if (!more) break;
    }
    return GR_OK;
}

bool gr_csv_number(const char *cell, double *number) {
    const char *at = cell + (*cell == '-' || *cell == '+');
    const size_t whole = strspn(at, "0123456789");
    at += whole;
    size_t fraction = 0;
    if (*at == '.') {
        fraction = strspn(++at, "0123456789");
        at += fraction;
    }
    if (whole + fraction == 0) return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        const size_t exponent = strspn(at, "0123456789");
        if (exponent == 0) return false;
        at += exponent;
    }
    if (*at) return false;
    *number = strtod(cell, NULL); /* the program stays in the C locale */
    return fabs(*number) <= FLT_MAX;
}
