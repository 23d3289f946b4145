/* What a backup needs of the store. */
#ifndef SERVER_STORE_BACKUP_H
#define SERVER_STORE_BACKUP_H

#include "server/store.h"

/* Writes the database as it is now to the file `path`, replacing it, without holding up the server.
 */
gr_status store_copy_database(store *store, const char *path, gr_error *error);

/* A copied database, as a file. */
typedef struct store_copy store_copy;
/* GR_CORRUPT where SQLite's own check finds it damaged (`check`). */
gr_status store_copy_open(const char *path, bool check, store_copy **copy, gr_error *error);
void store_copy_close(store_copy *copy); /* NULL is allowed */
/* The names of the artifacts that it refers to: free each, and the list. */
gr_status store_copy_files(store_copy *copy, char ***files, size_t *count, gr_error *error);
gr_status store_copy_count(store_copy *copy, int64_t *experiments, gr_error *error);
/* Forgets a checkpoint: its experiment will begin anew. *changed: how many had it. */
gr_status store_copy_drop_checkpoint(store_copy *copy, const char *file, int64_t *changed,
                                     gr_error *error);

/* Holds the lock of a data directory (see store_open), so that no server starts on it. *lock: to be
 * closed. */
gr_status store_lock_directory(const char *directory, int *lock, gr_error *error);

#endif
