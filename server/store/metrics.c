/* Metric rows, and the latest and best values that a record carries. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/json.h"
#include "server/store/internal.h"

/* SQLite's REAL has no NaN (it becomes NULL), and JSON neither NaN nor infinities: both use the
 * same texts. */
static double column_value(sqlite3_stmt *statement, int column) {
    if (sqlite3_column_type(statement, column) == SQLITE_FLOAT)
        return sqlite3_column_double(statement, column);
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (text && strcmp(text, "Infinity") == 0) return INFINITY;
    if (text && strcmp(text, "-Infinity") == 0) return -INFINITY;
    return NAN;
}

gr_status metrics_insert(database *db, int64_t id, const gr_metric *rows, size_t count,
                         gr_error *error) {
    for (size_t i = 0; i < count; i++) {
        const gr_metric *row = &rows[i];
        if (!*row->name || strlen(row->name) >= sizeof((metric_row *)NULL)->name)
            return gr_fail(error, GR_INVALID, "a metric's name has 1 to 63 bytes: \"%.100s\"",
                           row->name);
        if (isfinite(row->value))
            GR_TRY(database_run(db, NULL, error,
                                "INSERT OR REPLACE INTO metrics VALUES (?1, ?2, ?3, ?4)", "itid",
                                id, row->name, row->iteration, row->value));
        else
            GR_TRY(database_run(db, NULL, error,
                                "INSERT OR REPLACE INTO metrics VALUES (?1, ?2, ?3, ?4)", "itit",
                                id, row->name, row->iteration, json_not_finite(row->value)));
    }
    return GR_OK;
}

/* -- latest and best
 * ------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static bool set_number(cJSON *object, const char *name, double value) {
    return json_set(object, name, json_number(value));
}

/* Accuracies are best at their highest, losses at their lowest; the rest has no best. Nothing is
 * better than a NaN, and a NaN is no best. */
static bool is_better(const cJSON *best, const char *name, double value) {
    bool highest = ends_with(name, "_accuracy");
    if ((!highest && !ends_with(name, "_loss")) || isnan(value)) return false;
    double current;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(best, name);
    if (!item || !json_to_double(item, &current)) return true;
    return highest ? value > current : value < current;
}

/* The value at the highest iteration: while a resumed run repeats rows, that is not the row just
 * stored. */
static gr_status latest_value(database *db, int64_t id, const char *name, double *value,
                              gr_error *error) {
    sqlite3_stmt *statement;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT value FROM metrics WHERE experiment = ?1 AND name = ?2 "
                          "ORDER BY iteration DESC LIMIT 1",
                          "it", id, name));
    bool row;
    GR_TRY(database_step(db, statement, &row, error));
    *value = row ? column_value(statement, 0) : NAN;
    if (row) sqlite3_reset(statement);
    return GR_OK;
}

static gr_status read_object(const char *text, cJSON **object, gr_error *error) {
    *object = cJSON_Parse(text ? text : "{}");
    if (!cJSON_IsObject(*object))
        return gr_fail(error, *object ? GR_CORRUPT : GR_OUT_OF_MEMORY,
                       "the stored summary of the metrics cannot be read");
    /* cJSON would print a number that it has parsed with fewer digits than it needs. */
    for (const cJSON *item = (*object)->child, *next; item; item = next) {
        next = item->next;
        if (cJSON_IsNumber(item) && !set_number(*object, item->string, item->valuedouble))
            return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    }
    return GR_OK;
}

/* In the record, and in what lists are sorted by. */
static gr_status set_value(database *db, int64_t id, cJSON *object, bool best, const char *name,
                           double value, gr_error *error) {
    if (!set_number(object, name, value))
        return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    return facts_metric(db, id, best, name, value, error);
}

gr_status metrics_summarize(database *db, int64_t id, const gr_metric *rows, size_t count,
                            gr_error *error) {
    char *texts[2] = {NULL, NULL}; /* latest, best */
    cJSON *objects[2] = {NULL, NULL};
    sqlite3_stmt *statement;
    bool row;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT latest_metrics, best_metrics FROM experiments WHERE id = ?1", "i",
                          id));
    GR_TRY(database_step(db, statement, &row, error));
    if (!row) return gr_fail(error, GR_NOT_FOUND, "there is no experiment %lld", (long long)id);
    gr_status status = GR_OK;
    for (int i = 0; i < 2 && status == GR_OK; i++) {
        status = read_object((const char *)sqlite3_column_text(statement, i), &objects[i], error);
    }
    sqlite3_reset(statement);
    for (size_t i = 0; i < count && status == GR_OK; i++) {
        double latest;
        status = latest_value(db, id, rows[i].name, &latest, error);
        if (status == GR_OK)
            status = set_value(db, id, objects[0], false, rows[i].name, latest, error);
        if (status == GR_OK && is_better(objects[1], rows[i].name, rows[i].value))
            status = set_value(db, id, objects[1], true, rows[i].name, rows[i].value, error);
    }
    for (int i = 0; i < 2 && status == GR_OK; i++) {
        texts[i] = json_text(objects[i]);
        if (!texts[i]) status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    }
    if (status == GR_OK)
        status = database_run(db, NULL, error,
                              "UPDATE experiments SET latest_metrics = ?2, best_metrics = ?3 "
                              "WHERE id = ?1",
                              "itt", id, texts[0], texts[1]);
    for (int i = 0; i < 2; i++) {
        cJSON_Delete(objects[i]);
        free(texts[i]);
    }
    return status;
}

/* -- reading
 * -----------------------------------------------------------------------------------------------
 */

static gr_status read_rows(database *db, sqlite3_stmt *statement, metric_row **result,
                           size_t *result_count, gr_error *error) {
    metric_row *rows = NULL;
    size_t count = 0, capacity = 0;
    for (;;) {
        bool row;
        gr_status status = database_step(db, statement, &row, error);
        if (status == GR_OK && row && count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            metric_row *larger = realloc(rows, capacity * sizeof *rows);
            if (larger) {
                rows = larger;
            } else {
                status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
                sqlite3_reset(statement);
            }
        }
        if (status != GR_OK) {
            free(rows);
            return status;
        }
        if (!row) break;
        metric_row *next = &rows[count++];
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        size_t length = name ? (size_t)sqlite3_column_bytes(statement, 0) : 0;
        if (length >= sizeof next->name) length = sizeof next->name - 1;
        memcpy(next->name, name ? name : "", length);
        next->name[length] = 0;
        next->iteration = sqlite3_column_int64(statement, 1);
        next->value = column_value(statement, 2);
    }
    *result = rows;
    *result_count = count;
    return GR_OK;
}

gr_status store_series(store *self, int64_t id, const char *name, int64_t after, metric_row **rows,
                       size_t *count, gr_error *error) {
    *rows = NULL;
    *count = 0;
    database *db;
    sqlite3_stmt *statement;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = experiment_require(db, id, error);
    if (status == GR_OK) {
        if (name)
            status =
                database_query(db, &statement, error,
                               "SELECT name, iteration, value FROM metrics WHERE experiment = ?1 "
                               "AND name = ?2 AND iteration > ?3 ORDER BY iteration",
                               "iti", id, name, after);
        else if (after < 0)
            status =
                database_query(db, &statement, error,
                               "SELECT name, iteration, value FROM metrics WHERE experiment = ?1 "
                               "AND iteration > ?2 ORDER BY name, iteration",
                               "ii", id, after);
        else /* from name to name, and not through all the rows before: streams ask for the last */
            status = database_query(
                db, &statement, error,
                "WITH RECURSIVE series (name) AS (SELECT min(name) FROM metrics WHERE experiment = "
                "?1 UNION ALL SELECT (SELECT min(name) FROM metrics WHERE experiment = ?1 AND name "
                "> series.name) FROM series WHERE series.name IS NOT NULL) "
                "SELECT m.name, iteration, value FROM series CROSS JOIN metrics AS m "
                "WHERE m.experiment = ?1 AND m.name = series.name AND iteration > ?2 "
                "ORDER BY m.name, iteration",
                "ii", id, after);
    }
    if (status == GR_OK) status = read_rows(db, statement, rows, count, error);
    readers_give(self->readers, db);
    return status;
}
