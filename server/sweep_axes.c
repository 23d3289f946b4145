/* Reading a sweep's axes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/json_pointer.h"
#include "server/sweep_plan_internal.h"

/* What a value is called that was given no label: its JSON text. */
static void make_label(sweep_reader *self, const cJSON *value, char label[SWEEP_LABEL_SIZE]) {
    if (cJSON_IsString(value)) {
        sweep_copy_text(label, SWEEP_LABEL_SIZE, value->valuestring);
        return;
    }
    char *text = json_text(value);
    if (!text) self->out_of_memory = true;
    sweep_copy_text(label, SWEEP_LABEL_SIZE, text ? text : "");
    free(text);
}

/* Seeds are the sweep's own; names are made. */
void sweep_check_pointer(const char *pointer, const char *place, problems *found) {
    gr_error error = {0};
    if (json_pointer_check(pointer, &error) != GR_OK)
        problems_add(found, place, "%s", error.message);
    else if (json_pointer_is_within(pointer, "/seed"))
        problems_add(
            found, place,
            "seeds are not an axis: \"repeats\", \"first_seed\" or \"seeds\" give them, the "
            "same to every arm");
    else if (json_pointer_is_within(pointer, "/name"))
        problems_add(found, place,
                     "an experiment's name is made of the sweep's name and the labels");
}

/* {pointer: value, …} of one value of the axis; NULL with a problem. */
static cJSON *level_settings(sweep_reader *self, const cJSON *value, const cJSON *pointers,
                             const char *place) {
    const int count = cJSON_GetArraySize(pointers);
    cJSON *set = cJSON_CreateObject();
    const cJSON *values = value;
    if (count > 1 && (!cJSON_IsArray(value) || cJSON_GetArraySize(value) != count)) {
        problems_add(self->found, place, "a list of %d values is needed, one for each pointer",
                     count);
        cJSON_Delete(set);
        return NULL;
    }
    for (int i = 0; i < count; i++) {
        const cJSON *one = count > 1 ? cJSON_GetArrayItem(values, i) : value;
        sweep_put(self, set, cJSON_GetArrayItem(pointers, i)->valuestring,
                  cJSON_Duplicate(one, true));
    }
    return set;
}

/* One value: V, {"label": …, "value": V} or {"label": …, "set": {…}}. Returns its canonical form.
 */
static cJSON *read_level(sweep_reader *self, const cJSON *item, const cJSON *pointers,
                         sweep_level *level) {
    static const char *const members[] = {"label", "value", "set", "named", NULL};
    const bool object = cJSON_IsObject(item);
    cJSON *set = NULL;
    snprintf(level->value_place, sizeof level->value_place, "%s", level->place);
    if (object && sweep_member(item, "set")) {
        const cJSON *given = sweep_member(item, "set");
        char place[80];
        sweep_check_members(self, item, level->place, members);
        snprintf(place, sizeof place, "%s/set", level->place);
        if (!cJSON_IsObject(given) || cJSON_GetObjectItemCaseSensitive(item, "value"))
            problems_add(self->found, place,
                         "an object {pointer: value, …} is needed, and no \"value\" beside it");
        else
            set = cJSON_Duplicate(given, true);
        for (const cJSON *one = set ? set->child : NULL; one; one = one->next)
            sweep_check_pointer(one->string, place, self->found);
    } else if (pointers == NULL) {
        problems_add(self->found, level->place,
                     "the axis has no \"pointer\": each value has to be {\"label\": …, \"set\": "
                     "{pointer: value, …}}");
        return NULL;
    } else if (object) {
        sweep_check_members(self, item, level->place, members);
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
        if (!value) {
            problems_add(self->found, level->place,
                         "an object as a value needs a name: {\"label\": …, \"value\": {…}}");
            return NULL;
        }
        snprintf(level->value_place, sizeof level->value_place, "%s/value", level->place);
        set = level_settings(self, value, pointers, level->value_place);
        make_label(self, value, level->label);
    } else {
        set = level_settings(self, item, pointers, level->place);
        make_label(self, item, level->label);
    }
    const char *label =
        object ? sweep_read_text(self, item, level->place, "label", SWEEP_LABEL_SIZE - 1) : NULL;
    if (label) {
        snprintf(level->label, sizeof level->label, "%s", label);
        level->named = !cJSON_IsFalse(sweep_member(item, "named"));
    } else if (set && !*level->label) {
        problems_add(self->found, level->place, "a \"label\" is needed with \"set\"");
    }
    if (!set) return NULL;
    cJSON *canonical = cJSON_CreateObject();
    /* A label that was not given is not kept: it is made again, and unnamed again. */
    sweep_put(self, canonical, "label", cJSON_CreateString(level->label));
    level->set = sweep_put(self, canonical, "set", set);
    if (!level->named) cJSON_AddFalseToObject(canonical, "named");
    return canonical;
}

/* Two values of one label could not be told apart in a table. */
static void check_labels(sweep_reader *self, const sweep_axis *axis) {
    for (size_t i = 0; i < axis->level_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(axis->levels[i].label, axis->levels[j].label) == 0) {
                problems_add(self->found, axis->levels[i].place,
                             "the axis has two values called \"%.80s\": give them different labels",
                             axis->levels[i].label);
                break;
            }
}

/* The axis's pointers as a list (owned), from "pointer" or "pointers"; NULL where there is none. */
static cJSON *read_pointers(sweep_reader *self, const cJSON *from, const char *place) {
    const cJSON *one = sweep_member(from, "pointer"), *many = sweep_member(from, "pointers");
    char pointer[96];
    if (one && many) {
        problems_add(self->found, place, "\"pointer\" or \"pointers\", not both");
        return NULL;
    }
    if (!one && !many) return NULL;
    cJSON *list = one ? cJSON_CreateArray() : cJSON_Duplicate(many, true);
    snprintf(pointer, sizeof pointer, "%s/%s", place, one ? "pointer" : "pointers");
    if (one) json_append(list, cJSON_Duplicate(one, true));
    bool good = cJSON_IsArray(list) && list->child;
    for (const cJSON *item = good ? list->child : NULL; item; item = item->next) {
        good = good && cJSON_IsString(item);
        if (good) sweep_check_pointer(item->valuestring, pointer, self->found);
    }
    if (good) return list;
    problems_add(self->found, pointer, "a JSON Pointer is needed, or a list of them");
    cJSON_Delete(list);
    return NULL;
}

/* The last part of a pointer is what people call it by. */
static void make_axis_name(const cJSON *pointers, char name[64]) {
    const cJSON *first = pointers ? pointers->child : NULL;
    const char *last = first ? strrchr(first->valuestring, '/') : NULL;
    if (last) sweep_copy_text(name, 64, last + 1);
}

static void read_range(sweep_reader *self, const cJSON *range, const char *place,
                       sweep_axis *axis) {
    static const char *const members[] = {"minimum", "maximum", "scale", "integer", NULL};
    char inner[96];
    snprintf(inner, sizeof inner, "%s/range", place);
    if (!cJSON_IsObject(range)) {
        problems_add(
            self->found, inner,
            "{\"minimum\": …, \"maximum\": …, \"scale\": \"linear\" or \"log\"} is needed");
        return;
    }
    sweep_check_members(self, range, inner, members);
    const cJSON *low = sweep_member(range, "minimum"), *high = sweep_member(range, "maximum");
    const cJSON *scale = sweep_member(range, "scale"), *integer = sweep_member(range, "integer");
    if (!cJSON_IsNumber(low) || !cJSON_IsNumber(high) || !(low->valuedouble < high->valuedouble)) {
        problems_add(self->found, inner, "\"minimum\" and \"maximum\" are needed, in this order");
        return;
    }
    axis->minimum = low->valuedouble;
    axis->maximum = high->valuedouble;
    if (scale && !(cJSON_IsString(scale) && (strcmp(scale->valuestring, "log") == 0 ||
                                             strcmp(scale->valuestring, "linear") == 0)))
        problems_add(self->found, inner, "\"scale\" is \"linear\" or \"log\"");
    else
        axis->logarithmic = scale && strcmp(scale->valuestring, "log") == 0;
    if (integer && !cJSON_IsBool(integer))
        problems_add(self->found, inner, "\"integer\" is true or false");
    axis->integer = cJSON_IsTrue(integer);
    if (axis->logarithmic && axis->minimum <= 0)
        problems_add(self->found, inner, "a logarithmic range begins above 0");
}

static void read_axis(sweep_reader *self, const cJSON *from, size_t index, cJSON *canonical_axes) {
    static const char *const members[] = {"name", "pointer", "pointers", "values", "range", NULL};
    sweep_axis *axis = &self->plan->axes[self->plan->axis_count];
    char place[48];
    snprintf(place, sizeof place, "/axes/%zu", index);
    if (!cJSON_IsObject(from)) {
        problems_add(self->found, place, "an object {\"pointer\": …, \"values\": […]} is needed");
        return;
    }
    sweep_check_members(self, from, place, members);
    self->plan->axis_count++;
    cJSON *canonical = cJSON_CreateObject();
    if (!json_append(canonical_axes, canonical)) {
        self->out_of_memory = true;
        return;
    }
    cJSON *pointers = read_pointers(self, from, place);
    const char *name = sweep_read_text(self, from, place, "name", sizeof axis->name - 1);
    if (name)
        snprintf(axis->name, sizeof axis->name, "%s", name);
    else
        make_axis_name(pointers, axis->name);
    if (!*axis->name && !sweep_member(from, "name"))
        problems_add(self->found, place, "the axis needs a \"pointer\", or a \"name\"");
    sweep_put(self, canonical, "name", cJSON_CreateString(axis->name));
    const cJSON *values = sweep_member(from, "values"), *range = sweep_member(from, "range");
    if (range && !values) {
        if (cJSON_GetArraySize(pointers) != 1)
            problems_add(self->found, place, "a range needs one \"pointer\"");
        else
            axis->pointer = cJSON_GetStringValue(sweep_put(
                self, canonical, "pointer", cJSON_CreateString(pointers->child->valuestring)));
        sweep_put(self, canonical, "range", cJSON_Duplicate(range, true));
        read_range(self, range, place, axis);
        if (self->plan->strategy == SWEEP_GRID || self->plan->samples == 0)
            problems_add(self->found, place,
                         "values of a range are drawn: that needs a \"strategy\" with \"samples\"");
    } else if (!range && cJSON_IsArray(values) && values->child) {
        const size_t count = (size_t)cJSON_GetArraySize(values);
        cJSON *list = sweep_put(self, canonical, "values", cJSON_CreateArray());
        axis->levels = calloc(count, sizeof *axis->levels);
        if (!axis->levels) self->out_of_memory = true;
        size_t i = 0;
        for (const cJSON *item = values->child; item && axis->levels && list;
             item = item->next, i++) {
            sweep_level *level = &axis->levels[axis->level_count++];
            snprintf(level->place, sizeof level->place, "/axes/%zu/values/%zu", index, i);
            cJSON *one = read_level(self, item, pointers, level);
            if (one) json_append(list, one);
        }
        check_labels(self, axis);
    } else {
        problems_add(self->found, place,
                     "\"values\" is needed, a list of at least one value, or else \"range\"");
    }
    cJSON_Delete(pointers);
}

/* An axis that sets what a later one sets as a whole would be without effect; what two set alike
 * would be the last one's. */
static void check_overlaps(sweep_reader *self) {
    const sweep_plan *plan = self->plan;
    for (size_t b = 0; b < plan->axis_count; b++)
        for (size_t a = 0; a < b; a++) {
            const sweep_axis *first = &plan->axes[a], *second = &plan->axes[b];
            char place[32];
            snprintf(place, sizeof place, "/axes/%zu", b);
            if (strcmp(first->name, second->name) == 0)
                problems_add(self->found, place,
                             "two axes are called \"%s\": give this one another \"name\"",
                             second->name);
            const char *clash = NULL;
            for (size_t i = 0; i < first->level_count + (first->pointer != NULL); i++) {
                const cJSON *set = first->pointer ? NULL : first->levels[i].set;
                for (const cJSON *one = set ? set->child : NULL; one || first->pointer;
                     one = one ? one->next : NULL) {
                    const char *earlier = one ? one->string : first->pointer;
                    if (second->pointer && json_pointer_is_within(earlier, second->pointer))
                        clash = earlier;
                    for (size_t j = 0; j < second->level_count; j++)
                        for (const cJSON *other =
                                 second->levels[j].set ? second->levels[j].set->child : NULL;
                             other; other = other->next)
                            if (json_pointer_is_within(earlier, other->string)) clash = earlier;
                    if (!one) break;
                }
            }
            if (clash)
                problems_add(self->found, place,
                             "this axis overwrites %.100s, which the axis \"%s\" before it sets; "
                             "put it before that one, or make one axis of both",
                             clash, first->name);
        }
}

void sweep_read_axes(sweep_reader *self, const cJSON *from) {
    const cJSON *axes = sweep_member(from, "axes");
    cJSON *canonical = sweep_put(self, self->plan->document, "axes", cJSON_CreateArray());
    size_t index = 0;
    if (!cJSON_IsArray(axes) || !axes->child || cJSON_GetArraySize(axes) > SWEEP_MAXIMUM_AXES)
        problems_add(self->found, "/axes", "a list of 1 to %d axes is needed", SWEEP_MAXIMUM_AXES);
    else
        for (const cJSON *axis = axes->child; axis; axis = axis->next)
            read_axis(self, axis, index++, canonical);
    check_overlaps(self);
}
