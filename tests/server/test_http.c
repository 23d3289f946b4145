/* The HTTP room over real sockets, with routes of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/http.h"
#include "server/listen.h"

/* -- a server with routes of its own
 * ------------------------------------------------------------------- */
enum { BODY_LIMIT = 10000, FLOOD = 100 * 1024 * 1024 };
static http_stream *_Atomic streaming; /* the stream that was opened last */
static atomic_int streams_closed, flooded;

static gr_status echo(void *context, const http_request *request, http_response *response,
                      gr_error *error) {
    (void)context, (void)error;
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "body", request->body);
    cJSON_AddStringToObject(document, "parameter",
                            request->parameters[0] ? request->parameters[0] : "");
    http_answer_json(response, 200, document);
    return GR_OK;
}

static gr_status refuse(void *context, const http_request *request, http_response *response,
                        gr_error *error) {
    (void)context, (void)request, (void)response;
    return gr_fail_at(error, GR_CONFLICT, "/place", "not now");
}

static gr_status slow(void *context, const http_request *request, http_response *response,
                      gr_error *error) {
    sleep(3); /* longer than the stop waits for the clients */
    return echo(context, request, response, error);
}

static void stream_open(void *context, http_stream *stream) {
    (void)context;
    atomic_store(&streaming, stream);
}
static void stream_close(void *context) {
    (void)context;
    atomic_fetch_add(&streams_closed, 1);
}
static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* "x" where the test has something to say, and "k" after a while of silence. */
static atomic_bool pending;
static _Atomic double last_said;
static ssize_t quiet_read(void *context, char *buffer, size_t size) {
    (void)context, (void)size;
    bool said = atomic_exchange(&pending, false);
    if (!said && seconds() - atomic_load(&last_said) < 0.9) return 0;
    *buffer = said ? 'x' : 'k';
    atomic_store(&last_said, seconds());
    return 1;
}
static ssize_t flood_read(void *context, char *buffer, size_t size) {
    (void)context;
    memset(buffer, 'y', size);
    atomic_fetch_add(&flooded, (int)size);
    return atomic_load(&flooded) > FLOOD ? HTTP_STREAM_END : (ssize_t)size;
}
/* Is woken between having found nothing and falling asleep. */
static atomic_int racing_calls, broken_calls;
static ssize_t racing_read(void *context, char *buffer, size_t size) {
    (void)context, (void)buffer, (void)size;
    if (atomic_fetch_add(&racing_calls, 1) > 20) return HTTP_STREAM_END;
    http_stream_wake(atomic_load(&streaming));
    return 0;
}
static const http_stream_source racing = {stream_open, racing_read, stream_close, false};
static const http_stream_source quiet = {stream_open, quiet_read, stream_close, false};
/* Begins well and cannot go on. */
static ssize_t broken_read(void *context, char *buffer, size_t size) {
    (void)context, (void)size;
    if (atomic_fetch_add(&broken_calls, 1) > 0) return HTTP_STREAM_FAILED;
    *buffer = 'b';
    return 1;
}
static const http_stream_source broken = {stream_open, broken_read, stream_close, false};
static const http_stream_source whole = {stream_open, quiet_read, stream_close, true};
static const http_stream_source flood = {stream_open, flood_read, stream_close, false};

static gr_status stream(void *context, const http_request *request, http_response *response,
                        gr_error *error) {
    (void)context, (void)error;
    response->stream = http_query(request, "flood")    ? &flood
                       : http_query(request, "race")   ? &racing
                       : http_query(request, "broken") ? &broken
                       : http_query(request, "whole")  ? &whole
                                                       : &quiet;
    response->content_type = "text/plain";
    return GR_OK;
}

static const http_parameter stream_query[] = {
    {"flood", ""}, {"race", ""}, {"broken", ""}, {"whole", ""}, {0}};
static const http_route routes[] = {{"GET", "/things/{id}", echo, "", NULL, false},
                                    {"POST", "/things", echo, "", NULL, true},
                                    {"GET", "/things", echo, "", NULL, false},
                                    {"POST", "/refuse", refuse, "", NULL, false},
                                    {"GET", "/slow", slow, "", NULL, false},
                                    {"GET", "/stream", stream, "", stream_query, false},
                                    {0}};
static const http_route files[] = {{"GET", "/{file*}", echo, "", NULL, false}, {0}};
static const http_route *const tables[] = {routes, files, NULL};

typedef struct fixture {
    http_server *server;
    uint16_t port;
} fixture;

static int start(void **state, int keep_alive_seconds, int maximum_streams) {
    static fixture self;
    listen_address address;
    gr_error error;
    int port;
    if (listen_open("127.0.0.1:0", false, &address, &error) != GR_OK) return -1;
    if (sscanf(address.url, "http://127.0.0.1:%d/", &port) != 1) return -1;
    self.port = (uint16_t)port;
    const http_options options = {.listener = address.socket,
                                  .listen_host = address.host,
                                  .tables = tables,
                                  .body_limit = BODY_LIMIT,
                                  .request_seconds = 2,
                                  .stall_seconds = 3,
                                  .keep_alive_seconds = keep_alive_seconds,
                                  .maximum_streams = maximum_streams};
    *state = &self;
    atomic_store(&streams_closed, 0);
    atomic_store(&flooded, 0);
    return http_start(&options, &self.server, &error) == GR_OK ? 0 : -1;
}

static int set_up(void **state) {
    return start(state, 1, 3);
}
/* Nothing but the stop itself wakes a stream. */
static int set_up_long(void **state) {
    return start(state, 600, 40);
}

static int tear_down(void **state) {
    fixture *self = *state;
    http_stop(self->server);
    return 0;
}

static int dial(const fixture *self) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(self->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval patience = {.tv_sec = 10};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return client;
}

static void say(int client, const char *text) {
    send(client, text, strlen(text), MSG_NOSIGNAL);
}

/* All that the server says until it closes the connection or `enough` appears. */
static char *hear(int client, const char *enough) {
    static char answer[65536];
    size_t length = 0;
    *answer = 0;
    while (length + 1 < sizeof answer) {
        ssize_t count = recv(client, answer + length, sizeof answer - length - 1, 0);
        if (count <= 0) break;
        length += (size_t)count;
        answer[length] = 0;
        if (enough && strstr(answer, enough)) break;
    }
    return answer;
}

/* One request on a connection of its own. */
static char *ask(const fixture *self, const char *text) {
    int client = dial(self);
    say(client, text);
    char *answer = hear(client, NULL);
    close(client);
    return answer;
}

#define HOST "Host: localhost\r\nConnection: close\r\n"
#define ASSERT_ANSWER(answer, status, part)                                  \
    do {                                                                     \
        const char *got = (answer);                                          \
        if (strncmp(got, "HTTP/1.1 " status, 12) != 0 || !strstr(got, part)) \
            fail_msg("wanted %s with \"%s\", got: %s", status, part, got);   \
    } while (0)

static void test_routing(void **state) {
    fixture *self = *state;
    ASSERT_ANSWER(ask(self, "GET /things/a%2Fb HTTP/1.1\r\n" HOST "\r\n"), "200",
                  "\"parameter\":\"a/b\"");
    ASSERT_ANSWER(ask(self, "GET /some/file HTTP/1.1\r\n" HOST "\r\n"), "200",
                  "\"parameter\":\"some/file\"");
    ASSERT_ANSWER(ask(self, "DELETE /things HTTP/1.1\r\n" HOST "\r\n"), "405",
                  "Allow: POST, GET, HEAD, OPTIONS");
    ASSERT_ANSWER(ask(self, "POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), "404",
                  "application/problem+json");
    ASSERT_ANSWER(ask(self, "OPTIONS /refuse HTTP/1.1\r\n" HOST "\r\n"), "204",
                  "Allow: POST, OPTIONS");
    ASSERT_ANSWER(ask(self, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "204", "Allow: ");
    ASSERT_ANSWER(ask(self, "POST /refuse HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), "409",
                  "\"detail\":\"/place: not now\"");
    ASSERT_ANSWER(ask(self, "GET /things?nope=1 HTTP/1.1\r\n" HOST "\r\n"), "400", "unknown query");
    ASSERT_ANSWER(ask(self, "GET /a%00b HTTP/1.1\r\n" HOST "\r\n"), "400", "NUL");
    char *head = ask(self, "HEAD /things HTTP/1.1\r\n" HOST "\r\n");
    ASSERT_ANSWER(head, "200", "Content-Length: 26");
    assert_string_equal(strstr(head, "\r\n\r\n"), "\r\n\r\n");
    ASSERT_ANSWER(ask(self, "HEAD /stream HTTP/1.1\r\n" HOST "\r\n"), "200", "text/plain");
}

static void test_strangers(void **state) {
    fixture *self = *state;
    ASSERT_ANSWER(
        ask(self, "GET /things HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"), "421",
        "evil.example");
    ASSERT_ANSWER(ask(self, "GET http://evil.example/things HTTP/1.1\r\n" HOST "\r\n"), "421",
                  "evil.example");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST
                            "Origin: http://evil.example\r\nContent-Length: 2\r\n\r\n{}"),
                  "403", "evil.example");
    ASSERT_ANSWER(
        ask(self, "POST /things HTTP/1.1\r\n" HOST "Origin: null\r\nContent-Length: 2\r\n\r\n{}"),
        "403", "null");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST
                            "Sec-Fetch-Site: cross-site\r\nContent-Length: 2\r\n\r\n{}"),
                  "403", "origin");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST
                            "Origin: http://localhost\r\nContent-Length: 2\r\n\r\n{}"),
                  "200", "\"body\":\"{}\"");
}

/* Two hosts, or a body of which nobody knows where it ends: how requests are smuggled. */
static void test_framing(void **state) {
    fixture *self = *state;
    ASSERT_ANSWER(ask(self, "GET /things HTTP/1.1\r\n" HOST "Host: localhost\r\n\r\n"), "400",
                  "several Host");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST "Transfer-Encoding: bogus\r\n\r\n{}"),
                  "400", "Transfer-Encoding");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST
                            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
                  "200", "\"body\":\"{}\"");
}

static void test_bodies(void **state) {
    fixture *self = *state;
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST
                            "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"),
                  "415", "text/plain");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST "Content-Type: application/"
                            "x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\n{}"),
                  "200", "\"body\":\"{}\"");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST
                            "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
                  "415", "gzip");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST
                            "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
                  "200", "\"body\":\"{}\"");
    static char large[3 * BODY_LIMIT];
    int length =
        snprintf(large, sizeof large, "POST /things HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
                 BODY_LIMIT + 1);
    memset(large + length, ' ', BODY_LIMIT + 1);
    ASSERT_ANSWER(ask(self, large), "413", "10000");
    length = snprintf(large, sizeof large,
                      "POST /things HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", BODY_LIMIT);
    memset(large + length, ' ', BODY_LIMIT);
    large[length + BODY_LIMIT] = 0;
    ASSERT_ANSWER(ask(self, large), "200", "body");
    length = snprintf(large, sizeof large,
                      "POST /things HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
                      2 * BODY_LIMIT);
    memset(large + length, ' ', 2 * BODY_LIMIT);
    strcpy(large + length + 2 * BODY_LIMIT, "\r\n0\r\n\r\n");
    ASSERT_ANSWER(ask(self, large), "413", "10000");
    /* Who asks first, or announces what nobody would drain, is told before the body. */
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST
                            "Expect: 100-continue\r\nContent-Length: 20000\r\n\r\n"),
                  "413", "10000");
    ASSERT_ANSWER(ask(self, "POST /things HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n"),
                  "413", "10000");
}

static void test_slow_client_is_cut(void **state) {
    fixture *self = *state;
    static const char *const beginnings[] = {"GET /things HTTP/1.1\r\nX: ",
                                             "POST /things HTTP/1.1\r\n" HOST
                                             "Content-Length: 1000\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        int client = dial(self);
        double begin = seconds();
        bool cut = false;
        say(client, beginnings[i]);
        while (!cut && seconds() - begin < 8) {
            char byte;
            cut = send(client, "a", 1, MSG_NOSIGNAL) != 1 ||
                  recv(client, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
            usleep(100000);
        }
        assert_true(cut);
        assert_true(seconds() - begin < 5); /* request_seconds is 2 */
        close(client);
    }
    /* A connection on which nothing is asked is not kept for ever either. */
    int client = dial(self);
    double begin = seconds();
    hear(client, NULL);
    assert_true(seconds() - begin < 5);
    close(client);
}

static void wait_for_closed(int count) {
    for (int i = 0; i < 100 && atomic_load(&streams_closed) < count; i++) usleep(50000);
    assert_int_equal(atomic_load(&streams_closed), count);
}

static void test_streams(void **state) {
    fixture *self = *state;
    int client = dial(self);
    atomic_store(&pending, true);
    say(client, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ASSERT_ANSWER(hear(client, "x\r\n"), "200", "Transfer-Encoding: chunked");
    for (int i = 0; i < 200; i++) { /* what is woken is sent at once, and no wake is lost */
        double begin = seconds();
        atomic_store(&pending, true);
        http_stream_wake(atomic_load(&streaming));
        if (i % 2) http_stream_wake(atomic_load(&streaming));
        assert_non_null(strstr(hear(client, "x\r\n"), "x"));
        assert_true(seconds() - begin < 0.8);
    }
    /* Nobody wakes it: the keep-alive does. */
    double begin = seconds();
    assert_non_null(strstr(hear(client, "k"), "k"));
    assert_true(seconds() - begin < 3);
    assert_int_equal(atomic_load(&streams_closed), 0);
    close(client); /* seen although the stream sleeps */
    wait_for_closed(1);
}

static void test_no_wake_is_lost(void **state) {
    fixture *self = *state;
    double begin = seconds();
    ASSERT_ANSWER(ask(self, "GET /stream?race HTTP/1.1\r\n" HOST "\r\n"), "200", "0\r\n\r\n");
    assert_true(seconds() - begin < 0.8); /* the first keep-alive would come after a second */
}

/* A client must see that what it has is not all: there is no last chunk. */
static void test_a_failed_stream_breaks_off(void **state) {
    fixture *self = *state;
    char *answer = ask(self, "GET /stream?broken HTTP/1.1\r\n" HOST "\r\n");
    ASSERT_ANSWER(answer, "200", "b\r\n");
    assert_null(strstr(answer, "0\r\n\r\n"));
    wait_for_closed(1);
}

static void test_stream_limit(void **state) {
    fixture *self = *state;
    int clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = dial(self);
        say(clients[i], "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
        hear(clients[i], "\r\n\r\n");
    }
    ASSERT_ANSWER(ask(self, "GET /stream HTTP/1.1\r\n" HOST "\r\n"), "503", "Retry-After: ");
    assert_int_equal(atomic_load(&streams_closed), 1);
    for (int i = 0; i < 3; i++) close(clients[i]);
    wait_for_closed(4);
    ASSERT_ANSWER(ask(self, "HEAD /stream HTTP/1.1\r\n" HOST "\r\n"), "200", "text/plain");
}

/* A client that takes nothing costs no more than the socket's buffers, and not for long. */
static void test_stalled_stream_is_cut(void **state) {
    fixture *self = *state;
    int client = dial(self);
    say(client, "GET /stream?flood HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wait_for_closed(1);
    assert_true(atomic_load(&flooded) < FLOOD / 2);
    close(client);
}

/* The stop, with a stream asleep, one that floods and idle connections: quick and clean (run under
 * ASan and TSan). */
static void test_stop_with_open_streams(void **state) {
    fixture *self = *state;
    int asleep = dial(self), flooding = dial(self), idle = dial(self), whole_one = dial(self);
    say(whole_one, "GET /stream?whole HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(whole_one, "\r\n\r\n");
    say(asleep, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    say(flooding, "GET /stream?flood HTTP/1.1\r\nHost: localhost\r\n\r\n");
    hear(asleep, "\r\n\r\n");
    usleep(200000);
    double begin = seconds();
    http_stop(self->server);
    self->server = NULL;
    assert_true(seconds() - begin < 4);
    assert_int_equal(atomic_load(&streams_closed), 3);
    /* The one that is worth nothing in part breaks off. */
    assert_null(strstr(hear(whole_one, NULL), "0\r\n\r\n"));
    close(whole_one);
    /* The sleeping one ends as a whole response. */
    char *rest = hear(asleep, NULL);
    size_t length = strlen(rest);
    assert_true(length >= 5 && strcmp(rest + length - 5, "0\r\n\r\n") == 0);
    close(asleep);
    close(flooding);
    close(idle);
}

/* Threads that are busy with an answer cannot look after their streams: the stop waits for them. */
static void test_stop_with_busy_threads(void **state) {
    fixture *self = *state;
    enum { STREAMS = 24, SLOW = 4 };
    int clients[STREAMS + SLOW];
    for (int i = 0; i < STREAMS; i++) {
        clients[i] = dial(self);
        say(clients[i], "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
        hear(clients[i], "\r\n\r\n");
    }
    for (int i = STREAMS; i < STREAMS + SLOW; i++) {
        clients[i] = dial(self);
        say(clients[i], "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    usleep(200000);
    http_stop(self->server);
    self->server = NULL;
    assert_int_equal(atomic_load(&streams_closed), STREAMS);
    for (int i = 0; i < STREAMS + SLOW; i++) close(clients[i]);
}

/* -- a stop while clients keep coming: each is answered or closed, none is kept, nothing breaks,
 * and the stop does not wait for those that come during it.
 * -------------------------------------------------------------------------------------------- */
typedef struct caller {
    pthread_t thread;
    uint16_t port;
    atomic_bool ends;
    int kept; /* connections that were neither answered nor closed within the patience */
} caller;

static void *keep_calling(void *context) {
    caller *self = context;
    const struct timeval patience = {.tv_sec = 5};
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(self->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    while (!atomic_load(&self->ends)) {
        char byte;
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(client, (const struct sockaddr *)&address, sizeof address) == 0) {
            say(client, "GET /things HTTP/1.1\r\n" HOST "\r\n");
            self->kept += recv(client, &byte, 1, 0) < 0 && (errno == EAGAIN || errno == EINTR);
        }
        close(client);
    }
    return NULL;
}

static void test_stops_while_clients_come(void **state) {
    (void)state;
    enum { STOPS = 150, CALLERS = 4 };
    const double begin = seconds();
    for (int i = 0; i < STOPS; i++) {
        caller callers[CALLERS] = {0};
        void *started;
        assert_int_equal(start(&started, 600, 40), 0);
        for (int k = 0; k < CALLERS; k++) {
            callers[k].port = ((fixture *)started)->port;
            assert_int_equal(pthread_create(&callers[k].thread, NULL, keep_calling, &callers[k]),
                             0);
        }
        usleep(3000);
        http_stop(((fixture *)started)->server);
        for (int k = 0; k < CALLERS; k++) atomic_store(&callers[k].ends, true);
        for (int k = 0; k < CALLERS; k++) {
            pthread_join(callers[k].thread, NULL);
            assert_int_equal(callers[k].kept, 0);
        }
        assert_true(seconds() - begin < 20 + i / 4.0); /* those that wait take up to 2 seconds */
    }
}

#define LIVE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        LIVE(test_routing),
        LIVE(test_strangers),
        LIVE(test_framing),
        LIVE(test_bodies),
        LIVE(test_slow_client_is_cut),
        LIVE(test_streams),
        LIVE(test_no_wake_is_lost),
        LIVE(test_a_failed_stream_breaks_off),
        LIVE(test_stream_limit),
        LIVE(test_stalled_stream_is_cut),
        cmocka_unit_test_setup_teardown(test_stop_with_open_streams, set_up_long, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_with_busy_threads, set_up_long, tear_down),
        cmocka_unit_test(test_stops_while_clients_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
