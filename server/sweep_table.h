/* A sweep's table: for each cell the statistics over its seeds, and its comparison to a baseline.
 */
#ifndef SERVER_SWEEP_TABLE_H
#define SERVER_SWEEP_TABLE_H

#include <stdio.h>

#include "server/sample_statistics.h"
#include "server/sweep_check.h"

/* What a request may say; NULL and 0: as the sweep says, or by default. */
typedef struct table_request {
    const char *rows, *columns; /* names of axes, separated by commas; "arm": each arm */
    const char *metric;
    const char *baseline;  /* {"axis": "label", …}, or axis:label,…; "": none */
    const char *direction; /* "higher" or "lower" is better */
    double confidence;
} table_request;

typedef struct table_cell {
    size_t row, column;
    int64_t arm;                 /* -1: no arm is here */
    int64_t counts[STATE_COUNT]; /* of its experiments */
    int64_t not_finite;          /* succeeded, but the metric is NaN, infinite or missing */
    const double *values;        /* of those that succeeded, by seed; borrowed from the table */
    const int64_t *seeds;
    sample_summary summary;
    int64_t baseline_arm;  /* -1: none; its own: it is the baseline */
    int64_t missing_pairs; /* seeds that only one of the two has a value of */
    paired_test test;
    double p_holm;
    const char *verdict; /* "better", "worse", "higher", "lower", "inconclusive", "baseline"; NULL:
                            none */
} table_cell;

typedef struct sweep_table {
    char *metric;
    double confidence;
    sweep_direction direction;
    char **row_labels, **column_labels;
    size_t row_count, column_count;
    char row_axes[256], column_axes[256]; /* their names, joined by ", " */
    table_cell *cells;                    /* those that have an arm, by row and column */
    size_t cell_count, family;            /* family: tests that Holm's correction counts */
    cJSON *baseline;                      /* owned; NULL: none */
    double *values;
    int64_t *seeds;
} sweep_table;

/* GR_INVALID names the query parameter that is wrong. */
gr_status sweep_table_make(store *store, int64_t sweep, const table_request *request,
                           sweep_table *table, gr_error *error);
void sweep_table_clear(sweep_table *table);

/* For an "until" rule: the same cells, each arm one row, from results that are there already. */
gr_status sweep_table_of(const sweep_plan *plan, const sweep_arm_row *arms, size_t arm_count,
                         const sweep_result *results, size_t result_count,
                         const table_request *request, sweep_table *table, gr_error *error);

/* -- forms (sweep_table_text.c); NULL without memory -- */
cJSON *sweep_table_json(const sweep_table *table, int64_t sweep, const sweep_arm_row *arms);
char *sweep_table_csv(const sweep_table *table);
/* What a cell shows in the forms for people. */
typedef enum table_statistic {
    TABLE_MEAN,           /* mean ± half of its interval's width */
    TABLE_MEAN_DEVIATION, /* mean ± standard deviation */
    TABLE_MEDIAN,
    TABLE_INTERQUARTILE /* interquartile mean with its interval */
} table_statistic;
char *sweep_table_markdown(const sweep_table *table, table_statistic statistic);
char *sweep_table_latex(const sweep_table *table, table_statistic statistic);
/* Decimals of a number for people: two of a percentage, of others as many as show two digits of its
 * spread. */
int sweep_table_decimals(bool percent, double spread);
/* A text with what means something in Markdown or LaTeX escaped. */
void sweep_table_put_label(FILE *out, bool latex, const char *text);

#endif
