/* Paths of a spec, checked against the tables of kinds: a path that no spec can have is an error
 * that points at the part which is wrong. */
#include <string.h>

#include "server/filter_internal.h"
#include "server/spec.h"

enum { MAXIMUM_NAMES = 160 }; /* different options of all kinds of a family */

static bool is_number(const segment *part) {
    return *part->text && strlen(part->text) < 6 &&
           strspn(part->text, "0123456789") == strlen(part->text);
}

static size_t add_name(const char **names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return count;
    if (count < MAXIMUM_NAMES) names[count++] = name;
    return count;
}

static bool fixes(const gr_kind *alias, const char *option) {
    for (size_t i = 0; alias && i < alias->alias_value_count; i++)
        if (strcmp(alias->alias_values[i].option, option) == 0) return true;
    return false;
}

/* The members of the objects of a family, or of one kind of it (an alias too); NULL: of all. */
static size_t member_names(const gr_family *family, const gr_kind *only, const char **names) {
    size_t count = 0;
    const gr_kind *base = only && only->alias_of ? only->alias_of : only;
    if (family->discriminator && !(only && only->alias_of))
        count = add_name(names, count, family->discriminator);
    for (const gr_kind *const *kind = family->kinds; *kind; kind++) {
        if ((base && *kind != base) || (*kind)->alias_of) continue;
        for (size_t i = 0; i < (*kind)->option_count; i++) {
            const char *name = (*kind)->options[i].name;
            if (fixes(only, name)) continue;
            if (family == &spec_family && (strcmp(name, "name") == 0 || strcmp(name, "tags") == 0))
                continue; /* the experiment's own: they can be changed later */
            count = add_name(names, count, name);
        }
    }
    return count;
}

/* What a member called `name` accepts: all kinds' options of that name together. */
typedef struct accepted {
    unsigned types;
    const gr_family *family;
} accepted;

static accepted accepts(const gr_family *family, const gr_kind *only, const char *name) {
    accepted all = {0};
    const gr_kind *base = only && only->alias_of ? only->alias_of : only;
    if (family->discriminator && strcmp(name, family->discriminator) == 0)
        all.types = GR_ACCEPT(GR_STRING);
    for (const gr_kind *const *kind = family->kinds; *kind; kind++) {
        if (base && *kind != base) continue;
        const int option = gr_kind_option(*kind, name);
        if (option < 0) continue;
        all.types |= (*kind)->options[option].accepts;
        if ((*kind)->options[option].family) all.family = (*kind)->options[option].family;
    }
    return all;
}

typedef struct path {
    const token *word;
    size_t next; /* the segment that is looked at */
    filter_field *field;
    filter_problem *problem;
} path;

static const segment *current(const path *at) {
    return at->next < at->word->segment_count ? &at->word->segments[at->next] : NULL;
}

static gr_status take(path *at) {
    return filter_name_append(at->field, &at->word->segments[at->next++], at->problem);
}

/* The path ends before a value. */
static gr_status unfinished(const path *at, const char *expected) {
    return filter_fail(at->problem, at->word->segments[at->next - 1].column,
                       "%s is no value: expected %s behind it", at->field->name, expected);
}

static gr_status walk_member(path *at, const gr_family *family, const gr_kind *only);

/* regularizers.datagrad.weight, regularizers.gradient_penalty.2.weight */
static gr_status walk_regularizer(path *at) {
    const gr_family *family = &gr_regularizer_family;
    const char *names[MAXIMUM_NAMES];
    size_t count = 0;
    const segment *part = current(at);
    if (!part) return unfinished(at, "a regularizer, such as .datagrad.weight");
    for (const gr_kind *const *kind = family->kinds; *kind; kind++)
        count = add_name(names, count, (*kind)->name);
    const gr_kind *kind = gr_family_kind(family, part->text);
    if (!kind) return filter_unknown(at->problem, part, "regularizer", names, count);
    GR_TRY(take(at));
    part = current(at);
    if (part && is_number(part)) GR_TRY(take(at));
    return walk_member(at, family, kind);
}

static gr_status walk_item(path *at, const char *example) {
    const segment *part = current(at);
    if (!part) return unfinished(at, example);
    if (!is_number(part))
        return filter_fail(at->problem, part->column, "expected the number of an entry, from 0");
    return take(at);
}

static gr_status walk_member(path *at, const gr_family *family, const gr_kind *only) {
    const char *names[MAXIMUM_NAMES];
    const segment *part = current(at);
    const size_t count = member_names(family, only, names);
    bool known = false;
    if (!part) return unfinished(at, "a member's name");
    for (size_t i = 0; i < count; i++) known = known || strcmp(names[i], part->text) == 0;
    if (!known) return filter_unknown(at->problem, part, "parameter", names, count);
    const accepted what = accepts(family, only, part->text);
    GR_TRY(take(at));
    if (what.family == &gr_regularizer_family) return walk_regularizer(at);
    const unsigned simple = what.types & ~(GR_ACCEPT(GR_SETTINGS) | GR_ACCEPT(GR_LIST) |
                                           GR_ACCEPT(GR_NUMBERS) | GR_ACCEPT(GR_NULL));
    if (!current(at) && simple) return GR_OK;
    if (what.types & GR_ACCEPT(GR_NUMBERS)) {
        GR_TRY(walk_item(at, "the number of an entry, from 0 (.0)"));
    } else if (what.family) {
        if (what.types & GR_ACCEPT(GR_LIST))
            GR_TRY(walk_item(at, "the number of an entry, from 0, and its member"));
        return walk_member(at, what.family, NULL);
    }
    part = current(at);
    if (!part) return GR_OK;
    return filter_fail(at->problem, part->column, "%s has no parts", at->field->name);
}

gr_status filter_resolve_parameter(const token *word, filter_field *field, filter_problem *wrong) {
    path at = {.word = word, .next = 1, .field = field, .problem = wrong};
    field->type = TYPE_ANY;
    return walk_member(&at, &spec_family, NULL);
}
