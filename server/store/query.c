/* A filter's tree as SQL. Every value that a client gave is a parameter; names of facts are too. */
#include "server/store/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- parameters
 * ------------------------------------------------------------------------------------------ */

void query_bind(query *to, const list_value *value) {
    if (to->count == to->capacity) {
        const size_t capacity = to->capacity ? 2 * to->capacity : 16;
        list_value *larger = realloc(to->values, capacity * sizeof *larger);
        if (!larger) {
            to->failed = true;
            return;
        }
        to->values = larger;
        to->capacity = capacity;
    }
    to->values[to->count++] = *value;
    fputc('?', to->out);
}

void query_bind_number(query *to, double number) {
    query_bind(to, &(list_value){.kind = LIST_NUMBER, .number = number});
}

void query_bind_text(query *to, const char *text) {
    query_bind(to, &(list_value){.kind = LIST_TEXT, .text = (char *)(uintptr_t)text});
}

static void bind_value(query *to, const filter_value *value) {
    if (value->is_text)
        query_bind_text(to, value->text);
    else
        query_bind_number(to, value->number);
}

/* -- fields
 * ------------------------------------------------------------------------------------------ */

static const char *const columns[] = {[MEMBER_ID] = "e.id",
                                      [MEMBER_NAME] = "e.name",
                                      [MEMBER_STATE] = "e.state",
                                      [MEMBER_PRIORITY] = "e.priority",
                                      [MEMBER_ATTEMPT] = "e.attempt",
                                      [MEMBER_SWEEP] = "e.sweep",
                                      [MEMBER_ARM] = "e.arm",
                                      [MEMBER_CREATED_AT] = "e.created_at",
                                      [MEMBER_STARTED_AT] = "nullif(e.started_at, 0)",
                                      [MEMBER_FINISHED_AT] = "nullif(e.finished_at, 0)",
                                      [MEMBER_ELAPSED_SECONDS] = "e.elapsed_seconds"};

void query_name(query *to, const char *name) {
    fputs("(SELECT id FROM fact_names WHERE name = ", to->out);
    query_bind_text(to, name);
    fputc(')', to->out);
}

int query_joined(const query *to, const char *name) {
    for (int i = 0; i < QUERY_MAXIMUM_JOINED; i++)
        if (to->joined[i] && strcmp(to->joined[i], name) == 0) return i;
    return -1;
}

void query_field(query *to, const filter_field *field) {
    if (field->member == MEMBER_FACT)
        fprintf(to->out, "s%d.value", query_joined(to, field->name));
    else
        fputs(columns[field->member], to->out);
}

/* -- tests of one value, called `value`
 * ------------------------------------------------------------------------------------------ */

/* SQLite orders every number before every text: a comparison of both kinds is false here, but for
 * "!=". */
static void compare(query *to, const char *value, const char *sign, const filter_value *with) {
    const bool upwards = *sign == '>';
    fprintf(to->out, "%s %s ", value, sign);
    bind_value(to, with);
    if (!with->is_text && upwards) fprintf(to->out, " AND %s < ''", value);
    if (with->is_text && *sign == '<') fprintf(to->out, " AND %s >= ''", value);
}

static void add_list(query *to, const filter *test) {
    for (size_t i = 0; i < test->value_count; i++) {
        if (i) fputs(", ", to->out);
        bind_value(to, &test->values[i]);
    }
}

static void add_test(query *to, const filter *test, const char *value) {
    static const char *const signs[] = {
        [FILTER_EQUAL] = "=",          [FILTER_UNEQUAL] = "<>", [FILTER_LESS] = "<",
        [FILTER_LESS_OR_EQUAL] = "<=", [FILTER_GREATER] = ">",  [FILTER_GREATER_OR_EQUAL] = ">="};
    switch (test->kind) {
    case FILTER_IN:
        fprintf(to->out, "%s IN (", value);
        add_list(to, test);
        fputc(')', to->out);
        return;
    case FILTER_BETWEEN:
        compare(to, value, ">=", &test->values[0]);
        fputs(" AND ", to->out);
        compare(to, value, "<=", &test->values[1]);
        return;
    case FILTER_LIKE:
        fprintf(to->out, "typeof(%s) = 'text' AND %s LIKE ", value, value);
        bind_value(to, &test->values[0]);
        fputs(" ESCAPE '\\'", to->out);
        return;
    case FILTER_IS_NULL:
        fprintf(to->out, "%s IS NULL", value);
        return;
    default:
        compare(to, value, signs[test->kind], &test->values[0]);
    }
}

/* Unknown, where there is no value, is not passed. */
static void add_known_test(query *to, const filter *test, const char *value) {
    fputs("coalesce(", to->out);
    add_test(to, test, value);
    fputs(", 0)", to->out);
}

static void add_joined_test(query *to, const filter *test, int number) {
    char value[32];
    snprintf(value, sizeof value, "s%d.value", number);
    if (test->kind == FILTER_IS_NULL)
        fprintf(to->out, "s%d.experiment IS NULL", number);
    else if (test->kind == FILTER_IS_NAN)
        fprintf(to->out, "(s%d.experiment IS NOT NULL AND %s IS NULL)", number, value);
    else
        add_known_test(to, test, value);
}

/* A fact passes a test where there is a row that does: that is true or false by itself. It is a
 * search in the primary key. */
static void add_fact_test(query *to, const filter *test) {
    const int number = query_joined(to, test->field.name);
    if (number >= 0) {
        add_joined_test(to, test, number);
        return;
    }
    if (test->kind == FILTER_IS_NULL) fputs("NOT ", to->out);
    fputs("EXISTS (SELECT 1 FROM facts AS f WHERE f.experiment = e.id AND f.name = ", to->out);
    query_name(to, test->field.name);
    if (test->kind == FILTER_IS_NAN) {
        fputs(" AND f.value IS NULL", to->out);
    } else if (test->kind != FILTER_IS_NULL) {
        fputs(" AND ", to->out);
        add_test(to, test, "f.value");
    }
    fputc(')', to->out);
}

static void add_member_test(query *to, const filter *test) {
    if (test->kind != FILTER_IS_NULL) {
        add_known_test(to, test, columns[test->field.member]);
        return;
    }
    fputc('(', to->out);
    add_test(to, test, columns[test->field.member]);
    fputc(')', to->out);
}

void query_filter(query *to, const filter *tree) {
    switch (tree->kind) {
    case FILTER_AND:
    case FILTER_OR:
        fputc('(', to->out);
        query_filter(to, tree->left);
        fputs(tree->kind == FILTER_AND ? " AND " : " OR ", to->out);
        query_filter(to, tree->right);
        fputc(')', to->out);
        return;
    case FILTER_NOT:
        fputs("(NOT ", to->out);
        query_filter(to, tree->left);
        fputc(')', to->out);
        return;
    default:
        if (tree->field.member == MEMBER_FACT)
            add_fact_test(to, tree);
        else
            add_member_test(to, tree);
    }
}

/* -- what an index is entered by
 * ------------------------------------------------------------------------------------------ */

static bool is_bound(const filter *test, const char *name) {
    switch (test->kind) {
    case FILTER_EQUAL:
    case FILTER_LESS:
    case FILTER_LESS_OR_EQUAL:
    case FILTER_GREATER:
    case FILTER_GREATER_OR_EQUAL:
    case FILTER_IN:
    case FILTER_BETWEEN:
        return strcmp(test->field.name, name) == 0;
    default:
        return false;
    }
}

bool query_bounds(const filter *tree, const char *name) {
    for (; tree && tree->kind == FILTER_AND; tree = tree->left)
        if (query_bounds(tree->right, name)) return true;
    return tree && is_bound(tree, name);
}

void query_add_bounds(query *to, const filter *tree, const char *name, int number) {
    char value[32];
    snprintf(value, sizeof value, "s%d.value", number);
    for (; tree && tree->kind == FILTER_AND; tree = tree->left)
        query_add_bounds(to, tree->right, name, number);
    if (!tree || !is_bound(tree, name)) return;
    fputs(" AND ", to->out);
    add_test(to, tree, value);
}
