/* The tables of sweeps: submission, reading, adding experiments. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/json.h"
#include "server/store/sweeps.h"

/* -- records
 * ------------------------------------------------------------------------------------------ */

void sweep_row_clear(sweep_row *row) {
    free(row->name);
    free(row->tags);
    free(row->spec);
    free(row->strategy);
    free(row->note);
    *row = (sweep_row){0};
}

void sweep_rows_free(sweep_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) sweep_row_clear(&rows[i]);
    free(rows);
}

static void arm_row_clear(sweep_arm_row *row) {
    free(row->label);
    free(row->levels);
    free(row->spec);
    free(row->data_hash);
    free(row->engine_version);
    *row = (sweep_arm_row){0};
}

void sweep_arm_rows_free(sweep_arm_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) arm_row_clear(&rows[i]);
    free(rows);
}

gr_status id_list_add(id_list *list, int64_t id, gr_error *error) {
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        int64_t *larger = realloc(list->items, capacity * sizeof *larger);
        if (!larger) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
        list->items = larger;
        list->capacity = capacity;
    }
    list->items[list->count++] = id;
    return GR_OK;
}

gr_status id_list_read(database *db, sqlite3_stmt *statement, id_list *list, gr_error *error) {
    for (bool row = true; row;) {
        GR_TRY(database_step(db, statement, &row, error));
        if (!row) break;
        const gr_status status = id_list_add(list, sqlite3_column_int64(statement, 0), error);
        if (status != GR_OK) {
            sqlite3_reset(statement);
            return status;
        }
    }
    return GR_OK;
}

#define SWEEP_COLUMNS                                                                            \
    "id, revision, name, tags, spec, strategy, note, active, paused, created_at, cancelled_at, " \
    "(SELECT count(*) FROM sweep_arms WHERE sweep = sweeps.id)"

static gr_status read_row(sqlite3_stmt *statement, sweep_row *row, gr_error *error) {
    gr_status status;
    *row = (sweep_row){.id = sqlite3_column_int64(statement, 0),
                       .revision = sqlite3_column_int64(statement, 1),
                       .active = sqlite3_column_int64(statement, 7) != 0,
                       .paused = sqlite3_column_int64(statement, 8) != 0,
                       .created_at = sqlite3_column_int64(statement, 9),
                       .cancelled_at = sqlite3_column_int64(statement, 10),
                       .arm_count = sqlite3_column_int64(statement, 11)};
    GR_TRY_OR(failed, database_text(statement, 2, &row->name, error));
    GR_TRY_OR(failed, database_text(statement, 3, &row->tags, error));
    GR_TRY_OR(failed, database_text(statement, 4, &row->spec, error));
    GR_TRY_OR(failed, database_text(statement, 5, &row->strategy, error));
    GR_TRY_OR(failed, database_text(statement, 6, &row->note, error));
    return GR_OK;
failed:
    sweep_row_clear(row);
    return status;
}

static gr_status count_states(database *db, sweep_row *row, gr_error *error) {
    sqlite3_stmt *statement;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT state, count(*) FROM experiments WHERE sweep = ?1 AND trashed_at "
                          "IS NULL GROUP BY state",
                          "i", row->id));
    for (bool more = true; more;) {
        GR_TRY(database_step(db, statement, &more, error));
        experiment_state state;
        const char *name = more ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (name && state_from_name(name, &state)) {
            row->counts[state] = sqlite3_column_int64(statement, 1);
            row->experiment_count += row->counts[state];
        }
    }
    return GR_OK;
}

gr_status sweep_select(database *db, int64_t id, sweep_row *row, gr_error *error) {
    *row = (sweep_row){0};
    sqlite3_stmt *statement;
    GR_TRY(database_query(
        db, &statement, error,
        "SELECT " SWEEP_COLUMNS " FROM sweeps WHERE id = ?1 AND trashed_at IS NULL", "i", id));
    bool found;
    GR_TRY(database_step(db, statement, &found, error));
    if (!found) return gr_fail(error, GR_NOT_FOUND, "there is no sweep %lld", (long long)id);
    gr_status status = read_row(statement, row, error);
    sqlite3_reset(statement);
    if (status == GR_OK) status = count_states(db, row, error);
    if (status != GR_OK) sweep_row_clear(row);
    return status;
}

gr_status sweep_touch(database *db, int64_t id, gr_error *error) {
    int64_t revision;
    GR_TRY(next_revision(db, &revision, error));
    return database_run(db, NULL, error, "UPDATE sweeps SET revision = ?2 WHERE id = ?1", "ii", id,
                        revision);
}

/* -- experiments of an arm
 * ------------------------------------------------------------------------------ */

/* What changes from one experiment of an arm to the next. */
typedef struct arm_maker {
    const sweep_arm_row *arm;
    const char *sweep_name;
    cJSON *spec;
    char *tags;
} arm_maker;

static void maker_clear(arm_maker *maker) {
    cJSON_Delete(maker->spec);
    free(maker->tags);
    *maker = (arm_maker){0};
}

static gr_status maker_begin(arm_maker *maker, const sweep_arm_row *arm, const char *sweep_name,
                             gr_error *error) {
    *maker = (arm_maker){.arm = arm, .sweep_name = sweep_name, .spec = cJSON_Parse(arm->spec)};
    if (maker->spec) maker->tags = json_text(cJSON_GetObjectItemCaseSensitive(maker->spec, "tags"));
    if (maker->tags) return GR_OK;
    maker_clear(maker);
    return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
}

/* Names are for people and at most 200 bytes: the label gives way to the seed. */
static void make_name(const arm_maker *maker, int64_t seed, char name[201]) {
    char end[40];
    snprintf(end, sizeof end, ", seed %lld", (long long)seed);
    int length = snprintf(name, 201, "%s: %s", maker->sweep_name, maker->arm->label);
    const int room = 200 - (int)strlen(end);
    if (length > room) {
        length = room;
        while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80) length--;
    }
    memcpy(name + length, end, strlen(end) + 1);
}

static gr_status maker_insert(arm_maker *maker, database *db, int64_t sweep, int64_t seed,
                              int64_t stop_after, int64_t owner, gr_error *error) {
    char name[201];
    make_name(maker, seed, name);
    cJSON *text = cJSON_CreateString(name), *number = json_integer(seed);
    /* Replaced in place, for a canonical spec has its members in order. */
    bool good = text && cJSON_ReplaceItemInObjectCaseSensitive(maker->spec, "name", text);
    if (!good) cJSON_Delete(text);
    bool also = number && cJSON_ReplaceItemInObjectCaseSensitive(maker->spec, "seed", number);
    if (!also) cJSON_Delete(number);
    char *spec = good && also ? json_text(maker->spec) : NULL;
    if (!spec) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    const sweep_arm_row *arm = maker->arm;
    const submission form = {.name = name,
                             .tags = maker->tags,
                             .spec = spec,
                             .data_hash = arm->data_hash,
                             .engine_version = arm->engine_version,
                             .iterations = arm->iterations,
                             .memory_bytes = arm->memory_bytes,
                             .operations = arm->iteration_operations * (double)arm->iterations,
                             .sweep = sweep,
                             .arm = arm->arm,
                             .seed = seed,
                             .submitted_by = owner,
                             .stop_after_iteration = stop_after};
    int64_t id;
    const gr_status status = experiment_insert(db, &form, &id, error);
    free(spec);
    return status;
}

/* -- submission
 * ----------------------------------------------------------------------------------------- */

typedef struct submit {
    const sweep_submission *form;
    int64_t id;
} submit;

static gr_status insert_arm(database *db, int64_t sweep, const sweep_arm_row *arm,
                            gr_error *error) {
    return database_run(
        db, NULL, error, "INSERT INTO sweep_arms VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        "iitttttidi", sweep, arm->arm, arm->label, arm->levels, arm->spec, arm->data_hash,
        arm->engine_version, arm->iterations, arm->iteration_operations, arm->memory_bytes);
}

/* Seed by seed, so that the first comparison of all arms is there early. */
static gr_status insert_experiments(database *db, int64_t sweep, const sweep_submission *form,
                                    arm_maker *makers, gr_error *error) {
    for (size_t s = 0; s < form->seed_count; s++)
        for (size_t a = 0; a < form->arm_count; a++)
            GR_TRY(maker_insert(&makers[a], db, sweep, form->seeds[s], form->stop_after_iteration,
                                form->submitted_by, error));
    return GR_OK;
}

/* The answer to a repeated request, in the transaction that makes the sweep. */
static gr_status keep_answer(database *db, int64_t id, const idempotency *with, gr_error *error) {
    sweep_row made;
    char location[64];
    GR_TRY(sweep_select(db, id, &made, error));
    snprintf(location, sizeof location, "/api/v1/sweeps/%lld", (long long)id);
    char *body = with->answer(&made, with->context);
    const gr_status status = body ? idempotency_insert(db, with->key, with->fingerprint, 201,
                                                       location, NULL, body, error)
                                  : gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    free(body);
    sweep_row_clear(&made);
    return status;
}

static gr_status submit_work(database *db, void *context, gr_error *error) {
    submit *order = context;
    const sweep_submission *form = order->form;
    int64_t revision;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, NULL, error,
                        "INSERT INTO sweeps (revision, name, tags, spec, strategy, active, "
                        "created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                        "ittttii", revision, form->name, form->tags, form->spec, form->strategy,
                        (int64_t)form->active, clock_now()));
    order->id = sqlite3_last_insert_rowid(db->handle);
    arm_maker *makers = calloc(form->arm_count, sizeof *makers);
    gr_status status = makers ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    for (size_t a = 0; a < form->arm_count && status == GR_OK; a++) {
        status = insert_arm(db, order->id, &form->arms[a], error);
        if (status == GR_OK) status = maker_begin(&makers[a], &form->arms[a], form->name, error);
    }
    if (status == GR_OK) status = insert_experiments(db, order->id, form, makers, error);
    if (status == GR_OK && form->idempotency)
        status = keep_answer(db, order->id, form->idempotency, error);
    for (size_t a = 0; makers && a < form->arm_count; a++) maker_clear(&makers[a]);
    free(makers);
    return status;
}

gr_status store_sweep_submit(store *self, const sweep_submission *form, int64_t *id,
                             gr_error *error) {
    submit order = {.form = form};
    GR_TRY(writer_run(self->writer, submit_work, &order, error));
    *id = order.id;
    return GR_OK;
}

/* -- reading
 * -------------------------------------------------------------------------------------------- */

gr_status store_sweep_get(store *self, int64_t id, sweep_row *row, gr_error *error) {
    database *db;
    *row = (sweep_row){0};
    GR_TRY(readers_take(self->readers, &db, error));
    const gr_status status = sweep_select(db, id, row, error);
    readers_give(self->readers, db);
    return status;
}

static gr_status read_rows(database *db, id_list *ids, sweep_row **rows, size_t *count,
                           gr_error *error) {
    *rows = calloc(ids->count + 1, sizeof **rows);
    if (!*rows) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    for (size_t i = 0; i < ids->count; i++) {
        const gr_status status = sweep_select(db, ids->items[i], &(*rows)[*count], error);
        if (status == GR_NOT_FOUND) continue;
        if (status != GR_OK) {
            sweep_rows_free(*rows, *count);
            *rows = NULL;
            *count = 0;
            return status;
        }
        ++*count;
    }
    return GR_OK;
}

gr_status store_sweep_list(store *self, int64_t before_id, int64_t limit, sweep_row **rows,
                           size_t *count, gr_error *error) {
    *rows = NULL;
    *count = 0;
    database *db;
    sqlite3_stmt *statement;
    id_list ids = {0};
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_query(db, &statement, error,
                                      "SELECT id FROM sweeps WHERE id < ?1 AND trashed_at IS NULL "
                                      "ORDER BY id DESC LIMIT ?2",
                                      "ii", before_id > 0 ? before_id : INT64_MAX, limit);
    if (status == GR_OK) status = id_list_read(db, statement, &ids, error);
    if (status == GR_OK) status = read_rows(db, &ids, rows, count, error);
    readers_give(self->readers, db);
    free(ids.items);
    return status;
}

gr_status store_sweep_active(store *self, int64_t **ids, size_t *count, gr_error *error) {
    database *db;
    sqlite3_stmt *statement;
    id_list list = {0};
    *ids = NULL;
    *count = 0;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_query(
        db, &statement, error,
        "SELECT id FROM sweeps WHERE active = 1 AND trashed_at IS NULL ORDER BY id", "");
    if (status == GR_OK) status = id_list_read(db, statement, &list, error);
    readers_give(self->readers, db);
    if (status != GR_OK) {
        free(list.items);
        return status;
    }
    *ids = list.items;
    *count = list.count;
    return GR_OK;
}

static gr_status read_arm(sqlite3_stmt *statement, sweep_arm_row *row, gr_error *error) {
    gr_status status;
    *row = (sweep_arm_row){.arm = sqlite3_column_int64(statement, 0),
                           .iterations = sqlite3_column_int64(statement, 6),
                           .iteration_operations = sqlite3_column_double(statement, 7),
                           .memory_bytes = sqlite3_column_int64(statement, 8)};
    GR_TRY_OR(failed, database_text(statement, 1, &row->label, error));
    GR_TRY_OR(failed, database_text(statement, 2, &row->levels, error));
    GR_TRY_OR(failed, database_text(statement, 3, &row->spec, error));
    GR_TRY_OR(failed, database_text(statement, 4, &row->data_hash, error));
    GR_TRY_OR(failed, database_text(statement, 5, &row->engine_version, error));
    return GR_OK;
failed:
    arm_row_clear(row);
    return status;
}

static gr_status select_arms(database *db, int64_t sweep, sweep_arm_row **rows, size_t *count,
                             gr_error *error) {
    sqlite3_stmt *statement;
    int64_t size;
    *rows = NULL;
    *count = 0;
    GR_TRY(database_integer(db, &size, 0, error, "SELECT count(*) FROM sweep_arms WHERE sweep = ?1",
                            "i", sweep));
    sweep_arm_row *items = calloc((size_t)size + 1, sizeof *items);
    if (!items) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    size_t read = 0;
    gr_status status = database_query(
        db, &statement, error,
        "SELECT arm, label, levels, spec, data_hash, engine_version, iterations, "
        "iteration_operations, memory_bytes FROM sweep_arms WHERE sweep = ?1 ORDER BY arm LIMIT ?2",
        "ii", sweep, size);
    for (bool more = true; status == GR_OK && more;) {
        status = database_step(db, statement, &more, error);
        if (status != GR_OK || !more) break;
        status = read_arm(statement, &items[read], error);
        if (status == GR_OK)
            read++;
        else
            sqlite3_reset(statement);
    }
    if (status != GR_OK) {
        sweep_arm_rows_free(items, read);
        return status;
    }
    *rows = items;
    *count = read;
    return GR_OK;
}

gr_status store_sweep_arms(store *self, int64_t id, sweep_arm_row **rows, size_t *count,
                           gr_error *error) {
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    const gr_status status = select_arms(db, id, rows, count, error);
    readers_give(self->readers, db);
    return status;
}

/* -- results
 * -------------------------------------------------------------------------------------------- */

/* "$."name"": a metric's name within a JSON object, as SQLite's json_extract wants it. */
static gr_status metric_path(const char *metric, char path[80], bool *best, gr_error *error) {
    *best = strncmp(metric, "best.", 5) == 0;
    const char *name = *best ? metric + 5 : metric;
    const size_t length = strlen(name);
    if (length == 0 || length > 63 || strpbrk(name, "\"\\"))
        return gr_fail(error, GR_INVALID,
                       "a metric is called like \"test_accuracy\" or \"best.validation_accuracy\"");
    snprintf(path, 80, "$.\"%s\"", name);
    return GR_OK;
}

/* The metric is the statement's column `column`: a number, a text for what is not finite, or
 * NULL. */
static bool read_value(sqlite3_stmt *statement, int column, double *value) {
    const char *text;
    *value = NAN;
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_NULL:
        return false;
    case SQLITE_TEXT:
        text = (const char *)sqlite3_column_text(statement, column);
        if (text && strcmp(text, "Infinity") == 0) *value = INFINITY;
        if (text && strcmp(text, "-Infinity") == 0) *value = -INFINITY;
        return true;
    default:
        *value = sqlite3_column_double(statement, column);
        return true;
    }
}

static gr_status read_result(sqlite3_stmt *statement, sweep_result *result, gr_error *error) {
    *result = (sweep_result){.experiment = sqlite3_column_int64(statement, 0),
                             .arm = sqlite3_column_int64(statement, 1),
                             .seed = sqlite3_column_int64(statement, 2),
                             .iteration = sqlite3_column_int64(statement, 4),
                             .iterations = sqlite3_column_int64(statement, 5),
                             .iterations_per_second = sqlite3_column_double(statement, 6),
                             .elapsed_seconds = sqlite3_column_double(statement, 7)};
    const char *state = (const char *)sqlite3_column_text(statement, 3);
    if (!state || !state_from_name(state, &result->state))
        return gr_fail(error, GR_CORRUPT, "experiment %lld has an unknown state",
                       (long long)result->experiment);
    result->has_value = read_value(statement, 8, &result->value);
    return GR_OK;
}

#define RESULT_COLUMNS \
    "SELECT id, arm, seed, state, iteration, iterations, iterations_per_second, elapsed_seconds, "
#define OF_SWEEP " FROM experiments WHERE sweep = ?1 AND trashed_at IS NULL ORDER BY arm, seed, id"

gr_status store_sweep_results(store *self, int64_t id, const char *metric, sweep_result **results,
                              size_t *result_count, gr_error *error) {
    char path[80];
    bool best;
    *results = NULL;
    *result_count = 0;
    GR_TRY(metric_path(metric, path, &best, error));
    database *db;
    sqlite3_stmt *statement = NULL;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status;
    if (strcmp(metric, "elapsed_seconds") == 0)
        status = database_query(db, &statement, error, RESULT_COLUMNS "elapsed_seconds" OF_SWEEP,
                                "i", id);
    else if (strcmp(metric, "cpu_seconds") == 0)
        status =
            database_query(db, &statement, error, RESULT_COLUMNS "cpu_seconds" OF_SWEEP, "i", id);
    else if (best)
        status = database_query(db, &statement, error,
                                RESULT_COLUMNS "json_extract(best_metrics, ?2)" OF_SWEEP, "it", id,
                                path);
    else
        status = database_query(db, &statement, error,
                                RESULT_COLUMNS "json_extract(latest_metrics, ?2)" OF_SWEEP, "it",
                                id, path);
    sweep_result *items = NULL;
    size_t count = 0, capacity = 0;
    for (bool more = true; status == GR_OK && more;) {
        status = database_step(db, statement, &more, error);
        if (status != GR_OK || !more) break;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 128;
            sweep_result *larger = realloc(items, capacity * sizeof *items);
            if (larger)
                items = larger;
            else
                status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
        }
        if (status == GR_OK) status = read_result(statement, &items[count], error);
        if (status == GR_OK)
            count++;
        else
            sqlite3_reset(statement);
    }
    readers_give(self->readers, db);
    if (status != GR_OK) {
        free(items);
        return status;
    }
    *results = items;
    *result_count = count;
    return GR_OK;
}

/* -- adding
 * --------------------------------------------------------------------------------------------- */

typedef struct addition {
    int64_t id;
    const sweep_place *places;
    size_t count;
    int active;
    int64_t added;
} addition;

static gr_status add_places(database *db, addition *order, const sweep_row *row,
                            const sweep_arm_row *arms, size_t arm_count, gr_error *error) {
    arm_maker maker = {0};
    int64_t owner;
    gr_status status = database_integer(
        db, &owner, 0, error,
        "SELECT coalesce(submitted_by, 0) FROM experiments WHERE sweep = ?1 LIMIT 1", "i", row->id);
    for (size_t i = 0; i < order->count && status == GR_OK; i++) {
        const sweep_place *place = &order->places[i];
        if (place->arm < 0 || (size_t)place->arm >= arm_count) {
            status = gr_fail(error, GR_INTERNAL, "sweep %lld has no arm %lld", (long long)row->id,
                             (long long)place->arm);
            break;
        }
        int64_t there;
        status = database_integer(db, &there, 0, error,
                                  "SELECT 1 FROM experiments WHERE sweep = ?1 AND arm = ?2 AND "
                                  "seed = ?3 AND trashed_at IS NULL",
                                  "iii", row->id, place->arm, place->seed);
        if (status != GR_OK || there) continue;
        if (maker.arm != &arms[place->arm]) {
            maker_clear(&maker);
            status = maker_begin(&maker, &arms[place->arm], row->name, error);
        }
        if (status == GR_OK)
            status = maker_insert(&maker, db, row->id, place->seed, 0, owner, error);
        if (status == GR_OK) order->added++;
    }
    maker_clear(&maker);
    return status;
}

static gr_status add_work(database *db, void *context, gr_error *error) {
    addition *order = context;
    sweep_row row;
    sweep_arm_row *arms = NULL;
    size_t arm_count = 0;
    order->added = 0;
    GR_TRY(sweep_select(db, order->id, &row, error));
    gr_status status =
        row.cancelled_at
            ? gr_fail(error, GR_CONFLICT, "sweep %lld has been cancelled", (long long)order->id)
        : row.paused ? gr_fail(error, GR_CONFLICT, "sweep %lld is paused: resume it first",
                               (long long)order->id)
                     : select_arms(db, order->id, &arms, &arm_count, error);
    if (status == GR_OK) status = add_places(db, order, &row, arms, arm_count, error);
    if (status == GR_OK && order->active >= 0)
        status = database_run(db, NULL, error, "UPDATE sweeps SET active = ?2 WHERE id = ?1", "ii",
                              order->id, (int64_t)order->active);
    if (status == GR_OK) status = sweep_touch(db, order->id, error);
    sweep_arm_rows_free(arms, arm_count);
    sweep_row_clear(&row);
    return status;
}

gr_status store_sweep_add(store *self, int64_t id, const sweep_place *places, size_t count,
                          int active, int64_t *added, gr_error *error) {
    addition order = {.id = id, .places = places, .count = count, .active = active};
    GR_TRY(writer_run(self->writer, add_work, &order, error));
    *added = order.added;
    return GR_OK;
}

typedef struct settlement {
    int64_t id;
    const char *note;
} settlement;

static gr_status settle_work(database *db, void *context, gr_error *error) {
    const settlement *order = context;
    GR_TRY(database_run(db, NULL, error, "UPDATE sweeps SET active = 0, note = ?2 WHERE id = ?1",
                        "it", order->id, order->note));
    return sweep_touch(db, order->id, error);
}

gr_status store_sweep_settle(store *self, int64_t id, const char *note, gr_error *error) {
    settlement order = {id, note};
    return writer_run(self->writer, settle_work, &order, error);
}
