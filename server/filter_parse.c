/* From tokens to a tree; and the lists of sort keys and fields, which are written the same way. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/filter_internal.h"
#include "server/nearest.h"
#include "server/store.h"

typedef struct parser {
    lexer lexer;
    token next;
    const filter_vocabulary *vocabulary;
    int depth;
    size_t terms;
} parser;

static gr_status begin(parser *self, const char *text, const filter_vocabulary *vocabulary,
                       filter_problem *problem) {
    static const filter_vocabulary none = {0};
    *problem = (filter_problem){0};
    *self = (parser){.lexer = {.rest = text, .column = 1, .problem = problem},
                     .vocabulary = vocabulary ? vocabulary : &none};
    if (strlen(text) > FILTER_MAXIMUM_BYTES)
        return filter_fail(problem, FILTER_MAXIMUM_BYTES, "at most %d bytes are allowed",
                           FILTER_MAXIMUM_BYTES);
    return lexer_next(&self->lexer, &self->next);
}

static gr_status advance(parser *self) {
    return lexer_next(&self->lexer, &self->next);
}

static gr_status expected(parser *self, const char *what) {
    char shown[128];
    return filter_fail(self->lexer.problem, self->next.column, "expected %s, not %s", what,
                       token_shown(&self->next, shown, sizeof shown));
}

static bool at_word(const parser *self, const char *keyword) {
    return token_is_word(&self->next, keyword);
}

static bool at_sign(const parser *self, const char *sign) {
    return self->next.kind == TOKEN_SIGN && strcmp(self->next.sign, sign) == 0;
}

static gr_status expect_sign(parser *self, const char *sign, const char *what) {
    return at_sign(self, sign) ? advance(self) : expected(self, what);
}

/* -- the tree
 * ------------------------------------------------------------------------------------------ */

void filter_free(filter *tree) {
    while (tree) { /* chains lean to the left: the right branches are no deeper than parentheses */
        filter *left = tree->left;
        filter_free(tree->right);
        for (size_t i = 0; i < tree->value_count; i++) free(tree->values[i].text);
        free(tree->values);
        free(tree);
        tree = left;
    }
}

static gr_status make(filter_kind kind, filter *left, filter *right, filter **result) {
    filter *made = calloc(1, sizeof *made);
    if (!made) {
        filter_free(left);
        filter_free(right);
        return GR_OUT_OF_MEMORY;
    }
    *made = (filter){.kind = kind, .left = left, .right = right};
    *result = made;
    return GR_OK;
}

static gr_status count_term(parser *self) {
    if (++self->terms <= FILTER_MAXIMUM_TERMS) return GR_OK;
    return filter_fail(self->lexer.problem, self->next.column,
                       "at most %d tests and values of IN are allowed", FILTER_MAXIMUM_TERMS);
}

/* -- values
 * ------------------------------------------------------------------------------------------ */

static gr_status check_state(parser *self, const char *text) {
    const char *names[STATE_COUNT];
    experiment_state state;
    if (state_from_name(text, &state)) return GR_OK;
    for (int i = 0; i < STATE_COUNT; i++) names[i] = state_name((experiment_state)i);
    segment where = {.column = self->next.column};
    snprintf(where.text, sizeof where.text, "%.40s", text);
    drop_cut_character(where.text);
    return filter_unknown(self->lexer.problem, &where, "state", names, STATE_COUNT);
}

/* What a value of this field may be, in words. */
static const char *wanted_value(const filter_field *field) {
    switch (field->type) {
    case TYPE_NUMBER:
        return "a number";
    case TYPE_TEXT:
        return "a text in quotes";
    case TYPE_STATE:
        return "a state in quotes";
    case TYPE_TIME:
        return "a time in quotes (\"2026-01-31\", \"2026-01-31T12:00:00Z\")";
    default:
        return "a number, a text in quotes, true or false";
    }
}

static gr_status wrong_value(parser *self, const filter_field *field) {
    char shown[128];
    const bool bare = self->next.kind == TOKEN_WORD && self->next.segment_count == 1;
    if (at_word(self, "nan") || at_word(self, "null"))
        return filter_fail(self->lexer.problem, self->next.column,
                           "nothing is equal to %s: write IS %s or IS NOT %s",
                           self->next.segments[0].text, at_word(self, "nan") ? "NAN" : "NULL",
                           at_word(self, "nan") ? "NAN" : "NULL");
    return filter_fail(self->lexer.problem, self->next.column, "expected %s for %s, not %s%s",
                       wanted_value(field), field->name,
                       token_shown(&self->next, shown, sizeof shown),
                       bare && field->type != TYPE_NUMBER ? ": a text stands in quotes" : "");
}

/* One value that this field can be compared with. */
static gr_status read_value(parser *self, const filter_field *field, filter_value *value) {
    token *next = &self->next;
    const filter_type type = field->type;
    GR_TRY(count_term(self));
    if (next->kind == TOKEN_NUMBER && (type == TYPE_NUMBER || type == TYPE_ANY)) {
        value->number = next->number;
    } else if ((at_word(self, "true") || at_word(self, "false")) && type == TYPE_ANY) {
        value->number = at_word(self, "true");
    } else if (next->kind == TOKEN_TEXT && type == TYPE_TIME) {
        if (!filter_time(next->text, &value->number))
            return filter_fail(self->lexer.problem, next->column, "this is no time: expected %s",
                               wanted_value(field));
    } else if (next->kind == TOKEN_TEXT && type != TYPE_NUMBER) {
        if (type == TYPE_STATE) GR_TRY(check_state(self, next->text));
        value->is_text = true;
        value->text = next->text;
        next->text = NULL;
    } else {
        return wrong_value(self, field);
    }
    return advance(self);
}

static gr_status add_value(parser *self, filter *test) {
    filter_value *larger = realloc(test->values, (test->value_count + 1) * sizeof *larger);
    if (!larger) return GR_OUT_OF_MEMORY;
    test->values = larger;
    filter_value *value =
        &larger[test->value_count++]; /* the tree's from now on, whatever follows */
    *value = (filter_value){0};
    return read_value(self, &test->field, value);
}

/* -- tests
 * ------------------------------------------------------------------------------------------ */

static gr_status read_field(parser *self, filter_field *field) {
    GR_TRY(filter_resolve(&self->next, self->vocabulary, field, self->lexer.problem));
    return advance(self);
}

static gr_status read_in(parser *self, filter *test) {
    test->kind = FILTER_IN;
    GR_TRY(advance(self));
    GR_TRY(expect_sign(self, "(", "\"(\" and the values behind IN"));
    for (;;) {
        GR_TRY(add_value(self, test));
        if (at_sign(self, ")")) return advance(self);
        GR_TRY(expect_sign(self, ",", "\",\" or \")\""));
    }
}

static gr_status read_between(parser *self, filter *test) {
    test->kind = FILTER_BETWEEN;
    GR_TRY(advance(self));
    GR_TRY(add_value(self, test));
    if (!at_word(self, "and")) return expected(self, "AND and the upper end of BETWEEN");
    GR_TRY(advance(self));
    return add_value(self, test);
}

static gr_status read_like(parser *self, filter *test) {
    test->kind = FILTER_LIKE;
    if (test->field.type == TYPE_NUMBER || test->field.type == TYPE_TIME)
        return filter_fail(self->lexer.problem, self->next.column,
                           "LIKE compares texts, and %s is %s", test->field.name,
                           test->field.type == TYPE_TIME ? "a time" : "a number");
    GR_TRY(advance(self));
    if (self->next.kind != TOKEN_TEXT)
        return expected(self, "a pattern in quotes (\"%\" stands for any characters)");
    test->field.type = test->field.type == TYPE_STATE ? TYPE_TEXT : test->field.type;
    return add_value(self, test);
}

/* Behind IS: NULL or NAN. */
static gr_status read_is(parser *self, filter *test, bool *negated) {
    GR_TRY(advance(self));
    *negated = at_word(self, "not");
    if (*negated) GR_TRY(advance(self));
    if (!at_word(self, "null") && !at_word(self, "nan"))
        return expected(self, *negated ? "NULL or NAN" : "NULL, NAN or NOT");
    test->kind = at_word(self, "null") ? FILTER_IS_NULL : FILTER_IS_NAN;
    if (test->kind == FILTER_IS_NAN && !test->field.is_metric)
        return filter_fail(self->lexer.problem, self->next.column,
                           "only a metric can be NaN; what is missing IS NULL");
    GR_TRY(count_term(self));
    return advance(self);
}

static gr_status read_comparison(parser *self, filter *test) {
    static const struct {
        const char *sign;
        filter_kind kind;
    } comparisons[] = {{"=", FILTER_EQUAL},    {"==", FILTER_EQUAL},
                       {"!=", FILTER_UNEQUAL}, {"<>", FILTER_UNEQUAL},
                       {"<", FILTER_LESS},     {"<=", FILTER_LESS_OR_EQUAL},
                       {">", FILTER_GREATER},  {">=", FILTER_GREATER_OR_EQUAL}};
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        if (!at_sign(self, comparisons[i].sign)) continue;
        test->kind = comparisons[i].kind;
        if (test->field.type == TYPE_STATE && test->kind != FILTER_EQUAL &&
            test->kind != FILTER_UNEQUAL)
            return filter_fail(self->lexer.problem, self->next.column,
                               "states have no order: compare them by =, != or IN");
        GR_TRY(advance(self));
        return add_value(self, test);
    }
    return expected(self, "a comparison (=, !=, <, <=, >, >=), IN, BETWEEN, LIKE or IS");
}

static gr_status read_test(parser *self, filter *test, bool *negated) {
    static const char *const negatable[] = {"in", "between", "like"};
    GR_TRY(read_field(self, &test->field));
    if (at_word(self, "is")) return read_is(self, test, negated);
    *negated = at_word(self, "not");
    if (*negated) {
        GR_TRY(advance(self));
        bool fits = false;
        for (size_t i = 0; i < 3; i++) fits = fits || at_word(self, negatable[i]);
        if (!fits) return expected(self, "IN, BETWEEN or LIKE behind NOT");
    }
    if (at_word(self, "in")) return read_in(self, test);
    if (at_word(self, "between") && test->field.type == TYPE_STATE)
        return filter_fail(self->lexer.problem, self->next.column,
                           "states have no order: compare them by =, != or IN");
    if (at_word(self, "between")) return read_between(self, test);
    if (at_word(self, "like")) return read_like(self, test);
    return read_comparison(self, test);
}

/* -- expressions
 * ------------------------------------------------------------------------------------------ */

static gr_status read_expression(parser *self, filter **result);

static gr_status deeper(parser *self) {
    if (++self->depth <= FILTER_MAXIMUM_DEPTH) return GR_OK;
    return filter_fail(self->lexer.problem, self->next.column,
                       "at most %d parentheses and NOT may stand within each other",
                       FILTER_MAXIMUM_DEPTH);
}

static gr_status read_primary(parser *self, filter **result) {
    filter *test;
    bool negated = false;
    if (at_sign(self, "(")) {
        GR_TRY(deeper(self));
        GR_TRY(advance(self));
        GR_TRY(read_expression(self, result));
        const gr_status status = expect_sign(self, ")", "AND, OR or \")\"");
        self->depth--;
        if (status == GR_OK) return GR_OK;
        filter_free(*result);
        return status;
    }
    if (self->next.kind != TOKEN_WORD)
        return expected(self, "a field (state, name, params.…, metrics.…, tags.…), NOT or \"(\"");
    GR_TRY(make(FILTER_EQUAL, NULL, NULL, &test));
    const gr_status status = read_test(self, test, &negated);
    if (status != GR_OK) {
        filter_free(test);
        return status;
    }
    *result = test;
    return negated ? make(FILTER_NOT, test, NULL, result) : GR_OK;
}

static gr_status read_factor(parser *self, filter **result) {
    filter *inner;
    if (!at_word(self, "not")) return read_primary(self, result);
    GR_TRY(deeper(self));
    GR_TRY(advance(self));
    GR_TRY(read_factor(self, &inner));
    self->depth--;
    return make(FILTER_NOT, inner, NULL, result);
}

/* Operands joined by `keyword`, each read by `part`. */
static gr_status read_chain(parser *self, const char *keyword, filter_kind kind,
                            gr_status (*part)(parser *, filter **), filter **result) {
    filter *left, *right;
    GR_TRY(part(self, &left));
    while (at_word(self, keyword)) {
        gr_status status = advance(self);
        if (status == GR_OK) status = part(self, &right);
        if (status != GR_OK) {
            filter_free(left);
            return status;
        }
        GR_TRY(make(kind, left, right, &left));
    }
    *result = left;
    return GR_OK;
}

static gr_status read_conjunction(parser *self, filter **result) {
    return read_chain(self, "and", FILTER_AND, read_factor, result);
}

static gr_status read_expression(parser *self, filter **result) {
    return read_chain(self, "or", FILTER_OR, read_conjunction, result);
}

gr_status filter_parse(const char *text, const filter_vocabulary *vocabulary, filter **result,
                       filter_problem *problem) {
    parser self;
    filter *tree = NULL;
    *result = NULL;
    gr_status status = begin(&self, text, vocabulary, problem);
    if (status == GR_OK) status = read_expression(&self, &tree);
    if (status == GR_OK) {
        *result = tree;
        if (self.next.kind != TOKEN_END) {
            status = expected(&self, "AND, OR or the end");
            filter_free(tree);
            *result = NULL;
        }
    }
    free(self.next.text);
    return status;
}

/* -- lists of names
 * ------------------------------------------------------------------------------------------ */

gr_status filter_parse_sort(const char *text, const filter_vocabulary *vocabulary,
                            sort_key keys[FILTER_MAXIMUM_SORT_KEYS], size_t *count,
                            filter_problem *problem) {
    parser self;
    *count = 0;
    gr_status status = begin(&self, text, vocabulary, problem);
    while (status == GR_OK) {
        if (*count == FILTER_MAXIMUM_SORT_KEYS) {
            status = filter_fail(problem, self.next.column, "at most %d keys are allowed",
                                 FILTER_MAXIMUM_SORT_KEYS);
            break;
        }
        sort_key *key = &keys[*count];
        *key = (sort_key){.descending = at_sign(&self, "-")};
        if (key->descending) status = advance(&self);
        if (status == GR_OK && self.next.kind != TOKEN_WORD)
            status = expected(&self, "a field to sort by");
        if (status == GR_OK) status = read_field(&self, &key->field);
        for (size_t i = 0; i < *count && status == GR_OK; i++)
            if (strcmp(keys[i].field.name, key->field.name) == 0)
                status =
                    filter_fail(problem, self.next.column, "%s is given twice", key->field.name);
        if (status != GR_OK) break;
        ++*count;
        if (self.next.kind == TOKEN_END) break;
        status = expect_sign(&self, ",", "\",\" or the end");
    }
    free(self.next.text);
    return status;
}

static gr_status read_pick(parser *self, const char *const *members, field_pick *pick) {
    if (self->next.kind != TOKEN_WORD) return expected(self, "the name of a field");
    *pick = (field_pick){0};
    for (; *members && self->next.segment_count == 1; members++)
        if (strcmp(*members, self->next.segments[0].text) == 0) {
            pick->is_member = true;
            snprintf(pick->field.name, sizeof pick->field.name, "%s", *members);
            return advance(self);
        }
    return read_field(self, &pick->field);
}

gr_status filter_parse_fields(const char *text, const filter_vocabulary *vocabulary,
                              const char *const *members, field_pick picks[FILTER_MAXIMUM_FIELDS],
                              size_t *count, filter_problem *problem) {
    parser self;
    *count = 0;
    gr_status status = begin(&self, text, vocabulary, problem);
    while (status == GR_OK) {
        if (*count == FILTER_MAXIMUM_FIELDS)
            status = filter_fail(problem, self.next.column, "at most %d fields are allowed",
                                 FILTER_MAXIMUM_FIELDS);
        if (status == GR_OK) status = read_pick(&self, members, &picks[*count]);
        if (status != GR_OK) break;
        ++*count;
        if (self.next.kind == TOKEN_END) break;
        status = expect_sign(&self, ",", "\",\" or the end");
    }
    free(self.next.text);
    return status;
}
