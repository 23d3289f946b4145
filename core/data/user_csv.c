/* Users' tables: a CSV file with a header, a named label column, and numbers in all the others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/csv_reader.h"
#include "core/data/dataset_options.h"
#include "core/data/file_content.h"
#include "core/data/text.h"
#include "core/data/user_files.h"

enum {
    CSV_FILE = GR_DATASET_OPTION_COUNT,
    CSV_LABEL,
    CSV_TASK,
    CSV_IGNORE,
    CSV_DELIMITER,
    CSV_TEST_FILE,
    CSV_TEST_SHARE,
    OPTION_COUNT
};
enum { TASK_CLASSIFICATION, TASK_REGRESSION };

static const char *const task_choices[] = {"classification", "regression", NULL};
static const char *const delimiter_choices[] = {"comma", "semicolon", "tab", NULL};
static const char delimiters[] = {',', ';', '\t'};

/* A file with its cells. */
struct table {
    const char *place; /* of the option that names the file */
    char *path;
    uint8_t *content; /* the names and label texts below are within it */
    char **names;     /* [columns] */
    int64_t columns, label, features;
    bool *ignored; /* [columns] */
    int64_t rows, capacity;
    double *values;     /* [row][feature] */
    double *targets;    /* [row], of a regression */
    const char **texts; /* [row], labels of a classification */
    int64_t *lines;     /* [row] */
};

static void table_clear(struct table *table) {
    free(table->path);
    free(table->content);
    free(table->names);
    free(table->ignored);
    free(table->values);
    free(table->targets);
    free(table->texts);
    free(table->lines);
    *table = (struct table){0};
}

/* A cell or name as messages show it: not too long, cut between characters, nothing unprintable. */
static const char *quoted(const char *text, char to[64]) {
    const size_t longest = 40, length = strlen(text);
    size_t kept = length > longest ? longest : length;
    while (kept < length && kept > 0 && ((unsigned char)text[kept] & 0xC0) == 0x80) kept--;
    if (gr_text_printable(text, kept))
        snprintf(to, 64, "\"%.*s%s\"", (int)kept, text, kept < length ? "…" : "");
    else
        snprintf(to, 64, "unprintable bytes");
    return to;
}

/* -- the header
 * ------------------------------------------------------------------------------------------ */

static int64_t find_column(const struct table *table, const char *name, size_t length) {
    for (int64_t i = 0; i < table->columns; i++)
        if (strlen(table->names[i]) == length && memcmp(table->names[i], name, length) == 0)
            return i;
    return -1;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every column has a name of its own. */
static gr_status check_names(const struct table *table, gr_error *error) {
    char shown[64];
    for (int64_t i = 0; i < table->columns; i++) {
        const char *name = table->names[i];
        if (!*name || !gr_text_printable(name, strlen(name)))
            return gr_fail_at(error, GR_INVALID, table->place,
                              "%s, line 1, column %lld: the header names this column with %s: give "
                              "it a name",
                              gr_path_shown(table->path), (long long)i + 1, quoted(name, shown));
    }
    char **sorted = malloc((size_t)table->columns * sizeof *sorted);
    if (!sorted) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for names of columns");
    memcpy(sorted, table->names, (size_t)table->columns * sizeof *sorted);
    qsort(sorted, (size_t)table->columns, sizeof *sorted, compare_names);
    gr_status status = GR_OK;
    for (int64_t i = 1; i < table->columns && status == GR_OK; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            status = gr_fail_at(error, GR_INVALID, table->place,
                                "%s, line 1: two columns are called %s: rename one",
                                gr_path_shown(table->path), quoted(sorted[i], shown));
    free(sorted);
    return status;
}

static gr_status find_label(struct table *table, const char *label, gr_error *error) {
    char shown[64], names[200] = "";
    table->label = find_column(table, label, strlen(label));
    if (table->label >= 0) return GR_OK;
    size_t used = 0;
    for (int64_t i = 0; i < table->columns && used + 70 < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 quoted(table->names[i], shown));
    return gr_fail_at(error, GR_INVALID, "/label", "%s has no column %s; %s %s%s",
                      gr_path_shown(table->path), quoted(label, shown),
                      table->columns == 1 ? "it has one column only (is the delimiter another?):"
                                          : "its columns are",
                      names, table->columns > 3 ? ", …" : "");
}

/* `list`: names with commas between them. */
static gr_status find_ignored(struct table *table, const char *list, gr_error *error) {
    while (*list) {
        const size_t length = strcspn(list, ",");
        const int64_t column = find_column(table, list, length);
        if (column < 0 || column == table->label)
            return gr_fail_at(
                error, GR_INVALID, "/ignore", "%s %s \"%.*s\"", gr_path_shown(table->path),
                column < 0 ? "has no column" : "has as its label the column", (int)length, list);
        table->ignored[column] = true;
        list += length + (list[length] == ',');
    }
    return GR_OK;
}

static gr_status read_header(const gr_settings *settings, gr_csv *csv, struct table *table,
                             gr_error *error) {
    bool there;
    GR_TRY(gr_user_status(gr_csv_next(csv, &there, error), table->place, error));
    if (!there)
        return gr_fail_at(error, GR_INVALID, table->place,
                          "%s is empty: a line with the names of the columns is needed",
                          gr_path_shown(table->path));
    const size_t columns = (size_t)csv->count;
    table->columns = csv->count;
    table->names = malloc(columns * sizeof *table->names);
    table->ignored = calloc(columns, sizeof *table->ignored);
    if (!table->names || !table->ignored)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for names of columns");
    memcpy(table->names, csv->cells, columns * sizeof *table->names);
    GR_TRY(check_names(table, error));
    GR_TRY(find_label(table, gr_string(settings, CSV_LABEL), error));
    if (!gr_is_null(settings, CSV_IGNORE))
        GR_TRY(find_ignored(table, gr_string(settings, CSV_IGNORE), error));
    for (int64_t i = 0; i < table->columns; i++)
        table->features += i != table->label && !table->ignored[i];
    if (table->features == 0)
        return gr_fail_at(error, GR_INVALID, table->place,
                          "%s has no column beside the label that could be an input",
                          gr_path_shown(table->path));
    return GR_OK;
}

/* -- the rows
 * -------------------------------------------------------------------------------------------- */

static bool larger(void **array, int64_t count, size_t size) {
    void *grown = realloc(*array, (size_t)count * size);
    if (grown) *array = grown;
    return grown;
}

static gr_status make_room(struct table *table, bool classes, gr_error *error) {
    if (table->rows < table->capacity) return GR_OK;
    const int64_t capacity = table->capacity ? 2 * table->capacity : 256;
    const size_t row = (size_t)table->features * sizeof *table->values;
    if (!larger((void **)&table->values, capacity, row) ||
        !larger((void **)&table->lines, capacity, sizeof *table->lines) ||
        !(classes ? larger((void **)&table->texts, capacity, sizeof *table->texts)
                  : larger((void **)&table->targets, capacity, sizeof *table->targets)))
        return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for %lld rows",
                       gr_path_shown(table->path), (long long)capacity);
    table->capacity = capacity;
    return GR_OK;
}

static gr_status bad_cell(const struct table *table, const gr_csv *csv, int64_t column,
                          const char *what, gr_error *error) {
    char name[64], cell[64];
    if (*csv->cells[column] == 0)
        return gr_fail_at(error, GR_INVALID, table->place,
                          "%s, line %lld, column %lld (%s): the cell is missing: fill it, or leave "
                          "the row or the column out",
                          gr_path_shown(table->path), (long long)csv->row_line,
                          (long long)column + 1, quoted(table->names[column], name));
    return gr_fail_at(error, GR_INVALID, table->place, "%s, line %lld, column %lld (%s): %s %s",
                      gr_path_shown(table->path), (long long)csv->row_line, (long long)column + 1,
                      quoted(table->names[column], name), quoted(csv->cells[column], cell), what);
}

static gr_status read_row(const gr_csv *csv, struct table *table, bool classes, gr_error *error) {
    if (csv->count != table->columns)
        return gr_fail_at(error, GR_INVALID, table->place,
                          "%s, line %lld: %lld cells where the header has %lld columns",
                          gr_path_shown(table->path), (long long)csv->row_line,
                          (long long)csv->count, (long long)table->columns);
    GR_TRY(make_room(table, classes, error));
    double *value = table->values + table->rows * table->features;
    for (int64_t i = 0; i < table->columns; i++) {
        const char *cell = csv->cells[i];
        if (table->ignored[i]) continue;
        if (i == table->label && classes) {
            if (!*cell || !gr_text_printable(cell, strlen(cell)))
                return bad_cell(table, csv, i, "cannot be the name of a class", error);
            table->texts[table->rows] = cell;
        } else {
            double *number = i == table->label ? &table->targets[table->rows] : value++;
            if (!gr_csv_number(cell, number))
                return bad_cell(table, csv, i,
                                i == table->label
                                    ? "is no number that float32 can hold"
                                    : "is no number that float32 can hold (columns that are no "
                                      "inputs can be named in \"ignore\")",
                                error);
        }
    }
    table->lines[table->rows++] = csv->row_line;
    return GR_OK;
}

static gr_status read_table(const gr_settings *settings, const char *directory, const char *file,
                            struct table *table, gr_error *error) {
    const bool classes = gr_choice(settings, CSV_TASK) == TASK_CLASSIFICATION;
    size_t count;
    GR_TRY(
        gr_user_read(directory, file, table->place, &table->path, &table->content, &count, error));
    gr_csv csv;
    gr_csv_begin(&csv, table->path, table->content, count,
                 delimiters[gr_choice(settings, CSV_DELIMITER)]);
    bool there = true;
    gr_status status = read_header(settings, &csv, table, error);
    while (status == GR_OK && there) {
        status = gr_user_status(gr_csv_next(&csv, &there, error), table->place, error);
        if (status == GR_OK && there) status = read_row(&csv, table, classes, error);
    }
    gr_csv_end(&csv);
    return status;
}

/* The test file has the columns of the training file, in their order. */
static gr_status check_same_columns(const struct table *table, const struct table *test,
                                    gr_error *error) {
    char wanted[64], is[64];
    if (test->columns != table->columns)
        return gr_fail_at(
            error, GR_INVALID, test->place, "%s has %lld columns where the training file has %lld",
            gr_path_shown(test->path), (long long)test->columns, (long long)table->columns);
    for (int64_t i = 0; i < table->columns; i++)
        if (strcmp(test->names[i], table->names[i]) != 0)
            return gr_fail_at(error, GR_INVALID, test->place,
                              "%s, line 1, column %lld: is %s where the training file has %s",
                              gr_path_shown(test->path), (long long)i + 1,
                              quoted(test->names[i], is), quoted(table->names[i], wanted));
    return GR_OK;
}

/* -- classes
 * --------------------------------------------------------------------------------------------- */

/* The distinct labels, sorted: as numbers where all of them are numbers, else as bytes. */
struct classes {
    const char *names[GR_MAXIMUM_CLASSES];
    double numbers[GR_MAXIMUM_CLASSES];
    int count;
    bool numeric;
};

/* Where `text` is, or has to be inserted. */
static int class_position(const struct classes *classes, const char *text, bool *found) {
    double number = 0;
    *found = false;
    if (classes->numeric && !gr_csv_number(text, &number)) return 0;
    int low = 0, high = classes->count;
    while (low < high) {
        const int middle = (low + high) / 2;
        const double difference = classes->numeric ? classes->numbers[middle] - number
                                                   : (double)strcmp(classes->names[middle], text);
        if (difference == 0) {
            *found = true;
            return middle;
        }
        if (difference < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static gr_status find_classes(const struct table *table, struct classes *classes, gr_error *error) {
    char shown[64];
    double number;
    classes->count = 0;
    classes->numeric = true;
    for (int64_t i = 0; i < table->rows && classes->numeric; i++)
        classes->numeric = gr_csv_number(table->texts[i], &number);
    for (int64_t i = 0; i < table->rows; i++) {
        bool found;
        const int at = class_position(classes, table->texts[i], &found);
        if (found) continue;
        if (classes->count == GR_MAXIMUM_CLASSES)
            return gr_fail_at(error, GR_INVALID, "/label",
                              "column %s of %s has more than %d different values: for a number to "
                              "predict, use \"task\": \"regression\"",
                              quoted(table->names[table->label], shown), gr_path_shown(table->path),
                              GR_MAXIMUM_CLASSES);
        const size_t after = (size_t)(classes->count++ - at);
        memmove(&classes->names[at + 1], &classes->names[at], after * sizeof classes->names[0]);
        memmove(&classes->numbers[at + 1], &classes->numbers[at],
                after * sizeof classes->numbers[0]);
        classes->names[at] = table->texts[i];
        if (classes->numeric) gr_csv_number(table->texts[i], &classes->numbers[at]);
    }
    if (classes->count < 2)
        return gr_fail_at(error, GR_INVALID, "/label",
                          "column %s of %s has %s: at least two classes are needed",
                          quoted(table->names[table->label], shown), gr_path_shown(table->path),
                          classes->count ? "one value only" : "no values");
    return GR_OK;
}

/* -- the data set
 * ---------------------------------------------------------------------------------------- */

/* Moves a table's numbers into samples; labels become numbers of classes. */
static gr_status make_samples(struct table *table, const struct classes *classes,
                              gr_samples *samples, gr_error *error) {
    char shown[64];
    samples->count = table->rows;
    samples->values = table->values;
    samples->targets = table->targets;
    table->values = table->targets = NULL;
    if (!table->texts) return GR_OK;
    samples->labels = malloc((size_t)table->rows);
    if (!samples->labels)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %lld labels",
                       (long long)table->rows);
    for (int64_t i = 0; i < table->rows; i++) {
        bool found;
        samples->labels[i] = (uint8_t)class_position(classes, table->texts[i], &found);
        if (!found)
            return gr_fail_at(error, GR_INVALID, table->place,
                              "%s, line %lld: the label %s does not occur in the training file",
                              gr_path_shown(table->path), (long long)table->lines[i],
                              quoted(table->texts[i], shown));
    }
    return GR_OK;
}

static gr_status keep_names(const struct classes *classes, gr_dataset *dataset, gr_error *error) {
    dataset->information.classes = classes->count;
    dataset->class_names = calloc((size_t)classes->count, sizeof *dataset->class_names);
    for (int i = 0; dataset->class_names && i < classes->count; i++)
        if (!(dataset->class_names[i] = strdup(classes->names[i]))) break;
    if (!dataset->class_names || !dataset->class_names[classes->count - 1])
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for names of classes");
    return GR_OK;
}

gr_status gr_csv_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                      gr_error *error) {
    struct table table = {.place = "/file"}, test_table = {.place = "/test_file"};
    struct classes classes;
    gr_samples all = {0}, test = {0};
    const bool regression = gr_choice(settings, CSV_TASK) == TASK_REGRESSION;
    const bool with_test = !gr_is_null(settings, CSV_TEST_FILE);
    gr_dataset_information *information = &dataset->information;
    gr_status status;
    GR_TRY_OR(cleanup,
              read_table(settings, directory, gr_string(settings, CSV_FILE), &table, error));
    if (with_test) {
        GR_TRY_OR(cleanup, read_table(settings, directory, gr_string(settings, CSV_TEST_FILE),
                                      &test_table, error));
        GR_TRY_OR(cleanup, check_same_columns(&table, &test_table, error));
        if (test_table.rows == 0) {
            status = gr_fail_at(error, GR_INVALID, test_table.place, "%s has no rows",
                                gr_path_shown(test_table.path));
            goto cleanup;
        }
    }
    information->input_shape = (gr_shape){.rank = 1, .size = {table.features}};
    information->targets = regression;
    if (!regression) {
        GR_TRY_OR(cleanup, find_classes(&table, &classes, error));
        GR_TRY_OR(cleanup, keep_names(&classes, dataset, error));
    }
    snprintf(information->description, sizeof information->description,
             "%s: %lld rows, %lld inputs, %s", gr_string(settings, CSV_FILE), (long long)table.rows,
             (long long)table.features, task_choices[regression]);
    GR_TRY_OR(cleanup, make_samples(&table, &classes, &all, error));
    GR_TRY_OR(cleanup, make_samples(&test_table, &classes, &test, error));
    GR_TRY_OR(cleanup, gr_user_divide(dataset, &all, &test, gr_number(settings, CSV_TEST_SHARE),
                                      table.place, error));
cleanup:
    gr_samples_clear(&all);
    gr_samples_clear(&test);
    table_clear(&table);
    table_clear(&test_table);
    return status;
}

static const gr_option options[OPTION_COUNT] = {
    GR_DATASET_SHARED_OPTIONS("per_feature", GR_USER_VALIDATION),
    [CSV_FILE] = {.name = "file",
                  .help = "name of a file in the folder datasets/user of the data directory; its "
                          "first line names the columns",
                  .accepts = GR_ACCEPT(GR_STRING),
                  .minimum = 1,
                  .maximum = GR_USER_NAME_BYTES,
                  .required = true},
    [CSV_LABEL] = {.name = "label",
                   .help = "name of the column that is to be predicted",
                   .accepts = GR_ACCEPT(GR_STRING),
                   .minimum = 1,
                   .maximum = GR_USER_NAME_BYTES,
                   .required = true},
    [CSV_TASK] = {.name = "task",
                  .help = "classification: each different label is a class, in sorted order; "
                          "regression: labels are numbers",
                  .accepts = GR_ACCEPT(GR_CHOICE),
                  .choices = task_choices,
                  .default_json = "\"classification\""},
    [CSV_IGNORE] = {.name = "ignore",
                    .help = "names of columns that are no inputs, with commas between them",
                    .accepts = GR_ACCEPT(GR_STRING) | GR_ACCEPT(GR_NULL),
                    .minimum = 1,
                    .maximum = 2 * GR_USER_NAME_BYTES,
                    .default_json = "null"},
    [CSV_DELIMITER] = {.name = "delimiter",
                       .help = "what stands between two cells",
                       .accepts = GR_ACCEPT(GR_CHOICE),
                       .choices = delimiter_choices,
                       .default_json = "\"comma\""},
    [CSV_TEST_FILE] = {.name = "test_file",
                       .help = "a file of the same form with the test samples; null: test_share "
                               "of the rows are",
                       .accepts = GR_ACCEPT(GR_STRING) | GR_ACCEPT(GR_NULL),
                       .minimum = 1,
                       .maximum = GR_USER_NAME_BYTES,
                       .default_json = "null"},
    [CSV_TEST_SHARE] = {.name = "test_share",
                        .help = "share of the rows that are for testing where there is no "
                                "test_file; always the same rows",
                        .accepts = GR_ACCEPT(GR_NUMBER),
                        .minimum = 0,
                        .maximum = 1,
                        .minimum_excluded = true,
                        .maximum_excluded = true,
                        .default_json = "0.2"},
};

const gr_kind gr_csv_kind = {
    .name = "csv",
    .help = "a table of your own: CSV with a header line, one label column, numbers in the others",
    .options = options,
    .option_count = OPTION_COUNT,
};
