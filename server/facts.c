#include "server/facts.h"

#include <stdio.h>
#include <string.h>

#include "gradreg/settings.h"
#include "server/json.h"

typedef struct walk {
    fact_sink sink;
    void *context;
    char name[FACT_NAME_SIZE];
} walk;

/* Appends ".part" to the name; false where that is too long for one: no spec has such a path. */
static bool name_push(walk *at, const char *part, size_t *length) {
    *length = strlen(at->name);
    const int more = snprintf(at->name + *length, sizeof at->name - *length, ".%s", part);
    if (more >= 0 && (size_t)more < sizeof at->name - *length) return true;
    at->name[*length] = 0;
    return false;
}

static gr_status walk_value(walk *at, const cJSON *item, gr_error *error);

static gr_status walk_part(walk *at, const char *part, const cJSON *item, gr_error *error) {
    size_t length;
    if (!name_push(at, part, &length)) return GR_OK;
    const gr_status status = walk_value(at, item, error);
    at->name[length] = 0;
    return status;
}

static gr_status walk_value(walk *at, const cJSON *item, gr_error *error) {
    char number[16];
    int index = 0;
    fact leaf = {.name = at->name};
    const cJSON *part;
    if (cJSON_IsNull(item)) return GR_OK;
    if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
        cJSON_ArrayForEach(part, item) {
            snprintf(number, sizeof number, "%d", index++);
            GR_TRY(walk_part(at, part->string ? part->string : number, part, error));
        }
        return GR_OK;
    }
    if (cJSON_IsString(item))
        leaf.text = item->valuestring;
    else
        leaf.number = cJSON_IsBool(item) ? cJSON_IsTrue(item) : item->valuedouble;
    leaf.is_boolean = cJSON_IsBool(item);
    return at->sink(at->context, &leaf, error);
}

/* *document stays NULL where the text is no JSON, which has no facts. */
static gr_status parse(const char *text, cJSON **document, gr_error *error) {
    gr_error why = {0};
    *document = NULL;
    const gr_status status = text ? json_parse(text, strlen(text), document, &why) : GR_INVALID;
    if (status != GR_OUT_OF_MEMORY) return GR_OK;
    return gr_fail(error, status, "%s", why.message);
}

/* -- regularisers
 * ------------------------------------------------------------------------------------------ */

/* Whether the item is the point of its kind that the alias stands for. */
static gr_status is_case_of(const cJSON *item, const gr_kind *alias, bool *is, gr_error *error) {
    *is = true;
    for (size_t i = 0; *is && i < alias->alias_value_count; i++) {
        const gr_alias_value *fixed = &alias->alias_values[i];
        cJSON *wanted;
        GR_TRY(parse(fixed->json, &wanted, error));
        *is = cJSON_Compare(cJSON_GetObjectItemCaseSensitive(item, fixed->option), wanted, true);
        cJSON_Delete(wanted);
    }
    return GR_OK;
}

static bool is_fixed(const gr_kind *kind, const char *option) {
    for (size_t i = 0; i < kind->alias_value_count; i++)
        if (strcmp(kind->alias_values[i].option, option) == 0) return true;
    return false;
}

/* Whether the item may be called by this kind's name. */
static gr_status is_called(const cJSON *item, const gr_kind *kind, bool *is, gr_error *error) {
    const gr_kind *base = kind->alias_of ? kind->alias_of : kind;
    const char *type = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(item, gr_regularizer_family.discriminator));
    *is = type && strcmp(type, base->name) == 0;
    return *is && kind->alias_of ? is_case_of(item, kind, is, error) : GR_OK;
}

static gr_status walk_regularizer(walk *at, const cJSON *item, const gr_kind *kind, int number,
                                  gr_error *error) {
    char part[96];
    size_t length;
    const cJSON *option;
    gr_status status = GR_OK;
    snprintf(part, sizeof part, number > 1 ? "%s.%d" : "%s", kind->name, number);
    if (!name_push(at, part, &length)) return GR_OK;
    cJSON_ArrayForEach(option, item) {
        if (kind->alias_of && (is_fixed(kind, option->string) ||
                               strcmp(option->string, gr_regularizer_family.discriminator) == 0))
            continue;
        status = walk_part(at, option->string, option, error);
        if (status != GR_OK) break;
    }
    at->name[length] = 0;
    return status;
}

static gr_status walk_regularizers(walk *at, const cJSON *list, gr_error *error) {
    size_t length;
    gr_status status = GR_OK;
    if (!name_push(at, list->string, &length)) return GR_OK;
    for (const gr_kind *const *kind = gr_regularizer_family.kinds; *kind; kind++) {
        const cJSON *item;
        int number = 0;
        cJSON_ArrayForEach(item, list) {
            bool is = false;
            if (status == GR_OK) status = is_called(item, *kind, &is, error);
            if (status == GR_OK && is) status = walk_regularizer(at, item, *kind, ++number, error);
        }
    }
    at->name[length] = 0;
    return status;
}

/* -- all
 * ------------------------------------------------------------------------------------------ */

gr_status facts_of_spec(const char *spec, fact_sink sink, void *context, gr_error *error) {
    walk at = {.sink = sink, .context = context, .name = "params"};
    cJSON *document;
    const cJSON *member;
    gr_status status = parse(spec, &document, error);
    cJSON_ArrayForEach(member, document) {
        if (member->string == NULL || strcmp(member->string, "name") == 0 ||
            strcmp(member->string, "tags") == 0)
            continue;
        status = strcmp(member->string, "regularizers") == 0
                     ? walk_regularizers(&at, member, error)
                     : walk_part(&at, member->string, member, error);
        if (status != GR_OK) break;
    }
    cJSON_Delete(document);
    return status;
}

gr_status facts_of_tags(const char *tags, fact_sink sink, void *context, gr_error *error) {
    walk at = {.sink = sink, .context = context, .name = "tags"};
    cJSON *document;
    gr_status status = parse(tags, &document, error);
    if (cJSON_IsObject(document)) status = walk_value(&at, document, error);
    cJSON_Delete(document);
    return status;
}

gr_status facts_of_metrics(const char *metrics, bool best, fact_sink sink, void *context,
                           gr_error *error) {
    char name[FACT_NAME_SIZE];
    cJSON *document;
    const cJSON *item;
    gr_status status = parse(metrics, &document, error);
    cJSON_ArrayForEach(item, document) {
        fact value = {.name = name, .is_metric = true};
        if (!item->string || !json_to_double(item, &value.number)) continue;
        snprintf(name, sizeof name, "metrics.%s%s", best ? "best." : "", item->string);
        status = sink(context, &value, error);
        if (status != GR_OK) break;
    }
    cJSON_Delete(document);
    return status;
}
