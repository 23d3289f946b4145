/* Webhooks: who may be asked, what is sent, what is tried again, over a receiver of our own. */
#include "tests/server/store_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "server/digest.h"
#include "server/json.h"
#include "server/webhooks.h"

#define SECRET "a secret of some length"

/* -- a receiver
 * ------------------------------------------------------------------------------------------------
 */
typedef struct receiver {
    int socket, port;
    pthread_t thread;
    atomic_bool stopping;
    atomic_int requests;
    const char *answers[8]; /* status lines and headers, one after the other; NULL: cuts off */
    char text[8][16384];    /* what came */
} receiver;

static void answer(receiver *self, int client) {
    const int number = atomic_load(&self->requests);
    if (number >= 8) return;
    char *text = self->text[number];
    size_t length = 0;
    for (;;) {
        ssize_t count = read(client, text + length, sizeof self->text[0] - 1 - length);
        if (count <= 0) break;
        length += (size_t)count;
        text[length] = 0;
        const char *body = strstr(text, "\r\n\r\n"), *size = strcasestr(text, "Content-Length: ");
        if (body && size && strlen(body + 4) >= strtoul(size + 16, NULL, 10)) break;
    }
    if (self->answers[number]) {
        char out[512];
        int size = snprintf(out, sizeof out, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n",
                            self->answers[number]);
        (void)!write(client, out, (size_t)size);
    }
    atomic_fetch_add(&self->requests, 1);
}

static void *receive(void *argument) {
    receiver *self = argument;
    while (!atomic_load(&self->stopping)) {
        struct pollfd ready = {.fd = self->socket, .events = POLLIN};
        if (poll(&ready, 1, 20) <= 0) continue;
        int client = accept(self->socket, NULL, NULL);
        if (client < 0) continue;
        answer(self, client);
        close(client);
    }
    return NULL;
}

static void receiver_start(receiver *self) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    self->socket = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(0, bind(self->socket, (struct sockaddr *)&address, size));
    assert_int_equal(0, listen(self->socket, 8));
    assert_int_equal(0, getsockname(self->socket, (struct sockaddr *)&address, &size));
    self->port = ntohs(address.sin_port);
    assert_int_equal(0, pthread_create(&self->thread, NULL, receive, self));
}

static void receiver_stop(receiver *self) {
    atomic_store(&self->stopping, true);
    pthread_join(self->thread, NULL);
    close(self->socket);
}

/* -- what the tests share
 * -------------------------------------------------------------------------------------- */
static int set_up(void **state) {
    *state = temporary_directory();
    return 0;
}

static int tear_down(void **state) {
    remove_directory(*state);
    return 0;
}

static char *secret_file(const char *directory) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/secret", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(SECRET "\n", file);
    fclose(file);
    return path;
}

static webhooks *begin(store *in, events *hub, const char *directory, const char *host) {
    gr_error error = {0};
    webhooks *hooks = NULL;
    const char *const hosts[] = {host, NULL};
    const webhook_options options = {
        .hosts = hosts, .secret_file = secret_file(directory), .first_pause = 30};
    assert_ok(webhooks_start(in, hub, &options, &hooks, &error));
    return hooks;
}

/* An experiment that has ended and wants `url` to be told. */
static int64_t ended(store *in, events *hub, const char *url) {
    gr_error error = {0};
    experiment record;
    int64_t id;
    const submission form = {.name = "hooked",
                             .tags = "{}",
                             .spec = "{}",
                             .data_hash = "00",
                             .engine_version = "test",
                             .iterations = 1,
                             .webhook = url};
    assert_ok(store_submit(in, &form, &id, &error));
    assert_ok(store_lease(in, "w", &record, &error));
    assert_ok(store_finish(in, id, 1, STATE_SUCCEEDED, 1, NULL, NULL, &error));
    experiment_clear(&record);
    events_publish(hub, &(event){.type = EVENT_EXPERIMENT, .id = id});
    return id;
}

/* Waits until the delivery is in this state; the stored object is owned by the caller. */
static cJSON *wait_for(store *in, int64_t id, const char *state) {
    gr_error error = {0};
    char last[1024] = "";
    for (int i = 0; i < 2000; i++) {
        experiment record;
        assert_ok(store_get(in, id, &record, &error));
        cJSON *about = cJSON_Parse(record.webhook);
        snprintf(last, sizeof last, "%s", record.webhook);
        experiment_clear(&record);
        const char *now = cJSON_GetStringValue(cJSON_GetObjectItem(about, "state"));
        if (now && strcmp(now, state) == 0) return about;
        cJSON_Delete(about);
        usleep(5000);
    }
    fail_msg("the webhook is not %s: %s", state, last);
    return NULL;
}

static int number(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItem(object, name);
    return cJSON_IsNumber(item) ? item->valueint : -1;
}

static void assert_signed(const char *request) {
    const char *t = strstr(request, "Gradreg-Signature: t="), *body = strstr(request, "\r\n\r\n");
    assert_non_null(t);
    t += strlen("Gradreg-Signature: t=");
    const char *comma = strchr(t, ',');
    assert_non_null(comma);
    assert_int_equal(0, strncmp(comma, ",v1=", 4));
    char wanted[DIGEST_SIZE];
    digest_hmac(
        SECRET, strlen(SECRET),
        (const digest_part[]){{t, (size_t)(comma - t)}, {".", 1}, {body + 4, strlen(body + 4)}}, 3,
        wanted);
    assert_int_equal(0, strncmp(comma + 4, wanted, 64));
}

/* -- tests
 * -----------------------------------------------------------------------------------------------------
 */
static void only_listed_hosts(void **state) {
    gr_error error = {0};
    store *in = open_store(*state);
    events *hub = events_create();
    static const char *const hosts[] = {"Hooks.Example.org", "127.0.0.1:8081", "[::1]:80",
                                        "inner:9000=10.0.0.7", NULL};
    const webhook_options options = {.hosts = hosts, .secret_file = secret_file(*state)};
    webhooks *hooks;
    assert_ok(webhooks_start(in, hub, &options, &hooks, &error));
    static const char *const good[] = {"https://hooks.example.org/a?b=c",
                                       "http://hooks.example.org:80/", "http://127.0.0.1:8081",
                                       "http://[::1]/x", "https://inner:9000/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(webhooks_check(hooks, good[i], &error));
    static const char *const bad[] = {"https://example.org/",
                                      "https://hooks.example.org.evil.net/",
                                      "https://hooks.example.org:8443/",
                                      "http://127.0.0.1/",
                                      "https://inner/",
                                      "https://user:pass@hooks.example.org/",
                                      "https://hooks.example.org@evil.net/",
                                      "file:///etc/passwd",
                                      "gopher://hooks.example.org/",
                                      "hooks.example.org",
                                      "https://",
                                      "",
                                      "https://hooks.example.org/a b",
                                      "https://hooks.example.org/\r\nX: y"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (webhooks_check(hooks, bad[i], &error) != GR_INVALID) fail_msg("taken: %s", bad[i]);
    assert_status(GR_INVALID, webhooks_check(NULL, good[0], &error));
    assert_non_null(strstr(error.message, "webhook_hosts"));
    webhooks_stop(hooks);
    static const char *const no_hosts[] = {"",    "a/b",  "user@host", "host:0", "host:99999",
                                           "a:b", "[::1", "host=name", "[x]",    "h ost"};
    for (size_t i = 0; i < sizeof no_hosts / sizeof *no_hosts; i++) {
        const char *const one[] = {no_hosts[i], NULL};
        const webhook_options wrong = {.hosts = one, .secret_file = secret_file(*state)};
        if (webhooks_start(in, hub, &wrong, &hooks, &error) != GR_INVALID)
            fail_msg("taken: %s", no_hosts[i]);
    }
    const webhook_options unsigned_ones = {.hosts = hosts};
    assert_status(GR_INVALID, webhooks_start(in, hub, &unsigned_ones, &hooks, &error));
    const webhook_options nobody = {0};
    assert_ok(webhooks_start(in, hub, &nobody, &hooks, &error));
    assert_null(hooks);
    store_close(in);
    events_free(hub);
}

static void delivers_signed_and_tries_again(void **state) {
    static receiver to;
    to = (receiver){
        .answers = {"500 Oops", NULL, "302 Found\r\nLocation: http://127.0.0.1:1/", "204 Well"}};
    receiver_start(&to);
    char host[64], url[128];
    snprintf(host, sizeof host, "127.0.0.1:%d", to.port);
    snprintf(url, sizeof url, "http://%s/hook?x=1", host);
    store *in = open_store(*state);
    events *hub = events_create();
    webhooks *hooks = begin(in, hub, *state, host);
    int64_t id = ended(in, hub, url);
    cJSON *about = wait_for(in, id, "delivered");
    assert_int_equal(4, number(about, "attempts"));
    assert_int_equal(204, number(about, "status"));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(about, "error")));
    cJSON_Delete(about);
    assert_int_equal(4, atomic_load(&to.requests));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(0, strncmp(to.text[i], "POST /hook?x=1 HTTP/1.1\r\n", 25));
        assert_signed(to.text[i]);
        assert_non_null(strstr(to.text[i], "\"event\":\"experiment.ended\""));
        assert_non_null(strstr(to.text[i], "\"state\":\"succeeded\""));
        assert_null(strstr(to.text[i], SECRET));
    }
    webhooks_stop(hooks);
    receiver_stop(&to);
    log_line *lines;
    size_t count;
    gr_error error = {0};
    assert_ok(store_log(in, id, &lines, &count, &error));
    assert_string_equal("webhook delivered", lines[count - 1].text);
    assert_non_null(strstr(lines[count - 2].text, "redirects are not followed"));
    log_lines_free(lines, count);
    store_close(in);
    events_free(hub);
}

/* Nobody is there before the restart; what waits is delivered after it. */
static void a_restart_forgets_none(void **state) {
    static receiver to;
    to = (receiver){.answers = {"200 OK"}};
    receiver_start(&to);
    char host[64], url[128], pinned[96];
    snprintf(host, sizeof host, "hooks.test:%d", to.port);
    snprintf(pinned, sizeof pinned, "%s=127.0.0.1", host);
    snprintf(url, sizeof url, "http://%s/", host);
    store *in = open_store(*state);
    events *hub = events_create();
    int64_t id = ended(in, hub, url);
    store_close(in);
    in = open_store(*state);
    webhooks *hooks = begin(in, hub, *state, pinned); /* the name exists nowhere but in our list */
    cJSON_Delete(wait_for(in, id, "delivered"));
    webhooks_stop(hooks);
    receiver_stop(&to);
    store_close(in);
    events_free(hub);
}

/* A listed name that stands for an address of the inside is not asked. */
static void asks_no_private_address(void **state) {
    static receiver to;
    to = (receiver){.answers = {"200 OK"}};
    receiver_start(&to);
    char host[64], url[128];
    snprintf(host, sizeof host, "localhost:%d", to.port);
    snprintf(url, sizeof url, "http://%s/", host);
    store *in = open_store(*state);
    events *hub = events_create();
    webhooks *hooks = begin(in, hub, *state, host);
    int64_t id = ended(in, hub, url);
    for (int i = 0; i < 2000; i++) {
        cJSON *about = wait_for(in, id, "waiting");
        const bool tried = number(about, "attempts") > 0;
        if (tried)
            assert_non_null(
                strstr(cJSON_GetStringValue(cJSON_GetObjectItem(about, "error")), "not public"));
        cJSON_Delete(about);
        if (tried) break;
        usleep(5000);
    }
    assert_int_equal(0, atomic_load(&to.requests));
    webhooks_stop(hooks);
    receiver_stop(&to);
    store_close(in);
    events_free(hub);
}

/* What nobody ever takes is given up. */
static void gives_up_at_last(void **state) {
    gr_error error = {0};
    store *in = open_store(*state);
    events *hub = events_create();
    int64_t id = ended(in, hub, "http://127.0.0.1:1/"), next_at;
    webhook due;
    for (int i = 0; i < 3; i++) {
        assert_ok(store_webhook_due(in, &due, &next_at, &error));
        assert_int_equal(id, due.id);
        assert_int_equal(i, due.attempts);
        free(due.url);
        const webhook_outcome outcome = {.reason = "nobody", .pause = i < 2 ? 1 : 0};
        assert_ok(store_webhook_attempted(in, id, &outcome, &error));
        usleep(3000);
    }
    assert_status(GR_NOT_FOUND, store_webhook_due(in, &due, &next_at, &error));
    assert_true(next_at == INT64_MAX);
    cJSON *about = wait_for(in, id, "failed");
    assert_int_equal(3, number(about, "attempts"));
    cJSON_Delete(about);
    store_close(in);
    events_free(hub);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(only_listed_hosts),      TEST(delivers_signed_and_tries_again),
        TEST(a_restart_forgets_none), TEST(asks_no_private_address),
        TEST(gives_up_at_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
