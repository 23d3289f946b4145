#include "server/sweep_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gradreg/processor.h"
#include "server/experiment_setup.h"
#include "server/initial_model.h"
#include "server/json_pointer.h"

/* -- metrics and rungs
 * ---------------------------------------------------------------------------------- */

sweep_direction sweep_metric_direction(const char *metric) {
    if (strstr(metric, "accuracy")) return SWEEP_HIGHER;
    static const char *const lower[] = {"loss", "error", "objective", "seconds"};
    for (size_t i = 0; i < sizeof lower / sizeof *lower; i++)
        if (strstr(metric, lower[i])) return SWEEP_LOWER;
    return SWEEP_UNKNOWN;
}

void sweep_make_ladder(const sweep_plan *plan, int64_t iterations, int64_t every,
                       sweep_ladder *ladder) {
    *ladder =
        (sweep_ladder){.factor = plan->reduction_factor,
                       .metric = plan->metric,
                       .higher_is_better = sweep_metric_direction(plan->metric) != SWEEP_LOWER};
    if (plan->strategy != SWEEP_ASHA) return;
    const double last = (double)iterations;
    for (double next = (double)plan->minimum_iterations; ladder->count < SWEEP_MAXIMUM_RUNGS;
         next *= (double)plan->reduction_factor) {
        const double stop = ceil(next / (double)every) * (double)every;
        if (stop >= last) return;
        if (ladder->count > 0 && stop <= (double)ladder->stops[ladder->count - 1]) continue;
        ladder->stops[ladder->count++] = (int64_t)stop;
    }
}

/* How often a canonical spec's training is measured: at the latest at its end. */
static int64_t measured_every(const cJSON *document, int64_t iterations) {
    const cJSON *every = json_pointer_get(document, "/training/evaluate_every");
    return cJSON_IsNumber(every) && every->valuedouble >= 1 ? (int64_t)every->valuedouble
                                                            : iterations;
}

gr_status sweep_ladder_of(const sweep_plan *plan, const sweep_arm_row *arm, sweep_ladder *ladder,
                          gr_error *error) {
    cJSON *document = cJSON_Parse(arm->spec);
    if (!document) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    sweep_make_ladder(plan, arm->iterations, measured_every(document, arm->iterations), ladder);
    cJSON_Delete(document);
    return GR_OK;
}

/* -- problems
 * ------------------------------------------------------------------------------------------ */

static void add_once(problems *found, const char *pointer, const char *detail) {
    for (size_t i = 0; i < found->kept; i++)
        if (strcmp(found->items[i].pointer, pointer) == 0 &&
            strcmp(found->items[i].detail, detail) == 0)
            return;
    problems_add(found, pointer, "%s", detail);
}

/* Where in the sweep the place of an arm's spec comes from: the last adjustment or axis that set
 * it, or something in it, or what it is in. */
static void place_in_sweep(const sweep_plan *plan, const sweep_arm *arm, const char *place,
                           char *pointer, size_t size) {
    for (int i = cJSON_GetArraySize(plan->adjust); i-- > 0;) {
        const cJSON *rule = cJSON_GetArrayItem(plan->adjust, i);
        const cJSON *set = cJSON_GetObjectItemCaseSensitive(rule, "set");
        if (!sweep_adjust_applies(rule, arm->levels)) continue;
        for (const cJSON *one = set->child; one; one = one->next) {
            if (!json_pointer_is_within(place, one->string)) continue;
            snprintf(pointer, size, "/adjust/%d/set", i);
            return;
        }
    }
    for (size_t i = plan->axis_count; i-- > 0;) {
        const sweep_level *level = arm->chosen[i];
        if (!level) {
            if (!json_pointer_is_within(place, plan->axes[i].pointer)) continue;
            snprintf(pointer, size, "/axes/%zu/range", i);
            return;
        }
        for (const cJSON *one = level->set->child; one; one = one->next) {
            const bool within = json_pointer_is_within(place, one->string);
            if (!within && !(json_pointer_is_within(one->string, place) && *place)) continue;
            const bool alone = level->set->child->next == NULL;
            snprintf(pointer, size, "%s%.120s", alone ? level->value_place : level->place,
                     within && alone ? place + strlen(one->string) : "");
            return;
        }
    }
    snprintf(pointer, size, "/base%.200s", place);
}

static void take_problems(const sweep_plan *plan, const sweep_arm *arm, const problems *own,
                          problems *found) {
    for (size_t i = 0; i < own->kept; i++) {
        char pointer[GR_PLACE_SIZE], detail[GR_MESSAGE_SIZE];
        place_in_sweep(plan, arm, own->items[i].pointer, pointer, sizeof pointer);
        if (strncmp(pointer, "/base", 5) == 0) /* probably the same for every arm */
            snprintf(detail, sizeof detail, "%s", own->items[i].detail);
        else
            snprintf(detail, sizeof detail, "arm \"%.100s\": %.380s", arm->label,
                     own->items[i].detail);
        add_once(found, pointer, detail);
    }
}

/* -- arms
 * ---------------------------------------------------------------------------------------------- */

static gr_status check_initial_model(struct api *api, const experiment_setup *setup,
                                     problems *found, gr_error *error) {
    gr_arrays model = {0};
    const gr_status status = initial_model_load(setup, api->store, &model, error);
    if (status == GR_INVALID || status == GR_CORRUPT || status == GR_NOT_FOUND)
        problems_add(found, error->place, "%s", error->message);
    gr_arrays_clear(&model);
    return status;
}

static gr_status check_limits(const struct api *api, const sweep_plan *plan,
                              const experiment_setup *setup, problems *found) {
    const int64_t needed = setup->estimate.memory_bytes;
    if (api->memory_limit > 0 && needed > api->memory_limit)
        problems_add(found, "/training/batch_size",
                     "this training would take %lld MiB of memory, and this server allows %lld MiB "
                     "(memory_limit): make the batch, the model or the number of probes smaller",
                     (long long)(needed >> 20), (long long)(api->memory_limit >> 20));
    if (plan->strategy == SWEEP_ASHA && plan->minimum_iterations >= setup->iterations)
        problems_add(found, "/training/iterations",
                     "successive halving from minimum_iterations %lld needs more iterations than "
                     "%lld",
                     (long long)plan->minimum_iterations, (long long)setup->iterations);
    return found->count ? GR_INVALID : GR_OK;
}

static gr_status fill_row(const sweep_arm *arm, const experiment_setup *setup, sweep_arm_row *row,
                          gr_error *error) {
    row->label = strdup(arm->label);
    row->levels = json_text(arm->levels);
    row->spec = strdup(setup->canonical);
    row->data_hash = strdup(setup->data_hash);
    row->engine_version = strdup(gr_engine_version());
    row->iterations = setup->iterations;
    row->iteration_operations = setup->estimate.iteration_operations;
    row->memory_bytes = setup->estimate.memory_bytes;
    if (row->label && row->levels && row->spec && row->data_hash && row->engine_version)
        return GR_OK;
    return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
}

static gr_status check_arm(struct api *api, const sweep_plan *plan, const sweep_arm *arm,
                           sweep_arm_row *row, problems *found, gr_error *error) {
    experiment_setup setup = {0};
    problems own = {0};
    bool malformed = false;
    gr_status status = GR_OUT_OF_MEMORY;
    const bool seeded = json_put(arm->spec, "seed", json_integer(plan->seeds[0]));
    char *text = seeded ? json_text(arm->spec) : NULL;
    if (text)
        status =
            experiment_setup_check(text, strlen(text), api->data, &setup, &malformed, &own, error);
    else
        gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) status = check_limits(api, plan, &setup, &own);
    if (status == GR_OK) status = check_initial_model(api, &setup, &own, error);
    if (status == GR_OK) status = fill_row(arm, &setup, row, error);
    take_problems(plan, arm, &own, found);
    free(text);
    problems_clear(&own);
    experiment_setup_clear(&setup);
    return status;
}

/* Arms of different length have no common rungs. */
static void check_lengths(const sweep_setup *setup, problems *found) {
    if (setup->plan.strategy != SWEEP_ASHA) return;
    for (size_t i = 1; i < setup->arm_count; i++)
        if (setup->arms[i].iterations != setup->arms[0].iterations) {
            problems_add(found, "/axes",
                         "successive halving needs arms of the same length: \"%.80s\" has %lld "
                         "iterations and \"%.80s\" %lld",
                         setup->arms[0].label, (long long)setup->arms[0].iterations,
                         setup->arms[i].label, (long long)setup->arms[i].iterations);
            return;
        }
}

static gr_status check_arms(struct api *api, sweep_setup *setup, problems *found, gr_error *error) {
    sweep_arm *arms;
    size_t count;
    GR_TRY(sweep_plan_arms(&setup->plan, &arms, &count, found, error));
    gr_status status = GR_OK;
    setup->arms = calloc(count, sizeof *setup->arms);
    if (!setup->arms) status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count && status == GR_OK; i++) {
        sweep_arm_row *row = &setup->arms[setup->arm_count++];
        row->arm = (int64_t)i;
        status = check_arm(api, &setup->plan, &arms[i], row, found, error);
        /* What is wrong with one arm does not hide what is wrong with the next. */
        if (status != GR_OK && found->count > 0 && found->count < MAXIMUM_PROBLEMS) status = GR_OK;
        setup->operations +=
            row->iteration_operations * (double)row->iterations * (double)setup->plan.seed_count;
    }
    sweep_arms_free(arms, count);
    GR_TRY(status);
    if (found->count == 0) check_lengths(setup, found);
    if (found->count > 0)
        return gr_fail(error, GR_INVALID, "%s", found->kept ? found->items[0].detail : "");
    return sweep_ladder_of(&setup->plan, &setup->arms[0], &setup->ladder, error);
}

gr_status sweep_check(struct api *api, const char *text, size_t length, sweep_setup *setup,
                      bool *malformed, problems *found, gr_error *error) {
    *setup = (sweep_setup){0};
    gr_status status = sweep_plan_parse(text, length, &setup->plan, malformed, found);
    if (status != GR_OK)
        return gr_fail(error, status, "%s", found->kept ? found->items[0].detail : "out of memory");
    status = check_arms(api, setup, found, error);
    if (status != GR_OK) sweep_setup_clear(setup);
    return status;
}

void sweep_setup_clear(sweep_setup *setup) {
    sweep_arm_rows_free(setup->arms, setup->arm_count);
    sweep_plan_clear(&setup->plan);
    *setup = (sweep_setup){0};
}
