/* A change of one experiment: what the files that make changes share. Each kind of change has two
 * halves, so that a dry run is the first one alone. */
#ifndef SERVER_STORE_CHANGES_H
#define SERVER_STORE_CHANGES_H

#include "server/store/internal.h"

/* One change under way. */
typedef struct change {
    int64_t id;
    const change_options *options;
    experiment record; /* before; once it is done, after */
    size_t file_count;
    char files[2][256]; /* out: superfluous once the change is committed */
} change;

/* The experiment's file goes after the commit; NULL: there is none. */
void change_drop_file(change *act, const char *file);

/* Whether this record allows it: GR_CONFLICT says why not, and what to do instead. */
typedef gr_status (*change_check)(database *db, const experiment *record, gr_error *error);
/* Does it, and logs it. */
typedef gr_status (*change_apply)(database *db, change *act, gr_error *error);

/* -- actions.c -- */
gr_status cancel_check(database *db, const experiment *record, gr_error *error);
gr_status cancel_apply(database *db, change *act, gr_error *error);
gr_status pause_check(database *db, const experiment *record, gr_error *error);
gr_status pause_apply(database *db, change *act, gr_error *error);
gr_status resume_check(database *db, const experiment *record, gr_error *error);
gr_status resume_apply(database *db, change *act, gr_error *error);
gr_status retry_check(database *db, const experiment *record, gr_error *error);
gr_status retry_apply(database *db, change *act, gr_error *error);

/* -- trash.c -- */
gr_status delete_check(database *db, const experiment *record, gr_error *error);
gr_status delete_apply(database *db, change *act, gr_error *error);
gr_status undelete_check(database *db, const experiment *record, gr_error *error);
gr_status undelete_apply(database *db, change *act, gr_error *error);
gr_status purge_check(database *db, const experiment *record, gr_error *error);
gr_status purge_apply(database *db, change *act, gr_error *error);

#endif
