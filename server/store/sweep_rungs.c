/* Asynchronous successive halving (Li et al. 2020, algorithm 2), over what is stored.
 *
 * An arm is all its seeds: it reaches a rung when each of them has (or has ended), and its value
 * there is their mean. What a pass decides follows from the rows of sweep_rungs, which say in what
 * order the arms came; whatever a crash prevented, the next pass does. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/sweeps.h"

typedef struct member {
    int64_t id, arm, iteration, stop_after;
    experiment_state state;
} member;

typedef struct pass {
    int64_t id;
    const sweep_ladder *ladder;
    id_list changed;
    member *members; /* by arm */
    size_t member_count;
} pass;

typedef struct candidate {
    int64_t arm, sequence;
    double value;
    bool has_value, promoted;
} candidate;

static gr_status read_members(database *db, pass *self, gr_error *error) {
    int64_t size;
    sqlite3_stmt *statement;
    free(self->members);
    self->members = NULL;
    self->member_count = 0;
    GR_TRY(database_integer(
        db, &size, 0, error,
        "SELECT count(*) FROM experiments WHERE sweep = ?1 AND trashed_at IS NULL", "i", self->id));
    self->members = calloc((size_t)size + 1, sizeof *self->members);
    if (!self->members) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    GR_TRY(database_query(db, &statement, error,
                          "SELECT id, arm, iteration, stop_after_iteration, state FROM experiments "
                          "WHERE sweep = ?1 AND trashed_at IS NULL ORDER BY arm, seed, id LIMIT ?2",
                          "ii", self->id, size));
    for (bool more = true; more;) {
        GR_TRY(database_step(db, statement, &more, error));
        if (!more) break;
        member *one = &self->members[self->member_count++];
        *one = (member){.id = sqlite3_column_int64(statement, 0),
                        .arm = sqlite3_column_int64(statement, 1),
                        .iteration = sqlite3_column_int64(statement, 2),
                        .stop_after = sqlite3_column_int64(statement, 3)};
        const char *state = (const char *)sqlite3_column_text(statement, 4);
        if (!state || !state_from_name(state, &one->state)) {
            sqlite3_reset(statement);
            return gr_fail(error, GR_CORRUPT, "experiment %lld has an unknown state",
                           (long long)one->id);
        }
    }
    return GR_OK;
}

static bool waits_at_rung(const member *one) {
    return one->state == STATE_PAUSED && one->stop_after > 0 && one->iteration > one->stop_after;
}

/* The metric of one experiment when it was at the rung; *has false where there is none. */
static gr_status value_at(database *db, const pass *self, const member *one, int64_t stop,
                          double *value, bool *has, gr_error *error) {
    sqlite3_stmt *statement;
    bool row;
    *has = false;
    if (one->state != STATE_PAUSED && one->state != STATE_SUCCEEDED) return GR_OK;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT value FROM metrics WHERE experiment = ?1 AND name = ?2 AND "
                          "iteration <= ?3 ORDER BY iteration DESC LIMIT 1",
                          "iti", one->id, self->ladder->metric, stop));
    GR_TRY(database_step(db, statement, &row, error));
    if (!row) return GR_OK;
    *has = sqlite3_column_type(statement, 0) == SQLITE_FLOAT; /* a text is not finite */
    *value = sqlite3_column_double(statement, 0);
    sqlite3_reset(statement);
    return GR_OK;
}

/* Notes the arm (members `first` … `end` - 1) at `rung`. */
static gr_status note_arm(database *db, pass *self, size_t rung, size_t first, size_t end,
                          gr_error *error) {
    const sweep_ladder *ladder = self->ladder;
    const int64_t stop = rung < ladder->count ? ladder->stops[rung] : INT64_MAX;
    double sum = 0;
    bool all = true;
    for (size_t i = first; i < end && all; i++) {
        double value = 0;
        GR_TRY(value_at(db, self, &self->members[i], stop, &value, &all, error));
        sum += value;
    }
    int64_t sequence;
    GR_TRY(database_integer(db, &sequence, 0, error,
                            "SELECT count(*) FROM sweep_rungs WHERE sweep = ?1 AND rung = ?2", "ii",
                            self->id, (int64_t)rung));
    if (all)
        return database_run(db, NULL, error,
                            "INSERT INTO sweep_rungs (sweep, rung, sequence, arm, value) VALUES "
                            "(?1, ?2, ?3, ?4, ?5)",
                            "iiiid", self->id, (int64_t)rung, sequence, self->members[first].arm,
                            sum / (double)(end - first));
    return database_run(db, NULL, error,
                        "INSERT INTO sweep_rungs (sweep, rung, sequence, arm) VALUES "
                        "(?1, ?2, ?3, ?4)",
                        "iiii", self->id, (int64_t)rung, sequence, self->members[first].arm);
}

/* Notes who has come since. *open: arms that are still on their way. */
static gr_status note_arrivals(database *db, pass *self, size_t *open, gr_error *error) {
    *open = 0;
    for (size_t first = 0, end; first < self->member_count; first = end) {
        const int64_t arm = self->members[first].arm;
        bool there = true;
        for (end = first; end < self->member_count && self->members[end].arm == arm; end++)
            there = there && (waits_at_rung(&self->members[end]) ||
                              state_is_final(self->members[end].state));
        if (!there) {
            ++*open;
            continue;
        }
        int64_t rung, noted;
        GR_TRY(database_integer(
            db, &rung, 0, error,
            "SELECT count(*) FROM sweep_rungs WHERE sweep = ?1 AND arm = ?2 AND promoted", "ii",
            self->id, arm));
        GR_TRY(database_integer(
            db, &noted, 0, error,
            "SELECT 1 FROM sweep_rungs WHERE sweep = ?1 AND arm = ?2 AND rung = ?3", "iii",
            self->id, arm, rung));
        if (!noted) GR_TRY(note_arm(db, self, (size_t)rung, first, end, error));
    }
    return GR_OK;
}

static gr_status read_rung(database *db, const pass *self, size_t rung, candidate **candidates,
                           size_t *count, gr_error *error) {
    int64_t size;
    sqlite3_stmt *statement;
    *count = 0;
    *candidates = NULL;
    GR_TRY(database_integer(db, &size, 0, error,
                            "SELECT count(*) FROM sweep_rungs WHERE sweep = ?1 AND rung = ?2", "ii",
                            self->id, (int64_t)rung));
    candidate *list = calloc((size_t)size + 1, sizeof *list);
    if (!list) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    gr_status status = database_query(
        db, &statement, error,
        "SELECT arm, sequence, value, promoted FROM sweep_rungs WHERE sweep = ?1 AND "
        "rung = ?2 ORDER BY sequence LIMIT ?3",
        "iii", self->id, (int64_t)rung, size);
    for (bool more = true; status == GR_OK && more;) {
        status = database_step(db, statement, &more, error);
        if (status == GR_OK && more)
            list[(*count)++] =
                (candidate){.arm = sqlite3_column_int64(statement, 0),
                            .sequence = sqlite3_column_int64(statement, 1),
                            .has_value = sqlite3_column_type(statement, 2) != SQLITE_NULL,
                            .value = sqlite3_column_double(statement, 2),
                            .promoted = sqlite3_column_int64(statement, 3) != 0};
    }
    if (status != GR_OK) {
        free(list);
        return status;
    }
    *candidates = list;
    return GR_OK;
}

/* Best first; of equals, who came first; without a value last. `value` is turned so that higher is
 * better. */
static int compare(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->has_value != y->has_value) return x->has_value ? -1 : 1;
    if (x->has_value && x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static gr_status promote(database *db, pass *self, size_t rung, int64_t arm, gr_error *error) {
    const sweep_ladder *ladder = self->ladder;
    const int64_t stop = rung + 1 < ladder->count ? ladder->stops[rung + 1] : 0;
    GR_TRY(database_run(
        db, NULL, error,
        "UPDATE sweep_rungs SET promoted = 1 WHERE sweep = ?1 AND rung = ?2 AND arm = ?3", "iii",
        self->id, (int64_t)rung, arm));
    for (size_t i = 0; i < self->member_count; i++) {
        member *one = &self->members[i];
        if (one->arm != arm || !waits_at_rung(one)) continue;
        GR_TRY(database_run(db, NULL, error,
                            "UPDATE experiments SET stop_after_iteration = ?2 WHERE id = ?1", "ii",
                            one->id, stop));
        GR_TRY(experiment_change_apply(db, CHANGE_RESUME, one->id, error));
        GR_TRY(log_add(db, one->id, "info", error, "promoted from rung %zu of its sweep", rung));
        GR_TRY(id_list_add(&self->changed, one->id, error));
        one->state = STATE_QUEUED;
    }
    return GR_OK;
}

/* Promotes at `rung` all that are among the best 1/factor of who has come, or at least `least`.
 * *promoted: how many. */
static gr_status promote_rung(database *db, pass *self, size_t rung, size_t least, size_t *promoted,
                              gr_error *error) {
    candidate *list;
    size_t count;
    GR_TRY(read_rung(db, self, rung, &list, &count, error));
    if (!self->ladder->higher_is_better)
        for (size_t i = 0; i < count; i++) list[i].value = -list[i].value;
    qsort(list, count, sizeof *list, compare);
    size_t best = count / (size_t)self->ladder->factor;
    if (best < least) best = least;
    gr_status status = GR_OK;
    for (size_t i = 0; i < count && i < best && status == GR_OK; i++)
        if (!list[i].promoted && list[i].has_value) {
            status = promote(db, self, rung, list[i].arm, error);
            ++*promoted;
        }
    free(list);
    return status;
}

/* Where there are few arms, no rung may hold enough of them for one to go on: the best of the
 * highest rung does, so that one reaches the end. */
static gr_status promote_last(database *db, pass *self, size_t *promoted, gr_error *error) {
    int64_t highest, any;
    GR_TRY(database_integer(db, &highest, -1, error,
                            "SELECT coalesce(max(rung), -1) FROM sweep_rungs WHERE sweep = ?1 AND "
                            "value IS NOT NULL",
                            "i", self->id));
    if (highest < 0 || (size_t)highest >= self->ladder->count) return GR_OK;
    GR_TRY(database_integer(
        db, &any, 0, error,
        "SELECT count(*) FROM sweep_rungs WHERE sweep = ?1 AND rung = ?2 AND promoted", "ii",
        self->id, highest));
    return any ? GR_OK : promote_rung(db, self, (size_t)highest, 1, promoted, error);
}

static gr_status drop_rest(database *db, pass *self, gr_error *error) {
    int64_t dropped = 0;
    for (size_t i = 0; i < self->member_count; i++) {
        const member *one = &self->members[i];
        if (!waits_at_rung(one)) continue;
        GR_TRY(log_add(db, one->id, "info", error, "dropped by its sweep after iteration %lld",
                       (long long)one->stop_after));
        GR_TRY(experiment_change_apply(db, CHANGE_CANCEL, one->id, error));
        GR_TRY(id_list_add(&self->changed, one->id, error));
        dropped++;
    }
    char note[128];
    snprintf(note, sizeof note, "%lld experiment%s dropped at %s", (long long)dropped,
             dropped == 1 ? " was" : "s were", dropped == 1 ? "its rung" : "their rungs");
    return database_run(db, NULL, error, "UPDATE sweeps SET active = 0, note = ?2 WHERE id = ?1",
                        "it", self->id, note);
}

static gr_status advance_work(database *db, void *context, gr_error *error) {
    pass *self = context;
    sweep_row row;
    self->changed.count = 0;
    GR_TRY(sweep_select(db, self->id, &row, error));
    const bool idle = !row.active || row.paused || row.cancelled_at;
    sweep_row_clear(&row);
    if (idle) return GR_OK;
    size_t open, promoted = 0;
    GR_TRY(read_members(db, self, error));
    GR_TRY(note_arrivals(db, self, &open, error));
    for (size_t rung = self->ladder->count; rung-- > 0;)
        GR_TRY(promote_rung(db, self, rung, 0, &promoted, error));
    if (promoted == 0 && open == 0) GR_TRY(promote_last(db, self, &promoted, error));
    if (promoted > 0 || open > 0) return GR_OK;
    GR_TRY(drop_rest(db, self, error));
    return sweep_touch(db, self->id, error);
}

gr_status store_sweep_advance(store *self, int64_t id, const sweep_ladder *ladder, int64_t **ids,
                              size_t *count, gr_error *error) {
    pass one = {.id = id, .ladder = ladder};
    const gr_status status = writer_run(self->writer, advance_work, &one, error);
    free(one.members);
    *ids = NULL;
    *count = 0;
    if (status == GR_OK) {
        *ids = one.changed.items;
        *count = one.changed.count;
    } else {
        free(one.changed.items);
    }
    return status;
}

gr_status store_sweep_rungs(store *self, int64_t id, sweep_rung_row **rows, size_t *count,
                            gr_error *error) {
    database *db;
    sqlite3_stmt *statement = NULL;
    int64_t size = 0;
    *rows = NULL;
    *count = 0;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_integer(
        db, &size, 0, error, "SELECT count(*) FROM sweep_rungs WHERE sweep = ?1", "i", id);
    sweep_rung_row *list = calloc((size_t)size + 1, sizeof *list);
    if (status == GR_OK && !list) status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    if (status == GR_OK)
        status =
            database_query(db, &statement, error,
                           "SELECT rung, sequence, arm, value, promoted FROM sweep_rungs WHERE "
                           "sweep = ?1 ORDER BY rung, sequence LIMIT ?2",
                           "ii", id, size);
    size_t read = 0;
    for (bool more = true; status == GR_OK && more;) {
        status = database_step(db, statement, &more, error);
        if (status == GR_OK && more)
            list[read++] =
                (sweep_rung_row){.rung = sqlite3_column_int64(statement, 0),
                                 .sequence = sqlite3_column_int64(statement, 1),
                                 .arm = sqlite3_column_int64(statement, 2),
                                 .value = sqlite3_column_type(statement, 3) == SQLITE_NULL
                                              ? NAN
                                              : sqlite3_column_double(statement, 3),
                                 .promoted = sqlite3_column_int64(statement, 4) != 0};
    }
    readers_give(self->readers, db);
    if (status != GR_OK) {
        free(list);
        return status;
    }
    *rows = list;
    *count = read;
    return GR_OK;
}
