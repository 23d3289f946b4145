/* The fitted functions of a toy study, with the training points, the truth, and what a smoothing
 * spline and kernel regression make of the same points. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gradreg/dataset.h"
#include "gradreg/smoothers.h"
#include "server/figure.h"
#include "server/spec.h"
#include "server/study.h"
#include "server/sweep_follow.h"

enum { GRID = 900, SIDE = 30, MAXIMUM_TRAINING = 1000, PANEL = 300, PANEL_HEIGHT = 240, GAP = 56 };

/* The data of an experiment, and the smoothers' fits of it on the grid. */
typedef struct fits {
    int features;
    int64_t n;
    double x[MAXIMUM_TRAINING * 2], y[MAXIMUM_TRAINING];
    double grid[GRID * 2], truth[GRID];
    double spline[GRID], kernel[GRID];
    double spline_loss, kernel_loss; /* ½ mean squared error on the grid, as test_loss */
    double lambda, bandwidth;
} fits;

/* -- data
 * ---------------------------------------------------------------------------------------------- */

/* x: [count][features] and y [count] of a part of the split. */
static gr_status fill(const gr_split *split, gr_part part, int features, int64_t count, double *x,
                      double *y, gr_error *error) {
    const size_t size = (size_t)count;
    gr_real *values = calloc(size * (size_t)(features + 1), sizeof *values);
    int64_t *positions = calloc(size, sizeof *positions);
    const bool there = values && positions;
    for (int64_t i = 0; there && i < count; i++) positions[i] = i;
    if (there)
        gr_split_fill(split, part, positions, count, false, values, NULL,
                      values + features * count);
    for (int64_t i = 0; there && i < count; i++) {
        for (int j = 0; j < features; j++) x[i * features + j] = (double)values[j * count + i];
        y[i] = (double)values[features * count + i];
    }
    free(positions);
    free(values);
    return there ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
}

/* The points that the experiment of this canonical spec was trained on, and its grid. */
static gr_status load(const cJSON *document, fits *of, gr_error *error) {
    char *text = json_text(document);
    spec *parsed = NULL;
    gr_dataset *dataset = NULL;
    gr_split *split = NULL;
    problems found = {0};
    bool malformed;
    gr_status status =
        text ? spec_parse(text, strlen(text), &parsed, &malformed, &found) : GR_OUT_OF_MEMORY;
    if (status != GR_OK)
        gr_fail(error, status, "%s", found.kept ? found.items[0].detail : "out of memory");
    if (status == GR_OK) {
        const gr_plan plan = spec_plan(parsed);
        status = gr_dataset_load(plan.dataset, "", &dataset, error);
        if (status == GR_OK)
            status = gr_split_create(dataset, plan.dataset, plan.seed, &split, error);
    }
    if (status == GR_OK) {
        const gr_dataset_information *about = gr_dataset_describe(dataset);
        of->features = (int)about->input_shape.size[0];
        of->n = gr_split_size(split, GR_PART_TRAINING);
        if (about->targets != 1 || about->input_shape.rank != 1 || of->features > 2 ||
            about->test_samples != GRID || of->n > MAXIMUM_TRAINING)
            status = gr_fail(error, GR_INVALID,
                             "/figures: fits are drawn of toy1 and toy2, with at most %d points",
                             MAXIMUM_TRAINING);
    }
    if (status == GR_OK)
        status = fill(split, GR_PART_TRAINING, of->features, of->n, of->x, of->y, error);
    if (status == GR_OK)
        status = fill(split, GR_PART_TEST, of->features, GRID, of->grid, of->truth, error);
    gr_split_free(split);
    gr_dataset_free(dataset);
    spec_free(parsed);
    problems_clear(&found);
    free(text);
    return status;
}

static double loss(const fits *of, const double *values) {
    double sum = 0;
    for (int i = 0; i < GRID; i++)
        sum += 0.5 * (values[i] - of->truth[i]) * (values[i] - of->truth[i]);
    return sum / GRID;
}

static gr_status smooth(fits *of, gr_error *error) {
    gr_smoother *spline = NULL, *kernel = NULL;
    gr_status status = gr_smoothing_spline(of->x, of->y, of->n, of->features, 0, &spline, error);
    if (status == GR_OK)
        status = gr_kernel_regression(of->x, of->y, of->n, of->features, 0, &kernel, error);
    if (status == GR_OK) {
        gr_smoother_evaluate(spline, of->grid, GRID, of->spline);
        gr_smoother_evaluate(kernel, of->grid, GRID, of->kernel);
        of->lambda = gr_smoother_parameter(spline);
        of->bandwidth = gr_smoother_parameter(kernel);
        of->spline_loss = loss(of, of->spline);
        of->kernel_loss = loss(of, of->kernel);
    }
    gr_smoother_free(spline);
    gr_smoother_free(kernel);
    return status;
}

/* What an experiment's network says on the grid, from its predictions.csv: "index,target,
 * prediction" by the grid's order. */
static gr_status read_predictions(client *server, double id, double *values, gr_error *error) {
    char path[96], *text;
    snprintf(path, sizeof path, "/api/v1/experiments/%.0f/predictions.csv", id);
    GR_TRY(client_get_text(server, path, &text, error));
    const char *line = strchr(text, '\n');
    int count = 0;
    for (; line && line[1]; line = strchr(line + 1, '\n')) {
        long long index;
        double target, value;
        if (sscanf(line + 1, "%lld,%lf,%lf", &index, &target, &value) != 3 || index < 0 ||
            index >= GRID)
            break;
        values[index] = value;
        count++;
    }
    free(text);
    return count == GRID ? GR_OK
                         : gr_fail(error, GR_CORRUPT, "experiment %.0f: %d predictions of %d", id,
                                   count, GRID);
}

/* -- drawing
 * ------------------------------------------------------------------------------------------- */

/* In two dimensions the cut along the first input next to the middle of the second. */
static int cut_begin(const fits *of) {
    return of->features == 1 ? 0 : SIDE / 2 * SIDE;
}

static int cut_size(const fits *of) {
    return of->features == 1 ? GRID : SIDE;
}

static void draw_values(figure *out, const fits *of, const figure_panel *panel,
                        const double *values, const char *colour, double width,
                        const char *dashes) {
    figure_point points[GRID];
    const int begin = cut_begin(of), size = cut_size(of);
    for (int i = 0; i < size; i++)
        points[i] = (figure_point){figure_place(&panel->x, of->grid[(begin + i) * of->features]),
                                   figure_place(&panel->y, values[begin + i])};
    figure_line(out, points, (size_t)size, colour, width, dashes);
}

static figure_panel begin_panel(figure *out, const fits *of, int index, const char *title) {
    figure_panel panel = {.left = 50 + (index % 2) * (PANEL + GAP),
                          .top = 36 + (index / 2) * (PANEL_HEIGHT + 74),
                          .width = PANEL,
                          .height = PANEL_HEIGHT,
                          .x = {.low = -1.02, .high = 1.02},
                          .y = {.low = INFINITY, .high = -INFINITY},
                          .title = title,
                          .x_label = of->features == 1 ? "x" : "x1, beside x2 = 0"};
    const int begin = cut_begin(of), size = cut_size(of);
    for (int i = 0; i < size; i++) {
        panel.y.low = fmin(panel.y.low, of->truth[begin + i]);
        panel.y.high = fmax(panel.y.high, of->truth[begin + i]);
    }
    figure_widen(&panel.y, 0.3);
    figure_panel_begin(out, &panel);
    for (int64_t i = 0; i < of->n; i++)
        if (of->features == 1 || fabs(of->x[2 * i + 1]) < 0.1)
            figure_dot(out, figure_place(&panel.x, of->x[i * of->features]),
                       figure_place(&panel.y, of->y[i]), 2.2, "#888888", 0.7);
    draw_values(out, of, &panel, of->truth, "#000000", 1.2, "4 3");
    return panel;
}

static void legend_line(figure *out, double left, double y, const char *colour, const char *dashes,
                        const char *text) {
    figure_line(out, (const figure_point[]){{left, y}, {left + 20, y}}, 2, colour, 2, dashes);
    figure_text(out, left + 26, y + 4, FIGURE_START, 12, "#222222", text);
}

/* Light enough weights are blue, heavy ones green: yellow would vanish on white. */
static const char *weight_colour(int column, int count, figure_colour_text colour) {
    return figure_gradient(0.1 + 0.8 * column / fmax(1, count - 1), colour);
}

static void draw_legend(figure *out, const fits *of, const cJSON *columns, const char *axis,
                        double left) {
    const int count = cJSON_GetArraySize(columns);
    double y = 44;
    char text[96];
    figure_dot(out, left + 10, y, 2.2, "#888888", 0.7);
    figure_text(out, left + 26, y + 4, FIGURE_START, 12, "#222222", "training points");
    legend_line(out, left, y += 20, "#000000", "4 3", "truth");
    figure_text(out, left, (y += 32) + 4, FIGURE_START, 12, "#222222", axis);
    for (int i = 0; i < count; i++) {
        figure_colour_text colour;
        legend_line(out, left, y += 20, weight_colour(i, count, colour), NULL,
                    cJSON_GetArrayItem(columns, i)->valuestring);
    }
    y += 12;
    snprintf(text, sizeof text, "spline, λ = %.2g", of->lambda);
    legend_line(out, left, y += 20, figure_colour(1), NULL, text);
    snprintf(text, sizeof text, "kernel, h = %.2g", of->bandwidth);
    legend_line(out, left, y += 20, figure_colour(2), NULL, text);
}

/* The experiment of an arm and a seed; NULL: none succeeded. */
static const cJSON *experiment_of(const cJSON *experiments, double arm, double seed) {
    const cJSON *one;
    cJSON_ArrayForEach(one, experiments) {
        const cJSON *place = cJSON_GetObjectItemCaseSensitive(one, "sweep");
        if (sweep_number(place, "arm", -1) == arm && sweep_number(place, "seed", -1) == seed &&
            strcmp(study_text(one, "state", ""), "succeeded") == 0)
            return one;
    }
    return NULL;
}

static gr_status draw_row(figure *out, const fits *of, const figure_panel *panel, client *server,
                          const cJSON *table, int row, int count, const cJSON *experiments,
                          double seed, gr_error *error) {
    const cJSON *cell;
    cJSON_ArrayForEach(cell, cJSON_GetObjectItemCaseSensitive(table, "cells")) {
        if ((int)sweep_number(cell, "row", -1) != row) continue;
        const cJSON *one = experiment_of(experiments, sweep_number(cell, "arm", -1), seed);
        double values[GRID];
        figure_colour_text colour;
        if (!one) continue;
        GR_TRY(read_predictions(server, sweep_number(one, "id", 0), values, error));
        draw_values(out, of, panel, values,
                    weight_colour((int)sweep_number(cell, "column", 0), count, colour), 1.6, NULL);
    }
    return GR_OK;
}

static gr_status draw(const fits *of, client *server, const cJSON *item, const cJSON *table,
                      const cJSON *experiments, char **svg, gr_error *error) {
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(table, "rows");
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(table, "columns");
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(rows, "labels");
    const cJSON *weights = cJSON_GetObjectItemCaseSensitive(columns, "labels");
    const int row_count = cJSON_GetArraySize(labels), panels = row_count + 1;
    const double right = 50 + 2 * PANEL + GAP + 24;
    figure *out = figure_create(right + 180, 36 + (panels + 1) / 2 * (PANEL_HEIGHT + 74),
                                study_text(item, "title", "fits"));
    gr_status status = GR_OK;
    for (int row = 0; row < row_count && status == GR_OK; row++) {
        const figure_panel panel =
            begin_panel(out, of, row, cJSON_GetArrayItem(labels, row)->valuestring);
        status = draw_row(out, of, &panel, server, table, row, cJSON_GetArraySize(weights),
                          experiments, sweep_number(item, "seed", 1), error);
        figure_panel_end(out);
    }
    const figure_panel panel =
        begin_panel(out, of, row_count, "smoothing spline, kernel regression");
    draw_values(out, of, &panel, of->spline, figure_colour(1), 1.8, NULL);
    draw_values(out, of, &panel, of->kernel, figure_colour(2), 1.8, NULL);
    figure_panel_end(out);
    draw_legend(out, of, weights, study_text(columns, "axes", ""), right);
    *svg = figure_finish(out);
    if (status == GR_OK && !*svg)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a figure");
    return status;
}

/* -- the error over the weight
 * ---------------------------------------------------------------------------- */

static void add_reference(cJSON *list, const char *label, double value) {
    cJSON *one = cJSON_CreateObject();
    cJSON_AddStringToObject(one, "label", label);
    json_put(one, "value", json_number(value));
    json_append(list, one);
}

/* A logarithm has no place for the weight 0: it becomes a line, like the smoothers. */
static gr_status draw_errors(const fits *of, const cJSON *item, const cJSON *table, char **svg,
                             gr_error *error) {
    cJSON *errors = cJSON_CreateObject(), *compared = cJSON_Duplicate(table, true);
    cJSON *references = cJSON_AddArrayToObject(errors, "references");
    cJSON_AddStringToObject(errors, "kind", "curves");
    cJSON_AddTrueToObject(errors, "logarithmic");
    cJSON_AddTrueToObject(errors, "y_logarithmic");
    cJSON_AddStringToObject(errors, "title", study_text(item, "title", "fits"));
    json_set(compared, "baseline", cJSON_CreateNull());
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(table, "columns"), "labels");
    const cJSON *cell;
    cJSON_ArrayForEach(cell, cJSON_GetObjectItemCaseSensitive(table, "cells")) {
        const int column = (int)sweep_number(cell, "column", 0);
        if (strcmp(cJSON_GetArrayItem(labels, column)->valuestring, "0") != 0) continue;
        add_reference(references, "no penalty", sweep_number(cell, "mean", NAN));
        break;
    }
    add_reference(references, "smoothing spline", of->spline_loss);
    add_reference(references, "kernel regression", of->kernel_loss);
    const gr_status status = study_figure(errors, compared, svg, error);
    cJSON_Delete(errors);
    cJSON_Delete(compared);
    return status;
}

static gr_status write_all(const study *of, const fits *data, client *server, const cJSON *item,
                           const cJSON *table, const cJSON *experiments, gr_error *error) {
    const char *file = study_text(item, "file", "");
    char name[96], csv[400], *svg = NULL, *errors = NULL;
    gr_status status = draw(data, server, item, table, experiments, &svg, error);
    if (status == GR_OK) status = study_write(of, file, "svg", svg, error);
    free(svg);
    GR_TRY(status);
    GR_TRY(draw_errors(data, item, table, &errors, error));
    snprintf(name, sizeof name, "%s_error", file);
    status = study_write(of, name, "svg", errors, error);
    free(errors);
    GR_TRY(status);
    snprintf(csv, sizeof csv,
             "smoother,parameter,chosen by,test_loss\r\n"
             "smoothing spline,%.17g,generalised cross-validation,%.17g\r\n"
             "kernel regression,%.17g,leave-one-out error,%.17g\r\n",
             data->lambda, data->spline_loss, data->bandwidth, data->kernel_loss);
    return study_write(of, "smoothers", "csv", csv, error);
}

gr_status study_fits(const study *of, client *server, int64_t sweep, const cJSON *item,
                     gr_error *error) {
    char path[160];
    cJSON *table = NULL, *page = NULL;
    fits *data = calloc(1, sizeof *data);
    gr_status status = data ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    snprintf(path, sizeof path,
             "/api/v1/experiments?sweep=%lld&limit=500&fields=id,state,sweep,spec",
             (long long)sweep);
    if (status == GR_OK) status = study_table(server, sweep, item, &table, error);
    if (status == GR_OK) status = client_request(server, "GET", path, NULL, 0, &page, NULL, error);
    if (status == GR_OK) {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(page, "experiments"), *one,
                    *own = NULL;
        cJSON_ArrayForEach(one, list) {
            if (sweep_number(cJSON_GetObjectItemCaseSensitive(one, "sweep"), "seed", -1) ==
                sweep_number(item, "seed", 1))
                own = one;
        }
        status = own ? load(cJSON_GetObjectItemCaseSensitive(own, "spec"), data, error)
                     : gr_fail(error, GR_INVALID, "/figures: the sweep has no seed %.0f",
                               sweep_number(item, "seed", 1));
        if (status == GR_OK) status = smooth(data, error);
        if (status == GR_OK) status = write_all(of, data, server, item, table, list, error);
    }
    cJSON_Delete(page);
    cJSON_Delete(table);
    free(data);
    return status;
}
