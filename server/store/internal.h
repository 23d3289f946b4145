/* What the files of the store share. */
#ifndef SERVER_STORE_INTERNAL_H
#define SERVER_STORE_INTERNAL_H

#include "server/store.h"
#include "server/store/database.h"
#include "server/store/writer.h"

typedef struct readers readers;

struct store {
    int lock; /* file descriptor of <directory>/lock */
    char *artifacts;
    char *path;       /* of the database */
    database writing; /* the writer's thread alone uses it */
    writer *writer;
    readers *readers;
    readers *searchers; /* for lists */
};

/* -- readers.c: query-only connections, each used by one thread at a time -- */
gr_status readers_create(const char *path, database_use use, readers **pool, gr_error *error);
void readers_free(readers *pool); /* NULL is allowed */
/* Borrows a connection, waiting where all are in use. */
gr_status readers_take(readers *pool, database **db, gr_error *error);
void readers_give(readers *pool, database *db);

/* -- clocks -- */

/* -- experiments.c -- */
/* The columns that experiment_read takes, in its order. */
#define EXPERIMENT_COLUMNS                                                                        \
    "id, revision, state, cancel_requested, name, tags, notes, spec, data_hash, engine_version, " \
    "environment, priority, iteration, iterations, iterations_per_second, attempt, "              \
    "resumed_from_iteration, checkpoint_iteration, checkpoint_file, model_file, worker, error, "  \
    "warning, latest_metrics, best_metrics, created_at, started_at, finished_at, "                \
    "lease_expires_at, elapsed_seconds, cpu_seconds, pause_requested, cloned_from, replay_of, "   \
    "replay, "                                                                                    \
    "(SELECT json_object('url', url, 'state', webhooks.state, 'attempts', attempts, "             \
    "'status', status, 'error', webhooks.error, 'next_attempt_at', nullif(next_attempt_at, 0), "  \
    "'delivered_at', delivered_at) FROM webhooks WHERE webhooks.experiment = experiments.id), "   \
    "memory_bytes, operations, estimated_seconds, coalesce(sweep, 0), arm, seed, "                \
    "stop_after_iteration, coalesce(trashed_at, 0), "                                             \
    "EXISTS (SELECT 1 FROM analyses WHERE analyses.experiment = experiments.id)"
gr_status experiment_read(sqlite3_stmt *statement, experiment *record, gr_error *error);
/* One experiment by id, wherever it is; GR_NOT_FOUND. */
gr_status experiment_select_any(database *db, int64_t id, experiment *record, gr_error *error);
/* One experiment by id (not in the trash); GR_NOT_FOUND. */
gr_status experiment_select(database *db, int64_t id, experiment *record, gr_error *error);
/* GR_NOT_FOUND where there is none, or it is in the trash. */
gr_status experiment_require(database *db, int64_t id, gr_error *error);
/* A new experiment, without an idempotent answer. For a writer's work. */
gr_status experiment_insert(database *db, const submission *form, int64_t *id, gr_error *error);
/* The next value of the revision counter. */
gr_status next_revision(database *db, int64_t *revision, gr_error *error);

/* -- changes.c -- */
/* One change as part of a larger work; GR_CONFLICT as in store.h. What makes files superfluous is
 * not for this. */
gr_status experiment_change_apply(database *db, experiment_change change, int64_t id,
                                  gr_error *error);

/* -- analyses.c -- */
gr_status analysis_insert(database *db, int64_t id, const char *document, gr_error *error);

/* -- trash.c -- */
/* Who is yet to end and starts from another's model, which must stay until then: the experiment e,
 * and f.value whose it is. */
#define STARTING_FROM                                                                           \
    "FROM experiments e JOIN facts f ON f.experiment = e.id WHERE e.trashed_at IS NULL AND "    \
    "e.state IN ('queued', 'running', 'paused') AND f.name = (SELECT id FROM fact_names WHERE " \
    "name = 'params.init_from')"
/* GR_CONFLICT where somebody starts from the model of experiment `id`. */
gr_status require_not_started_from(database *db, int64_t id, gr_error *error);
/* Removes all rows of an experiment, and its sweep where that is in the trash and has no more. */
gr_status experiment_erase(database *db, int64_t id, gr_error *error);

/* -- facts.c: what lists are filtered and sorted by (migrations/0006_facts.sql). For a writer's
 * work, but for the last two -- */
/* Of a new experiment. */
gr_status facts_insert(database *db, int64_t id, const char *spec, const char *tags,
                       gr_error *error);
/* Its tags are these now. */
gr_status facts_retag(database *db, int64_t id, const char *tags, gr_error *error);
/* The metric's latest or best value is this one now. */
gr_status facts_metric(database *db, int64_t id, bool best, const char *name, double value,
                       gr_error *error);
gr_status facts_forget_metrics(database *db, int64_t id, gr_error *error);
/* Of all experiments that have none, in transactions of its own: when a store is opened. */
gr_status facts_complete(database *db, gr_error *error);

/* -- log.c -- */
/* Adds a line to an experiment's log, whose oldest lines go where there are too many. */
gr_status log_add(database *db, int64_t id, const char *level, gr_error *error, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

/* -- idempotency.c -- */
/* Stores the answer to a request; GR_CONFLICT where the key is there already. `location` and `etag`
 * may be NULL. For a writer's work. */
gr_status idempotency_insert(database *db, const char *key, const char *fingerprint, int status,
                             const char *location, const char *etag, const char *body,
                             gr_error *error);

/* -- queue.c -- */
/* Takes back what is running: at start everything (`expired_before` = INT64_MAX), later what
 * outlived its lease. */
gr_status leases_recover(database *db, int64_t expired_before, gr_error *error);

/* -- metrics.c -- */
gr_status metrics_insert(database *db, int64_t id, const gr_metric *rows, size_t count,
                         gr_error *error);
/* Brings latest_metrics and best_metrics up to `rows` (already inserted). */
gr_status metrics_summarize(database *db, int64_t id, const gr_metric *rows, size_t count,
                            gr_error *error);

/* -- artifacts.c -- */
/* GR_INVALID for a name that is not a plain file name. */
gr_status artifact_name_check(const char *file, gr_error *error);
/* Removes a file from the artifacts folder; one that is gone already is fine. NULL is allowed. */
void artifact_remove(const store *self, const char *file);
/* Removes the files that no experiment refers to. */
gr_status artifacts_sweep(store *self, gr_error *error);

#endif
