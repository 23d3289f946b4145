/* Changes of experiments, one by one or many: one table, one way for all. */
#include "server/store/changes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- name, tags, notes, priority
 * ----------------------------------------------------------------------------------------- */

static gr_status edit_check(database *db, const experiment *record, gr_error *error) {
    (void)db, (void)record, (void)error;
    return GR_OK;
}

static gr_status edit_apply(database *db, change *act, gr_error *error) {
    experiment *record = &act->record, before;
    const change_options *options = act->options;
    int64_t revision;
    GR_TRY(experiment_select(db, act->id, &before, error));
    gr_status status = options->edit(options->context, record, error);
    const bool named = status == GR_OK && strcmp(before.name, record->name) != 0;
    const bool tagged = status == GR_OK && strcmp(before.tags, record->tags) != 0;
    const bool noted = status == GR_OK && strcmp(before.notes, record->notes) != 0;
    const int64_t priority = before.priority;
    experiment_clear(&before);
    GR_TRY(status);
    const bool moved = priority != record->priority;
    if (!named && !tagged && !noted && !moved) return GR_OK; /* and the ETag is what it was */
    GR_TRY(next_revision(db, &revision, error));
    GR_TRY(database_run(db, NULL, error,
                        "UPDATE experiments SET revision = ?2, name = ?3, tags = ?4, notes = ?5, "
                        "priority = ?6 WHERE id = ?1",
                        "iittti", act->id, revision, record->name, record->tags, record->notes,
                        record->priority));
    if (tagged) GR_TRY(facts_retag(db, act->id, record->tags, error));
    char from_to[64] = "";
    if (moved)
        snprintf(from_to, sizeof from_to, " priority (%lld, was %lld)", (long long)record->priority,
                 (long long)priority);
    return log_add(db, act->id, "info", error, "edited:%s%s%s%s", named ? " name" : "",
                   tagged ? " tags" : "", noted ? " notes" : "", from_to);
}

/* -- all changes
 * ----------------------------------------------------------------------------------------- */

static const struct {
    change_check check;
    change_apply apply;
    size_t at_once;  /* so many may share a transaction */
    bool of_trashed; /* they are looked for in the trash too */
    bool erases;
} changes[] = {[CHANGE_CANCEL] = {cancel_check, cancel_apply, 100, false, false},
               [CHANGE_PAUSE] = {pause_check, pause_apply, 100, false, false},
               [CHANGE_RESUME] = {resume_check, resume_apply, 100, false, false},
               /* from the start: all its metrics go */
               [CHANGE_RETRY] = {retry_check, retry_apply, 10, false, false},
               [CHANGE_EDIT] = {edit_check, edit_apply, 100, false, false},
               [CHANGE_DELETE] = {delete_check, delete_apply, 100, false, false},
               [CHANGE_UNDELETE] = {undelete_check, undelete_apply, 100, true, false},
               /* its metrics may be many rows */
               [CHANGE_PURGE] = {purge_check, purge_apply, 1, true, true}};

void change_drop_file(change *act, const char *file) {
    if (file && strlen(file) < sizeof act->files[0])
        memcpy(act->files[act->file_count++], file, strlen(file) + 1);
}

static gr_status perform(database *db, experiment_change kind, change *act, gr_error *error) {
    const change_options *options = act->options;
    experiment_clear(&act->record);
    act->file_count = 0;
    GR_TRY(changes[kind].of_trashed ? experiment_select_any(db, act->id, &act->record, error)
                                    : experiment_select(db, act->id, &act->record, error));
    if (options->guard) GR_TRY(options->guard(options->context, &act->record, error));
    GR_TRY(changes[kind].check(db, &act->record, error));
    if (options->dry_run) return GR_OK;
    GR_TRY(changes[kind].apply(db, act, error));
    if (changes[kind].erases) return GR_OK;
    experiment_clear(&act->record);
    return experiment_select_any(db, act->id, &act->record, error);
}

static const change_options no_options = {0};

/* A transaction's worth of changes, or one that is part of a larger work. */
typedef struct batch {
    experiment_change kind;
    change *items;
    change_outcome *outcomes; /* NULL: one item, whose failure is the work's */
    size_t count;
} batch;

static void note(change_outcome *outcome, const change *act, gr_status status,
                 const gr_error *error) {
    outcome->status = status;
    outcome->known = act->record.id != 0;
    outcome->state = act->record.state;
    snprintf(outcome->reason, sizeof outcome->reason, "%.255s",
             status == GR_OK ? "" : error->message);
}

static gr_status batch_work(database *db, void *context, gr_error *error) {
    batch *work = context;
    if (!work->outcomes) return perform(db, work->kind, work->items, error);
    for (size_t i = 0; i < work->count; i++) {
        const gr_status status = perform(db, work->kind, &work->items[i], error);
        /* What is refused has not been begun; anything else undoes the whole batch. */
        if (status != GR_OK && status != GR_CONFLICT && status != GR_NOT_FOUND) return status;
        note(&work->outcomes[i], &work->items[i], status, error);
    }
    return GR_OK;
}

static gr_status run(store *self, batch *work, gr_error *error) {
    if (!work->items->options->dry_run) {
        GR_TRY(writer_run(self->writer, batch_work, work, error));
        for (size_t i = 0; i < work->count; i++)
            for (size_t f = 0; f < work->items[i].file_count; f++)
                artifact_remove(self, work->items[i].files[f]);
        return GR_OK;
    }
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    const gr_status status = batch_work(db, work, error);
    readers_give(self->readers, db);
    return status;
}

gr_status store_change(store *self, experiment_change kind, int64_t id,
                       const change_options *options, experiment *after, gr_error *error) {
    change act = {.id = id, .options = options ? options : &no_options};
    const gr_status status = run(self, &(batch){.kind = kind, .items = &act, .count = 1}, error);
    if (status == GR_OK && after)
        *after = act.record;
    else
        experiment_clear(&act.record);
    return status;
}

void store_change_many(store *self, experiment_change kind, const change_options *options,
                       change_outcome *outcomes, size_t count) {
    const size_t at_once = changes[kind].at_once;
    change *items = calloc(at_once, sizeof *items);
    for (size_t begin = 0, end; begin < count; begin = end) {
        end = begin + at_once < count ? begin + at_once : count;
        gr_error error = {0};
        gr_status status = GR_OK;
        if (items) {
            for (size_t i = begin; i < end; i++)
                items[i - begin] =
                    (change){.id = outcomes[i].id, .options = options ? options : &no_options};
            status = run(self, &(batch){kind, items, outcomes + begin, end - begin}, &error);
        } else {
            status = gr_fail(&error, GR_OUT_OF_MEMORY, "store: out of memory");
        }
        const change nothing = {0};
        for (size_t i = begin; status != GR_OK && i < end; i++)
            note(&outcomes[i], &nothing, status, &error);
        for (size_t i = 0; items && i < end - begin; i++) experiment_clear(&items[i].record);
    }
    free(items);
}

gr_status experiment_change_apply(database *db, experiment_change kind, int64_t id,
                                  gr_error *error) {
    change act = {.id = id, .options = &no_options};
    const gr_status status = perform(db, kind, &act, error);
    experiment_clear(&act.record);
    return status;
}

gr_status store_cancel(store *self, int64_t id, experiment *after, gr_error *error) {
    return store_change(self, CHANGE_CANCEL, id, NULL, after, error);
}

gr_status store_pause(store *self, int64_t id, experiment *after, gr_error *error) {
    return store_change(self, CHANGE_PAUSE, id, NULL, after, error);
}

gr_status store_resume(store *self, int64_t id, experiment *after, gr_error *error) {
    return store_change(self, CHANGE_RESUME, id, NULL, after, error);
}

gr_status store_retry(store *self, int64_t id, bool from_start, experiment *after,
                      gr_error *error) {
    return store_change(self, CHANGE_RETRY, id, &(change_options){.from_start = from_start}, after,
                        error);
}

gr_status store_delete(store *self, int64_t id, gr_error *error) {
    return store_change(self, CHANGE_DELETE, id, NULL, NULL, error);
}
