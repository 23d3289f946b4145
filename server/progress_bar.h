/* A training's progress as one line of text, for the commands that show it in a terminal. */
#ifndef SERVER_PROGRESS_BAR_H
#define SERVER_PROGRESS_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct progress_bar {
    const char *label; /* "#12 LeNet, DataGrad": cut where the line is short */
    const char *state; /* "running", …; NULL: not shown */
    int64_t iteration, iterations;
    double iterations_per_second; /* 0: not known */
    double eta_seconds;           /* NaN: not known */
    double loss, accuracy;        /* the latest; NaN: not known */
} progress_bar;

/* Writes at most `columns` columns (>= 40) of text without an end of line; returns `out`. What
 * comes from elsewhere (the label) loses its control characters. */
const char *progress_bar_line(const progress_bar *bar, int columns, char *out, size_t size);
/* "1:02:03", "2:03" or "-" for NaN. */
const char *progress_bar_time(double seconds, char out[24]);
/* The terminal's width, 80 where it is not known; 0 where `file` is no terminal. */
int progress_bar_columns(FILE *file);

/* Draws bars one below the other, over those that it drew before. `drawn` holds the number of lines
 * on the screen: 0 at first. */
void progress_bar_draw(FILE *terminal, const progress_bar *bars, size_t count, int *drawn);

#endif
