/* A pool of query-only connections: in WAL mode readers wait neither for the writer nor for each
 * other. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"

enum { MAXIMUM_READERS = 8 };

struct readers {
    char *path;
    database_use use;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    int count, idle_count;
    database *all[MAXIMUM_READERS], *idle[MAXIMUM_READERS];
};

gr_status readers_create(const char *path, database_use use, readers **result, gr_error *error) {
    readers *pool = calloc(1, sizeof *pool);
    if (pool) pool->path = strdup(path);
    if (!pool || !pool->path) {
        free(pool);
        return gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
    }
    pool->use = use;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->given, NULL);
    *result = pool;
    return GR_OK;
}

void readers_free(readers *pool) {
    if (!pool) return;
    for (int i = 0; i < pool->count; i++) {
        database_close(pool->all[i]);
        free(pool->all[i]);
    }
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->lock);
    free(pool->path);
    free(pool);
}

gr_status readers_take(readers *pool, database **result, gr_error *error) {
    gr_status status = GR_OK;
    pthread_mutex_lock(&pool->lock);
    while (pool->idle_count == 0 && pool->count == MAXIMUM_READERS)
        pthread_cond_wait(&pool->given, &pool->lock);
    if (pool->idle_count > 0) {
        *result = pool->idle[--pool->idle_count];
    } else {
        database *db = malloc(sizeof *db);
        status = db ? database_open(db, pool->path, pool->use, error)
                    : gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
        if (status == GR_OK)
            *result = pool->all[pool->count++] = db;
        else
            free(db);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

void readers_give(readers *pool, database *db) {
    pthread_mutex_lock(&pool->lock);
    pool->idle[pool->idle_count++] = db;
    pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
}
