/* Figures as SVG, for paper and screen: panels with axes, and marks in them. Units are CSS pixels;
 * fonts are the reader's sans-serif, so widths of texts are estimates. */
#ifndef SERVER_FIGURE_H
#define SERVER_FIGURE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct figure figure;

/* NULL without memory, which every function below takes and ignores: only figure_finish tells. */
figure *figure_create(double width, double height, const char *description);
/* Ends the figure and frees it: the SVG (free), or NULL where memory was short. */
char *figure_finish(figure *of);

/* -- scales -- */

typedef struct figure_scale {
    double low, high;  /* of the data */
    bool logarithmic;  /* low > 0 then */
    double begin, end; /* where these are on paper */
} figure_scale;

/* Where a value is on paper; NaN where it cannot be (NaN, or not above 0 on a logarithm). */
double figure_place(const figure_scale *scale, double value);
/* Widens low … high by `share` of it on both sides; a scale without extent gets one. */
void figure_widen(figure_scale *scale, double share);
enum { FIGURE_MAXIMUM_TICKS = 24 };
/* Round numbers within the scale, about `wanted` of them (1, 2 or 5 times a power of ten; powers of
 * ten, and 2 and 5 times them where there are few, on a logarithm). Returns how many. */
size_t figure_ticks(const figure_scale *scale, int wanted, double ticks[FIGURE_MAXIMUM_TICKS]);

/* -- colours -- */

/* The i-th of eight that can be told apart also by the colour-blind (Okabe and Ito 2008). */
const char *figure_colour(size_t index);
typedef char figure_colour_text[8];
/* "#rrggbb" from dark blue (0) over green to yellow (1), even in lightness (viridis). */
const char *figure_gradient(double share, figure_colour_text out);

/* -- panels -- */

typedef struct figure_panel {
    double left, top, width, height;
    figure_scale x, y;                     /* begin and end are set by figure_panel_begin */
    const char *title, *x_label, *y_label; /* NULL: none */
    bool no_x_ticks, no_y_ticks, no_grid;
    const double *x_ticks; /* NULL: figure_ticks */
    size_t x_tick_count;
} figure_panel;

/* Draws axes, ticks, grid and labels; marks until figure_panel_end are cut off at its border. */
void figure_panel_begin(figure *of, figure_panel *panel);
void figure_panel_end(figure *of);

/* -- marks, in places on paper; those that are not finite are left out -- */

typedef struct figure_point {
    double x, y;
} figure_point;
typedef enum figure_anchor { FIGURE_START, FIGURE_MIDDLE, FIGURE_END } figure_anchor;

/* Dashed: "4 3"; NULL: not. A line is broken where a point is missing. */
void figure_line(figure *of, const figure_point *points, size_t count, const char *colour,
                 double width, const char *dashes);
/* Between two curves. */
void figure_band(figure *of, const figure_point *upper, const figure_point *lower, size_t count,
                 const char *colour);
void figure_dot(figure *of, double x, double y, double radius, const char *colour, double opacity);
void figure_box(figure *of, double left, double top, double width, double height,
                const char *colour);
void figure_text(figure *of, double x, double y, figure_anchor anchor, double size,
                 const char *colour, const char *text);
/* An estimate. */
double figure_text_width(const char *text, double size);

#endif
