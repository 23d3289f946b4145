/* Pages of experiments: filtered, sorted by any keys, each page found from where the one before
 * ended. The ids come of one query over narrow indexes; the records are then read by id. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/query.h"

enum {
    MAXIMUM_KEYS = FILTER_MAXIMUM_SORT_KEYS,
    LEADING = MAXIMUM_KEYS, /* its number in query.joined */
    RANKED_BUDGET = 60000,  /* steps: some thousand experiments */
    CHOSEN_MAXIMUM = 2000   /* rows of an index, each of which costs some searches */
};

/* -- the query
 * ------------------------------------------------------------------------------------------ */

/* Which part of a list is asked for, and what is gone through for it. */
typedef enum list_part {
    PART_ALL,      /* the experiments, by id */
    PART_CHOSEN,   /* all too: what the index has of a metric in the range that the filter wants */
    PART_RANKED,   /* those that have the metric of the first key: its index, in its order */
    PART_UNRANKED, /* those that have not */
} list_part;

static bool may_be_missing(const filter_field *field) {
    switch (field->member) {
    case MEMBER_SWEEP:
    case MEMBER_ARM:
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

/* The smallest index that has what is asked for: a row of the table itself is some pages long. */
static const char *index_of(const listing *list, list_part part) {
    if (list->trashed) return "";
    if (part == PART_RANKED || part == PART_CHOSEN) return " INDEXED BY experiments_listed";
    if (sweep_of(list) != 0) return " INDEXED BY experiments_sweep_states";
    if (list->state >= 0 && !list->filter && list->key_count == 0)
        return " INDEXED BY experiments_by_state";
    return " INDEXED BY experiments_listed";
}

/* The number of the fact whose index is gone through (query.joined), or -1. */
static int leading(list_part part) {
    return part == PART_RANKED ? 0 : part == PART_CHOSEN ? LEADING : -1;
}

static void add_sources(query *to, const listing *list, list_part part) {
    const int first = leading(part);
    if (first >= 0)
        fprintf(to->out, " FROM facts AS s%d INDEXED BY facts_by_value CROSS JOIN", first);
    else
        fputs(" FROM", to->out);
    fprintf(to->out, " experiments AS e%s", index_of(list, part));
    for (int i = 0; i < MAXIMUM_KEYS; i++) {
        if (!to->joined[i] || i == first) continue;
        fprintf(to->out, " LEFT JOIN facts AS s%d ON s%d.experiment = e.id AND s%d.name = ", i, i,
                i);
        query_name(to, to->joined[i]);
    }
}

/* The rows of facts_by_value that the leading fact has, in the range that the filter wants. */
static void add_range(query *to, const listing *list, int number) {
    fprintf(to->out, "s%d.ranked = 1 AND s%d.value IS NOT NULL AND s%d.name = ", number, number,
            number);
    query_name(to, to->joined[number]);
    query_add_bounds(to, list->filter, to->joined[number], number);
}

/* Behind the place, by the key alone. */
static void add_behind_key(query *to, const listing *list, size_t key) {
    fputc('(', to->out);
    query_field(to, &list->keys[key].field);
    fputs(list->keys[key].descending ? " < " : " > ", to->out);
    query_bind(to, &list->after->values[key]);
    if (may_be_missing(&list->keys[key].field)) {
        fputs(" OR ", to->out);
        query_field(to, &list->keys[key].field);
        fputs(" IS NULL", to->out);
    }
    fputc(')', to->out);
}

static void add_at_key(query *to, const listing *list, size_t key) {
    query_field(to, &list->keys[key].field);
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
    if (leading(part) >= 0) {
        fprintf(to->out, " AND e.id = s%d.experiment AND ", leading(part));
        add_range(to, list, leading(part));
    }
    if (part == PART_RANKED && list->after) { /* where the index is entered */
        fprintf(to->out, " AND s0.value %s ", list->keys[0].descending ? "<=" : ">=");
        query_bind(to, &list->after->values[0]);
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
        query_field(to, &list->keys[i].field);
        /* Downwards SQLite has them last by itself. */
        const bool nulls = may_be_missing(&list->keys[i].field) && !(ranked && i == 0);
        fputs(list->keys[i].descending ? " DESC, " : nulls ? " NULLS LAST, " : ", ", to->out);
    }
    fputs(ranked ? "s0.experiment" : "e.id", to->out);
    if (ids_descend(list)) fputs(" DESC", to->out);
}

/* Each fact once. */
static void join_facts(query *to, const listing *list, const char *metric) {
    to->joined[LEADING] = metric;
    for (size_t i = 0; i < list->key_count; i++) {
        const filter_field *field = &list->keys[i].field;
        if (field->member == MEMBER_FACT && query_joined(to, field->name) < 0)
            to->joined[i] = field->name;
    }
}

/* SELECT id, the keys' values … */
static void write_query(query *to, const listing *list, list_part part, const char *metric,
                        int64_t limit) {
    const size_t first = part == PART_UNRANKED;
    const bool ranked = part == PART_RANKED;
    const bool behind =
        list->after && !(part == PART_UNRANKED && list->after->values[0].kind != LIST_MISSING);
    join_facts(to, list, metric);
    fputs("SELECT e.id", to->out);
    for (size_t i = 0; i < list->key_count; i++) {
        fputs(", ", to->out);
        query_field(to, &list->keys[i].field);
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

/* `metric` leads where the part is PART_CHOSEN, else NULL. */
static gr_status find_part(database *db, const listing *list, list_part part, const char *metric,
                           int64_t limit, int budget, bool *gave_up, found *to, gr_error *error) {
    query made = {0};
    gr_status status = GR_OK;
    made.out = open_memstream(&made.sql, &made.length);
    if (made.out) write_query(&made, list, part, metric, limit);
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
        GR_TRY(find_part(db, list, PART_RANKED, NULL, limit, budget, gave_up, to, error));
    if (*gave_up || (int64_t)to->count == limit ||
        query_bounds(list->filter, list->keys[0].field.name))
        return GR_OK;
    return find_part(db, list, PART_UNRANKED, NULL, limit - (int64_t)to->count, budget, gave_up, to,
                     error);
}

static gr_status count_range(database *db, const listing *list, const char *metric, int64_t *count,
                             gr_error *error) {
    query made = {.joined[LEADING] = metric};
    found row = {0};
    bool gave_up;
    gr_status status = GR_OK;
    made.out = open_memstream(&made.sql, &made.length);
    if (made.out) {
        fprintf(made.out,
                "SELECT count(*) FROM (SELECT 1 FROM facts AS s%d INDEXED BY facts_by_value WHERE ",
                LEADING);
        add_range(&made, list, LEADING);
        fprintf(made.out, " LIMIT %d)", CHOSEN_MAXIMUM + 1);
    }
    if (!made.out || fclose(made.out) != 0 || made.failed)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    if (status == GR_OK) status = run_query(db, &made, 0, 0, &gave_up, &row, error);
    if (status == GR_OK) *count = row.ids[0];
    free(row.ids);
    free(made.sql);
    free(made.values);
    return status;
}

/* The first metric that must be in a range where few experiments have it; NULL: there is none. */
static gr_status choose_metric(database *db, const listing *list, const filter *tree,
                               const char **metric, gr_error *error) {
    int64_t count;
    for (; tree && tree->kind == FILTER_AND; tree = tree->left) {
        GR_TRY(choose_metric(db, list, tree->right, metric, error));
        if (*metric) return GR_OK;
    }
    if (!tree || !tree->field.is_metric || !query_bounds(tree, tree->field.name)) return GR_OK;
    GR_TRY(count_range(db, list, tree->field.name, &count, error));
    if (count <= CHOSEN_MAXIMUM) *metric = tree->field.name;
    return GR_OK;
}

static gr_status find(database *db, const listing *list, int64_t limit, found *to,
                      gr_error *error) {
    const bool in_sweep = sweep_of(list) != 0;
    const char *metric = NULL;
    bool gave_up = true;
    if (!in_sweep) GR_TRY(choose_metric(db, list, list->filter, &metric, error));
    const bool ranked = list->key_count && list->keys[0].field.is_metric && !in_sweep;
    const char *first = ranked ? list->keys[0].field.name : NULL;
    if (ranked && (!metric || strcmp(metric, first) == 0)) {
        GR_TRY(find_ranked(db, list, limit, &gave_up, to, error));
        if (!gave_up) return GR_OK;
    }
    to->count = 0;
    if (to->place) list_place_clear(to->place);
    return find_part(db, list, metric ? PART_CHOSEN : PART_ALL, metric, limit, 0, &gave_up, to,
                     error);
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
    GR_TRY(readers_take(self->searchers, &db, error));
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
    readers_give(self->searchers, db);
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
    GR_TRY(readers_take(self->searchers, &db, error));
    gr_status status = begin_reading(db, error);
    if (status == GR_OK) {
        status = find(db, list, list->limit, &rows, error);
        end_reading(db);
    }
    readers_give(self->searchers, db);
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
    GR_TRY(readers_take(self->searchers, &db, error));
    const gr_status status = read_records(db, ids, id_count, trashed, items, count, error);
    readers_give(self->searchers, db);
    return status;
}
