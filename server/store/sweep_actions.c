/* What is done to all experiments of a sweep at once: cancel, pause, resume, retry, delete. */
#include <stdlib.h>

#include "server/clock.h"
#include "server/store/sweeps.h"

typedef struct act {
    int64_t id;
    sweep_action action;
    unsigned states;
    id_list changed;
} act;

static const experiment_change changes[] = {[SWEEP_CANCEL] = CHANGE_CANCEL,
                                            [SWEEP_PAUSE] = CHANGE_PAUSE,
                                            [SWEEP_RESUME] = CHANGE_RESUME,
                                            [SWEEP_RETRY] = CHANGE_RETRY};

/* Which of its experiments the action is for. Those that wait at a rung wait for the keeper, not
 * for a resume. */
static gr_status affected(database *db, const act *order, id_list *ids, gr_error *error) {
    sqlite3_stmt *statement = NULL;
    switch (order->action) {
    case SWEEP_CANCEL:
        GR_TRY(database_query(db, &statement, error,
                              "SELECT id FROM experiments WHERE sweep = ?1 AND trashed_at IS NULL "
                              "AND state IN ('queued', 'running', 'paused') ORDER BY id",
                              "i", order->id));
        break;
    case SWEEP_PAUSE:
        GR_TRY(database_query(db, &statement, error,
                              "SELECT id FROM experiments WHERE sweep = ?1 AND trashed_at IS NULL "
                              "AND state IN ('queued', 'running') AND NOT cancel_requested "
                              "ORDER BY id",
                              "i", order->id));
        break;
    case SWEEP_RESUME:
        GR_TRY(database_query(db, &statement, error,
                              "SELECT id FROM experiments WHERE sweep = ?1 AND trashed_at IS NULL "
                              "AND (state = 'paused' OR state = 'running' AND pause_requested) "
                              "AND NOT (stop_after_iteration > 0 AND iteration > "
                              "stop_after_iteration) ORDER BY id",
                              "i", order->id));
        break;
    case SWEEP_RETRY:
        GR_TRY(database_query(
            db, &statement, error,
            "SELECT id FROM experiments WHERE sweep = ?1 AND trashed_at IS NULL AND "
            "(state = 'failed' AND ?2 OR state = 'diverged' AND ?3 OR state = 'cancelled' AND ?4) "
            "ORDER BY id",
            "iiii", order->id, (int64_t)(order->states >> STATE_FAILED & 1),
            (int64_t)(order->states >> STATE_DIVERGED & 1),
            (int64_t)(order->states >> STATE_CANCELLED & 1)));
        break;
    }
    return id_list_read(db, statement, ids, error);
}

static gr_status mark_sweep(database *db, const act *order, gr_error *error) {
    switch (order->action) {
    case SWEEP_CANCEL:
        return database_run(db, NULL, error,
                            "UPDATE sweeps SET active = 0, paused = 0, cancelled_at = ?2 "
                            "WHERE id = ?1",
                            "ii", order->id, clock_now());
    case SWEEP_PAUSE:
    case SWEEP_RESUME:
        return database_run(db, NULL, error, "UPDATE sweeps SET paused = ?2 WHERE id = ?1", "ii",
                            order->id, (int64_t)(order->action == SWEEP_PAUSE));
    default:
        return database_run(db, NULL, error, "UPDATE sweeps SET cancelled_at = NULL WHERE id = ?1",
                            "i", order->id);
    }
}

static gr_status act_work(database *db, void *context, gr_error *error) {
    act *order = context;
    sweep_row row;
    order->changed.count = 0;
    GR_TRY(sweep_select(db, order->id, &row, error));
    const bool cancelled = row.cancelled_at != 0, paused = row.paused;
    const bool ended =
        !row.active &&
        row.counts[STATE_QUEUED] + row.counts[STATE_RUNNING] + row.counts[STATE_PAUSED] == 0;
    const bool halving = row.strategy && row.strategy[0] == 'a';
    sweep_row_clear(&row);
    if (cancelled && order->action != SWEEP_RETRY)
        return gr_fail(error, GR_CONFLICT, "sweep %lld has been cancelled", (long long)order->id);
    if (halving && order->action == SWEEP_RETRY)
        return gr_fail(error, GR_CONFLICT,
                       "sweep %lld halves its arms by what they were worth when they came: an arm "
                       "cannot be tried again",
                       (long long)order->id);
    if (paused && order->action == SWEEP_PAUSE)
        return gr_fail(error, GR_CONFLICT, "sweep %lld is paused already", (long long)order->id);
    if (!paused && order->action == SWEEP_RESUME)
        return gr_fail(error, GR_CONFLICT, "sweep %lld is not paused", (long long)order->id);
    if (ended && order->action != SWEEP_RETRY && order->action != SWEEP_RESUME)
        return gr_fail(error, GR_CONFLICT, "sweep %lld has ended", (long long)order->id);
    gr_status status = affected(db, order, &order->changed, error);
    if (status == GR_OK && order->action == SWEEP_RETRY && order->changed.count == 0)
        status =
            gr_fail(error, GR_CONFLICT,
                    "no experiment of sweep %lld has ended in a state that is to be tried again",
                    (long long)order->id);
    for (size_t i = 0; i < order->changed.count && status == GR_OK; i++)
        status =
            experiment_change_apply(db, changes[order->action], order->changed.items[i], error);
    if (status == GR_OK) status = mark_sweep(db, order, error);
    return status == GR_OK ? sweep_touch(db, order->id, error) : status;
}

/* Hands the ids over, or frees them. */
static gr_status give_ids(gr_status status, id_list *list, int64_t **ids, size_t *count) {
    *ids = NULL;
    *count = 0;
    if (status == GR_OK) {
        *ids = list->items;
        *count = list->count;
    } else {
        free(list->items);
    }
    return status;
}

gr_status store_sweep_act(store *self, int64_t id, sweep_action action, unsigned states,
                          int64_t **ids, size_t *count, gr_error *error) {
    act order = {.id = id, .action = action, .states = states};
    return give_ids(writer_run(self->writer, act_work, &order, error), &order.changed, ids, count);
}

static gr_status delete_work(database *db, void *context, gr_error *error) {
    act *order = context;
    sweep_row row;
    sqlite3_stmt *statement;
    order->changed.count = 0;
    GR_TRY(sweep_select(db, order->id, &row, error));
    const int64_t open =
        row.counts[STATE_QUEUED] + row.counts[STATE_RUNNING] + row.counts[STATE_PAUSED];
    sweep_row_clear(&row);
    if (open > 0)
        return gr_fail(error, GR_CONFLICT,
                       "%lld experiment%s of sweep %lld %s not ended: cancel it before deleting it",
                       (long long)open, open == 1 ? "" : "s", (long long)order->id,
                       open == 1 ? "has" : "have");
    GR_TRY(database_query(
        db, &statement, error,
        "SELECT id FROM experiments WHERE sweep = ?1 AND trashed_at IS NULL ORDER BY id", "i",
        order->id));
    GR_TRY(id_list_read(db, statement, &order->changed, error));
    const int64_t now = clock_now();
    for (size_t i = 0; i < order->changed.count; i++) {
        int64_t revision;
        GR_TRY(require_not_started_from(db, order->changed.items[i], error));
        GR_TRY(next_revision(db, &revision, error));
        GR_TRY(database_run(db, NULL, error,
                            "UPDATE experiments SET revision = ?2, trashed_at = ?3 WHERE id = ?1",
                            "iii", order->changed.items[i], revision, now));
    }
    return database_run(db, NULL, error,
                        "UPDATE sweeps SET active = 0, trashed_at = ?2 WHERE id = ?1", "ii",
                        order->id, now);
}

gr_status store_sweep_delete(store *self, int64_t id, int64_t **ids, size_t *count,
                             gr_error *error) {
    act order = {.id = id};
    return give_ids(writer_run(self->writer, delete_work, &order, error), &order.changed, ids,
                    count);
}
