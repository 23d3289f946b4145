/* Sweeps below the routes: specs, the store's one transaction, successive halving that a restart at
 * any point does not change, tables with what is missing or not finite. */
#include "store_fixture.h"

#include <math.h>

#include "server/json_pointer.h"
#include "server/sweep_keeper.h"
#include "server/sweep_table.h"

static gr_error error;

/* -- pointers
 * -------------------------------------------------------------------------------------------- */

static void set(cJSON *document, const char *pointer, const char *json, gr_status wanted) {
    cJSON *value = cJSON_Parse(json);
    assert_non_null(value);
    assert_int_equal(wanted, json_pointer_set(document, pointer, value, &error));
    cJSON_Delete(value);
}

static void test_pointers(void **state) {
    (void)state;
    cJSON *document = cJSON_Parse("{\"a\":{\"b\":[1,{\"c\":2}]},\"n\":null,\"t\":\"x\"}");
    set(document, "/a/b/1/c", "3", GR_OK);
    set(document, "/a/b/-", "[4]", GR_OK);
    set(document, "/n/new/deep", "5", GR_OK);
    set(document, "/n/list/-", "8", GR_OK);
    set(document, "/n/list/-/-", "9", GR_OK);
    set(document, "/n/-x", "10", GR_OK);
    set(document, "/a~1b", "6", GR_OK);
    set(document, "/m~0n", "7", GR_OK);
    set(document, "/a/b/7", "0", GR_INVALID);
    set(document, "/a/b/01", "0", GR_INVALID);
    set(document, "/t/x", "0", GR_INVALID);
    set(document, "a", "0", GR_INVALID);
    set(document, "/a~2", "0", GR_INVALID);
    set(document, "", "0", GR_INVALID);
    char *text = cJSON_PrintUnformatted(document);
    assert_string_equal(
        text,
        "{\"a\":{\"b\":[1,{\"c\":3},[4]]},\"n\":{\"new\":{\"deep\":5},\"list\":[8,[9]],\"-x\":10},"
        "\"t\":\"x\",\"a/b\":6,\"m~n\":7}");
    assert_int_equal(json_pointer_get(document, "/a/b/2/0")->valueint, 4);
    assert_null(json_pointer_get(document, "/a/b/3"));
    assert_true(json_pointer_is_within("/a/b", "/a") && !json_pointer_is_within("/ab", "/a"));
    free(text);
    cJSON_Delete(document);
}

/* -- plans
 * -----------------------------------------------------------------------------------------------
 */

static void parse(const char *text, sweep_plan *plan) {
    problems found = {0};
    bool malformed;
    if (sweep_plan_parse(text, strlen(text), plan, &malformed, &found) != GR_OK)
        fail_msg("%s: %s", found.items[0].pointer, found.items[0].detail);
}

static void test_grid(void **state) {
    (void)state;
    sweep_plan plan;
    parse("{\"base\":{\"regularizers\":[]},\"axes\":["
          "{\"name\":\"m\",\"values\":[{\"label\":\"none\",\"set\":{}},"
          "{\"label\":\"dg\",\"set\":{\"/regularizers/-\":{\"type\":\"datagrad\"}}}]},"
          "{\"pointers\":[\"/x\",\"/y/z\"],\"values\":[[1,2],[3,4]]}],\"first_seed\":5,"
          "\"repeats\":2}",
          &plan);
    sweep_arm *arms;
    size_t count;
    problems found = {0};
    assert_ok(sweep_plan_arms(&plan, &arms, &count, &found, &error));
    assert_int_equal(count, 4);
    assert_string_equal(arms[3].label, "dg, x=[3,4]");
    char *text = cJSON_PrintUnformatted(arms[3].spec);
    assert_string_equal(text,
                        "{\"regularizers\":[{\"type\":\"datagrad\"}],\"x\":3,\"y\":{\"z\":4}}");
    free(text);
    assert_true(plan.seeds[0] == 5 && plan.seeds[1] == 6 && sweep_plan_seed(&plan, 2) == 7);
    sweep_arms_free(arms, count);
    /* What is stored gives the same plan. */
    char *canonical = json_text(plan.document);
    sweep_plan again;
    parse(canonical, &again);
    char *second = json_text(again.document);
    assert_string_equal(canonical, second);
    free(canonical);
    free(second);
    sweep_plan_clear(&again);
    sweep_plan_clear(&plan);
}

static void test_adjust(void **state) {
    (void)state;
    sweep_plan plan;
    parse("{\"base\":{},\"axes\":[{\"pointer\":\"/n\",\"values\":[1,2,3]},"
          "{\"name\":\"m\",\"values\":[{\"label\":\"none\",\"set\":{}},"
          "{\"label\":\"dg\",\"set\":{\"/r\":[{\"weight\":50}]}}]}],"
          "\"adjust\":[{\"when\":{\"m\":\"dg\",\"n\":[\"2\",\"3\"]},\"set\":{\"/r/0/weight\":20}},"
          "{\"when\":{\"n\":\"3\",\"m\":\"dg\"},\"set\":{\"/r/0/weight\":5,\"/x\":true}}]}",
          &plan);
    static const char *const wanted[] = {
        "{\"n\":1}", "{\"n\":1,\"r\":[{\"weight\":50}]}",
        "{\"n\":2}", "{\"n\":2,\"r\":[{\"weight\":20}]}",
        "{\"n\":3}", "{\"n\":3,\"r\":[{\"weight\":5}],\"x\":true}"};
    sweep_arm *arms;
    size_t count;
    problems found = {0};
    assert_ok(sweep_plan_arms(&plan, &arms, &count, &found, &error));
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++) {
        char *text = cJSON_PrintUnformatted(arms[i].spec);
        assert_string_equal(text, wanted[i]);
        free(text);
    }
    assert_string_equal(arms[5].label, "n=3, dg");
    sweep_arms_free(arms, count);
    /* What is stored gives the same plan, rules and all. */
    char *canonical = json_text(plan.document);
    sweep_plan again;
    parse(canonical, &again);
    assert_int_equal(cJSON_GetArraySize(again.adjust), 2);
    free(canonical);
    sweep_plan_clear(&again);
    sweep_plan_clear(&plan);
}

/* Rules that are wrong, and where that is said. */
static void test_adjust_refused(void **state) {
    (void)state;
    static const char *const rules[][2] = {
        {"{}", "/adjust"},
        {"[{\"when\":{\"n\":\"1\"}}]", "/adjust/0/set"},
        {"[{\"set\":{\"/x\":1}}]", "/adjust/0"},
        {"[{\"when\":{\"n\":\"1\"},\"set\":{\"/x\":1},\"wen\":1}]", "/adjust/0"},
        {"[{\"when\":{\"n\":\"7\"},\"set\":{\"/x\":1}}]", "/adjust/0/when/n"},
        {"[{\"when\":{\"n\":[\"1\",2]},\"set\":{\"/x\":1}}]", "/adjust/0/when/n"},
        {"[{\"when\":{\"k\":\"1\"},\"set\":{\"/x\":1}}]", "/adjust/0/when/k"},
        {"[{\"when\":{\"n\":\"1\"},\"set\":{\"/seed\":1}}]", "/adjust/0/set"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char text[300];
        sweep_plan plan;
        problems found = {0};
        bool malformed;
        snprintf(text, sizeof text,
                 "{\"base\":{},\"axes\":[{\"pointer\":\"/n\",\"values\":[1,2]}],\"adjust\":%s}",
                 rules[i][0]);
        assert_int_equal(sweep_plan_parse(text, strlen(text), &plan, &malformed, &found),
                         GR_INVALID);
        assert_int_equal(found.count, 1);
        assert_string_equal(found.items[0].pointer, rules[i][1]);
        problems_clear(&found);
    }
}

static void test_random(void **state) {
    (void)state;
    sweep_plan plan;
    parse("{\"base\":{},\"axes\":[{\"pointer\":\"/lr\",\"range\":{\"minimum\":0.001,"
          "\"maximum\":1,\"scale\":\"log\"}},{\"pointer\":\"/n\",\"range\":{\"minimum\":1,"
          "\"maximum\":4,\"integer\":true}},{\"pointer\":\"/k\",\"values\":[1,2]}],"
          "\"strategy\":{\"type\":\"random\",\"samples\":200,\"seed\":3}}",
          &plan);
    sweep_arm *arms, *again;
    size_t count, same;
    problems found = {0};
    assert_ok(sweep_plan_arms(&plan, &arms, &count, &found, &error));
    assert_ok(sweep_plan_arms(&plan, &again, &same, &found, &error));
    assert_true(count == 200 && same == 200);
    int below = 0;
    for (size_t i = 0; i < count; i++) {
        const double rate =
            cJSON_GetObjectItem(arms[i].levels, "lr") != NULL
                ? strtod(cJSON_GetObjectItem(arms[i].levels, "lr")->valuestring, NULL)
                : 0;
        assert_true(rate >= 0.001 && rate <= 1);
        below += rate < 0.0316;
        assert_string_equal(arms[i].label, again[i].label);
        for (size_t j = 0; j < i; j++) assert_false(strcmp(arms[i].label, arms[j].label) == 0);
    }
    assert_true(below > 60 && below < 140); /* half of a logarithmic range, within 5.6 sigma */
    sweep_arms_free(arms, count);
    sweep_arms_free(again, same);
    sweep_plan_clear(&plan);
}

/* -- the store
 * ------------------------------------------------------------------------------------------- */

#define HALVING                                                                                   \
    "{\"name\":\"h\",\"base\":{},\"axes\":[{\"pointer\":\"/x\",\"values\":[0,1,2,3,4,5,6,7,8]}]," \
    "\"strategy\":{\"type\":\"asha\",\"minimum_iterations\":10,\"reduction_factor\":3},"          \
    "\"repeats\":2}"

/* A sweep of nine arms with two seeds; `spec` is the sweep's. */
static int64_t submit_sweep(store *to, const char *text, size_t arm_count, int64_t stop) {
    sweep_plan plan;
    parse(text, &plan);
    sweep_arm_row arms[9];
    char labels[9][8], levels[9][32];
    assert_true(arm_count <= 9);
    for (size_t i = 0; i < arm_count; i++) {
        snprintf(labels[i], sizeof labels[i], "x=%zu", i);
        snprintf(levels[i], sizeof levels[i], "{\"x\":\"%zu\"}", i);
        arms[i] = (sweep_arm_row){.arm = (int64_t)i,
                                  .label = labels[i],
                                  .levels = levels[i],
                                  .spec = "{\"name\":\"\",\"tags\":{},\"seed\":1,"
                                          "\"training\":{\"evaluate_every\":10}}",
                                  .data_hash = "00",
                                  .engine_version = "test",
                                  .iterations = 90,
                                  .iteration_operations = 1};
    }
    char *canonical = json_text(plan.document);
    const sweep_submission form = {.name = plan.name,
                                   .tags = "{}",
                                   .spec = canonical,
                                   .strategy = sweep_strategy_name(plan.strategy),
                                   .active = stop > 0 || plan.until_width > 0,
                                   .arms = arms,
                                   .arm_count = arm_count,
                                   .seeds = plan.seeds,
                                   .seed_count = plan.seed_count,
                                   .stop_after_iteration = stop};
    int64_t id;
    assert_ok(store_sweep_submit(to, &form, &id, &error));
    free(canonical);
    sweep_plan_clear(&plan);
    return id;
}

/* The accuracy that arm and seed have at an iteration: arm 4 is best, and all grow. */
static double accuracy(int64_t arm, int64_t seed, int64_t iteration) {
    return 0.5 + 0.001 * (double)iteration - 0.01 * fabs((double)arm - 4) + 0.0001 * (double)seed;
}

/* Trains the next experiment as a worker would: up to beyond its rung, or to its end. False where
 * nothing is queued. */
static bool train_next(store *in, int64_t diverging_arm) {
    experiment record;
    if (store_lease(in, "w", &record, &error) != GR_OK) return false;
    const int64_t stop = record.stop_after_iteration;
    const int64_t last = stop ? stop : 90;
    if (record.arm == diverging_arm) {
        assert_ok(
            store_finish(in, record.id, record.attempt, STATE_DIVERGED, 3, NULL, "NaN", &error));
        experiment_clear(&record);
        return true;
    }
    const gr_metric row = {"validation_accuracy", last, accuracy(record.arm, record.seed, last)};
    assert_ok(store_metrics(in, record.id, record.attempt, &row, 1, &error));
    if (stop) {
        make_artifact(in, "x.checkpoint");
        assert_ok(
            store_checkpoint(in, record.id, record.attempt, stop + 1, "x.checkpoint", &error));
        assert_ok(store_release(in, record.id, record.attempt, true, &error));
    } else {
        assert_ok(
            store_finish(in, record.id, record.attempt, STATE_SUCCEEDED, 90, NULL, NULL, &error));
    }
    experiment_clear(&record);
    return true;
}

/* Runs a sweep to its end, a pass after every `pause` trainings, the store closed and opened again
 * before each where `restart`. The rungs as text, owned by the caller. */
static char *run_halving(int pause, bool restart, int64_t diverging_arm, int64_t *succeeded) {
    char *directory = temporary_directory(), *text = NULL;
    size_t size;
    store *opened = open_store(directory);
    const int64_t id = submit_sweep(opened, HALVING, 9, 10);
    bool changed = false;
    for (int trained = 0, turn = 1; turn < 500; turn++) {
        if (train_next(opened, diverging_arm))
            trained++;
        else if (!changed && trained == 0)
            break;
        else
            trained = pause; /* nothing is left to train before the next pass */
        if (trained % pause) continue;
        trained = 0;
        if (restart) {
            store_close(opened);
            opened = open_store(directory);
        }
        assert_ok(sweep_tend(opened, NULL, NULL, id, &changed, &error));
        bool again;
        assert_ok(sweep_tend(opened, NULL, NULL, id, &again, &error)); /* does no harm */
        if (!changed && !again) continue;
    }
    sweep_row row;
    assert_ok(store_sweep_get(opened, id, &row, &error));
    assert_false(row.active);
    assert_int_equal(
        row.counts[STATE_QUEUED] + row.counts[STATE_RUNNING] + row.counts[STATE_PAUSED], 0);
    *succeeded = row.counts[STATE_SUCCEEDED];
    sweep_row_clear(&row);
    sweep_rung_row *rungs;
    size_t count;
    assert_ok(store_sweep_rungs(opened, id, &rungs, &count, &error));
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%lld:%lld%s ", (long long)rungs[i].rung, (long long)rungs[i].arm,
                rungs[i].promoted ? "+" : "");
    fclose(out);
    free(rungs);
    store_close(opened);
    remove_directory(directory);
    return text;
}

/* All arms come before the first pass: synchronous halving, 9 → 3 → 1. */
static void test_halving(void **state) {
    (void)state;
    int64_t succeeded;
    char *text = run_halving(100, false, -1, &succeeded);
    assert_string_equal(text, "0:0 0:1 0:2 0:3+ 0:4+ 0:5+ 0:6 0:7 0:8 1:3 1:4+ 1:5 2:4 ");
    assert_int_equal(succeeded, 2);
    free(text);
}

static void test_halving_restarts(void **state) {
    (void)state;
    for (int pause = 1; pause <= 5; pause += 2) {
        int64_t plain, restarted;
        char *one = run_halving(pause, false, -1, &plain);
        char *other = run_halving(pause, true, -1, &restarted);
        assert_string_equal(one, other);
        assert_int_equal(plain, restarted);
        assert_non_null(strstr(one, "2:4"));
        free(one);
        free(other);
    }
}

/* The best arm diverges: it is noted without a value and goes nowhere. */
static void test_halving_diverged(void **state) {
    (void)state;
    int64_t succeeded;
    char *text = run_halving(100, true, 4, &succeeded);
    assert_null(strstr(text, ":4+"));
    assert_non_null(strstr(text, "0:4 "));
    assert_int_equal(succeeded, 2);
    free(text);
}

/* -- until
 * ---------------------------------------------------------------------------------------------- */

static void finish_all(store *in, double spread) {
    experiment record;
    while (store_lease(in, "w", &record, &error) == GR_OK) {
        const gr_metric row = {"test_accuracy", 90,
                               0.5 + 0.1 * (double)record.arm +
                                   spread * (double)(record.seed % 2 ? 1 : -1)};
        assert_ok(store_metrics(in, record.id, record.attempt, &row, 1, &error));
        assert_ok(
            store_finish(in, record.id, record.attempt, STATE_SUCCEEDED, 90, NULL, NULL, &error));
        experiment_clear(&record);
    }
}

static void test_until(void **state) {
    (void)state;
    char *directory = temporary_directory();
    store *opened = open_store(directory);
    const int64_t id =
        submit_sweep(opened,
                     "{\"name\":\"u\",\"base\":{},\"axes\":[{\"pointer\":\"/x\",\"values\":[0,1]}],"
                     "\"repeats\":2,\"until\":{\"width\":0.02,\"maximum_repeats\":40}}",
                     2, 0);
    bool changed = true;
    int passes = 0;
    for (; passes < 40 && changed; passes++) {
        finish_all(opened, 0.01);
        assert_ok(sweep_tend(opened, NULL, NULL, id, &changed, &error));
        if (passes % 2) {
            store_close(opened);
            opened = open_store(directory);
        }
    }
    sweep_row row;
    assert_ok(store_sweep_get(opened, id, &row, &error));
    assert_false(row.active);
    assert_string_equal(row.note, "every interval is as narrow as asked for");
    /* ±0.01 alternating: the width 2 t s/√n falls below 0.02 at n = 7 … 8. */
    assert_true(row.experiment_count >= 14 && row.experiment_count <= 18);
    sweep_row_clear(&row);
    store_close(opened);
    remove_directory(directory);
}

/* -- tables
 * --------------------------------------------------------------------------------------------- */

/* Values with a gap, a NaN and a diverged run: all are counted, none is in the mean. */
static void test_table(void **state) {
    (void)state;
    sweep_plan plan;
    parse("{\"name\":\"t\",\"base\":{},\"axes\":[{\"pointer\":\"/x\",\"values\":[0,1]}],"
          "\"repeats\":5,\"baseline\":{\"x\":\"0\"}}",
          &plan);
    const sweep_arm_row arms[] = {{.arm = 0, .label = "x=0", .levels = "{\"x\":\"0\"}"},
                                  {.arm = 1, .label = "x=1", .levels = "{\"x\":\"1\"}"}};
    const sweep_result results[] = {
        {.arm = 0, .seed = 1, .state = STATE_SUCCEEDED, .has_value = true, .value = 0.5},
        {.arm = 0, .seed = 2, .state = STATE_SUCCEEDED, .has_value = true, .value = 0.6},
        {.arm = 0, .seed = 3, .state = STATE_SUCCEEDED, .has_value = true, .value = 0.7},
        {.arm = 0, .seed = 4, .state = STATE_SUCCEEDED, .has_value = true, .value = NAN},
        {.arm = 1, .seed = 1, .state = STATE_SUCCEEDED, .has_value = true, .value = 0.75},
        {.arm = 1, .seed = 2, .state = STATE_DIVERGED, .has_value = true, .value = 0.1},
        {.arm = 1, .seed = 3, .state = STATE_SUCCEEDED, .has_value = true, .value = 0.85},
        {.arm = 1, .seed = 4, .state = STATE_SUCCEEDED, .has_value = true, .value = 0.9},
        {.arm = 1, .seed = 5, .state = STATE_SUCCEEDED}};
    sweep_table table;
    const table_request request = {0};
    assert_ok(sweep_table_of(&plan, arms, 2, results, 9, &request, &table, &error));
    assert_int_equal(table.cell_count, 2);
    const table_cell *base = &table.cells[0], *other = &table.cells[1];
    assert_true(base->summary.n == 3 && base->not_finite == 1);
    assert_true(fabs(base->summary.mean - 0.6) < 1e-15);
    assert_true(other->summary.n == 3 && other->counts[STATE_DIVERGED] == 1 &&
                other->not_finite == 1);
    assert_int_equal(other->test.n, 2);        /* seeds 1 and 3 */
    assert_int_equal(other->missing_pairs, 2); /* 2 and 4 */
    assert_true(fabs(other->test.mean - 0.2) < 1e-15);
    assert_int_equal(table.family, 1);
    assert_string_equal(base->verdict, "baseline");
    /* 0.25 and 0.15: t = 0.2 / 0.05 = 4 on one degree, p = 1 - 2 atan(4) / pi. */
    assert_true(fabs(other->p_holm - (1 - 2 * atan(4) / M_PI)) < 1e-12);
    assert_string_equal(other->verdict, "inconclusive");
    char *text = sweep_table_markdown(&table, TABLE_MEAN);
    assert_non_null(strstr(text, "Without 1 diverged."));
    assert_non_null(strstr(text, "Without 2 that succeeded and have no finite value of it."));
    free(text);
    sweep_table_clear(&table);
    /* Losses are better low. */
    const table_request lower = {.direction = "lower", .confidence = 0.5};
    assert_ok(sweep_table_of(&plan, arms, 2, results, 9, &lower, &table, &error));
    assert_string_equal(table.cells[1].verdict, "worse");
    sweep_table_clear(&table);
    sweep_plan_clear(&plan);
}

/* Experiments of a sweep in the trash, out of it, and gone. */
static void test_trash(void **state) {
    (void)state;
    char *directory = temporary_directory();
    store *in = open_store(directory);
    const int64_t id = submit_sweep(
        in, "{\"base\":{},\"axes\":[{\"pointer\":\"/x\",\"values\":[0]}],\"repeats\":2}", 1, 0);
    sweep_row row;
    experiment record;
    size_t count;
    int64_t added, *ids;
    for (int64_t one = 1; one <= 2; one++) assert_ok(store_cancel(in, one, NULL, &error));
    /* The place of one in the trash is taken by another. */
    assert_ok(store_delete(in, 1, &error));
    assert_ok(store_sweep_add(in, id, &(sweep_place){0, 1}, 1, -1, &added, &error));
    assert_int_equal(added, 1);
    assert_status(GR_CONFLICT, store_change(in, CHANGE_UNDELETE, 1, NULL, NULL, &error));
    assert_non_null(strstr(error.message, "experiment 3"));
    assert_ok(store_cancel(in, 3, NULL, &error));
    assert_ok(store_delete(in, 3, &error));
    assert_ok(store_change(in, CHANGE_UNDELETE, 1, NULL, &record, &error));
    assert_int_equal(record.trashed_at, 0);
    experiment_clear(&record);
    /* One that comes back brings its sweep. */
    assert_ok(store_sweep_delete(in, id, &ids, &count, &error));
    assert_int_equal(count, 2);
    free(ids);
    assert_status(GR_NOT_FOUND, store_sweep_get(in, id, &row, &error));
    assert_ok(store_change(in, CHANGE_UNDELETE, 2, NULL, NULL, &error));
    assert_ok(store_sweep_get(in, id, &row, &error));
    assert_int_equal(row.experiment_count, 1);
    sweep_row_clear(&row);
    /* A dry run changes nothing; purging needs the trash; the last one takes the sweep along. */
    change_outcome outcomes[] = {{.id = 1}, {.id = 2}, {.id = 3}, {.id = 9}};
    store_change_many(in, CHANGE_PURGE, &(change_options){.dry_run = true}, outcomes, 4);
    assert_true(outcomes[0].status == GR_OK && outcomes[1].status == GR_CONFLICT &&
                outcomes[2].status == GR_OK && outcomes[3].status == GR_NOT_FOUND);
    assert_ok(store_get_trashed(in, 1, &record, &error));
    experiment_clear(&record);
    store_change_many(in, CHANGE_PURGE, NULL, outcomes, 4);
    assert_true(outcomes[0].status == GR_OK && outcomes[1].status == GR_CONFLICT);
    assert_status(GR_NOT_FOUND, store_get_trashed(in, 1, &record, &error));
    assert_ok(store_sweep_delete(in, id, &ids, &count, &error));
    free(ids);
    assert_ok(store_change(in, CHANGE_PURGE, 2, NULL, NULL, &error));
    assert_status(GR_NOT_FOUND, store_change(in, CHANGE_UNDELETE, 2, NULL, NULL, &error));
    assert_int_equal(submit_sweep(in, HALVING, 1, 0), id + 1); /* ids are not used again */
    store_close(in);
    remove_directory(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_adjust),
        cmocka_unit_test(test_adjust_refused),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_halving),
        cmocka_unit_test(test_halving_restarts),
        cmocka_unit_test(test_halving_diverged),
        cmocka_unit_test(test_until),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_trash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
