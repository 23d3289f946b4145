#include "server/store/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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
    bool stopping;
    int64_t commits, works;
};

static void job_fail(job *job, gr_status status, const gr_error *error) {
    job->status = status;
    job->error = *error;
}

/* Runs `job` in a savepoint. False where SQLite has undone the whole transaction (a full disk can
 * do that). */
static bool run_in_savepoint(database *database, job *job) {
    job->error = (gr_error){0};
    job->status = database_execute(database, "SAVEPOINT job", &job->error);
    if (job->status != GR_OK) return !sqlite3_get_autocommit(database->handle);
    job->status = job->work(database, job->context, &job->error);
    if (sqlite3_get_autocommit(database->handle)) {
        if (job->status == GR_OK)
            job->status = gr_fail(&job->error, GR_INTERNAL, "database: the transaction was undone");
        return false;
    }
    gr_error ignored;
    if (job->status != GR_OK) {
        if (database_execute(database, "ROLLBACK TO job", &ignored) != GR_OK) return false;
        return database_execute(database, "RELEASE job", &ignored) == GR_OK;
    }
    job->status = database_execute(database, "RELEASE job", &job->error);
    return job->status == GR_OK;
}

/* Runs `first` and its followers up to `end` in one transaction. On failure nothing of it is
 * stored, and *error says why. */
static gr_status run_group(database *database, job *first, job *end, gr_error *error) {
    GR_TRY(database_execute(database, "BEGIN IMMEDIATE", error));
    gr_status status = GR_OK;
    for (job *job = first; job != end && status == GR_OK; job = job->next)
        if (!run_in_savepoint(database, job)) {
            *error = job->error;
            status = job->status != GR_OK ? job->status : GR_IO;
        }
    if (status == GR_OK) status = database_execute(database, "COMMIT", error);
    if (status != GR_OK && !sqlite3_get_autocommit(database->handle))
        sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* A group that failed as a whole is tried again one by one: what fits is stored, and each of the
 * others gets its own reason. Returns the number of commits. */
static int64_t run_jobs(database *database, job *first) {
    gr_error error = {0};
    if (run_group(database, first, NULL, &error) == GR_OK) return 1;
    int64_t commits = 0;
    for (job *job = first; job; job = job->next) {
        error = (gr_error){0};
        gr_status status = run_group(database, job, job->next, &error);
        if (status == GR_OK)
            commits++;
        else
            job_fail(job, status, &error);
    }
    return commits;
}

static void *writer_main(void *argument) {
    writer *writer = argument;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (!writer->first && !writer->stopping)
            pthread_cond_wait(&writer->gathered, &writer->lock);
        if (!writer->first) break;
        job *first = writer->first;
        writer->first = NULL;
        writer->last = &writer->first;
        pthread_mutex_unlock(&writer->lock);
        int64_t commits = run_jobs(writer->database, first);
        pthread_mutex_lock(&writer->lock);
        writer->commits += commits;
        for (job *job = first, *next; job; job = next) {
            next = job->next; /* the job is on its caller's stack: gone once the lock is released */
            job->done = true;
            writer->works++;
        }
        pthread_cond_broadcast(&writer->committed);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

gr_status writer_start(database *database, writer **result, gr_error *error) {
    writer *writer = calloc(1, sizeof *writer);
    if (!writer) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    writer->database = database;
    writer->last = &writer->first;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->gathered, NULL);
    pthread_cond_init(&writer->committed, NULL);
    int code = pthread_create(&writer->thread, NULL, writer_main, writer);
    if (code) {
        pthread_cond_destroy(&writer->committed);
        pthread_cond_destroy(&writer->gathered);
        pthread_mutex_destroy(&writer->lock);
        free(writer);
        return gr_fail(error, GR_IO, "store: the writer thread did not start: %s", strerror(code));
    }
    *result = writer;
    return GR_OK;
}

void writer_stop(writer *writer) {
    if (!writer) return;
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_signal(&writer->gathered);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->committed);
    pthread_cond_destroy(&writer->gathered);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}

gr_status writer_run(writer *writer, write_work work, void *context, gr_error *error) {
    job job = {.work = work, .context = context};
    pthread_mutex_lock(&writer->lock);
    *writer->last = &job;
    writer->last = &job.next;
    pthread_cond_signal(&writer->gathered);
    while (!job.done) pthread_cond_wait(&writer->committed, &writer->lock);
    pthread_mutex_unlock(&writer->lock);
    if (job.status != GR_OK && error) *error = job.error;
    return job.status;
}

void writer_counts(writer *writer, int64_t *commits, int64_t *works) {
    pthread_mutex_lock(&writer->lock);
    *commits = writer->commits;
    *works = writer->works;
    pthread_mutex_unlock(&writer->lock);
}
