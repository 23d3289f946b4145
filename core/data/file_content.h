/* A whole file in memory. */
#ifndef CORE_DATA_FILE_CONTENT_H
#define CORE_DATA_FILE_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradreg/status.h"

/* Reads a regular file of at most `maximum` bytes; memory follows what is really there, and what is
 * appended meanwhile counts. *bytes is owned by the caller (free) and followed by a zero that does
 * not count. `follow`: whether the last part of the path may be a symbolic link. GR_NOT_FOUND,
 * GR_CORRUPT (no regular file, or a link), GR_TOO_LARGE, GR_IO, GR_OUT_OF_MEMORY; messages name the
 * file; on failure *bytes is NULL. */
gr_status gr_file_content(const char *path, bool follow, size_t maximum, uint8_t **bytes,
                          size_t *count, gr_error *error);

/* A path as messages show it: where it doesn't fit, its end says more than its beginning. */
const char *gr_path_shown(const char *path);

#endif
