/* A file from a URL, with resumption. */
#ifndef SERVER_DOWNLOAD_H
#define SERVER_DOWNLOAD_H

#include <stdint.h>

#include "gradreg/status.h"

typedef struct download_progress {
    /* total is 0 where it is not known */
    void (*report)(void *context, const char *file, int64_t done, int64_t total);
    void *context;
} download_progress;

/* Fetches `url` (http, https or file) into the file `path`, going on behind what is already there.
 * What has arrived stays in `path` after a failure, so that the next call goes on; *resumed (may be
 * NULL) tells whether this one did. GR_NOT_FOUND where the server has no such file, GR_TOO_LARGE
 * beyond `maximum_bytes`, GR_IO for every other reason: unreachable hosts are given up after a few
 * seconds, stalled ones after 30. */
gr_status download(const char *url, const char *path, int64_t maximum_bytes,
                   const download_progress *progress, int *resumed, gr_error *error);

#endif
