/* The tables of kinds as JSON Schemas: a family is any of its kinds, a kind an object of its
 * options. */
#include <stdio.h>
#include <string.h>

#include "server/openapi.h"

static cJSON *reference(const char *family) {
    char target[96];
    cJSON *schema = cJSON_CreateObject();
    snprintf(target, sizeof target, "#/components/schemas/spec.%s", family);
    cJSON_AddStringToObject(schema, "$ref", target);
    return schema;
}

static void copy_bound(cJSON *schema, const cJSON *option, const char *from, const char *to) {
    const cJSON *bound = cJSON_GetObjectItemCaseSensitive(option, from);
    if (cJSON_IsNumber(bound)) cJSON_AddItemToObject(schema, to, json_number(bound->valuedouble));
}

static cJSON *number_schema(const char *type, const cJSON *option) {
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddStringToObject(schema, "type", type);
    copy_bound(schema, option, "minimum", "minimum");
    copy_bound(schema, option, "maximum", "maximum");
    copy_bound(schema, option, "exclusive_minimum", "exclusiveMinimum");
    copy_bound(schema, option, "exclusive_maximum", "exclusiveMaximum");
    return schema;
}

static cJSON *array_of(cJSON *items) {
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddStringToObject(schema, "type", "array");
    cJSON_AddItemToObject(schema, "items", items);
    return schema;
}

/* One of the types that an option may have. */
static cJSON *type_schema(const char *type, const cJSON *option) {
    const char *family = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(option, "family"));
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
        return number_schema(type, option);
    if (strcmp(type, "numbers") == 0) return array_of(number_schema("number", option));
    if (strcmp(type, "list") == 0 && family) return array_of(reference(family));
    if (strcmp(type, "object") == 0 && family) return reference(family);
    cJSON *schema = cJSON_CreateObject();
    if (strcmp(type, "choice") == 0) {
        cJSON_AddItemToObject(
            schema, "enum",
            cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(option, "choices"), true));
    } else if (strcmp(type, "strings") == 0) {
        cJSON_AddStringToObject(schema, "type", "object");
        cJSON *text = cJSON_AddObjectToObject(schema, "additionalProperties");
        cJSON_AddStringToObject(text, "type", "string");
    } else {
        cJSON_AddStringToObject(schema, "type", type);
        if (strcmp(type, "string") == 0) {
            copy_bound(schema, option, "minimum", "minLength");
            copy_bound(schema, option, "maximum", "maxLength");
        }
    }
    return schema;
}

static cJSON *option_schema(const cJSON *option) {
    const cJSON *types = cJSON_GetObjectItemCaseSensitive(option, "types"), *type;
    const cJSON *otherwise = cJSON_GetObjectItemCaseSensitive(option, "default");
    cJSON *schema = cJSON_CreateObject();
    cJSON *any = cJSON_AddArrayToObject(schema, "anyOf");
    cJSON_ArrayForEach(type, types)
        cJSON_AddItemToArray(any, type_schema(cJSON_GetStringValue(type), option));
    cJSON_AddItemToObject(schema, "description",
                          cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(option, "help"), true));
    if (otherwise) cJSON_AddItemToObject(schema, "default", cJSON_Duplicate(otherwise, true));
    return schema;
}

static cJSON *kind_schema(const cJSON *kind) {
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(kind, "named_by"), *item;
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddItemToObject(schema, "title",
                          cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(kind, "name"), true));
    cJSON_AddItemToObject(schema, "description",
                          cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(kind, "help"), true));
    cJSON_AddStringToObject(schema, "type", "object");
    cJSON *properties = cJSON_AddObjectToObject(schema, "properties");
    cJSON *required = cJSON_AddArrayToObject(schema, "required");
    cJSON_ArrayForEach(item, named) {
        cJSON *constant = cJSON_AddObjectToObject(properties, item->string);
        cJSON_AddItemToObject(constant, "const", cJSON_Duplicate(item, true));
        cJSON_AddItemToArray(required, cJSON_CreateString(item->string));
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(kind, "options")) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        if (cJSON_HasObjectItem(properties, name)) continue;
        cJSON_AddItemToObject(properties, name, option_schema(item));
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "required")))
            cJSON_AddItemToArray(required, cJSON_CreateString(name));
    }
    cJSON_AddFalseToObject(schema, "additionalProperties");
    return schema;
}

cJSON *openapi_spec_schemas(const cJSON *presets) {
    const cJSON *family, *kind;
    char name[96];
    cJSON *schemas = cJSON_CreateObject();
    cJSON_ArrayForEach(family, presets) {
        snprintf(name, sizeof name, "spec.%s", family->string);
        cJSON *any = cJSON_AddArrayToObject(cJSON_AddObjectToObject(schemas, name), "anyOf");
        cJSON_ArrayForEach(kind, family) cJSON_AddItemToArray(any, kind_schema(kind));
    }
    return schemas;
}
