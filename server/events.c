#include "server/events.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MAXIMUM_LISTENERS = 64 };

typedef struct listener {
    void (*call)(void *context, const event *change); /* NULL: free slot */
    void *context;
} listener;

/* Publishers share the lock; listening and unlistening are rare and exclude them, so that no
 * listener is called after events_unlisten has returned. */
struct events {
    pthread_rwlock_t lock;
    listener listeners[MAXIMUM_LISTENERS];
};

events *events_create(void) {
    events *hub = calloc(1, sizeof *hub);
    if (!hub) return NULL;
    /* Else a stream of publishers could keep a listener out for ever. */
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&hub->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return hub;
}

void events_free(events *hub) {
    if (!hub) return;
    pthread_rwlock_destroy(&hub->lock);
    free(hub);
}

void events_publish(events *hub, const event *change) {
    pthread_rwlock_rdlock(&hub->lock);
    for (int i = 0; i < MAXIMUM_LISTENERS; i++)
        if (hub->listeners[i].call) hub->listeners[i].call(hub->listeners[i].context, change);
    pthread_rwlock_unlock(&hub->lock);
}

int events_listen(events *hub, void (*call)(void *context, const event *change), void *context) {
    int handle = -1;
    pthread_rwlock_wrlock(&hub->lock);
    for (int i = 0; i < MAXIMUM_LISTENERS && handle < 0; i++)
        if (!hub->listeners[i].call) {
            hub->listeners[i] = (listener){call, context};
            handle = i;
        }
    pthread_rwlock_unlock(&hub->lock);
    return handle;
}

void events_unlisten(events *hub, int handle) {
    if (handle < 0 || handle >= MAXIMUM_LISTENERS) return;
    pthread_rwlock_wrlock(&hub->lock);
    hub->listeners[handle] = (listener){0};
    pthread_rwlock_unlock(&hub->lock);
}
