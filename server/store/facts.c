/* Facts: what lists are filtered and sorted by. Derived from the rows of experiments, within the
 * transactions that change them. */
#include "server/facts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"

/* -- writing
 * ------------------------------------------------------------------------------------------ */

static gr_status name_id(database *db, const char *name, int64_t *id, gr_error *error) {
    GR_TRY(
        database_integer(db, id, 0, error, "SELECT id FROM fact_names WHERE name = ?1", "t", name));
    if (*id) return GR_OK;
    return database_integer(db, id, 0, error,
                            "INSERT INTO fact_names (name) VALUES (?1) RETURNING id", "t", name);
}

static gr_status put_text(database *db, int64_t id, int64_t name, const char *text,
                          gr_error *error) {
    return database_run(db, NULL, error, "INSERT OR REPLACE INTO facts VALUES (?1, ?2, ?3, 0)",
                        "iit", id, name, text);
}

static gr_status put_number(database *db, int64_t id, int64_t name, double number, bool ranked,
                            gr_error *error) {
    static const char sql[] =
        "INSERT INTO facts VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET value = "
        "excluded.value WHERE value IS NOT excluded.value";
    if (isnan(number))
        return database_run(db, NULL, error, sql, "iiti", id, name, NULL, (int64_t)ranked);
    if (number == floor(number) && fabs(number) < 9007199254740992.0) /* takes fewer bytes */
        return database_run(db, NULL, error, sql, "iiii", id, name, (int64_t)number,
                            (int64_t)ranked);
    return database_run(db, NULL, error, sql, "iidi", id, name, number, (int64_t)ranked);
}

typedef struct target {
    database *db;
    int64_t id;
} target;

static gr_status put_fact(void *context, const fact *one, gr_error *error) {
    const target *of = context;
    int64_t name;
    GR_TRY(name_id(of->db, one->name, &name, error));
    if (one->text) return put_text(of->db, of->id, name, one->text, error);
    return put_number(of->db, of->id, name, one->number, one->is_metric, error);
}

gr_status facts_insert(database *db, int64_t id, const char *spec, const char *tags,
                       gr_error *error) {
    GR_TRY(facts_of_spec(spec, put_fact, &(target){db, id}, error));
    return facts_of_tags(tags, put_fact, &(target){db, id}, error);
}

gr_status facts_retag(database *db, int64_t id, const char *tags, gr_error *error) {
    GR_TRY(database_run(db, NULL, error,
                        "DELETE FROM facts WHERE experiment = ?1 AND name IN (SELECT id FROM "
                        "fact_names WHERE name >= 'tags.' AND name < 'tags/')",
                        "i", id));
    return facts_of_tags(tags, put_fact, &(target){db, id}, error);
}

gr_status facts_metric(database *db, int64_t id, bool best, const char *name, double value,
                       gr_error *error) {
    char full[FACT_NAME_SIZE];
    snprintf(full, sizeof full, "metrics.%s%s", best ? "best." : "", name);
    return put_fact(&(target){db, id}, &(fact){.name = full, .number = value, .is_metric = true},
                    error);
}

gr_status facts_forget_metrics(database *db, int64_t id, gr_error *error) {
    return database_run(db, NULL, error, "DELETE FROM facts WHERE experiment = ?1 AND ranked = 1",
                        "i", id);
}

/* -- experiments that were stored before there were facts
 * ------------------------------------------------------------------------------------------ */

enum { AT_ONCE = 200 }; /* experiments in one transaction */

static gr_status complete_one(database *db, int64_t id, gr_error *error) {
    experiment record;
    GR_TRY(experiment_select_any(db, id, &record, error));
    gr_status status = facts_insert(db, id, record.spec, record.tags, error);
    target of = {db, id};
    if (status == GR_OK)
        status = facts_of_metrics(record.latest_metrics, false, put_fact, &of, error);
    if (status == GR_OK) status = facts_of_metrics(record.best_metrics, true, put_fact, &of, error);
    experiment_clear(&record);
    return status;
}

/* Of the next experiments behind *after that lack facts; *after is 0 where there are no more. */
static gr_status complete_some(database *db, int64_t *after, gr_error *error) {
    int64_t ids[AT_ONCE];
    size_t count = 0;
    sqlite3_stmt *statement;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT id FROM experiments WHERE id > ?1 AND NOT EXISTS (SELECT 1 FROM "
                          "facts WHERE experiment = id) ORDER BY id LIMIT ?2",
                          "ii", *after, (int64_t)AT_ONCE));
    for (bool row = true; row;) {
        GR_TRY(database_step(db, statement, &row, error));
        if (row) ids[count++] = sqlite3_column_int64(statement, 0);
    }
    *after = count == AT_ONCE ? ids[count - 1] : 0;
    if (count == 0) return GR_OK;
    GR_TRY(database_execute(db, "BEGIN IMMEDIATE", error));
    gr_status status = GR_OK;
    for (size_t i = 0; i < count && status == GR_OK; i++) status = complete_one(db, ids[i], error);
    if (status == GR_OK) status = database_execute(db, "COMMIT", error);
    if (status != GR_OK && !sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

gr_status facts_complete(database *db, gr_error *error) {
    int64_t after = 0;
    do {
        GR_TRY(complete_some(db, &after, error));
    } while (after);
    return GR_OK;
}

/* -- names
 * ------------------------------------------------------------------------------------------ */

void fact_names_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

/* Adds the rows of a statement. On failure there are none. */
static gr_status read_names(database *db, sqlite3_stmt *statement, char ***result, size_t *count,
                            gr_error *error) {
    gr_status status;
    for (bool row = true;;) {
        GR_TRY_OR(failed, database_step(db, statement, &row, error));
        if (!row) return GR_OK;
        if (*count % 32 == 0) {
            char **larger = realloc(*result, (*count + 32) * sizeof **result);
            if (!larger) {
                status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
                goto failed;
            }
            *result = larger;
        }
        GR_TRY_OR(failed, database_text(statement, 0, &(*result)[*count], error));
        ++*count;
    }

failed:
    sqlite3_reset(statement);
    fact_names_free(*result, *count);
    *result = NULL;
    *count = 0;
    return status;
}

gr_status store_metric_names(store *self, char ***names, size_t *count, gr_error *error) {
    database *db;
    sqlite3_stmt *statement;
    *names = NULL;
    *count = 0;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_query(
        db, &statement, error,
        "SELECT substr(name, 9) FROM fact_names WHERE name >= 'metrics.' AND name < 'metrics/' "
        "AND NOT (name >= 'metrics.best.' AND name < 'metrics.best/') ORDER BY name",
        "");
    if (status == GR_OK) status = read_names(db, statement, names, count, error);
    readers_give(self->readers, db);
    return status;
}

/* Marks the numbers of the names that an experiment has facts of. */
static gr_status mark_names(database *db, int64_t id, bool *marks, int64_t limit, gr_error *error) {
    sqlite3_stmt *statement;
    GR_TRY(database_query(db, &statement, error, "SELECT name FROM facts WHERE experiment = ?1",
                          "i", id));
    for (bool row = true;;) {
        GR_TRY(database_step(db, statement, &row, error));
        if (!row) return GR_OK;
        const int64_t name = sqlite3_column_int64(statement, 0);
        if (name < limit) marks[name] = true;
    }
}

static gr_status marked_names(database *db, const int64_t *ids, size_t id_count, char ***names,
                              size_t *count, gr_error *error) {
    int64_t limit;
    GR_TRY(database_integer(db, &limit, 1, error, "SELECT coalesce(max(id), 0) + 1 FROM fact_names",
                            ""));
    bool *marks = calloc((size_t)limit, sizeof *marks);
    gr_status status = marks ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    for (size_t i = 0; i < id_count && status == GR_OK; i++)
        status = mark_names(db, ids[i], marks, limit, error);
    for (int64_t id = 1; id < limit && status == GR_OK; id++) {
        sqlite3_stmt *statement;
        if (!marks[id]) continue;
        status = database_query(db, &statement, error, "SELECT name FROM fact_names WHERE id = ?1",
                                "i", id);
        if (status == GR_OK) status = read_names(db, statement, names, count, error);
    }
    free(marks);
    return status;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

gr_status store_fact_names(store *self, const int64_t *ids, size_t id_count, char ***names,
                           size_t *count, gr_error *error) {
    database *db;
    *names = NULL;
    *count = 0;
    GR_TRY(readers_take(self->readers, &db, error));
    const gr_status status = marked_names(db, ids, id_count, names, count, error);
    readers_give(self->readers, db);
    if (*count) qsort(*names, *count, sizeof **names, by_name);
    return status;
}
