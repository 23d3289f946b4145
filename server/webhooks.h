/* Telling others of an experiment's end: one thread that posts, signs and tries again. Only hosts
 * on the operator's list are ever asked. */
#ifndef SERVER_WEBHOOKS_H
#define SERVER_WEBHOOKS_H

#include "server/events.h"
#include "server/store.h"

typedef struct webhooks webhooks;

typedef struct webhook_options {
    /* "host", "host:port", and either with "=address": then that address is asked, whatever the
     * name resolves to. Without a port: that of the URL's scheme, 80 or 443. Ended by NULL. */
    const char *const *hosts;
    const char *secret_file; /* its content signs; NULL: none */
    int64_t first_pause;     /* milliseconds to the second attempt; 0: 10 s */
} webhook_options;

/* GR_INVALID for a host that is none, or hosts without a secret. *result is NULL where no host is
 * allowed. `store` and `events` outlive it. */
gr_status webhooks_start(store *store, events *events, const webhook_options *options,
                         webhooks **result, gr_error *error);
/* Ends a delivery that is under way; it is tried again after the next start. NULL is allowed. */
void webhooks_stop(webhooks *self);

/* Whether `url` may be asked: GR_INVALID says why not. `self` NULL: nothing may be. */
gr_status webhooks_check(const webhooks *self, const char *url, gr_error *error);

#endif
