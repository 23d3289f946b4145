/* Pages of experiments: filtered, sorted by any keys, each page found from where the one before
 * ended. The ids come of one query over narrow indexes; the records are then read by id. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/query.h"

enum {
    MAXIMUM_KEYS = FILTER_MAXIMUM_SORT_KEYS,
    RANKED_BUDGET = 60000 /* steps: some thousand experiments */
};

/* -- the query
 * ------------------------------------------------------------------------------------------ */

/* Which part of a list is asked for. Where the first key is a metric, those that have it are read
 * in the order of the index, and those that do not come in a second part. */
typedef enum list_part { PART_ALL, PART_RANKED, PART_UNRANKED } list_part;

static const char *const shorts[MAXIMUM_KEYS] = {"s0.value", "s1.value", "s2.value", "s3.value"};

static void add_key(query *to, const listing *list, size_t key) {
    if (list->keys[key].field.member == MEMBER_FACT)
        fputs(shorts[key], to->out);
    else
        query_field(to, &list->keys[key].field);
}

static bool may_be_missing(const filter_field *field) {
    switch (field->member) {
    case MEMBER_SWEEP:
    case MEMBER_STARTED_AT:
    case MEMBER_FINISHED_AT:
    case MEMBER_FACT:
        return true;
    default:
        return false;
    }
}

static bool ids_descend(const listing *list) {
    return list->key_count == 0 || list->keys[list->key_count - 1].descending;
}

/* The sweep that the filter, or a term of it that must hold, asks for; 0: none. */
static double sweep_of_filter(const filter *tree) {
    for (; tree && tree->kind == FILTER_AND; tree = tree->left) {
        const double sweep = sweep_of_filter(tree->right);
        if (sweep != 0) return sweep;
    }
    return tree && tree->kind == FILTER_EQUAL && tree->field.member == MEMBER_SWEEP
               ? tree->values[0].number
               : 0;
}

static double sweep_of(const listing *list) {
    return list->sweep ? (double)list->sweep : sweep_of_filter(list->filter);
}

static void add_name_number(query *to, const char *name) {
    fputs("(SELECT id FROM fact_names WHERE name = ", to->out);
    query_bind_text(to, name);
    fputc(')', to->out);
}

/* The smallest index that has what is asked for: a row of the table itself is some pages long. */
static const char *index_of(const listing *list, list_part part) {
    if (list->trashed) return "";
    if (part == PART_RANKED) return " INDEXED BY experiments_listed";
    if (sweep_of(list) != 0) return " INDEXED BY experiments_sweep_states";
    if (list->state >= 0 && !list->filter && list->key_count == 0)
        return " INDEXED BY experiments_by_state";
    return " INDEXED BY experiments_listed";
}

static void add_sources(query *to, const listing *list, list_part part) {
    fputs(part == PART_RANKED
              ? " FROM facts AS s0 INDEXED BY facts_by_value CROSS JOIN experiments AS e"
              : " FROM experiments AS e",
          to->out);
    fputs(index_of(list, part), to->out);
    for (size_t i = part == PART_RANKED; i < list->key_count; i++) {
        if (list->keys[i].field.member != MEMBER_FACT) continue;
        fprintf(to->out, " LEFT JOIN facts AS s%zu ON s%zu.experiment = e.id AND s%zu.name = ", i,
                i, i);
        add_name_number(to, list->keys[i].field.name);
    }
}

/* Behind the place, by the key alone. */
static void add_behind_key(query *to, const listing *list, size_t key) {
    fputc('(', to->out);
    add_key(to, list, key);
    fputs(list->keys[key].descending ? " < " : " > ", to->out);
    query_bind(to, &list->after->values[key]);
    if (may_be_missing(&list->keys[key].field)) {
        fputs(" OR ", to->out);
        add_key(to, list, key);
        fputs(" IS NULL", to->out);
    }
    fputc(')', to->out);
}

static void add_at_key(query *to, const listing *list, size_t key) {
    add_key(to, list, key);
    if (list->after->values[key].kind == LIST_MISSING) {
        fputs(" IS NULL", to->out);
    } else {
        fputs(" = ", to->out);
        query_bind(to, &list->after->values[key]);
    }
}

/* Equal in the keys before, and behind it in the next one; by each key, and at last by id. */
static void add_behind(query *to, const listing *list, size_t first, bool ranked) {
    fputs(" AND (", to->out);
    for (size_t i = first; i <= list->key_count; i++) {
        if (i < list->key_count && list->after->values[i].kind == LIST_MISSING)
            continue; /* nothing is behind what is missing */
        for (size_t j = first; j < i; j++) {
            add_at_key(to, list, j);
            fputs(" AND ", to->out);
        }
        if (i < list->key_count) {
            add_behind_key(to, list, i);
            fputs(" OR ", to->out);
        } else {
            fprintf(to->out, "%s %c ", ranked ? "s0.experiment" : "e.id",
                    ids_descend(list) ? '<' : '>');
            query_bind_number(to, (double)list->after->id);
        }
    }
    fputc(')', to->out);
}

static void add_conditions(query *to, const listing *list, list_part part) {
    fprintf(to->out, " WHERE e.trashed_at IS %sNULL", list->trashed ? "NOT " : "");
    if (part == PART_RANKED) {
        fputs(" AND e.id = s0.experiment AND s0.ranked = 1 AND s0.value IS NOT NULL AND s0.name = ",
              to->out);
        add_name_number(to, list->keys[0].field.name);
        if (list->after) { /* where the index is entered */
            fprintf(to->out, " AND s0.value %s ", list->keys[0].descending ? "<=" : ">=");
            query_bind(to, &list->after->values[0]);
        }
    }
    if (part == PART_UNRANKED) fputs(" AND s0.value IS NULL", to->out);
    const double sweep = sweep_of(list);
    if (sweep != 0) {
        fputs(" AND e.sweep = ", to->out);
        query_bind_number(to, sweep);
    }
    if (list->state >= 0) {
        fputs(" AND e.state = ", to->out);
        query_bind_text(to, state_name((experiment_state)list->state));
    }
    if (list->filter) {
        fputs(" AND ", to->out);
        query_filter(to, list->filter);
    }
}

static void add_order(query *to, const listing *list, size_t first, bool ranked) {
    fputs(" ORDER BY ", to->out);
    for (size_t i = first; i < list->key_count; i++) {
        if (may_be_missing(&list->keys[i].field) && !(ranked && i == 0)) {
            add_key(to, list, i);
            fputs(" IS NULL, ", to->out);
        }
        add_key(to, list, i);
        fputs(list->keys[i].descending ? " DESC, " : ", ", to->out);
    }
    fputs(ranked ? "s0.experiment" : "e.id", to->out);
    if (ids_descend(list)) fputs(" DESC", to->out);
}

/* SELECT id, the keys' values … */
static void write_query(query *to, const listing *list, list_part part, int64_t limit) {
    const size_t first = part == PART_UNRANKED;
    const bool ranked = part == PART_RANKED;
    const bool behind =
        list->after && !(part == PART_UNRANKED && list->after->values[0].kind != LIST_MISSING);
    fputs("SELECT e.id", to->out);
    for (size_t i = 0; i < list->key_count; i++) {
        fputs(", ", to->out);
        add_key(to, list, i);
    }
    add_sources(to, list, part);
    add_conditions(to, list, part);
    if (behind) add_behind(to, list, first, ranked);
    add_order(to, list, first, ranked);
    fputs(" LIMIT ", to->out);
    query_bind_number(to, (double)limit);
}

/* -- running it
 * ------------------------------------------------------------------------------------------ */

typedef struct found {
    int64_t *ids; /* owned */
    size_t count, capacity;
    size_t place_of; /* the row whose place is wanted; SIZE_MAX: of none */
    list_place *place;
} found;

void list_place_clear(list_place *place) {
    for (size_t i = 0; i < place->count; i++) free(place->values[i].text);
    *place = (list_place){0};
}

static gr_status read_place(sqlite3_stmt *statement, size_t keys, list_place *place,
                            gr_error *error) {
    place->id = sqlite3_column_int64(statement, 0);
    for (size_t i = 0; i < keys; i++) {
        list_value *value = &place->values[place->count++];
        const int column = (int)i + 1, type = sqlite3_column_type(statement, column);
        *value = (list_value){.kind = type == SQLITE_NULL   ? LIST_MISSING
                                      : type == SQLITE_TEXT ? LIST_TEXT
                                                            : LIST_NUMBER};
        if (value->kind == LIST_NUMBER) value->number = sqlite3_column_double(statement, column);
        GR_TRY(value->kind == LIST_TEXT ? database_text(statement, column, &value->text, error)
                                        : GR_OK);
    }
    return GR_OK;
}

static gr_status bind_all(database *db, sqlite3_stmt *statement, const query *from,
                          gr_error *error) {
    for (size_t i = 0; i < from->count; i++) {
        const list_value *value = &from->values[i];
        const int at = (int)i + 1;
        const bool whole = value->kind == LIST_NUMBER && value->number == floor(value->number) &&
                           fabs(value->number) < 9007199254740992.0;
        const int code = value->kind == LIST_TEXT
                             ? sqlite3_bind_text(statement, at, value->text, -1, SQLITE_STATIC)
                         : whole ? sqlite3_bind_int64(statement, at, (int64_t)value->number)
                                 : sqlite3_bind_double(statement, at, value->number);
        if (code != SQLITE_OK) return database_fail(db, code, "database", error);
    }
    return GR_OK;
}

static gr_status add_id(found *to, int64_t id, gr_error *error) {
    if (to->count == to->capacity) {
        const size_t capacity = to->capacity ? 2 * to->capacity : 64;
        int64_t *larger = realloc(to->ids, capacity * sizeof *larger);
        if (!larger) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
        to->ids = larger;
        to->capacity = capacity;
    }
    to->ids[to->count++] = id;
    return GR_OK;
}

/* Ends a statement whose budget is used up. */
static int give_up(void *context) {
    (void)context;
    return 1;
}

/* Of at most `budget` steps of SQLite's machine, where it is not 0: then *gave_up tells whether
 * that was too little. */
static gr_status run_query(database *db, const query *from, size_t keys, int budget, bool *gave_up,
                           found *to, gr_error *error) {
    sqlite3_stmt *statement;
    GR_TRY(database_prepare(db, from->sql, &statement, error));
    gr_status status = bind_all(db, statement, from, error);
    sqlite3_progress_handler(db->handle, budget, budget ? give_up : NULL, NULL);
    for (bool row = true; status == GR_OK;) {
        status = database_step(db, statement, &row, error);
        if (status != GR_OK || !row) break;
        if (to->place && to->count == to->place_of)
            status = read_place(statement, keys, to->place, error);
        if (status == GR_OK) status = add_id(to, sqlite3_column_int64(statement, 0), error);
    }
    *gave_up = budget && status != GR_OK && sqlite3_errcode(db->handle) == SQLITE_INTERRUPT;
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    sqlite3_finalize(statement);
    return *gave_up ? GR_OK : status;
}

static gr_status find_part(database *db, const listing *list, list_part part, int64_t limit,
                           int budget, bool *gave_up, found *to, gr_error *error) {
    query made = {0};
    gr_status status = GR_OK;
    made.out = open_memstream(&made.sql, &made.length);
    if (made.out) write_query(&made, list, part, limit);
    if (!made.out || fclose(made.out) != 0 || made.failed)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    if (status == GR_OK) status = run_query(db, &made, list->key_count, budget, gave_up, to, error);
    free(made.sql);
    free(made.values);
    return status;
}

/* By the index on the first key's values, as far as the budget goes: where few of those that it
 * comes by pass the filter, going through all experiments in the order of their ids is faster. */
static gr_status find_ranked(database *db, const listing *list, int64_t limit, bool *gave_up,
                             found *to, gr_error *error) {
    const int budget = list->filter ? RANKED_BUDGET : 0;
    *gave_up = false;
    if (!list->after || list->after->values[0].kind != LIST_MISSING)
        GR_TRY(find_part(db, list, PART_RANKED, limit, budget, gave_up, to, error));
    if (*gave_up || (int64_t)to->count == limit) return GR_OK;
    return find_part(db, list, PART_UNRANKED, limit - (int64_t)to->count, budget, gave_up, to,
                     error);
}

static gr_status find(database *db, const listing *list, int64_t limit, found *to,
                      gr_error *error) {
    bool gave_up = true;
    if (list->key_count && list->keys[0].field.is_metric && sweep_of(list) == 0)
        GR_TRY(find_ranked(db, list, limit, &gave_up, to, error));
    if (!gave_up) return GR_OK;
    to->count = 0;
    if (to->place) list_place_clear(to->place);
    return find_part(db, list, PART_ALL, limit, 0, &gave_up, to, error);
}

/* -- lists
 * ------------------------------------------------------------------------------------------ */

static gr_status check(const listing *list, gr_error *error) {
    if (list->state >= STATE_COUNT)
        return gr_fail(error, GR_INVALID, "there is no state %d", list->state);
    if (list->key_count > MAXIMUM_KEYS || (list->after && list->after->count != list->key_count))
        return gr_fail(error, GR_INVALID, "this is no place in a list with %zu keys",
                       list->key_count);
    return GR_OK;
}

static gr_status read_records(database *db, const int64_t *ids, size_t id_count, bool trashed,
                              experiment **items, size_t *count, gr_error *error) {
    experiment *all = calloc(id_count ? id_count : 1, sizeof *all);
    size_t used = 0;
    gr_status status = GR_OK;
    if (!all) return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    for (size_t i = 0; i < id_count && status == GR_OK; i++) {
        status = experiment_select_any(db, ids[i], &all[used], error);
        if (status == GR_OK && (all[used].trashed_at != 0) == trashed)
            used++;
        else if (status == GR_OK)
            experiment_clear(&all[used]);
        else if (status == GR_NOT_FOUND)
            status = GR_OK;
    }
    if (status != GR_OK) {
        experiments_free(all, used);
        return status;
    }
    *items = all;
    *count = used;
    return GR_OK;
}

/* What is read between the two is of one moment. */
static gr_status begin_reading(database *db, gr_error *error) {
    return database_run(db, NULL, error, "BEGIN", "");
}

static void end_reading(database *db) {
    gr_error ignored;
    database_run(db, NULL, &ignored, "COMMIT", "");
}

gr_status store_list(store *self, const listing *list, experiment **items, size_t *count,
                     list_place *next, gr_error *error) {
    *items = NULL;
    *count = 0;
    if (next) *next = (list_place){0};
    if (list->limit < 1 || list->limit > 1000)
        return gr_fail(error, GR_INVALID, "a list's limit is 1 to 1000");
    GR_TRY(check(list, error));
    database *db;
    found rows = {.place = next, .place_of = (size_t)list->limit - 1};
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = begin_reading(db, error);
    if (status == GR_OK) {
        /* one more tells whether there is another page */
        status = find(db, list, list->limit + (next != NULL), &rows, error);
        const bool more = rows.count > (size_t)list->limit;
        if (status == GR_OK)
            status = read_records(db, rows.ids, more ? (size_t)list->limit : rows.count,
                                  list->trashed, items, count, error);
        if (next && (status != GR_OK || !more)) list_place_clear(next);
        end_reading(db);
    }
    readers_give(self->readers, db);
    free(rows.ids);
    return status;
}

gr_status store_list_ids(store *self, const listing *list, int64_t **ids, size_t *count,
                         gr_error *error) {
    database *db;
    found rows = {0};
    *ids = NULL;
    *count = 0;
    GR_TRY(check(list, error));
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = begin_reading(db, error);
    if (status == GR_OK) {
        status = find(db, list, list->limit, &rows, error);
        end_reading(db);
    }
    readers_give(self->readers, db);
    if (status != GR_OK) {
        free(rows.ids);
        return status;
    }
    *ids = rows.ids;
    *count = rows.count;
    return GR_OK;
}

gr_status store_records(store *self, const int64_t *ids, size_t id_count, bool trashed,
                        experiment **items, size_t *count, gr_error *error) {
    database *db;
    *items = NULL;
    *count = 0;
    GR_TRY(readers_take(self->readers, &db, error));
    const gr_status status = read_records(db, ids, id_count, trashed, items, count, error);
    readers_give(self->readers, db);
    return status;
}
