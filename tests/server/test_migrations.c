/* Databases of every earlier schema, made by the committed migrations themselves and filled, are
 * brought up to date by opening the store, and nothing in them is lost. */
#include <sqlite3.h>

#include "server/embedded.h"
#include "server/store/database.h"
#include "store_fixture.h"

/* Rows that the first schema can hold: one experiment of each state, a series, an attempt. */
static const char content[] =
    "UPDATE counter SET revision = 7;"
    "INSERT INTO experiments (id, revision, state, name, tags, spec, data_hash, engine_version, "
    "iterations, created_at) VALUES"
    "(1, 1, 'succeeded', 'first', '{\"a\":\"b\"}', '{\"seed\":1}', '00', 'test', 10, 1000),"
    "(2, 2, 'queued', 'second', '{}', '{\"seed\":2}', '00', 'test', 10, 1000),"
    "(3, 3, 'running', 'third', '{}', '{\"seed\":3}', '00', 'test', 10, 1000),"
    "(4, 4, 'failed', 'fourth', '{}', '{\"seed\":4}', '00', 'test', 10, 1000),"
    "(5, 5, 'cancelled', 'fifth', '{}', '{\"seed\":5}', '00', 'test', 10, 1000),"
    "(6, 6, 'diverged', 'sixth', '{}', '{\"seed\":6}', '00', 'test', 10, 1000),"
    "(9, 7, 'paused', 'ninth', '{}', '{\"seed\":9}', '00', 'test', 10, 1000);"
    "UPDATE experiments SET attempt = 1, worker = 'worker-1' WHERE id = 3;"
    "INSERT INTO attempts (experiment, attempt, worker, leased_at) VALUES (3, 1, 'worker-1', 1000);"
    "INSERT INTO metrics VALUES (1, 'test_accuracy', 10, 0.75), (1, 'train_loss', 10, 'NaN');";

static void make_database(const char *directory, int version) {
    char path[4096], pragmas[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/gradreg.db", directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = "
                                  "1735550311; PRAGMA journal_mode = WAL",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    for (int i = 0; i < version; i++) {
        char *message = NULL;
        if (sqlite3_exec(db, (const char *)embedded_migrations[i].begin, NULL, NULL, &message))
            fail_msg("%s: %s", embedded_migrations[i].path, message);
        if (i == 0) assert_int_equal(sqlite3_exec(db, content, NULL, NULL, NULL), SQLITE_OK);
    }
    snprintf(pragmas, sizeof pragmas, "PRAGMA user_version = %d", version);
    assert_int_equal(sqlite3_exec(db, pragmas, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* The first column of the first row, as text. */
static char *answer(const char *directory, const char *sql) {
    static char text[8192];
    char path[4096];
    sqlite3 *db;
    sqlite3_stmt *statement;
    snprintf(path, sizeof path, "%s/gradreg.db", directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return text;
}

/* All that defines the schema, but for the spelling of what ALTER TABLE wrote. */
static const char schema[] =
    "SELECT group_concat(name || ' ' || type) FROM (SELECT t.name || '.' || c.name || ':' || "
    "c.\"notnull\" || coalesce(c.dflt_value, '') AS name, c.type FROM sqlite_schema t, "
    "pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY t.name, c.name)";
static const char objects[] =
    "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type <> 'table' AND "
    "sql NOT NULL ORDER BY name)";

static void upgrades_from(const char *fresh, int version) {
    char *directory = temporary_directory(), wanted[8192];
    gr_error error = {0};
    store *opened;
    experiment found;
    make_database(directory, version);
    if (store_open(directory, &opened, &error) != GR_OK)
        fail_msg("from version %d: %s", version, error.message);
    assert_ok(store_get(opened, 1, &found, &error));
    assert_string_equal(found.name, "first");
    assert_int_equal(found.state, STATE_SUCCEEDED);
    experiment_clear(&found);
    assert_ok(store_get(opened, 9, &found, &error));
    assert_int_equal(found.state, STATE_PAUSED);
    experiment_clear(&found);
    assert_ok(store_get(opened, 3, &found, &error)); /* was running: queued again */
    assert_int_equal(found.state, STATE_QUEUED);
    experiment_clear(&found);
    metric_row *rows;
    size_t count;
    assert_ok(store_series(opened, 1, NULL, -1, &rows, &count, &error));
    assert_int_equal(count, 2);
    free(rows);
    assert_true(submit_one(opened, "new") == 10); /* ids go on */
    store_close(opened);
    snprintf(wanted, sizeof wanted, "%lld", (long long)database_newest_version());
    assert_string_equal(answer(directory, "PRAGMA user_version"), wanted);
    assert_string_equal(answer(directory, "PRAGMA integrity_check"), "ok");
    assert_string_equal(answer(directory, "SELECT count(*) FROM pragma_foreign_key_check"), "0");
    snprintf(wanted, sizeof wanted, "%s", answer(fresh, objects));
    assert_string_equal(answer(directory, objects), wanted);
    snprintf(wanted, sizeof wanted, "%s", answer(fresh, schema));
    assert_string_equal(answer(directory, schema), wanted);
    /* What is kept by triggers was counted. */
    assert_string_equal(answer(directory, "SELECT sum(count) FROM queued_by"), "3");
    remove_directory(directory);
}

static void upgrades_from_every_version(void **state) {
    (void)state;
    char *fresh = temporary_directory();
    store_close(open_store(fresh));
    assert_true(database_newest_version() >= 4);
    for (int version = 1; version <= database_newest_version(); version++)
        upgrades_from(fresh, version);
    remove_directory(fresh);
}

/* A migration that cannot be applied leaves the database as it was. */
static void undoes_what_fails(void **state) {
    (void)state;
    char *directory = temporary_directory(), path[4096];
    gr_error error = {0};
    store *opened = NULL;
    sqlite3 *db;
    make_database(directory, 1);
    snprintf(path, sizeof path, "%s/gradreg.db", directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    /* Something stands where the third migration or a later one wants a table. */
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE tokens (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_true(store_open(directory, &opened, &error) != GR_OK);
    assert_non_null(strstr(error.message, "tokens"));
    assert_string_equal(answer(directory, "SELECT count(*) FROM experiments"), "7");
    assert_string_equal(answer(directory, "PRAGMA integrity_check"), "ok");
    remove_directory(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(upgrades_from_every_version),
                                       cmocka_unit_test(undoes_what_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
