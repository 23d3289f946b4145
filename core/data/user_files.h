/* What the data sets of users' own files have in common: where the files are, and how their samples
 * are divided. */
#ifndef CORE_DATA_USER_FILES_H
#define CORE_DATA_USER_FILES_H

#include "core/data/dataset_content.h"

enum { GR_USER_NAME_BYTES = 128, GR_USER_LEAST_SAMPLES = 10 };

#define GR_USER_VALIDATION                                                                    \
    "the end of the training samples (in the fixed order that they were put into): the last " \
    "fifth, at most 10,000"

/* The file `name` of the folder "<directory>/user", whole; *path is what messages call it, owned by
 * the caller like *bytes (also after a failure). Nothing outside of that folder is ever opened: a
 * name is a plain file name, and no symbolic link. `place` is the option ("/file") for errors:
 * GR_NOT_FOUND, GR_INVALID, GR_IO, GR_OUT_OF_MEMORY. */
gr_status gr_user_read(const char *directory, const char *name, const char *place, char **path,
                       uint8_t **bytes, size_t *count, gr_error *error);

/* What is wrong with a user's file is wrong with the spec that asks for it: makes GR_CORRUPT and
 * GR_TOO_LARGE a GR_INVALID at `place`, and passes the others through. */
gr_status gr_user_status(gr_status status, const char *place, gr_error *error);

/* Divides samples into training and test, in an order that is random but always the same. Where
 * `test` has no samples, the share `test_share` of all is taken for it. The data set's shape,
 * classes and targets are known already; takes the samples over. GR_INVALID at `place` where there
 * are too few. */
gr_status gr_user_divide(gr_dataset *dataset, gr_samples *all, gr_samples *test, double test_share,
                         const char *place, gr_error *error);

#endif
