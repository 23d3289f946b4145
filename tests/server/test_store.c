/* The store: opening, migrating, submitting, listing, metrics, group commit, and disks that refuse.
 */
#include "tests/server/store_fixture.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "server/store/internal.h"

static int set_up(void **state) {
    *state = temporary_directory();
    return 0;
}

static int tear_down(void **state) {
    remove_directory(*state);
    return 0;
}

/* -- opening
 * ------------------------------------------------------------------------------------------------
 */

static int64_t pragma(const char *directory, const char *sql) {
    char path[4096];
    snprintf(path, sizeof path, "%s/gradreg.db", directory);
    sqlite3 *handle;
    sqlite3_stmt *statement;
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &handle));
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(handle, sql, -1, &statement, NULL));
    int64_t value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return value;
}

static void opens_empty_and_again(void **state) {
    store *first = open_store(*state);
    int64_t id = submit_one(first, "kept");
    store_close(first);
    assert_true(pragma(*state, "PRAGMA user_version") >= 2);
    assert_int_equal(2, pragma(*state, "PRAGMA auto_vacuum")); /* incremental */
    assert_int_equal(1, pragma(*state, "SELECT count(*) FROM experiments"));
    store *second = open_store(*state);
    experiment record;
    gr_error error = {0};
    assert_ok(store_get(second, id, &record, &error));
    assert_string_equal("kept", record.name);
    experiment_clear(&record);
    store_close(second);
}

static void makes_missing_parents(void **state) {
    char path[4096];
    snprintf(path, sizeof path, "%s/a/b/c", (char *)*state);
    store_close(open_store(path));
    assert_int_equal(0, access(path, F_OK));
}

static void refuses_a_newer_database(void **state) {
    store_close(open_store(*state));
    pragma(*state, "PRAGMA user_version = 1000");
    gr_error error = {0};
    store *opened = NULL;
    assert_status(GR_INVALID, store_open(*state, &opened, &error));
    assert_non_null(strstr(error.message, "newer"));
    assert_null(opened);
    assert_int_equal(1000, pragma(*state, "PRAGMA user_version"));
}

static void refuses_a_foreign_database(void **state) {
    pragma(*state, "CREATE TABLE theirs (x)");
    gr_error error = {0};
    store *opened = NULL;
    assert_status(GR_INVALID, store_open(*state, &opened, &error));
    assert_non_null(strstr(error.message, "another program"));
    assert_int_equal(0, pragma(*state, "PRAGMA application_id"));
}

static void refuses_a_file_that_is_no_database(void **state) {
    char path[4096];
    snprintf(path, sizeof path, "%s/gradreg.db", (char *)*state);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) fputs("this is not a database ", file);
    fclose(file);
    gr_error error = {0};
    store *opened = NULL;
    assert_status(GR_CORRUPT, store_open(*state, &opened, &error));
}

static void refuses_a_second_server(void **state) {
    store *first = open_store(*state);
    gr_error error = {0};
    store *second = NULL;
    assert_status(GR_CONFLICT, store_open(*state, &second, &error)); /* this process */
    assert_non_null(strstr(error.message, "in use"));
    pid_t child = fork();
    if (child == 0) _exit(store_open(*state, &second, &error) == GR_CONFLICT ? 0 : 1);
    int result;
    assert_int_equal(child, waitpid(child, &result, 0));
    assert_int_equal(0, result);
    store_close(first);
    store_close(open_store(*state)); /* free again */
}

static void refuses_what_is_no_directory(void **state) {
    char path[4096];
    snprintf(path, sizeof path, "%s/file", (char *)*state);
    fclose(fopen(path, "w"));
    gr_error error = {0};
    store *opened = NULL;
    assert_status(GR_IO, store_open(path, &opened, &error));
    assert_non_null(strstr(error.message, "Not a directory"));
    assert_status(GR_INVALID, store_open("", &opened, &error));
}

/* As an ordinary user on a directory of mode 0500; in a child, because root may write anywhere. */
static void refuses_a_directory_without_permission(void **state) {
    char path[4096];
    snprintf(path, sizeof path, "%s/protected", (char *)*state);
    assert_int_equal(0, mkdir(path, 0500));
    assert_int_equal(0, chmod(*state, 0755));
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
        gr_error error = {0};
        store *opened = NULL;
        gr_status status = store_open(path, &opened, &error);
        _exit(status == GR_IO && strstr(error.message, "Permission denied") ? 0 : 1);
    }
    int result;
    assert_int_equal(child, waitpid(child, &result, 0));
    assert_int_equal(0, result);
}

/* Runs `test` in a child with a file system of its own mounted on the directory. Skips without
 * root. */
static void in_private_mount(const char *directory, const char *options,
                             int (*test)(const char *)) {
    if (geteuid() != 0) {
        print_message("skipped: needs root to mount a small file system\n");
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount("none", directory, "tmpfs", 0, options))
            _exit(77);
        _exit(test(directory));
    }
    int result;
    assert_int_equal(child, waitpid(child, &result, 0));
    if (WIFEXITED(result) && WEXITSTATUS(result) == 77) {
        print_message("skipped: mounting is not allowed here\n");
        skip();
    }
    assert_int_equal(0, result);
}

static int on_read_only_mount(const char *directory) {
    if (mount(NULL, directory, NULL, MS_REMOUNT | MS_RDONLY, NULL)) return 77;
    gr_error error = {0};
    store *opened = NULL;
    if (store_open(directory, &opened, &error) != GR_IO) return 1;
    return strstr(error.message, "Read-only file system") ? 0 : 2;
}

static void refuses_a_read_only_mount(void **state) {
    in_private_mount(*state, "size=1m", on_read_only_mount);
}

/* Fills the disk, submits until it is refused, frees the space and goes on. */
static int on_full_disk(const char *directory) {
    gr_error error = {0};
    store *opened = NULL;
    if (store_open(directory, &opened, &error) != GR_OK) return 1;
    char ballast_path[4096];
    snprintf(ballast_path, sizeof ballast_path, "%s/ballast", directory);
    int ballast = open(ballast_path, O_CREAT | O_WRONLY, 0600);
    static char block[4096];
    memset(block, 1, sizeof block);
    while (write(ballast, block, sizeof block) == (ssize_t)sizeof block) {
    }
    close(ballast);
    submission form = {.name = "x",
                       .tags = "{}",
                       .spec = "{}",
                       .data_hash = "00",
                       .engine_version = "test",
                       .iterations = 10};
    int64_t stored = 0, id;
    gr_status status = GR_OK;
    for (int i = 0; i < 10000 && status == GR_OK; i++) {
        status = store_submit(opened, &form, &id, &error);
        if (status == GR_OK) stored++;
    }
    if (status != GR_NO_SPACE) return 2;
    if (!strstr(error.message, "full")) return 3;
    /* What was refused is not there, what was accepted is; reading goes on. */
    int64_t counts[STATE_COUNT];
    if (store_counts(opened, counts, &error) != GR_OK || counts[STATE_QUEUED] != stored) return 4;
    unlink(ballast_path);
    if (store_submit(opened, &form, &id, &error) != GR_OK) return 5;
    store_close(opened);
    if (store_open(directory, &opened, &error) != GR_OK) return 6;
    if (store_counts(opened, counts, &error) != GR_OK || counts[STATE_QUEUED] != stored + 1)
        return 7;
    store_close(opened);
    return 0;
}

static void survives_a_full_disk(void **state) {
    in_private_mount(*state, "size=1m", on_full_disk);
}

static int on_disk_full_from_the_start(const char *directory) {
    gr_error error = {0};
    store *opened = NULL;
    if (store_open(directory, &opened, &error) != GR_NO_SPACE) return 1;
    return strstr(error.message, "full") || strstr(error.message, "No space left") ? 0 : 2;
}

static void refuses_to_open_on_a_full_disk(void **state) {
    in_private_mount(*state, "size=16k", on_disk_full_from_the_start);
}

/* -- experiments
 * ---------------------------------------------------------------------------------------------- */

static void stores_and_lists(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    for (int i = 0; i < 5; i++) assert_int_equal(i + 1, submit_one(opened, "some \"name\" é"));
    experiment record, *items;
    size_t count;
    assert_ok(store_get(opened, 3, &record, &error));
    assert_string_equal("some \"name\" é", record.name);
    assert_string_equal("{}", record.latest_metrics);
    assert_int_equal(STATE_QUEUED, record.state);
    assert_int_equal(1000, record.iterations);
    assert_true(record.created_at > 1600000000000);
    assert_null(record.error);
    experiment_clear(&record);
    assert_status(GR_NOT_FOUND, store_get(opened, 99, &record, &error));
    experiment_clear(&record);

    assert_ok(
        store_list(opened, &(listing){.state = -1, .limit = 2}, &items, &count, NULL, &error));
    assert_int_equal(2, count);
    assert_int_equal(5, items[0].id);
    assert_int_equal(4, items[1].id);
    experiments_free(items, count);
    assert_ok(store_list(
        opened, &(listing){.state = STATE_QUEUED, .limit = 1000, .after = &(list_place){.id = 4}},
        &items, &count, NULL, &error));
    assert_int_equal(3, count);
    assert_int_equal(3, items[0].id);
    experiments_free(items, count);
    assert_ok(store_list(opened, &(listing){.state = STATE_FAILED, .limit = 10}, &items, &count,
                         NULL, &error));
    assert_int_equal(0, count);
    experiments_free(items, count);
    assert_status(GR_INVALID, store_list(opened, &(listing){.state = -1, .limit = 0}, &items,
                                         &count, NULL, &error));
    assert_status(GR_INVALID, store_list(opened, &(listing){.state = -1, .limit = 1001}, &items,
                                         &count, NULL, &error));
    store_close(opened);
}

static void reports_changes_in_order(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    int64_t first = submit_one(opened, "a"), second = submit_one(opened, "b");
    experiment *items, record;
    size_t count;
    assert_ok(store_changed_since(opened, 0, 100, &items, &count, &error));
    assert_int_equal(2, count);
    assert_int_equal(first, items[0].id);
    int64_t seen = items[1].revision;
    assert_true(items[0].revision < seen);
    experiments_free(items, count);
    assert_ok(store_cancel(opened, first, &record, &error));
    assert_int_equal(STATE_CANCELLED, record.state);
    assert_true(record.revision > seen);
    assert_true(record.finished_at > 0);
    experiment_clear(&record);
    assert_ok(store_changed_since(opened, seen, 100, &items, &count, &error));
    assert_int_equal(1, count);
    assert_int_equal(first, items[0].id);
    experiments_free(items, count);
    (void)second;
    store_close(opened);
}

static void deletes_only_what_is_final(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    int64_t id = submit_one(opened, "a");
    assert_status(GR_CONFLICT, store_delete(opened, id, &error));
    assert_ok(store_cancel(opened, id, NULL, &error));
    assert_status(GR_CONFLICT, store_cancel(opened, id, NULL, &error));
    assert_ok(store_delete(opened, id, &error));
    assert_status(GR_NOT_FOUND, store_delete(opened, id, &error));
    experiment record, *items;
    size_t count;
    assert_status(GR_NOT_FOUND, store_get(opened, id, &record, &error));
    assert_ok(
        store_list(opened, &(listing){.state = -1, .limit = 10}, &items, &count, NULL, &error));
    assert_int_equal(0, count);
    experiments_free(items, count);
    metric_row *rows;
    assert_status(GR_NOT_FOUND, store_series(opened, id, NULL, -1, &rows, &count, &error));
    assert_int_equal(id + 1, submit_one(opened, "ids are never used again"));
    store_close(opened);
}

/* -- metrics
 * ------------------------------------------------------------------------------------------------
 */

static void metrics_survive_exactly(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    submit_one(opened, "a");
    experiment record;
    assert_ok(store_lease(opened, "w", &record, &error));
    double values[] = {0.1 + 0.2, 5e-324,   -1.7976931348623157e308, 3, -0.0, NAN,
                       INFINITY,  -INFINITY};
    enum { COUNT = sizeof values / sizeof values[0] };
    gr_metric rows[COUNT];
    for (int i = 0; i < COUNT; i++) rows[i] = (gr_metric){"train_loss", i, values[i]};
    assert_ok(store_metrics(opened, record.id, record.attempt, rows, COUNT, &error));
    /* A resumed run repeats rows: they are replaced, not added. */
    assert_ok(store_metrics(opened, record.id, record.attempt, rows, 3, &error));
    metric_row *read;
    size_t count;
    assert_ok(store_series(opened, record.id, "train_loss", -1, &read, &count, &error));
    assert_int_equal(COUNT, count);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(i, read[i].iteration);
        if (isnan(values[i]))
            assert_true(isnan(read[i].value));
        else
            assert_true(read[i].value == values[i] && signbit(read[i].value) == signbit(values[i]));
    }
    free(read);
    assert_ok(store_series(opened, record.id, NULL, 5, &read, &count, &error));
    assert_int_equal(2, count);
    free(read);
    /* A write that fails half-way leaves nothing of it. */
    char long_name[80];
    memset(long_name, 'x', sizeof long_name);
    long_name[79] = 0;
    gr_metric broken[] = {{"halfway", 1, 1}, {long_name, 1, 1}};
    assert_status(GR_INVALID, store_metrics(opened, record.id, record.attempt, broken, 2, &error));
    assert_ok(store_series(opened, record.id, "halfway", -1, &read, &count, &error));
    assert_int_equal(0, count);
    free(read);
    experiment_clear(&record);
    store_close(opened);
}

/* What comes after an iteration is the rest of the whole, for every iteration, and nothing of
 * others. */
static void series_after_an_iteration(void **state) {
    enum { NAMES = 3, STEPS = 5, COUNT = NAMES * STEPS };
    static const char *const names[NAMES] = {"train_loss", "a", "penalty.0"};
    store *opened = open_store(*state);
    gr_error error = {0};
    experiment records[2];
    gr_metric rows[COUNT];
    for (int i = 0; i < COUNT; i++) /* the series do not end together */
        rows[i] = (gr_metric){names[i % NAMES], 10 * (i / NAMES) + i % NAMES, i};
    for (int i = 0; i < 2; i++) {
        submit_one(opened, "a");
        assert_ok(store_lease(opened, "w", &records[i], &error));
        assert_ok(
            store_metrics(opened, records[i].id, records[i].attempt, rows, (size_t)COUNT, &error));
    }
    metric_row *whole, *rest;
    size_t whole_count, rest_count;
    for (int which = 0; which < 2; which++) {
        const int64_t id = records[which].id;
        assert_ok(store_series(opened, id, NULL, -1, &whole, &whole_count, &error));
        assert_int_equal(COUNT, whole_count);
        for (int64_t after = 0; after <= 10 * STEPS; after++) {
            assert_ok(store_series(opened, id, NULL, after, &rest, &rest_count, &error));
            size_t at = 0;
            for (size_t i = 0; i < whole_count; i++) {
                if (whole[i].iteration <= after) continue;
                assert_true(at < rest_count);
                assert_string_equal(whole[i].name, rest[at].name);
                assert_int_equal(whole[i].iteration, rest[at].iteration);
                assert_true(whole[i].value == rest[at++].value);
            }
            assert_int_equal(at, rest_count);
            free(rest);
        }
        free(whole);
        experiment_clear(&records[which]);
    }
    store_close(opened);
}

static void keeps_latest_and_best(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    submit_one(opened, "a");
    experiment record, leased;
    assert_ok(store_lease(opened, "w", &leased, &error));
    gr_metric rows[] = {
        {"train_loss", 10, 0.1 + 0.2}, {"validation_accuracy", 10, 0.5}, {"penalty.0", 10, 7},
        {"train_loss", 20, 0.7},       {"validation_accuracy", 20, 0.9}, {"train_loss", 30, NAN},
    };
    assert_ok(store_metrics(opened, leased.id, leased.attempt, rows, 3, &error));
    assert_ok(store_metrics(opened, leased.id, leased.attempt, rows + 3, 3, &error));
    assert_ok(store_metrics(opened, leased.id, leased.attempt, rows + 1, 1, &error)); /* repeated */
    assert_ok(store_get(opened, leased.id, &record, &error));
    assert_string_equal("{\"train_loss\":\"NaN\",\"validation_accuracy\":0.9,\"penalty.0\":7}",
                        record.latest_metrics);
    assert_string_equal("{\"train_loss\":0.30000000000000004,\"validation_accuracy\":0.9}",
                        record.best_metrics);
    assert_int_equal(30, record.iteration);
    experiment_clear(&record);
    experiment_clear(&leased);
    store_close(opened);
}

/* -- the writer
 * -------------------------------------------------------------------------------------------- */

enum { THREADS = 8, WORKS = 200 };

typedef struct crowd {
    store *store;
    int failed, refused;
    pthread_barrier_t *barrier;
} crowd;

static void *submit_many(void *argument) {
    crowd *mine = argument;
    gr_error error = {0};
    pthread_barrier_wait(mine->barrier);
    for (int i = 0; i < WORKS; i++) {
        submission form = {.name = "x",
                           .tags = "{}",
                           .spec = "{}",
                           .data_hash = "00",
                           .engine_version = "test",
                           .iterations = 10};
        int64_t id;
        if (store_submit(mine->store, &form, &id, &error) != GR_OK) mine->failed++;
        /* One that fails must not take the others of its group with it. */
        if (i % 4 == 0 && store_delete(mine->store, id, &error) == GR_CONFLICT) mine->refused++;
        experiment record;
        if (i % 8 == 0) {
            if (store_get(mine->store, id, &record, &error) != GR_OK) mine->failed++;
            experiment_clear(&record);
        }
    }
    return NULL;
}

static void commits_in_groups(void **state) {
    store *opened = open_store(*state);
    pthread_t threads[THREADS];
    crowd crowds[THREADS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (crowd){opened, 0, 0, &barrier};
        assert_int_equal(0, pthread_create(&threads[i], NULL, submit_many, &crowds[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(0, crowds[i].failed);
        assert_int_equal(WORKS / 4, crowds[i].refused);
    }
    pthread_barrier_destroy(&barrier);
    gr_error error = {0};
    int64_t counts[STATE_COUNT], commits, works;
    assert_ok(store_counts(opened, counts, &error));
    assert_int_equal(THREADS * WORKS, counts[STATE_QUEUED]);
    writer_counts(opened->writer, &commits, &works);
    assert_true(works >= THREADS * (WORKS + WORKS / 4));
    assert_true(commits < works / 2); /* they did share */
    store_close(opened);
}

static gr_status break_transaction(database *db, void *context, gr_error *error) {
    (void)context, (void)error;
    return database_execute(db, "ROLLBACK", error);
}

typedef struct slow {
    pthread_mutex_t *gate;
} slow;

static gr_status wait_for_gate(database *db, void *context, gr_error *error) {
    (void)db, (void)error;
    pthread_mutex_lock(((slow *)context)->gate);
    pthread_mutex_unlock(((slow *)context)->gate);
    return GR_OK;
}

typedef struct call {
    store *store;
    write_work work;
    void *context;
    gr_status status;
} call;

static void *call_writer(void *argument) {
    call *mine = argument;
    gr_error error = {0};
    if (mine->work)
        mine->status = writer_run(mine->store->writer, mine->work, mine->context, &error);
    else {
        submission form = {.name = "x",
                           .tags = "{}",
                           .spec = "{}",
                           .data_hash = "00",
                           .engine_version = "test",
                           .iterations = 10};
        int64_t id;
        mine->status = store_submit(mine->store, &form, &id, &error);
    }
    return NULL;
}

/* A full disk can make SQLite undo the whole transaction in the middle of a group: the others of
 * the group must be stored all the same. */
static void a_lost_transaction_loses_only_its_cause(void **state) {
    store *opened = open_store(*state);
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&gate);
    slow slow_context = {&gate};
    call calls[5] = {{opened, wait_for_gate, &slow_context, GR_OK},
                     {opened, NULL, NULL, GR_INTERNAL},
                     {opened, break_transaction, NULL, GR_OK},
                     {opened, NULL, NULL, GR_INTERNAL},
                     {opened, NULL, NULL, GR_INTERNAL}};
    pthread_t threads[5];
    for (int i = 0; i < 5; i++) {
        assert_int_equal(0, pthread_create(&threads[i], NULL, call_writer, &calls[i]));
        usleep(50000); /* while the first holds the writer up, the others gather into one group */
    }
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 5; i++) {
        if (i == 2)
            assert_int_not_equal(GR_OK, calls[i].status);
        else
            assert_int_equal(GR_OK, calls[i].status);
    }
    gr_error error = {0};
    int64_t counts[STATE_COUNT];
    assert_ok(store_counts(opened, counts, &error));
    assert_int_equal(3, counts[STATE_QUEUED]);
    store_close(opened);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(opens_empty_and_again),
        TEST(makes_missing_parents),
        TEST(refuses_a_newer_database),
        TEST(refuses_a_foreign_database),
        TEST(refuses_a_file_that_is_no_database),
        TEST(refuses_a_second_server),
        TEST(refuses_what_is_no_directory),
        TEST(refuses_a_directory_without_permission),
        TEST(refuses_a_read_only_mount),
        TEST(survives_a_full_disk),
        TEST(refuses_to_open_on_a_full_disk),
        TEST(stores_and_lists),
        TEST(reports_changes_in_order),
        TEST(deletes_only_what_is_final),
        TEST(metrics_survive_exactly),
        TEST(series_after_an_iteration),
        TEST(keeps_latest_and_best),
        TEST(commits_in_groups),
        TEST(a_lost_transaction_loses_only_its_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
