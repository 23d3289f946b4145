#include "server/settings_parse.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/nearest.h"
#include "server/settings_parse_internal.h"

static const double largest_integer = 9007199254740991; /* 2^53 - 1 */

/* -- scalars
 * --------------------------------------------------------------------------------------- */

static bool has_bounds(const gr_option *option) {
    return option->minimum != 0 || option->maximum != 0;
}

static bool in_range(const gr_option *option, double value) {
    if (!has_bounds(option)) return true;
    if (option->minimum_excluded ? value <= option->minimum : value < option->minimum) return false;
    return option->maximum_excluded ? value < option->maximum : value <= option->maximum;
}

static bool check_range(settings_parser *parser, const settings_place *place,
                        const gr_option *option, double value) {
    /* Most of it is used in single precision: a bound that is left out must be missed there, too.
     */
    const double single = fabs(value) <= (double)FLT_MAX ? (double)(float)value : value;
    const bool rounds = in_range(option, value) &&
                        (option->minimum_excluded || option->maximum_excluded) &&
                        !in_range(option, single);
    if (in_range(option, value) && !rounds) return true;
    settings_report(parser, place, "%.16g is out of range%s: it must be %s %.16g and %s %.16g",
                    value, rounds ? " in single precision" : "",
                    option->minimum_excluded ? "greater than" : "at least", option->minimum,
                    option->maximum_excluded ? "less than" : "at most", option->maximum);
    return false;
}

static void parse_number(settings_parser *parser, const settings_place *place,
                         const gr_option *option, const cJSON *item, gr_value *value) {
    const double number = item->valuedouble;
    const bool whole = number == floor(number);
    if (settings_accepts(option, GR_INTEGER) && whole && fabs(number) <= largest_integer) {
        if (check_range(parser, place, option, number))
            *value = (gr_value){.type = GR_INTEGER, .integer = (int64_t)number};
    } else if (settings_accepts(option, GR_NUMBER)) {
        if (check_range(parser, place, option, number))
            *value = (gr_value){.type = GR_NUMBER, .number = number};
    } else if (!settings_accepts(option, GR_INTEGER)) {
        settings_wrong_type(parser, place, option, item);
    } else if (whole) {
        settings_report(
            parser, place,
            "%.17g is beyond 2^53 - 1 (9007199254740991), the largest whole number that is exact",
            number);
    } else {
        settings_report(parser, place, "%.16g is not a whole number", number);
    }
}

/* The first control character (C0, DEL, C1) of a text, or NULL. Text of several `lines` has line
 * feeds and tabs. */
static const char *control_character(const char *text, bool lines) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (lines && (*p == '\n' || *p == '\t'))
            continue;
        else if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] < 0xA0))
            return (const char *)p;
    return NULL;
}

static bool check_text(settings_parser *parser, const settings_place *place, const char *text,
                       size_t minimum, size_t maximum, bool lines) {
    const size_t length = strlen(text);
    if (length < minimum)
        settings_report(parser, place, "an empty text; %zu to %zu bytes are needed", minimum,
                        maximum);
    else if (length > maximum)
        settings_report(parser, place, "a text of %zu bytes; at most %zu are allowed", length,
                        maximum);
    else if (control_character(text, lines))
        settings_report(parser, place, "a text with a control character (0x%02X): leave it out",
                        (unsigned)(unsigned char)*control_character(text, lines));
    else
        return true;
    return false;
}

static void parse_string(settings_parser *parser, const settings_place *place,
                         const gr_option *option, const cJSON *item, gr_value *value) {
    if (settings_accepts(option, GR_CHOICE)) {
        size_t count = 0;
        for (; option->choices[count]; count++) {
            if (strcmp(option->choices[count], item->valuestring) != 0) continue;
            *value = (gr_value){.type = GR_CHOICE, .choice = (int)count};
            return;
        }
        if (!settings_accepts(option, GR_STRING)) {
            char quoted[QUOTED_SIZE], needed[LISTING_SIZE];
            const char *nearest = nearest_name(item->valuestring, option->choices, count);
            settings_describe_accepted(option, needed);
            if (nearest)
                settings_report(parser, place, "found %s; did you mean \"%s\"? (%s)",
                                settings_quote(item->valuestring, quoted), nearest, needed);
            else
                settings_report(parser, place, "found %s where %s is needed",
                                settings_quote(item->valuestring, quoted), needed);
            return;
        }
    }
    if (!settings_accepts(option, GR_STRING)) {
        settings_wrong_type(parser, place, option, item);
        return;
    }
    const bool bounded = has_bounds(option) && !settings_accepts(option, GR_INTEGER) &&
                         !settings_accepts(option, GR_NUMBER);
    if (!check_text(parser, place, item->valuestring, bounded ? (size_t)option->minimum : 1,
                    bounded ? (size_t)option->maximum : MAXIMUM_STRING_BYTES, option->lines))
        return;
    char *copy = strdup(item->valuestring);
    if (!copy) {
        parser->out_of_memory = true;
        return;
    }
    *value = (gr_value){.type = GR_STRING, .string = copy};
}

/* -- collections
 * ----------------------------------------------------------------------------------- */

static size_t length_of(const cJSON *collection) {
    size_t count = 0;
    for (const cJSON *child = collection->child; child; child = child->next) count++;
    return count;
}

static bool check_length(settings_parser *parser, const settings_place *place, const cJSON *list) {
    const size_t count = length_of(list);
    if (count <= GR_MAXIMUM_LIST) return true;
    settings_report(parser, place, "a list of %zu items; at most %d are allowed", count,
                    GR_MAXIMUM_LIST);
    return false;
}

static void parse_numbers(settings_parser *parser, const settings_place *place,
                          const gr_option *option, const cJSON *list, gr_value *value) {
    if (!check_length(parser, place, list)) return;
    double *items = calloc(length_of(list) + 1, sizeof *items);
    if (!items) {
        parser->out_of_memory = true;
        return;
    }
    size_t count = 0;
    for (const cJSON *item = list->child; item; item = item->next, count++) {
        const settings_place at = {.parent = place, .index = count};
        char is[QUOTED_SIZE + 16];
        if (cJSON_IsNumber(item)) {
            if (check_range(parser, &at, option, item->valuedouble))
                items[count] = item->valuedouble;
        } else {
            settings_describe_found(item, is);
            settings_report(parser, &at, "found %s where a number is needed", is);
        }
    }
    value->type = GR_NUMBERS;
    value->numbers.items = items;
    value->numbers.count = count;
}

/* True where a member of the same name stands before `member`. */
static bool is_repeated(const cJSON *object, const cJSON *member) {
    for (const cJSON *other = object->child; other != member; other = other->next)
        if (strcmp(other->string, member->string) == 0) return true;
    return false;
}

static void parse_strings(settings_parser *parser, const settings_place *place, const cJSON *object,
                          gr_value *value) {
    const size_t count = length_of(object);
    if (count > MAXIMUM_STRINGS) {
        settings_report(parser, place, "%zu entries; at most %d are allowed", count,
                        MAXIMUM_STRINGS);
        return;
    }
    for (const cJSON *item = object->child; item; item = item->next) {
        const settings_place at = {.parent = place, .name = item->string};
        char is[QUOTED_SIZE + 16];
        if (is_repeated(object, item)) {
            settings_report(parser, &at, "this name is there twice: leave one out");
        } else if (cJSON_IsString(item)) {
            check_text(parser, &at, item->string, 1, MAXIMUM_STRINGS_NAME, false);
            check_text(parser, &at, item->valuestring, 0, MAXIMUM_STRINGS_VALUE, false);
        } else {
            settings_describe_found(item, is);
            settings_report(parser, &at, "found %s where a string is needed", is);
        }
    }
    value->string = json_text(object);
    if (value->string)
        value->type = GR_STRINGS;
    else
        parser->out_of_memory = true;
}

static void parse_object(settings_parser *parser, const settings_place *place, int depth,
                         const gr_family *family, const cJSON *object, const char *const *members,
                         gr_settings *settings);

/* One object (GR_SETTINGS) or the items of a list (GR_LIST). */
static void parse_family(settings_parser *parser, const settings_place *place, int depth,
                         const gr_option *option, const cJSON *item, gr_value *value) {
    const bool list = cJSON_IsArray(item);
    if (list && !check_length(parser, place, item)) return;
    const size_t count = list ? length_of(item) : 1;
    gr_settings *items = calloc(count + 1, sizeof *items);
    if (!items) {
        parser->out_of_memory = true;
        return;
    }
    if (list) {
        size_t i = 0;
        for (const cJSON *child = item->child; child; child = child->next, i++) {
            const settings_place at = {.parent = place, .index = i};
            parse_object(parser, &at, depth + 1, option->family, child, NULL, &items[i]);
        }
    } else {
        parse_object(parser, place, depth + 1, option->family, item, NULL, &items[0]);
    }
    value->type = list ? GR_LIST : GR_SETTINGS;
    value->settings.items = items;
    value->settings.count = count;
}

/* true stands for an object without members, false for null. */
static void parse_wish(settings_parser *parser, const settings_place *place, int depth,
                       const gr_option *option, const cJSON *item, gr_value *value) {
    if (cJSON_IsFalse(item)) return;
    cJSON *empty = cJSON_CreateObject();
    if (empty)
        parse_family(parser, place, depth, option, empty, value);
    else
        parser->out_of_memory = true;
    cJSON_Delete(empty);
}

static void parse_value(settings_parser *parser, const settings_place *place, int depth,
                        const gr_option *option, const cJSON *item, gr_value *value) {
    if (cJSON_IsNumber(item))
        parse_number(parser, place, option, item, value);
    else if (cJSON_IsString(item))
        parse_string(parser, place, option, item, value);
    else if (cJSON_IsBool(item) && settings_accepts(option, GR_BOOLEAN) &&
             settings_accepts(option, GR_SETTINGS))
        parse_wish(parser, place, depth, option, item, value);
    else if (cJSON_IsBool(item) && settings_accepts(option, GR_BOOLEAN))
        *value = (gr_value){.type = GR_BOOLEAN, .boolean = cJSON_IsTrue(item)};
    else if (cJSON_IsArray(item) && settings_accepts(option, GR_NUMBERS))
        parse_numbers(parser, place, option, item, value);
    else if (cJSON_IsArray(item) && settings_accepts(option, GR_LIST))
        parse_family(parser, place, depth, option, item, value);
    else if (cJSON_IsObject(item) && settings_accepts(option, GR_SETTINGS))
        parse_family(parser, place, depth, option, item, value);
    else if (cJSON_IsObject(item) && settings_accepts(option, GR_STRINGS))
        parse_strings(parser, place, item, value);
    else if (!cJSON_IsNull(item) || !settings_accepts(option, GR_NULL))
        settings_wrong_type(parser, place, option, item);
}

/* A value from the tables: a default, or what an alias fixes. */
static void parse_table_value(settings_parser *parser, const settings_place *place, int depth,
                              const gr_option *option, const char *json, gr_value *value) {
    cJSON *item = NULL;
    gr_error error = {0};
    if (!json || json_parse(json, strlen(json), &item, &error) == GR_INVALID)
        settings_report(parser, place,
                        "a defect of this program: the default of \"%s\" is not JSON: %s",
                        option->name, error.message);
    else if (!item)
        parser->out_of_memory = true;
    else
        parse_value(parser, place, depth, option, item, value);
    cJSON_Delete(item);
}

/* -- objects
 * --------------------------------------------------------------------------------------- */

static size_t family_names(const gr_family *family, const char *names[], size_t capacity) {
    size_t count = 0;
    for (; family->kinds[count] && count < capacity; count++)
        names[count] = family->kinds[count]->name;
    return count;
}

static void list_kinds(const gr_family *family, char text[LISTING_SIZE]) {
    text[0] = '\0';
    for (size_t i = 0; family->kinds[i]; i++)
        settings_append_word(text, LISTING_SIZE, family->kinds[i]->name);
}

/* The kind that an object names, or NULL after a problem. *missing: it names none. */
static const gr_kind *kind_of(settings_parser *parser, const settings_place *place,
                              const gr_family *family, const cJSON *object, bool *missing) {
    enum { CAPACITY = 128 };
    *missing = false;
    if (!family->discriminator) return family->unnamed ? family->unnamed : family->kinds[0];
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(object, family->discriminator);
    const settings_place at = {.parent = place, .name = family->discriminator};
    char listing[LISTING_SIZE], quoted[QUOTED_SIZE];
    if (!named) {
        *missing = true;
        if (family->unnamed) return family->unnamed;
        list_kinds(family, listing);
        settings_report(parser, &at, "\"%s\" is missing: it names the %s, one of %s",
                        family->discriminator, family->name, listing);
        return NULL;
    }
    if (!cJSON_IsString(named)) {
        char is[QUOTED_SIZE + 16];
        settings_describe_found(named, is);
        list_kinds(family, listing);
        settings_report(parser, &at, "found %s where the name of a %s is needed: one of %s", is,
                        family->name, listing);
        return NULL;
    }
    const gr_kind *kind = gr_family_kind(family, named->valuestring);
    if (kind) return kind;
    const char *names[CAPACITY];
    const char *nearest =
        nearest_name(named->valuestring, names, family_names(family, names, CAPACITY));
    settings_quote(named->valuestring, quoted);
    list_kinds(family, listing);
    if (nearest)
        settings_report(parser, &at, "no %s is called %s; did you mean \"%s\"?", family->name,
                        quoted, nearest);
    else
        settings_report(parser, &at, "no %s is called %s; there are %s", family->name, quoted,
                        listing);
    return NULL;
}

/* The value that the alias `kind` fixes for an option, or NULL. */
static const char *fixed_value(const gr_kind *kind, const char *option) {
    for (size_t i = 0; i < kind->alias_value_count; i++)
        if (strcmp(kind->alias_values[i].option, option) == 0) return kind->alias_values[i].json;
    return NULL;
}

static bool is_member(const char *const *members, const char *name) {
    if (!members) return true;
    for (; *members; members++)
        if (strcmp(*members, name) == 0) return true;
    return false;
}

/* Reports a member that the kind does not have. Returns the name that it may have meant, or NULL.
 */
static const char *unknown_member(settings_parser *parser, const settings_place *at,
                                  const gr_family *family, const gr_kind *kind, const gr_kind *base,
                                  const char *const *members) {
    if (parser->found->count >= MAXIMUM_PROBLEMS) { /* do not look for what nobody reads */
        parser->found->count++;
        return NULL;
    }
    const char *names[GR_MAXIMUM_OPTIONS + 1];
    size_t count = 0;
    if (family->discriminator) names[count++] = family->discriminator;
    for (size_t i = 0; i < base->option_count; i++)
        if (!fixed_value(kind, base->options[i].name) && is_member(members, base->options[i].name))
            names[count++] = base->options[i].name;
    char quoted[QUOTED_SIZE], listing[LISTING_SIZE] = "";
    const char *nearest = nearest_name(at->name, names, count);
    for (size_t i = 0; i < count; i++) settings_append_word(listing, sizeof listing, names[i]);
    settings_quote(at->name, quoted);
    if (nearest)
        settings_report(parser, at, "%s has no member %s; did you mean \"%s\"?", kind->name, quoted,
                        nearest);
    else if (count)
        settings_report(parser, at, "%s has no member %s; its members are %s", kind->name, quoted,
                        listing);
    else
        settings_report(parser, at, "%s has no members: leave %s out", kind->name, quoted);
    return nearest;
}

/* What the document gives. `seen` gets which options it names; returns true where the discriminator
 * seems to be there under a wrong name. */
static bool parse_members(settings_parser *parser, const settings_place *place, int depth,
                          const gr_family *family, const gr_kind *kind, const cJSON *object,
                          const char *const *members, gr_settings *settings, bool *seen) {
    const gr_kind *base = settings->kind;
    bool misspelt = false, named = false;
    for (const cJSON *member = object->child; member; member = member->next) {
        const settings_place at = {.parent = place, .name = member->string};
        if (family->discriminator && strcmp(member->string, family->discriminator) == 0) {
            if (named) settings_report(parser, &at, "this member is there twice: leave one out");
            named = true;
            continue;
        }
        const int option = gr_kind_option(base, member->string);
        if (option < 0 || !is_member(members, member->string)) {
            const char *nearest = unknown_member(parser, &at, family, kind, base, members);
            if (nearest && family->discriminator && strcmp(nearest, family->discriminator) == 0)
                misspelt = true;
            continue;
        }
        const char *fixed = fixed_value(kind, member->string);
        if (fixed)
            settings_report(parser, &at, "%s fixes this to %s: leave it out, or use \"%s\"",
                            kind->name, fixed, base->name);
        else if (seen[option])
            settings_report(parser, &at, "this member is there twice: leave one out");
        else
            parse_value(parser, &at, depth, &base->options[option], member,
                        &settings->values[option]);
        seen[option] = true;
    }
    return misspelt;
}

static void fill_missing(settings_parser *parser, const settings_place *place, int depth,
                         const gr_kind *kind, const char *const *members, gr_settings *settings,
                         const bool *seen) {
    const gr_kind *base = settings->kind;
    for (size_t i = 0; i < base->option_count; i++) {
        const gr_option *option = &base->options[i];
        const char *fixed = fixed_value(kind, option->name);
        const settings_place at = {.parent = place, .name = option->name};
        if ((seen[i] && !fixed) || !is_member(members, option->name)) continue;
        if (!fixed && option->required)
            settings_report(parser, &at, "\"%s\" is missing: %s", option->name, option->help);
        else
            parse_table_value(parser, &at, depth, option, fixed ? fixed : option->default_json,
                              &settings->values[i]);
    }
}

static void parse_object(settings_parser *parser, const settings_place *place, int depth,
                         const gr_family *family, const cJSON *object, const char *const *members,
                         gr_settings *settings) {
    if (depth > GR_MAXIMUM_NESTING) {
        settings_report(parser, place, "nested more than %d objects deep", GR_MAXIMUM_NESTING);
        return;
    }
    if (!cJSON_IsObject(object)) {
        const gr_option any = {.accepts = GR_ACCEPT(GR_SETTINGS), .family = family};
        settings_wrong_type(parser, place, &any, object);
        return;
    }
    bool missing;
    const gr_kind *kind = kind_of(parser, place, family, object, &missing);
    if (!kind) return;
    const gr_kind *base = kind->alias_of ? kind->alias_of : kind;
    bool seen[GR_MAXIMUM_OPTIONS] = {false};
    if (base->option_count > GR_MAXIMUM_OPTIONS) {
        settings_report(parser, place, "a defect of this program: %s has too many options",
                        base->name);
        return;
    }
    settings->values = calloc(base->option_count + 1, sizeof *settings->values);
    if (!settings->values) {
        parser->out_of_memory = true;
        return;
    }
    settings->kind = base;
    /* A misspelt discriminator is one fault; what the wrongly supposed kind lacks is none. */
    if (!parse_members(parser, place, depth, family, kind, object, members, settings, seen) ||
        !missing)
        fill_missing(parser, place, depth, kind, members, settings, seen);
}

gr_status settings_parse(const gr_family *family, const cJSON *item, const char *const *members,
                         gr_settings *settings, problems *found) {
    settings_parser parser = {.found = found};
    const settings_place root = {0};
    const size_t before = found->count;
    *settings = (gr_settings){0};
    parse_object(&parser, &root, 1, family, item, members, settings);
    if (!parser.out_of_memory && found->count == before) return GR_OK;
    gr_settings_clear(settings);
    return parser.out_of_memory ? GR_OUT_OF_MEMORY : GR_INVALID;
}
