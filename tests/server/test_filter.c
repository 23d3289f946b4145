/* The filter language: what is read how, and where what is wrong is said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/filter.h"

static const char *const metrics[] = {"calibration_error", "robust_accuracy.0.1"};
static const filter_vocabulary vocabulary = {metrics, 2};

/* The tree as text, every operator with its operands in parentheses. */
static void show(const filter *tree, FILE *out) {
    static const char *const names[] = {"and", "or", "not", "=",       "!=",   "<",    "<=",
                                        ">",   ">=", "in",  "between", "like", "null", "nan"};
    fprintf(out, "(%s", names[tree->kind]);
    if (tree->left) {
        fputc(' ', out);
        show(tree->left, out);
        if (tree->right) {
            fputc(' ', out);
            show(tree->right, out);
        }
    } else {
        fprintf(out, " %s", tree->field.name);
    }
    for (size_t i = 0; i < tree->value_count; i++)
        if (tree->values[i].is_text)
            fprintf(out, " '%s'", tree->values[i].text);
        else
            fprintf(out, " %.17g", tree->values[i].number);
    fputc(')', out);
}

static void assert_reads(const char *text, const char *wanted) {
    filter *tree;
    filter_problem problem;
    char *shown = NULL;
    size_t length;
    if (filter_parse(text, &vocabulary, &tree, &problem) != GR_OK)
        fail_msg("%s: column %zu: %s", text, problem.column, problem.detail);
    FILE *out = open_memstream(&shown, &length);
    show(tree, out);
    fclose(out);
    assert_string_equal(shown, wanted);
    free(shown);
    filter_free(tree);
}

static void assert_refuses(const char *text, size_t column, const char *part) {
    filter *tree;
    filter_problem problem;
    assert_int_equal(filter_parse(text, &vocabulary, &tree, &problem), GR_INVALID);
    assert_null(tree);
    if (problem.column != column || !strstr(problem.detail, part))
        fail_msg("%s: column %zu: %s (wanted column %zu: %s)", text, problem.column, problem.detail,
                 column, part);
}

static void not_binds_before_and_before_or(void **state) {
    (void)state;
    assert_reads("id = 1 OR id = 2 AND id = 3", "(or (= id 1) (and (= id 2) (= id 3)))");
    assert_reads("(id = 1 OR id = 2) AND id = 3", "(and (or (= id 1) (= id 2)) (= id 3))");
    assert_reads("NOT id = 1 AND id = 2", "(and (not (= id 1)) (= id 2))");
    assert_reads("not (id = 1 and NoT id = 2)", "(not (and (= id 1) (not (= id 2))))");
    assert_reads("id=1 and id=2 and id=3 or id=4",
                 "(or (and (and (= id 1) (= id 2)) (= id 3)) (= id 4))");
    assert_reads("((((id = 1))))", "(= id 1)");
    assert_reads("state = \"succeeded\" AND params.regularizers.datagrad.weight > 1 AND "
                 "metrics.test_accuracy >= 0.97 OR tags.x IN (\"a\", 'b')",
                 "(or (and (and (= state 'succeeded') (> params.regularizers.datagrad.weight 1)) "
                 "(>= metrics.test_accuracy 0.96999999999999997)) (in tags.x 'a' 'b'))");
}

static void every_test_is_read(void **state) {
    (void)state;
    assert_reads("id == 1", "(= id 1)");
    assert_reads("id <> 1", "(!= id 1)");
    assert_reads("id != 1", "(!= id 1)");
    assert_reads("priority BETWEEN -1 AND 5 AND id <= 3",
                 "(and (between priority -1 5) (<= id 3))");
    assert_reads("priority NOT BETWEEN 1 AND 5", "(not (between priority 1 5))");
    assert_reads("name NOT LIKE 'a%'", "(not (like name 'a%'))");
    assert_reads("state NOT IN ('failed','queued')", "(not (in state 'failed' 'queued'))");
    assert_reads("sweep IS NULL", "(null sweep)");
    assert_reads("sweep IS NOT NULL", "(not (null sweep))");
    assert_reads("metrics.train_loss IS NAN OR metrics.best.train_loss is not nan",
                 "(or (nan metrics.train_loss) (not (nan metrics.best.train_loss)))");
    assert_reads("metrics.train_loss = -Infinity", "(= metrics.train_loss -inf)");
    assert_reads("params.dataset.stratified = true", "(= params.dataset.stratified 1)");
    assert_reads("state LIKE 's%'", "(like state 's%')");
    assert_reads("elapsed_seconds > 1e3", "(> elapsed_seconds 1000)");
    assert_reads("elapsed_seconds > +.5", "(> elapsed_seconds 0.5)");
}

static void every_field_is_known(void **state) {
    (void)state;
    static const char *const fields[] = {"id",
                                         "priority",
                                         "attempt",
                                         "sweep",
                                         "arm",
                                         "elapsed_seconds",
                                         "params.seed",
                                         "params.dataset.train_size",
                                         "params.schedule.boundaries.0",
                                         "params.model.layers.3.units",
                                         "params.model.layers.1.body.0.filters",
                                         "params.regularizers.gradient_penalty.2.weight",
                                         "params.regularizers.weight_decay.weight",
                                         "params.training.iterations",
                                         "metrics.penalty.3",
                                         "metrics.robust_accuracy.0.1",
                                         "metrics.best.calibration_error"};
    char text[128], wanted[128];
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        snprintf(text, sizeof text, "%s > 1", fields[i]);
        snprintf(wanted, sizeof wanted, "(> %s 1)", fields[i]);
        assert_reads(text, wanted);
    }
    assert_reads("tags.\"my key\" = 'x'", "(= tags.my key 'x')");
    assert_reads("tags.'it''s' = \"say \"\"hi\"\"\"", "(= tags.it's 'say \"hi\"')");
    assert_reads("tags.a.b-c.0 = 'x'", "(= tags.a.b-c.0 'x')");
    assert_reads("tags.\"größe\" = 'ä''\"'", "(= tags.größe 'ä'\"')");
    assert_reads("tags.and = 'or'", "(= tags.and 'or')");
}

static void times_are_read(void **state) {
    (void)state;
    assert_reads("created_at >= '1970-01-02'", "(>= created_at 86400000)");
    assert_reads("created_at >= '2026-01-31T12:00:00.250Z'", "(>= created_at 1769860800250)");
    assert_reads("created_at >= '2026-01-31T12:00+02:00'", "(>= created_at 1769853600000)");
    assert_reads("created_at >= '2024-02-29 00:00'", "(>= created_at 1709164800000)");
    static const char *const wrong[] = {"'2026-02-30'",        "'2025-02-29'",
                                        "'2026-1-1'",          "'yesterday'",
                                        "'2026-01-01T25:00Z'", "'2026-01-01T10:00:00.Z'",
                                        "'2026-01-01Tx'",      "''",
                                        "'2026-01-01T10:00+2'"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[64];
        snprintf(text, sizeof text, "created_at < %s", wrong[i]);
        assert_refuses(text, 14, "this is no time");
    }
    assert_refuses("created_at < 2026-01-01", 14, "a text stands in quotes");
    assert_refuses("created_at < 5", 14, "expected a time in quotes");
}

static void errors_point_at_the_column(void **state) {
    (void)state;
    assert_refuses("", 1, "expected a field");
    assert_refuses("   ", 4, "expected a field");
    assert_refuses("sate = 'x'", 1, "did you mean \"state\"");
    assert_refuses("id = 1 AND sate = 'x'", 12, "did you mean \"state\"");
    assert_refuses("zzz = 1", 1, "there are: id, name, state");
    assert_refuses("metrics.test_acuracy > 1", 9, "did you mean \"test_accuracy\"");
    assert_refuses("metrics.best.test_acuracy > 1", 14, "did you mean \"test_accuracy\"");
    assert_refuses("metrics.calibration_eror > 1", 9, "did you mean \"calibration_error\"");
    assert_refuses("params.optimizer.lerning_rate > 1", 18, "did you mean \"learning_rate\"");
    assert_refuses("params.optimiser.learning_rate > 1", 8, "did you mean \"optimizer\"");
    assert_refuses("params.regularizers.datgrad.weight > 1", 21, "did you mean \"datagrad\"");
    assert_refuses("params.regularizers.datagrad.probe > 1", 30, "there is no parameter");
    assert_refuses("params.dataset > 1", 8, "no value: expected a member");
    assert_refuses("params.schedule.boundaries > 1", 17, "number of an entry");
    assert_refuses("params.model.layers.x.units > 1", 21, "number of an entry");
    assert_refuses("params.seed.x > 1", 13, "has no parts");
    assert_refuses("params.name = 'x'", 8, "there is no parameter");
    assert_refuses("params > 1", 1, "params.optimizer.learning_rate");
    assert_refuses("id.x = 1", 4, "has no parts");
    /* 40 bytes of an unknown state are shown: the character that would be cut is left out. */
    assert_refuses("state = '0123456789012345678901234567890123456789\u00e9'", 9, "789\"");
    assert_refuses("state = '012345678901234567890123456789012345678\u00e9'", 9, "678\"");
    assert_refuses("state = succeeded", 9, "a text stands in quotes");
    assert_refuses("state = 'succeded'", 9, "did you mean \"succeeded\"");
    assert_refuses("state IN ('queued', 'x')", 21, "there is no state");
    assert_refuses("state > 'queued'", 7, "no order");
    assert_refuses("id = 'x'", 6, "expected a number for id");
    assert_refuses("tags.x = 1", 10, "expected a text in quotes for tags.x");
    assert_refuses("id LIKE 'x'", 4, "LIKE compares texts");
    assert_refuses("name LIKE 1", 11, "a pattern in quotes");
    assert_refuses("id IS 5", 7, "NULL, NAN or NOT");
    assert_refuses("id IS NAN", 7, "only a metric");
    assert_refuses("metrics.train_loss = NaN", 22, "write IS NAN");
    assert_refuses("sweep = null", 9, "write IS NULL");
    assert_refuses("id = 1 id = 2", 8, "expected AND, OR or the end");
    assert_refuses("(id = 1", 8, "not the end");
    assert_refuses("id = 1)", 7, "expected AND, OR or the end");
    assert_refuses("id IN 1", 7, "\"(\"");
    assert_refuses("id IN ()", 8, "expected a number");
    assert_refuses("id IN (1 2)", 10, "\",\" or \")\"");
    assert_refuses("id BETWEEN 1 OR 2", 14, "AND and the upper end");
    assert_refuses("id NOT = 1", 8, "IN, BETWEEN or LIKE behind NOT");
    assert_refuses("id", 3, "expected a comparison");
    assert_refuses("id = ", 6, "not the end");
    assert_refuses("id & 1", 4, "no meaning");
    assert_refuses("id = 1 && id = 2", 8, "written as AND");
    assert_refuses("id = 1 || id = 2", 8, "written as OR");
    assert_refuses("! id = 1", 1, "written as NOT");
    assert_refuses("name = \"x", 8, "no end");
    assert_refuses("id = 1e", 6, "exponent");
    assert_refuses("id = 1e999", 6, "too large");
    assert_refuses("id = 1x", 6, "no number");
    assert_refuses("id = --1", 6, "expected a number");
    assert_refuses("tags. = 'x'", 6, "a name behind the dot");
    /* Columns are characters, not bytes. */
    assert_refuses("name = 'äöü€𝄞' AND x = 1", 20, "there is no field");
    assert_refuses("name = 'a' ∧ id = 1", 12, "the character \"∧\"");
}

static void limits_hold(void **state) {
    (void)state;
    char text[2 * FILTER_MAXIMUM_BYTES] = "";
    for (int i = 0; i < FILTER_MAXIMUM_DEPTH; i++) strcat(text, i % 2 ? "(" : "NOT ");
    char deeper[sizeof text];
    snprintf(deeper, sizeof deeper, "(%s", text);
    for (int i = 0; i < FILTER_MAXIMUM_DEPTH; i++)
        if (i == 0) strcat(text, "id = 1"), strcat(deeper, "id = 1");
    filter *tree;
    filter_problem problem;
    for (int i = 0; i < FILTER_MAXIMUM_DEPTH / 2; i++) strcat(text, ")"), strcat(deeper, ")");
    strcat(deeper, ")");
    assert_int_equal(filter_parse(text, NULL, &tree, &problem), GR_OK);
    filter_free(tree);
    assert_refuses(deeper, 81, "at most 32");
    strcpy(text, "id = 1");
    for (int i = 1; i < FILTER_MAXIMUM_TERMS; i++) strcat(text, " OR id = 1");
    assert_int_equal(filter_parse(text, NULL, &tree, &problem), GR_OK);
    filter_free(tree);
    strcat(text, " OR id = 1");
    assert_refuses(text, 2006, "at most 200");
    strcpy(text, "id IN (0");
    for (int i = 1; i <= FILTER_MAXIMUM_TERMS; i++) strcat(text, ",0");
    strcat(text, ")");
    assert_refuses(text, 408, "at most 200");
    memset(text, ' ', FILTER_MAXIMUM_BYTES + 1);
    text[FILTER_MAXIMUM_BYTES + 1] = 0;
    assert_refuses(text, FILTER_MAXIMUM_BYTES, "at most 4096 bytes");
    snprintf(text, sizeof text, "tags.\"%0200d\" = 'x'", 0);
    assert_refuses(text, 6, "longer than");
}

static void sorts_are_read(void **state) {
    (void)state;
    sort_key keys[FILTER_MAXIMUM_SORT_KEYS];
    filter_problem problem;
    size_t count;
    assert_int_equal(
        filter_parse_sort("-metrics.test_accuracy, name,params.seed", NULL, keys, &count, &problem),
        GR_OK);
    assert_int_equal(count, 3);
    assert_true(keys[0].descending && !keys[1].descending);
    assert_string_equal(keys[0].field.name, "metrics.test_accuracy");
    assert_true(keys[0].field.is_metric && !keys[2].field.is_metric);
    static const struct {
        const char *text;
        size_t column;
        const char *part;
    } wrong[] = {{"", 1, "a field to sort by"},
                 {"nmae", 1, "did you mean \"name\""},
                 {"name,", 6, "a field to sort by"},
                 {"name name", 6, "\",\" or the end"},
                 {"name,-name", 11, "given twice"},
                 {"--name", 2, "a field to sort by"},
                 {"id,name,state,attempt,sweep", 23, "at most 4"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(filter_parse_sort(wrong[i].text, NULL, keys, &count, &problem),
                         GR_INVALID);
        assert_int_equal(problem.column, wrong[i].column);
        assert_non_null(strstr(problem.detail, wrong[i].part));
    }
}

static void fields_are_read(void **state) {
    (void)state;
    static const char *const members[] = {"id", "spec", NULL};
    static field_pick picks[FILTER_MAXIMUM_FIELDS];
    filter_problem problem;
    size_t count;
    assert_int_equal(filter_parse_fields("id,spec,metrics.test_accuracy", NULL, members, picks,
                                         &count, &problem),
                     GR_OK);
    assert_int_equal(count, 3);
    assert_true(picks[0].is_member && picks[1].is_member && !picks[2].is_member);
    assert_int_equal(filter_parse_fields("id,nothing", NULL, members, picks, &count, &problem),
                     GR_INVALID);
    assert_int_equal(problem.column, 4);
    char text[512] = "id";
    for (int i = 0; i < FILTER_MAXIMUM_FIELDS; i++) strcat(text, ",id");
    assert_int_equal(filter_parse_fields(text, NULL, members, picks, &count, &problem), GR_INVALID);
    assert_non_null(strstr(problem.detail, "at most 64"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(not_binds_before_and_before_or),
                                       cmocka_unit_test(every_test_is_read),
                                       cmocka_unit_test(every_field_is_known),
                                       cmocka_unit_test(times_are_read),
                                       cmocka_unit_test(errors_point_at_the_column),
                                       cmocka_unit_test(limits_hold),
                                       cmocka_unit_test(sorts_are_read),
                                       cmocka_unit_test(fields_are_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
