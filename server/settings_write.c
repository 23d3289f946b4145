/* From settings and tables of kinds back to JSON. */
#include <string.h>

#include "server/spec.h"

/* Adds `item` to object, or frees it; false without memory (also where item is NULL). */
static bool put(cJSON *object, const char *name, cJSON *item) {
    if (item && cJSON_AddItemToObject(object, name, item)) return true;
    cJSON_Delete(item);
    return false;
}

static bool put_item(cJSON *list, cJSON *item) {
    if (item && cJSON_AddItemToArray(list, item)) return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *parsed(const char *json) {
    cJSON *item = NULL;
    return json_parse(json, strlen(json), &item, NULL) == GR_OK ? item : NULL;
}

/* -- values -------------------------------------------------------------------------------------
 */

static cJSON *numbers_document(const gr_value *value) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < value->numbers.count; i++) {
        if (put_item(list, json_number(value->numbers.items[i]))) continue;
        cJSON_Delete(list);
        list = NULL;
    }
    return list;
}

static cJSON *list_document(const gr_family *family, const gr_value *value) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < value->settings.count; i++) {
        if (put_item(list, spec_settings_document(family, &value->settings.items[i]))) continue;
        cJSON_Delete(list);
        list = NULL;
    }
    return list;
}

static cJSON *value_document(const gr_option *option, const gr_value *value) {
    switch (value->type) {
    case GR_NULL:
        return cJSON_CreateNull();
    case GR_BOOLEAN:
        return cJSON_CreateBool(value->boolean);
    case GR_INTEGER:
        return json_integer(value->integer);
    case GR_NUMBER:
        return json_number(value->number);
    case GR_CHOICE:
        return cJSON_CreateString(option->choices[value->choice]);
    case GR_STRING:
        return cJSON_CreateString(value->string);
    case GR_NUMBERS:
        return numbers_document(value);
    case GR_SETTINGS:
        return spec_settings_document(option->family, value->settings.items);
    case GR_LIST:
        return list_document(option->family, value);
    case GR_STRINGS:
        return parsed(value->string);
    }
    return NULL;
}

cJSON *spec_settings_document(const gr_family *family, const gr_settings *settings) {
    const gr_kind *kind = settings->kind;
    cJSON *object = cJSON_CreateObject();
    bool good = object;
    if (good && family->discriminator && kind != family->unnamed)
        good = put(object, family->discriminator, cJSON_CreateString(kind->name));
    for (size_t i = 0; good && i < kind->option_count; i++) {
        if (kind->options[i].optional && settings->values[i].type == GR_NULL) continue;
        good = put(object, kind->options[i].name,
                   value_document(&kind->options[i], &settings->values[i]));
    }
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

/* -- tables
 * ---------------------------------------------------------------------------------------- */

static cJSON *types_document(const gr_option *option) {
    static const struct {
        gr_value_type type;
        const char *name;
    } names[] = {{GR_NULL, "null"},       {GR_BOOLEAN, "boolean"}, {GR_INTEGER, "integer"},
                 {GR_NUMBER, "number"},   {GR_CHOICE, "choice"},   {GR_STRING, "string"},
                 {GR_NUMBERS, "numbers"}, {GR_SETTINGS, "object"}, {GR_LIST, "list"},
                 {GR_STRINGS, "strings"}};
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < sizeof names / sizeof *names; i++) {
        if (!(option->accepts & GR_ACCEPT(names[i].type))) continue;
        if (put_item(list, cJSON_CreateString(names[i].name))) continue;
        cJSON_Delete(list);
        list = NULL;
    }
    return list;
}

static cJSON *option_document(const gr_option *option) {
    cJSON *object = cJSON_CreateObject();
    bool good = object && put(object, "name", cJSON_CreateString(option->name)) &&
                put(object, "help", cJSON_CreateString(option->help)) &&
                put(object, "types", types_document(option)) &&
                put(object, "required", cJSON_CreateBool(option->required));
    if (good && !option->required) good = put(object, "default", parsed(option->default_json));
    if (good && (option->minimum != 0 || option->maximum != 0)) {
        good = put(object, option->minimum_excluded ? "exclusive_minimum" : "minimum",
                   json_number(option->minimum)) &&
               put(object, option->maximum_excluded ? "exclusive_maximum" : "maximum",
                   json_number(option->maximum));
    }
    if (good && option->choices) {
        size_t count = 0;
        while (option->choices[count]) count++;
        good = put(object, "choices", cJSON_CreateStringArray(option->choices, (int)count));
    }
    if (good && option->family)
        good = put(object, "family", cJSON_CreateString(option->family->name));
    if (good) return object;
    cJSON_Delete(object);
    return NULL;
}

static bool is_fixed(const gr_kind *kind, const char *option) {
    for (size_t i = 0; i < kind->alias_value_count; i++)
        if (strcmp(kind->alias_values[i].option, option) == 0) return true;
    return false;
}

/* The options that an object of this kind may have: an alias's fixed ones are none. */
static cJSON *options_document(const gr_kind *kind) {
    const gr_kind *base = kind->alias_of ? kind->alias_of : kind;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < base->option_count; i++) {
        if (is_fixed(kind, base->options[i].name)) continue;
        if (put_item(list, option_document(&base->options[i]))) continue;
        cJSON_Delete(list);
        list = NULL;
    }
    return list;
}

/* The member that names the kind: {"type": "conv2d"}, or {}. */
static cJSON *naming_document(const gr_family *family, const gr_kind *kind) {
    cJSON *object = cJSON_CreateObject();
    if (!object || !family->discriminator || kind == family->unnamed) return object;
    if (put(object, family->discriminator, cJSON_CreateString(kind->name))) return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *kind_document(const gr_family *family, const gr_kind *kind) {
    cJSON *object = cJSON_CreateObject();
    bool good = object && put(object, "name", cJSON_CreateString(kind->name)) &&
                put(object, "help", cJSON_CreateString(kind->help)) &&
                put(object, "named_by", naming_document(family, kind));
    if (good && kind->alias_of) {
        cJSON *fixed = NULL;
        good = put(object, "alias_of", cJSON_CreateString(kind->alias_of->name)) &&
               put(object, "fixed", fixed = cJSON_CreateObject());
        for (size_t i = 0; good && i < kind->alias_value_count; i++)
            good = put(fixed, kind->alias_values[i].option, parsed(kind->alias_values[i].json));
    }
    if (good && put(object, "options", options_document(kind))) return object;
    cJSON_Delete(object);
    return NULL;
}

cJSON *spec_family_document(const gr_family *family) {
    cJSON *document = cJSON_CreateObject(), *kinds = cJSON_CreateArray();
    if (!document) cJSON_Delete(kinds);
    if (!document || !put(document, family->name, kinds)) {
        cJSON_Delete(document);
        return NULL;
    }
    for (size_t i = 0; family->kinds[i]; i++) {
        if (put_item(kinds, kind_document(family, family->kinds[i]))) continue;
        cJSON_Delete(document);
        return NULL;
    }
    return document;
}
