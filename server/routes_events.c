/* Event streams (server-sent events) of one experiment and of all. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/api.h"
#include "server/event_stream.h"

/* A stream in the list of those that are told of changes. */
struct listed_stream {
    struct listed_stream *next, **link;
    event_streams *streams;
    event_stream *content;
    http_stream *output;
    http_identity identity; /* who opened it */
};

struct event_streams {
    struct api *api;
    int handle;
    pthread_mutex_t lock; /* taken before a stream's */
    struct listed_stream *first;
    int count;
};

/* On the publisher's thread: hands on and wakes. */
static void on_event(void *context, const event *change) {
    event_streams *streams = context;
    pthread_mutex_lock(&streams->lock);
    for (struct listed_stream *each = streams->first; each; each = each->next) {
        event_stream_notify(each->content, change);
        http_stream_wake(each->output);
    }
    pthread_mutex_unlock(&streams->lock);
}

event_streams *event_streams_create(struct api *api) {
    event_streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL) return NULL;
    streams->api = api;
    pthread_mutex_init(&streams->lock, NULL);
    streams->handle = events_listen(api->events, on_event, streams);
    if (streams->handle >= 0) return streams;
    pthread_mutex_destroy(&streams->lock);
    free(streams);
    return NULL;
}

void event_streams_free(event_streams *streams) {
    if (streams == NULL) return;
    events_unlisten(streams->api->events, streams->handle);
    pthread_mutex_destroy(&streams->lock);
    free(streams);
}

int event_streams_count(event_streams *streams) {
    pthread_mutex_lock(&streams->lock);
    int count = streams->count;
    pthread_mutex_unlock(&streams->lock);
    return count;
}

/* Listed before its first read of the store, so that nothing falls between the two. */
static void open_stream(void *context, http_stream *output) {
    struct listed_stream *stream = context;
    event_streams *streams = stream->streams;
    pthread_mutex_lock(&streams->lock);
    stream->output = output;
    stream->next = streams->first;
    stream->link = &streams->first;
    if (stream->next) stream->next->link = &stream->next;
    streams->first = stream;
    streams->count++;
    pthread_mutex_unlock(&streams->lock);
}

/* Nothing is delivered any more to whose token or session has ended; a silent stream ends with its
 * next keep-alive. */
static ssize_t read_stream(void *context, char *buffer, size_t size) {
    struct listed_stream *stream = context;
    if (!access_is_in_force(&stream->streams->api->access, &stream->identity))
        return HTTP_STREAM_END;
    return event_stream_read(stream->content, buffer, size);
}

static void close_stream(void *context) {
    struct listed_stream *stream = context;
    event_streams *streams = stream->streams;
    pthread_mutex_lock(&streams->lock);
    if (stream->link) {
        *stream->link = stream->next;
        if (stream->next) stream->next->link = stream->link;
        streams->count--;
    }
    pthread_mutex_unlock(&streams->lock);
    event_stream_free(stream->content);
    free(stream);
}

static const http_stream_source source = {open_stream, read_stream, close_stream, false};

/* The last id that the client has seen, by the header that browsers send or by the query; -1: none.
 */
static gr_status read_last(const http_request *request, int64_t *last, gr_error *error) {
    const char *header = http_header(request, "Last-Event-ID");
    GR_TRY(http_query_integer(request, "last_event_id", 0, INT64_MAX, -1, last, error));
    if (header == NULL) return GR_OK;
    const size_t length = strlen(header);
    if (length == 0 || length > 18 || strspn(header, "0123456789") != length)
        return gr_fail(error, GR_INVALID,
                       "the header Last-Event-ID must be an id of an event of this server, a whole "
                       "number");
    *last = strtoll(header, NULL, 10);
    return GR_OK;
}

static gr_status answer_stream(struct api *api, const http_request *request, int64_t id,
                               http_response *response, gr_error *error) {
    int64_t last;
    GR_TRY(read_last(request, &last, error));
    struct listed_stream *stream = calloc(1, sizeof *stream);
    event_stream *content = event_stream_create(api, id, last);
    if (stream == NULL || content == NULL) {
        free(stream);
        event_stream_free(content);
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    stream->streams = api->streams;
    stream->content = content;
    stream->identity = request->identity;
    response->stream = &source;
    response->stream_context = stream;
    response->content_type = "text/event-stream";
    http_answer_header(response, "X-Accel-Buffering",
                       "no"); /* proxies should not hold events back */
    return GR_OK;
}

static gr_status get_all_events(void *context, const http_request *request, http_response *response,
                                gr_error *error) {
    return answer_stream(context, request, 0, response, error);
}

static gr_status get_events(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    struct api *api = context;
    experiment found;
    int64_t id;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(store_get(api->store, id, &found, error));
    experiment_clear(&found);
    return answer_stream(api, request, id, response, error);
}

static const http_parameter events_query[] = {
    {"last_event_id", "as the header Last-Event-ID: the last id that was seen"}, {0}};

const http_route events_routes[] = {
    {"GET", API_BASE "/events", get_all_events, "changes of all experiments as they happen",
     events_query, false},
    {"GET", API_BASE "/experiments/{id}/events", get_events,
     "one experiment's state, metrics and progress as they happen", events_query, false},
    {0}};
