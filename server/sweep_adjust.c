/* What a sweep sets where labels of several axes come together: a weight that depends on the size
 * of the training set, say. */
#include <stdio.h>
#include <string.h>

#include "server/json_pointer.h"
#include "server/sweep_plan.h"

/* Whether `labels`, one or a list, holds the label. */
static bool holds(const cJSON *labels, const char *label) {
    if (cJSON_IsString(labels)) return strcmp(labels->valuestring, label) == 0;
    const cJSON *one;
    cJSON_ArrayForEach(one, labels) {
        if (cJSON_IsString(one) && strcmp(one->valuestring, label) == 0) return true;
    }
    return false;
}

bool sweep_adjust_applies(const cJSON *rule, const cJSON *levels) {
    const cJSON *when = cJSON_GetObjectItemCaseSensitive(rule, "when"), *one;
    cJSON_ArrayForEach(one, when) {
        const char *label =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(levels, one->string));
        if (!label || !holds(one, label)) return false;
    }
    return true;
}

gr_status sweep_adjust_arm(const sweep_plan *plan, sweep_arm *arm, problems *found,
                           gr_error *error) {
    int index = 0;
    const cJSON *rule;
    cJSON_ArrayForEach(rule, plan->adjust) {
        const cJSON *set = cJSON_GetObjectItemCaseSensitive(rule, "set"), *one;
        char place[32];
        snprintf(place, sizeof place, "/adjust/%d/set", index++);
        if (!sweep_adjust_applies(rule, arm->levels)) continue;
        cJSON_ArrayForEach(one, set) {
            gr_error own = {0};
            const gr_status status = json_pointer_set(arm->spec, one->string, one, &own);
            if (status == GR_INVALID)
                problems_add(found, place, "arm \"%.100s\": %.100s: %s", arm->label, one->string,
                             own.message);
            else if (status != GR_OK)
                return gr_fail(error, status, "%s", own.message);
        }
    }
    return GR_OK;
}

/* -- reading
 * ------------------------------------------------------------------------------------------- */

static void check_label(const sweep_axis *axis, const cJSON *label, const char *place,
                        problems *found) {
    for (size_t i = 0; i < axis->level_count; i++)
        if (cJSON_IsString(label) && strcmp(axis->levels[i].label, label->valuestring) == 0) return;
    problems_add(found, place, "the axis \"%s\" has no value with this label", axis->name);
}

static void check_when(const sweep_plan *plan, const cJSON *when, const char *outer,
                       problems *found) {
    if (!cJSON_IsObject(when) || !when->child) {
        problems_add(found, outer,
                     "\"when\" is needed: an object {axis: label or list of labels, …}");
        return;
    }
    for (const cJSON *one = when->child; one; one = one->next) {
        char place[GR_PLACE_SIZE];
        snprintf(place, sizeof place, "%s/when/%.100s", outer, one->string);
        const sweep_axis *axis = sweep_axis_named(plan, one->string);
        if (!axis)
            problems_add(found, place, "no axis is called \"%.80s\"", one->string);
        else if (cJSON_IsArray(one) && one->child)
            for (const cJSON *label = one->child; label; label = label->next)
                check_label(axis, label, place, found);
        else
            check_label(axis, one, place, found);
    }
}

static void check_rule(const sweep_plan *plan, const cJSON *rule, const char *place,
                       problems *found) {
    char inner[64];
    if (!cJSON_IsObject(rule)) {
        problems_add(found, place,
                     "an object {\"when\": …, \"set\": {pointer: value, …}} is needed");
        return;
    }
    for (const cJSON *one = rule->child; one; one = one->next)
        if (strcmp(one->string, "when") != 0 && strcmp(one->string, "set") != 0)
            problems_add(found, place, "there is no member \"%.100s\" here", one->string);
    check_when(plan, cJSON_GetObjectItemCaseSensitive(rule, "when"), place, found);
    const cJSON *set = cJSON_GetObjectItemCaseSensitive(rule, "set");
    snprintf(inner, sizeof inner, "%s/set", place);
    if (!cJSON_IsObject(set) || !set->child)
        problems_add(found, inner, "an object {pointer: value, …} is needed");
    else
        for (const cJSON *one = set->child; one; one = one->next)
            sweep_check_pointer(one->string, inner, found);
}

void sweep_adjust_check(const sweep_plan *plan, problems *found) {
    int index = 0;
    if (!cJSON_IsArray(plan->adjust))
        problems_add(found, "/adjust",
                     "a list of {\"when\": {axis: label, …}, \"set\": {pointer: value, …}} is "
                     "needed");
    else
        for (const cJSON *rule = plan->adjust->child; rule; rule = rule->next) {
            char place[32];
            snprintf(place, sizeof place, "/adjust/%d", index++);
            check_rule(plan, rule, place, found);
        }
}
