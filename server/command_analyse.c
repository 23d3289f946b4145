/* gradreg analyse: what is measured of a trained model, as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/analysis.h"
#include "server/command_line.h"
#include "server/commands.h"
#include "server/files.h"
#include "server/model_setup.h"
#include "server/paths.h"

static const char usage[] =
    "usage: gradreg analyse MODEL.safetensors [--analysis ANALYSIS.json] [--spec SPEC.json]\n"
    "                       [--data-dir DIR] [--out RESULT.json]\n"
    "\n"
    "  MODEL                a trained model, from \"gradreg run --out\" or downloaded from a\n"
    "                       server\n"
    "  --analysis ANALYSIS  what to measure, as the member \"analysis\" of a spec, instead of "
    "what\n"
    "                       the experiment's own spec says\n"
    "  --spec SPEC          the experiment, for a model from elsewhere; one that was trained here\n"
    "                       brings its own as metadata\n"
    "  --data-dir DIR       where the data sets are (GRADREG_DATA_DIR, else ./data)\n"
    "  --out FILE           gets the result; otherwise standard output does\n";

struct arguments {
    const char *model, *analysis, *spec, *data_directory, *out;
};

static gr_status write_result(const char *text, const char *path, gr_error *error) {
    if (path) return file_replace(path, text, strlen(text), error);
    if (puts(text) >= 0 && fflush(stdout) == 0) return GR_OK;
    return gr_fail(error, GR_IO, "standard output cannot be written: %s", strerror(errno));
}

static gr_status analyse(const struct arguments *arguments, data_cache *data, problems *found,
                         gr_error *error) {
    model_setup setup;
    analysis_result result = {0};
    if (arguments->out) GR_TRY(file_check_replaceable(arguments->out, error));
    GR_TRY(model_setup_load(arguments->model, arguments->spec, arguments->analysis, data, &setup,
                            found, error));
    gr_status status = GR_OK;
    if (!analysis_is_wanted(&setup.experiment))
        status = gr_fail(error, GR_INVALID,
                         "%s: its spec asks for no analysis: say with --analysis what to measure",
                         arguments->model);
    if (status == GR_OK) {
        status = analysis_make(&setup.experiment, &setup.model, setup.iteration, NULL, NULL,
                               &result, error);
        if (status == GR_INVALID && !*error->place) model_setup_name_file(arguments->model, error);
    }
    if (status == GR_OK) status = write_result(result.text, arguments->out, error);
    analysis_clear(&result);
    model_setup_clear(&setup);
    return status;
}

static int run(const struct arguments *arguments) {
    gr_error error = {0};
    data_cache *data = data_cache_create(paths_data_directory(arguments->data_directory));
    problems found = {0};
    const gr_status status = data
                                 ? analyse(arguments, data, &found, &error)
                                 : gr_fail(&error, GR_OUT_OF_MEMORY, "no memory for the data sets");
    model_setup_print_failure("analyse", arguments->model, arguments->spec, &found, status, &error);
    problems_clear(&found);
    data_cache_free(data);
    return status == GR_OK ? 0 : 1;
}

int command_analyse(int argc, char **argv) {
    struct arguments arguments = {0};
    const command_option options[] = {{"analysis", .text = &arguments.analysis},
                                      {"spec", .text = &arguments.spec},
                                      {"data-dir", .text = &arguments.data_directory},
                                      {"out", .text = &arguments.out},
                                      {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, options, 1, 1, &operands);
    if (early >= 0) return early;
    arguments.model = operands.items[0];
    return run(&arguments);
}
