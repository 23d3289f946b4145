/* Lists of the store: what a filter finds, in which order, and that pages of any size are the whole
 * list, each experiment once. */
#include "store_fixture.h"

#include <math.h>
#include <sqlite3.h>

#include "server/store/database.h"

enum { COUNT = 40 };

static int64_t submit_spec(store *to, const char *name, const char *tags, const char *spec) {
    gr_error error = {0};
    const submission form = {.name = name,
                             .tags = tags,
                             .spec = spec,
                             .data_hash = "00",
                             .engine_version = "test",
                             .iterations = 1000};
    int64_t id = 0;
    assert_ok(store_submit(to, &form, &id, &error));
    return id;
}

static void report(store *to, const experiment *running, const char *name, int64_t iteration,
                   double value) {
    gr_error error = {0};
    assert_ok(store_metrics(to, running->id, running->attempt, &(gr_metric){name, iteration, value},
                            1, &error));
}

/* Experiments with ties, missing values, NaN and infinities:
 * weight i % 5 (of a datagrad, of every second), learning rate, tag, test_accuracy i % 4 / 4 of
 * those that are not a multiple of 7, NaN for the multiples of 11. */
static store *make_store(char *directory) {
    store *to = open_store(directory);
    gr_error error = {0};
    for (int i = 1; i <= COUNT; i++) {
        char name[64], tags[128], spec[1024], penalty[256] = "";
        snprintf(name, sizeof name, "name %c%s", 'a' + i % 3, i == 9 ? " 100%_\\ ü" : "");
        snprintf(tags, sizeof tags, i % 3 ? "{\"group\":\"g%d\",\"a key\":\"x'y\"}" : "{}", i % 4);
        if (i % 2)
            snprintf(penalty, sizeof penalty,
                     "{\"type\":\"gradient_penalty\",\"weight\":%d,\"probe\":\"loss\",\"norm\":2,"
                     "\"shape\":\"squared\"},",
                     i % 5);
        snprintf(spec, sizeof spec,
                 "{\"name\":\"n\",\"tags\":{},\"seed\":%d,\"dataset\":{\"name\":\"digits\","
                 "\"stratified\":%s},\"regularizers\":[%s{\"type\":\"weight_decay\",\"weight\":"
                 "0.%d}],\"schedule\":{\"type\":\"piecewise\",\"boundaries\":[0.5,0.75]}}",
                 i, i % 2 ? "true" : "false", penalty, i % 10);
        assert_int_equal(submit_spec(to, name, tags, spec), i);
    }
    for (int i = 1; i <= COUNT; i++) {
        experiment running;
        assert_ok(store_lease(to, "w", &running, &error));
        assert_int_equal(running.id, i);
        report(to, &running, "train_loss", 10, i % 13 == 0 ? INFINITY : 1.0 / i);
        report(to, &running, "train_loss", 20, i % 13 == 1 ? -INFINITY : 2.0 / i);
        if (i % 7) report(to, &running, "test_accuracy", 20, i % 11 ? (i % 4) / 4.0 : NAN);
        if (i <= COUNT - 4)
            assert_ok(store_finish(to, i, running.attempt, i % 5 ? STATE_SUCCEEDED : STATE_FAILED,
                                   1000, NULL, NULL, &error));
        experiment_clear(&running);
    }
    return to;
}

static filter *parse(const char *text) {
    filter_problem problem;
    filter *tree = NULL;
    if (text && filter_parse(text, NULL, &tree, &problem) != GR_OK)
        fail_msg("%s: column %zu: %s", text, problem.column, problem.detail);
    return tree;
}

/* The ids of the whole list, ended by 0. */
static int64_t *all_ids(store *of, const char *where, const char *sort) {
    gr_error error = {0};
    filter_problem problem;
    filter *tree = parse(where);
    sort_key keys[FILTER_MAXIMUM_SORT_KEYS];
    listing list = {.state = -1, .limit = 100000, .filter = tree, .keys = keys};
    int64_t *ids;
    size_t count;
    if (sort)
        assert_int_equal(filter_parse_sort(sort, NULL, keys, &list.key_count, &problem), GR_OK);
    assert_ok(store_list_ids(of, &list, &ids, &count, &error));
    int64_t *ended = calloc(count + 1, sizeof *ended);
    if (count) memcpy(ended, ids, count * sizeof *ids);
    free(ids);
    filter_free(tree);
    return ended;
}

/* The order changes what is gone through, and in what row a value is looked at. */
static void assert_finds(store *of, const char *where, bool (*holds)(int)) {
    static const char *const sorts[] = {NULL, "metrics.test_accuracy", "-metrics.train_loss",
                                        "params.regularizers.gradient_penalty.weight,tags.group"};
    for (size_t s = 0; s < sizeof sorts / sizeof *sorts; s++) {
        int64_t *ids = all_ids(of, where, sorts[s]);
        int times[COUNT + 1] = {0};
        for (size_t i = 0; ids[i]; i++) times[ids[i]]++;
        for (int i = 1; i <= COUNT; i++)
            if (times[i] != holds(i))
                fail_msg("%s, sort %s: finds experiment %d %d times", where, sorts[s], i, times[i]);
        free(ids);
    }
}

#define HOLDS(name, condition) \
    static bool name(int i) {  \
        return condition;      \
    }
HOLDS(all, i > 0)
HOLDS(none, i < 0)
HOLDS(failed, i <= COUNT - 4 && i % 5 == 0)
HOLDS(ended, i <= COUNT - 4)
HOLDS(heavy, i % 2 && i % 5 > 2)
HOLDS(not_heavy, !(i % 2 && i % 5 > 2))
HOLDS(has_datagrad, i % 2)
HOLDS(decay_3, i % 10 == 3)
HOLDS(accurate, i % 7 && i % 11 && i % 4 == 3)
HOLDS(not_accurate, !(i % 7 && i % 11 && i % 4 == 3))
HOLDS(inaccurate, i % 7 && i % 11 && i % 4 != 3)
HOLDS(without_accuracy, i % 7 == 0)
HOLDS(nan_accuracy, i % 7 && i % 11 == 0)
HOLDS(infinite, i % 13 == 1)
HOLDS(tagged_g1, i % 3 && i % 4 == 1)
HOLDS(tagged_g1_g2, i % 3 && (i % 4 == 1 || i % 4 == 2))
HOLDS(untagged, i % 3 == 0)
HOLDS(tagged, i % 3)
HOLDS(odd_named, i == 9)
HOLDS(named_b, i % 3 == 1)
HOLDS(mixed, (i % 2 && i % 5 > 2) || (i % 7 && i % 11 && i % 4 == 3 && i > 20))
HOLDS(small, i >= 5 && i <= 8)

static void filters_find(void **state) {
    (void)state;
    char *directory = temporary_directory();
    store *of = make_store(directory);
    static const struct {
        const char *where;
        bool (*holds)(int);
    } cases[] = {
        {"id > 0", all},
        {"id > 100000", none},
        {"id BETWEEN 5 AND 8", small},
        {"id NOT BETWEEN 5 AND 8 AND id IN (5, 6, 7, 8)", none},
        {"state = 'failed'", failed},
        {"finished_at IS NOT NULL", ended},
        {"finished_at >= '2020-01-01'", ended},
        {"finished_at < '2020-01-01'", none},
        {"created_at < '2020-01-01'", none},
        {"started_at IS NULL", all},
        {"elapsed_seconds >= 0 AND priority = 0 AND attempt = 1", all},
        {"sweep IS NULL", all},
        {"sweep = 1", none},
        {"NOT sweep = 1", all},
        {"sweep != 1", none}, /* there is nothing to differ */
        {"params.regularizers.gradient_penalty.weight > 2", heavy},
        {"NOT params.regularizers.gradient_penalty.weight > 2", not_heavy},
        {"params.regularizers.gradient_penalty.weight IS NOT NULL", has_datagrad},
        {"params.regularizers.gradient_penalty.2.weight IS NOT NULL", none},
        {"params.regularizers.weight_decay.weight = 0.3", decay_3},
        {"params.regularizers.weight_decay.weight IN (0.3, 'x')", decay_3},
        {"params.dataset.stratified = true", has_datagrad},
        {"params.dataset.stratified = 1", has_datagrad},
        {"params.dataset.name = 'digits' AND params.dataset.name LIKE 'DIG%'", all},
        {"params.dataset.name > 1", none}, /* texts are no greater than numbers, */
        {"params.seed < 'x'", none},       /* nor numbers less than texts */
        {"params.dataset.name != 1", all},
        {"params.seed LIKE '1%'", none},
        {"params.schedule.boundaries.1 = 0.75", all},
        {"metrics.test_accuracy >= 0.75", accurate},
        {"NOT metrics.test_accuracy >= 0.75", not_accurate},
        {"metrics.test_accuracy < 0.75", inaccurate},
        {"metrics.test_accuracy != 0.75", inaccurate},
        {"metrics.test_accuracy IS NULL", without_accuracy},
        {"metrics.test_accuracy IS NAN", nan_accuracy},
        {"metrics.train_loss = -Infinity", infinite},
        {"metrics.train_loss < -1e308", infinite},
        {"metrics.best.train_loss = -Infinity", infinite},
        {"metrics.best.test_accuracy >= 0.75", accurate},
        {"tags.group = 'g1'", tagged_g1},
        {"tags.group IN ('g1', 'g2')", tagged_g1_g2},
        {"tags.group BETWEEN 'g1' AND 'g2'", tagged_g1_g2},
        {"tags.\"a key\" = 'x''y'", tagged},
        {"tags.group IS NULL", untagged},
        {"tags.nothing = 'x'", none},
        {"name LIKE '%100\\%\\_\\\\ ü'", odd_named},
        {"name LIKE '%b'", named_b},
        {"name LIKE 'NAME B%'", named_b},
        {"params.regularizers.gradient_penalty.weight > 2 OR metrics.test_accuracy >= 0.75 AND id "
         "> 20",
         mixed},
        /* What would be code, were it not a value. */
        {"name = '''; DROP TABLE experiments; --'", none},
        {"name LIKE '%'' OR 1=1 --'", none},
        {"tags.\"x') OR (1=1\" = 'x'", none},
        {"tags.\"'\" = '\"'", none},
        {"metrics.test_accuracy IN (0.75)", accurate},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_finds(of, cases[i].where, cases[i].holds);
    store_close(of);
    remove_directory(directory);
}

/* -- order and pages
 * ------------------------------------------------------------------------------------------ */

/* The whole list in pages of `size`. */
static int64_t *paged_ids(store *of, const char *where, const char *sort, int size) {
    gr_error error = {0};
    filter_problem problem;
    filter *tree = parse(where);
    sort_key keys[FILTER_MAXIMUM_SORT_KEYS];
    listing list = {.state = -1, .limit = size, .filter = tree, .keys = keys};
    list_place place = {0}, next;
    int64_t *ids = calloc(COUNT + 2, sizeof *ids);
    size_t used = 0;
    if (sort)
        assert_int_equal(filter_parse_sort(sort, NULL, keys, &list.key_count, &problem), GR_OK);
    do {
        experiment *items;
        size_t count;
        assert_ok(store_list(of, &list, &items, &count, &next, &error));
        assert_true(count <= (size_t)size && (next.id == 0 || count == (size_t)size));
        for (size_t i = 0; i < count && used <= COUNT; i++) ids[used++] = items[i].id;
        experiments_free(items, count);
        list_place_clear(&place);
        place = next;
        list.after = &place;
    } while (next.id);
    assert_true(used <= COUNT);
    filter_free(tree);
    return ids;
}

static void pages_are_the_list(void **state) {
    (void)state;
    char *directory = temporary_directory();
    store *of = make_store(directory);
    static const char *const sorts[] = {
        NULL,
        "id",
        "-id",
        "name",
        "-state",
        "finished_at",
        "-finished_at",
        "sweep",
        "metrics.test_accuracy",
        "-metrics.test_accuracy",
        "-metrics.best.test_accuracy,name",
        "metrics.test_accuracy,-params.regularizers.gradient_penalty.weight,name",
        "metrics.train_loss",
        "-metrics.train_loss",
        "params.regularizers.gradient_penalty.weight",
        "-params.regularizers.gradient_penalty.weight,metrics.test_accuracy",
        "tags.group,-finished_at",
        "-tags.group,-metrics.test_accuracy,-id",
        "-metrics.test_loss"};
    static const char *const filters[] = {NULL, "state = 'succeeded' OR id < 5",
                                          "NOT metrics.test_accuracy >= 0.75"};
    for (size_t s = 0; s < sizeof sorts / sizeof *sorts; s++)
        for (size_t f = 0; f < sizeof filters / sizeof *filters; f++) {
            int64_t *all = all_ids(of, filters[f], sorts[s]);
            static const int sizes[] = {1, 3, 7, COUNT};
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
                int64_t *paged = paged_ids(of, filters[f], sorts[s], sizes[k]);
                for (size_t i = 0; i == 0 || all[i - 1]; i++)
                    if (all[i] != paged[i])
                        fail_msg("sort %s, filter %s, pages of %d: place %zu is %lld, not %lld",
                                 sorts[s], filters[f], sizes[k], i, (long long)paged[i],
                                 (long long)all[i]);
                free(paged);
            }
            free(all);
        }
    store_close(of);
    remove_directory(directory);
}

/* The accuracy of an experiment as the fixture has it; false: none that can be sorted by. */
static bool accuracy_of(int64_t i, double *value) {
    *value = (double)(i % 4) / 4;
    return i % 7 && i % 11;
}

static void order_is_as_stated(void **state) {
    (void)state;
    char *directory = temporary_directory();
    store *of = make_store(directory);
    for (int descending = 0; descending < 2; descending++) {
        int64_t *ids =
            all_ids(of, NULL, descending ? "-metrics.test_accuracy" : "metrics.test_accuracy");
        size_t count = 1;
        for (; ids[count]; count++) {
            double before, after;
            const bool has = accuracy_of(ids[count - 1], &before);
            const bool then = accuracy_of(ids[count], &after);
            assert_true(has || !then); /* what is missing comes last */
            if (has && then) assert_true(descending ? before >= after : before <= after);
            if ((has && then && before == after) || (!has && !then))
                assert_true(descending ? ids[count - 1] > ids[count] : ids[count - 1] < ids[count]);
        }
        assert_int_equal(count, COUNT);
        free(ids);
    }
    int64_t *ids = all_ids(of, "metrics.train_loss IS NOT NULL", "metrics.train_loss,id");
    assert_int_equal(ids[0], 1); /* -Infinity */
    assert_int_equal(ids[1], 14);
    free(ids);
    ids = all_ids(of, "id < 6", "name,-id"); /* a: 3; b: 4, 1; c: 5, 2 */
    static const int64_t wanted[] = {3, 4, 1, 5, 2, 0};
    for (size_t i = 0; i < 6; i++) assert_int_equal(ids[i], wanted[i]);
    free(ids);
    store_close(of);
    remove_directory(directory);
}

static void assert_pages(store *of, const char *where, const char *sort, const int64_t *wanted,
                         size_t count) {
    for (int size = 1; size <= (int)count; size++) {
        int64_t *ids = paged_ids(of, where, sort, size);
        for (size_t i = 0; i <= count; i++)
            if (ids[i] != (i < count ? wanted[i] : 0))
                fail_msg("%s, sort %s, pages of %d: place %zu is %lld", where, sort, size, i,
                         (long long)ids[i]);
        free(ids);
    }
}

/* That an index is used as it was meant, without a look into its table at each of its rows. */
static void assert_covering(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const char *plan = (const char *)sqlite3_column_text(statement, 3);
    if (!strstr(plan, "USING COVERING INDEX facts_by_value")) fail_msg("%s", plan);
    sqlite3_finalize(statement);
}

/* Where few of many pass the filter, the search by the index on the first key's values is given up
 * for one through all, or through those that have a metric in the range that is wanted: that is no
 * other list. */
static void few_of_many_are_found(void **state) {
    (void)state;
    char *directory = temporary_directory(), path[4096];
    store_close(open_store(directory));
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/gradreg.db", directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(
            db,
            "INSERT INTO fact_names VALUES (1, 'metrics.test_accuracy');"
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
            "INSERT INTO experiments (id, revision, state, name, tags, spec, data_hash, "
            "engine_version, iterations, created_at) SELECT i, i, 'succeeded', 'many', '{}', '{}', "
            "'00', 'test', 10, 1000 FROM n;"
            "INSERT INTO facts SELECT id, 1, id % 1000 / 1000.0, 1 FROM experiments WHERE id <> 7;"
            "UPDATE counter SET revision = 20000",
            NULL, NULL, NULL),
        SQLITE_OK);
    assert_covering(db, "EXPLAIN QUERY PLAN SELECT experiment, value FROM facts INDEXED BY "
                        "facts_by_value WHERE ranked = 1 AND name = 1 AND value > 0");
    sqlite3_close(db);
    store *of = open_store(directory);
    static const char *const rare = "id IN (3, 1003, 19999, 7, 500, 12)";
    static const int64_t downwards[] = {19999, 500, 12, 1003, 3, 7};
    assert_pages(of, rare, "-metrics.test_accuracy", downwards, 6);
    /* 1,800 and 10,000 experiments are in these ranges. */
    static const int64_t high[] = {500, 19999};
    static const char *const few = "metrics.test_accuracy > 0.41 AND metrics.test_accuracy <= 0.5 "
                                   "AND (id = 500 OR name LIKE 'none')";
    assert_pages(of, few, "id", high, 1);
    assert_pages(of, few, "metrics.test_accuracy", high, 1);
    assert_pages(of, few, "name,-metrics.test_accuracy", high, 1);
    static const char *const half = "metrics.test_accuracy >= 0.5 AND id IN (19999, 3, 500, 7)";
    assert_pages(of, half, "id", high, 2);
    assert_pages(of, half, "metrics.test_accuracy", high, 2);
    assert_pages(of, half, "name,metrics.test_accuracy", high, 2);
    store_close(of);
    remove_directory(directory);
}

/* What comes and goes between two pages moves nothing that was not yet shown. */
static void pages_stay_right(void **state) {
    (void)state;
    char *directory = temporary_directory();
    store *of = make_store(directory);
    gr_error error = {0};
    filter_problem problem;
    sort_key keys[FILTER_MAXIMUM_SORT_KEYS];
    listing list = {.state = -1, .limit = 10, .keys = keys};
    list_place next;
    experiment *items;
    size_t count;
    assert_int_equal(
        filter_parse_sort("-metrics.test_accuracy", NULL, keys, &list.key_count, &problem), GR_OK);
    int64_t *before = all_ids(of, NULL, "-metrics.test_accuracy");
    assert_ok(store_list(of, &list, &items, &count, &next, &error));
    assert_int_equal(items[9].id, before[9]);
    experiments_free(items, count);
    assert_ok(store_delete(of, before[9], &error)); /* the one that the place is behind, */
    assert_ok(store_delete(of, before[3], &error)); /* and one before it */
    submit_one(of, "new");
    list.after = &next;
    list_place third;
    assert_ok(store_list(of, &list, &items, &count, &third, &error));
    for (size_t i = 0; i < 10; i++) assert_int_equal(items[i].id, before[10 + i]);
    experiments_free(items, count);
    list_place_clear(&next);
    list_place_clear(&third);
    /* The trash is a list too. */
    listing trash = {
        .state = -1, .limit = 10, .trashed = true, .keys = keys, .key_count = list.key_count};
    assert_ok(store_list(of, &trash, &items, &count, &next, &error));
    assert_int_equal(count, 2);
    assert_true(items[0].id == before[3] && items[1].id == before[9]);
    experiments_free(items, count);
    free(before);
    store_close(of);
    remove_directory(directory);
}

/* -- facts
 * ------------------------------------------------------------------------------------------ */

static gr_status retag(void *context, experiment *record, gr_error *error) {
    (void)context, (void)error;
    free(record->tags);
    record->tags = strdup("{\"other\":\"y\"}");
    return GR_OK;
}

static int64_t count_of(store *of, const char *where) {
    int64_t *ids = all_ids(of, where, NULL), count = 0;
    while (ids[count]) count++;
    free(ids);
    return count;
}

static void facts_follow_changes(void **state) {
    (void)state;
    char *directory = temporary_directory();
    store *of = make_store(directory);
    gr_error error = {0};
    assert_int_equal(count_of(of, "id = 1 AND tags.group = 'g1'"), 1);
    assert_ok(store_change(of, CHANGE_EDIT, 1, &(change_options){.edit = retag}, NULL, &error));
    assert_int_equal(count_of(of, "id = 1 AND tags.group IS NULL AND tags.other = 'y'"), 1);
    assert_int_equal(count_of(of, "id = 5 AND metrics.train_loss > 0"), 1);
    assert_ok(store_retry(of, 5, true, NULL, &error));
    assert_int_equal(count_of(of, "id = 5 AND metrics.train_loss IS NULL"), 1);
    assert_int_equal(count_of(of, "id = 5 AND params.seed = 5"), 1);
    assert_ok(store_delete(of, 2, &error));
    assert_ok(store_change(of, CHANGE_PURGE, 2, NULL, NULL, &error));
    store_close(of);
    /* Nothing is left of what was purged; and what was stored before there were facts gets them. */
    char path[4096];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/gradreg.db", directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM facts WHERE experiment = 2", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 0);
    sqlite3_finalize(statement);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TABLE kept AS SELECT f.experiment, n.name, f.value, f.ranked FROM "
                     "facts f, fact_names n WHERE n.id = f.name; DELETE FROM facts; DELETE FROM "
                     "fact_names",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    store_close(open_store(directory));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(
            db,
            "SELECT (SELECT count(*) FROM facts), (SELECT count(*) FROM kept), count(*) FROM facts "
            "f, fact_names n, kept k WHERE n.id = f.name AND k.experiment = f.experiment AND "
            "k.name = n.name AND k.value IS f.value AND k.ranked = f.ranked",
            -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_true(sqlite3_column_int(statement, 0) > 300);
    assert_int_equal(sqlite3_column_int(statement, 0), sqlite3_column_int(statement, 1));
    assert_int_equal(sqlite3_column_int(statement, 0), sqlite3_column_int(statement, 2));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    remove_directory(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_find),       cmocka_unit_test(pages_are_the_list),
        cmocka_unit_test(order_is_as_stated), cmocka_unit_test(few_of_many_are_found),
        cmocka_unit_test(pages_stay_right),   cmocka_unit_test(facts_follow_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
