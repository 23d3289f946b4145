/* Files, whole: read at once, replaced at once. */
#ifndef SERVER_FILES_H
#define SERVER_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "gradreg/status.h"

/* Whether this errno says that there is no space: on the disk, in a quota, or because of the limit
 * of a file's size (RLIMIT_FSIZE). */
bool file_is_full(int reason);

/* The content of a regular file of at most `maximum` bytes, followed by a NUL that is not counted.
 * Owned by the caller (free). GR_NOT_FOUND, GR_INVALID (no regular file), GR_TOO_LARGE, GR_IO,
 * GR_OUT_OF_MEMORY. */
gr_status file_read(const char *path, size_t maximum, void **bytes, size_t *count, gr_error *error);

/* The same of standard input, to its end. */
gr_status file_read_input(size_t maximum, void **bytes, size_t *count, gr_error *error);

/* Whether file_replace may succeed, as far as can be told before: to be asked before long work. */
gr_status file_check_replaceable(const char *path, gr_error *error);

/* Syncs the folder that holds `path`: its name outlives a loss of power. */
gr_status file_sync_folder(const char *path, gr_error *error);

/* Writes to a temporary name in the same folder, fsyncs, renames, fsyncs the folder: the path holds
 * the whole new file or what it held before. Refuses to replace what is no regular file. GR_IO or
 * GR_NO_SPACE with the reason. */
gr_status file_replace(const char *path, const void *bytes, size_t count, gr_error *error);

/* The same for content that comes piece by piece: begin, write any number of times, then finish
 * (which ends the replacement whatever it returns) or abandon (NULL: nothing). */
typedef struct file_replacement file_replacement;
gr_status file_replacement_begin(const char *path, file_replacement **replacement, gr_error *error);
gr_status file_replacement_write(file_replacement *replacement, const void *bytes, size_t count,
                                 gr_error *error);
gr_status file_replacement_finish(file_replacement *replacement, gr_error *error);
void file_replacement_abandon(file_replacement *replacement);
/* Where it lies until then. Borrowed. */
const char *file_replacement_temporary(const file_replacement *replacement);
/* Gives the whole of it a further name on the same disk, synced: GR_CONFLICT where there is
 * something of that name. It has to be abandoned still. */
gr_status file_replacement_link(file_replacement *replacement, const char *path, gr_error *error);

#endif
