/* Finding a study's definition, and making its sweeps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/embedded.h"
#include "server/files.h"
#include "server/merge_patch.h"
#include "server/nearest.h"
#include "server/paths.h"
#include "server/study.h"

static const char folder[] = "studies/", extension[] = ".json";
enum { MAXIMUM_FILE = 1 << 20, MAXIMUM_STUDIES = 64 };

const char *study_text(const cJSON *object, const char *name, const char *otherwise) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : otherwise;
}

double study_at_seed(const cJSON *cell, double seed) {
    const cJSON *pair;
    cJSON_ArrayForEach(pair, cJSON_GetObjectItemCaseSensitive(cell, "values")) {
        double own, found;
        if (json_to_double(cJSON_GetArrayItem(pair, 0), &own) && own == seed &&
            json_to_double(cJSON_GetArrayItem(pair, 1), &found))
            return found;
    }
    return NAN;
}

/* -- files
 * --------------------------------------------------------------------------------------------- */

static const struct embedded_file *find_embedded(const char *path) {
    for (const struct embedded_file *file = embedded_studies; file->path; file++)
        if (strcmp(file->path, path) == 0) return file;
    return NULL;
}

/* The names of the built-in studies; returns how many. */
static size_t built_in(char names[][64]) {
    size_t count = 0;
    for (const struct embedded_file *file = embedded_studies; file->path; file++) {
        const size_t length = strlen(file->path), around = strlen(folder) + strlen(extension);
        if (strncmp(file->path, folder, strlen(folder)) != 0 || length - around > 63) continue;
        if (count < MAXIMUM_STUDIES)
            snprintf(names[count++], 64, "%.*s", (int)(length - around),
                     file->path + strlen(folder));
    }
    return count;
}

static gr_status parse_embedded(const char *path, cJSON **document, gr_error *error) {
    const struct embedded_file *file = find_embedded(path);
    if (!file) return gr_fail(error, GR_INTERNAL, "the program lacks %s", path);
    return json_parse((const char *)file->begin, (size_t)(file->end - file->begin), document,
                      error);
}

static gr_status parse_file(const char *path, cJSON **document, gr_error *error) {
    void *bytes;
    size_t count;
    GR_TRY(file_read(path, MAXIMUM_FILE, &bytes, &count, error));
    const gr_status status = json_parse(bytes, count, document, error);
    free(bytes);
    return status;
}

static bool is_file(const char *what) {
    const size_t length = strlen(what);
    return length > strlen(extension) && strcmp(what + length - strlen(extension), extension) == 0;
}

gr_status study_list(FILE *out, gr_error *error) {
    char names[MAXIMUM_STUDIES][64];
    const size_t count = built_in(names);
    for (size_t i = 0; i < count; i++) {
        char path[96];
        cJSON *document;
        snprintf(path, sizeof path, "%s%s%s", folder, names[i], extension);
        GR_TRY(parse_embedded(path, &document, error));
        fprintf(out, "%-20s %s\n", names[i], study_text(document, "title", ""));
        cJSON_Delete(document);
    }
    return GR_OK;
}

/* -- loading
 * ------------------------------------------------------------------------------------------- */

static gr_status load_built_in(const char *what, study *of, gr_error *error) {
    char names[MAXIMUM_STUDIES][64], path[96];
    const char *list[MAXIMUM_STUDIES];
    const size_t count = built_in(names);
    bool known = false;
    for (size_t i = 0; i < count; i++) {
        list[i] = names[i];
        known |= strcmp(names[i], what) == 0;
    }
    if (!known) {
        const char *near = nearest_name(what, list, count);
        return gr_fail(error, GR_NOT_FOUND, "no study is called \"%.60s\"%s%s%s", what,
                       near ? "; did you mean \"" : "; see gradreg study --list", near ? near : "",
                       near ? "\"?" : "");
    }
    snprintf(of->name, sizeof of->name, "%s", what);
    snprintf(path, sizeof path, "%s%s%s", folder, what, extension);
    return parse_embedded(path, &of->document, error);
}

/* "sweep" is the sweep itself, or the name of a file beside the studies' folder (of a built-in) or
 * beside the definition. */
static gr_status load_sweep(const char *what, study *of, gr_error *error) {
    const cJSON *sweep = cJSON_GetObjectItemCaseSensitive(of->document, "sweep");
    if (cJSON_IsObject(sweep)) {
        of->sweep = cJSON_Duplicate(sweep, true);
        return of->sweep ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    if (!cJSON_IsString(sweep))
        return gr_fail(error, GR_INVALID,
                       "/sweep: a sweep is needed, or the name of the file that holds one");
    if (!is_file(what)) {
        const char *name = sweep->valuestring;
        return parse_embedded(strncmp(name, "../", 3) == 0 ? name + 3 : name, &of->sweep, error);
    }
    const char *slash = strrchr(what, '/');
    char *directory = strndup(what, slash ? (size_t)(slash - what) : 0);
    char *path = directory ? paths_join(slash ? directory : ".", sweep->valuestring) : NULL;
    const gr_status status = path ? parse_file(path, &of->sweep, error)
                                  : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    free(path);
    free(directory);
    return status;
}

static gr_status apply(cJSON *target, const cJSON *patch, gr_error *error) {
    problems found = {0};
    if (!patch) return GR_OK;
    const gr_status status = merge_patch(NULL, target, patch, &found);
    if (status != GR_OK)
        gr_fail(error, status, "%s", found.kept ? found.items[0].detail : "out of memory");
    problems_clear(&found);
    return status;
}

/* Every item of "tables" and "figures" has a "file", which may lead nowhere else. */
static gr_status check_items(const study *of, gr_error *error) {
    static const char *const lists[] = {"tables", "figures"};
    for (int i = 0; i < 2; i++) {
        const cJSON *item;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(of->document, lists[i])) {
            const char *file = study_text(item, "file", "");
            if (!*file || strlen(file) > 60 || strpbrk(file, "/.\\"))
                return gr_fail(error, GR_INVALID,
                               "/%s: each has a \"file\", a name without \".\" and \"/\"",
                               lists[i]);
        }
    }
    return GR_OK;
}

gr_status study_load(const char *what, const char *size, study *of, gr_error *error) {
    *of = (study){0};
    if (is_file(what)) {
        const char *name = strrchr(what, '/');
        name = name ? name + 1 : what;
        snprintf(of->name, sizeof of->name, "%.*s",
                 (int)(strlen(name) - strlen(extension)) < 63
                     ? (int)(strlen(name) - strlen(extension))
                     : 63,
                 name);
        GR_TRY(parse_file(what, &of->document, error));
    } else {
        GR_TRY(load_built_in(what, of, error));
    }
    GR_TRY(check_items(of, error));
    GR_TRY(load_sweep(what, of, error));
    if (!size) return GR_OK;
    const cJSON *sizes = cJSON_GetObjectItemCaseSensitive(of->document, "sizes");
    of->size = cJSON_GetObjectItemCaseSensitive(sizes, size);
    if (!of->size)
        return gr_fail(error, GR_NOT_FOUND, "the study %s has no size \"%.60s\"", of->name, size);
    return apply(of->sweep, cJSON_GetObjectItemCaseSensitive(of->size, "sweep"), error);
}

void study_clear(study *of) {
    cJSON_Delete(of->document);
    cJSON_Delete(of->sweep);
    *of = (study){0};
}

/* -- the second sweep
 * ---------------------------------------------------------------------------------- */

/* The length of "GROUP" in "GROUP: setting"; a label without a setting is a group of its own. */
static size_t group_length(const char *label) {
    const char *colon = strstr(label, ": ");
    return colon ? (size_t)(colon - label) : strlen(label);
}

static bool same_group(const char *a, const char *b) {
    const size_t length = group_length(a);
    return length == group_length(b) && strncmp(a, b, length) == 0;
}

static const cJSON *member_of(const cJSON *list, const char *member, const char *text) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (strcmp(study_text(item, member, ""), text) == 0) return item;
    }
    return NULL;
}

/* The row of the best mean among those of `row`'s group in this column; -1: there is none. */
static int best_of_group(const cJSON *table, const cJSON *labels, int row, int column,
                         double *mean) {
    const bool lower = strcmp(study_text(table, "better", ""), "lower") == 0;
    const char *own = cJSON_GetArrayItem(labels, row)->valuestring;
    int best = -1;
    const cJSON *cell;
    cJSON_ArrayForEach(cell, cJSON_GetObjectItemCaseSensitive(table, "cells")) {
        double value;
        const cJSON *of_row = cJSON_GetObjectItemCaseSensitive(cell, "row");
        const cJSON *of_column = cJSON_GetObjectItemCaseSensitive(cell, "column");
        if (of_column->valueint != column ||
            !same_group(cJSON_GetArrayItem(labels, of_row->valueint)->valuestring, own) ||
            !json_to_double(cJSON_GetObjectItemCaseSensitive(cell, "mean"), &value) ||
            !isfinite(value))
            continue;
        if (best >= 0 && !(lower ? value < *mean : value > *mean)) continue;
        best = of_row->valueint;
        *mean = value;
    }
    return best;
}

static void add_rule(cJSON *adjust, const char *axis, const char *group, const char *other,
                     const char *label, const cJSON *set) {
    cJSON *rule = cJSON_CreateObject(), *when = cJSON_CreateObject();
    cJSON_AddStringToObject(when, axis, group);
    if (*other) cJSON_AddStringToObject(when, other, label);
    json_put(rule, "when", when);
    json_put(rule, "set", cJSON_Duplicate(set, true));
    json_append(adjust, rule);
}

/* Replaces the axis's values by the groups, and adds the rules that set what was chosen. */
static gr_status put_winners(cJSON *sweep, const char *axis_name, const cJSON *table, FILE *chosen,
                             gr_error *error) {
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(table, "rows");
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(table, "columns");
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(rows, "labels");
    const cJSON *column_labels = cJSON_GetObjectItemCaseSensitive(columns, "labels");
    const cJSON *axes = cJSON_GetObjectItemCaseSensitive(sweep, "axes");
    cJSON *axis = (cJSON *)member_of(axes, "name", axis_name);
    const char *other = study_text(columns, "axes", "");
    if (!axis || strcmp(study_text(rows, "axes", ""), axis_name) != 0 || strchr(other, ','))
        return gr_fail(error, GR_INVALID,
                       "/final/axis: the name of one of the sweep's at most two axes is needed");
    cJSON *values = cJSON_GetObjectItemCaseSensitive(axis, "values");
    cJSON *groups = cJSON_CreateArray(), *adjust = cJSON_CreateArray();
    gr_status status = GR_OK;
    fprintf(chosen, "%s,%s,chosen,mean %s\r\n", other, axis_name, study_text(table, "metric", ""));
    const int row_count = cJSON_GetArraySize(labels),
              column_count = cJSON_GetArraySize(column_labels);
    for (int row = 0; row < row_count && status == GR_OK; row++) {
        const char *label = cJSON_GetArrayItem(labels, row)->valuestring;
        char group[160];
        snprintf(group, sizeof group, "%.*s", (int)group_length(label), label);
        if (member_of(groups, "label", group)) continue;
        cJSON *value = cJSON_CreateObject();
        cJSON_AddStringToObject(value, "label", group);
        json_put(value, "set", cJSON_CreateObject());
        json_append(groups, value);
        for (int column = 0; column < column_count && status == GR_OK; column++) {
            const char *column_label = cJSON_GetArrayItem(column_labels, column)->valuestring;
            double mean = NAN;
            const int best = best_of_group(table, labels, row, column, &mean);
            if (best < 0) {
                status = gr_fail(error, GR_CONFLICT,
                                 "no setting of \"%.80s\" has a result to choose by (%.60s)", group,
                                 column_label);
                break;
            }
            const char *winner = cJSON_GetArrayItem(labels, best)->valuestring;
            const cJSON *set =
                cJSON_GetObjectItemCaseSensitive(member_of(values, "label", winner), "set");
            fprintf(chosen, "%s,\"%s\",\"%s\",%.17g\r\n", column_label, group, winner, mean);
            if (set && set->child) add_rule(adjust, axis_name, group, other, column_label, set);
        }
    }
    json_set(axis, "values", groups);
    json_set(sweep, "adjust", adjust);
    return status;
}

gr_status study_final_sweep(const study *of, const cJSON *table, FILE *chosen, cJSON **sweep,
                            gr_error *error) {
    const cJSON *final = cJSON_GetObjectItemCaseSensitive(of->document, "final");
    cJSON *made = cJSON_Duplicate(of->sweep, true);
    gr_status status = made ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK)
        status = put_winners(made, study_text(final, "axis", ""), table, chosen, error);
    if (status == GR_OK)
        status = apply(made, cJSON_GetObjectItemCaseSensitive(final, "sweep"), error);
    if (status == GR_OK)
        status = apply(made, cJSON_GetObjectItemCaseSensitive(of->size, "final"), error);
    if (status == GR_OK)
        *sweep = made;
    else
        cJSON_Delete(made);
    return status;
}
