/* Following a sweep of a server in the terminal. */
#ifndef SERVER_SWEEP_FOLLOW_H
#define SERVER_SWEEP_FOLLOW_H

#include "server/client.h"

/* Shows the sweep on stdout until it has ended: bars on a terminal, a line for each change
 * otherwise. A server that goes away is waited for, however long it takes, and that is said
 * (half a minute if it never answered). *bad: experiments that failed,
 * diverged or were cancelled by hand. GR_NOT_FOUND, GR_IO. */
gr_status sweep_follow(client *server, int64_t id, double *bad, gr_error *error);

/* A number of an answer; `otherwise` where there is none. */
double sweep_number(const cJSON *object, const char *name, double otherwise);

#endif
