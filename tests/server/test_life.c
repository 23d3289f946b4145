/* The store's part of an experiment's life beside training: actions, answers, results, logs,
 * retention. */
#include "tests/server/store_fixture.h"

#include <sqlite3.h>

#include "server/json.h"
#include "server/merge_patch.h"
#include "server/replay.h"
#include "server/retention.h"
#include "server/safetensors.h"
#include "server/spec.h"

static int set_up(void **state) {
    *state = temporary_directory();
    return 0;
}

static int tear_down(void **state) {
    remove_directory(*state);
    return 0;
}

static void meddle(const char *directory, const char *sql) {
    char path[4096];
    snprintf(path, sizeof path, "%s/gradreg.db", directory);
    sqlite3 *handle;
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &handle));
    sqlite3_busy_timeout(handle, 5000);
    assert_int_equal(SQLITE_OK, sqlite3_exec(handle, sql, NULL, NULL, NULL));
    sqlite3_close(handle);
}

static experiment_state state_of(store *in, int64_t id) {
    gr_error error = {0};
    experiment record;
    assert_ok(store_get(in, id, &record, &error));
    const experiment_state state = record.state;
    experiment_clear(&record);
    return state;
}

static void lease(store *in, int64_t id) {
    gr_error error = {0};
    experiment record;
    assert_ok(store_lease(in, "w", &record, &error));
    assert_int_equal(id, record.id);
    experiment_clear(&record);
}

/* -- actions
 * ---------------------------------------------------------------------------------------------------
 */
/* What each action does in each state: GR_OK or GR_CONFLICT, as the table says. */
static void actions_fit_states(void **state) {
    static const char *const names[STATE_COUNT] = {"queued", "running",  "paused",   "succeeded",
                                                   "failed", "diverged", "cancelled"};
    static const struct {
        const char *name, *allowed; /* a letter for each state, in their order */
        gr_status (*act)(store *, int64_t, experiment *, gr_error *);
    } table[] = {{"cancel", "yyynnnn", store_cancel},
                 {"pause", "yynnnnn", store_pause},
                 {"resume", "nnynnnn", store_resume}};
    store *in = open_store(*state);
    gr_error error = {0};
    int64_t id = submit_one(in, "a");
    char sql[200];
    for (int s = 0; s < STATE_COUNT; s++) {
        for (size_t a = 0; a < 4; a++) {
            snprintf(
                sql, sizeof sql,
                "UPDATE experiments SET state = '%s', cancel_requested = 0, pause_requested = 0",
                names[s]);
            meddle(*state, sql);
            const bool retries = a == 3;
            const char allowed = retries ? "nnnnyyy"[s] : table[a].allowed[s];
            const gr_status got = retries ? store_retry(in, id, false, NULL, &error)
                                          : table[a].act(in, id, NULL, &error);
            if (got != (allowed == 'y' ? GR_OK : GR_CONFLICT))
                fail_msg("%s while %s", retries ? "retry" : table[a].name, names[s]);
            if (got == GR_CONFLICT) assert_non_null(strstr(error.message, names[s]));
        }
    }
    assert_status(GR_NOT_FOUND, store_retry(in, 99, false, NULL, &error));
    store_close(in);
}

/* A crash between a wish and its fulfilment. */
static void wishes_survive_a_crash(void **state) {
    gr_error error = {0};
    store *in = open_store(*state);
    int64_t id = submit_one(in, "a");
    lease(in, id);
    assert_ok(store_pause(in, id, NULL, &error));
    assert_int_equal(STATE_RUNNING, state_of(in, id));
    store_close(in); /* the lease was not given back */
    in = open_store(*state);
    assert_int_equal(STATE_PAUSED, state_of(in, id));
    experiment record;
    assert_status(GR_NOT_FOUND, store_lease(in, "w", &record, &error));
    assert_ok(store_resume(in, id, NULL, &error));
    lease(in, id);
    assert_ok(store_pause(in, id, NULL, &error));
    assert_ok(store_cancel(in, id, NULL, &error)); /* the later wish */
    assert_status(GR_CONFLICT, store_pause(in, id, NULL, &error));
    store_close(in);
    in = open_store(*state);
    assert_int_equal(STATE_CANCELLED, state_of(in, id));
    assert_ok(store_retry(in, id, false, NULL, &error));
    lease(in, id);
    worker_request request;
    assert_ok(store_pause(in, id, NULL, &error));
    assert_ok(store_heartbeat(in, id, 3, 1, 1, 0.25, &request, &error));
    assert_int_equal(REQUEST_PAUSE, request);
    assert_ok(store_resume(in, id, NULL, &error));
    assert_ok(store_release(in, id, 3, false, &error)); /* its worker had seen the wish */
    assert_int_equal(STATE_QUEUED, state_of(in, id));
    store_close(in);
}

/* -- logs
 * ------------------------------------------------------------------------------------------------------
 */
static void logs_are_bounded(void **state) {
    gr_error error = {0};
    store *in = open_store(*state);
    int64_t id = submit_one(in, "a");
    lease(in, id);
    for (int i = 0; i < 1100; i++) assert_ok(store_warn(in, id, 1, "line\nbreak", &error));
    log_line *lines;
    size_t count;
    assert_ok(store_log(in, id, &lines, &count, &error));
    assert_int_equal(1001, count);
    assert_string_equal("submitted", lines[0].text);
    assert_int_equal(1, lines[0].number);
    assert_int_equal(103, lines[1].number);
    assert_int_equal(1102, lines[1000].number);
    assert_string_equal("line break", lines[1000].text);
    assert_string_equal("warning", lines[1000].level);
    log_lines_free(lines, count);
    store_close(in);
}

/* -- answers
 * ---------------------------------------------------------------------------------------------------
 */
static char *fixed_answer(const void *made, void *context) {
    char *text;
    (void)context;
    return asprintf(&text, "made %lld", (long long)((const experiment *)made)->id) < 0 ? NULL
                                                                                       : text;
}

static char *no_answer(const void *made, void *context) {
    (void)made;
    (void)context;
    return NULL;
}

static void answers_are_kept_with_what_they_tell_of(void **state) {
    gr_error error = {0};
    store *in = open_store(*state);
    idempotency keyed = {.key = "k", .fingerprint = "f", .answer = no_answer};
    submission form = {.name = "x",
                       .tags = "{}",
                       .spec = "{}",
                       .data_hash = "00",
                       .engine_version = "test",
                       .iterations = 1,
                       .idempotency = &keyed};
    int64_t id, again;
    stored_answer answer;
    assert_status(GR_OUT_OF_MEMORY, store_submit(in, &form, &id, &error));
    int64_t counts[STATE_COUNT];
    assert_ok(store_counts(in, counts, &error));
    assert_int_equal(0, counts[STATE_QUEUED]); /* nothing without its answer */
    keyed.answer = fixed_answer;
    assert_ok(store_submit(in, &form, &id, &error));
    assert_status(GR_CONFLICT, store_submit(in, &form, &again, &error));
    store_close(in);
    in = open_store(*state);
    assert_ok(store_counts(in, counts, &error));
    assert_int_equal(1, counts[STATE_QUEUED]);
    assert_ok(store_answer(in, "k", &answer, &error));
    char wanted[64];
    snprintf(wanted, sizeof wanted, "made %lld", (long long)id);
    assert_string_equal(wanted, answer.body);
    assert_string_equal("f", answer.fingerprint);
    assert_int_equal(201, answer.status);
    snprintf(wanted, sizeof wanted, "/api/v1/experiments/%lld", (long long)id);
    assert_string_equal(wanted, answer.location);
    stored_answer_clear(&answer);
    assert_status(GR_NOT_FOUND, store_answer(in, "other", &answer, &error));
    meddle(*state, "UPDATE idempotency SET created_at = created_at - 86400001");
    assert_status(GR_NOT_FOUND, store_answer(in, "k", &answer, &error));
    assert_ok(store_submit(in, &form, &again, &error)); /* the key is free again */
    meddle(*state, "UPDATE idempotency SET created_at = created_at - 86400001");
    int64_t dropped;
    assert_ok(store_drop_answers(in, &dropped, &error));
    assert_int_equal(1, dropped);
    store_close(in);
}

/* -- results
 * ---------------------------------------------------------------------------------------------------
 */
static int64_t finished(store *in, const char *key, const char *environment) {
    gr_error error = {0};
    experiment record;
    int64_t id;
    const submission form = {.name = "x",
                             .tags = "{}",
                             .spec = "{}",
                             .data_hash = "00",
                             .engine_version = "test",
                             .iterations = 10,
                             .result_key = key,
                             .operations = 1000};
    assert_ok(store_submit(in, &form, &id, &error));
    assert_ok(store_lease(in, "w", &record, &error));
    experiment_clear(&record);
    assert_ok(store_started(in, id, 1, 0, environment, &error));
    assert_ok(store_finish(in, id, 1, STATE_SUCCEEDED, 10, NULL, NULL, &error));
    return id;
}

static void finds_results_of_this_environment_only(void **state) {
    gr_error error = {0};
    store *in = open_store(*state);
    int64_t one = finished(in, "key", "{\"kernels\":1}"), found;
    finished(in, "other", "{\"kernels\":1}");
    assert_ok(store_find_result(in, "key", "{\"kernels\":1}", &found, &error));
    assert_int_equal(one, found);
    assert_status(GR_NOT_FOUND, store_find_result(in, "key", "{\"kernels\":2}", &found, &error));
    assert_status(GR_NOT_FOUND, store_find_result(in, "none", "{\"kernels\":1}", &found, &error));
    /* Begun by another program, finished by this one. */
    char sql[300];
    snprintf(sql, sizeof sql,
             "INSERT INTO attempts VALUES (%lld, 2, 'w', 0, 0, 'succeeded', 5, '{\"kernels\":1}'); "
             "UPDATE attempts SET environment = '{\"kernels\":2}' WHERE experiment = %lld AND "
             "attempt = 1",
             (long long)one, (long long)one);
    meddle(*state, sql);
    assert_status(GR_NOT_FOUND, store_find_result(in, "key", "{\"kernels\":1}", &found, &error));
    /* Not if it began anew later. */
    meddle(*state, "UPDATE attempts SET resumed_from_iteration = 0");
    assert_ok(store_find_result(in, "key", "{\"kernels\":1}", &found, &error));
    assert_ok(store_delete(in, one, &error));
    assert_status(GR_NOT_FOUND, store_find_result(in, "key", "{\"kernels\":1}", &found, &error));
    store_close(in);
}

static void tells_how_fast_it_went(void **state) {
    gr_error error = {0};
    store *in = open_store(*state);
    static const char environment[] = "{\"engine\":\"e\"}";
    speed told;
    assert_ok(store_speed(in, environment, 100, &told, &error));
    assert_true(told.operations_per_second == 0 && told.experiments == 0);
    for (int i = 0; i < 3; i++) finished(in, "k", environment);    /* 100 operations an iteration */
    meddle(*state, "UPDATE experiments SET elapsed_seconds = id"); /* 1, 2 and 3 s for 1000 */
    assert_ok(store_speed(in, environment, 100.5, &told, &error));
    assert_true(told.alike && told.experiments == 3 && told.operations_per_second == 500);
    assert_ok(store_speed(in, environment, 50, &told, &error));
    assert_true(!told.alike && told.experiments == 3 && told.operations_per_second == 500);
    assert_ok(store_speed(in, "another machine", 100, &told, &error));
    assert_true(told.experiments == 0);
    store_close(in);
}

/* -- replays
 * ---------------------------------------------------------------------------------------------------
 */
static void write_model(store *in, const char *name, float value) {
    gr_arrays model = {0};
    gr_error error = {0};
    void *data;
    char path[4096];
    assert_ok(gr_arrays_add(&model, "0.weight", GR_F32, &(gr_shape){1, {2}}, &data, &error));
    ((float *)data)[1] = value;
    snprintf(path, sizeof path, "%s/%s", store_artifacts(in), name);
    assert_ok(safetensors_write_file(path, &model, NULL, &error));
    gr_arrays_clear(&model);
}

/* The document comes with the success, and goes with the purge. */
static void analyses_come_and_go(void **state) {
    gr_error error = {0};
    char *text;
    store *in = open_store(*state);
    const int64_t id = submit_one(in, "analysed"), other = submit_one(in, "not analysed");
    lease(in, id);
    assert_ok(store_analysis(in, id, &text, &error));
    assert_null(text);
    /* A worker that lost its lease leaves nothing behind. */
    assert_status(GR_CONFLICT, store_succeed(in, id, 7, 10, NULL, "{\"a\":0}", &error));
    assert_ok(store_analysis(in, id, &text, &error));
    assert_null(text);
    assert_ok(store_succeed(in, id, 1, 10, NULL, "{\"a\":1}", &error));
    assert_ok(store_analysis(in, id, &text, &error));
    assert_string_equal(text, "{\"a\":1}");
    free(text);
    experiment record;
    assert_ok(store_get(in, id, &record, &error));
    assert_true(record.has_analysis && record.state == STATE_SUCCEEDED);
    experiment_clear(&record);
    assert_ok(store_get(in, other, &record, &error));
    assert_false(record.has_analysis);
    experiment_clear(&record);
    assert_ok(store_change(in, CHANGE_DELETE, id, NULL, NULL, &error));
    assert_status(GR_NOT_FOUND, store_analysis(in, id, &text, &error));
    assert_ok(store_change(in, CHANGE_PURGE, id, NULL, NULL, &error));
    store_close(in);
    /* Fails where there is a row: it would be there twice. */
    meddle(*state, "INSERT INTO analyses SELECT * FROM analyses");
}

/* Replays an experiment whose last row was `original` and whose model held `weight`, with 2 and 1.
 */
static cJSON *replay_of(const char *directory, double original, float weight, const char *sql) {
    gr_error error = {0};
    store *in = open_store(directory);
    experiment record;
    const gr_metric rows[] = {{"train_loss", 5, 1.5}, {"train_loss", 10, original}};
    int64_t id = submit_one(in, "original");
    lease(in, id);
    assert_ok(store_started(in, id, 1, 0, "{\"engine\":\"0\",\"kernels\":\"abacus\"}", &error));
    assert_ok(store_metrics(in, id, 1, rows, 2, &error));
    write_model(in, "one.safetensors", weight);
    assert_ok(store_finish(in, id, 1, STATE_SUCCEEDED, 10, "one.safetensors", NULL, &error));
    if (sql) meddle(directory, sql);
    const submission form = {.name = "x",
                             .tags = "{}",
                             .spec = "{}",
                             .data_hash = "00",
                             .engine_version = "test",
                             .iterations = 10,
                             .replay_of = id};
    int64_t again;
    assert_ok(store_submit(in, &form, &again, &error));
    assert_ok(store_lease(in, "w", &record, &error));
    const gr_metric same[] = {{"train_loss", 5, 1.5}, {"train_loss", 10, 2}};
    assert_ok(store_metrics(in, again, 1, same, 2, &error));
    write_model(in, "two.safetensors", 1);
    char path[4096];
    snprintf(path, sizeof path, "%s/two.safetensors", store_artifacts(in));
    assert_ok(replay_report(in, &record, STATE_SUCCEEDED, 10, NULL, path, &error));
    experiment_clear(&record);
    assert_ok(store_get(in, again, &record, &error));
    cJSON *report = cJSON_Parse(record.replay);
    assert_non_null(report);
    assert_int_equal(id, cJSON_GetObjectItem(report, "of")->valueint);
    experiment_clear(&record);
    store_close(in);
    return report;
}

/* The `what` of a difference that begins with `prefix`; NULL: there is none. */
static const char *difference(const cJSON *report, const char *prefix) {
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(report, "differences")) {
        const char *what = cJSON_GetStringValue(cJSON_GetObjectItem(item, "what"));
        if (strncmp(what, prefix, strlen(prefix)) == 0) return what;
    }
    return NULL;
}

static void an_equal_replay(void **state) {
    cJSON *report = replay_of(*state, 2, 1, NULL);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(report, "identical")));
    assert_non_null(difference(report, "kernels")); /* said, though it made no difference */
    assert_non_null(difference(report, "engine_version"));
    assert_null(difference(report, "model"));
    assert_null(difference(report, "metrics"));
    cJSON_Delete(report);
}

static void a_replay_with_another_row(void **state) {
    cJSON *report = replay_of(*state, 2.0000000000000004, 1, NULL);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(report, "identical")));
    assert_int_equal(10, cJSON_GetObjectItem(report, "first_differing_iteration")->valueint);
    assert_non_null(strstr(difference(report, "metrics"), "1 rows"));
    assert_null(difference(report, "model"));
    cJSON_Delete(report);
}

static void a_replay_with_other_weights(void **state) {
    cJSON *report = replay_of(*state, 2, 1.0000001f, NULL);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(report, "identical")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(report, "first_differing_iteration")));
    assert_non_null(strstr(difference(report, "model"), "0.weight"));
    cJSON_Delete(report);
}

static void a_replay_of_other_data(void **state) {
    cJSON *report =
        replay_of(*state, 2, 1, "UPDATE experiments SET data_hash = '11', iteration = 9");
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(report, "identical")));
    assert_non_null(difference(report, "data_hash"));
    assert_non_null(difference(report, "last iteration"));
    cJSON_Delete(report);
}

static void a_replay_without_original(void **state) {
    cJSON *report = replay_of(*state, 2, 1, "UPDATE experiments SET trashed_at = 1");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(report, "identical")));
    assert_non_null(difference(report, "original"));
    cJSON_Delete(report);
}

/* -- retention
 * -------------------------------------------------------------------------------------------------
 */
static void keeps_what_the_rules_say(void **state) {
    gr_error error = {0};
    store *in = open_store(*state);
    int64_t ids[5];
    char file[64];
    for (int i = 0; i < 5; i++) {
        ids[i] = submit_one(in, "a");
        lease(in, ids[i]);
        snprintf(file, sizeof file, "%d.checkpoint", i);
        make_artifact(in, file);
        assert_ok(store_checkpoint(in, ids[i], 1, 5, file, &error));
        assert_ok(store_finish(in, ids[i], 1, i == 4 ? STATE_CANCELLED : STATE_FAILED, 6, NULL, "x",
                               &error));
    }
    int64_t waits = submit_one(in, "waits");
    assert_ok(store_delete(in, ids[0], &error));
    assert_ok(store_delete(in, ids[1], &error));
    /* One day is 86400000 ms: what is older than two days goes. */
    meddle(*state, "UPDATE experiments SET finished_at = finished_at - 200000000 WHERE id = 3; "
                   "UPDATE experiments SET trashed_at = trashed_at - 200000000 WHERE id = 1");
    const retention_rules none = {0}, days = {.checkpoint_days = 2, .trash_days = 2};
    assert_ok(retention_apply(in, &none, NULL, &error));
    for (int i = 0; i < 5; i++) {
        snprintf(file, sizeof file, "%d.checkpoint", i);
        assert_true(has_artifact(in, file));
    }
    assert_ok(retention_apply(in, &days, NULL, &error));
    assert_false(has_artifact(in, "0.checkpoint")); /* purged with its experiment */
    assert_true(has_artifact(in, "1.checkpoint"));  /* not long enough in the trash */
    assert_false(has_artifact(in, "2.checkpoint"));
    assert_true(has_artifact(in, "3.checkpoint"));
    experiment record;
    assert_ok(store_get(in, ids[2], &record, &error));
    assert_null(record.checkpoint_file);
    assert_int_equal(0, record.checkpoint_iteration);
    experiment_clear(&record);
    assert_ok(store_retry(in, ids[2], false, NULL, &error)); /* from the start, then */
    assert_ok(store_cancel(in, ids[2], NULL, &error));
    const retention_rules two = {.kept = 2};
    assert_ok(retention_apply(in, &two, NULL, &error));
    assert_int_equal(STATE_QUEUED, state_of(in, waits)); /* only what has ended */
    assert_int_equal(STATE_CANCELLED, state_of(in, ids[2]));
    assert_int_equal(STATE_CANCELLED, state_of(in, ids[4]));
    assert_status(GR_NOT_FOUND, store_get(in, ids[3], &record, &error));
    const submission heir = {.name = "heir",
                             .tags = "{}",
                             .spec = "{\"init_from\":3}",
                             .data_hash = "00",
                             .engine_version = "test",
                             .iterations = 1};
    assert_ok(store_submit(in, &heir, &(int64_t){0}, &error));
    const retention_rules one = {.kept = 1};
    meddle(*state, "UPDATE experiments SET finished_at = 1 WHERE id = 3");
    assert_ok(retention_apply(in, &one, NULL, &error));
    assert_int_equal(STATE_CANCELLED, state_of(in, ids[2])); /* another starts from it */
    store_close(in);
    in = open_store(*state); /* nothing that is left is swept */
    assert_true(has_artifact(in, "1.checkpoint"));
    retention *rules;
    assert_ok(retention_start(in, &days, &rules, &error));
    retention_stop(rules);
    store_close(in);
}

/* -- merge patches
 * --------------------------------------------------------------------------------------------- */
static void merges_as_the_standard_says(void **state) {
    (void)state;
    static const char *const table[][3] = {
        /* RFC 7396, appendix A (objects), then kinds */
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        {"{\"optimizer\":{\"type\":\"adam\",\"learning_rate\":0.5,\"beta1\":0.5}}",
         "{\"optimizer\":{\"type\":\"sgd\"}}",
         "{\"optimizer\":{\"type\":\"sgd\",\"learning_rate\":0.5}}"},
        {"{\"optimizer\":{\"type\":\"adam\",\"beta1\":0.5}}",
         "{\"optimizer\":{\"type\":\"sgd\",\"beta1\":1}}",
         "{\"optimizer\":{\"type\":\"sgd\",\"beta1\":1}}"},
        {"{\"optimizer\":{\"type\":\"adam\",\"beta1\":0.5}}", "{\"optimizer\":{\"type\":\"?\"}}",
         "{\"optimizer\":{\"type\":\"?\",\"beta1\":0.5}}"},
        {"{\"model\":{\"preset\":\"mlp\",\"widths\":[3]}}", "{\"model\":{\"layers\":[]}}",
         "{\"model\":{\"layers\":[]}}"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        cJSON *target = cJSON_Parse(table[i][0]), *patch = cJSON_Parse(table[i][1]);
        problems found = {0};
        assert_int_equal(GR_OK, merge_patch(&spec_family, target, patch, &found));
        char *text = json_text(target);
        assert_string_equal(table[i][2], text);
        free(text);
        cJSON_Delete(target);
        cJSON_Delete(patch);
    }
    static const char *const bad[] = {"[]", "1", "null", "{\"a\":1,\"a\":2}",
                                      "{\"a\":{\"b\":1,\"b\":1}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cJSON *target = cJSON_CreateObject(), *patch = cJSON_Parse(bad[i]);
        problems found = {0};
        assert_int_equal(GR_INVALID, merge_patch(&spec_family, target, patch, &found));
        assert_true(found.count > 0);
        problems_clear(&found);
        cJSON_Delete(target);
        cJSON_Delete(patch);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(actions_fit_states),
        TEST(wishes_survive_a_crash),
        TEST(logs_are_bounded),
        TEST(answers_are_kept_with_what_they_tell_of),
        TEST(finds_results_of_this_environment_only),
        TEST(tells_how_fast_it_went),
        TEST(an_equal_replay),
        TEST(a_replay_with_another_row),
        TEST(a_replay_with_other_weights),
        TEST(a_replay_of_other_data),
        TEST(a_replay_without_original),
        TEST(keeps_what_the_rules_say),
        TEST(analyses_come_and_go),
        cmocka_unit_test(merges_as_the_standard_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
