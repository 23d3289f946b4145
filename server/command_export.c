/* gradreg export: experiments as files for people and other programs. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/api.h"
#include "server/command_line.h"
#include "server/commands.h"
#include "server/csv.h"
#include "server/files.h"
#include "server/list_request.h"
#include "server/paths.h"
#include "server/subprocess.h"

static const char usage[] =
    "usage: gradreg export FOLDER|FILE.tar [ID… | --filter FILTER] [--data-dir DIR]\n"
    "\n"
    "  FOLDER          is made, with a folder for each experiment: experiment.json (all that the\n"
    "                  server knows of it), spec.json (to be submitted again), metrics.csv,\n"
    "                  log.txt, model.safetensors, analysis.json; and index.csv, a line for\n"
    "                  each\n"
    "  FILE.tar        the same as an archive (needs tar)\n"
    "  ID…             only these experiments (all)\n"
    "  --filter FILTER only those of which it holds, such as 'metrics.test_accuracy > 0.9'\n"
    "                  (docs/api.md)\n"
    "  --data-dir DIR  of the server, which may be running (GRADREG_DATA_DIR, else ./data)\n";

enum { PAGE = 200 };

typedef struct exporter {
    store *store;
    const char *folder;
    FILE *index;
    const filter *filter; /* NULL: all */
    const int64_t *ids;   /* [id_count]; none: by the filter */
    int id_count;
    int64_t count;
} exporter;

static gr_status write_text(const char *folder, const char *name, const char *text,
                            gr_error *error) {
    char *path = paths_join(folder, name);
    gr_status status = path && text ? file_replace(path, text, strlen(text), error)
                                    : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    free(path);
    return status;
}

static gr_status write_json(const char *folder, const char *name, cJSON *document,
                            gr_error *error) {
    char *text = document ? json_pretty_text(document) : NULL;
    cJSON_Delete(document);
    const gr_status status = write_text(folder, name, text, error);
    free(text);
    return status;
}

/* The text that `print` writes, as a file. */
static gr_status write_printed(const char *folder, const char *name,
                               gr_status (*print)(exporter *, int64_t, FILE *, gr_error *),
                               exporter *self, int64_t id, gr_error *error) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    gr_status status = print(self, id, out, error);
    if (fclose(out) != 0 && status == GR_OK)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) status = write_text(folder, name, text, error);
    free(text);
    return status;
}

static gr_status print_metrics(exporter *self, int64_t id, FILE *out, gr_error *error) {
    metric_row *rows;
    size_t count;
    char number[JSON_NUMBER_SIZE];
    GR_TRY(store_series(self->store, id, NULL, -1, &rows, &count, error));
    fputs("name,iteration,value\n", out);
    for (size_t i = 0; i < count; i++) {
        json_number_text(rows[i].value, number);
        fprintf(out, "%s,%lld,%s\n", rows[i].name, (long long)rows[i].iteration, number);
    }
    free(rows);
    return GR_OK;
}

static gr_status print_log(exporter *self, int64_t id, FILE *out, gr_error *error) {
    log_line *lines;
    size_t count;
    char time[32];
    GR_TRY(store_log(self->store, id, &lines, &count, error));
    for (size_t i = 0; i < count; i++) {
        json_time(lines[i].time, time);
        fprintf(out, "%s %-7s %s\n", time, lines[i].level, lines[i].text);
    }
    log_lines_free(lines, count);
    return GR_OK;
}

static gr_status write_analysis(exporter *self, const char *folder, int64_t id, gr_error *error) {
    char *text;
    GR_TRY(store_analysis(self->store, id, &text, error));
    const gr_status status = text ? write_text(folder, "analysis.json", text, error) : GR_OK;
    free(text);
    return status;
}

static gr_status write_model(exporter *self, const char *folder, const char *file,
                             gr_error *error) {
    enum { LARGEST_MODEL = 2000000000 };
    char *source = paths_join(store_artifacts(self->store), file);
    char *target = paths_join(folder, "model.safetensors");
    void *bytes = NULL;
    size_t count = 0;
    gr_status status = source && target ? file_read(source, LARGEST_MODEL, &bytes, &count, error)
                                        : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) status = file_replace(target, bytes, count, error);
    free(bytes);
    free(source);
    free(target);
    return status;
}

static void add_to_index(exporter *self, const experiment *one) {
    static const char *const names[] = {"test_accuracy", "test_loss", "validation_accuracy",
                                        "train_loss"};
    char number[JSON_NUMBER_SIZE];
    cJSON *metrics = cJSON_Parse(one->latest_metrics ? one->latest_metrics : "{}");
    fprintf(self->index, "%lld,", (long long)one->id);
    csv_put_text(self->index, one->name ? one->name : "");
    fprintf(self->index, ",%s,%lld,%lld", state_name(one->state), (long long)one->iteration,
            (long long)one->iterations);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double value;
        number[0] = 0;
        if (json_to_double(cJSON_GetObjectItemCaseSensitive(metrics, names[i]), &value))
            json_number_text(value, number);
        fprintf(self->index, ",%s", number);
    }
    fputc('\n', self->index);
    cJSON_Delete(metrics);
}

static gr_status export_one(exporter *self, const experiment *one, gr_error *error) {
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)one->id);
    char *folder = paths_join(self->folder, name);
    if (folder == NULL) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    gr_status status = GR_OK;
    if (mkdir(folder, 0777) != 0)
        status = gr_fail(error, GR_IO, "%.300s: %s", folder, strerror(errno));
    /* Through cJSON once more: what is stored as text is indented like the rest. */
    cJSON *record = status == GR_OK ? experiment_json(one) : NULL;
    char *compact = record ? json_text(record) : NULL;
    cJSON_Delete(record);
    if (status == GR_OK)
        status = write_json(folder, "experiment.json", cJSON_Parse(compact ? compact : ""), error);
    free(compact);
    if (status == GR_OK) status = write_json(folder, "spec.json", cJSON_Parse(one->spec), error);
    if (status == GR_OK)
        status = write_printed(folder, "metrics.csv", print_metrics, self, one->id, error);
    if (status == GR_OK) status = write_printed(folder, "log.txt", print_log, self, one->id, error);
    if (status == GR_OK && one->model_file)
        status = write_model(self, folder, one->model_file, error);
    if (status == GR_OK && one->has_analysis) status = write_analysis(self, folder, one->id, error);
    free(folder);
    if (status == GR_OK) add_to_index(self, one);
    self->count += status == GR_OK;
    return status;
}

static gr_status export_all(exporter *self, gr_error *error) {
    list_place last = {0};
    listing page = {.state = -1, .limit = PAGE, .filter = self->filter};
    for (;;) {
        experiment *items;
        size_t count;
        GR_TRY(store_list(self->store, &page, &items, &count, NULL, error));
        gr_status status = GR_OK;
        for (size_t i = 0; i < count && status == GR_OK; i++)
            status = export_one(self, &items[i], error);
        if (count) last.id = items[count - 1].id;
        page.after = &last;
        experiments_free(items, count);
        if (status != GR_OK || count < PAGE) return status;
    }
}

/* The experiments that the command line names, before anything is made: each is there, and once.
 * ids[count]. */
static gr_status read_ids(store *of, char **texts, int count, int64_t *ids, gr_error *error) {
    for (int i = 0; i < count; i++) {
        experiment found;
        char *end;
        ids[i] = strtoll(texts[i], &end, 10);
        if (ids[i] <= 0 || *end)
            return gr_fail(error, GR_INVALID, "\"%.40s\" is no experiment's id", texts[i]);
        for (int j = 0; j < i; j++)
            if (ids[j] == ids[i])
                return gr_fail(error, GR_INVALID, "experiment %lld is named twice",
                               (long long)ids[i]);
        GR_TRY(store_get(of, ids[i], &found, error));
        experiment_clear(&found);
    }
    return GR_OK;
}

static gr_status export_some(exporter *self, gr_error *error) {
    for (int i = 0; i < self->id_count; i++) {
        experiment found;
        GR_TRY(store_get(self->store, self->ids[i], &found, error));
        const gr_status status = export_one(self, &found, error);
        experiment_clear(&found);
        GR_TRY(status);
    }
    return GR_OK;
}

static gr_status remove_folder(const char *folder, gr_error *error) {
    return subprocess_run(".", (const char *const[]){"rm", "-rf", "--", folder, NULL}, "/dev/null",
                          error);
}

static gr_status write_folder(exporter *self, gr_error *error) {
    char *path = paths_join(self->folder, "index.csv");
    self->index = path ? fopen(path, "wxe") : NULL;
    free(path);
    if (self->index == NULL) return gr_fail(error, GR_IO, "index.csv: %s", strerror(errno));
    fputs("id,name,state,iteration,iterations,test_accuracy,test_loss,validation_accuracy,"
          "train_loss\n",
          self->index);
    gr_status status = self->id_count ? export_some(self, error) : export_all(self, error);
    if (fclose(self->index) != 0 && status == GR_OK)
        status = gr_fail(error, GR_IO, "index.csv: %s", strerror(errno));
    return status;
}

/* Nothing stays of a folder that could not be filled. */
static gr_status fill_folder(exporter *self, gr_error *error) {
    if (mkdir(self->folder, 0777) != 0)
        return gr_fail(error, errno == EEXIST ? GR_CONFLICT : GR_IO, "%.300s cannot be made: %s",
                       self->folder, strerror(errno));
    const gr_status status = write_folder(self, error);
    gr_error ignored = {0};
    if (status != GR_OK) remove_folder(self->folder, &ignored);
    return status;
}

/* An archive is the folder, made beside it, packed, and removed. */
static gr_status export_archive(exporter *self, const char *archive, gr_error *error) {
    char *folder = NULL, *target = realpath(".", NULL), *file = NULL;
    gr_status status = GR_OK;
    if (access(archive, F_OK) == 0) {
        free(target);
        return gr_fail(error, GR_CONFLICT, "%.300s is there already", archive);
    }
    if (target == NULL ||
        asprintf(&folder, "%s%s%.*s.partial", *archive == '/' ? "" : target,
                 *archive == '/' ? "" : "/", (int)strlen(archive) - 4, archive) < 0 ||
        asprintf(&file, "%s%s%s", *archive == '/' ? "" : target, *archive == '/' ? "" : "/",
                 archive) < 0)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    self->folder = folder;
    if (status == GR_OK) status = fill_folder(self, error);
    if (status == GR_OK) {
        const char *const arguments[] = {
            "tar", "--create", "--file", file, "--transform", "s,^\\.,gradreg-export,", ".", NULL};
        status = subprocess_run(folder, arguments, "/dev/null", error);
        if (status != GR_OK) unlink(file);
        gr_error ignored = {0};
        remove_folder(folder, status == GR_OK ? error : &ignored);
    }
    free(folder);
    free(target);
    free(file);
    return status;
}

static gr_status read_filter(store *of, const char *text, filter **tree, gr_error *error) {
    filter_vocabulary vocabulary;
    filter_problem wrong;
    GR_TRY(vocabulary_read(of, &vocabulary, error));
    const gr_status status = filter_parse(text, &vocabulary, tree, &wrong);
    vocabulary_clear(&vocabulary);
    if (status == GR_INVALID)
        return gr_fail(error, status, "--filter, column %zu: %s", wrong.column, wrong.detail);
    return status == GR_OK ? status : gr_fail(error, status, "out of memory");
}

int command_export(int argc, char **argv) {
    const char *directory = NULL, *where = NULL;
    filter *tree = NULL;
    gr_error error = {0};
    exporter self = {0};
    const command_option options[] = {
        {"data-dir", .text = &directory}, {"filter", .text = &where}, {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, options, 1, argc, &operands);
    if (early >= 0) return early;
    const char *target = operands.items[0];
    const size_t length = strlen(target);
    const bool archive = length > 4 && strcmp(target + length - 4, ".tar") == 0;
    const int count = operands.count - 1;
    int64_t *ids = calloc((size_t)count + 1, sizeof *ids);
    gr_status status = store_open_beside(paths_data_directory(directory), &self.store, &error);
    if (status == GR_OK && where && count)
        status = gr_fail(&error, GR_INVALID, "either IDs or --filter, not both");
    if (status == GR_OK && !ids) status = gr_fail(&error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) status = read_ids(self.store, operands.items + 1, count, ids, &error);
    if (status == GR_OK && where) status = read_filter(self.store, where, &tree, &error);
    self.filter = tree;
    self.ids = ids;
    self.id_count = count;
    self.folder = target;
    if (status == GR_OK && archive)
        status = export_archive(&self, target, &error);
    else if (status == GR_OK)
        status = fill_folder(&self, &error);
    free(ids);
    filter_free(tree);
    store_close(self.store);
    if (status == GR_OK)
        printf("exported %lld experiments to %s\n", (long long)self.count, target);
    else
        fprintf(stderr, "gradreg export: %s\n", error.message);
    return status == GR_OK ? 0 : 1;
}
