#include "server/merge_patch.h"

#include <stdio.h>
#include <string.h>

/* The kind that an object of the family is of; NULL where that cannot be told. */
static const gr_kind *kind_of(const gr_family *family, const cJSON *object) {
    if (!family->discriminator) return family->unnamed;
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, family->discriminator);
    if (!name) return family->unnamed;
    return cJSON_IsString(name) ? gr_family_kind(family, name->valuestring) : NULL;
}

static bool knows(const gr_kind *kind, const char *name) {
    const gr_kind *own = kind->alias_of ? kind->alias_of : kind;
    for (size_t i = 0; i < kind->alias_value_count; i++)
        if (strcmp(kind->alias_values[i].option, name) == 0) return false;
    return gr_kind_option(own, name) >= 0;
}

/* Whether the patch makes an object without a name of its kind out of one that has a name: its
 * members belong to the family's unnamed kind alone. */
static bool drops_name(const gr_family *family, const gr_kind *before, const cJSON *patch) {
    if (!family->discriminator || !family->unnamed || before == family->unnamed || !before ||
        cJSON_GetObjectItemCaseSensitive(patch, family->discriminator))
        return false;
    for (const cJSON *member = patch->child; member; member = member->next)
        if (!knows(before, member->string) && knows(family->unnamed, member->string)) return true;
    return false;
}

/* Takes out what belonged to the kind before and has no place in the new one. */
static void leave_out(const gr_family *family, const gr_kind *before, cJSON *target,
                      const cJSON *patch) {
    if (drops_name(family, before, patch))
        cJSON_DeleteItemFromObjectCaseSensitive(target, family->discriminator);
    const gr_kind *after = kind_of(family, target);
    if (!after || after == before) return;
    for (cJSON *member = target->child, *next; member; member = next) {
        next = member->next;
        const bool named =
            family->discriminator && strcmp(member->string, family->discriminator) == 0;
        if (named || knows(after, member->string) ||
            cJSON_GetObjectItemCaseSensitive(patch, member->string))
            continue;
        cJSON_Delete(cJSON_DetachItemViaPointer(target, member));
    }
}

static const gr_family *family_of(const gr_family *family, const cJSON *object, const char *name) {
    const gr_kind *kind = family ? kind_of(family, object) : NULL;
    if (!kind) return NULL;
    if (kind->alias_of) kind = kind->alias_of;
    const int option = gr_kind_option(kind, name);
    if (option < 0 || !(kind->options[option].accepts & GR_ACCEPT(GR_SETTINGS))) return NULL;
    return kind->options[option].family;
}

static bool merge(const gr_family *family, cJSON *target, const cJSON *patch) {
    const gr_kind *before = family ? kind_of(family, target) : NULL;
    for (const cJSON *member = patch->child; member; member = member->next) {
        cJSON *old = cJSON_GetObjectItemCaseSensitive(target, member->string);
        if (cJSON_IsNull(member)) {
            cJSON_DeleteItemFromObjectCaseSensitive(target, member->string);
        } else if (cJSON_IsObject(member)) {
            cJSON *into = cJSON_IsObject(old) ? old : cJSON_CreateObject();
            if (!into) return false;
            if (into != old) {
                if (!json_set(target, member->string, into)) return false;
            }
            if (!merge(family_of(family, target, member->string), into, member)) return false;
        } else {
            if (!json_set(target, member->string, cJSON_Duplicate(member, true))) return false;
        }
    }
    if (family) leave_out(family, before, target, patch);
    return true;
}

/* RFC 7396 does not say what a member given twice means: nobody can have meant it. */
static void find_repeated(const cJSON *object, const char *pointer, problems *found) {
    for (const cJSON *member = object->child; member; member = member->next) {
        char place[GR_PLACE_SIZE];
        snprintf(place, sizeof place, "%.150s/%.100s", pointer,
                 member->string ? member->string : "");
        for (const cJSON *other = object->child; member->string && other != member;
             other = other->next)
            if (strcmp(other->string, member->string) == 0) {
                problems_add(found, place, "this member is given twice");
                break;
            }
        if (cJSON_IsObject(member)) find_repeated(member, place, found);
    }
}

gr_status merge_patch(const gr_family *family, cJSON *target, const cJSON *patch, problems *found) {
    if (!cJSON_IsObject(patch)) {
        problems_add(found, "", "a merge patch is a JSON object with the members to change");
        return GR_INVALID;
    }
    const size_t before = found->count;
    find_repeated(patch, "", found);
    if (found->count > before) return GR_INVALID;
    return merge(family, target, patch) ? GR_OK : GR_OUT_OF_MEMORY;
}
