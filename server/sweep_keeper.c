#include "server/sweep_keeper.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/clock.h"
#include "server/sweep_table.h"

enum { PASS_SECONDS = 5, PAUSE_MILLISECONDS = 100 };

/* What one pass works with. */
typedef struct tending {
    store *store;
    events *events;
    workers *workers;
    int64_t id;
    sweep_plan plan;
    sweep_arm_row *arms;
    size_t arm_count;
    sweep_result *results;
    size_t result_count;
    sweep_place *places; /* experiments to add */
    size_t place_count;
    bool changed;
} tending;

static void publish(const tending *self, const int64_t *ids, size_t count) {
    if (self->workers && count > 0) workers_wake(self->workers);
    for (size_t i = 0; self->events && i < count; i++)
        events_publish(self->events, &(event){.type = EVENT_EXPERIMENT, .id = ids[i]});
}

/* -- successive halving
 * ------------------------------------------------------------------------------------ */

static gr_status tend_halving(tending *self, gr_error *error) {
    sweep_ladder ladder;
    int64_t *ids;
    size_t count;
    GR_TRY(sweep_ladder_of(&self->plan, &self->arms[0], &ladder, error));
    GR_TRY(store_sweep_advance(self->store, self->id, &ladder, &ids, &count, error));
    publish(self, ids, count);
    self->changed = count > 0;
    free(ids);
    return GR_OK;
}

/* -- until the interval is narrow enough
 * ------------------------------------------------------------------- */

/* How many seeds an arm should have, so that its interval is as narrow as wanted: its width goes
 * down with the root of n, so that what is there tells roughly how many are needed; at most half as
 * many again are added at once. */
static size_t wanted_seeds(const sweep_plan *plan, const table_cell *cell, size_t seeds) {
    const bool difference = plan->until_difference;
    if (difference && (cell->baseline_arm < 0 || cell->baseline_arm == cell->arm)) return seeds;
    const size_t n = difference ? cell->test.n : cell->summary.n, cap = (size_t)plan->until_repeats;
    const interval *band = difference ? &cell->test.mean_band : &cell->summary.mean_band;
    if (n >= 2 && band->high - band->low <= plan->until_width) return seeds;
    if (seeds >= cap) return seeds;
    double more = 1;
    if (n >= 2) {
        const double ratio = (band->high - band->low) / plan->until_width;
        more = fmin(ceil((double)n * (ratio * ratio - 1)), ceil((double)seeds / 2));
    }
    const double wanted = (double)seeds + fmax(more, 1);
    return wanted < (double)cap ? (size_t)wanted : cap;
}

static bool has_seed(const tending *self, int64_t arm, int64_t seed) {
    for (size_t i = 0; i < self->result_count; i++)
        if (self->results[i].arm == arm && self->results[i].seed == seed) return true;
    return false;
}

/* The first seeds of the sweep's order that the arm does not have. */
static gr_status add_seeds(tending *self, int64_t arm, size_t count, gr_error *error) {
    sweep_place *larger =
        realloc(self->places, (self->place_count + count + 1) * sizeof *self->places);
    if (!larger) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    self->places = larger;
    for (size_t index = 0; count > 0; index++) {
        const int64_t seed = sweep_plan_seed(&self->plan, index);
        if (has_seed(self, arm, seed)) continue;
        self->places[self->place_count++] = (sweep_place){arm, seed};
        count--;
    }
    return GR_OK;
}

static gr_status plan_seeds(tending *self, const sweep_table *table, gr_error *error) {
    const size_t arms = self->arm_count;
    size_t *have = calloc(2 * arms + 1, sizeof *have), *want = have + arms;
    if (!have) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < self->result_count; i++) have[self->results[i].arm]++;
    for (size_t i = 0; i < table->cell_count; i++) {
        const table_cell *cell = &table->cells[i];
        const size_t arm = (size_t)cell->arm, wanted = wanted_seeds(&self->plan, cell, have[arm]);
        if (wanted > want[arm]) want[arm] = wanted;
        /* A seed without its partner in the baseline is no pair. */
        if (cell->baseline_arm >= 0 && wanted > want[cell->baseline_arm])
            want[cell->baseline_arm] = wanted;
    }
    gr_status status = GR_OK;
    for (size_t arm = 0; arm < arms && status == GR_OK; arm++)
        if (want[arm] > have[arm])
            status = add_seeds(self, (int64_t)arm, want[arm] - have[arm], error);
    free(have);
    return status;
}

static gr_status settle(const tending *self, const sweep_table *table, gr_error *error) {
    size_t wide = 0;
    for (size_t i = 0; i < table->cell_count; i++) {
        const table_cell *cell = &table->cells[i];
        const bool difference = self->plan.until_difference;
        if (difference && (cell->baseline_arm < 0 || cell->baseline_arm == cell->arm)) continue;
        const interval *band = difference ? &cell->test.mean_band : &cell->summary.mean_band;
        if (!(band->high - band->low <= self->plan.until_width)) wide++;
    }
    char note[160];
    if (wide == 0)
        snprintf(note, sizeof note, "every interval is as narrow as asked for");
    else
        snprintf(note, sizeof note,
                 "%zu interval%s wider than asked for after %lld seeds, the most that was allowed",
                 wide, wide == 1 ? " is" : "s are", (long long)self->plan.until_repeats);
    return store_sweep_settle(self->store, self->id, note, error);
}

static gr_status tend_until(tending *self, gr_error *error) {
    GR_TRY(store_sweep_results(self->store, self->id, self->plan.metric, &self->results,
                               &self->result_count, error));
    for (size_t i = 0; i < self->result_count; i++)
        if (!state_is_final(self->results[i].state)) return GR_OK;
    sweep_table table;
    const table_request request = {.rows = "arm"};
    GR_TRY(sweep_table_of(&self->plan, self->arms, self->arm_count, self->results,
                          self->result_count, &request, &table, error));
    gr_status status = plan_seeds(self, &table, error);
    int64_t added = 0;
    if (status == GR_OK && self->place_count > 0)
        status = store_sweep_add(self->store, self->id, self->places, self->place_count, -1, &added,
                                 error);
    else if (status == GR_OK)
        status = settle(self, &table, error);
    if (added > 0 && self->workers) workers_wake(self->workers);
    self->changed = added > 0;
    sweep_table_clear(&table);
    return status;
}

/* -- one pass
 * ------------------------------------------------------------------------------------------ */

gr_status sweep_tend(store *in, events *hub, workers *pool, int64_t id, bool *changed,
                     gr_error *error) {
    sweep_row row;
    problems found = {0};
    bool malformed;
    tending self = {.store = in, .events = hub, .workers = pool, .id = id};
    json_memory_forget();
    *changed = false;
    GR_TRY(store_sweep_get(in, id, &row, error));
    gr_status status = GR_OK;
    if (row.active && !row.paused && !row.cancelled_at) {
        status = sweep_plan_parse(row.spec, strlen(row.spec), &self.plan, &malformed, &found);
        if (status != GR_OK) gr_fail(error, status, "the spec of sweep %lld", (long long)id);
        if (status == GR_OK) status = store_sweep_arms(in, id, &self.arms, &self.arm_count, error);
        if (status == GR_OK && self.arm_count > 0)
            status = self.plan.strategy == SWEEP_ASHA ? tend_halving(&self, error)
                                                      : tend_until(&self, error);
    }
    *changed = self.changed;
    problems_clear(&found);
    free(self.places);
    free(self.results);
    sweep_arm_rows_free(self.arms, self.arm_count);
    sweep_plan_clear(&self.plan);
    sweep_row_clear(&row);
    return status;
}

/* -- the thread
 * ---------------------------------------------------------------------------------------- */

struct sweep_keeper {
    store *store;
    events *events;
    workers *workers;
    pthread_t thread;
    int listener;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t woken;
    bool stopping, dirty;
};

static void wake(void *context, const event *change) {
    sweep_keeper *self = context;
    if (change->type != EVENT_EXPERIMENT) return;
    pthread_mutex_lock(&self->lock);
    self->dirty = true;
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
}

/* Waits for a change, then a moment for those that come with it. True: the thread ends. */
static bool rest(sweep_keeper *self) {
    struct timespec until = clock_after(PASS_SECONDS * 1000);
    pthread_mutex_lock(&self->lock);
    while (!self->stopping && !self->dirty &&
           pthread_cond_timedwait(&self->woken, &self->lock, &until) == 0) {
    }
    until = clock_after(PAUSE_MILLISECONDS);
    while (!self->stopping && pthread_cond_timedwait(&self->woken, &self->lock, &until) == 0) {
    }
    const bool stopping = self->stopping;
    self->dirty = false;
    pthread_mutex_unlock(&self->lock);
    return stopping;
}

static void *main_of(void *context) {
    sweep_keeper *self = context;
    do {
        int64_t *ids;
        size_t count;
        gr_error error;
        /* What fails now (a full disk) is tried again in some seconds. */
        if (store_sweep_active(self->store, &ids, &count, &error) != GR_OK) continue;
        for (size_t i = 0; i < count; i++) {
            bool changed;
            sweep_tend(self->store, self->events, self->workers, ids[i], &changed, &error);
        }
        free(ids);
    } while (!rest(self));
    return NULL;
}

static void keeper_free(sweep_keeper *self) {
    if (self->listener >= 0) events_unlisten(self->events, self->listener);
    pthread_cond_destroy(&self->woken);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

gr_status sweep_keeper_start(store *in, events *hub, workers *pool, sweep_keeper **result,
                             gr_error *error) {
    *result = NULL;
    sweep_keeper *self = calloc(1, sizeof *self);
    if (!self) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    *self = (sweep_keeper){.store = in, .events = hub, .workers = pool};
    pthread_mutex_init(&self->lock, NULL);
    clock_condition_init(&self->woken);
    self->listener = events_listen(hub, wake, self);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code =
        self->listener < 0 ? ENOMEM : pthread_create(&self->thread, NULL, main_of, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code) {
        keeper_free(self);
        return gr_fail(error, GR_IO, "the thread for sweeps did not start: %s", strerror(code));
    }
    *result = self;
    return GR_OK;
}

void sweep_keeper_stop(sweep_keeper *self) {
    if (!self) return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    keeper_free(self);
}
