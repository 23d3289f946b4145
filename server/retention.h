/* The operator's rules for what is not kept for ever, applied at the start and every hour. */
#ifndef SERVER_RETENTION_H
#define SERVER_RETENTION_H

#include "server/store.h"

typedef struct retention retention;

typedef struct retention_rules {
    int64_t checkpoint_days; /* of what failed, diverged or was cancelled; 0: for ever */
    int64_t trash_days;      /* 0: for ever */
    int64_t kept;            /* ended experiments, the oldest go to the trash; 0: all */
} retention_rules;

gr_status retention_start(store *store, const retention_rules *rules, retention **result,
                          gr_error *error);
void retention_stop(retention *self); /* NULL is allowed */

/* Applies the rules once, as far as `stopping` (NULL: never) lets it. */
gr_status retention_apply(store *store, const retention_rules *rules, const _Atomic(bool) *stopping,
                          gr_error *error);

#endif
