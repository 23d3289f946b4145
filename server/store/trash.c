/* The trash: into it, out of it, and for good. */
#include "server/clock.h"
#include "server/store/changes.h"

gr_status require_not_started_from(database *db, int64_t id, gr_error *error) {
    int64_t user;
    GR_TRY(database_integer(db, &user, 0, error,
                            "SELECT e.id " STARTING_FROM " AND f.value = ?1 ORDER BY e.id LIMIT 1",
                            "i", id));
    if (user == 0) return GR_OK;
    return gr_fail(error, GR_CONFLICT,
                   "experiment %lld starts from the model of experiment %lld: wait for its end, or "
                   "cancel it",
                   (long long)user, (long long)id);
}

gr_status delete_check(database *db, const experiment *record, gr_error *error) {
    if (state_is_final(record->state)) return require_not_started_from(db, record->id, error);
    return gr_fail(error, GR_CONFLICT, "experiment %lld is %s: cancel it before deleting it",
                   (long long)record->id, state_name(record->state));
}

gr_status delete_apply(database *db, change *act, gr_error *error) {
    int64_t revision;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, trashed_at = ?3 WHERE id = ?1",
                        "iii", act->id, revision, clock_now()));
    return log_add(db, act->id, "info", error, "moved to the trash");
}

static gr_status require_trashed(const experiment *record, const char *remedy, gr_error *error) {
    if (record->trashed_at) return GR_OK;
    return gr_fail(error, GR_CONFLICT, "experiment %lld is not in the trash%s",
                   (long long)record->id, remedy);
}

/* A place in a sweep is one experiment's: its table would count two of them twice. */
gr_status undelete_check(database *db, const experiment *record, gr_error *error) {
    int64_t other = 0;
    GR_TRY(require_trashed(record, "", error));
    if (record->sweep)
        GR_TRY(database_integer(db, &other, 0, error,
                                "SELECT id FROM experiments WHERE sweep = ?1 AND arm = ?2 AND "
                                "seed = ?3 AND trashed_at IS NULL",
                                "iii", record->sweep, record->arm, record->seed));
    if (other == 0) return GR_OK;
    return gr_fail(error, GR_CONFLICT,
                   "sweep %lld has experiment %lld in the place of experiment %lld by now (arm "
                   "%lld, seed %lld): delete that one first",
                   (long long)record->sweep, (long long)other, (long long)record->id,
                   (long long)record->arm, (long long)record->seed);
}

gr_status undelete_apply(database *db, change *act, gr_error *error) {
    int64_t revision;
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, trashed_at = NULL WHERE id = ?1",
                        "ii", act->id, revision));
    if (act->record.sweep)
        GR_TRY(database_run(db, NULL, error,
                            "UPDATE sweeps SET revision = ?2, trashed_at = NULL WHERE id = ?1 AND "
                            "trashed_at IS NOT NULL",
                            "ii", act->record.sweep, revision));
    return log_add(db, act->id, "info", error, "taken out of the trash");
}

gr_status purge_check(database *db, const experiment *record, gr_error *error) {
    GR_TRY(require_trashed(record, ": delete it before purging it", error));
    return require_not_started_from(db, record->id, error);
}

gr_status purge_apply(database *db, change *act, gr_error *error) {
    change_drop_file(act, act->record.checkpoint_file);
    change_drop_file(act, act->record.model_file);
    return experiment_erase(db, act->id, error);
}

gr_status experiment_erase(database *db, int64_t id, gr_error *error) {
    int64_t sweep;
    GR_TRY(database_integer(db, &sweep, 0, error,
                            "SELECT coalesce(sweep, 0) FROM experiments WHERE id = ?1", "i", id));
    /* Its metrics, attempts, log and webhook go with it: ON DELETE CASCADE. */
    GR_TRY(database_run(db, NULL, error, "DELETE FROM experiments WHERE id = ?1", "i", id));
    if (sweep)
        GR_TRY(database_run(db, NULL, error,
                            "DELETE FROM sweeps WHERE id = ?1 AND trashed_at IS NOT NULL AND NOT "
                            "EXISTS (SELECT 1 FROM experiments WHERE sweep = ?1)",
                            "i", sweep));
    return database_execute(db, "PRAGMA incremental_vacuum(1000)", error);
}
