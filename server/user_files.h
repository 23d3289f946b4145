/* The user's own data files: <data-dir>/datasets/user/NAME, which specs name. What is there is
 * never replaced: an experiment may have been trained with it. */
#ifndef SERVER_USER_FILES_H
#define SERVER_USER_FILES_H

#include <stdint.h>

#include "gradreg/settings.h"
#include "server/files.h"

/* The options of data sets that name such files, ended by NULL. */
extern const char *const user_file_options[];
/* Whether a data set is made of the user's files. */
bool user_file_kind(const gr_kind *kind);

/* GR_INVALID where no file can be called so. */
gr_status user_file_check_name(const char *name, gr_error *error);

/* *path is <data_directory>/datasets/user/<name>, owned by the caller, whose folder is made where
 * it is missing. */
gr_status user_file_prepare(const char *data_directory, const char *name, char **path,
                            gr_error *error);

/* Where a server's files lie while they are received: on the same disk, where no spec can name
 * them. Made where it is missing, and emptied. *folder is owned by the caller. */
gr_status user_file_receiving_folder(const char *data_directory, char **folder, gr_error *error);

/* Gives what was written the name that it will have (its own is the caller's still, to abandon).
 * *made is false where the same bytes are there already; GR_CONFLICT where others are. */
gr_status user_file_keep(const char *data_directory, const char *name, file_replacement *written,
                         bool *made, gr_error *error);

typedef struct user_file {
    char *name; /* owned */
    int64_t bytes;
    int64_t modified_at; /* milliseconds since 1970 */
} user_file;
/* By name. Owned by the caller (user_files_free). */
gr_status user_files_list(const char *data_directory, user_file **files, size_t *count,
                          gr_error *error);
void user_files_free(user_file *files, size_t count);
/* One of them. GR_NOT_FOUND. user_file_clear. */
gr_status user_file_find(const char *data_directory, const char *name, user_file *found,
                         gr_error *error);
void user_file_clear(user_file *file);
/* The SHA-256 (hex) of its bytes. */
gr_status user_file_hash(const char *data_directory, const char *name, char hash[65],
                         gr_error *error);
gr_status user_file_remove(const char *data_directory, const char *name, gr_error *error);

#endif
