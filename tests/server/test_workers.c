/* The workers on tiny trainings: to the end, stopped and resumed, crashed, cancelled, diverged, on
 * a full disk. */
#include "tests/server/store_fixture.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "server/experiment_setup.h"
#include "server/safetensors.h"
#include "server/workers.h"
#include "tests/settings_builder.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define UNITS "8"
#else
#define UNITS "32"
#endif

/* A second or more of a small network on the generated digits. */
#define SPEC(iterations, rate)                                                                     \
    "{\"seed\": 3, \"dataset\": {\"name\": \"digits\", \"train_size\": 400, \"validation_size\": " \
    "200},"                                                                                        \
    " \"model\": {\"layers\": [{\"type\": \"flatten\"}, {\"type\": \"linear\", \"units\": " UNITS  \
    "},"                                                                                           \
    " {\"type\": \"relu\"}, {\"type\": \"linear\", \"units\": 10}]},"                              \
    " \"regularizers\": [{\"type\": \"datagrad\", \"weight\": 1}],"                                \
    " \"optimizer\": {\"type\": \"adam\", \"learning_rate\": " rate "},"                           \
    " \"training\": {\"iterations\": " iterations ", \"batch_size\": 20, \"evaluate_every\": 100," \
    " \"checkpoint_every\": 70}}"
#define SHORT SPEC("1000", "0.001")
#define LONG SPEC("100000000", "0.001")
#define DIVERGING                                                                          \
    "{\"dataset\": {\"name\": \"digits\", \"train_size\": 400, \"validation_size\": 200}," \
    " \"model\": {\"preset\": \"lenet\"},"                                                 \
    " \"regularizers\": [{\"type\": \"datagrad\", \"weight\": 1000000}],"                  \
    " \"optimizer\": {\"type\": \"adam\", \"learning_rate\": 1000000}}"

typedef struct server {
    store *store;
    data_cache *data;
    events *events;
    workers *workers;
    atomic_int experiment_events, metric_events, progress_events;
} server;

static void listen_to(void *context, const event *change) {
    server *self = context;
    switch (change->type) {
    case EVENT_EXPERIMENT:
        atomic_fetch_add(&self->experiment_events, 1);
        break;
    case EVENT_METRICS:
        atomic_fetch_add(&self->metric_events, 1);
        break;
    case EVENT_PROGRESS:
        atomic_fetch_add(&self->progress_events, 1);
        break;
    case EVENT_DELETED:
        break;
    }
}

/* Of all servers here, forked ones too: to draw the digits again for each would take most of the
 * time. */
static data_cache *generated;

static int create_data(void **state) {
    (void)state;
    generated = data_cache_create("/nowhere");
    if (!generated) return -1;
    gr_settings settings = settings_build(&gr_dataset_family, "{name: digits}");
    const gr_dataset *dataset;
    char hash[65];
    const gr_status status = data_cache_get(generated, &settings, &dataset, hash, NULL);
    gr_settings_clear(&settings);
    return status == GR_OK ? 0 : -1;
}

static int free_data(void **state) {
    (void)state;
    data_cache_free(generated);
    return 0;
}

static gr_status try_start(server *self, const char *directory, int count, gr_error *error) {
    *self = (server){0};
    GR_TRY(store_open(directory, &self->store, error));
    self->data = generated;
    self->events = events_create();
    events_listen(self->events, listen_to, self);
    return workers_start(self->store, self->data, self->events, count, &self->workers, error);
}

static void start(server *self, const char *directory, int count) {
    gr_error error = {0};
    assert_ok(try_start(self, directory, count, &error));
}

static void stop(server *self) {
    workers_stop(self->workers);
    store_close(self->store);
    events_free(self->events);
}

static gr_status try_submit(server *self, const char *text, int64_t *id, gr_error *error) {
    experiment_setup setup = {0};
    GR_TRY(experiment_setup_check(text, strlen(text), self->data, &setup, NULL, NULL, error));
    submission form = {.name = "test",
                       .tags = "{}",
                       .spec = setup.canonical,
                       .data_hash = setup.data_hash,
                       .engine_version = "test",
                       .iterations = setup.iterations};
    gr_status status = store_submit(self->store, &form, id, error);
    experiment_setup_clear(&setup);
    if (status == GR_OK && self->workers) workers_wake(self->workers);
    return status;
}

static int64_t submit(server *self, const char *text) {
    gr_error error = {0};
    int64_t id = 0;
    assert_ok(try_submit(self, text, &id, &error));
    return id;
}

static experiment get(server *self, int64_t id) {
    gr_error error = {0};
    experiment record;
    assert_ok(store_get(self->store, id, &record, &error));
    return record;
}

static void pause_briefly(void) {
    nanosleep(&(struct timespec){0, 5000000}, NULL);
}

/* The iteration that a worker has reached with the experiment; -1: no worker has it. */
static int64_t iteration_of(server *self, int64_t id) {
    worker_status rows[16];
    const int count = workers_status(self->workers, rows, 16);
    for (int w = 0; w < count && w < 16; w++)
        if (rows[w].experiment == id) return rows[w].iteration;
    return -1;
}

/* Waits (at most a minute and a half) until the experiment has ended and its worker has left it:
 * what the workers say of it afterwards is of another attempt. Owned by the caller. */
static experiment wait_for_end(server *self, int64_t id) {
    for (int i = 0; i < 18000; i++) {
        experiment record = get(self, id);
        if (state_is_final(record.state) && iteration_of(self, id) < 0) return record;
        experiment_clear(&record);
        pause_briefly();
    }
    fail_msg("experiment %d does not end", (int)id);
    return (experiment){0};
}

/* Waits until the training has made `iteration` steps. */
static void wait_for_iteration(server *self, int64_t id, int64_t iteration) {
    for (int i = 0; i < 18000; i++) {
        if (iteration_of(self, id) >= iteration) return;
        pause_briefly();
    }
    fail_msg("experiment %d does not reach iteration %d", (int)id, (int)iteration);
}

static void read_model(server *self, const experiment *record, gr_arrays *model) {
    char path[4096];
    gr_error error = {0};
    assert_non_null(record->model_file);
    snprintf(path, sizeof path, "%s/%s", store_artifacts(self->store), record->model_file);
    assert_ok(safetensors_read_file(path, model, NULL, &error));
}

/* The same weights and the same metric rows, bit for bit. */
static void assert_same_result(server *a, int64_t a_id, server *b, int64_t b_id) {
    gr_error error = {0};
    experiment one = get(a, a_id), other = get(b, b_id);
    assert_int_equal(STATE_SUCCEEDED, one.state);
    assert_int_equal(STATE_SUCCEEDED, other.state);
    gr_arrays one_model = {0}, other_model = {0};
    read_model(a, &one, &one_model);
    read_model(b, &other, &other_model);
    assert_int_equal(one_model.count, other_model.count);
    assert_true(one_model.count >= 4);
    for (size_t i = 0; i < one_model.count; i++) {
        const gr_array *x = &one_model.items[i], *y = &other_model.items[i];
        assert_string_equal(x->name, y->name);
        assert_memory_equal(x->data, y->data,
                            (size_t)gr_shape_elements(&x->shape) * gr_element_size(x->type));
    }
    metric_row *x, *y;
    size_t x_count, y_count;
    assert_ok(store_series(a->store, a_id, NULL, -1, &x, &x_count, &error));
    assert_ok(store_series(b->store, b_id, NULL, -1, &y, &y_count, &error));
    assert_int_equal(x_count, y_count);
    assert_true(x_count >= 20);
    for (size_t i = 0; i < x_count; i++) {
        assert_string_equal(x[i].name, y[i].name);
        assert_int_equal(x[i].iteration, y[i].iteration);
        assert_memory_equal(&x[i].value, &y[i].value, sizeof x[i].value);
    }
    assert_string_equal(one.latest_metrics, other.latest_metrics);
    assert_string_equal(one.best_metrics, other.best_metrics);
    free(x);
    free(y);
    gr_arrays_clear(&one_model);
    gr_arrays_clear(&other_model);
    experiment_clear(&one);
    experiment_clear(&other);
}

static int set_up(void **state) {
    *state = temporary_directory();
    return 0;
}

static int tear_down(void **state) {
    remove_directory(*state);
    return 0;
}

/* Trains SHORT undisturbed in a folder of its own, for comparison. */
static int64_t reference(server *self, char **directory) {
    *directory = temporary_directory();
    start(self, *directory, 1);
    int64_t id = submit(self, SHORT);
    experiment record = wait_for_end(self, id);
    experiment_clear(&record);
    return id;
}

static void trains_to_the_end(void **state) {
    server self;
    start(&self, *state, 2);
    int64_t id = submit(&self, SHORT), twin = submit(&self, SHORT);
    experiment record = wait_for_end(&self, id);
    assert_int_equal(STATE_SUCCEEDED, record.state);
    assert_int_equal(1000, record.iteration);
    assert_int_equal(1, record.attempt);
    assert_null(record.error);
    assert_null(record.warning);
    assert_null(record.checkpoint_file);
    assert_non_null(strstr(record.environment, "kernels"));
    assert_non_null(strstr(record.latest_metrics, "test_accuracy"));
    assert_non_null(strstr(record.best_metrics, "validation_accuracy"));
    assert_true(record.elapsed_seconds > 0);
    /* To the millisecond that elapsed_seconds is kept in, and what the thread does around. */
    assert_true(record.cpu_seconds > 0 && record.cpu_seconds < record.elapsed_seconds + 0.1);
    experiment_clear(&record);
    record = wait_for_end(&self, twin);
    experiment_clear(&record);
    assert_same_result(&self, id, &self, twin);
    assert_true(atomic_load(&self.metric_events) >= 20);
    assert_true(atomic_load(&self.experiment_events) >= 4);
    stop(&self);
}

static void a_stop_loses_nothing(void **state) {
    server undisturbed, self;
    char *directory;
    int64_t reference_id = reference(&undisturbed, &directory);
    int64_t id = 0;
    int64_t stops[] = {1, 37, 100, 433};
    for (int i = 0; i < 4; i++) {
        start(&self, *state, 1);
        if (i == 0) id = submit(&self, SHORT);
        wait_for_iteration(&self, id, stops[i]);
        workers_stop(self.workers);
        experiment record = get(&self, id);
        if (state_is_final(record.state)) fail_msg("too fast to be stopped");
        assert_int_equal(STATE_QUEUED, record.state);
        /* Stopped wherever it was, not at a multiple of checkpoint_every. */
        assert_true(record.checkpoint_iteration >= stops[i]);
        assert_null(record.worker);
        experiment_clear(&record);
        self.workers = NULL;
        stop(&self);
    }
    start(&self, *state, 1);
    experiment record = wait_for_end(&self, id);
    assert_int_equal(5, record.attempt);
    assert_true(record.resumed_from_iteration >= 433);
    experiment_clear(&record);
    assert_same_result(&undisturbed, reference_id, &self, id);
    stop(&self);
    stop(&undisturbed);
    remove_directory(directory);
}

/* A child trains until its first checkpoint and some more, and is killed. */
static void a_crash_loses_nothing(void **state) {
    pid_t child = fork();
    if (child == 0) {
        server self;
        gr_error error = {0};
        int64_t id;
        if (try_start(&self, *state, 1, &error) || try_submit(&self, SHORT, &id, &error)) _exit(1);
        for (int i = 0; i < 18000; i++) {
            worker_status row = {0};
            workers_status(self.workers, &row, 1);
            if (row.iteration > 250) kill(getpid(), SIGKILL);
            pause_briefly();
        }
        _exit(2);
    }
    int result;
    assert_int_equal(child, waitpid(child, &result, 0));
    assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
    server undisturbed, self;
    char *directory;
    int64_t reference_id = reference(&undisturbed, &directory);
    start(&self, *state, 1);
    experiment record = wait_for_end(&self, 1);
    assert_int_equal(2, record.attempt);
    assert_true(record.resumed_from_iteration > 0);
    assert_int_equal(0, record.resumed_from_iteration % 70);
    experiment_clear(&record);
    assert_same_result(&undisturbed, reference_id, &self, 1);
    stop(&self);
    stop(&undisturbed);
    remove_directory(directory);
}

static void a_damaged_checkpoint_costs_only_time(void **state) {
    server undisturbed, self;
    char *directory;
    int64_t reference_id = reference(&undisturbed, &directory);
    start(&self, *state, 1);
    int64_t id = submit(&self, SHORT);
    wait_for_iteration(&self, id, 150);
    workers_stop(self.workers);
    experiment record = get(&self, id);
    char path[4096];
    assert_non_null(record.checkpoint_file);
    snprintf(path, sizeof path, "%s/%s", store_artifacts(self.store), record.checkpoint_file);
    experiment_clear(&record);
    assert_int_equal(0, truncate(path, 100));
    self.workers = NULL;
    stop(&self);
    start(&self, *state, 1);
    record = wait_for_end(&self, id);
    assert_int_equal(0, record.resumed_from_iteration);
    assert_non_null(record.warning);
    assert_non_null(strstr(record.warning, "from the beginning"));
    experiment_clear(&record);
    assert_same_result(&undisturbed, reference_id, &self, id);
    stop(&self);
    stop(&undisturbed);
    remove_directory(directory);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void cancels_at_once(void **state) {
    server self;
    gr_error error = {0};
    start(&self, *state, 1);
    int64_t id = submit(&self, LONG), waiting = submit(&self, LONG);
    wait_for_iteration(&self, id, 50);
    for (int i = 0; i < 18000 && !atomic_load(&self.progress_events); i++) pause_briefly();
    assert_true(atomic_load(&self.progress_events) >= 1);
    assert_ok(store_cancel(self.store, waiting, NULL, &error));
    double before = seconds();
    assert_ok(store_cancel(self.store, id, NULL, &error));
    workers_interrupt(self.workers, id);
    experiment record = wait_for_end(&self, id);
    assert_true(seconds() - before < 1.0);
    assert_int_equal(STATE_CANCELLED, record.state);
    assert_true(record.iteration >= 50);
    assert_null(record.model_file);
    experiment_clear(&record);
    /* The heartbeat finds a cancellation that nobody pointed out. */
    id = submit(&self, LONG);
    wait_for_iteration(&self, id, 1);
    assert_ok(store_cancel(self.store, id, NULL, &error));
    record = wait_for_end(&self, id);
    assert_int_equal(STATE_CANCELLED, record.state);
    experiment_clear(&record);
    stop(&self);
}

/* Waits until the experiment is paused. */
static void wait_for_pause(server *self, int64_t id) {
    for (int i = 0; i < 18000; i++) {
        experiment record = get(self, id);
        const experiment_state state = record.state;
        experiment_clear(&record);
        if (state == STATE_PAUSED) return;
        assert_false(state_is_final(state));
        pause_briefly();
    }
    fail_msg("experiment %d is not paused", (int)id);
}

/* Paused while it runs, by a request and by the heartbeat alone, across a restart: the same bits.
 */
static void a_pause_loses_nothing(void **state) {
    server undisturbed, self;
    gr_error error = {0};
    char *directory;
    int64_t reference_id = reference(&undisturbed, &directory);
    start(&self, *state, 1);
    int64_t id = submit(&self, SHORT);
    wait_for_iteration(&self, id, 33);
    double before = seconds();
    experiment record;
    assert_ok(store_pause(self.store, id, &record, &error));
    assert_int_equal(STATE_RUNNING, record.state);
    assert_true(record.pause_requested);
    experiment_clear(&record);
    workers_interrupt(self.workers, id);
    wait_for_pause(&self, id);
    assert_true(seconds() - before < 1.0);
    record = get(&self, id);
    assert_true(record.checkpoint_iteration >= 33);
    assert_false(record.pause_requested);
    assert_null(record.worker);
    experiment_clear(&record);
    stop(&self);
    start(&self, *state, 1);
    usleep(50000);
    record = get(&self, id);
    assert_int_equal(STATE_PAUSED, record.state); /* nobody takes it */
    experiment_clear(&record);
    assert_ok(store_resume(self.store, id, NULL, &error));
    workers_wake(self.workers);
    /* A wish that was taken back at once costs at most a restart from a checkpoint. */
    wait_for_iteration(&self, id, 150);
    assert_ok(store_pause(self.store, id, NULL, &error));
    workers_interrupt(self.workers, id);
    assert_true(store_resume(self.store, id, NULL, &error) == GR_OK);
    workers_interrupt(self.workers, id);
    workers_wake(self.workers);
    record = wait_for_end(&self, id);
    assert_true(record.resumed_from_iteration >= 33);
    experiment_clear(&record);
    assert_same_result(&undisturbed, reference_id, &self, id);
    stop(&self);
    stop(&undisturbed);
    remove_directory(directory);
}

/* Cancelled and retried, from its checkpoint and from the start: the same bits. */
static void a_retry_gives_the_same(void **state) {
    server undisturbed, self;
    gr_error error = {0};
    char *directory;
    int64_t reference_id = reference(&undisturbed, &directory);
    start(&self, *state, 1);
    int64_t id = submit(&self, SHORT);
    for (int round = 0; round < 2; round++) {
        wait_for_iteration(&self, id, 250);
        assert_ok(store_cancel(self.store, id, NULL, &error));
        workers_interrupt(self.workers, id);
        experiment record = wait_for_end(&self, id);
        assert_int_equal(STATE_CANCELLED, record.state);
        assert_true(record.checkpoint_iteration > 0);
        experiment_clear(&record);
        assert_ok(store_retry(self.store, id, round == 0, &record, &error));
        assert_int_equal(STATE_QUEUED, record.state);
        if (round == 0) {
            assert_int_equal(0, record.iteration);
            assert_null(record.checkpoint_file);
            assert_string_equal("{}", record.latest_metrics);
        }
        experiment_clear(&record);
        workers_wake(self.workers);
    }
    experiment record = wait_for_end(&self, id);
    assert_true(record.resumed_from_iteration > 0);
    experiment_clear(&record);
    assert_same_result(&undisturbed, reference_id, &self, id);
    assert_status(GR_CONFLICT, store_retry(self.store, id, true, NULL, &error));
    stop(&self);
    stop(&undisturbed);
    remove_directory(directory);
}

static void reports_divergence_and_failure(void **state) {
    server self;
    gr_error error = {0};
    start(&self, *state, 1);
    int64_t id = submit(&self, DIVERGING);
    experiment record = wait_for_end(&self, id);
    assert_int_equal(STATE_DIVERGED, record.state);
    assert_non_null(strstr(record.error, "iteration"));
    assert_null(record.model_file);
    experiment_clear(&record);

    /* What the store holds is not trusted either. */
    submission broken = {.name = "broken",
                         .tags = "{}",
                         .spec = "{\"model\": 3}",
                         .data_hash = "",
                         .engine_version = "test",
                         .iterations = 10};
    assert_ok(store_submit(self.store, &broken, &id, &error));
    workers_wake(self.workers);
    record = wait_for_end(&self, id);
    assert_int_equal(STATE_FAILED, record.state);
    assert_non_null(record.error);
    experiment_clear(&record);
    submission changed = {.name = "changed data",
                          .tags = "{}",
                          .spec = SHORT,
                          .data_hash = "0123",
                          .engine_version = "test",
                          .iterations = 10};
    assert_ok(store_submit(self.store, &changed, &id, &error));
    workers_wake(self.workers);
    record = wait_for_end(&self, id);
    assert_int_equal(STATE_FAILED, record.state);
    assert_non_null(strstr(record.error, "SHA-256"));
    experiment_clear(&record);
    stop(&self);
}

/* The lease is given to another worker: the run must be dropped, and write nothing any more. */
static void drops_a_lost_lease(void **state) {
    server self;
    gr_error error = {0};
    worker_request cancel;
    start(&self, *state, 1);
    int64_t id = submit(&self, LONG);
    wait_for_iteration(&self, id, 50);
    assert_ok(store_release(self.store, id, 1, false, &error)); /* behind the worker's back */
    for (int i = 0;; i++) {
        experiment record = get(&self, id);
        int64_t attempt = record.attempt;
        experiment_clear(&record);
        if (attempt == 2) break;
        assert_true(i < 3000);
        pause_briefly();
    }
    assert_status(GR_CONFLICT, store_heartbeat(self.store, id, 1, 1, 1, 0.25, &cancel, &error));
    assert_ok(store_cancel(self.store, id, NULL, &error));
    workers_interrupt(self.workers, id);
    experiment record = wait_for_end(&self, id);
    assert_int_equal(STATE_CANCELLED, record.state);
    experiment_clear(&record);
    stop(&self);
}

/* -- a full disk, in a child with a small file system of its own
 * ---------------------------------------------- */

/* Fills the disk in the middle of a training, waits until it would have ended, frees the space. */
static int on_full_disk(const char *directory) {
    server self;
    gr_error error = {0};
    int64_t id;
    if (try_start(&self, directory, 1, &error) || try_submit(&self, SHORT, &id, &error)) return 1;
    worker_status row = {0};
    for (int i = 0; i < 18000 && row.iteration < 150; i++) {
        pause_briefly();
        workers_status(self.workers, &row, 1);
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/ballast", directory);
    int ballast = open(path, O_CREAT | O_WRONLY, 0600);
    static char block[4096];
    memset(block, 1, sizeof block);
    /* Training goes on to its last iteration though nothing can be stored. */
    for (int i = 0; i < 18000 && row.iteration < 1000; i++) {
        while (write(ballast, block, sizeof block) > 0) {
        }
        pause_briefly();
        workers_status(self.workers, &row, 1);
    }
    if (row.iteration != 1000) return 2;
    for (int i = 0; i < 100; i++) {
        while (write(ballast, block, sizeof block) > 0) {
        }
        pause_briefly();
    }
    experiment record;
    if (store_get(self.store, id, &record, &error) != GR_OK || record.state != STATE_RUNNING)
        return 3;
    experiment_clear(&record);
    close(ballast);
    unlink(path);
    for (int i = 0; i < 6000; i++) {
        if (store_get(self.store, id, &record, &error) != GR_OK) return 4;
        if (state_is_final(record.state)) break;
        experiment_clear(&record);
        pause_briefly();
    }
    if (record.state != STATE_SUCCEEDED || record.attempt != 1 || record.warning) return 5;
    experiment_clear(&record);
    /* The log keeps what the result, stored by now, need not warn of any more. */
    log_line *lines;
    size_t line_count, waits = 0;
    if (store_log(self.store, id, &lines, &line_count, &error) != GR_OK) return 7;
    for (size_t i = 0; i < line_count; i++)
        waits += strstr(lines[i].text, "could not be stored yet") != NULL;
    log_lines_free(lines, line_count);
    if (waits == 0) return 8;
    metric_row *rows;
    size_t count;
    if (store_series(self.store, id, "train_loss", -1, &rows, &count, &error) || count != 10)
        return 6;
    free(rows);
    stop(&self);
    return 0;
}

static void a_full_disk_loses_nothing(void **state) {
    if (geteuid() != 0) {
        print_message("skipped: needs root to mount a small file system\n");
        skip();
    }
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount("none", *state, "tmpfs", 0, "size=4m"))
            _exit(77);
        _exit(on_full_disk(*state));
    }
    int result;
    assert_int_equal(child, waitpid(child, &result, 0));
    if (WIFEXITED(result) && WEXITSTATUS(result) == 77) {
        print_message("skipped: mounting is not allowed here\n");
        skip();
    }
    assert_int_equal(0, result);
}

static void refuses_absurd_numbers(void **state) {
    (void)state;
    gr_error error = {0};
    workers *pool;
    assert_status(GR_INVALID, workers_start(NULL, NULL, NULL, -1, &pool, &error));
    assert_status(GR_INVALID, workers_start(NULL, NULL, NULL, 100000, &pool, &error));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        /* First those that fork: no thread must be running then. */
        TEST(a_full_disk_loses_nothing),
        TEST(a_crash_loses_nothing),
        TEST(trains_to_the_end),
        TEST(a_stop_loses_nothing),
        TEST(a_damaged_checkpoint_costs_only_time),
        TEST(cancels_at_once),
        TEST(a_pause_loses_nothing),
        TEST(a_retry_gives_the_same),
        TEST(reports_divergence_and_failure),
        TEST(drops_a_lost_lease),
        TEST(refuses_absurd_numbers),
    };
    return cmocka_run_group_tests(tests, create_data, free_data);
}
