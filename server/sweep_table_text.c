/* The forms of a sweep's table: JSON and CSV with all numbers, Markdown and LaTeX for people. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/csv.h"
#include "server/sweep_table.h"

/* -- JSON
 * -------------------------------------------------------------------------------------------- */

static cJSON *number(double value) {
    return isnan(value) ? cJSON_CreateNull() : json_number(value);
}

static void add_band(cJSON *object, const char *name, const interval *band) {
    cJSON *pair = isnan(band->low) ? cJSON_CreateNull() : cJSON_CreateArray();
    if (cJSON_IsArray(pair)) {
        json_append(pair, json_number(band->low));
        json_append(pair, json_number(band->high));
    }
    json_put(object, name, pair);
}

static cJSON *difference_json(const table_cell *cell) {
    if (cell->baseline_arm < 0 || cell->baseline_arm == cell->arm) return cJSON_CreateNull();
    cJSON *object = cJSON_CreateObject();
    const paired_test *test = &cell->test;
    json_put(object, "baseline_arm", json_integer(cell->baseline_arm));
    json_put(object, "pairs", json_integer((int64_t)test->n));
    json_put(object, "missing_pairs", json_integer(cell->missing_pairs));
    json_put(object, "mean", number(test->mean));
    json_put(object, "standard_deviation", number(test->deviation));
    add_band(object, "interval", &test->mean_band);
    json_put(object, "t", number(test->t));
    json_put(object, "p", number(test->p));
    json_put(object, "p_holm", number(cell->p_holm));
    json_put(object, "signed_rank_p", number(test->signed_rank_p));
    cJSON_AddBoolToObject(object, "constant", test->constant);
    return object;
}

static cJSON *cell_json(const table_cell *cell, const sweep_arm_row *arms) {
    cJSON *object = cJSON_CreateObject();
    const sample_summary *summary = &cell->summary;
    json_put(object, "row", json_integer((int64_t)cell->row));
    json_put(object, "column", json_integer((int64_t)cell->column));
    json_put(object, "arm", json_integer(cell->arm));
    if (arms) cJSON_AddStringToObject(object, "label", arms[cell->arm].label);
    cJSON *states = cJSON_AddObjectToObject(object, "states");
    for (int i = 0; i < STATE_COUNT; i++)
        if (cell->counts[i])
            json_put(states, state_name((experiment_state)i), json_integer(cell->counts[i]));
    json_put(object, "not_finite", json_integer(cell->not_finite));
    cJSON *values = cJSON_AddArrayToObject(object, "values");
    for (size_t i = 0; i < summary->n; i++) {
        cJSON *pair = cJSON_CreateArray();
        json_append(pair, json_integer(cell->seeds[i]));
        json_append(pair, json_number(cell->values[i]));
        json_append(values, pair);
    }
    json_put(object, "n", json_integer((int64_t)summary->n));
    json_put(object, "mean", number(summary->mean));
    json_put(object, "standard_deviation", number(summary->deviation));
    add_band(object, "interval", &summary->mean_band);
    json_put(object, "median", number(summary->median));
    json_put(object, "interquartile_mean", number(summary->interquartile_mean));
    add_band(object, "interquartile_interval", &summary->interquartile_band);
    json_put(object, "difference", difference_json(cell));
    json_put(object, "verdict",
             cell->verdict ? cJSON_CreateString(cell->verdict) : cJSON_CreateNull());
    return object;
}

static void add_axis(cJSON *object, const char *name, const char *axes, char **labels,
                     size_t count) {
    cJSON *axis = cJSON_AddObjectToObject(object, name), *list;
    cJSON_AddStringToObject(axis, "axes", axes);
    list = cJSON_AddArrayToObject(axis, "labels");
    for (size_t i = 0; i < count; i++) json_append(list, cJSON_CreateString(labels[i]));
}

cJSON *sweep_table_json(const sweep_table *table, int64_t sweep, const sweep_arm_row *arms) {
    static const char *const directions[] = {NULL, "higher", "lower"};
    const char *direction = directions[table->direction];
    cJSON *object = cJSON_CreateObject();
    json_put(object, "sweep", json_integer(sweep));
    cJSON_AddStringToObject(object, "metric", table->metric);
    json_put(object, "better", direction ? cJSON_CreateString(direction) : cJSON_CreateNull());
    json_put(object, "confidence", json_number(table->confidence));
    json_put(object, "baseline",
             table->baseline ? cJSON_Duplicate(table->baseline, true) : cJSON_CreateNull());
    json_put(object, "tests", json_integer((int64_t)table->family));
    add_axis(object, "rows", table->row_axes, table->row_labels, table->row_count);
    add_axis(object, "columns", table->column_axes, table->column_labels, table->column_count);
    cJSON *cells = cJSON_AddArrayToObject(object, "cells");
    for (size_t i = 0; i < table->cell_count; i++)
        json_append(cells, cell_json(&table->cells[i], arms));
    return object;
}

/* -- text
 * -------------------------------------------------------------------------------------------- */

static void put_text(FILE *out, const char *text, const char *special, const char *escape) {
    for (; *text; text++) {
        if (strchr(special, *text)) fputs(escape, out);
        fputc(*text, out);
    }
}

static void put_number(FILE *out, double value) {
    fputc(',', out);
    csv_put_number(out, value);
}

char *sweep_table_csv(const sweep_table *table) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fputs("row,column,n,diverged,failed,cancelled,unfinished,not_finite,mean,standard_deviation,"
          "interval_low,interval_high,median,interquartile_mean,interquartile_low,"
          "interquartile_high,pairs,missing_pairs,difference,difference_low,difference_high,t,p,"
          "p_holm,signed_rank_p,verdict\r\n",
          out);
    for (size_t i = 0; i < table->cell_count; i++) {
        const table_cell *cell = &table->cells[i];
        const sample_summary *s = &cell->summary;
        const bool compared = cell->baseline_arm >= 0 && cell->baseline_arm != cell->arm;
        csv_put_text(out, table->row_labels[cell->row]);
        fputc(',', out);
        csv_put_text(out, table->column_labels[cell->column]);
        fprintf(out, ",%zu,%lld,%lld,%lld,%lld,%lld", s->n, (long long)cell->counts[STATE_DIVERGED],
                (long long)cell->counts[STATE_FAILED], (long long)cell->counts[STATE_CANCELLED],
                (long long)(cell->counts[STATE_QUEUED] + cell->counts[STATE_RUNNING] +
                            cell->counts[STATE_PAUSED]),
                (long long)cell->not_finite);
        const double own[] = {s->mean,
                              s->deviation,
                              s->mean_band.low,
                              s->mean_band.high,
                              s->median,
                              s->interquartile_mean,
                              s->interquartile_band.low,
                              s->interquartile_band.high};
        for (size_t k = 0; k < sizeof own / sizeof *own; k++) put_number(out, own[k]);
        if (compared) {
            const paired_test *t = &cell->test;
            fprintf(out, ",%zu,%lld", t->n, (long long)cell->missing_pairs);
            const double test[] = {t->mean, t->mean_band.low, t->mean_band.high, t->t,
                                   t->p,    cell->p_holm,     t->signed_rank_p};
            for (size_t k = 0; k < sizeof test / sizeof *test; k++) put_number(out, test[k]);
        } else {
            fputs(",,,,,,,,,", out);
        }
        fprintf(out, ",%s\r\n", cell->verdict ? cell->verdict : "");
    }
    return fclose(out) == 0 ? text : NULL;
}

/* -- for people
 * --------------------------------------------------------------------------------------- */

typedef struct style {
    bool latex;
    bool percent; /* accuracies are shown in percent */
    table_statistic statistic;
    const char *minus, *plus_minus, *better, *worse;
} style;

static style style_of(const sweep_table *table, bool latex, table_statistic statistic) {
    return (style){.latex = latex,
                   .statistic = statistic,
                   .percent = strstr(table->metric, "accuracy") != NULL,
                   .minus = latex ? "-" : "\u2212",
                   .plus_minus = latex ? " \\pm " : " ± ",
                   .better = latex ? "^{\\uparrow}" : " ▲",
                   .worse = latex ? "^{\\downarrow}" : " ▼"};
}

int sweep_table_decimals(bool percent, double spread) {
    if (percent) return 2;
    if (!(spread > 0)) return 4;
    const double digits = 1 - floor(log10(spread));
    return digits < 0 ? 0 : digits > 8 ? 8 : (int)digits;
}

static void put_value(FILE *out, const style *with, double value, double spread, bool sign) {
    char text[64];
    if (with->percent) value *= 100;
    snprintf(text, sizeof text, sign ? "%+.*f" : "%.*f",
             sweep_table_decimals(with->percent, spread), value);
    if (*text == '-') {
        fputs(with->minus, out);
        fputs(text + 1, out);
    } else {
        fputs(text, out);
    }
}

static void put_cell(FILE *out, const style *with, const table_cell *cell) {
    const sample_summary *s = &cell->summary;
    const double half = (s->mean_band.high - s->mean_band.low) / 2;
    if (s->n == 0) {
        fputs(with->latex ? "--" : "–", out);
        return;
    }
    if (with->latex) fputc('$', out);
    switch (with->statistic) {
    case TABLE_MEDIAN:
        put_value(out, with, s->median, half, false);
        break;
    case TABLE_INTERQUARTILE:
        put_value(out, with, s->interquartile_mean, half, false);
        if (isnan(s->interquartile_band.low)) break;
        fputs(with->latex ? "\\;[" : " [", out);
        put_value(out, with, s->interquartile_band.low, half, false);
        fputs(", ", out);
        put_value(out, with, s->interquartile_band.high, half, false);
        fputc(']', out);
        break;
    default: {
        const double spread = with->statistic == TABLE_MEAN ? half : s->deviation;
        put_value(out, with, s->mean, spread, false);
        if (isnan(spread)) break;
        fputs(with->plus_minus, out);
        put_value(out, with, spread, spread, false);
    }
    }
    if (cell->verdict && (strcmp(cell->verdict, "better") == 0)) fputs(with->better, out);
    if (cell->verdict && (strcmp(cell->verdict, "worse") == 0)) fputs(with->worse, out);
    if (with->latex) fputc('$', out);
}

void sweep_table_put_label(FILE *out, bool latex, const char *text) {
    if (!latex) {
        put_text(out, text, "\\|*`<", "\\");
        return;
    }
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\textbackslash{}", out);
        else if (*text == '~' || *text == '^')
            fprintf(out, "\\%c{}", *text);
        else if (strchr("&%$#_{}", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void put_label(FILE *out, const style *with, const char *text) {
    sweep_table_put_label(out, with->latex, text);
}

static void put_p(FILE *out, double p) {
    if (isnan(p))
        fputs("", out);
    else if (p < 0.0001)
        fputs("< 0.0001", out);
    else
        fprintf(out, "%.2g", p);
}

static const char *separator(const style *with) {
    return with->latex ? " & " : " | ";
}

static void begin_row(FILE *out, const style *with) {
    if (!with->latex) fputs("| ", out);
}

static void end_row(FILE *out, const style *with) {
    fputs(with->latex ? " \\\\\n" : " |\n", out);
}

static const char *statistic_name(table_statistic statistic) {
    static const char *const names[] = {"mean ± interval", "mean ± standard deviation", "median",
                                        "interquartile mean"};
    return names[statistic];
}

/* The cell of an arm that ended otherwise than well says how many did. */
static void put_n(FILE *out, const table_cell *cell) {
    fprintf(out, "%zu", cell->summary.n);
    if (cell->counts[STATE_DIVERGED])
        fprintf(out, " (+%lld diverged)", (long long)cell->counts[STATE_DIVERGED]);
    if (cell->not_finite) fprintf(out, " (+%lld without a value)", (long long)cell->not_finite);
    if (cell->counts[STATE_FAILED])
        fprintf(out, " (+%lld failed)", (long long)cell->counts[STATE_FAILED]);
}

static bool is_compared(const table_cell *cell) {
    return cell->baseline_arm >= 0 && cell->baseline_arm != cell->arm;
}

/* One column of arms has room for the comparison. */
static void put_long_form(FILE *out, const sweep_table *table, const style *with) {
    for (size_t i = 0; i < table->cell_count; i++) {
        const table_cell *cell = &table->cells[i];
        const paired_test *test = &cell->test;
        begin_row(out, with);
        put_label(out, with, table->row_labels[cell->row]);
        fputs(separator(with), out);
        put_n(out, cell);
        fputs(separator(with), out);
        put_cell(out, with, cell);
        fputs(separator(with), out);
        if (is_compared(cell) && test->n > 0) {
            if (with->latex) fputc('$', out);
            const double half = (test->mean_band.high - test->mean_band.low) / 2;
            put_value(out, with, test->mean, half, true);
            if (!isnan(half)) {
                fputs(with->plus_minus, out);
                put_value(out, with, half, half, false);
            }
            if (with->latex) fputc('$', out);
        }
        fputs(separator(with), out);
        if (is_compared(cell)) {
            if (with->latex && cell->p_holm < 0.0001)
                fputs("$<$ 0.0001", out);
            else
                put_p(out, cell->p_holm);
        }
        fputs(separator(with), out);
        fputs(cell->verdict ? cell->verdict : "", out);
        end_row(out, with);
    }
}

static void put_grid(FILE *out, const sweep_table *table, const style *with) {
    size_t at = 0;
    for (size_t row = 0; row < table->row_count; row++) {
        begin_row(out, with);
        put_label(out, with, table->row_labels[row]);
        for (size_t column = 0; column < table->column_count; column++) {
            fputs(separator(with), out);
            if (at < table->cell_count && table->cells[at].row == row &&
                table->cells[at].column == column)
                put_cell(out, with, &table->cells[at++]);
        }
        end_row(out, with);
    }
}

/* What the table shows, and what it leaves out: n, and the runs that have no value. */
static void put_notes(FILE *out, const sweep_table *table, const style *with) {
    int64_t diverged = 0, failed = 0, unfinished = 0, not_finite = 0;
    size_t least = SIZE_MAX, most = 0;
    for (size_t i = 0; i < table->cell_count; i++) {
        const table_cell *cell = &table->cells[i];
        diverged += cell->counts[STATE_DIVERGED];
        not_finite += cell->not_finite;
        failed += cell->counts[STATE_FAILED] + cell->counts[STATE_CANCELLED];
        unfinished +=
            cell->counts[STATE_QUEUED] + cell->counts[STATE_RUNNING] + cell->counts[STATE_PAUSED];
        if (cell->summary.n < least) least = cell->summary.n;
        if (cell->summary.n > most) most = cell->summary.n;
    }
    const char *per_cent = with->latex ? "\\%" : "%";
    const char *statistic = statistic_name(with->statistic);
    if (with->latex && with->statistic == TABLE_MEAN) statistic = "mean $\\pm$ interval";
    if (with->latex && with->statistic == TABLE_MEAN_DEVIATION)
        statistic = "mean $\\pm$ standard deviation";
    put_label(out, with, table->metric);
    fprintf(out, "%s%s, %s", with->percent ? " in " : "", with->percent ? per_cent : "", statistic);
    if (with->statistic == TABLE_MEAN || with->statistic == TABLE_INTERQUARTILE)
        fprintf(out, " (%g %s, %s)", table->confidence * 100, per_cent,
                with->statistic == TABLE_MEAN ? "Student's t" : "bootstrap");
    if (least == most)
        fprintf(out, ", n = %zu", most);
    else
        fprintf(out, ", n = %zu to %zu", table->cell_count ? least : 0, most);
    fputs(" seeds.", out);
    if (table->baseline)
        fprintf(out,
                " Differences are paired by seed; p of the paired t-test with Holm's "
                "correction for %zu test%s.",
                table->family, table->family == 1 ? "" : "s");
    if (diverged) fprintf(out, " Without %lld diverged.", (long long)diverged);
    if (not_finite)
        fprintf(out, " Without %lld that succeeded and have no finite value of it.",
                (long long)not_finite);
    if (failed) fprintf(out, " Without %lld failed or cancelled.", (long long)failed);
    if (unfinished) fprintf(out, " %lld have not ended yet.", (long long)unfinished);
    fputc('\n', out);
}

static void put_header(FILE *out, const sweep_table *table, const style *with) {
    begin_row(out, with);
    put_label(out, with, table->row_axes);
    if (table->column_count <= 1) {
        fprintf(out, "%sn%s", separator(with), separator(with));
        put_label(out, with, table->metric);
        if (with->percent) fputs(with->latex ? " in \\%" : " in %", out);
        fprintf(out, "%sdifference%s%s%sverdict", separator(with), separator(with),
                with->latex ? "$p$ (Holm)" : "p (Holm)", separator(with));
    } else {
        fputs(with->latex ? " $\\backslash$ " : " / ", out);
        put_label(out, with, table->column_axes);
        for (size_t i = 0; i < table->column_count; i++) {
            fputs(separator(with), out);
            put_label(out, with, table->column_labels[i]);
        }
    }
    end_row(out, with);
}

static void put_table(FILE *out, const sweep_table *table, const style *with) {
    const size_t columns = table->column_count <= 1 ? 6 : table->column_count + 1;
    if (with->latex) {
        fputs("% \\usepackage{booktabs}\n\\begin{tabular}{l", out);
        for (size_t i = 1; i < columns; i++) fputc('r', out);
        fputs("}\n\\toprule\n", out);
    }
    put_header(out, table, with);
    if (with->latex)
        fputs("\\midrule\n", out);
    else {
        fputs("|---|", out);
        for (size_t i = 1; i < columns; i++) fputs("---:|", out);
        fputc('\n', out);
    }
    if (table->column_count <= 1)
        put_long_form(out, table, with);
    else
        put_grid(out, table, with);
    fputs(with->latex ? "\\bottomrule\n\\end{tabular}\n% " : "\n", out);
    put_notes(out, table, with);
}

static char *text_of(const sweep_table *table, bool latex, table_statistic statistic) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    const style with = style_of(table, latex, statistic);
    put_table(out, table, &with);
    return fclose(out) == 0 ? text : NULL;
}

char *sweep_table_markdown(const sweep_table *table, table_statistic statistic) {
    return text_of(table, false, statistic);
}

char *sweep_table_latex(const sweep_table *table, table_statistic statistic) {
    return text_of(table, true, statistic);
}
