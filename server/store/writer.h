/* The one thread that writes. Callers hand it work and wait; it runs all work that has gathered in
 * one transaction (group commit), so that many callers share one fsync. */
#ifndef SERVER_STORE_WRITER_H
#define SERVER_STORE_WRITER_H

#include "server/histogram.h"
#include "server/store/database.h"

typedef struct writer writer;

/* Runs on the writer's thread, inside a savepoint: a failure undoes this work alone. May be run
 * again where a group could not be committed, so it sets its outputs anew each time and has no
 * effect outside the database; what follows a commit (removing a file) is the caller's to do. */
typedef gr_status (*write_work)(database *db, void *context, gr_error *error);

/* `database` is the writer's own until writer_stop. */
gr_status writer_start(database *db, writer **self, gr_error *error);
/* Does what is queued, then joins the thread and frees. NULL is allowed. */
void writer_stop(writer *self);

/* Returns after the commit of the group that `work` was in. From any thread but the writer's. */
gr_status writer_run(writer *self, write_work work, void *context, gr_error *error);
/* Whether the disk was full at the last write, and none has succeeded since. */
bool writer_lacks_space(writer *self);

/* How many transactions were committed, and how much work they held. */
void writer_counts(writer *self, int64_t *commits, int64_t *works);
/* How long the groups took, from the first statement to the end of the commit. */
void writer_durations(writer *self, histogram *durations);

#endif
