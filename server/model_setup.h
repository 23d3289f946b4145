/* A trained model's file, and the experiment that it belongs to: for commands that use one. */
#ifndef SERVER_MODEL_SETUP_H
#define SERVER_MODEL_SETUP_H

#include "server/experiment_setup.h"

/* Zeroed, it is empty and may be cleared. */
typedef struct model_setup {
    gr_arrays model;
    experiment_setup experiment;
    int64_t iteration; /* that the metadata names; 0: none */
} model_setup;

/* Reads the model; its experiment is the spec in its metadata, or where `spec_file` is not NULL,
 * that file's. `analysis`: a JSON object's file that takes the place of the spec's "analysis";
 * NULL: none does. A model with its own spec is refused where its data have changed. `found` gets
 * the problems of the spec. */
gr_status model_setup_load(const char *model, const char *spec_file, const char *analysis,
                           data_cache *data, model_setup *setup, problems *found, gr_error *error);
void model_setup_clear(model_setup *setup);

/* What is wrong is wrong with the model's file: puts its name before the message. */
void model_setup_name_file(const char *path, gr_error *error);

/* Prints what is wrong to standard error. */
void model_setup_print_failure(const char *command, const char *model, const char *spec_file,
                               const problems *found, gr_status status, const gr_error *error);

#endif
