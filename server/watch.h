/* Following experiments of a server in the terminal: `watch`, and `submit --watch`. */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include "server/client.h"

/* Shows the experiments on stdout until all have ended: bars on a terminal, lines otherwise.
 * *succeeded: all of them did. Waits out a server that restarts. GR_NOT_FOUND, GR_IO. */
gr_status watch_experiments(client *server, const int64_t *ids, size_t count, bool *succeeded,
                            gr_error *error);

#endif
