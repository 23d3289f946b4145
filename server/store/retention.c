/* What is not kept for ever. */
#include <string.h>

#include "server/clock.h"
#include "server/store/internal.h"

enum { PIECE = 64, NAME_SIZE = 208 };

/* One piece of work: the files that are superfluous after its commit. */
typedef struct piece {
    int64_t limit; /* a time, or a number */
    int64_t done;
    size_t file_count;
    char files[2 * PIECE][NAME_SIZE];
} piece;

static void note_file(piece *work, sqlite3_stmt *statement, int column) {
    const char *file = (const char *)sqlite3_column_text(statement, column);
    if (!file || strlen(file) >= NAME_SIZE || work->file_count == 2 * PIECE) return;
    memcpy(work->files[work->file_count++], file, strlen(file) + 1);
}

static gr_status run(store *self, write_work what, piece *work, int64_t *done, gr_error *error) {
    GR_TRY(writer_run(self->writer, what, work, error));
    for (size_t i = 0; i < work->file_count; i++) artifact_remove(self, work->files[i]);
    *done = work->done;
    return GR_OK;
}

/* The ids of a query with one parameter, and the files in its other columns. */
static gr_status collect(database *db, const char *sql, int64_t parameter, piece *work,
                         int64_t ids[PIECE], gr_error *error) {
    sqlite3_stmt *statement;
    work->done = 0;
    work->file_count = 0;
    GR_TRY(database_query(db, &statement, error, sql, "i", parameter));
    for (;;) {
        bool row;
        GR_TRY(database_step(db, statement, &row, error));
        if (!row) return GR_OK;
        if (work->done == PIECE) continue;
        ids[work->done++] = sqlite3_column_int64(statement, 0);
        for (int column = 1; column < sqlite3_column_count(statement); column++)
            note_file(work, statement, column);
    }
}

static gr_status checkpoints_work(database *db, void *context, gr_error *error) {
    piece *work = context;
    int64_t ids[PIECE];
    GR_TRY(collect(db,
                   "SELECT id, checkpoint_file FROM experiments WHERE checkpoint_file IS NOT NULL "
                   "AND state IN ('failed', 'diverged', 'cancelled') AND finished_at < ?1 LIMIT 64",
                   work->limit, work, ids, error));
    for (int64_t i = 0; i < work->done; i++) {
        int64_t revision;
        GR_TRY(next_revision(db, &revision, error));
        GR_TRY(database_run(db, NULL, error,
                            "UPDATE experiments SET revision = ?2, checkpoint_file = NULL, "
                            "checkpoint_iteration = 0 WHERE id = ?1",
                            "ii", ids[i], revision));
        GR_TRY(log_add(db, ids[i], "info", error, "its checkpoint is no longer kept"));
    }
    return GR_OK;
}

gr_status store_drop_checkpoints(store *self, int64_t before, int64_t *dropped, gr_error *error) {
    piece work = {.limit = before};
    return run(self, checkpoints_work, &work, dropped, error);
}

static gr_status trash_work(database *db, void *context, gr_error *error) {
    piece *work = context;
    int64_t ids[PIECE];
    /* One at a time: its metrics may be many rows, and others wait for the writer. */
    GR_TRY(collect(db,
                   "SELECT id, checkpoint_file, model_file FROM experiments "
                   "WHERE trashed_at IS NOT NULL AND trashed_at < ?1 LIMIT 1",
                   work->limit, work, ids, error));
    if (work->done == 0) return GR_OK;
    return experiment_erase(db, ids[0], error);
}

gr_status store_empty_trash(store *self, int64_t before, int64_t *purged, gr_error *error) {
    piece work = {.limit = before};
    return run(self, trash_work, &work, purged, error);
}

static gr_status oldest_work(database *db, void *context, gr_error *error) {
    piece *work = context;
    int64_t ids[PIECE];
    GR_TRY(collect(db,
                   "SELECT id FROM (SELECT id FROM experiments WHERE trashed_at IS NULL AND state "
                   "IN ('succeeded', 'failed', 'diverged', 'cancelled') "
                   "ORDER BY finished_at DESC, id DESC LIMIT -1 OFFSET ?1) "
                   "WHERE id NOT IN (SELECT f.value " STARTING_FROM ") LIMIT 64",
                   work->limit, work, ids, error));
    for (int64_t i = 0; i < work->done; i++) {
        int64_t revision;
        GR_TRY(next_revision(db, &revision, error));
        GR_TRY(database_run(db, NULL, error,
                            "UPDATE experiments SET revision = ?2, trashed_at = ?3 WHERE id = ?1",
                            "iii", ids[i], revision, clock_now()));
    }
    return GR_OK;
}

gr_status store_trash_oldest(store *self, int64_t kept, int64_t *trashed, gr_error *error) {
    piece work = {.limit = kept};
    return run(self, oldest_work, &work, trashed, error);
}

static gr_status answers_work(database *db, void *context, gr_error *error) {
    piece *work = context;
    return database_run(db, &work->done, error, "DELETE FROM idempotency WHERE created_at < ?1",
                        "i", clock_now() - IDEMPOTENCY_SECONDS * INT64_C(1000));
}

gr_status store_drop_answers(store *self, int64_t *dropped, gr_error *error) {
    piece work = {0};
    return run(self, answers_work, &work, dropped, error);
}
