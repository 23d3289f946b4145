/* One client's event stream: what it was sent, what it has yet to be sent, and the text of that. */
#ifndef SERVER_EVENT_STREAM_H
#define SERVER_EVENT_STREAM_H

#include "server/api.h"

typedef struct event_stream event_stream;

/* What wakes a stream. A stream holds a bounded number of these and no text: the store has the
 * content. */
enum { EVENT_STREAM_NOTICES = 512, EVENT_STREAM_PROGRESS = 256 };

/* A stream of one experiment (id > 0) or of all (0). last_revision: what the client has seen, or
 * -1. NULL without memory. */
event_stream *event_stream_create(struct api *api, int64_t id, int64_t last_revision);
void event_stream_free(event_stream *stream);

/* Hands a change on; the stream's own lock is held for a moment only. Where a slow client has let
 * the notices fill up, they are dropped and the stream reads from the store what has changed since.
 */
void event_stream_notify(event_stream *stream, const event *change);

/* As http_stream_source.read. */
ssize_t event_stream_read(event_stream *stream, char *buffer, size_t size);

#endif
