/* A sweep's spec: from its text to axes, arms and seeds, all errors at once, each with its JSON
 * Pointer into the sweep; and back to its canonical form. docs/sweeps.md describes it. */
#ifndef SERVER_SWEEP_PLAN_H
#define SERVER_SWEEP_PLAN_H

#include "server/json.h"

enum {
    SWEEP_MAXIMUM_AXES = 8,
    SWEEP_MAXIMUM_ARMS = 1000,
    SWEEP_MAXIMUM_EXPERIMENTS = 10000,
    SWEEP_MAXIMUM_RUNGS = 20,
    SWEEP_LABEL_SIZE = 160
};

typedef enum sweep_strategy { SWEEP_GRID, SWEEP_RANDOM, SWEEP_ASHA } sweep_strategy;
const char *sweep_strategy_name(sweep_strategy strategy); /* "grid", "random", "asha" */

/* One value of an axis: what it sets in the spec. */
typedef struct sweep_level {
    char label[SWEEP_LABEL_SIZE];
    bool named;           /* the label says by itself what it is */
    const cJSON *set;     /* object: pointer → value; borrowed from sweep_plan.document */
    char place[64];       /* of the value in what was posted: "/axes/0/values/2" */
    char value_place[80]; /* of what the first pointer is set to */
} sweep_level;

typedef struct sweep_axis {
    char name[64];
    sweep_level *levels; /* owned; none where values are drawn from a range */
    size_t level_count;
    /* A range: one pointer, whose value is drawn. */
    const char *pointer; /* NULL: levels; borrowed from the document */
    double minimum, maximum;
    bool logarithmic, integer;
} sweep_axis;

typedef struct sweep_plan {
    cJSON *document; /* owned: the canonical sweep, which sweep_plan_parse takes too */
    const char *name;
    const cJSON *tags, *base;
    sweep_axis axes[SWEEP_MAXIMUM_AXES];
    size_t axis_count;
    const cJSON *adjust; /* array, see sweep_adjust_check; NULL: none */
    sweep_strategy strategy;
    int64_t samples;       /* arms to draw; 0: the whole grid */
    int64_t sampling_seed; /* of the drawing */
    int64_t minimum_iterations,
        reduction_factor; /* asha: the first rung, and each is so many times the one before */
    int64_t *seeds;       /* owned */
    size_t seed_count;
    const cJSON *baseline; /* object: axis → label; NULL: none */
    const char *metric;
    double confidence;
    double until_width;    /* 0: no seeds are added */
    bool until_difference; /* the width of the difference to the baseline, not of the mean */
    int64_t until_repeats; /* at most so many seeds for each arm */
} sweep_plan;

/* GR_INVALID with at least one problem; *malformed where it is not even JSON. GR_OUT_OF_MEMORY also
 * where json_memory_failed before. */
gr_status sweep_plan_parse(const char *text, size_t length, sweep_plan *plan, bool *malformed,
                           problems *found);
void sweep_plan_clear(sweep_plan *plan);

/* One arm: a point of the axes. */
typedef struct sweep_arm {
    char label[2 * SWEEP_LABEL_SIZE];
    cJSON *levels; /* owned object: axis → label */
    cJSON *spec;   /* owned: the base with what the levels set, without name and seed */
    const sweep_level *chosen[SWEEP_MAXIMUM_AXES]; /* NULL: drawn from the axis's range */
} sweep_arm;
/* *arms is an array of *count, owned by the caller (sweep_arms_free). The same plan gives the same
 * arms. */
gr_status sweep_plan_arms(const sweep_plan *plan, sweep_arm **arms, size_t *count, problems *found,
                          gr_error *error);
void sweep_arms_free(sweep_arm *arms, size_t count);

/* "adjust": what some combinations of labels set after all axes, a list of
 * {"when": {axis: label or list of labels, …}, "set": {pointer: value, …}}. The check reports what
 * is wrong with plan->adjust. */
void sweep_adjust_check(const sweep_plan *plan, problems *found);
/* Whether `rule`, an item of plan->adjust, is about an arm with these levels. */
bool sweep_adjust_applies(const cJSON *rule, const cJSON *levels);
/* Applies to the arm, whose levels are chosen, all rules that are about it, in their order. */
gr_status sweep_adjust_arm(const sweep_plan *plan, sweep_arm *arm, problems *found,
                           gr_error *error);

/* Parts of the reading: NULL where no axis is called so; reports a pointer that no arm may set. */
const sweep_axis *sweep_axis_named(const sweep_plan *plan, const char *name);
void sweep_check_pointer(const char *pointer, const char *place, problems *found);

/* The seed that comes after those of the plan when one is added: `index` counts all of an arm's. */
int64_t sweep_plan_seed(const sweep_plan *plan, size_t index);

/* "cut" at a character's border to less than `size` bytes. */
void sweep_copy_text(char *out, size_t size, const char *text);

#endif
