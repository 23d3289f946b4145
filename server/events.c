#include "server/events.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MAXIMUM_LISTENERS = 64 };

typedef struct listener {
    void (*call)(void *context, const event *event); /* NULL: free slot */
    void *context;
} listener;

/* Publishers share the lock; listening and unlistening are rare and exclude them, so that no
 * listener is called after events_unlisten has returned. */
struct events {
    pthread_rwlock_t lock;
    listener listeners[MAXIMUM_LISTENERS];
};

events *events_create(void) {
    events *events = calloc(1, sizeof *events);
    if (events) pthread_rwlock_init(&events->lock, NULL);
    return events;
}

void events_free(events *events) {
    if (!events) return;
    pthread_rwlock_destroy(&events->lock);
    free(events);
}

void events_publish(events *events, const event *event) {
    pthread_rwlock_rdlock(&events->lock);
    for (int i = 0; i < MAXIMUM_LISTENERS; i++)
        if (events->listeners[i].call)
            events->listeners[i].call(events->listeners[i].context, event);
    pthread_rwlock_unlock(&events->lock);
}

int events_listen(events *events, void (*call)(void *context, const event *event), void *context) {
    int handle = -1;
    pthread_rwlock_wrlock(&events->lock);
    for (int i = 0; i < MAXIMUM_LISTENERS && handle < 0; i++)
        if (!events->listeners[i].call) {
            events->listeners[i] = (listener){call, context};
            handle = i;
        }
    pthread_rwlock_unlock(&events->lock);
    return handle;
}

void events_unlisten(events *events, int handle) {
    if (handle < 0 || handle >= MAXIMUM_LISTENERS) return;
    pthread_rwlock_wrlock(&events->lock);
    events->listeners[handle] = (listener){0};
    pthread_rwlock_unlock(&events->lock);
}
