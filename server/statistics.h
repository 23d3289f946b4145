/* What the server has answered, counted by route: for /metrics. */
#ifndef SERVER_STATISTICS_H
#define SERVER_STATISTICS_H

#include <pthread.h>

#include "server/histogram.h"
#include "server/http.h"

enum { STATISTICS_ROUTES = 256, STATISTICS_STATUSES = 20 };

typedef struct statistics_row {
    const char *method, *route; /* the route's own texts; "": no route was found */
    struct {
        int status;
        uint64_t count;
    } statuses[STATISTICS_STATUSES];
    uint64_t bytes;
    histogram seconds; /* without streams */
} statistics_row;

typedef struct statistics {
    pthread_mutex_t lock;
    int count;
    statistics_row rows[STATISTICS_ROUTES];
} statistics;

void statistics_create(statistics *self);
void statistics_destroy(statistics *self);
void statistics_add(statistics *self, const http_record *record);
/* A copy of the rows; the number of them. Owned by the caller (free); NULL without memory. */
statistics_row *statistics_copy(statistics *self, int *count);

#endif
