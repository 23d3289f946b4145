/* Reading a sweep's spec. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/metric_names.h"
#include "server/nearest.h"
#include "server/sweep_plan_internal.h"

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

void sweep_check_members(sweep_reader *self, const cJSON *object, const char *place,
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

const cJSON *sweep_member(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item && !cJSON_IsNull(item) ? item : NULL;
}

static int64_t read_integer(sweep_reader *self, const cJSON *object, const char *place,
                            const char *name, int64_t minimum, double maximum, int64_t otherwise) {
    const cJSON *item = sweep_member(object, name);
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
static double read_number(sweep_reader *self, const cJSON *object, const char *place,
                          const char *name, double above, double below, double otherwise) {
    const cJSON *item = sweep_member(object, name);
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

const char *sweep_read_text(sweep_reader *self, const cJSON *object, const char *place,
                            const char *name, size_t maximum) {
    const cJSON *item = sweep_member(object, name);
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

cJSON *sweep_put(sweep_reader *self, cJSON *object, const char *name, cJSON *item) {
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    if (item && cJSON_AddItemToObject(object, name, item)) return item;
    cJSON_Delete(item);
    self->out_of_memory = true;
    return NULL;
}

/* -- the rest
 * ------------------------------------------------------------------------------------------- */

static void read_strategy(sweep_reader *self, const cJSON *from) {
    static const char *const members[][6] = {
        [SWEEP_GRID] = {"type", NULL},
        [SWEEP_RANDOM] = {"type", "samples", "seed", NULL},
        [SWEEP_ASHA] = {"type", "samples", "seed", "minimum_iterations", "reduction_factor", NULL}};
    sweep_plan *plan = self->plan;
    const cJSON *item = sweep_member(from, "strategy");
    const cJSON *type = cJSON_IsObject(item) ? sweep_member(item, "type") : item;
    const char *text = type ? cJSON_GetStringValue(type) : "grid";
    int which = -1;
    for (int i = 0; i < 3; i++)
        if (text && strcmp(text, strategy_names[i]) == 0) which = i;
    cJSON *canonical = sweep_put(self, plan->document, "strategy", cJSON_CreateObject());
    if (which < 0) {
        problems_add(self->found, "/strategy",
                     "\"grid\", \"random\" or \"asha\" is needed, or an object with that as "
                     "\"type\"");
        return;
    }
    plan->strategy = (sweep_strategy)which;
    sweep_put(self, canonical, "type", cJSON_CreateString(text));
    const cJSON *options = cJSON_IsObject(item) ? item : NULL;
    sweep_check_members(self, options, "/strategy", members[which]);
    if (which == SWEEP_GRID) return;
    plan->samples = read_integer(self, options, "/strategy", "samples", 1, SWEEP_MAXIMUM_ARMS, 0);
    plan->sampling_seed = read_integer(self, options, "/strategy", "seed", 0, largest_integer, 1);
    if (which == SWEEP_RANDOM && !(options && sweep_member(options, "samples")))
        problems_add(self->found, "/strategy", "\"samples\" is needed: how many arms to draw");
    if (plan->samples) sweep_put(self, canonical, "samples", json_integer(plan->samples));
    if (plan->samples) sweep_put(self, canonical, "seed", json_integer(plan->sampling_seed));
    if (which == SWEEP_RANDOM) return;
    plan->minimum_iterations =
        read_integer(self, options, "/strategy", "minimum_iterations", 1, 1e9, 0);
    plan->reduction_factor = read_integer(self, options, "/strategy", "reduction_factor", 2, 10, 3);
    if (!(options && sweep_member(options, "minimum_iterations")))
        problems_add(
            self->found, "/strategy",
            "\"minimum_iterations\" is needed: the training that every arm gets before the "
            "first are dropped");
    sweep_put(self, canonical, "minimum_iterations", json_integer(plan->minimum_iterations));
    sweep_put(self, canonical, "reduction_factor", json_integer(plan->reduction_factor));
}

static void read_seeds(sweep_reader *self, const cJSON *from) {
    sweep_plan *plan = self->plan;
    const cJSON *list = sweep_member(from, "seeds");
    if (list && (sweep_member(from, "repeats") || sweep_member(from, "first_seed"))) {
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
    cJSON *canonical = sweep_put(self, plan->document, "seeds", cJSON_CreateArray());
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

static void read_baseline(sweep_reader *self, const cJSON *from) {
    sweep_plan *plan = self->plan;
    const cJSON *item = sweep_member(from, "baseline");
    sweep_put(self, plan->document, "baseline",
              item ? cJSON_Duplicate(item, true) : cJSON_CreateNull());
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

static void read_adjust(sweep_reader *self, const cJSON *from) {
    const cJSON *given = sweep_member(from, "adjust");
    if (!given) return;
    sweep_plan *plan = self->plan;
    plan->adjust = sweep_put(self, plan->document, "adjust", cJSON_Duplicate(given, true));
    if (plan->adjust) sweep_adjust_check(plan, self->found);
}

static void read_until(sweep_reader *self, const cJSON *from) {
    static const char *const members[] = {"width", "of", "maximum_repeats", NULL};
    sweep_plan *plan = self->plan;
    const cJSON *item = sweep_member(from, "until");
    sweep_put(self, plan->document, "until",
              item ? cJSON_Duplicate(item, true) : cJSON_CreateNull());
    if (!item) return;
    if (!cJSON_IsObject(item)) {
        problems_add(self->found, "/until",
                     "an object {\"width\": …, \"maximum_repeats\": …} is needed");
        return;
    }
    sweep_check_members(self, item, "/until", members);
    plan->until_width = read_number(self, item, "/until", "width", 0, INFINITY, 0);
    plan->until_repeats = read_integer(self, item, "/until", "maximum_repeats", 2, 1000, 0);
    if (!sweep_member(item, "width")) problems_add(self->found, "/until", "\"width\" is needed");
    if (!sweep_member(item, "maximum_repeats"))
        problems_add(self->found, "/until",
                     "\"maximum_repeats\" is needed: at most so many seeds for each arm");
    const cJSON *of = sweep_member(item, "of");
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

static void read_base(sweep_reader *self, const cJSON *from) {
    sweep_plan *plan = self->plan;
    const cJSON *base = sweep_member(from, "base");
    if (!cJSON_IsObject(base)) {
        problems_add(self->found, "/base", "an experiment's spec is needed, as an object");
        plan->base = sweep_put(self, plan->document, "base", cJSON_CreateObject());
        return;
    }
    if (cJSON_HasObjectItem(base, "seed"))
        problems_add(
            self->found, "/base/seed",
            "a sweep's seeds come from \"repeats\" and \"first_seed\", or \"seeds\"; leave "
            "this one out");
    plan->base = sweep_put(self, plan->document, "base", cJSON_Duplicate(base, true));
}

/* What is compared unless the sweep says so: a regression has no accuracy, and successive halving
 * decides before the test. */
static const char *default_metric(const sweep_plan *plan) {
    const cJSON *loss = cJSON_GetObjectItemCaseSensitive(plan->base, "loss");
    const char *type = cJSON_GetStringValue(sweep_member(loss, "type"));
    const bool regression = type && strcmp(type, "squared_error") == 0;
    if (plan->strategy == SWEEP_ASHA) return regression ? "validation_loss" : "validation_accuracy";
    return regression ? "test_loss" : "test_accuracy";
}

static void read_metric(sweep_reader *self, const cJSON *from) {
    sweep_plan *plan = self->plan;
    const char *given = sweep_read_text(self, from, "", "metric", 63), *nearest;
    const cJSON *item = sweep_put(self, plan->document, "metric",
                                  cJSON_CreateString(given ? given : default_metric(plan)));
    plan->metric = item ? item->valuestring : "";
    if (!item) return;
    if (!metric_is_possible(plan->metric, &nearest))
        problems_add(self->found, "/metric", "no metric is called \"%s\"%s%s%s", plan->metric,
                     nearest ? "; did you mean \"" : ": there are test_accuracy, test_loss, …",
                     nearest ? nearest : "", nearest ? "\"?" : "");
    else if (plan->strategy == SWEEP_ASHA && !metric_is_evaluated(plan->metric))
        problems_add(self->found, "/metric",
                     "\"%s\" is not known at the rungs: successive halving decides by what each "
                     "evaluation measures, validation_accuracy or validation_loss",
                     plan->metric);
}

static void read_all(sweep_reader *self, const cJSON *from) {
    static const char *const members[] = {
        "name",  "tags",       "base",     "axes",   "adjust",     "strategy", "repeats",
        "seeds", "first_seed", "baseline", "metric", "confidence", "until",    NULL};
    sweep_plan *plan = self->plan;
    sweep_check_members(self, from, "", members);
    const char *name = sweep_read_text(self, from, "", "name", 120);
    const cJSON *base_name = sweep_member(sweep_member(from, "base"), "name");
    char made[121] = "sweep";
    if (!name && cJSON_IsString(base_name))
        sweep_copy_text(made, sizeof made, base_name->valuestring);
    cJSON *item = sweep_put(self, plan->document, "name", cJSON_CreateString(name ? name : made));
    plan->name = item ? item->valuestring : "";
    const cJSON *tags = sweep_member(from, "tags");
    bool texts = !tags || cJSON_IsObject(tags);
    for (const cJSON *one = texts && tags ? tags->child : NULL; one; one = one->next)
        texts = texts && cJSON_IsString(one);
    if (!texts) problems_add(self->found, "/tags", "an object of texts is needed");
    plan->tags = sweep_put(self, plan->document, "tags",
                           texts && tags ? cJSON_Duplicate(tags, true) : cJSON_CreateObject());
    read_base(self, from);
    read_strategy(self, from);
    sweep_read_axes(self, from);
    read_adjust(self, from);
    read_seeds(self, from);
    read_metric(self, from);
    plan->confidence = read_number(self, from, "", "confidence", 0, 1, 0.95);
    if (plan->confidence < 0.5)
        problems_add(self->found, "/confidence", "a number from 0.5 to below 1 is needed");
    sweep_put(self, plan->document, "confidence", json_number(plan->confidence));
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
    sweep_reader self = {.plan = plan, .found = found};
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
