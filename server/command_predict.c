/* gradreg predict: what a trained model answers for each sample of its data set, as CSV. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command_problems.h"
#include "server/commands.h"
#include "server/experiment_setup.h"
#include "server/files.h"
#include "server/paths.h"
#include "server/predictions.h"
#include "server/safetensors.h"

static const char usage[] =
    "usage: gradreg predict MODEL.safetensors [--spec SPEC.json] [--split SPLIT]\n"
    "                       [--data-dir DIR] [--out PREDICTIONS.csv]\n"
    "\n"
    "  MODEL           a trained model, from \"gradreg run --out\" or downloaded from a server\n"
    "  --spec SPEC     the experiment, for a model from elsewhere; one that was trained here "
    "brings its\n"
    "                  own as metadata\n"
    "  --split SPLIT   the samples: train, validation or test (the default)\n"
    "  --data-dir DIR  where the data sets are (GRADREG_DATA_DIR, else ./data)\n"
    "  --out FILE      gets the CSV; otherwise standard output does\n";

enum { MAXIMUM_SPEC_FILE = 16 << 20 };

struct arguments {
    const char *model, *spec, *split, *data_directory, *out;
};

/* A text of the model's metadata, which may be a stranger's; NULL where there is none. Borrowed. */
static const char *metadata_text(const cJSON *metadata, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, name));
}

/* The spec's text; owned by the caller. */
static gr_status find_spec(const struct arguments *arguments, const cJSON *metadata, void **text,
                           size_t *length, gr_error *error) {
    if (arguments->spec) return file_read(arguments->spec, MAXIMUM_SPEC_FILE, text, length, error);
    const char *stored = metadata_text(metadata, "spec");
    if (!stored)
        return gr_fail(error, GR_INVALID,
                       "%s: has no spec in its metadata: say with --spec which experiment it "
                       "belongs to",
                       arguments->model);
    *text = strdup(stored);
    *length = strlen(stored);
    return *text ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the spec");
}

/* With a spec of its own, a model is for the data that it was trained with: their split would be
 * another's. */
static gr_status check_data(const struct arguments *arguments, const cJSON *metadata,
                            const experiment_setup *setup, gr_error *error) {
    const char *hash = metadata_text(metadata, "data_sha256");
    if (arguments->spec || !hash || strcmp(hash, setup->data_hash) == 0) return GR_OK;
    return gr_fail(error, GR_INVALID,
                   "%s: was trained with other data: their SHA-256 was %.64s and is %.64s; put the "
                   "files of that time back, or give the spec to use with --spec",
                   arguments->model, hash, setup->data_hash);
}

/* What is wrong is wrong with the model's file. */
static void name_file(const char *path, gr_error *error) {
    char message[GR_MESSAGE_SIZE];
    snprintf(message, sizeof message, "%s", error->message);
    gr_fail(error, error->status, "%s: %.400s", path, message);
}

static gr_status write_lines(predictions *lines, const char *path, gr_error *error) {
    file_replacement *file = NULL;
    const char *text;
    size_t length;
    if (path) GR_TRY(file_replacement_begin(path, &file, error));
    gr_status status = GR_OK;
    while (status == GR_OK && predictions_next(lines, &text, &length)) {
        if (file)
            status = file_replacement_write(file, text, length, error);
        else if (fwrite(text, 1, length, stdout) != length)
            status =
                gr_fail(error, GR_IO, "standard output cannot be written: %s", strerror(errno));
    }
    if (!file) {
        if (status == GR_OK && fflush(stdout) != 0)
            status =
                gr_fail(error, GR_IO, "standard output cannot be written: %s", strerror(errno));
        return status;
    }
    if (status == GR_OK) return file_replacement_finish(file, error);
    file_replacement_abandon(file);
    return status;
}

/* `found` gets the problems of the spec. */
static gr_status predict(const struct arguments *arguments, gr_part part, data_cache *data,
                         problems *found, gr_error *error) {
    gr_arrays model = {0};
    char *metadata_json = NULL;
    cJSON *metadata = NULL;
    void *text = NULL;
    size_t length;
    experiment_setup setup = {0};
    predictions *lines = NULL;
    gr_status status = GR_OK;
    if (arguments->out) GR_TRY(file_check_replaceable(arguments->out, error));
    GR_TRY_OR(done, safetensors_read_file(arguments->model, &model, &metadata_json, error));
    metadata = metadata_json ? cJSON_Parse(metadata_json) : NULL;
    GR_TRY_OR(done, find_spec(arguments, metadata, &text, &length, error));
    GR_TRY_OR(done, experiment_setup_check(text, length, data, &setup, NULL, found, error));
    GR_TRY_OR(done, check_data(arguments, metadata, &setup, error));
    status = predictions_create(&setup.plan, setup.dataset, &model, part, &lines, error);
    if (status == GR_INVALID && !*error->place) name_file(arguments->model, error);
    if (status == GR_OK) status = write_lines(lines, arguments->out, error);
done:
    predictions_free(lines);
    experiment_setup_clear(&setup);
    free(text);
    cJSON_Delete(metadata);
    free(metadata_json);
    gr_arrays_clear(&model);
    return status;
}

static int run(const struct arguments *arguments) {
    gr_error error = {0};
    gr_part part;
    if (predictions_part(arguments->split, &part, &error) != GR_OK) {
        fprintf(stderr, "gradreg predict: --%s\n%s", error.message, usage);
        return 2;
    }
    char *folder = paths_join(paths_data_directory(arguments->data_directory), PATHS_DATASETS);
    data_cache *data = folder ? data_cache_create(folder) : NULL;
    free(folder);
    problems found = {0};
    gr_status status = data ? predict(arguments, part, data, &found, &error)
                            : gr_fail(&error, GR_OUT_OF_MEMORY, "no memory for the data sets");
    if (found.kept) {
        fprintf(stderr, "gradreg predict: the spec %s%s cannot be used:\n",
                arguments->spec ? "" : "in the metadata of ",
                arguments->spec ? arguments->spec : arguments->model);
        command_print_problems("predict", &found);
    }
    if (!found.kept && status != GR_OK) command_print_error("predict", &error);
    problems_clear(&found);
    data_cache_free(data);
    return status == GR_OK ? 0 : 1;
}

int command_predict(int argc, char **argv) {
    static const struct option known[] = {
        {"spec", required_argument, NULL, 's'},     {"split", required_argument, NULL, 'p'},
        {"data-dir", required_argument, NULL, 'd'}, {"out", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},           {0}};
    struct arguments arguments = {0};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        switch (option) {
        case 's':
            arguments.spec = optarg;
            break;
        case 'p':
            arguments.split = optarg;
            break;
        case 'd':
            arguments.data_directory = optarg;
            break;
        case 'o':
            arguments.out = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        return 2;
    }
    arguments.model = argv[optind];
    return run(&arguments);
}
