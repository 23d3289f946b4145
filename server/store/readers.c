/* A pool of query-only connections: in WAL mode readers wait neither for the writer nor for each
 * other. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"

enum { MAXIMUM_READERS = 8 };

struct readers {
    char *path;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    int count, idle_count;
    database *all[MAXIMUM_READERS], *idle[MAXIMUM_READERS];
};

gr_status readers_create(const char *path, readers **result, gr_error *error) {
    readers *readers = calloc(1, sizeof *readers);
    if (readers) readers->path = strdup(path);
    if (!readers || !readers->path) {
        free(readers);
        return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    }
    pthread_mutex_init(&readers->lock, NULL);
    pthread_cond_init(&readers->given, NULL);
    *result = readers;
    return GR_OK;
}

void readers_free(readers *readers) {
    if (!readers) return;
    for (int i = 0; i < readers->count; i++) {
        database_close(readers->all[i]);
        free(readers->all[i]);
    }
    pthread_cond_destroy(&readers->given);
    pthread_mutex_destroy(&readers->lock);
    free(readers->path);
    free(readers);
}

gr_status readers_take(readers *readers, database **result, gr_error *error) {
    gr_status status = GR_OK;
    pthread_mutex_lock(&readers->lock);
    while (readers->idle_count == 0 && readers->count == MAXIMUM_READERS)
        pthread_cond_wait(&readers->given, &readers->lock);
    if (readers->idle_count > 0) {
        *result = readers->idle[--readers->idle_count];
    } else {
        database *database = malloc(sizeof *database);
        status = database ? database_open(database, readers->path, true, error)
                          : gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
        if (status == GR_OK)
            *result = readers->all[readers->count++] = database;
        else
            free(database);
    }
    pthread_mutex_unlock(&readers->lock);
    return status;
}

void readers_give(readers *readers, database *database) {
    pthread_mutex_lock(&readers->lock);
    readers->idle[readers->idle_count++] = database;
    pthread_cond_signal(&readers->given);
    pthread_mutex_unlock(&readers->lock);
}
