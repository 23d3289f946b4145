#include "server/store/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"

typedef struct job {
    struct job *next;
    write_work work;
    void *context;
    gr_status status;
    gr_error error;
    bool done;
} job;

struct writer {
    database *database;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t gathered, committed;
    job *first, **last;
    bool stopping, lacks_space;
    int64_t commits, works;
    histogram durations;
};

static void job_fail(job *one, gr_status status, const gr_error *error) {
    one->status = status;
    one->error = *error;
}

/* Statements are kept: what ends a transaction must not need memory to be prepared. */
static gr_status execute(database *db, const char *sql, gr_error *error) {
    return database_run(db, NULL, error, sql, "");
}

static gr_status roll_back(database *db, gr_error *error) {
    return sqlite3_get_autocommit(db->handle) ? GR_OK : execute(db, "ROLLBACK", error);
}

/* Runs `job` in a savepoint. False where SQLite has undone the whole transaction (a full disk can
 * do that). */
static bool run_in_savepoint(database *db, job *one) {
    one->error = (gr_error){0};
    one->status = execute(db, "SAVEPOINT job", &one->error);
    if (one->status != GR_OK) return !sqlite3_get_autocommit(db->handle);
    one->status = one->work(db, one->context, &one->error);
    if (sqlite3_get_autocommit(db->handle)) {
        if (one->status == GR_OK)
            one->status = gr_fail(&one->error, GR_INTERNAL, "database: the transaction was undone");
        return false;
    }
    gr_error ignored;
    if (one->status != GR_OK) {
        if (execute(db, "ROLLBACK TO job", &ignored) != GR_OK) return false;
        return execute(db, "RELEASE job", &ignored) == GR_OK;
    }
    one->status = execute(db, "RELEASE job", &one->error);
    return one->status == GR_OK;
}

/* Runs `first` and its followers up to `end` in one transaction. On failure nothing of it is
 * stored, and *error says why. */
static gr_status run_group(database *db, job *first, job *end, gr_error *error) {
    /* Where the end of the group before could not even be rolled back, that is made up for now. */
    GR_TRY(roll_back(db, error));
    GR_TRY(execute(db, "BEGIN IMMEDIATE", error));
    gr_status status = GR_OK;
    for (job *one = first; one != end && status == GR_OK; one = one->next)
        if (!run_in_savepoint(db, one)) {
            *error = one->error;
            status = one->status != GR_OK ? one->status : GR_IO;
        }
    if (status == GR_OK) status = execute(db, "COMMIT", error);
    gr_error ignored;
    if (status != GR_OK) roll_back(db, &ignored);
    return status;
}

/* A group that failed as a whole is tried again one by one: what fits is stored, and each of the
 * others gets its own reason. Returns the number of commits. */
static int64_t run_jobs(database *db, job *first) {
    gr_error error = {0};
    if (run_group(db, first, NULL, &error) == GR_OK) return 1;
    int64_t commits = 0;
    for (job *one = first; one; one = one->next) {
        error = (gr_error){0};
        gr_status status = run_group(db, one, one->next, &error);
        if (status == GR_OK)
            commits++;
        else
            job_fail(one, status, &error);
    }
    return commits;
}

static void *writer_main(void *argument) {
    writer *self = argument;
    pthread_mutex_lock(&self->lock);
    for (;;) {
        while (!self->first && !self->stopping) pthread_cond_wait(&self->gathered, &self->lock);
        if (!self->first) break;
        job *first = self->first;
        self->first = NULL;
        self->last = &self->first;
        pthread_mutex_unlock(&self->lock);
        const double begun = clock_seconds();
        int64_t commits = run_jobs(self->database, first);
        const double seconds = clock_seconds() - begun;
        pthread_mutex_lock(&self->lock);
        histogram_add(&self->durations, seconds);
        self->commits += commits;
        for (job *one = first, *next; one; one = next) {
            next = one->next; /* the job is on its caller's stack: gone once the lock is released */
            one->done = true;
            if (one->status == GR_OK || one->status == GR_NO_SPACE)
                self->lacks_space = one->status == GR_NO_SPACE;
            self->works++;
        }
        pthread_cond_broadcast(&self->committed);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

gr_status writer_start(database *db, writer **result, gr_error *error) {
    writer *self = calloc(1, sizeof *self);
    if (!self) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    self->database = db;
    self->last = &self->first;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->gathered, NULL);
    pthread_cond_init(&self->committed, NULL);
    int code = pthread_create(&self->thread, NULL, writer_main, self);
    if (code) {
        pthread_cond_destroy(&self->committed);
        pthread_cond_destroy(&self->gathered);
        pthread_mutex_destroy(&self->lock);
        free(self);
        return gr_fail(error, GR_IO, "store: the writer thread did not start: %s", strerror(code));
    }
    *result = self;
    return GR_OK;
}

void writer_stop(writer *self) {
    if (!self) return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_signal(&self->gathered);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->committed);
    pthread_cond_destroy(&self->gathered);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

gr_status writer_run(writer *self, write_work work, void *context, gr_error *error) {
    job one = {.work = work, .context = context};
    pthread_mutex_lock(&self->lock);
    *self->last = &one;
    self->last = &one.next;
    pthread_cond_signal(&self->gathered);
    while (!one.done) pthread_cond_wait(&self->committed, &self->lock);
    pthread_mutex_unlock(&self->lock);
    if (one.status != GR_OK && error) *error = one.error;
    return one.status;
}

bool writer_lacks_space(writer *self) {
    pthread_mutex_lock(&self->lock);
    const bool lacks = self->lacks_space;
    pthread_mutex_unlock(&self->lock);
    return lacks;
}

void writer_counts(writer *self, int64_t *commits, int64_t *works) {
    pthread_mutex_lock(&self->lock);
    *commits = self->commits;
    *works = self->works;
    pthread_mutex_unlock(&self->lock);
}

void writer_durations(writer *self, histogram *durations) {
    pthread_mutex_lock(&self->lock);
    *durations = self->durations;
    pthread_mutex_unlock(&self->lock);
}
