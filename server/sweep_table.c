#include "server/sweep_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a table is made from. */
typedef struct maker {
    const sweep_plan *plan;
    const sweep_arm_row *arms;
    size_t arm_count;
    cJSON **levels; /* of each arm, parsed */
    const sweep_result *results;
    size_t result_count;
    const table_request *request;
    sweep_table *table;
    size_t *first, *count; /* where each arm's values stand in table->values */
    size_t *row, *column;  /* of each arm */
} maker;

static gr_status out_of_memory(gr_error *error) {
    return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
}

/* -- axes
 * -------------------------------------------------------------------------------------------- */

typedef struct axis_list {
    char names[SWEEP_MAXIMUM_AXES + 1][64];
    size_t count;
} axis_list;

static bool has_axis(const axis_list *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->names[i], name) == 0) return true;
    return false;
}

static gr_status read_axes(const sweep_plan *plan, const char *parameter, const char *text,
                           axis_list *list, gr_error *error) {
    list->count = 0;
    while (text && *text) {
        const size_t length = strcspn(text, ",");
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), text);
        bool known = strcmp(name, "arm") == 0;
        for (size_t i = 0; i < plan->axis_count; i++)
            known = known || strcmp(plan->axes[i].name, name) == 0;
        if (!known || has_axis(list, name) || list->count > SWEEP_MAXIMUM_AXES)
            return gr_fail(error, GR_INVALID,
                           "the query parameter \"%s\" names \"%.63s\", which is %s of this sweep; "
                           "\"arm\" stands for each combination by itself",
                           parameter, name, known ? "already there among the axes" : "no axis");
        snprintf(list->names[list->count++], 64, "%s", name);
        text += length;
        if (*text == ',') text++;
    }
    return GR_OK;
}

/* What is not named goes where nothing was said: an axis left out would mix its arms. */
static gr_status choose_axes(const maker *self, axis_list *rows, axis_list *columns,
                             gr_error *error) {
    const sweep_plan *plan = self->plan;
    GR_TRY(read_axes(plan, "rows", self->request->rows, rows, error));
    GR_TRY(read_axes(plan, "columns", self->request->columns, columns, error));
    for (size_t i = 0; i < rows->count; i++)
        if (has_axis(columns, rows->names[i]))
            return gr_fail(error, GR_INVALID,
                           "the query parameters \"rows\" and \"columns\" both name \"%s\"",
                           rows->names[i]);
    if (has_axis(rows, "arm") || has_axis(columns, "arm")) return GR_OK;
    if (plan->samples > 0 && rows->count + columns->count == 0) {
        snprintf(rows->names[rows->count++], 64, "arm");
        return GR_OK;
    }
    axis_list *rest = rows->count == 0 ? rows : columns;
    if (rows->count > 0 && columns->count > 0) return GR_OK;
    for (size_t i = 0; i < plan->axis_count; i++)
        if (!has_axis(rows, plan->axes[i].name) && !has_axis(columns, plan->axes[i].name))
            snprintf(rest->names[rest->count++], 64, "%s", plan->axes[i].name);
    return GR_OK;
}

static const char *level_of(const maker *self, size_t arm, const char *axis) {
    if (strcmp(axis, "arm") == 0) return self->arms[arm].label;
    const char *label =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(self->levels[arm], axis));
    return label ? label : "";
}

static void join_names(const axis_list *axes, char out[256]) {
    out[0] = 0;
    for (size_t i = 0; i < axes->count; i++) {
        const size_t length = strlen(out);
        snprintf(out + length, 256 - length, "%s%s", i ? ", " : "", axes->names[i]);
    }
}

/* The label that an arm has along these axes; owned. */
static char *joined_label(const maker *self, size_t arm, const axis_list *axes) {
    size_t size = 1;
    for (size_t i = 0; i < axes->count; i++)
        size += strlen(level_of(self, arm, axes->names[i])) + 2;
    char *text = malloc(size);
    if (!text) return NULL;
    *text = 0;
    for (size_t i = 0; i < axes->count; i++) {
        if (i) strcat(text, ", ");
        strcat(text, level_of(self, arm, axes->names[i]));
    }
    return text;
}

/* Gives each arm its place among the labels, in the order of the arms. */
static gr_status place_arms(const maker *self, const axis_list *axes, char ***labels, size_t *count,
                            size_t *places, gr_error *error) {
    *labels = calloc(self->arm_count + 1, sizeof **labels);
    if (!*labels) return out_of_memory(error);
    for (size_t arm = 0; arm < self->arm_count; arm++) {
        char *label = joined_label(self, arm, axes);
        if (!label) return out_of_memory(error);
        size_t at = 0;
        while (at < *count && strcmp((*labels)[at], label) != 0) at++;
        places[arm] = at;
        if (at == *count)
            (*labels)[(*count)++] = label;
        else
            free(label);
    }
    return GR_OK;
}

/* -- values
 * ------------------------------------------------------------------------------------------ */

static gr_status collect_values(maker *self, gr_error *error) {
    sweep_table *table = self->table;
    table->values = calloc(self->result_count + 1, sizeof *table->values);
    table->seeds = calloc(self->result_count + 1, sizeof *table->seeds);
    if (!table->values || !table->seeds) return out_of_memory(error);
    size_t used = 0, at = 0;
    for (size_t arm = 0; arm < self->arm_count; arm++) {
        table_cell *cell = &table->cells[arm];
        self->first[arm] = used;
        for (; at < self->result_count && self->results[at].arm == (int64_t)arm; at++) {
            const sweep_result *result = &self->results[at];
            cell->counts[result->state]++;
            if (result->state != STATE_SUCCEEDED) continue;
            if (!result->has_value || !isfinite(result->value)) {
                cell->not_finite++;
                continue;
            }
            /* Two of one seed: the first is the sweep's own. */
            if (used > self->first[arm] && table->seeds[used - 1] == result->seed) continue;
            table->values[used] = result->value;
            table->seeds[used++] = result->seed;
        }
        self->count[arm] = used - self->first[arm];
        cell->values = table->values + self->first[arm];
        cell->seeds = table->seeds + self->first[arm];
    }
    return GR_OK;
}

/* -- the baseline
 * ------------------------------------------------------------------------------------ */

/* {"axis": "label", …} from "axis:label,axis:label". */
static cJSON *baseline_of_text(const char *text) {
    cJSON *object = cJSON_CreateObject();
    while (object && *text) {
        const size_t length = strcspn(text, ",");
        const char *colon = memchr(text, ':', length);
        char name[64], label[2 * SWEEP_LABEL_SIZE];
        if (!colon || colon - text > 63 || length - (size_t)(colon - text) > sizeof label) {
            cJSON_Delete(object);
            return NULL;
        }
        snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
        snprintf(label, sizeof label, "%.*s", (int)(text + length - colon - 1), colon + 1);
        cJSON_AddStringToObject(object, name, label);
        text += length;
        if (*text == ',') text++;
    }
    return object;
}

static gr_status read_baseline(maker *self, gr_error *error) {
    const char *text = self->request->baseline;
    cJSON *object = NULL;
    if (text && *text == '{') {
        gr_error reason;
        if (json_parse(text, strlen(text), &object, &reason) != GR_OK)
            return gr_fail(error, GR_INVALID, "the query parameter \"baseline\" is no JSON: %.300s",
                           reason.message);
    } else if (text && *text) {
        object = baseline_of_text(text);
    } else if (!text && self->plan->baseline) {
        object = cJSON_Duplicate(self->plan->baseline, true);
    } else {
        return GR_OK;
    }
    self->table->baseline = object;
    if (!cJSON_IsObject(object) || !object->child)
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"baseline\" is like method:none, or "
                       "{\"method\": \"none\"}, or nothing at all");
    for (const cJSON *one = object->child; one; one = one->next) {
        bool known = false;
        for (size_t arm = 0; arm < self->arm_count && cJSON_IsString(one); arm++)
            known = known || strcmp(level_of(self, arm, one->string), one->valuestring) == 0;
        if (!known)
            return gr_fail(error, GR_INVALID,
                           "the query parameter \"baseline\": no arm has %.60s \"%.80s\"",
                           one->string, cJSON_IsString(one) ? one->valuestring : "");
    }
    return GR_OK;
}

/* The arm that differs from this one only in what the baseline names; -1: there is none. */
static int64_t baseline_arm(const maker *self, size_t arm) {
    const cJSON *wanted = self->table->baseline;
    if (!wanted) return -1;
    const cJSON *alone = cJSON_GetObjectItemCaseSensitive(wanted, "arm");
    for (size_t other = 0; other < self->arm_count; other++) {
        bool fits = !alone || strcmp(self->arms[other].label, alone->valuestring) == 0;
        for (const cJSON *level = alone ? NULL : self->levels[arm]->child; level && fits;
             level = level->next) {
            const cJSON *fixed = cJSON_GetObjectItemCaseSensitive(wanted, level->string);
            fits = strcmp(level_of(self, other, level->string),
                          fixed ? fixed->valuestring : level->valuestring) == 0;
        }
        if (fits) return (int64_t)other;
    }
    return -1;
}

/* The pairs of equal seeds; both lists are in the order of the seeds. */
static gr_status compare_to(const maker *self, table_cell *cell, size_t arm, size_t base,
                            gr_error *error) {
    const sweep_table *table = self->table;
    const size_t most = self->count[arm] + self->count[base];
    double *a = malloc((most + 1) * sizeof *a), *b = malloc((most + 1) * sizeof *b);
    size_t i = self->first[arm], j = self->first[base], n = 0;
    const size_t i_end = i + self->count[arm], j_end = j + self->count[base];
    gr_status status = a && b ? GR_OK : out_of_memory(error);
    while (status == GR_OK && i < i_end && j < j_end) {
        if (table->seeds[i] < table->seeds[j]) {
            i++;
        } else if (table->seeds[i] > table->seeds[j]) {
            j++;
        } else {
            a[n] = table->values[i++];
            b[n++] = table->values[j++];
        }
    }
    cell->missing_pairs = (int64_t)(most - 2 * n);
    if (status == GR_OK) status = paired_compare(a, b, n, table->confidence, &cell->test, error);
    free(a);
    free(b);
    return status;
}

static const char *verdict_of(const sweep_table *table, const table_cell *cell) {
    if (cell->test.n == 0) return NULL;
    if (!(cell->p_holm < 1 - table->confidence)) return "inconclusive";
    const bool higher = cell->test.mean > 0;
    if (table->direction == SWEEP_UNKNOWN) return higher ? "higher" : "lower";
    return higher == (table->direction == SWEEP_HIGHER) ? "better" : "worse";
}

static gr_status compare_all(maker *self, gr_error *error) {
    sweep_table *table = self->table;
    double *p = calloc(table->cell_count + 1, sizeof *p);
    if (!p) return out_of_memory(error);
    gr_status status = GR_OK;
    for (size_t arm = 0; arm < table->cell_count && status == GR_OK; arm++) {
        table_cell *cell = &table->cells[arm];
        p[arm] = NAN;
        cell->baseline_arm = baseline_arm(self, arm);
        if (cell->baseline_arm < 0 || cell->baseline_arm == cell->arm) continue;
        status = compare_to(self, cell, arm, (size_t)cell->baseline_arm, error);
        p[arm] = cell->test.p;
        if (!isnan(p[arm])) table->family++;
    }
    if (status == GR_OK) status = holm_correct(p, table->cell_count, error);
    for (size_t arm = 0; arm < table->cell_count && status == GR_OK; arm++) {
        table_cell *cell = &table->cells[arm];
        cell->p_holm = p[arm];
        if (cell->baseline_arm < 0) continue;
        cell->verdict = cell->baseline_arm == cell->arm ? "baseline" : verdict_of(table, cell);
    }
    free(p);
    return status;
}

/* -- the table
 * ---------------------------------------------------------------------------------------- */

static int compare_cells(const void *a, const void *b) {
    const table_cell *x = a, *y = b;
    if (x->row != y->row) return x->row > y->row ? 1 : -1;
    return (x->column > y->column) - (x->column < y->column);
}

static gr_status check_places(const maker *self, gr_error *error) {
    const sweep_table *table = self->table;
    for (size_t i = 1; i < table->cell_count; i++)
        if (compare_cells(&table->cells[i - 1], &table->cells[i]) == 0)
            return gr_fail(
                error, GR_INVALID,
                "\"rows\" and \"columns\" leave out an axis: one cell would mix the arms "
                "\"%.100s\" and \"%.100s\"",
                self->arms[table->cells[i - 1].arm].label, self->arms[table->cells[i].arm].label);
    return GR_OK;
}

static gr_status read_request(maker *self, gr_error *error) {
    const table_request *request = self->request;
    sweep_table *table = self->table;
    table->metric = strdup(request->metric ? request->metric : self->plan->metric);
    if (!table->metric) return out_of_memory(error);
    table->confidence = request->confidence > 0 ? request->confidence : self->plan->confidence;
    table->direction = sweep_metric_direction(table->metric);
    if (request->direction && strcmp(request->direction, "higher") == 0)
        table->direction = SWEEP_HIGHER;
    else if (request->direction && strcmp(request->direction, "lower") == 0)
        table->direction = SWEEP_LOWER;
    else if (request->direction)
        return gr_fail(
            error, GR_INVALID,
            "the query parameter \"direction\" is \"higher\" or \"lower\": what is better");
    return GR_OK;
}

static gr_status make(maker *self, gr_error *error) {
    sweep_table *table = self->table;
    axis_list rows, columns;
    GR_TRY(read_request(self, error));
    for (size_t arm = 0; arm < self->arm_count; arm++) {
        self->levels[arm] = cJSON_Parse(self->arms[arm].levels);
        if (!self->levels[arm]) return out_of_memory(error);
    }
    GR_TRY(choose_axes(self, &rows, &columns, error));
    join_names(&rows, table->row_axes);
    join_names(&columns, table->column_axes);
    GR_TRY(place_arms(self, &rows, &table->row_labels, &table->row_count, self->row, error));
    GR_TRY(place_arms(self, &columns, &table->column_labels, &table->column_count, self->column,
                      error));
    table->cells = calloc(self->arm_count + 1, sizeof *table->cells);
    if (!table->cells) return out_of_memory(error);
    table->cell_count = self->arm_count;
    for (size_t arm = 0; arm < self->arm_count; arm++)
        table->cells[arm] = (table_cell){.arm = (int64_t)arm,
                                         .row = self->row[arm],
                                         .column = self->column[arm],
                                         .baseline_arm = -1,
                                         .p_holm = NAN};
    GR_TRY(read_baseline(self, error));
    GR_TRY(collect_values(self, error));
    for (size_t arm = 0; arm < self->arm_count; arm++)
        GR_TRY(sample_summarize(table->cells[arm].values, self->count[arm], table->confidence,
                                &table->cells[arm].summary, error));
    GR_TRY(compare_all(self, error));
    qsort(table->cells, table->cell_count, sizeof *table->cells, compare_cells);
    return check_places(self, error);
}

gr_status sweep_table_of(const sweep_plan *plan, const sweep_arm_row *arms, size_t arm_count,
                         const sweep_result *results, size_t result_count,
                         const table_request *request, sweep_table *table, gr_error *error) {
    *table = (sweep_table){0};
    maker self = {.plan = plan,
                  .arms = arms,
                  .arm_count = arm_count,
                  .results = results,
                  .result_count = result_count,
                  .request = request,
                  .table = table,
                  .levels = calloc(arm_count + 1, sizeof *self.levels),
                  .first = calloc(4 * (arm_count + 1), sizeof *self.first)};
    gr_status status = self.levels && self.first ? GR_OK : out_of_memory(error);
    if (status == GR_OK) {
        self.count = self.first + arm_count;
        self.row = self.count + arm_count;
        self.column = self.row + arm_count;
        status = make(&self, error);
    }
    for (size_t arm = 0; self.levels && arm < arm_count; arm++) cJSON_Delete(self.levels[arm]);
    free(self.levels);
    free(self.first);
    if (status != GR_OK) sweep_table_clear(table);
    return status;
}

gr_status sweep_table_make(store *from, int64_t sweep, const table_request *request,
                           sweep_table *table, gr_error *error) {
    sweep_row row;
    sweep_plan plan = {0};
    sweep_arm_row *arms = NULL;
    sweep_result *results = NULL;
    size_t arm_count = 0, result_count = 0;
    problems found = {0};
    bool malformed;
    *table = (sweep_table){0};
    GR_TRY(store_sweep_get(from, sweep, &row, error));
    gr_status status = sweep_plan_parse(row.spec, strlen(row.spec), &plan, &malformed, &found);
    if (status != GR_OK)
        gr_fail(error, status = GR_CORRUPT, "the spec of sweep %lld cannot be read: %.300s",
                (long long)sweep, found.kept ? found.items[0].detail : "out of memory");
    if (status == GR_OK) status = store_sweep_arms(from, sweep, &arms, &arm_count, error);
    if (status == GR_OK)
        status = store_sweep_results(from, sweep, request->metric ? request->metric : plan.metric,
                                     &results, &result_count, error);
    if (status == GR_OK)
        status =
            sweep_table_of(&plan, arms, arm_count, results, result_count, request, table, error);
    problems_clear(&found);
    free(results);
    sweep_arm_rows_free(arms, arm_count);
    sweep_plan_clear(&plan);
    sweep_row_clear(&row);
    return status;
}

void sweep_table_clear(sweep_table *table) {
    for (size_t i = 0; i < table->row_count; i++) free(table->row_labels[i]);
    for (size_t i = 0; i < table->column_count; i++) free(table->column_labels[i]);
    free(table->row_labels);
    free(table->column_labels);
    free(table->cells);
    free(table->values);
    free(table->seeds);
    free(table->metric);
    cJSON_Delete(table->baseline);
    *table = (sweep_table){0};
}
