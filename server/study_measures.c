/* Tables of several measures beside each other, a column for each: metrics, ratios of two metrics
 * of the same experiment, and ratios to the baseline. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/csv.h"
#include "server/study.h"
#include "server/sweep_follow.h"
#include "server/sweep_table.h"

enum { MAXIMUM_MEASURES = 24 };

/* What a column shows of an arm. */
typedef enum measure_form {
    FORM_MEAN,     /* of the metric, with Student's interval */
    FORM_OVER,     /* the geometric mean of metric / "over", with the interval of the logarithm */
    FORM_RELATIVE, /* the median of metric / the baseline's, by seeds */
} measure_form;

typedef struct measure {
    const char *label, *metric, *over;
    measure_form form;
    bool percent;
    cJSON *table, *over_table; /* owned: of the server; NULL: none */
} measure;

/* What one column says of one arm. */
typedef struct value {
    sample_summary summary; /* in the units of the metric, or of the ratio */
    interval band;
    double center, difference, p_holm;
    const char *verdict; /* NULL: none */
} value;

typedef struct measures {
    measure items[MAXIMUM_MEASURES];
    int count, cells;
    const cJSON *rows, *columns; /* of the first table, as of all */
    double confidence;
} measures;

static const cJSON *cell_of(const cJSON *table, int index) {
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(table, "cells"), index);
}

static double number_of(const cJSON *object, const char *name) {
    return sweep_number(object, name, NAN);
}

/* -- reading
 * -------------------------------------------------------------------------------------------- */

static gr_status fetch(client *server, int64_t sweep, const cJSON *item, const cJSON *one,
                       const char *metric, cJSON **table, gr_error *error) {
    cJSON *request = cJSON_CreateObject();
    static const char *const shared[] = {"rows", "columns", "baseline"};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        if (study_text(item, shared[i], NULL))
            cJSON_AddStringToObject(request, shared[i], study_text(item, shared[i], ""));
    cJSON_AddStringToObject(request, "metric", metric);
    if (study_text(one, "direction", NULL))
        cJSON_AddStringToObject(request, "direction", study_text(one, "direction", ""));
    const gr_status status = study_table(server, sweep, request, table, error);
    cJSON_Delete(request);
    return status;
}

static gr_status read_one(client *server, int64_t sweep, const cJSON *item, const cJSON *one,
                          measure *to, gr_error *error) {
    to->metric = study_text(one, "metric", NULL);
    to->over = study_text(one, "over", NULL);
    to->label = study_text(one, "label", to->metric);
    if (!to->metric)
        return gr_fail(error, GR_INVALID,
                       "/tables: each of \"metrics\" has a \"metric\", the name of one");
    const bool relative = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(one, "relative"));
    if (relative && to->over)
        return gr_fail(error, GR_INVALID,
                       "/tables: \"%.60s\" is \"relative\" or \"over\" a metric, not both",
                       to->label);
    to->form = relative ? FORM_RELATIVE : to->over ? FORM_OVER : FORM_MEAN;
    to->percent = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(one, "percent"));
    GR_TRY(fetch(server, sweep, item, one, to->metric, &to->table, error));
    return to->over ? fetch(server, sweep, item, one, to->over, &to->over_table, error) : GR_OK;
}

static void clear(measures *of) {
    for (int i = 0; i < of->count; i++) {
        cJSON_Delete(of->items[i].table);
        cJSON_Delete(of->items[i].over_table);
    }
}

static gr_status read_all(client *server, int64_t sweep, const cJSON *item, measures *to,
                          gr_error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(item, "metrics"), *one;
    if (cJSON_GetArraySize(list) < 1 || cJSON_GetArraySize(list) > MAXIMUM_MEASURES)
        return gr_fail(error, GR_INVALID, "/tables: \"metrics\" has 1 to %d items",
                       MAXIMUM_MEASURES);
    cJSON_ArrayForEach(one, list) {
        to->count++;
        GR_TRY(read_one(server, sweep, item, one, &to->items[to->count - 1], error));
    }
    const cJSON *table = to->items[0].table;
    to->rows = cJSON_GetObjectItemCaseSensitive(table, "rows");
    to->columns = cJSON_GetObjectItemCaseSensitive(table, "columns");
    to->cells = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(table, "cells"));
    to->confidence = number_of(table, "confidence");
    return GR_OK;
}

/* -- values
 * --------------------------------------------------------------------------------------------- */

static const cJSON *cell_of_arm(const cJSON *table, double arm) {
    const cJSON *cell;
    cJSON_ArrayForEach(cell, cJSON_GetObjectItemCaseSensitive(table, "cells")) {
        if (number_of(cell, "arm") == arm) return cell;
    }
    return NULL;
}

/* What the values of a cell are divided by: NULL, where nothing is. */
static const cJSON *divisor_of(const measure *by, const cJSON *cell, int index) {
    if (by->form == FORM_OVER) return cell_of(by->over_table, index);
    const cJSON *difference = cJSON_GetObjectItemCaseSensitive(cell, "difference");
    return cJSON_IsObject(difference)
               ? cell_of_arm(by->table, number_of(difference, "baseline_arm"))
               : cell; /* the baseline itself */
}

/* The ratios of all seeds that both have; of those "over", the logarithms. */
static gr_status summarize_ratios(const measures *of, const measure *by, const cJSON *cell,
                                  int index, value *to, gr_error *error) {
    const cJSON *divisor = divisor_of(by, cell, index), *pair;
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(cell, "values");
    double *ratios = calloc((size_t)cJSON_GetArraySize(values) + 1, sizeof *ratios);
    size_t count = 0;
    if (!ratios) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    cJSON_ArrayForEach(pair, values) {
        double seed, own;
        if (!json_to_double(cJSON_GetArrayItem(pair, 0), &seed) ||
            !json_to_double(cJSON_GetArrayItem(pair, 1), &own))
            continue;
        const double ratio = own / study_at_seed(divisor, seed);
        const double taken = by->form == FORM_OVER ? log(ratio) : ratio;
        if (isfinite(taken)) ratios[count++] = taken;
    }
    const gr_status status = sample_summarize(ratios, count, of->confidence, &to->summary, error);
    free(ratios);
    const bool over = by->form == FORM_OVER;
    to->band = over ? (interval){exp(to->summary.mean_band.low), exp(to->summary.mean_band.high)}
                    : to->summary.mean_band;
    to->center = over ? exp(to->summary.mean) : to->summary.median;
    return status;
}

static gr_status value_of(const measures *of, const measure *by, int index, value *to,
                          gr_error *error) {
    const cJSON *cell = cell_of(by->table, index);
    *to = (value){.difference = NAN, .p_holm = NAN};
    if (by->form != FORM_MEAN) return summarize_ratios(of, by, cell, index, to, error);
    const cJSON *difference = cJSON_GetObjectItemCaseSensitive(cell, "difference");
    const cJSON *band = cJSON_GetObjectItemCaseSensitive(cell, "interval");
    to->summary = (sample_summary){.n = (size_t)sweep_number(cell, "n", 0),
                                   .mean = number_of(cell, "mean"),
                                   .deviation = number_of(cell, "standard_deviation"),
                                   .median = number_of(cell, "median")};
    to->center = to->summary.mean;
    if (!json_to_double(cJSON_GetArrayItem(band, 0), &to->band.low) ||
        !json_to_double(cJSON_GetArrayItem(band, 1), &to->band.high))
        to->band = (interval){NAN, NAN};
    to->difference = number_of(difference, "mean");
    to->p_holm = number_of(difference, "p_holm");
    to->verdict = study_text(cell, "verdict", NULL);
    return GR_OK;
}

/* -- for people
 * ----------------------------------------------------------------------------------------- */

static void put_text(FILE *out, bool latex, const char *text) {
    fprintf(out, "%s%s", *text != '-' ? "" : latex ? "-" : "−", text + (*text == '-'));
}

/* Two digits of the spread; what is too small for that, or has no spread, by its own digits. */
static void put_number(FILE *out, bool latex, bool percent, double number, double spread) {
    char text[64];
    if (!percent && (!(spread > 0) || spread < 1e-5))
        snprintf(text, sizeof text, "%.3g", number);
    else
        snprintf(text, sizeof text, "%.*f", sweep_table_decimals(percent, spread),
                 percent ? 100 * number : number);
    put_text(out, latex, text);
}

/* Three digits: ratios go over many powers of ten. */
static void put_ratio(FILE *out, bool latex, double number) {
    char text[64];
    snprintf(text, sizeof text, number >= 100 && number < 1e5 ? "%.0f" : "%.3g", number);
    put_text(out, latex, text);
}

static void put_value(FILE *out, bool latex, const measure *by, const value *from) {
    const double half = (from->band.high - from->band.low) / 2;
    const char *verdict = from->verdict ? from->verdict : "";
    if (from->summary.n == 0) {
        fputs(latex ? "--" : "–", out);
        return;
    }
    if (latex) fputc('$', out);
    switch (by->form) {
    case FORM_RELATIVE:
        put_number(out, latex, false, from->center, 0.1);
        break;
    case FORM_OVER:
        put_ratio(out, latex, from->center);
        if (isnan(half)) break;
        fputs(latex ? "\\;[" : " [", out);
        put_ratio(out, latex, from->band.low);
        fputs(", ", out);
        put_ratio(out, latex, from->band.high);
        fputc(']', out);
        break;
    case FORM_MEAN:
        put_number(out, latex, by->percent, from->center, half);
        if (isnan(half)) break;
        fputs(latex ? " \\pm " : " ± ", out);
        put_number(out, latex, by->percent, half, half);
    }
    if (strcmp(verdict, "better") == 0) fputs(latex ? "^{\\uparrow}" : " ▲", out);
    if (strcmp(verdict, "worse") == 0) fputs(latex ? "^{\\downarrow}" : " ▼", out);
    if (latex) fputc('$', out);
}

/* "row", or "row, column" where there is more than one column. */
static void put_arm(FILE *out, bool latex, const measures *of, int index) {
    const cJSON *cell = cell_of(of->items[0].table, index);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(of->rows, "labels");
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(of->columns, "labels");
    const cJSON *row = cJSON_GetArrayItem(rows, (int)sweep_number(cell, "row", -1));
    const cJSON *column = cJSON_GetArrayItem(columns, (int)sweep_number(cell, "column", -1));
    sweep_table_put_label(out, latex, row ? row->valuestring : "");
    if (cJSON_GetArraySize(columns) < 2 || !column) return;
    fputs(", ", out);
    sweep_table_put_label(out, latex, column->valuestring);
}

static void put_header(FILE *out, bool latex, const measures *of) {
    const char *columns = study_text(of->columns, "axes", "");
    if (latex) {
        fputs("% \\usepackage{booktabs}\n\\begin{tabular}{l", out);
        for (int i = 0; i < of->count; i++) fputc('r', out);
        fputs("}\n\\toprule\n", out);
    } else {
        fputs("| ", out);
    }
    sweep_table_put_label(out, latex, study_text(of->rows, "axes", ""));
    if (*columns) {
        fputs(", ", out);
        sweep_table_put_label(out, latex, columns);
    }
    for (int i = 0; i < of->count; i++) {
        fputs(latex ? " & " : " | ", out);
        sweep_table_put_label(out, latex, of->items[i].label);
        if (of->items[i].percent) fputs(latex ? " in \\%" : " in %", out);
    }
    fputs(latex ? " \\\\\n\\midrule\n" : " |\n|---|", out);
    for (int i = 0; !latex && i < of->count; i++) fputs("---:|", out);
    if (!latex) fputc('\n', out);
}

static void put_notes(FILE *out, bool latex, const measures *of, size_t least, size_t most) {
    bool over = false, relative = false, compared = false;
    for (int i = 0; i < of->count; i++) {
        over |= of->items[i].form == FORM_OVER;
        relative |= of->items[i].form == FORM_RELATIVE;
        compared |=
            of->items[i].form == FORM_MEAN &&
            cJSON_IsString(cJSON_GetObjectItemCaseSensitive(of->items[i].table, "better")) &&
            cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(of->items[i].table, "baseline"));
    }
    const char *per_cent = latex ? "\\%" : "%";
    fprintf(out, "Means %s half of the %g %s interval", latex ? "$\\pm$" : "±",
            100 * of->confidence, per_cent);
    if (over) fputs("; ratios: geometric means [interval]", out);
    if (relative) fputs("; relative to the baseline: medians of the ratios by seed", out);
    if (least == most)
        fprintf(out, "; n = %zu seeds.", most);
    else
        fprintf(out, "; n = %zu to %zu seeds.", least, most);
    if (compared)
        fprintf(
            out,
            " %s better, %s worse than the baseline by the paired t-test with Holm's correction "
            "within the column.",
            latex ? "$\\uparrow$" : "▲", latex ? "$\\downarrow$" : "▼");
    fputc('\n', out);
}

static gr_status put_table(FILE *out, bool latex, const measures *of, gr_error *error) {
    size_t least = SIZE_MAX, most = 0;
    put_header(out, latex, of);
    for (int cell = 0; cell < of->cells; cell++) {
        if (!latex) fputs("| ", out);
        put_arm(out, latex, of, cell);
        for (int i = 0; i < of->count; i++) {
            value found;
            GR_TRY(value_of(of, &of->items[i], cell, &found, error));
            if (found.summary.n < least) least = found.summary.n;
            if (found.summary.n > most) most = found.summary.n;
            fputs(latex ? " & " : " | ", out);
            put_value(out, latex, &of->items[i], &found);
        }
        fputs(latex ? " \\\\\n" : " |\n", out);
    }
    fputs(latex ? "\\bottomrule\n\\end{tabular}\n% " : "\n", out);
    put_notes(out, latex, of, of->cells ? least : 0, most);
    return GR_OK;
}

/* -- for programs
 * --------------------------------------------------------------------------------------- */

static void put_field(FILE *out, const char *text) {
    csv_put_text(out, text);
    fputc(',', out);
}

static gr_status put_csv(FILE *out, const measures *of, gr_error *error) {
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(of->rows, "labels");
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(of->columns, "labels");
    fputs("row,column,measure,metric,divided_by,n,value,interval_low,interval_high,median,"
          "difference,p_holm,verdict\r\n",
          out);
    for (int cell = 0; cell < of->cells; cell++)
        for (int i = 0; i < of->count; i++) {
            const measure *by = &of->items[i];
            const cJSON *place = cell_of(by->table, cell);
            value found;
            GR_TRY(value_of(of, by, cell, &found, error));
            const double median =
                by->form == FORM_OVER ? exp(found.summary.median) : found.summary.median;
            const cJSON *row = cJSON_GetArrayItem(rows, (int)sweep_number(place, "row", -1));
            const cJSON *column =
                cJSON_GetArrayItem(columns, (int)sweep_number(place, "column", -1));
            put_field(out, row ? row->valuestring : "");
            put_field(out, column ? column->valuestring : "");
            put_field(out, by->label);
            put_field(out, by->metric);
            put_field(out, by->over ? by->over : by->form == FORM_RELATIVE ? "baseline" : "");
            fprintf(out, "%zu", found.summary.n);
            const double numbers[] = {found.center, found.band.low,   found.band.high,
                                      median,       found.difference, found.p_holm};
            for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
                fputc(',', out);
                csv_put_number(out, numbers[k]);
            }
            fprintf(out, ",%s\r\n", found.verdict ? found.verdict : "");
        }
    return GR_OK;
}

static gr_status write_form(const study *of, const cJSON *item, const measures *from,
                            const char *extension, bool print, gr_error *error) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    gr_status status = strcmp(extension, "csv") == 0
                           ? put_csv(out, from, error)
                           : put_table(out, strcmp(extension, "tex") == 0, from, error);
    if (fclose(out) != 0 && status == GR_OK)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK)
        status = study_write(of, study_text(item, "file", ""), extension, text, error);
    if (status == GR_OK && print) printf("\n%s\n", text);
    free(text);
    return status;
}

gr_status study_measures(const study *of, client *server, int64_t sweep, const cJSON *item,
                         bool print, gr_error *error) {
    static const char *const extensions[] = {"csv", "md", "tex"};
    measures all = {0};
    gr_status status = read_all(server, sweep, item, &all, error);
    for (int i = 0; i < 3 && status == GR_OK; i++)
        status = write_form(of, item, &all, extensions[i], print && i == 1, error);
    clear(&all);
    return status;
}
