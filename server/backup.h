/* Backups of a data directory: the database as of one moment, the files it refers to, and a list of
 * all with their SHA-256. */
#ifndef SERVER_BACKUP_H
#define SERVER_BACKUP_H

#include "server/store.h"

typedef struct backup_summary {
    int64_t experiments, files, bytes;
    int64_t without_checkpoint; /* running ones whose checkpoint was replaced while it was copied:
                                   restored, they begin anew */
    int64_t missing;            /* models that the data directory itself has lost */
} backup_summary;

/* Makes the folder `target`, which must not exist, beside a server that may be at work. It appears
 * under its name when it is whole. */
gr_status backup_make(const char *data_directory, const char *target, backup_summary *summary,
                      gr_error *error);
/* Checks a backup against its list: GR_CORRUPT names the first file that is not as it was. */
gr_status backup_check(const char *backup, backup_summary *summary, gr_error *error);
/* Checks `backup` and puts its content where no database is yet: GR_CONFLICT otherwise, or where a
 * server is at work. */
gr_status backup_restore(const char *backup, const char *data_directory, backup_summary *summary,
                         gr_error *error);

#endif
