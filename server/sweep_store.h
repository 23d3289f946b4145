/* The part of the store that keeps sweeps (server/store/sweeps.c, sweep_actions.c,
 * sweep_rungs.c). As in server/store.h: from any thread; a call that writes returns after its
 * commit, and each writes all or nothing. */
#ifndef SERVER_SWEEP_STORE_H
#define SERVER_SWEEP_STORE_H

#include "server/store.h"

/* One arm as stored. Strings are owned (sweep_arm_rows_free) unless it is part of a submission. */
typedef struct sweep_arm_row {
    int64_t arm;
    char *label;
    char *levels; /* JSON object text: axis → label */
    char *spec;   /* canonical JSON text; name and seed are each experiment's own */
    char *data_hash, *engine_version;
    int64_t iterations;
    double iteration_operations;
    int64_t memory_bytes;
} sweep_arm_row;

typedef struct sweep_row {
    int64_t id, revision;
    char *name, *tags, *spec; /* owned; tags and spec: JSON object texts */
    char *strategy;
    char *note; /* NULL: none */
    bool active, paused;
    int64_t created_at, cancelled_at; /* milliseconds since 1970; 0: not cancelled */
    int64_t arm_count, experiment_count;
    int64_t counts[STATE_COUNT];
} sweep_row;
void sweep_row_clear(sweep_row *row);
void sweep_rows_free(sweep_row *rows, size_t count);
void sweep_arm_rows_free(sweep_arm_row *rows, size_t count);

typedef struct sweep_submission {
    const char *name, *tags, *spec, *strategy;
    bool active; /* the keeper has something to do */
    const sweep_arm_row *arms;
    size_t arm_count;
    const int64_t *seeds;
    size_t seed_count;
    int64_t submitted_by;           /* as in a submission */
    const idempotency *idempotency; /* the same; `made` is a sweep_row */
    int64_t stop_after_iteration;   /* of each experiment: the first rung; 0: none */
} sweep_submission;
/* The sweep, its arms and all its experiments, in one transaction. */
gr_status store_sweep_submit(store *store, const sweep_submission *submission, int64_t *id,
                             gr_error *error);
gr_status store_sweep_get(store *store, int64_t id, sweep_row *row, gr_error *error);
/* Newest first, at most `limit`; before_id 0: from the newest. */
gr_status store_sweep_list(store *store, int64_t before_id, int64_t limit, sweep_row **rows,
                           size_t *count, gr_error *error);
/* The ids of the sweeps that the keeper looks after; *ids: free(). */
gr_status store_sweep_active(store *store, int64_t **ids, size_t *count, gr_error *error);
gr_status store_sweep_arms(store *store, int64_t id, sweep_arm_row **rows, size_t *count,
                           gr_error *error);

/* One experiment of a sweep, as far as tables and progress go. */
typedef struct sweep_result {
    int64_t experiment, arm, seed;
    experiment_state state;
    int64_t iteration, iterations;
    double iterations_per_second, elapsed_seconds;
    bool has_value;
    double value; /* may be NaN or infinite */
} sweep_result;
/* By arm and seed. `metric` (GR_INVALID for what cannot be the name of one) is that of the last
 * evaluation, "best." before it: the best; "elapsed_seconds": the training time; "cpu_seconds":
 * what a processor worked in it. *results: free(). */
gr_status store_sweep_results(store *store, int64_t id, const char *metric, sweep_result **results,
                              size_t *count, gr_error *error);

typedef struct sweep_place {
    int64_t arm, seed;
} sweep_place;
/* Adds experiments; places that have one already are left out. *added: how many were made. `active`
 * as in sweep_submission, or -1: as it is. */
gr_status store_sweep_add(store *store, int64_t id, const sweep_place *places, size_t count,
                          int active, int64_t *added, gr_error *error);
/* The keeper has nothing more to do; `note` says why. */
gr_status store_sweep_settle(store *store, int64_t id, const char *note, gr_error *error);

typedef enum sweep_action {
    SWEEP_CANCEL, /* queued, paused and running ones; the keeper leaves it alone from then on */
    SWEEP_PAUSE,
    SWEEP_RESUME,
    SWEEP_RETRY /* those in `states` */
} sweep_action;
/* Applies it to every experiment that it fits. *ids (free()): of the experiments that changed.
 * `states`: for SWEEP_RETRY, a bit (1 << state) each. */
gr_status store_sweep_act(store *store, int64_t id, sweep_action action, unsigned states,
                          int64_t **ids, size_t *count, gr_error *error);
/* The sweep and its experiments disappear from every query. GR_CONFLICT while one of them is not at
 * its end. *ids (free()): of the experiments. */
gr_status store_sweep_delete(store *store, int64_t id, int64_t **ids, size_t *count,
                             gr_error *error);

/* -- successive halving
 * --------------------------------------------------------------------------- */
typedef struct sweep_ladder {
    int64_t stops[32]; /* of each rung, ascending: experiments pause beyond them; the last rung, the
                          end of the training, is not among them */
    size_t count;
    int64_t factor;
    const char *metric;
    bool higher_is_better;
} sweep_ladder;
/* Notes which arms have reached their rung, promotes who may go on, and when no more can come,
 * cancels who was left behind. Everything follows from what is stored: calling it again, or after a
 * crash, does no harm. *ids (free()): of the experiments that changed. */
gr_status store_sweep_advance(store *store, int64_t id, const sweep_ladder *ladder, int64_t **ids,
                              size_t *count, gr_error *error);
typedef struct sweep_rung_row {
    int64_t rung, sequence, arm;
    double value; /* NaN: none */
    bool promoted;
} sweep_rung_row;
/* By rung and sequence; *rows: free(). */
gr_status store_sweep_rungs(store *store, int64_t id, sweep_rung_row **rows, size_t *count,
                            gr_error *error);

#endif
