/* The store: experiments, their metrics and their leases, in SQLite. Opaque; the only folder that
 * sees sqlite3.h is server/store. Every function may be called from any thread; none lets a caller
 * see SQLITE_BUSY. Writes go through one writer thread that commits in groups: a call returns after
 * its group's commit. */
#ifndef SERVER_STORE_H
#define SERVER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradreg/status.h"
#include "gradreg/training.h"
#include "server/filter.h"
#include "server/histogram.h"

typedef struct store store;

typedef enum experiment_state {
    STATE_QUEUED,
    STATE_RUNNING,
    STATE_PAUSED,
    STATE_SUCCEEDED,
    STATE_FAILED,
    STATE_DIVERGED,
    STATE_CANCELLED,
    STATE_COUNT
} experiment_state;

const char *state_name(experiment_state state); /* "queued", … */
bool state_from_name(const char *name, experiment_state *state);
bool state_is_final(experiment_state state); /* succeeded, failed, diverged, cancelled */

/* One experiment as stored. All strings are owned by the record (experiment_clear). Times are
 * milliseconds since 1970 UTC, 0: not yet. */
typedef struct experiment {
    int64_t id;
    int64_t
        revision; /* grows with every change of any experiment or its metrics: ETag and event id */
    experiment_state state;
    bool cancel_requested;     /* a running experiment's worker will see it within one batch */
    bool pause_requested;      /* the same; at most one of the two */
    char *name, *tags, *notes; /* tags: JSON object text */
    char *spec;                /* canonical JSON text */
    char *data_hash;           /* SHA-256 (hex) of the data set's content */
    char *engine_version;
    char *environment; /* JSON text: kernels, BLAS kernel of the last attempt; may be NULL */
    int64_t priority;
    int64_t iteration, iterations;
    double iterations_per_second;   /* 0: not known */
    int64_t attempt;                /* 0 before the first lease: the fencing token */
    int64_t resumed_from_iteration; /* of the last attempt; 0 if from the start */
    int64_t checkpoint_iteration;   /* 0: none */
    char *checkpoint_file;          /* name within the artifacts folder; NULL: none */
    char *model_file;               /* NULL until succeeded */
    char *worker;                   /* NULL unless running */
    char *error;                    /* why it failed or diverged; NULL otherwise */
    char *warning; /* the last thing that went wrong without ending it; NULL: nothing did */
    char *latest_metrics, *best_metrics; /* JSON object texts: name → value */
    int64_t created_at, started_at, finished_at, lease_expires_at;
    double elapsed_seconds;         /* training time over all attempts */
    double cpu_seconds;             /* what a processor has worked in it */
    int64_t cloned_from, replay_of; /* ids, whose experiments may be gone; 0: none */
    char *replay;                   /* JSON object text of how a replay compares; NULL: not yet */
    char *webhook;                  /* JSON object text of its delivery; NULL: there is none */
    int64_t memory_bytes;           /* the estimate at submission; 0: not known */
    double operations;              /* multiply-accumulates of all iterations; 0: not known */
    double estimated_seconds;       /* NaN: not known */
    int64_t sweep;                  /* 0: of none; then arm and seed say nothing */
    int64_t arm, seed;
    int64_t stop_after_iteration; /* its worker pauses it beyond this one; 0: at no iteration */
    int64_t trashed_at;           /* 0: not in the trash */
    bool has_analysis;            /* there is a document (store_analysis) */
} experiment;
void experiment_clear(experiment *experiment);
void experiments_free(experiment *items, size_t count);

/* Opens (creates, migrates) <directory>/gradreg.db and <directory>/artifacts, after locking the
 * directory for the life of the process: GR_CONFLICT where another process has it, GR_IO with the
 * reason where it can't be written, GR_INVALID where the file belongs to a newer program. Recovers:
 * what was running is queued again, or failed after three attempts in a row without a new
 * checkpoint; orphaned files in artifacts are removed. */
gr_status store_open(const char *directory, store **store, gr_error *error);
void store_close(store *store);
/* Opens a data directory beside the server that may be at work on it: no lock, no recovery. For
 * commands that read, or write a row. GR_NOT_FOUND where there is no database, GR_CONFLICT where a
 * server of another version is at work on it. */
gr_status store_open_beside(const char *directory, store **store, gr_error *error);
/* The artifacts folder's path; borrowed. */
const char *store_artifacts(const store *store);

/* -- submission and control
 * ------------------------------------------------------------------------------ */
/* An answer that a repeated request gets again: stored with what the request makes. */
typedef struct idempotency {
    const char *key, *fingerprint; /* at most 255 bytes; SHA-256 (hex) of the request */
    /* The body of the answer (free): called within the transaction, perhaps more than once, with
     * the experiment or sweep_row that was made. */
    char *(*answer)(const void *made, void *context);
    void *context;
} idempotency;
typedef struct submission {
    const char *name, *tags, *spec, *data_hash, *engine_version;
    int64_t iterations;
    /* What follows may be zero. */
    int64_t cloned_from, replay_of;
    const char *result_key; /* see store_find_result */
    int64_t memory_bytes;
    double operations, estimated_seconds;           /* 0: not known */
    const char *webhook;                            /* URL */
    const idempotency *idempotency;                 /* GR_CONFLICT where the key is already there */
    int64_t sweep, arm, seed, stop_after_iteration; /* as in an experiment */
    int64_t submitted_by;                           /* the token's id; 0: none */
} submission;
/* At most so many experiments of one token may be queued; a further submission is GR_TOO_MANY. 0
 * (as at the start): no limit. */
void store_limit_queue(store *store, int64_t limit);
/* Durable (synchronous=FULL) when it returns GR_OK. */
gr_status store_submit(store *store, const submission *submission, int64_t *id, gr_error *error);
/* GR_NOT_FOUND also for what is in the trash. */
gr_status store_get(store *store, int64_t id, experiment *experiment, gr_error *error);
/* From the trash alone. */
gr_status store_get_trashed(store *store, int64_t id, experiment *experiment, gr_error *error);

/* -- lists (store/lists.c)
 * ------------------------------------------------------------------------------------------ */
/* A value that a list is sorted by. */
typedef struct list_value {
    enum { LIST_MISSING, LIST_NUMBER, LIST_TEXT } kind;
    double number;
    char *text; /* owned by what holds the value */
} list_value;
/* A place in a list, behind one experiment: the values of the keys that it is sorted by, and its
 * id. It stays right whatever comes and goes before it. */
typedef struct list_place {
    list_value values[FILTER_MAXIMUM_SORT_KEYS];
    size_t count;
    int64_t id; /* 0: there is nothing behind it */
} list_place;
void list_place_clear(list_place *place);
typedef struct listing {
    int state;            /* -1: any */
    int64_t limit;        /* 1 … 1000 */
    int64_t sweep;        /* 0: any */
    bool trashed;         /* the trash instead of all that is not in it */
    const filter *filter; /* NULL: all */
    /* What is missing (or NaN) comes last, upwards and downwards; equals come by id, in the
     * direction of the last key. Without keys: newest first. */
    const sort_key *keys;
    size_t key_count;
    const list_place *after; /* NULL: from the first */
} listing;
/* *items (experiments_free) holds at most limit rows. *next (may be NULL; list_place_clear) is the
 * place where the next page begins. */
gr_status store_list(store *store, const listing *listing, experiment **items, size_t *count,
                     list_place *next, gr_error *error);
/* Only the ids (free), and any limit. */
gr_status store_list_ids(store *store, const listing *listing, int64_t **ids, size_t *count,
                         gr_error *error);
/* The records of these ids, in their order; those that are gone by now, or have come into or out
 * of the trash, are left out. */
gr_status store_records(store *store, const int64_t *ids, size_t id_count, bool trashed,
                        experiment **items, size_t *count, gr_error *error);
/* The names of all metrics that there are, or were (fact_names_free). */
gr_status store_metric_names(store *store, char ***names, size_t *count, gr_error *error);
/* The names of all facts ("params.seed", "tags.paper", "metrics.train_loss", …) of these
 * experiments, by group and then by name. */
gr_status store_fact_names(store *store, const int64_t *ids, size_t id_count, char ***names,
                           size_t *count, gr_error *error);
void fact_names_free(char **names, size_t count);
/* Experiments changed after `revision`, oldest change first, those in the trash too: replay of an
 * event stream. */
gr_status store_changed_since(store *store, int64_t revision, int64_t limit, experiment **items,
                              size_t *count, gr_error *error);
/* The greatest revision there is: where a stream that only wants what is new begins. */
gr_status store_revision(store *store, int64_t *revision, gr_error *error);
gr_status store_counts(store *store, int64_t counts[STATE_COUNT], gr_error *error);

/* -- changes of one experiment (store/changes.c): each is GR_CONFLICT, with the reason and what to
 * do, where the state does not allow it
 * --------------------------------------------------------------------------------------------- */
typedef enum experiment_change {
    CHANGE_CANCEL,   /* queued, paused → cancelled at once; running → cancel_requested */
    CHANGE_PAUSE,    /* queued → paused at once; running → pause_requested */
    CHANGE_RESUME,   /* paused → queued; running with pause_requested → goes on */
    CHANGE_RETRY,    /* failed, diverged, cancelled → queued, from the last checkpoint */
    CHANGE_EDIT,     /* name, tags, notes, priority, in any state */
    CHANGE_DELETE,   /* an ended one goes to the trash: it disappears from every query */
    CHANGE_UNDELETE, /* and comes back, with its sweep where that is in the trash too */
    CHANGE_PURGE     /* what is in the trash goes for good, rows and files */
} experiment_change;
typedef struct change_options {
    bool from_start; /* retry: without the checkpoint and the metric rows there were */
    bool dry_run;    /* changes nothing and returns what would be returned, as things are now */
    /* Both are called within the transaction, perhaps more than once, and what they refuse is
     * refused. `guard` (may be NULL) sees the record before anything is done; `edit` changes its
     * name, tags, notes and priority, and only for CHANGE_EDIT. */
    gr_status (*guard)(void *context, const experiment *before, gr_error *error);
    gr_status (*edit)(void *context, experiment *record, gr_error *error);
    void *context;
} change_options;
/* `options` may be NULL. *after (may be NULL) is the new record; of one that was purged, or in a
 * dry run, the last one. */
gr_status store_change(store *store, experiment_change change, int64_t id,
                       const change_options *options, experiment *after, gr_error *error);
typedef struct change_outcome {
    int64_t id;             /* in */
    gr_status status;       /* GR_OK: it was changed */
    char reason[256];       /* why not */
    experiment_state state; /* afterwards; says nothing for GR_NOT_FOUND */
    bool known;             /* there is such an experiment, and `state` is its state */
} change_outcome;
/* The same for many, each on its own: in groups of one transaction, so that others need not wait
 * long for the writer. `outcomes` tells how each went. */
void store_change_many(store *store, experiment_change change, const change_options *options,
                       change_outcome *outcomes, size_t count);
/* Short for store_change. */
gr_status store_cancel(store *store, int64_t id, experiment *after, gr_error *error);
gr_status store_pause(store *store, int64_t id, experiment *after, gr_error *error);
gr_status store_resume(store *store, int64_t id, experiment *after, gr_error *error);
gr_status store_retry(store *store, int64_t id, bool from_start, experiment *after,
                      gr_error *error);
gr_status store_delete(store *store, int64_t id, gr_error *error);

/* -- webhooks (store/webhooks.c)
 * -------------------------------------------------------------------------------- */
typedef struct webhook {
    int64_t id; /* of the experiment */
    char *url;  /* owned */
    int64_t attempts;
} webhook;
/* The webhook of an ended experiment that is due first. GR_NOT_FOUND where none is due; then
 * *next_at is when the next one is, INT64_MAX: none is waited for. */
gr_status store_webhook_due(store *store, webhook *due, int64_t *next_at, gr_error *error);
typedef struct webhook_outcome {
    bool delivered;
    int64_t status;     /* HTTP, 0: no answer */
    const char *reason; /* NULL where delivered */
    int64_t pause;      /* milliseconds to the next attempt; 0: it is given up */
} webhook_outcome;
/* Counts an attempt. */
gr_status store_webhook_attempted(store *store, int64_t id, const webhook_outcome *outcome,
                                  gr_error *error);

/* -- retention (store/retention.c): each does a bounded piece of work and says how much
 * ------------------------------------------------------- */
/* Checkpoints of experiments that ended before `before` (milliseconds since 1970). */
gr_status store_drop_checkpoints(store *store, int64_t before, int64_t *dropped, gr_error *error);
/* What is in the trash since before `before` goes for good, rows and files. */
gr_status store_empty_trash(store *store, int64_t before, int64_t *purged, gr_error *error);
/* Of the ended experiments only the `kept` newest stay out of the trash. */
gr_status store_trash_oldest(store *store, int64_t kept, int64_t *trashed, gr_error *error);
/* Answers older than IDEMPOTENCY_SECONDS. */
gr_status store_drop_answers(store *store, int64_t *dropped, gr_error *error);

/* -- earlier results (store/results.c)
 * -------------------------------------------------------------------------- */
/* The newest succeeded experiment with this key (submission.result_key), all of which was trained
 * in this environment (its JSON text). GR_NOT_FOUND. */
gr_status store_find_result(store *store, const char *result_key, const char *environment,
                            int64_t *id, gr_error *error);
typedef struct speed {
    double operations_per_second; /* the median; 0 where there is no experiment to tell */
    int64_t experiments;          /* whose median it is: among the 50 that succeeded last here */
    bool alike;                   /* only of those whose iterations cost the same, within 1 % */
} speed;
gr_status store_speed(store *store, const char *environment, double iteration_operations,
                      speed *speed, gr_error *error);
/* How a replay came out (JSON object text), before it is finished: under its lease. */
gr_status store_set_replay(store *store, int64_t id, int64_t attempt, const char *report,
                           gr_error *error);
/* What /metrics says of the store. */
typedef struct store_statistics {
    int64_t commits, writes; /* transactions since the start, and the writes that they grouped */
    histogram commit_seconds;
    int64_t database_bytes, log_bytes; /* of the database file and of its write-ahead log */
} store_statistics;
void store_statistics_read(store *store, store_statistics *statistics);
/* GR_NO_SPACE where the last write found the disk full and a small one still does. */
gr_status store_check_space(store *store, gr_error *error);

/* -- work
 * ---------------------------------------------------------------------------------------------------
 */
enum { LEASE_SECONDS = 60 };
/* Gives the queued experiment of highest priority (then lowest id) to `worker`: running, attempt +
 * 1, lease set. GR_NOT_FOUND where nothing is queued. */
gr_status store_lease(store *store, const char *worker, experiment *experiment, gr_error *error);
/* Every write below is checked against (id, attempt): GR_CONFLICT where the lease has been lost,
 * and then the worker must drop the run. `cpu_seconds`: those since the write before that said. */
typedef enum worker_request { REQUEST_NONE, REQUEST_CANCEL, REQUEST_PAUSE } worker_request;
gr_status store_heartbeat(store *store, int64_t id, int64_t attempt, int64_t iteration,
                          double iterations_per_second, double cpu_seconds, worker_request *request,
                          gr_error *error);
gr_status store_started(store *store, int64_t id, int64_t attempt, int64_t resumed_from_iteration,
                        const char *environment, gr_error *error);
/* Training is over; what is done before the end (the analysis) adds nothing to elapsed_seconds. */
gr_status store_trained(store *store, int64_t id, int64_t attempt, double cpu_seconds,
                        gr_error *error);
/* Metric rows: those that are already there are replaced (a resumed run repeats rows bit for bit).
 */
gr_status store_metrics(store *store, int64_t id, int64_t attempt, const gr_metric *rows,
                        size_t count, gr_error *error);
/* The file (already fsynced and renamed into artifacts) becomes the checkpoint; the previous one is
 * removed after the commit. */
gr_status store_checkpoint(store *store, int64_t id, int64_t attempt, int64_t iteration,
                           const char *file, gr_error *error);
/* Something went wrong that training can go on without (a checkpoint that did not fit on the disk);
 * NULL: the last of these is over. */
gr_status store_warn(store *store, int64_t id, int64_t attempt, const char *warning,
                     gr_error *error);
/* Back to queued (a shutdown), or to paused or cancelled where that was asked for; a checkpoint was
 * stored before. The attempt is not counted as one that made no progress. at_rung: it has come past
 * stop_after_iteration and is paused unasked, until its sweep goes on with it (one write: killed
 * before it, the experiment is queued and comes to the rung again). */
gr_status store_release(store *store, int64_t id, int64_t attempt, bool at_rung, gr_error *error);
/* To a final state. model_file NULL unless succeeded; reason NULL unless failed or diverged. */
gr_status store_finish(store *store, int64_t id, int64_t attempt, experiment_state state,
                       int64_t iteration, const char *model_file, const char *reason,
                       gr_error *error);

/* To succeeded, with the JSON document of its analysis (NULL: it has none) in the same commit. */
gr_status store_succeed(store *store, int64_t id, int64_t attempt, int64_t iteration,
                        const char *model_file, const char *analysis, gr_error *error);

/* -- analyses
 * --------------------------------------------------------------------------------------------- */
/* The document of an experiment's analysis, owned by the caller; *text NULL: it has none.
 * GR_NOT_FOUND: there is no such experiment, or it is in the trash. */
gr_status store_analysis(store *store, int64_t id, char **text, gr_error *error);

/* -- logs and repeated requests
 * --------------------------------------------------------------------------------- */
typedef struct log_line {
    int64_t number, time; /* from 1; milliseconds since 1970 */
    char level[16];       /* "info", "warning", "error" */
    char *text;           /* owned */
} log_line;
/* The lines that are kept (the first, and the newest thousand), oldest first: log_lines_free. */
gr_status store_log(store *store, int64_t id, log_line **lines, size_t *count, gr_error *error);
void log_lines_free(log_line *lines, size_t count);

enum { IDEMPOTENCY_SECONDS = 24 * 3600 }; /* so long an answer is kept */
typedef struct stored_answer {
    int status;
    char *fingerprint, *location, *etag, *body; /* location and etag may be NULL */
} stored_answer;
void stored_answer_clear(stored_answer *answer);
/* The answer to an Idempotency-Key: GR_NOT_FOUND where there is none (any more). */
gr_status store_answer(store *store, const char *key, stored_answer *answer, gr_error *error);

/* -- metrics
 * ---------------------------------------------------------------------------------------------- */
typedef struct metric_row {
    char name[64];
    int64_t iteration;
    double value;
} metric_row;
/* Rows of one experiment in order (name, iteration); name NULL: all; only those with iteration >
 * after. *rows: free(). */
gr_status store_series(store *store, int64_t id, const char *name, int64_t after, metric_row **rows,
                       size_t *count, gr_error *error);

#endif
