#include "server/initial_model.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/safetensors.h"

/* The path of an experiment's model; owned by the caller. */
static gr_status stored_model(store *of, int64_t id, char **path, gr_error *error) {
    experiment record = {0};
    gr_status status = store_get(of, id, &record, error);
    if (status == GR_NOT_FOUND)
        status = gr_fail(error, GR_INVALID,
                         "there is no experiment %lld (one in the trash is undeleted first)",
                         (long long)id);
    else if (status == GR_OK && !record.model_file)
        status = gr_fail(error, GR_INVALID,
                         "experiment %lld has no model: it is %s, and only a succeeded one has",
                         (long long)id, state_name(record.state));
    else if (status == GR_OK && asprintf(path, "%s/%s", store_artifacts(of), record.model_file) < 0)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
    experiment_clear(&record);
    return status;
}

static gr_status load(const experiment_setup *setup, store *from, gr_arrays *model,
                      gr_error *error) {
    int64_t id;
    const char *file;
    spec_init_from(setup->spec, &id, &file);
    if (!id && !file) return GR_OK;
    if (from && file)
        return gr_fail(error, GR_INVALID,
                       "a server starts from another experiment's model: give its id, not a file");
    if (!from && id)
        return gr_fail(error, GR_INVALID,
                       "an experiment's id needs a server: give a model.safetensors file");
    char *path = NULL;
    if (from) GR_TRY(stored_model(from, id, &path, error));
    gr_status status = safetensors_read_file(path ? path : file, model, NULL, error);
    free(path);
    if (status == GR_NOT_FOUND) status = GR_INVALID; /* the spec names what is not there */
    if (status == GR_OK) status = gr_plan_check_model(&setup->plan, setup->dataset, model, error);
    return status;
}

gr_status initial_model_load(const experiment_setup *setup, store *from, gr_arrays *model,
                             gr_error *error) {
    const gr_status status = load(setup, from, model, error);
    if (status == GR_OK) return GR_OK;
    gr_arrays_clear(model);
    if (error) snprintf(error->place, sizeof error->place, "/init_from");
    return status;
}

gr_status initial_model_apply(const experiment_setup *setup, store *from, gr_training *training,
                              gr_error *error) {
    gr_arrays model = {0};
    GR_TRY(initial_model_load(setup, from, &model, error));
    const gr_status status = model.count ? gr_training_set_model(training, &model, error) : GR_OK;
    gr_arrays_clear(&model);
    return status;
}
