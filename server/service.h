/* The server as a whole: everything that `gradreg serve` starts, and its stop. */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include "server/api.h"
#include "server/configuration.h"
#include "server/listen.h"
#include "server/retention.h"
#include "server/sweep_keeper.h"
#include "server/tls_files.h"

typedef struct service {
    struct api api;
    listen_address address;
    tls_files tls;
    bool https;
    char *receiving; /* folder of files that are being received */
    retention *retention;
    sweep_keeper *sweeps;
    http_server *http;
} service;

/* Starts all of it; where it fails, service_stop stops what was started. `configuration` is
 * borrowed for the service's life. */
gr_status service_start(service *self, const configuration *chosen, gr_error *error);
/* Answers what is being answered, checkpoints what is running, and frees. */
void service_stop(service *self);
/* Does it still work? Asks the store. */
bool service_is_well(service *self);

/* What would keep the server from starting, or be wrong with it, without starting it: prints a line
 * for each finding and returns the number of faults (warnings are none). */
int service_check(const configuration *chosen, FILE *out);

#endif
