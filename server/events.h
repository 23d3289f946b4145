/* Changes, from the threads that make them to the event streams that show them. The hub holds no
 * history: a stream that (re)connects reads the store first. */
#ifndef SERVER_EVENTS_H
#define SERVER_EVENTS_H

#include <stdint.h>

typedef enum event_type {
    EVENT_EXPERIMENT, /* the stored record changed: state, counts, anything in it */
    EVENT_METRICS,    /* new metric rows at `iteration` */
    EVENT_DELETED,    /* the record is gone from every query */
    EVENT_PROGRESS    /* iteration and rate of a running experiment; not stored, at most some per
                         second */
} event_type;

typedef struct event {
    event_type type;
    int64_t id;        /* the experiment */
    int64_t iteration; /* EVENT_METRICS: of the rows; EVENT_PROGRESS: steps made */
    int64_t iterations;
    double iterations_per_second;
} event;

typedef struct events events;
events *events_create(void); /* NULL without memory */
void events_free(events *events);
/* Thread-safe, never blocks on a listener. */
void events_publish(events *events, const event *event);
/* `listener` is called for every event, on the publisher's thread, and must only hand it on.
 * Returns a handle for events_unlisten, or -1. */
int events_listen(events *events, void (*listener)(void *context, const event *event),
                  void *context);
void events_unlisten(events *events, int handle);

#endif
