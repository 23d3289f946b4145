/* The steps that every road from a spec's text to a trained model has in common: the HTTP
 * submission, the worker threads and `gradreg run`. */
#ifndef SERVER_EXPERIMENT_SETUP_H
#define SERVER_EXPERIMENT_SETUP_H

#include <stdbool.h>
#include <stddef.h>

#include "gradreg/training.h"
#include "server/data_cache.h"
#include "server/json.h"
#include "server/spec.h"

/* A spec that was checked in full: parsed, its data set loaded, its parts fitting each other.
 * Zeroed, it is empty and may be cleared. */
typedef struct experiment_setup {
    spec *spec;                /* owned */
    char *canonical;           /* owned: the canonical spec's text, as the store keeps it */
    gr_plan plan;              /* borrows from spec: valid until the setup is cleared */
    const gr_dataset *dataset; /* borrowed from the cache */
    char data_hash[65];        /* SHA-256 (hex) of the data set's content */
    gr_estimate estimate;
    int64_t iterations; /* of the whole training */
} experiment_setup;

/* Parses the text, loads the data set and checks the plan against it. GR_OK fills *setup
 * (experiment_setup_clear). Every failure fills *error (its place is a pointer into the spec); in
 * addition: GR_INVALID, GR_TOO_LARGE   at least one problem, each with its pointer into the spec;
 * *malformed where the text is not even JSON (400 rather than 422); GR_NOT_FOUND               the
 * data set is not there: one problem at /dataset, which tells how to get it; others GR_CORRUPT,
 * GR_IO, GR_OUT_OF_MEMORY: no problem of the spec. `problems` and `malformed` may be NULL.
 * Thread-safe. */
gr_status experiment_setup_check(const char *text, size_t length, data_cache *data,
                                 experiment_setup *setup, bool *malformed, problems *problems,
                                 gr_error *error);
void experiment_setup_clear(experiment_setup *setup);

/* The metadata of a trained model's safetensors file, an object of strings: mean and
 * standard_deviation of the inputs (JSON lists: one number, or one for each channel), classes
 * (absent for regression), iteration, data_sha256, engine and spec (canonical). Owned by the caller
 * (free). */
gr_status experiment_model_metadata(const experiment_setup *setup, const gr_training *training,
                                    char **metadata, gr_error *error);
/* Writes the training's parameters with that metadata (safetensors_write_file: all or nothing,
 * fsynced). */
gr_status experiment_write_model(const experiment_setup *setup, const gr_training *training,
                                 const char *path, gr_error *error);

#endif
