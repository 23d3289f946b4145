/* Fields of CSV files (RFC 4180). */
#ifndef SERVER_CSV_H
#define SERVER_CSV_H

#include <stdio.h>

/* In quotation marks where it has to be. A text that a spreadsheet would take for a formula, and
 * that is no number, has an apostrophe before it. */
void csv_put_text(FILE *out, const char *text);
/* Reads back to the same bits; nothing for NaN. */
void csv_put_number(FILE *out, double value);

#endif
