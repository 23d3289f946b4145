/* gradreg gradients: the gradient of a spec's loss for given weights and batch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command_line.h"
#include "server/command_problems.h"
#include "server/commands.h"
#include "server/files.h"
#include "server/safetensors.h"
#include "server/spec.h"

static const char usage[] =
    "usage: gradreg gradients --spec S.json --weights W.safetensors --batch B.safetensors\n"
    "                         --out G.safetensors\n"
    "\n"
    "  --spec S     model {input_shape, layers}, loss and regularizers\n"
    "  --weights W  the parameters, named as PyTorch's nn.Sequential does (\"0.weight\")\n"
    "  --batch B    x [n, …] F32; y: labels [n] I64 or a regression's targets [n, K] F32; where a\n"
    "               regularizer needs them probe [K] F32, the vector of the random probe, and\n"
    "               derivatives [n, K, …] F32, those of the truth at x\n"
    "  --out G      gets grad.<parameter> of each parameter, and the scalars loss,\n"
    "               regularizers.<i> (unweighted) and total\n";

enum { MAXIMUM_SPEC_FILE = 16 << 20 };

static gr_status read_spec(const char *path, spec **result, gr_error *error) {
    static const char *const members[] = {"model", "loss", "regularizers", NULL};
    void *text;
    size_t length;
    GR_TRY(file_read(path, MAXIMUM_SPEC_FILE, &text, &length, error));
    bool malformed;
    problems found = {0};
    const gr_status status = spec_parse_members(text, length, members, result, &malformed, &found);
    free(text);
    if (status != GR_OK && malformed && found.kept)
        gr_fail(error, status, "%s: %s", path, found.items[0].detail);
    else if (status == GR_INVALID)
        command_print_problems("gradients", &found);
    else if (status != GR_OK)
        gr_fail(error, status, "%s: no memory for the spec", path);
    problems_clear(&found);
    return status;
}

static gr_status compute(const spec *parsed, const char *weights_path, const char *batch_path,
                         const char *out_path, gr_error *error) {
    gr_arrays weights = {0}, batch = {0}, gradients = {0};
    gr_status status = GR_OK;
    const gr_plan plan = spec_plan(parsed);
    GR_TRY_OR(done, safetensors_read_file(weights_path, &weights, NULL, error));
    GR_TRY_OR(done, safetensors_read_file(batch_path, &batch, NULL, error));
    GR_TRY_OR(done, gr_gradients(plan.model, plan.loss, plan.regularizers, plan.regularizer_count,
                                 &weights, &batch, &gradients, error));
    GR_TRY_OR(done, safetensors_write_file(out_path, &gradients, NULL, error));
done:
    gr_arrays_clear(&weights);
    gr_arrays_clear(&batch);
    gr_arrays_clear(&gradients);
    return status;
}

int command_gradients(int argc, char **argv) {
    enum { SPEC, WEIGHTS, BATCH, OUT, PATHS };
    const char *paths[PATHS] = {NULL};
    const command_option options[] = {[SPEC] = {"spec", .text = &paths[SPEC]},
                                      [WEIGHTS] = {"weights", .text = &paths[WEIGHTS]},
                                      [BATCH] = {"batch", .text = &paths[BATCH]},
                                      [OUT] = {"out", .text = &paths[OUT]},
                                      [PATHS] = {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, options, 0, 0, &operands);
    if (early >= 0) return early;
    for (int i = 0; i < PATHS; i++)
        if (!paths[i]) return command_refuse(usage, "--%s is missing", options[i].name);
    spec *parsed = NULL;
    gr_error error = {0};
    gr_status status = read_spec(paths[SPEC], &parsed, &error);
    if (status == GR_OK) status = compute(parsed, paths[WEIGHTS], paths[BATCH], paths[OUT], &error);
    spec_free(parsed);
    if (status == GR_OK) return 0;
    if (error.message[0]) command_print_error("gradients", &error);
    return 1;
}
