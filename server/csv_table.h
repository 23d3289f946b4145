/* A list of experiments as CSV (RFC 4180): a header, and a line for each. Numbers read back to the
 * same bits, what is not there is empty, true and false stand as such. A text that a spreadsheet
 * would take for a formula has an apostrophe before it. */
#ifndef SERVER_CSV_TABLE_H
#define SERVER_CSV_TABLE_H

#include <stdio.h>

#include "server/api.h"

typedef struct csv_table csv_table;

/* The columns: what is picked, a whole group (tags, metrics, best) standing for all of it that
 * `names` (facts, in order) has; without picks the usual members and all of `names`. NULL without
 * memory. */
csv_table *csv_table_create(const field_pick *picks, size_t pick_count, char *const *names,
                            size_t name_count);
void csv_table_free(csv_table *table); /* NULL is allowed */
/* Whether the columns depend on what there is. */
bool csv_table_needs_names(const field_pick *picks, size_t pick_count);

void csv_table_header(const csv_table *table, FILE *out);
/* False without memory. */
bool csv_table_line(csv_table *table, const experiment *from, FILE *out);

#endif
