/* Reading a sweep's spec. */
#include "server/sweep_plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/json_pointer.h"
#include "server/nearest.h"

static const double largest_integer = 9007199254740991; /* 2^53 - 1 */

static const char *const strategy_names[] = {"grid", "random", "asha"};

const char *sweep_strategy_name(sweep_strategy strategy) {
    return strategy_names[strategy];
}

void sweep_copy_text(char *out, size_t size, const char *text) {
    size_t length = strlen(text);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
    }
    memmove(out, text, length);
    out[length] = 0;
}

/* -- members
 * ------------------------------------------------------------------------------------------ */

typedef struct reader {
    sweep_plan *plan;
    problems *found;
    bool out_of_memory;
} reader;

/* Reports the members that are not in `names`, and doubled ones. */
static void check_members(reader *self, const cJSON *object, const char *place,
                          const char *const *names) {
    size_t count = 0;
    while (names[count]) count++;
    for (const cJSON *item = object ? object->child : NULL; item; item = item->next) {
        char pointer[GR_PLACE_SIZE];
        snprintf(pointer, sizeof pointer, "%s/%.150s", place, item->string);
        bool known = false, doubled = false;
        for (size_t i = 0; i < count; i++) known |= strcmp(item->string, names[i]) == 0;
        for (const cJSON *before = object->child; before != item; before = before->next)
            doubled |= strcmp(before->string, item->string) == 0;
        const char *near = known ? NULL : nearest_name(item->string, names, count);
        if (!known)
            problems_add(self->found, pointer, "there is no member \"%.100s\" here%s%s%s",
                         item->string, near ? "; did you mean \"" : "", near ? near : "",
                         near ? "\"?" : "");
        else if (doubled)
            problems_add(self->found, pointer, "the member is there twice");
    }
}

static const cJSON *member(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

static int64_t read_integer(reader *self, const cJSON *object, const char *place, const char *name,
                            int64_t minimum, double maximum, int64_t otherwise) {
    const cJSON *item = member(object, name);
    if (!item) return otherwise;
    const double value = item->valuedouble;
    if (cJSON_IsNumber(item) && value == floor(value) && value >= (double)minimum &&
        value <= maximum)
        return (int64_t)value;
    char pointer[GR_PLACE_SIZE];
    snprintf(pointer, sizeof pointer, "%s/%s", place, name);
    problems_add(self->found, pointer, "a whole number from %lld to %.16g is needed",
                 (long long)minimum, maximum);
    return otherwise;
}

/* A number between the bounds, which it may not reach. */
static double read_number(reader *self, const cJSON *object, const char *place, const char *name,
                          double above, double below, double otherwise) {
    const cJSON *item = member(object, name);
    if (!item) return otherwise;
    if (cJSON_IsNumber(item) && item->valuedouble > above && item->valuedouble < below)
        return item->valuedouble;
    char pointer[GR_PLACE_SIZE];
    snprintf(pointer, sizeof pointer, "%s/%s", place, name);
    if (isinf(below))
        problems_add(self->found, pointer, "a number above %g is needed", above);
    else
        problems_add(self->found, pointer, "a number between %g and %g is needed", above, below);
    return otherwise;
}

/* A text of 1 to `maximum` bytes; NULL where it is missing or wrong. */
static const char *read_text(reader *self, const cJSON *object, const char *place, const char *name,
                             size_t maximum) {
    const cJSON *item = member(object, name);
    if (!item) return NULL;
    if (cJSON_IsString(item) && *item->valuestring && strlen(item->valuestring) <= maximum)
        return item->valuestring;
    char pointer[GR_PLACE_SIZE];
    snprintf(pointer, sizeof pointer, "%s/%s", place, name);
    problems_add(self->found, pointer, "a text of 1 to %zu bytes is needed", maximum);
    return NULL;
}

/* -- the canonical document
 * --------------------------------------------------------------------------- */

/* Adds `item` (taken over) to the object in place of one of that name; returns it, or NULL without
 * memory. */
static cJSON *put(reader *self, cJSON *object, const char *name, cJSON *item) {
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    if (item && cJSON_AddItemToObject(object, name, item)) return item;
    cJSON_Delete(item);
    self->out_of_memory = true;
    return NULL;
}

/* -- axes
 * --------------------------------------------------------------------------------------------- */

/* What a value is called that was given no label: its JSON text. */
static void make_label(reader *self, const cJSON *value, char label[SWEEP_LABEL_SIZE]) {
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
static cJSON *level_settings(reader *self, const cJSON *value, const cJSON *pointers,
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
        put(self, set, cJSON_GetArrayItem(pointers, i)->valuestring, cJSON_Duplicate(one, true));
    }
    return set;
}

/* One value: V, {"label": …, "value": V} or {"label": …, "set": {…}}. Returns its canonical form.
 */
static cJSON *read_level(reader *self, const cJSON *item, const cJSON *pointers,
                         sweep_level *level) {
    static const char *const members[] = {"label", "value", "set", "named", NULL};
    const bool object = cJSON_IsObject(item);
    cJSON *set = NULL;
    snprintf(level->value_place, sizeof level->value_place, "%s", level->place);
    if (object && member(item, "set")) {
        const cJSON *given = member(item, "set");
        char place[80];
        check_members(self, item, level->place, members);
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
        check_members(self, item, level->place, members);
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
        object ? read_text(self, item, level->place, "label", SWEEP_LABEL_SIZE - 1) : NULL;
    if (label) {
        snprintf(level->label, sizeof level->label, "%s", label);
        level->named = !cJSON_IsFalse(member(item, "named"));
    } else if (set && !*level->label) {
        problems_add(self->found, level->place, "a \"label\" is needed with \"set\"");
    }
    if (!set) return NULL;
    cJSON *canonical = cJSON_CreateObject();
    /* A label that was not given is not kept: it is made again, and unnamed again. */
    put(self, canonical, "label", cJSON_CreateString(level->label));
    level->set = put(self, canonical, "set", set);
    if (!level->named) cJSON_AddFalseToObject(canonical, "named");
    return canonical;
}

/* Two values of one label could not be told apart in a table. */
static void check_labels(reader *self, const sweep_axis *axis) {
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
static cJSON *read_pointers(reader *self, const cJSON *from, const char *place) {
    const cJSON *one = member(from, "pointer"), *many = member(from, "pointers");
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

static void read_range(reader *self, const cJSON *range, const char *place, sweep_axis *axis) {
    static const char *const members[] = {"minimum", "maximum", "scale", "integer", NULL};
    char inner[96];
    snprintf(inner, sizeof inner, "%s/range", place);
    if (!cJSON_IsObject(range)) {
        problems_add(
            self->found, inner,
            "{\"minimum\": …, \"maximum\": …, \"scale\": \"linear\" or \"log\"} is needed");
        return;
    }
    check_members(self, range, inner, members);
    const cJSON *low = member(range, "minimum"), *high = member(range, "maximum");
    const cJSON *scale = member(range, "scale"), *integer = member(range, "integer");
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

static void read_axis(reader *self, const cJSON *from, size_t index, cJSON *canonical_axes) {
    static const char *const members[] = {"name", "pointer", "pointers", "values", "range", NULL};
    sweep_axis *axis = &self->plan->axes[self->plan->axis_count];
    char place[48];
    snprintf(place, sizeof place, "/axes/%zu", index);
    if (!cJSON_IsObject(from)) {
        problems_add(self->found, place, "an object {\"pointer\": …, \"values\": […]} is needed");
        return;
    }
    check_members(self, from, place, members);
    self->plan->axis_count++;
    cJSON *canonical = cJSON_CreateObject();
    if (!json_append(canonical_axes, canonical)) {
        self->out_of_memory = true;
        return;
    }
    cJSON *pointers = read_pointers(self, from, place);
    const char *name = read_text(self, from, place, "name", sizeof axis->name - 1);
    if (name)
        snprintf(axis->name, sizeof axis->name, "%s", name);
    else
        make_axis_name(pointers, axis->name);
    if (!*axis->name && !member(from, "name"))
        problems_add(self->found, place, "the axis needs a \"pointer\", or a \"name\"");
    put(self, canonical, "name", cJSON_CreateString(axis->name));
    const cJSON *values = member(from, "values"), *range = member(from, "range");
    if (range && !values) {
        if (cJSON_GetArraySize(pointers) != 1)
            problems_add(self->found, place, "a range needs one \"pointer\"");
        else
            axis->pointer = cJSON_GetStringValue(
                put(self, canonical, "pointer", cJSON_CreateString(pointers->child->valuestring)));
        put(self, canonical, "range", cJSON_Duplicate(range, true));
        read_range(self, range, place, axis);
        if (self->plan->strategy == SWEEP_GRID || self->plan->samples == 0)
            problems_add(self->found, place,
                         "values of a range are drawn: that needs a \"strategy\" with \"samples\"");
    } else if (!range && cJSON_IsArray(values) && values->child) {
        const size_t count = (size_t)cJSON_GetArraySize(values);
        cJSON *list = put(self, canonical, "values", cJSON_CreateArray());
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
static void check_overlaps(reader *self) {
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

/* -- the rest
 * ------------------------------------------------------------------------------------------- */

static void read_strategy(reader *self, const cJSON *from) {
    static const char *const members[][6] = {
        [SWEEP_GRID] = {"type", NULL},
        [SWEEP_RANDOM] = {"type", "samples", "seed", NULL},
        [SWEEP_ASHA] = {"type", "samples", "seed", "minimum_iterations", "reduction_factor", NULL}};
    sweep_plan *plan = self->plan;
    const cJSON *item = member(from, "strategy");
    const cJSON *type = cJSON_IsObject(item) ? member(item, "type") : item;
    const char *text = type ? cJSON_GetStringValue(type) : "grid";
    int which = -1;
    for (int i = 0; i < 3; i++)
        if (text && strcmp(text, strategy_names[i]) == 0) which = i;
    cJSON *canonical = put(self, plan->document, "strategy", cJSON_CreateObject());
    if (which < 0) {
        problems_add(self->found, "/strategy",
                     "\"grid\", \"random\" or \"asha\" is needed, or an object with that as "
                     "\"type\"");
        return;
    }
    plan->strategy = (sweep_strategy)which;
    put(self, canonical, "type", cJSON_CreateString(text));
    const cJSON *options = cJSON_IsObject(item) ? item : NULL;
    check_members(self, options, "/strategy", members[which]);
    if (which == SWEEP_GRID) return;
    plan->samples = read_integer(self, options, "/strategy", "samples", 1, SWEEP_MAXIMUM_ARMS, 0);
    plan->sampling_seed = read_integer(self, options, "/strategy", "seed", 0, largest_integer, 1);
    if (which == SWEEP_RANDOM && !(options && member(options, "samples")))
        problems_add(self->found, "/strategy", "\"samples\" is needed: how many arms to draw");
    if (plan->samples) put(self, canonical, "samples", json_integer(plan->samples));
    if (plan->samples) put(self, canonical, "seed", json_integer(plan->sampling_seed));
    if (which == SWEEP_RANDOM) return;
    plan->minimum_iterations =
        read_integer(self, options, "/strategy", "minimum_iterations", 1, 1e9, 0);
    plan->reduction_factor = read_integer(self, options, "/strategy", "reduction_factor", 2, 10, 3);
    if (!(options && member(options, "minimum_iterations")))
        problems_add(
            self->found, "/strategy",
            "\"minimum_iterations\" is needed: the training that every arm gets before the "
            "first are dropped");
    put(self, canonical, "minimum_iterations", json_integer(plan->minimum_iterations));
    put(self, canonical, "reduction_factor", json_integer(plan->reduction_factor));
}

static void read_seeds(reader *self, const cJSON *from) {
    sweep_plan *plan = self->plan;
    const cJSON *list = member(from, "seeds");
    if (list && (member(from, "repeats") || member(from, "first_seed"))) {
        problems_add(
            self->found, "/seeds",
            "\"seeds\" names them one by one: \"repeats\" and \"first_seed\" have no place "
            "beside it");
        return;
    }
    const int64_t repeats =
        read_integer(self, from, "", "repeats", 1, SWEEP_MAXIMUM_EXPERIMENTS, 1);
    const int64_t first = read_integer(self, from, "", "first_seed", 0,
                                       largest_integer - SWEEP_MAXIMUM_EXPERIMENTS, 1);
    if (list && (!cJSON_IsArray(list) || !list->child ||
                 cJSON_GetArraySize(list) > SWEEP_MAXIMUM_EXPERIMENTS)) {
        problems_add(self->found, "/seeds", "a list of 1 to %d whole numbers is needed",
                     SWEEP_MAXIMUM_EXPERIMENTS);
        return;
    }
    plan->seed_count = list ? (size_t)cJSON_GetArraySize(list) : (size_t)repeats;
    plan->seeds = calloc(plan->seed_count, sizeof *plan->seeds);
    cJSON *canonical = put(self, plan->document, "seeds", cJSON_CreateArray());
    if (!plan->seeds || !canonical) {
        self->out_of_memory = true;
        return;
    }
    const cJSON *item = list ? list->child : NULL;
    for (size_t i = 0; i < plan->seed_count; i++, item = item ? item->next : NULL) {
        char place[32];
        snprintf(place, sizeof place, "/seeds/%zu", i);
        plan->seeds[i] = list ? (int64_t)item->valuedouble : first + (int64_t)i;
        if (list && !(cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble) &&
                      item->valuedouble >= 0 && item->valuedouble <= largest_integer))
            problems_add(self->found, place, "a seed is a whole number from 0 to 2^53 - 1");
        for (size_t j = 0; j < i; j++)
            if (list && plan->seeds[j] == plan->seeds[i]) {
                problems_add(self->found, place, "the seed %lld is there twice",
                             (long long)plan->seeds[i]);
                break;
            }
        json_append(canonical, json_integer(plan->seeds[i]));
    }
}

const sweep_axis *sweep_axis_named(const sweep_plan *plan, const char *name) {
    for (size_t i = 0; i < plan->axis_count; i++)
        if (strcmp(plan->axes[i].name, name) == 0) return &plan->axes[i];
    return NULL;
}

static void read_baseline(reader *self, const cJSON *from) {
    sweep_plan *plan = self->plan;
    const cJSON *item = member(from, "baseline");
    put(self, plan->document, "baseline", item ? cJSON_Duplicate(item, true) : cJSON_CreateNull());
    if (!item) return;
    if (!cJSON_IsObject(item) || !item->child || plan->samples > 0) {
        problems_add(self->found, "/baseline",
                     plan->samples > 0
                         ? "drawn arms have no baseline by axis; ask for one with the table"
                         : "an object {axis: label, …} is needed");
        return;
    }
    for (const cJSON *one = item->child; one; one = one->next) {
        char place[GR_PLACE_SIZE];
        snprintf(place, sizeof place, "/baseline/%.100s", one->string);
        const sweep_axis *axis = sweep_axis_named(plan, one->string);
        bool known = false;
        for (size_t i = 0; axis && i < axis->level_count; i++)
            known |= cJSON_IsString(one) && strcmp(axis->levels[i].label, one->valuestring) == 0;
        if (!axis)
            problems_add(self->found, place, "no axis is called \"%.80s\"", one->string);
        else if (!known)
            problems_add(self->found, place, "the axis \"%s\" has no value with this label",
                         axis->name);
    }
    plan->baseline = cJSON_GetObjectItemCaseSensitive(plan->document, "baseline");
}

static void read_adjust(reader *self, const cJSON *from) {
    const cJSON *given = member(from, "adjust");
    if (!given) return;
    sweep_plan *plan = self->plan;
    plan->adjust = put(self, plan->document, "adjust", cJSON_Duplicate(given, true));
    if (plan->adjust) sweep_adjust_check(plan, self->found);
}

static void read_until(reader *self, const cJSON *from) {
    static const char *const members[] = {"width", "of", "maximum_repeats", NULL};
    sweep_plan *plan = self->plan;
    const cJSON *item = member(from, "until");
    put(self, plan->document, "until", item ? cJSON_Duplicate(item, true) : cJSON_CreateNull());
    if (!item) return;
    if (!cJSON_IsObject(item)) {
        problems_add(self->found, "/until",
                     "an object {\"width\": …, \"maximum_repeats\": …} is needed");
        return;
    }
    check_members(self, item, "/until", members);
    plan->until_width = read_number(self, item, "/until", "width", 0, INFINITY, 0);
    plan->until_repeats = read_integer(self, item, "/until", "maximum_repeats", 2, 1000, 0);
    if (!member(item, "width")) problems_add(self->found, "/until", "\"width\" is needed");
    if (!member(item, "maximum_repeats"))
        problems_add(self->found, "/until",
                     "\"maximum_repeats\" is needed: at most so many seeds for each arm");
    const cJSON *of = member(item, "of");
    const char *what = of ? cJSON_GetStringValue(of) : "mean";
    if (!what || (strcmp(what, "mean") != 0 && strcmp(what, "difference") != 0))
        problems_add(self->found, "/until/of", "\"mean\" or \"difference\" is needed");
    else
        plan->until_difference = strcmp(what, "difference") == 0;
    if (plan->until_difference && !plan->baseline)
        problems_add(self->found, "/until/of", "a difference needs a \"baseline\" to differ from");
    if (plan->strategy == SWEEP_ASHA)
        problems_add(self->found, "/until", "successive halving drops arms, it adds no seeds");
}

static void read_base(reader *self, const cJSON *from) {
    sweep_plan *plan = self->plan;
    const cJSON *base = member(from, "base");
    if (!cJSON_IsObject(base)) {
        problems_add(self->found, "/base", "an experiment's spec is needed, as an object");
        plan->base = put(self, plan->document, "base", cJSON_CreateObject());
        return;
    }
    if (cJSON_HasObjectItem(base, "seed"))
        problems_add(
            self->found, "/base/seed",
            "a sweep's seeds come from \"repeats\" and \"first_seed\", or \"seeds\"; leave "
            "this one out");
    plan->base = put(self, plan->document, "base", cJSON_Duplicate(base, true));
}

static void read_all(reader *self, const cJSON *from) {
    static const char *const members[] = {
        "name",  "tags",       "base",     "axes",   "adjust",     "strategy", "repeats",
        "seeds", "first_seed", "baseline", "metric", "confidence", "until",    NULL};
    sweep_plan *plan = self->plan;
    check_members(self, from, "", members);
    const char *name = read_text(self, from, "", "name", 120);
    const cJSON *base_name = member(member(from, "base"), "name");
    char made[121] = "sweep";
    if (!name && cJSON_IsString(base_name))
        sweep_copy_text(made, sizeof made, base_name->valuestring);
    cJSON *item = put(self, plan->document, "name", cJSON_CreateString(name ? name : made));
    plan->name = item ? item->valuestring : "";
    const cJSON *tags = member(from, "tags");
    bool texts = !tags || cJSON_IsObject(tags);
    for (const cJSON *one = texts && tags ? tags->child : NULL; one; one = one->next)
        texts = texts && cJSON_IsString(one);
    if (!texts) problems_add(self->found, "/tags", "an object of texts is needed");
    plan->tags = put(self, plan->document, "tags",
                     texts && tags ? cJSON_Duplicate(tags, true) : cJSON_CreateObject());
    read_base(self, from);
    read_strategy(self, from);
    const cJSON *axes = member(from, "axes");
    cJSON *canonical = put(self, plan->document, "axes", cJSON_CreateArray());
    size_t index = 0;
    if (!cJSON_IsArray(axes) || !axes->child || cJSON_GetArraySize(axes) > SWEEP_MAXIMUM_AXES)
        problems_add(self->found, "/axes", "a list of 1 to %d axes is needed", SWEEP_MAXIMUM_AXES);
    else
        for (const cJSON *axis = axes->child; axis; axis = axis->next)
            read_axis(self, axis, index++, canonical);
    check_overlaps(self);
    read_adjust(self, from);
    read_seeds(self, from);
    const char *metric = read_text(self, from, "", "metric", 63);
    item = put(self, plan->document, "metric",
               cJSON_CreateString(metric                         ? metric
                                  : plan->strategy == SWEEP_ASHA ? "validation_accuracy"
                                                                 : "test_accuracy"));
    plan->metric = item ? item->valuestring : "";
    plan->confidence = read_number(self, from, "", "confidence", 0, 1, 0.95);
    put(self, plan->document, "confidence", json_number(plan->confidence));
    read_baseline(self, from);
    read_until(self, from);
}

gr_status sweep_plan_parse(const char *text, size_t length, sweep_plan *plan, bool *malformed,
                           problems *found) {
    *plan = (sweep_plan){0};
    *malformed = false;
    cJSON *posted;
    gr_error error = {0};
    gr_status status = json_parse(text, length, &posted, &error);
    if (status == GR_INVALID) {
        *malformed = true;
        problems_add(found, "", "%s", error.message);
    }
    if (status != GR_OK) return status;
    reader self = {.plan = plan, .found = found};
    plan->document = cJSON_CreateObject();
    if (!cJSON_IsObject(posted))
        problems_add(found, "", "a sweep is an object with \"base\" and \"axes\"");
    else if (plan->document)
        read_all(&self, posted);
    else
        self.out_of_memory = true;
    cJSON_Delete(posted);
    /* Without memory things are missing that were given: what is found then is not the sweep's. */
    status = self.out_of_memory || json_memory_failed() ? GR_OUT_OF_MEMORY
             : found->count > 0                         ? GR_INVALID
                                                        : GR_OK;
    if (status == GR_OUT_OF_MEMORY) problems_clear(found);
    if (status != GR_OK) sweep_plan_clear(plan);
    return status;
}

void sweep_plan_clear(sweep_plan *plan) {
    for (size_t i = 0; i < plan->axis_count; i++) free(plan->axes[i].levels);
    free(plan->seeds);
    cJSON_Delete(plan->document);
    *plan = (sweep_plan){0};
}

int64_t sweep_plan_seed(const sweep_plan *plan, size_t index) {
    if (index < plan->seed_count) return plan->seeds[index];
    int64_t greatest = plan->seeds[0];
    for (size_t i = 1; i < plan->seed_count; i++)
        if (plan->seeds[i] > greatest) greatest = plan->seeds[i];
    const int64_t next = greatest + 1 + (int64_t)(index - plan->seed_count);
    return next <= (int64_t)largest_integer ? next : next - (int64_t)largest_integer - 1;
}
