/* The arms of a sweep: the points of its grid, or drawn ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/json_pointer.h"
#include "server/sweep_plan.h"

void sweep_arms_free(sweep_arm *arms, size_t count) {
    for (size_t i = 0; arms && i < count; i++) {
        cJSON_Delete(arms[i].levels);
        cJSON_Delete(arms[i].spec);
    }
    free(arms);
}

/* -- drawing
 * ------------------------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static double next_uniform(uint64_t *state) {
    return (double)(next_random(state) >> 11) / 9007199254740992.0;
}

/* A number of four digits: what people read in a table is what is trained with. */
static double draw(const sweep_axis *axis, uint64_t *state) {
    const double u = next_uniform(state);
    double value = axis->logarithmic
                       ? exp(log(axis->minimum) + u * (log(axis->maximum) - log(axis->minimum)))
                       : axis->minimum + u * (axis->maximum - axis->minimum);
    char text[32];
    if (axis->integer) {
        value = round(value);
    } else {
        snprintf(text, sizeof text, "%.4g", value);
        value = strtod(text, NULL);
    }
    return fmin(axis->maximum, fmax(axis->minimum, value));
}

/* -- making one
 * ---------------------------------------------------------------------------------------- */

static void append(char *text, size_t size, const char *more) {
    const size_t length = strlen(text);
    sweep_copy_text(text + length, size - length, more);
}

/* Adds one axis's choice to the arm: label, level, and what it sets. */
static gr_status choose(sweep_arm *arm, const sweep_axis *axis, const sweep_level *level,
                        const cJSON *drawn, problems *found, gr_error *error) {
    char text[SWEEP_LABEL_SIZE];
    if (!level && !drawn) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a sweep");
    if (level) {
        snprintf(text, sizeof text, "%s", level->label);
    } else {
        snprintf(text, sizeof text, "%.17s", drawn->valuestring);
    }
    if (*arm->label) append(arm->label, sizeof arm->label, ", ");
    if (!level || !level->named) {
        append(arm->label, sizeof arm->label, axis->name);
        append(arm->label, sizeof arm->label, "=");
    }
    append(arm->label, sizeof arm->label, text);
    if (!cJSON_AddStringToObject(arm->levels, axis->name, text))
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a sweep");
    if (!level) {
        gr_error own = {0};
        const gr_status status = json_pointer_set(arm->spec, axis->pointer, drawn, &own);
        if (status == GR_INVALID)
            problems_add(found, "/axes", "%s: %s", axis->pointer, own.message);
        return status == GR_INVALID ? GR_OK : status;
    }
    for (const cJSON *one = level->set->child; one; one = one->next) {
        gr_error own = {0};
        const gr_status status = json_pointer_set(arm->spec, one->string, one, &own);
        if (status == GR_INVALID)
            problems_add(found, level->place, "%.100s: %s", one->string, own.message);
        else
            GR_TRY(status);
    }
    return GR_OK;
}

static gr_status make_arm(const sweep_plan *plan, const size_t *choice, uint64_t *state,
                          sweep_arm *arm, problems *found, gr_error *error) {
    *arm = (sweep_arm){.levels = cJSON_CreateObject(), .spec = cJSON_Duplicate(plan->base, true)};
    if (!arm->levels || !arm->spec)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a sweep");
    for (size_t i = 0; i < plan->axis_count; i++) {
        const sweep_axis *axis = &plan->axes[i];
        cJSON *drawn = axis->pointer ? json_number(draw(axis, state)) : NULL;
        arm->chosen[i] = axis->pointer ? NULL : &axis->levels[choice[i]];
        const gr_status status = choose(arm, axis, arm->chosen[i], drawn, found, error);
        cJSON_Delete(drawn);
        GR_TRY(status);
    }
    GR_TRY(sweep_adjust_arm(plan, arm, found, error));
    /* "name" is part of what the base may hold; the experiments are named after the sweep. */
    cJSON_DeleteItemFromObjectCaseSensitive(arm->spec, "name");
    return GR_OK;
}

/* The number of grid points, or SIZE_MAX where they are far too many.
 * Axes with a range count as one. */
static size_t grid_size(const sweep_plan *plan) {
    size_t size = 1;
    for (size_t i = 0; i < plan->axis_count; i++) {
        if (plan->axes[i].pointer) continue;
        if (size > (size_t)1 << 40) return SIZE_MAX;
        size *= plan->axes[i].level_count;
    }
    return size;
}

static bool has_range(const sweep_plan *plan) {
    for (size_t i = 0; i < plan->axis_count; i++)
        if (plan->axes[i].pointer) return true;
    return false;
}

/* The grid's point number `index`, the last axis moving fastest. */
static void grid_point(const sweep_plan *plan, size_t index, size_t *choice) {
    for (size_t i = plan->axis_count; i-- > 0;) {
        const size_t count = plan->axes[i].pointer ? 1 : plan->axes[i].level_count;
        choice[i] = index % count;
        index /= count;
    }
}

static bool is_known(const sweep_arm *arms, size_t count, const sweep_arm *one) {
    for (size_t i = 0; i < count; i++)
        if (cJSON_Compare(arms[i].levels, one->levels, true)) return true;
    return false;
}

gr_status sweep_plan_arms(const sweep_plan *plan, sweep_arm **result, size_t *result_count,
                          problems *found, gr_error *error) {
    *result = NULL;
    *result_count = 0;
    const size_t grid = grid_size(plan);
    const size_t wanted = plan->samples > 0 ? (size_t)plan->samples : grid;
    if (wanted > SWEEP_MAXIMUM_ARMS)
        problems_add(found, "/axes", "the axes have %s%zu combinations; at most %d are allowed",
                     grid == SIZE_MAX ? "more than " : "",
                     grid == SIZE_MAX ? (size_t)1 << 40 : grid, SWEEP_MAXIMUM_ARMS);
    else if (!has_range(plan) && wanted > grid)
        problems_add(found, "/strategy/samples",
                     "the axes have only %zu combinations, and each is drawn once", grid);
    else if (wanted * plan->seed_count > SWEEP_MAXIMUM_EXPERIMENTS)
        problems_add(found, "/repeats",
                     "%zu arms with %zu seeds each are %zu experiments; at most %d are allowed",
                     wanted, plan->seed_count, wanted * plan->seed_count,
                     SWEEP_MAXIMUM_EXPERIMENTS);
    if (found->count) return gr_fail(error, GR_INVALID, "%s", found->items[0].detail);
    sweep_arm *arms = calloc(wanted, sizeof *arms);
    if (!arms) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a sweep");
    uint64_t state = (uint64_t)plan->sampling_seed;
    size_t count = 0, tries = 0;
    gr_status status = GR_OK;
    while (count < wanted) {
        size_t choice[SWEEP_MAXIMUM_AXES] = {0};
        size_t point = count;
        if (plan->samples > 0) point = grid > 1 ? (size_t)(next_uniform(&state) * (double)grid) : 0;
        grid_point(plan, point, choice);
        problems own = {0};
        status = make_arm(plan, choice, &state, &arms[count], &own, error);
        const bool again = plan->samples > 0 && is_known(arms, count, &arms[count]);
        if (status == GR_OK && again) {
            cJSON_Delete(arms[count].levels);
            cJSON_Delete(arms[count].spec);
            arms[count] = (sweep_arm){0};
            problems_clear(&own);
            if (++tries < 100 * wanted + 10000) continue;
            problems_add(found, "/strategy/samples",
                         "only %zu different arms were drawn; the ranges hold few values", count);
            status = gr_fail(error, GR_INVALID, "%s", found->items[0].detail);
            break;
        }
        count++;
        for (size_t i = 0; i < own.kept; i++)
            problems_add(found, own.items[i].pointer, "%s", own.items[i].detail);
        problems_clear(&own);
        if (status != GR_OK || found->count >= MAXIMUM_PROBLEMS) break;
    }
    if (json_memory_failed())
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a sweep");
    else if (status == GR_OK && found->count > 0)
        status = gr_fail(error, GR_INVALID, "%s", found->kept ? found->items[0].detail : "");
    if (status != GR_OK) {
        sweep_arms_free(arms, wanted);
        return status;
    }
    *result = arms;
    *result_count = count;
    return GR_OK;
}
