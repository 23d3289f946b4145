/* A study: a sweep with the tables and figures that are made of it. A definition is a JSON file
 * (docs/studies.md); the paper's are part of the program. What the files below need of each other.
 */
#ifndef SERVER_STUDY_H
#define SERVER_STUDY_H

#include <stdio.h>

#include "server/client.h"

typedef struct study {
    char name[64];
    char folder[512];  /* where the tables and figures go */
    cJSON *document;   /* owned: the definition */
    cJSON *sweep;      /* owned: the sweep, in the wanted size */
    const cJSON *size; /* the patches of that size; NULL: the full size */
} study;

/* -- definitions (study_definition.c) -- */

/* Every built-in study, a line each. */
gr_status study_list(FILE *out, gr_error *error);
/* `what`: a built-in study's name, or a file (it ends with ".json"). `size`: NULL, or one of its
 * sizes. GR_NOT_FOUND, GR_INVALID. The study is to be cleared in any case. */
gr_status study_load(const char *what, const char *size, study *of, gr_error *error);
void study_clear(study *of);

/* The second sweep of a study with "final", from the table of the first, whose rows are the labels
 * of the axis "final/axis": of the labels "GROUP: …" of each group the best of each column.
 * `chosen` takes a CSV of what was chosen. *sweep is owned by the caller. */
gr_status study_final_sweep(const study *of, const cJSON *table, FILE *chosen, cJSON **sweep,
                            gr_error *error);

/* -- what comes out -- */

/* Writes `text` (NULL: memory was short) as a file of the study's folder. */
gr_status study_write(const study *of, const char *name, const char *extension, const char *text,
                      gr_error *error);
/* "text" of a member, or `otherwise`. */
const char *study_text(const cJSON *object, const char *name, const char *otherwise);
/* The value that a cell of a sweep's table has at a seed; NaN: none. */
double study_at_seed(const cJSON *cell, double seed);
/* The table that a definition's "tables" or "figures" item names, as JSON (owned). */
gr_status study_table(client *server, int64_t sweep, const cJSON *item, cJSON **table,
                      gr_error *error);
/* The same in a form for people, as text (free). */
gr_status study_table_text(client *server, int64_t sweep, const cJSON *item, const char *format,
                           char **text, gr_error *error);

/* How many experiments of a study have ended, and what they took in all. */
typedef struct study_cost {
    double experiments, elapsed_seconds, cpu_seconds, iterations;
} study_cost;

/* Adds a line for each experiment of the sweep that has ended to experiments.csv (study_records.c),
 * with every metric that a table of the study shows. `role`: "sweep", "tuning" or "final". The
 * first call writes the header. */
gr_status study_records(const study *of, client *server, int64_t sweep, const char *role,
                        const cJSON *spec, FILE *out, study_cost *cost, gr_error *error);

/* Writes the table of an item with "metrics", a column for each (study_measures.c), and prints it
 * if `print`. */
gr_status study_measures(const study *of, client *server, int64_t sweep, const cJSON *item,
                         bool print, gr_error *error);

/* Writes claims.md: what the definition's "claims" say, and whether the sweep bears it out
 * (study_claims.c). Nothing where there are none. */
gr_status study_claims(const study *of, client *server, int64_t sweep, gr_error *error);
/* The same of a table in JSON; *text: free, also after an error. */
gr_status study_claims_text(const cJSON *claims, const cJSON *table, char **text, gr_error *error);

/* The SVG of a figure (free), of a table in JSON (study_figures.c): kinds "dots", "curves" and
 * "map". GR_INVALID for another kind. */
gr_status study_figure(const cJSON *item, const cJSON *table, char **svg, gr_error *error);
/* The kind "fits" (study_fits.c): writes the figures and a CSV of the classical smoothers. */
gr_status study_fits(const study *of, client *server, int64_t sweep, const cJSON *item,
                     gr_error *error);
/* The kind "norms" (study_norms.c): writes the figures FILE and FILE_ratio, and FILE.csv of what
 * they show of each experiment. */
gr_status study_norms(const study *of, client *server, int64_t sweep, const cJSON *item,
                      gr_error *error);

#endif
