#include "server/csv_table.h"
#include "server/csv.h"

#include <stdlib.h>
#include <string.h>

typedef struct column {
    char *name; /* owned */
    bool is_fact;
    /* The value of the line that is being made. */
    bool has_value;
    char *text; /* owned; NULL: a number */
    double number;
    bool is_boolean;
} column;

struct csv_table {
    column *columns;
    size_t count, capacity;
    column **facts; /* those that are, in the order of their names */
    size_t fact_count;
};

/* What the groups of facts are called as members. */
static const struct {
    const char *member, *prefix, *but;
} groups[] = {{"params", "params.", NULL},
              {"tags", "tags.", NULL},
              {"metrics", "metrics.", "metrics.best."},
              {"best", "metrics.best.", NULL}};
enum { GROUPS = sizeof groups / sizeof *groups };

/* -- columns
 * ------------------------------------------------------------------------------------------ */

static bool add_column(csv_table *to, const char *name, bool is_fact) {
    if (to->count == to->capacity) {
        const size_t capacity = to->capacity ? 2 * to->capacity : 64;
        column *larger = realloc(to->columns, capacity * sizeof *larger);
        if (!larger) return false;
        to->columns = larger;
        to->capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy) to->columns[to->count++] = (column){.name = copy, .is_fact = is_fact};
    return copy != NULL;
}

static bool begins(const char *name, const char *with) {
    return with && strncmp(name, with, strlen(with)) == 0;
}

static bool add_group(csv_table *to, size_t group, char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (begins(names[i], groups[group].prefix) && !begins(names[i], groups[group].but) &&
            !add_column(to, names[i], true))
            return false;
    return true;
}

static size_t group_of(const field_pick *pick) {
    size_t group = 0;
    while (group < GROUPS &&
           !(pick->is_member && strcmp(pick->field.name, groups[group].member) == 0))
        group++;
    return group;
}

bool csv_table_needs_names(const field_pick *picks, size_t pick_count) {
    bool needs = pick_count == 0;
    for (size_t i = 0; i < pick_count; i++) needs = needs || group_of(&picks[i]) < GROUPS;
    return needs;
}

static bool add_usual(csv_table *to, char *const *names, size_t name_count) {
    static const char *const members[] = {
        "id",         "name",       "state",       "priority",        "attempt", "sweep",
        "created_at", "started_at", "finished_at", "elapsed_seconds", "error"};
    bool good = true;
    for (size_t i = 0; good && i < sizeof members / sizeof *members; i++)
        good = add_column(to, members[i], false);
    for (size_t i = 0; good && i < GROUPS; i++) good = add_group(to, i, names, name_count);
    return good;
}

static bool add_picked(csv_table *to, const field_pick *pick, char *const *names,
                       size_t name_count) {
    const size_t group = group_of(pick);
    if (group < GROUPS) return add_group(to, group, names, name_count);
    return add_column(to, pick->field.name, !pick->is_member);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(column *const *)a)->name, (*(column *const *)b)->name);
}

static bool sort_facts(csv_table *table) {
    table->facts = malloc((table->count + 1) * sizeof *table->facts);
    if (!table->facts) return false;
    for (size_t i = 0; i < table->count; i++)
        if (table->columns[i].is_fact) table->facts[table->fact_count++] = &table->columns[i];
    qsort(table->facts, table->fact_count, sizeof *table->facts, by_name);
    return true;
}

csv_table *csv_table_create(const field_pick *picks, size_t pick_count, char *const *names,
                            size_t name_count) {
    csv_table *table = calloc(1, sizeof *table);
    bool good = table != NULL;
    if (good && pick_count == 0) good = add_usual(table, names, name_count);
    for (size_t i = 0; good && i < pick_count; i++)
        good = add_picked(table, &picks[i], names, name_count);
    if (good && sort_facts(table)) return table;
    csv_table_free(table);
    return NULL;
}

void csv_table_free(csv_table *table) {
    if (!table) return;
    for (size_t i = 0; i < table->count; i++) {
        free(table->columns[i].name);
        free(table->columns[i].text);
    }
    free(table->columns);
    free(table->facts);
    free(table);
}

/* -- cells
 * ------------------------------------------------------------------------------------------ */

static bool put_member(const cJSON *member, FILE *out) {
    if (member == NULL || cJSON_IsNull(member)) return true;
    if (cJSON_IsString(member)) {
        csv_put_text(out, member->valuestring);
        return true;
    }
    /* Of what is an object with an id (a sweep) the id; of other objects their JSON. */
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(member, "id");
    char *text = json_text(id ? id : member);
    if (!text) return false;
    if (*text == '{' || *text == '[')
        csv_put_text(out, text);
    else if (strcmp(text, "null") != 0)
        fputs(text, out);
    free(text);
    return true;
}

static gr_status take_fact(void *context, const fact *value, gr_error *error) {
    csv_table *table = context;
    column wanted = {.name = (char *)(uintptr_t)value->name}, *key = &wanted;
    column **found = bsearch(&key, table->facts, table->fact_count, sizeof *table->facts, by_name);
    if (!found) return GR_OK;
    /* A field that was picked twice stands in neighbouring columns. */
    while (found > table->facts && strcmp(found[-1]->name, value->name) == 0) found--;
    for (; found < table->facts + table->fact_count && strcmp((*found)->name, value->name) == 0;
         found++) {
        column *to = *found;
        to->has_value = true;
        to->number = value->number;
        to->is_boolean = value->is_boolean;
        to->text = value->text ? strdup(value->text) : NULL;
        if (value->text && !to->text) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    return GR_OK;
}

static void put_fact(column *from, FILE *out) {
    char number[JSON_NUMBER_SIZE];
    if (!from->has_value) return;
    if (from->text)
        csv_put_text(out, from->text);
    else if (from->is_boolean)
        fputs(from->number != 0 ? "true" : "false", out);
    else
        fputs(json_number_text(from->number, number), out);
    free(from->text);
    from->text = NULL;
    from->has_value = false;
}

void csv_table_header(const csv_table *table, FILE *out) {
    for (size_t i = 0; i < table->count; i++) {
        if (i) fputc(',', out);
        csv_put_text(out, table->columns[i].name);
    }
    fputs("\r\n", out);
}

bool csv_table_line(csv_table *table, const experiment *from, FILE *out) {
    cJSON *members = experiment_json(from);
    bool good = members &&
                (table->fact_count == 0 || experiment_facts(from, take_fact, table, NULL) == GR_OK);
    for (size_t i = 0; good && i < table->count; i++) {
        column *one = &table->columns[i];
        if (i) fputc(',', out);
        if (one->is_fact)
            put_fact(one, out);
        else
            good = put_member(cJSON_GetObjectItemCaseSensitive(members, one->name), out);
    }
    cJSON_Delete(members);
    fputs("\r\n", out);
    return good;
}
