/* The queue: leases, fencing, release, finish, and recovery after a crash. */
#include "tests/server/store_fixture.h"

#include <sqlite3.h>
#include <sys/wait.h>

static int set_up(void **state) {
    *state = temporary_directory();
    return 0;
}

static int tear_down(void **state) {
    remove_directory(*state);
    return 0;
}

static experiment get(store *from, int64_t id) {
    gr_error error = {0};
    experiment record;
    assert_ok(store_get(from, id, &record, &error));
    return record;
}

/* Runs SQL on a store that is closed or not: for what cannot be waited for. */
static void meddle(const char *directory, const char *sql) {
    char path[4096];
    snprintf(path, sizeof path, "%s/gradreg.db", directory);
    sqlite3 *handle;
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &handle));
    sqlite3_busy_timeout(handle, 5000);
    assert_int_equal(SQLITE_OK, sqlite3_exec(handle, sql, NULL, NULL, NULL));
    sqlite3_close(handle);
}

static void leases_by_priority_then_age(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    experiment record;
    assert_status(GR_NOT_FOUND, store_lease(opened, "w", &record, &error));
    for (int i = 0; i < 3; i++) submit_one(opened, "a");
    meddle(*state, "UPDATE experiments SET priority = 5 WHERE id = 2");
    int64_t expected[] = {2, 1, 3};
    for (int i = 0; i < 3; i++) {
        assert_ok(store_lease(opened, "w", &record, &error));
        assert_int_equal(expected[i], record.id);
        assert_int_equal(STATE_RUNNING, record.state);
        assert_int_equal(1, record.attempt);
        assert_string_equal("w", record.worker);
        assert_true(record.lease_expires_at > record.created_at);
        experiment_clear(&record);
    }
    assert_status(GR_NOT_FOUND, store_lease(opened, "w", &record, &error));
    store_close(opened);
}

static void a_life_to_success(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    worker_request cancel;
    experiment record;
    static const char environment[] = "{\"engine\":\"1+a\",\"kernels\":\"avx2\"}";
    int64_t id = submit_one(opened, "a");
    assert_ok(store_lease(opened, "w", &record, &error));
    experiment_clear(&record);
    assert_ok(store_started(opened, id, 1, 0, environment, &error));
    usleep(20000);
    assert_ok(store_heartbeat(opened, id, 1, 50, 12.5, 0.25, &cancel, &error));
    assert_int_equal(REQUEST_NONE, cancel);
    record = get(opened, id);
    assert_int_equal(50, record.iteration);
    assert_true(record.iterations_per_second == 12.5);
    assert_true(record.started_at > 0);
    assert_true(record.elapsed_seconds >= 0.02 && record.elapsed_seconds < 5);
    assert_string_equal(environment, record.environment);
    assert_string_equal("1+a", record.engine_version); /* not that of the submission */
    experiment_clear(&record);

    make_artifact(opened, "1-1-100.checkpoint.safetensors");
    make_artifact(opened, "1-1-200.checkpoint.safetensors");
    make_artifact(opened, "1-1.model.safetensors");
    assert_ok(store_checkpoint(opened, id, 1, 100, "1-1-100.checkpoint.safetensors", &error));
    assert_ok(store_checkpoint(opened, id, 1, 200, "1-1-200.checkpoint.safetensors", &error));
    assert_false(has_artifact(opened, "1-1-100.checkpoint.safetensors"));
    /* Written again under the same name (a stop right after a checkpoint): the file stays. */
    assert_ok(store_checkpoint(opened, id, 1, 200, "1-1-200.checkpoint.safetensors", &error));
    assert_true(has_artifact(opened, "1-1-200.checkpoint.safetensors"));
    assert_status(GR_INVALID, store_checkpoint(opened, id, 1, 1, "../escape", &error));
    assert_ok(store_warn(opened, id, 1, "careful", &error));
    assert_ok(store_trained(opened, id, 1, 0.5, &error));
    record = get(opened, id);
    const double trained = record.elapsed_seconds;
    experiment_clear(&record);
    usleep(20000);
    assert_ok(store_heartbeat(opened, id, 1, 1000, 0, 0, &cancel, &error));
    assert_ok(
        store_finish(opened, id, 1, STATE_SUCCEEDED, 1000, "1-1.model.safetensors", NULL, &error));
    assert_false(has_artifact(opened, "1-1-200.checkpoint.safetensors"));
    record = get(opened, id);
    assert_int_equal(STATE_SUCCEEDED, record.state);
    assert_int_equal(1000, record.iteration);
    assert_true(record.elapsed_seconds == trained);
    assert_true(record.cpu_seconds == 0.75);
    assert_string_equal("1-1.model.safetensors", record.model_file);
    assert_string_equal("careful", record.warning);
    assert_null(record.checkpoint_file);
    assert_null(record.worker);
    assert_true(record.finished_at >= record.started_at);
    experiment_clear(&record);
    assert_status(GR_CONFLICT, store_heartbeat(opened, id, 1, 50, 1, 0.25, &cancel, &error));
    store_close(opened);
}

static void every_write_is_fenced(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    worker_request cancel;
    experiment record;
    int64_t id = submit_one(opened, "a");
    assert_ok(store_lease(opened, "w", &record, &error));
    experiment_clear(&record);
    make_artifact(opened, "file");
    gr_metric row = {"train_loss", 1, 1};
    int64_t wrong[] = {0, 2};
    for (int i = 0; i < 2; i++) {
        assert_status(GR_CONFLICT, store_started(opened, id, wrong[i], 0, NULL, &error));
        assert_status(GR_CONFLICT, store_trained(opened, id, wrong[i], 1, &error));
        assert_status(GR_CONFLICT,
                      store_heartbeat(opened, id, wrong[i], 1, 1, 0.25, &cancel, &error));
        assert_status(GR_CONFLICT, store_metrics(opened, id, wrong[i], &row, 1, &error));
        assert_status(GR_CONFLICT, store_checkpoint(opened, id, wrong[i], 1, "file", &error));
        assert_status(GR_CONFLICT, store_warn(opened, id, wrong[i], "x", &error));
        assert_status(GR_CONFLICT, store_release(opened, id, wrong[i], false, &error));
        assert_status(GR_CONFLICT,
                      store_finish(opened, id, wrong[i], STATE_FAILED, 1, NULL, "x", &error));
    }
    metric_row *rows;
    size_t count;
    assert_ok(store_series(opened, id, NULL, -1, &rows, &count, &error));
    assert_int_equal(0, count);
    free(rows);
    record = get(opened, id);
    assert_int_equal(STATE_RUNNING, record.state);
    assert_null(record.checkpoint_file);
    experiment_clear(&record);
    store_close(opened);
}

static void an_expired_lease_is_given_again(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    worker_request cancel;
    experiment record;
    int64_t id = submit_one(opened, "a");
    assert_ok(store_lease(opened, "first", &record, &error));
    experiment_clear(&record);
    assert_status(GR_NOT_FOUND, store_lease(opened, "second", &record, &error));
    meddle(*state, "UPDATE experiments SET lease_expires_at = 1");
    assert_ok(store_lease(opened, "second", &record, &error));
    assert_int_equal(id, record.id);
    assert_int_equal(2, record.attempt);
    experiment_clear(&record);
    assert_status(GR_CONFLICT, store_heartbeat(opened, id, 1, 1, 1, 0.25, &cancel, &error));
    assert_ok(store_heartbeat(opened, id, 2, 1, 1, 0.25, &cancel, &error));
    store_close(opened);
}

static void cancels_what_runs(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    worker_request cancel;
    experiment record;
    int64_t id = submit_one(opened, "a");
    assert_ok(store_lease(opened, "w", &record, &error));
    experiment_clear(&record);
    assert_ok(store_cancel(opened, id, &record, &error));
    assert_int_equal(STATE_RUNNING, record.state);
    assert_true(record.cancel_requested);
    experiment_clear(&record);
    assert_ok(store_heartbeat(opened, id, 1, 1, 1, 0.25, &cancel, &error));
    assert_int_equal(REQUEST_CANCEL, cancel);
    assert_ok(store_finish(opened, id, 1, STATE_CANCELLED, 1, NULL, NULL, &error));
    record = get(opened, id);
    assert_int_equal(STATE_CANCELLED, record.state);
    assert_false(record.cancel_requested);
    experiment_clear(&record);

    /* Cancelled, and the server stopped before the worker saw it. */
    id = submit_one(opened, "b");
    assert_ok(store_lease(opened, "w", &record, &error));
    experiment_clear(&record);
    assert_ok(store_cancel(opened, id, NULL, &error));
    assert_ok(store_release(opened, id, 1, false, &error));
    record = get(opened, id);
    assert_int_equal(STATE_CANCELLED, record.state);
    experiment_clear(&record);
    /* At its rung: paused with nobody asking; but cancelled where somebody asked for that. */
    for (int cancel_it = 0; cancel_it < 2; cancel_it++) {
        id = submit_one(opened, cancel_it ? "d" : "c");
        assert_ok(store_lease(opened, "w", &record, &error));
        experiment_clear(&record);
        if (cancel_it) assert_ok(store_cancel(opened, id, NULL, &error));
        assert_ok(store_release(opened, id, 1, true, &error));
        record = get(opened, id);
        assert_int_equal(cancel_it ? STATE_CANCELLED : STATE_PAUSED, record.state);
        experiment_clear(&record);
    }
    store_close(opened);
}

/* -- crashes
 * ------------------------------------------------------------------------------------------------
 */

/* Leases in a child, which then ends as by kill -9; with or without a checkpoint; or released
 * properly. */
static void crash(const char *directory, int64_t checkpoint, bool released, bool cancelled) {
    pid_t child = fork();
    if (child == 0) {
        gr_error error = {0};
        store *opened;
        experiment record;
        if (store_open(directory, &opened, &error) != GR_OK) _exit(1);
        if (store_lease(opened, "child", &record, &error) != GR_OK) _exit(2);
        if (store_started(opened, record.id, record.attempt, record.checkpoint_iteration, "{}",
                          &error))
            _exit(3);
        if (checkpoint) {
            char name[64];
            snprintf(name, sizeof name, "%d.checkpoint.safetensors", (int)checkpoint);
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", store_artifacts(opened), name);
            FILE *file = fopen(path, "w");
            if (!file) _exit(4);
            fclose(file);
            if (store_checkpoint(opened, record.id, record.attempt, checkpoint, name, &error))
                _exit(5);
        }
        if (cancelled && store_cancel(opened, record.id, NULL, &error)) _exit(6);
        if (released && store_release(opened, record.id, record.attempt, false, &error)) _exit(7);
        _exit(0);
    }
    int result;
    assert_int_equal(child, waitpid(child, &result, 0));
    assert_int_equal(0, result);
}

static void assert_state(const char *directory, int64_t id, experiment_state state,
                         int64_t attempt) {
    store *opened = open_store(directory);
    experiment record = get(opened, id);
    assert_int_equal(state, record.state);
    assert_int_equal(attempt, record.attempt);
    assert_null(record.worker);
    if (state == STATE_FAILED) assert_non_null(strstr(record.error, "3 attempts in a row"));
    experiment_clear(&record);
    store_close(opened);
}

static int64_t submit_alone(const char *directory) {
    store *opened = open_store(directory);
    int64_t id = submit_one(opened, "a");
    store_close(opened);
    return id;
}

static void three_fruitless_attempts_fail(void **state) {
    int64_t id = submit_alone(*state);
    crash(*state, 0, false, false);
    assert_state(*state, id, STATE_QUEUED, 1);
    crash(*state, 0, false, false);
    crash(*state, 0, false, false);
    assert_state(*state, id, STATE_FAILED, 3);
}

static void a_checkpoint_or_a_release_is_no_failure(void **state) {
    int64_t id = submit_alone(*state);
    crash(*state, 0, false, false);
    crash(*state, 0, false, false);
    crash(*state, 100, false, false); /* progress: counts anew */
    crash(*state, 0, false, false);
    crash(*state, 0, false, false);
    for (int i = 0; i < 4; i++) crash(*state, 0, true, false); /* released: not counted */
    assert_state(*state, id, STATE_QUEUED, 9);
    store *opened = open_store(*state);
    assert_true(has_artifact(opened, "100.checkpoint.safetensors"));
    gr_error error = {0};
    experiment record;
    assert_ok(store_lease(opened, "w", &record, &error));
    assert_int_equal(100, record.checkpoint_iteration);
    assert_string_equal("100.checkpoint.safetensors", record.checkpoint_file);
    experiment_clear(&record);
    store_close(opened);
    assert_state(*state, id, STATE_FAILED, 10); /* closed while running: the third in a row */
}

static void a_crash_keeps_the_wish_to_cancel(void **state) {
    int64_t id = submit_alone(*state);
    crash(*state, 0, false, true);
    assert_state(*state, id, STATE_CANCELLED, 1);
}

static void sweeps_orphans(void **state) {
    int64_t id = submit_alone(*state);
    crash(*state, 100, false, false);
    store *opened = open_store(*state);
    make_artifact(opened, "orphan.safetensors");
    make_artifact(opened, "100.checkpoint.safetensors.tmp");
    store_close(opened);
    opened = open_store(*state);
    assert_false(has_artifact(opened, "orphan.safetensors"));
    assert_false(has_artifact(opened, "100.checkpoint.safetensors.tmp"));
    assert_true(has_artifact(opened, "100.checkpoint.safetensors"));
    (void)id;
    store_close(opened);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(leases_by_priority_then_age),
        TEST(a_life_to_success),
        TEST(every_write_is_fenced),
        TEST(an_expired_lease_is_given_again),
        TEST(cancels_what_runs),
        TEST(three_fruitless_attempts_fail),
        TEST(a_checkpoint_or_a_release_is_no_failure),
        TEST(a_crash_keeps_the_wish_to_cancel),
        TEST(sweeps_orphans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
