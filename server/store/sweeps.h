/* What the store's files about sweeps share. */
#ifndef SERVER_STORE_SWEEPS_H
#define SERVER_STORE_SWEEPS_H

#include "server/store/internal.h"
#include "server/sweep_store.h"

/* A growing list of ids. */
typedef struct id_list {
    int64_t *items;
    size_t count, capacity;
} id_list;
gr_status id_list_add(id_list *list, int64_t id, gr_error *error);
/* All ids that the statement's first column gives. */
gr_status id_list_read(database *db, sqlite3_stmt *statement, id_list *list, gr_error *error);

/* One sweep (not in the trash); GR_NOT_FOUND. */
gr_status sweep_select(database *db, int64_t id, sweep_row *row, gr_error *error);
gr_status sweep_touch(database *db, int64_t id, gr_error *error); /* a new revision */

#endif
