/* Distributions of input gradients over the columns of a sweep's table (weights of a penalty): how
 * long they are at training points, and how long elsewhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/figure.h"
#include "server/sample_statistics.h"
#include "server/study.h"
#include "server/sweep_follow.h"

enum { POINTS = 5, NORMS = 3, MAXIMUM_COLUMNS = 16, MAXIMUM_ROWS = 8 };
enum { PANEL = 330, PANEL_HEIGHT = 230, LEFT = 70, TOP = 36, GAP = 66, BELOW = 74 };

/* As the analysis gradient_norms calls them. */
static const char *const point_names[POINTS] = {"train", "test", "noise", "segments", "uniform"};
static const char *const point_labels[POINTS] = {
    "training points", "test points", "training points + noise", "between two training points",
    "uniform random points"};
static const char *const norm_names[NORMS] = {"loss", "softmax", "logits"};
static const char *const norm_labels[NORMS] = {"‖∂ℓ/∂x‖, the loss", "‖∂p/∂x‖, the softmax",
                                               "‖∂z/∂x‖, the logits"};

/* The quantiles that are drawn: whiskers, box, middle. */
enum { Q05, Q25, Q50, Q75, Q95, QUANTILES };
static const double probabilities[QUANTILES] = {0.05, 0.25, 0.5, 0.75, 0.95};

/* Sums of logarithms over the seeds, of one arm, norm and kind of points. A quantile of 0 has no
 * logarithm: it counts in `seen` alone, and what it is part of is drawn from the panel's bottom. */
typedef struct distribution {
    double sums[QUANTILES];
    int counts[QUANTILES], seen;
    double ratios[256]; /* log(median / the training points' median), by seed */
    size_t ratio_count;
} distribution;

typedef struct norms {
    distribution *all; /* [row][column][norm][point] */
    const cJSON *rows, *columns;
    const char *axis;
    int row_count, column_count;
    double confidence;
    bool there[NORMS]; /* some experiment has it */
} norms;

static distribution *at(const norms *of, int row, int column, int norm, int point) {
    return &of->all[((row * of->column_count + column) * NORMS + norm) * POINTS + point];
}

/* -- reading
 * -------------------------------------------------------------------------------------------- */

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* The value of `list` beside `probability`; NaN: there is none. */
static double quantile(const cJSON *known, const cJSON *list, double probability) {
    for (int i = 0; i < cJSON_GetArraySize(known); i++) {
        double is, value;
        if (json_to_double(cJSON_GetArrayItem(known, i), &is) && fabs(is - probability) < 1e-9 &&
            json_to_double(cJSON_GetArrayItem(list, i), &value))
            return value;
    }
    return NAN;
}

static void put_csv(FILE *csv, double id, const char *arm, double seed, const char *norm,
                    const char *point, const cJSON *from, const double *quantiles) {
    fprintf(csv, "%.0f,\"%s\",%.0f,%s,%s,%.0f,%.0f,%.17g", id, arm, seed, norm, point,
            sweep_number(from, "n", 0), sweep_number(from, "zeros", 0),
            sweep_number(from, "mean", NAN));
    for (int q = 0; q < QUANTILES; q++) fprintf(csv, ",%.17g", quantiles[q]);
    fputs("\r\n", csv);
}

static void add(distribution *to, const double *quantiles, double training) {
    to->seen++;
    for (int q = 0; q < QUANTILES; q++) {
        if (!(quantiles[q] > 0) || !isfinite(quantiles[q])) continue;
        to->sums[q] += log(quantiles[q]);
        to->counts[q]++;
    }
    const double ratio = log(quantiles[Q50] / training);
    if (isfinite(ratio) && to->ratio_count < sizeof to->ratios / sizeof *to->ratios)
        to->ratios[to->ratio_count++] = ratio;
}

/* The distributions of one experiment. */
static gr_status read_one(norms *of, client *server, const cJSON *one, int row, int column,
                          const char *arm, FILE *csv, gr_error *error) {
    char path[96];
    cJSON *analysis;
    const double id = sweep_number(one, "id", 0);
    const double seed = sweep_number(member(one, "sweep"), "seed", 0);
    snprintf(path, sizeof path, "/api/v1/experiments/%.0f/analysis", id);
    GR_TRY(client_request(server, "GET", path, NULL, 0, &analysis, NULL, error));
    const cJSON *found = member(analysis, "gradient_norms");
    const cJSON *known = member(found, "probabilities");
    for (int norm = 0; norm < NORMS; norm++) {
        const cJSON *points = member(member(found, norm_names[norm]), "points");
        double training = NAN;
        for (int point = 0; point < POINTS; point++) {
            const cJSON *from = member(points, point_names[point]);
            double quantiles[QUANTILES];
            if (!from) continue;
            for (int q = 0; q < QUANTILES; q++)
                quantiles[q] = quantile(known, member(from, "quantiles"), probabilities[q]);
            if (point == 0) training = quantiles[Q50];
            of->there[norm] = true;
            add(at(of, row, column, norm, point), quantiles, training);
            put_csv(csv, id, arm, seed, norm_names[norm], point_names[point], from, quantiles);
        }
    }
    const gr_status status =
        found ? GR_OK
              : gr_fail(error, GR_INVALID,
                        "/figures: experiment %.0f has no analysis of gradient_norms, which "
                        "\"norms\" draws",
                        id);
    cJSON_Delete(analysis);
    return status;
}

static gr_status read_page(norms *of, client *server, const cJSON *table, const cJSON *page,
                           FILE *csv, gr_error *error) {
    const cJSON *one, *cell;
    cJSON_ArrayForEach(one, member(page, "experiments")) {
        const double arm = sweep_number(member(one, "sweep"), "arm", -1);
        if (strcmp(study_text(one, "state", ""), "succeeded") != 0) continue;
        cJSON_ArrayForEach(cell, member(table, "cells")) {
            if (sweep_number(cell, "arm", -2) == arm)
                GR_TRY(read_one(of, server, one, (int)sweep_number(cell, "row", 0),
                                (int)sweep_number(cell, "column", 0), study_text(cell, "label", ""),
                                csv, error));
        }
    }
    return GR_OK;
}

static gr_status read_all(norms *of, client *server, int64_t sweep, const cJSON *table, FILE *csv,
                          gr_error *error) {
    char path[400], cursor[200] = "";
    fputs("experiment,arm,seed,norm,points,n,zeros,mean,q05,q25,median,q75,q95\r\n", csv);
    for (bool more = true; more;) {
        cJSON *page;
        snprintf(path, sizeof path,
                 "/api/v1/experiments?sweep=%lld&limit=500&fields=id,state,sweep%s%s",
                 (long long)sweep, *cursor ? "&cursor=" : "", cursor);
        GR_TRY(client_request(server, "GET", path, NULL, 0, &page, NULL, error));
        const gr_status status = read_page(of, server, table, page, csv, error);
        snprintf(cursor, sizeof cursor, "%s", study_text(page, "next_cursor", ""));
        more = *cursor != 0;
        cJSON_Delete(page);
        GR_TRY(status);
    }
    return GR_OK;
}

/* -- drawing
 * -------------------------------------------------------------------------------------------- */

/* The geometric mean over the seeds; NaN where a seed has none. */
static double mean_of(const distribution *of, int q) {
    return of->counts[q] > 0 && of->counts[q] == of->seen ? exp(of->sums[q] / of->counts[q]) : NAN;
}

static interval ratio_band(const norms *of, const distribution *from, double *mean) {
    *mean = sample_mean(from->ratios, from->ratio_count);
    const double deviation = sample_deviation(from->ratios, from->ratio_count);
    const interval band = student_interval(*mean, deviation, from->ratio_count, of->confidence);
    *mean = exp(*mean);
    return (interval){exp(band.low), exp(band.high)};
}

static void extend(figure_scale *scale, double value) {
    if (!isfinite(value) || value <= 0) return;
    scale->low = fmin(scale->low, value);
    scale->high = fmax(scale->high, value);
}

/* One scale for all panels of a norm, so that rows can be compared. */
static figure_scale scale_of(const norms *of, int norm, bool ratios) {
    figure_scale scale = {.low = INFINITY, .high = 0, .logarithmic = true};
    for (int row = 0; row < of->row_count; row++)
        for (int column = 0; column < of->column_count; column++)
            for (int point = 0; point < POINTS; point++) {
                const distribution *one = at(of, row, column, norm, point);
                double mean;
                const interval band = ratio_band(of, one, &mean);
                extend(&scale, ratios ? mean : mean_of(one, Q05));
                extend(&scale, ratios ? band.low : mean_of(one, Q50));
                extend(&scale, ratios ? band.high : mean_of(one, Q95));
            }
    if (ratios) extend(&scale, 1);
    if (!(scale.high > 0)) scale.low = scale.high = 1;
    figure_widen(&scale, 0.04);
    return scale;
}

/* Where the points of a kind stand within the column's share of the panel. */
static double place_of(const norms *of, const figure_panel *panel, int column, int point) {
    const double share = panel->width / of->column_count;
    return panel->left + share * (column + 0.5 + 0.15 * (point - (POINTS - 1) / 2.0));
}

static void vertical(figure *out, double x, double low, double high, const char *colour,
                     double width) {
    figure_line(out, (const figure_point[]){{x, low}, {x, high}}, 2, colour, width, NULL);
}

/* NaN, where some seed's quantile is 0: the panel's bottom. */
static double lower_end(const figure_panel *panel, const distribution *of, int q) {
    const double y = figure_place(&panel->y, mean_of(of, q));
    return isnan(y) && of->seen ? panel->top + panel->height : y;
}

static void draw_boxes(figure *out, const norms *of, const figure_panel *panel, int row, int norm,
                       int point) {
    figure_point middle[MAXIMUM_COLUMNS];
    const char *colour = figure_colour((size_t)point);
    for (int column = 0; column < of->column_count; column++) {
        const distribution *one = at(of, row, column, norm, point);
        const double x = place_of(of, panel, column, point);
        vertical(out, x, lower_end(panel, one, Q05), figure_place(&panel->y, mean_of(one, Q95)),
                 colour, 1);
        vertical(out, x, lower_end(panel, one, Q25), figure_place(&panel->y, mean_of(one, Q75)),
                 colour, 4);
        middle[column] = (figure_point){x, figure_place(&panel->y, mean_of(one, Q50))};
    }
    figure_line(out, middle, (size_t)of->column_count, colour, 0.8, "2 2");
    for (int column = 0; column < of->column_count; column++) {
        figure_dot(out, middle[column].x, middle[column].y, 3.4, "#ffffff", 1);
        figure_dot(out, middle[column].x, middle[column].y, 2.4, colour, 1);
    }
}

static void draw_ratios(figure *out, const norms *of, const figure_panel *panel, int row, int norm,
                        int point) {
    figure_point middle[MAXIMUM_COLUMNS];
    const char *colour = figure_colour((size_t)point);
    for (int column = 0; column < of->column_count; column++) {
        double mean;
        const interval band = ratio_band(of, at(of, row, column, norm, point), &mean);
        const double x = place_of(of, panel, column, point);
        vertical(out, x, figure_place(&panel->y, band.low), figure_place(&panel->y, band.high),
                 colour, 2);
        middle[column] = (figure_point){x, figure_place(&panel->y, mean)};
        figure_dot(out, x, middle[column].y, 3, colour, 1);
    }
    figure_line(out, middle, (size_t)of->column_count, colour, 0.8, "2 2");
}

static void draw_panel(figure *out, const norms *of, int row, int norm, int place, bool ratios) {
    char title[160];
    const cJSON *label = cJSON_GetArrayItem(of->rows, row);
    snprintf(title, sizeof title, "%.80s: %s", label ? label->valuestring : "", norm_labels[norm]);
    figure_panel panel = {.left = LEFT + place * (PANEL + GAP),
                          .top = TOP + row * (PANEL_HEIGHT + BELOW),
                          .width = PANEL,
                          .height = PANEL_HEIGHT,
                          .x = {.low = 0, .high = of->column_count},
                          .y = scale_of(of, norm, ratios),
                          .title = title,
                          .no_x_ticks = true};
    figure_panel_begin(out, &panel);
    if (ratios) {
        const double one = figure_place(&panel.y, 1);
        figure_line(out, (const figure_point[]){{panel.left, one}, {panel.left + PANEL, one}}, 2,
                    "#000000", 1, "3 3");
    }
    for (int point = ratios; point < POINTS; point++)
        (ratios ? draw_ratios : draw_boxes)(out, of, &panel, row, norm, point);
    figure_panel_end(out);
    figure_text(out, panel.left + PANEL / 2.0, panel.top + PANEL_HEIGHT + 34, FIGURE_MIDDLE, 12,
                "#222222", of->axis);
    for (int column = 0; column < of->column_count; column++)
        figure_text(out, panel.left + (column + 0.5) * PANEL / of->column_count,
                    panel.top + PANEL_HEIGHT + 16, FIGURE_MIDDLE, 11, "#222222",
                    cJSON_GetArrayItem(of->columns, column)->valuestring);
}

static char *draw(const norms *of, const char *title, bool ratios) {
    int shown = 0, seeds = 0;
    char text[240];
    for (int norm = 0; norm < NORMS; norm++) shown += of->there[norm];
    for (int i = 0; i < of->row_count * of->column_count * NORMS * POINTS; i++)
        if (of->all[i].seen > seeds) seeds = of->all[i].seen;
    const double height = TOP + of->row_count * (PANEL_HEIGHT + BELOW);
    const double width = LEFT + shown * (PANEL + GAP);
    figure *out = figure_create(width > 620 ? width : 620, height + 52, title);
    for (int row = 0; row < of->row_count; row++)
        for (int norm = 0, place = 0; norm < NORMS; norm++)
            if (of->there[norm]) draw_panel(out, of, row, norm, place++, ratios);
    double x = LEFT;
    for (int point = ratios; point < POINTS; point++) {
        figure_dot(out, x + 4, height + 8, 4, figure_colour((size_t)point), 1);
        figure_text(out, x + 12, height + 12, FIGURE_START, 11, "#444444", point_labels[point]);
        x += 34 + figure_text_width(point_labels[point], 11);
    }
    if (ratios)
        snprintf(text, sizeof text,
                 "median norm over that at the training points: geometric means of up to %d seeds "
                 "with their %g %% intervals; dashed: as at the training points",
                 seeds, 100 * of->confidence);
    else
        snprintf(text, sizeof text,
                 "median, middle half (thick), 5 to 95 %% of the points (thin); geometric means of "
                 "these over up to %d seeds",
                 seeds);
    figure_text(out, LEFT, height + 34, FIGURE_START, 11, "#444444", text);
    return figure_finish(out);
}

/* -- writing
 * -------------------------------------------------------------------------------------------- */

static gr_status write_all(const study *of, const cJSON *item, const norms *from, const char *csv,
                           gr_error *error) {
    const char *file = study_text(item, "file", ""), *title = study_text(item, "title", file);
    GR_TRY(study_write(of, file, "csv", csv, error));
    for (int ratios = 0; ratios < 2; ratios++) {
        char name[96];
        char *svg = draw(from, title, ratios);
        snprintf(name, sizeof name, "%.60s%s", file, ratios ? "_ratio" : "");
        const gr_status status = study_write(of, name, "svg", svg, error);
        free(svg);
        GR_TRY(status);
    }
    return GR_OK;
}

gr_status study_norms(const study *of, client *server, int64_t sweep, const cJSON *item,
                      gr_error *error) {
    cJSON *table;
    char *csv = NULL;
    size_t size;
    GR_TRY(study_table(server, sweep, item, &table, error));
    norms all = {.rows = member(member(table, "rows"), "labels"),
                 .columns = member(member(table, "columns"), "labels"),
                 .axis = study_text(member(table, "columns"), "axes", ""),
                 .confidence = sweep_number(table, "confidence", 0.95)};
    all.row_count = cJSON_GetArraySize(all.rows);
    all.column_count = cJSON_GetArraySize(all.columns);
    gr_status status = GR_OK;
    if (all.row_count < 1 || all.row_count > MAXIMUM_ROWS || all.column_count < 1 ||
        all.column_count > MAXIMUM_COLUMNS)
        status = gr_fail(error, GR_INVALID,
                         "/figures: \"norms\" draws at most %d rows and %d columns, not %d and %d",
                         MAXIMUM_ROWS, MAXIMUM_COLUMNS, all.row_count, all.column_count);
    FILE *out = status == GR_OK ? open_memstream(&csv, &size) : NULL;
    if (status == GR_OK) {
        all.all =
            calloc((size_t)(all.row_count * all.column_count * NORMS * POINTS), sizeof *all.all);
        if (!out || !all.all) status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    if (status == GR_OK) status = read_all(&all, server, sweep, table, out, error);
    if (out && fclose(out) != 0 && status == GR_OK)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) status = write_all(of, item, &all, csv, error);
    free(csv);
    free(all.all);
    cJSON_Delete(table);
    return status;
}
