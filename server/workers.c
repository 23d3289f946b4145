/* The pool: threads that lease and train, and one keeper that looks after all their leases. */
#include "server/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/clock.h"
#include "server/worker_run.h"

enum {
    MAXIMUM_WORKERS = 256,
    KEEP_MILLISECONDS = 250, /* progress events come at most this often */
    IDLE_SECONDS =
        5 /* an idle worker looks for expired leases, and for work it was not woken for */
};

typedef struct worker {
    struct workers *pool;
    pthread_t thread;
    char name[32];
    run *run;  /* under the pool's lock; NULL: idle */
    bool kept; /* the keeper is using it: the run must stay */
} worker;

struct workers {
    store *store;
    data_cache *data;
    events *events;
    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t woken, unkept;
    pthread_cond_t keeper_woken;
    int64_t trained; /* iterations of the runs that have ended */
    int64_t wakes;
    bool keeper_ends;
    pthread_t keeper;
    bool has_keeper;
    int count; /* threads that were started */
    worker *workers;
};

/* -- a worker's thread
 * ------------------------------------------------------------------------------------- */

/* Trained by this attempt so far. */
static int64_t iterations_of(run *one) {
    const int64_t begun = atomic_load(&one->begun_iteration);
    return begun < 0 ? 0 : atomic_load(&one->iteration) - begun;
}

static void work_on(worker *self, experiment *record) {
    workers *pool = self->pool;
    run current;
    run_initialize(&current, pool->store, pool->data, pool->events, &pool->stopping, record);
    pthread_mutex_lock(&pool->lock);
    self->run = &current;
    pthread_mutex_unlock(&pool->lock);
    run_publish(&current, EVENT_EXPERIMENT, current.iteration);
    run_execute(&current);
    pthread_mutex_lock(&pool->lock);
    while (self->kept) pthread_cond_wait(&pool->unkept, &pool->lock);
    self->run = NULL;
    pool->trained += iterations_of(&current);
    pthread_mutex_unlock(&pool->lock);
    run_destroy(&current);
}

static void *worker_main(void *argument) {
    worker *self = argument;
    workers *pool = self->pool;
    while (!atomic_load(&pool->stopping)) {
        pthread_mutex_lock(&pool->lock);
        int64_t wakes = pool->wakes;
        pthread_mutex_unlock(&pool->lock);
        experiment record;
        gr_error error;
        if (store_lease(pool->store, self->name, &record, &error) == GR_OK) {
            work_on(self, &record);
            continue;
        }
        /* Nothing to do, or a disk that refuses: both are asked again later. */
        struct timespec until = clock_after(IDLE_SECONDS * 1000);
        pthread_mutex_lock(&pool->lock);
        while (!atomic_load(&pool->stopping) && pool->wakes == wakes &&
               pthread_cond_timedwait(&pool->woken, &pool->lock, &until) == 0) {
        }
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

/* -- the keeper
 * ------------------------------------------------------------------------------------------ */

static void *keeper_main(void *argument) {
    workers *pool = argument;
    pthread_mutex_lock(&pool->lock);
    while (!pool->keeper_ends) {
        for (int i = 0; i < pool->count; i++) {
            worker *one = &pool->workers[i];
            if (!one->run) continue;
            one->kept = true;
            pthread_mutex_unlock(&pool->lock);
            run_keep(one->run);
            pthread_mutex_lock(&pool->lock);
            one->kept = false;
            pthread_cond_broadcast(&pool->unkept);
        }
        struct timespec until = clock_after(KEEP_MILLISECONDS);
        while (!pool->keeper_ends &&
               pthread_cond_timedwait(&pool->keeper_woken, &pool->lock, &until) == 0) {
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* -- the pool
 * -------------------------------------------------------------------------------------------- */

static gr_status start_threads(workers *pool, int count, gr_error *error) {
    int code = pthread_create(&pool->keeper, NULL, keeper_main, pool);
    if (code) return gr_fail(error, GR_IO, "the workers did not start: %s", strerror(code));
    pool->has_keeper = true;
    for (int i = 0; i < count; i++) {
        worker *one = &pool->workers[i];
        one->pool = pool;
        snprintf(one->name, sizeof one->name, "worker-%d", i + 1);
        pthread_mutex_lock(&pool->lock);
        code = pthread_create(&one->thread, NULL, worker_main, one);
        if (code == 0) {
            pool->count++;
            pthread_setname_np(one->thread,
                               one->name); /* for whoever looks, or pins it to a core */
        }
        pthread_mutex_unlock(&pool->lock);
        if (code)
            return gr_fail(error, GR_IO, "worker %d did not start: %s", i + 1, strerror(code));
    }
    return GR_OK;
}

gr_status workers_start(store *to, data_cache *data, events *hub, int count, workers **result,
                        gr_error *error) {
    *result = NULL;
    if (count < 0 || count > MAXIMUM_WORKERS)
        return gr_fail(error, GR_INVALID, "the number of workers is 0 to %d, not %d",
                       MAXIMUM_WORKERS, count);
    workers *pool = calloc(1, sizeof *pool);
    if (pool) pool->workers = calloc((size_t)count + 1, sizeof *pool->workers);
    if (!pool || !pool->workers) {
        free(pool);
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %d workers", count);
    }
    pool->store = to;
    pool->data = data;
    pool->events = hub;
    pthread_mutex_init(&pool->lock, NULL);
    clock_condition_init(&pool->woken);
    clock_condition_init(&pool->unkept);
    clock_condition_init(&pool->keeper_woken);
    /* Signals are for the thread that waits for them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    gr_status status = start_threads(pool, count, error);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != GR_OK) {
        workers_stop(pool);
        return status;
    }
    *result = pool;
    return GR_OK;
}

void workers_wake(workers *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->wakes++;
    pthread_cond_broadcast(&pool->woken);
    pthread_mutex_unlock(&pool->lock);
}

void workers_interrupt(workers *pool, int64_t id) {
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->count; i++) {
        run *current = pool->workers[i].run;
        if (current && current->record.id == id) atomic_store(&current->attention, true);
    }
    pthread_mutex_unlock(&pool->lock);
}

void workers_stop(workers *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stopping, true);
    pthread_cond_broadcast(&pool->woken);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->count; i++) pthread_join(pool->workers[i].thread, NULL);
    if (pool->has_keeper) {
        pthread_mutex_lock(&pool->lock);
        pool->keeper_ends = true;
        pthread_cond_signal(&pool->keeper_woken);
        pthread_mutex_unlock(&pool->lock);
        pthread_join(pool->keeper, NULL);
    }
    pthread_cond_destroy(&pool->keeper_woken);
    pthread_cond_destroy(&pool->unkept);
    pthread_cond_destroy(&pool->woken);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

int workers_status(workers *pool, worker_status *rows, int capacity) {
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < pool->count && i < capacity; i++) {
        const worker *one = &pool->workers[i];
        rows[i] = (worker_status){0};
        memcpy(rows[i].name, one->name, sizeof rows[i].name);
        if (one->run) {
            rows[i].experiment = one->run->record.id;
            rows[i].iteration = atomic_load(&one->run->iteration);
            rows[i].iterations = atomic_load(&one->run->iterations);
            rows[i].iterations_per_second = atomic_load(&one->run->rate);
        }
    }
    int count = pool->count;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

int64_t workers_iterations(workers *pool) {
    pthread_mutex_lock(&pool->lock);
    int64_t sum = pool->trained;
    for (int i = 0; i < pool->count; i++)
        if (pool->workers[i].run) sum += iterations_of(pool->workers[i].run);
    pthread_mutex_unlock(&pool->lock);
    return sum;
}
