/* Figures of a sweep's table: means with their intervals as dots, curves over an axis, maps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/figure.h"
#include "server/study.h"

#define GREY "#777777"

/* -- the table
 * ----------------------------------------------------------------------------------------- */

typedef struct chart {
    const cJSON *item, *cells, *rows, *columns; /* labels of rows and columns */
    int row_count, column_count;
    double factor; /* accuracies are shown in per cent */
    char metric[120];
    double confidence;
    int seeds; /* the most that a cell has */
} chart;

static double number(const cJSON *object, const char *name) {
    double value;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item && json_to_double(item, &value) ? value : NAN;
}

/* NaN where there is no interval. */
static double bound(const cJSON *object, int which) {
    double value;
    const cJSON *band = cJSON_GetObjectItemCaseSensitive(object, "interval");
    const cJSON *item = cJSON_IsArray(band) ? cJSON_GetArrayItem(band, which) : NULL;
    return item && json_to_double(item, &value) ? value : NAN;
}

static const cJSON *labels_of(const cJSON *table, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(table, name),
                                            "labels");
}

static const char *label(const cJSON *list, int index) {
    const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(list, index));
    return text ? text : "";
}

static chart read_table(const cJSON *item, const cJSON *table) {
    chart of = {.item = item,
                .cells = cJSON_GetObjectItemCaseSensitive(table, "cells"),
                .rows = labels_of(table, "rows"),
                .columns = labels_of(table, "columns"),
                .factor = 1,
                .confidence = number(table, "confidence")};
    of.row_count = cJSON_GetArraySize(of.rows);
    of.column_count = cJSON_GetArraySize(of.columns);
    const char *metric = study_text(table, "metric", "");
    const bool accuracy = strstr(metric, "accuracy") != NULL;
    if (accuracy) of.factor = 100;
    snprintf(of.metric, sizeof of.metric, "%.100s%s", metric, accuracy ? " in %" : "");
    for (char *c = of.metric; *c; c++)
        if (*c == '_') *c = ' ';
    const cJSON *cell;
    cJSON_ArrayForEach(cell, of.cells) of.seeds = (int)fmax(of.seeds, number(cell, "n"));
    return of;
}

static const cJSON *cell_at(const chart *of, int row, int column) {
    const cJSON *cell;
    cJSON_ArrayForEach(cell, of->cells) {
        if ((int)number(cell, "row") == row && (int)number(cell, "column") == column) return cell;
    }
    return NULL;
}

static void extend(figure_scale *scale, double value) {
    if (!isfinite(value)) return;
    if (isnan(scale->low) || value < scale->low) scale->low = value;
    if (isnan(scale->high) || value > scale->high) scale->high = value;
}

/* A scale that nothing extended is 0 … 1. */
static void finish_scale(figure_scale *scale, double share) {
    if (isnan(scale->low)) *scale = (figure_scale){.low = 0, .high = 1};
    figure_widen(scale, share);
}

static double widest(const cJSON *list, double size) {
    double width = 0;
    const cJSON *one;
    cJSON_ArrayForEach(one, list) width = fmax(width, figure_text_width(one->valuestring, size));
    return width;
}

/* -- dots: a line for each row, a panel for each column
 * ------------------------------------------------- */

enum { ROW_HEIGHT = 30, DOT_TOP = 34, DOT_BOTTOM = 84 };

static const char *verdict_colour(const cJSON *cell) {
    const char *verdict = study_text(cell, "verdict", "");
    if (strcmp(verdict, "better") == 0 || strcmp(verdict, "higher") == 0) return figure_colour(1);
    if (strcmp(verdict, "worse") == 0 || strcmp(verdict, "lower") == 0) return figure_colour(2);
    return strcmp(verdict, "baseline") == 0 ? figure_colour(0) : GREY;
}

static const cJSON *cell_of_arm(const chart *of, double arm) {
    const cJSON *cell;
    cJSON_ArrayForEach(cell, of->cells) {
        if (number(cell, "arm") == arm) return cell;
    }
    return NULL;
}

/* The baseline's mean beside the arm that is compared with it. */
static void draw_baseline(figure *out, const chart *of, const figure_panel *panel,
                          const cJSON *cell, double y) {
    const cJSON *difference = cJSON_GetObjectItemCaseSensitive(cell, "difference");
    const bool own = strcmp(study_text(cell, "verdict", ""), "baseline") == 0;
    const cJSON *other = own ? cell : cell_of_arm(of, number(difference, "baseline_arm"));
    if (!other) return;
    const double x = figure_place(&panel->x, of->factor * number(other, "mean"));
    figure_line(out, (const figure_point[]){{x, y - ROW_HEIGHT / 2.0}, {x, y + ROW_HEIGHT / 2.0}},
                2, "#000000", 1, "3 3");
}

static void draw_dots(figure *out, const chart *of, const figure_panel *panel, int column) {
    for (int row = 0; row < of->row_count; row++) {
        const cJSON *cell = cell_at(of, row, column), *value;
        const double y = panel->top + (row + 0.5) * ROW_HEIGHT;
        if (!cell) continue;
        const char *colour = verdict_colour(cell);
        draw_baseline(out, of, panel, cell, y);
        cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(cell, "values")) {
            double x;
            if (json_to_double(cJSON_GetArrayItem(value, 1), &x))
                figure_dot(out, figure_place(&panel->x, of->factor * x), y + 7, 2, colour, 0.45);
        }
        const double low = figure_place(&panel->x, of->factor * bound(cell, 0));
        const double high = figure_place(&panel->x, of->factor * bound(cell, 1));
        figure_line(out, (const figure_point[]){{low, y}, {high, y}}, 2, colour, 2, NULL);
        figure_dot(out, figure_place(&panel->x, of->factor * number(cell, "mean")), y, 4, colour,
                   1);
    }
}

static figure_scale dots_scale(const chart *of) {
    figure_scale scale = {.low = NAN, .high = NAN};
    const cJSON *cell, *value;
    cJSON_ArrayForEach(cell, of->cells) {
        extend(&scale, of->factor * bound(cell, 0));
        extend(&scale, of->factor * bound(cell, 1));
        cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(cell, "values")) {
            double x;
            if (json_to_double(cJSON_GetArrayItem(value, 1), &x)) extend(&scale, of->factor * x);
        }
    }
    finish_scale(&scale, 0.04);
    return scale;
}

static void dots_legend(figure *out, const chart *of, double left, double y) {
    static const struct {
        int colour;
        const char *text;
    } entries[] = {{0, "baseline"}, {1, "better"}, {2, "worse"}, {-1, "inconclusive"}};
    char text[160];
    snprintf(text, sizeof text,
             "mean of up to %d seeds with its %g %% interval; small: each seed; dashed: baseline",
             of->seeds, 100 * of->confidence);
    figure_text(out, left, y, FIGURE_START, 11, "#444444", text);
    double x = left;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        const char *colour =
            entries[i].colour < 0 ? GREY : figure_colour((size_t)entries[i].colour);
        figure_dot(out, x + 4, y + 12, 4, colour, 1);
        figure_text(out, x + 12, y + 16, FIGURE_START, 11, "#444444", entries[i].text);
        x += 30 + figure_text_width(entries[i].text, 11);
    }
}

static char *draw_dots_figure(const chart *of) {
    const double left = 20 + widest(of->rows, 12), space = 16;
    const double panel_width = of->column_count > 1 ? 300 : 460;
    const double height = of->row_count * ROW_HEIGHT;
    const double width = fmax(left + of->column_count * (panel_width + space) + 10, left + 480);
    figure *out = figure_create(width, DOT_TOP + height + DOT_BOTTOM,
                                study_text(of->item, "title", of->metric));
    for (int row = 0; row < of->row_count; row++)
        figure_text(out, left - 10, DOT_TOP + (row + 0.5) * ROW_HEIGHT + 4, FIGURE_END, 12,
                    "#222222", label(of->rows, row));
    for (int column = 0; column < of->column_count; column++) {
        figure_panel panel = {.left = left + column * (panel_width + space),
                              .top = DOT_TOP,
                              .width = panel_width,
                              .height = height,
                              .x = dots_scale(of),
                              .y = {.low = 0, .high = 1},
                              .x_label = of->metric,
                              .title = of->column_count > 1 ? label(of->columns, column) : NULL,
                              .no_y_ticks = true};
        figure_panel_begin(out, &panel);
        draw_dots(out, of, &panel, column);
        figure_panel_end(out);
    }
    dots_legend(out, of, left, DOT_TOP + height + 54);
    return figure_finish(out);
}

/* -- curves: a line for each row over the columns' numbers
 * ---------------------------------------------- */

enum { CURVE_WIDTH = 380, CURVE_HEIGHT = 300, MAXIMUM_CURVE = 100 };

typedef struct curve_kind {
    const char *title;
    bool difference; /* to the baseline; else the value */
} curve_kind;

static const cJSON *curve_source(const cJSON *cell, const curve_kind *kind) {
    return kind->difference ? cJSON_GetObjectItemCaseSensitive(cell, "difference") : cell;
}

/* The numbers of the columns' labels; at most MAXIMUM_CURVE. */
static int column_numbers(const chart *of, double *numbers) {
    int count = 0;
    for (; count < of->column_count && count < MAXIMUM_CURVE; count++) {
        char *end;
        numbers[count] = strtod(label(of->columns, count), &end);
        if (*end) numbers[count] = NAN;
    }
    return count;
}

static void draw_curve(figure *out, const chart *of, const figure_panel *panel, int row,
                       const double *numbers, int count, const curve_kind *kind, bool band) {
    figure_point mean[MAXIMUM_CURVE], low[MAXIMUM_CURVE], high[MAXIMUM_CURVE];
    const char *colour = figure_colour((size_t)row);
    for (int i = 0; i < count; i++) {
        const cJSON *source = curve_source(cell_at(of, row, i), kind);
        const double x = figure_place(&panel->x, numbers[i]);
        mean[i] = (figure_point){x, figure_place(&panel->y, of->factor * number(source, "mean"))};
        low[i] = (figure_point){x, figure_place(&panel->y, of->factor * bound(source, 0))};
        high[i] = (figure_point){x, figure_place(&panel->y, of->factor * bound(source, 1))};
    }
    if (band) {
        figure_band(out, high, low, (size_t)count, colour);
        return;
    }
    figure_line(out, mean, (size_t)count, colour, 1.6, NULL);
    for (int i = 0; i < count; i++) figure_dot(out, mean[i].x, mean[i].y, 3, colour, 1);
}

static figure_scale curve_scale(const chart *of, const curve_kind *kind, bool logarithmic) {
    figure_scale scale = {.low = NAN, .high = NAN};
    const cJSON *cell;
    cJSON_ArrayForEach(cell, of->cells) {
        const cJSON *source = curve_source(cell, kind);
        extend(&scale, of->factor * number(source, "mean"));
        for (int i = 0; i < 2; i++) {
            const double value = of->factor * bound(source, i);
            if (!logarithmic || value > 0) extend(&scale, value);
        }
    }
    if (kind->difference) extend(&scale, 0);
    cJSON_ArrayForEach(cell, cJSON_GetObjectItemCaseSensitive(of->item, "references")) {
        if (!kind->difference) extend(&scale, of->factor * number(cell, "value"));
    }
    scale.logarithmic = logarithmic && scale.low > 0;
    finish_scale(&scale, 0.05);
    return scale;
}

/* Reference lines, {"label", "value"} in the item's "references", are told apart by their dashes.
 */
static const char *dashes_of(int index) {
    static const char *const dashes[] = {"1 3", "6 3", "6 3 1 3"};
    return dashes[index % 3];
}

static char *draw_curves_figure(const chart *of, const cJSON *table) {
    double numbers[MAXIMUM_CURVE];
    const int count = column_numbers(of, numbers);
    const bool compared = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(table, "baseline"));
    const bool logarithmic =
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(of->item, "logarithmic"));
    const bool y_logarithmic =
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(of->item, "y_logarithmic"));
    char text[160];
    const curve_kind kinds[] = {{of->metric, false},
                                {of->factor > 1 ? "difference to the baseline, percentage points"
                                                : "difference to the baseline",
                                 true}};
    const int panels = compared ? 2 : 1;
    const cJSON *references = cJSON_GetObjectItemCaseSensitive(of->item, "references"), *one;
    double legend = 50 + widest(of->rows, 12);
    const double left = 70, gap = 80;
    cJSON_ArrayForEach(one, references) legend =
        fmax(legend, 50 + figure_text_width(study_text(one, "label", ""), 12));
    figure *out = figure_create(left + panels * CURVE_WIDTH + (panels - 1) * gap + legend,
                                CURVE_HEIGHT + 110, study_text(of->item, "title", of->metric));
    figure_scale x = {.low = NAN, .high = NAN};
    for (int i = 0; i < count; i++)
        if (!logarithmic || numbers[i] > 0) extend(&x, numbers[i]);
    x.logarithmic = logarithmic && x.low > 0;
    finish_scale(&x, 0.04);
    for (int k = 0; k < panels; k++) {
        figure_panel panel = {
            .left = left + k * (CURVE_WIDTH + gap),
            .top = 34,
            .width = CURVE_WIDTH,
            .height = CURVE_HEIGHT,
            .x = x,
            .y = curve_scale(of, &kinds[k], y_logarithmic && !kinds[k].difference),
            .title = kinds[k].title,
            .x_label = study_text(cJSON_GetObjectItemCaseSensitive(table, "columns"), "axes", "")};
        figure_panel_begin(out, &panel);
        for (int row = 0; row < 2 * of->row_count; row++) /* all bands, then all lines */
            draw_curve(out, of, &panel, row % of->row_count, numbers, count, &kinds[k],
                       row < of->row_count);
        int index = 0;
        cJSON_ArrayForEach(one, references) {
            const double y = figure_place(&panel.y, of->factor * number(one, "value"));
            if (!kinds[k].difference)
                figure_line(out,
                            (const figure_point[]){{panel.left, y}, {panel.left + CURVE_WIDTH, y}},
                            2, "#444444", 1.2, dashes_of(index));
            index++;
        }
        const double zero = figure_place(&panel.y, 0);
        if (kinds[k].difference)
            figure_line(
                out, (const figure_point[]){{panel.left, zero}, {panel.left + CURVE_WIDTH, zero}},
                2, "#000000", 1, "3 3");
        figure_panel_end(out);
    }
    const double at = left + panels * CURVE_WIDTH + (panels - 1) * gap + 18;
    for (int row = 0; row < of->row_count; row++) {
        const double y = 44 + row * 20;
        const char *colour = figure_colour((size_t)row);
        figure_line(out, (const figure_point[]){{at, y}, {at + 18, y}}, 2, colour, 1.6, NULL);
        figure_dot(out, at + 9, y, 3, colour, 1);
        figure_text(out, at + 24, y + 4, FIGURE_START, 12, "#222222", label(of->rows, row));
    }
    int index = 0;
    cJSON_ArrayForEach(one, references) {
        const double y = 44 + (of->row_count + index) * 20;
        figure_line(out, (const figure_point[]){{at, y}, {at + 18, y}}, 2, "#444444", 1.2,
                    dashes_of(index++));
        figure_text(out, at + 24, y + 4, FIGURE_START, 12, "#222222", study_text(one, "label", ""));
    }
    snprintf(text, sizeof text, "means of up to %d seeds; bands: their %g %% intervals", of->seeds,
             100 * of->confidence);
    figure_text(out, left, CURVE_HEIGHT + 96, FIGURE_START, 11, "#444444", text);
    return figure_finish(out);
}

/* -- map: a cell for each row and column
 * ----------------------------------------------------------------- */

enum { MAP_CELL = 52, MAP_ROW = 34 };

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Colours from the lower fifth to the greatest: one arm that fails would take all of them. */
static figure_scale map_scale(const chart *of) {
    const int size = cJSON_GetArraySize(of->cells);
    double *values = calloc((size_t)size + 1, sizeof *values);
    figure_scale scale = {.low = 0, .high = 1};
    int count = 0;
    const cJSON *cell;
    cJSON_ArrayForEach(cell, of->cells) {
        const double mean = of->factor * number(cell, "mean");
        if (values && isfinite(mean)) values[count++] = mean;
    }
    if (count > 0) {
        qsort(values, (size_t)count, sizeof *values, by_value);
        scale.low = values[count / 5];
        scale.high = values[count - 1];
    }
    if (!(scale.high > scale.low)) scale.high = scale.low + 1;
    free(values);
    return scale;
}

static void draw_map_legend(figure *out, const figure_scale *scale, double left, double top,
                            double height, const char *metric) {
    enum { STEPS = 40 };
    figure_colour_text colour;
    char text[64];
    for (int i = 0; i < STEPS; i++)
        figure_box(out, left, top + height * (STEPS - 1 - i) / STEPS, 14, height / STEPS + 0.5,
                   figure_gradient((double)i / (STEPS - 1), colour));
    snprintf(text, sizeof text, "%.2f", scale->high);
    figure_text(out, left + 20, top + 10, FIGURE_START, 11, "#222222", text);
    snprintf(text, sizeof text, "≤ %.2f", scale->low);
    figure_text(out, left + 20, top + height, FIGURE_START, 11, "#222222", text);
    figure_text(out, left + 20, top + height / 2, FIGURE_START, 11, "#222222", metric);
}

static char *draw_map_figure(const chart *of, const cJSON *table) {
    const double left = 50 + widest(of->rows, 12), top = 54;
    const double width = of->column_count * MAP_CELL, height = of->row_count * MAP_ROW;
    const figure_scale scale = map_scale(of);
    figure *out = figure_create(left + width + 130, top + height + 46,
                                study_text(of->item, "title", of->metric));
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(table, "rows");
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(table, "columns");
    figure_text(out, left + width / 2, top - 28, FIGURE_MIDDLE, 12, "#222222",
                study_text(columns, "axes", ""));
    for (int column = 0; column < of->column_count; column++)
        figure_text(out, left + (column + 0.5) * MAP_CELL, top - 8, FIGURE_MIDDLE, 12, "#222222",
                    label(of->columns, column));
    figure_text(out, left - 10, top - 28, FIGURE_END, 12, "#222222", study_text(rows, "axes", ""));
    for (int row = 0; row < of->row_count; row++) {
        const double y = top + row * MAP_ROW;
        figure_text(out, left - 10, y + MAP_ROW / 2.0 + 4, FIGURE_END, 12, "#222222",
                    label(of->rows, row));
        for (int column = 0; column < of->column_count; column++) {
            const cJSON *cell = cell_at(of, row, column);
            const double mean = of->factor * number(cell, "mean");
            const double x = left + column * MAP_CELL;
            figure_colour_text colour;
            char text[32];
            if (!isfinite(mean)) {
                if (cell)
                    figure_text(out, x + MAP_CELL / 2.0, y + MAP_ROW / 2.0 + 4, FIGURE_MIDDLE, 11,
                                GREY, "–");
                continue;
            }
            const double share = (mean - scale.low) / (scale.high - scale.low);
            figure_box(out, x + 0.5, y + 0.5, MAP_CELL - 1, MAP_ROW - 1,
                       figure_gradient(share, colour));
            snprintf(text, sizeof text, of->factor > 1 ? "%.2f" : "%.3g", mean);
            figure_text(out, x + MAP_CELL / 2.0, y + MAP_ROW / 2.0 + 4, FIGURE_MIDDLE, 11,
                        share > 0.55 ? "#111111" : "#ffffff", text);
        }
    }
    draw_map_legend(out, &scale, left + width + 18, top, height, of->metric);
    char text[160];
    snprintf(text, sizeof text, "means of up to %d seeds; –: no run succeeded", of->seeds);
    figure_text(out, left, top + height + 24, FIGURE_START, 11, "#444444", text);
    return figure_finish(out);
}

gr_status study_figure(const cJSON *item, const cJSON *table, char **svg, gr_error *error) {
    const char *kind = study_text(item, "kind", "");
    const chart of = read_table(item, table);
    if (strcmp(kind, "dots") == 0)
        *svg = draw_dots_figure(&of);
    else if (strcmp(kind, "curves") == 0)
        *svg = draw_curves_figure(&of, table);
    else if (strcmp(kind, "map") == 0)
        *svg = draw_map_figure(&of, table);
    else
        return gr_fail(error, GR_INVALID,
                       "/figures: \"kind\" is dots, curves, map, fits or norms, not \"%.40s\"",
                       kind);
    return *svg ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a figure");
}
