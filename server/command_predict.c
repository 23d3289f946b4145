/* gradreg predict: what a trained model answers for each sample of its data set, as CSV. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command_line.h"
#include "server/commands.h"
#include "server/files.h"
#include "server/model_setup.h"
#include "server/paths.h"
#include "server/predictions.h"

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

struct arguments {
    const char *model, *spec, *split, *data_directory, *out;
};

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
    model_setup setup;
    predictions *lines = NULL;
    if (arguments->out) GR_TRY(file_check_replaceable(arguments->out, error));
    GR_TRY(model_setup_load(arguments->model, arguments->spec, NULL, data, &setup, found, error));
    gr_status status = predictions_create(&setup.experiment.plan, setup.experiment.dataset,
                                          &setup.model, part, &lines, error);
    if (status == GR_INVALID && !*error->place) model_setup_name_file(arguments->model, error);
    if (status == GR_OK) status = write_lines(lines, arguments->out, error);
    predictions_free(lines);
    model_setup_clear(&setup);
    return status;
}

static int run(const struct arguments *arguments) {
    gr_error error = {0};
    gr_part part;
    if (predictions_part(arguments->split, &part, &error) != GR_OK)
        return command_refuse(usage, "--%s", error.message);
    data_cache *data = data_cache_create(paths_data_directory(arguments->data_directory));
    problems found = {0};
    gr_status status = data ? predict(arguments, part, data, &found, &error)
                            : gr_fail(&error, GR_OUT_OF_MEMORY, "no memory for the data sets");
    model_setup_print_failure("predict", arguments->model, arguments->spec, &found, status, &error);
    problems_clear(&found);
    data_cache_free(data);
    return status == GR_OK ? 0 : 1;
}

int command_predict(int argc, char **argv) {
    struct arguments arguments = {0};
    const command_option options[] = {{"spec", .text = &arguments.spec},
                                      {"split", .text = &arguments.split},
                                      {"data-dir", .text = &arguments.data_directory},
                                      {"out", .text = &arguments.out},
                                      {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, options, 1, 1, &operands);
    if (early >= 0) return early;
    arguments.model = operands.items[0];
    return run(&arguments);
}
