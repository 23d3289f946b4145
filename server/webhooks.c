#include "server/webhooks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "server/api.h"
#include "server/clock.h"
#include "server/digest.h"
#include "server/files.h"

enum {
    MAXIMUM_URL = 2000,
    MAXIMUM_HOSTS = 64,
    MAXIMUM_ATTEMPTS = 10,
    FIRST_PAUSE = 10000, /* four times as long after each attempt: about a day in all */
    PAUSE_FACTOR = 4,
    LONGEST_PAUSE = 6 * 3600 * 1000,
    CONNECT_SECONDS = 10,
    ANSWER_SECONDS = 20,
    IDLE_SECONDS = 30,
    MAXIMUM_ANSWER = 64 * 1024, /* bytes read of an answer, which nobody looks at */
    SMALLEST_SECRET = 16,
    LARGEST_SECRET = 4096
};

typedef struct allowed_host {
    char name[256];
    long port;        /* 0: the scheme's */
    char address[64]; /* "": what the name resolves to, if that is public */
} allowed_host;

struct webhooks {
    store *store;
    events *events;
    int listener;
    allowed_host hosts[MAXIMUM_HOSTS];
    size_t host_count;
    char *secret;
    size_t secret_length;
    int64_t first_pause;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool woke; /* under the lock */
    atomic_bool stopping;
};

/* -- the operator's list
 * --------------------------------------------------------------------------------------- */
static gr_status bad_host(const char *text, gr_error *error) {
    return gr_fail(error, GR_INVALID,
                   "\"%.100s\" is no webhook host: it is host, host:port, host=address or "
                   "host:port=address, an IPv6 host in brackets",
                   text);
}

static bool is_address(const char *text) {
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static gr_status read_host(const char *text, allowed_host *host, gr_error *error) {
    *host = (allowed_host){0};
    const char *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    char authority[300];
    if (length == 0 || length >= sizeof authority) return bad_host(text, error);
    memcpy(authority, text, length);
    authority[length] = 0;
    if (equals) {
        if (!is_address(equals + 1)) return bad_host(text, error);
        snprintf(host->address, sizeof host->address, "%s", equals + 1);
    }
    char *name = authority, *rest = authority + strcspn(authority, ":");
    if (*authority == '[') {
        name++;
        rest = strchr(name, ']');
        if (!rest) return bad_host(text, error);
        *rest++ = 0;
        if (!is_address(name)) return bad_host(text, error);
    }
    if (*rest == ':') {
        char *end;
        *rest = 0;
        host->port = strtol(rest + 1, &end, 10);
        if (end == rest + 1 || *end || host->port < 1 || host->port > 65535)
            return bad_host(text, error);
    } else if (*rest) {
        return bad_host(text, error);
    }
    if (!*name || strlen(name) >= sizeof host->name || strpbrk(name, "/@?#% \t"))
        return bad_host(text, error);
    snprintf(host->name, sizeof host->name, "%s", name);
    return GR_OK;
}

/* A part of a URL; "" where it has none. Owned by the caller (curl_free). */
static char *url_part(CURLU *url, CURLUPart part) {
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

static const allowed_host *find_host(const webhooks *self, const char *name, long port,
                                     bool usual_port) {
    for (size_t i = 0; i < self->host_count; i++) {
        const allowed_host *host = &self->hosts[i];
        if (strcasecmp(host->name, name) == 0 && (host->port ? host->port == port : usual_port))
            return host;
    }
    return NULL;
}

/* *found: the row that allows the URL; *port: that of the URL or of its scheme. */
static gr_status allow(const webhooks *self, CURLU *url, const allowed_host **found, char name[256],
                       long *port, gr_error *error) {
    char *scheme = url_part(url, CURLUPART_SCHEME), *host = url_part(url, CURLUPART_HOST);
    char *digits = url_part(url, CURLUPART_PORT), *user = url_part(url, CURLUPART_USER);
    char *password = url_part(url, CURLUPART_PASSWORD);
    gr_status status = GR_OK;
    const bool https = scheme && strcasecmp(scheme, "https") == 0;
    *found = NULL;
    if (!host || (!https && !(scheme && strcasecmp(scheme, "http") == 0))) {
        status = gr_fail(error, GR_INVALID, "a webhook is an http or https URL");
    } else if (user || password) {
        status = gr_fail(error, GR_INVALID,
                         "a webhook's URL holds no user and no password: its "
                         "requests are signed instead");
    } else {
        const size_t length = strlen(host);
        const bool bracketed = *host == '[' && length > 2;
        snprintf(name, 256, "%.*s", (int)(bracketed ? length - 2 : length),
                 bracketed ? host + 1 : host);
        const long usual = https ? 443 : 80;
        *port = digits ? strtol(digits, NULL, 10) : usual;
        *found = self ? find_host(self, name, *port, *port == usual) : NULL;
        if (!*found)
            status = gr_fail(error, GR_INVALID,
                             "the host \"%.200s\" (port %ld) is not one that this server may send "
                             "webhooks to; its operator lists them (webhook_hosts)",
                             name, *port);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(digits);
    curl_free(user);
    curl_free(password);
    return status;
}

static gr_status parse_url(const webhooks *self, const char *text, const allowed_host **host,
                           char name[256], long *port, gr_error *error) {
    if (strlen(text) > MAXIMUM_URL)
        return gr_fail(error, GR_INVALID, "a webhook's URL has at most %d bytes", MAXIMUM_URL);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7F)
            return gr_fail(error, GR_INVALID,
                           "a webhook's URL has no spaces or control characters");
    CURLU *url = curl_url();
    if (!url) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    const CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    gr_status status = code == CURLUE_OK ? allow(self, url, host, name, port, error)
                       : code == CURLUE_OUT_OF_MEMORY
                           ? gr_fail(error, GR_OUT_OF_MEMORY, "out of memory")
                           : gr_fail(error, GR_INVALID, "a webhook is an http or https URL: %s",
                                     curl_url_strerror(code));
    curl_url_cleanup(url);
    return status;
}

gr_status webhooks_check(const webhooks *self, const char *url, gr_error *error) {
    const allowed_host *host;
    char name[256];
    long port;
    return parse_url(self, url, &host, name, &port, error);
}

/* -- addresses
 * -------------------------------------------------------------------------------------------------
 */
static bool is_public_v4(uint32_t address) { /* in host order */
    static const struct {
        uint32_t network, mask;
    } others[] = {{0x00000000, 0xFF000000},  /* this network */
                  {0x0A000000, 0xFF000000},  /* private */
                  {0x64400000, 0xFFC00000},  /* carrier-grade NAT */
                  {0x7F000000, 0xFF000000},  /* loopback */
                  {0xA9FE0000, 0xFFFF0000},  /* link-local */
                  {0xAC100000, 0xFFF00000},  /* private */
                  {0xC0000000, 0xFFFFFF00},  /* protocol assignments */
                  {0xC0A80000, 0xFFFF0000},  /* private */
                  {0xC6120000, 0xFFFE0000},  /* benchmarks */
                  {0xE0000000, 0xE0000000}}; /* multicast, reserved, broadcast */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if ((address & others[i].mask) == others[i].network) return false;
    return true;
}

static bool is_public(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return is_public_v4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    if (address->sa_family != AF_INET6) return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    const unsigned char *bytes = six->s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(six))
        return is_public_v4((uint32_t)bytes[12] << 24 | (uint32_t)bytes[13] << 16 |
                            (uint32_t)bytes[14] << 8 | bytes[15]);
    /* 2000::/3 is what has been given out; 2002::/16 (6to4) and 2001:0::/32 wrap IPv4 addresses. */
    return (bytes[0] & 0xE0) == 0x20 && !(bytes[0] == 0x20 && bytes[1] == 0x02) &&
           !(bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0 && bytes[3] == 0);
}

/* -- one delivery
 * ---------------------------------------------------------------------------------------------- */
typedef struct delivery {
    webhooks *self;
    bool any_address; /* the operator gave the address */
    bool refused_address;
    size_t received;
} delivery;

/* The address that is connected to is the one that is looked at: a name cannot change between. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to) {
    delivery *one = context;
    (void)purpose;
    if (!one->any_address && !is_public(&to->addr)) {
        one->refused_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t discard(char *bytes, size_t size, size_t count, void *context) {
    delivery *one = context;
    (void)bytes;
    one->received += size * count;
    return one->received > MAXIMUM_ANSWER ? 0 : size * count;
}

static int go_on(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const delivery *one = context;
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&one->self->stopping);
}

static gr_status make_body(const experiment *record, char **body, gr_error *error) {
    cJSON *document = cJSON_CreateObject(), *about = experiment_json(record);
    *body = NULL;
    if (document && about && cJSON_AddStringToObject(document, "event", "experiment.ended") &&
        cJSON_AddItemToObject(document, "experiment", about)) {
        about = NULL;
        *body = json_text(document);
    }
    cJSON_Delete(about);
    cJSON_Delete(document);
    return *body ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a webhook");
}

static struct curl_slist *make_headers(const webhooks *self, const webhook *due, const char *body) {
    char time_text[32], signature[DIGEST_SIZE], line[256];
    snprintf(time_text, sizeof time_text, "%lld", (long long)time(NULL));
    digest_hmac(
        self->secret, self->secret_length,
        (const digest_part[]){{time_text, strlen(time_text)}, {".", 1}, {body, strlen(body)}}, 3,
        signature);
    struct curl_slist *headers = NULL, *longer;
    const char *const fixed[] = {"Content-Type: application/json", "Expect:", NULL};
    for (size_t i = 0; i < 4; i++) {
        if (i == 2)
            snprintf(line, sizeof line, "Gradreg-Signature: t=%s,v1=%s", time_text, signature);
        if (i == 3)
            snprintf(line, sizeof line, "Gradreg-Delivery: %lld-%lld", (long long)due->id,
                     (long long)due->attempts + 1);
        longer = curl_slist_append(headers, i < 2 ? fixed[i] : line);
        if (!longer) {
            curl_slist_free_all(headers);
            return NULL;
        }
        headers = longer;
    }
    return headers;
}

static struct curl_slist *pin(const allowed_host *host, const char *name, long port) {
    char line[400];
    const bool six = strchr(host->address, ':') != NULL;
    snprintf(line, sizeof line, "%s:%ld:%s%s%s", name, port, six ? "[" : "", host->address,
             six ? "]" : "");
    return curl_slist_append(NULL, line);
}

/* What came of it, in words. */
static void describe(const delivery *one, CURLcode code, long status, char reason[320]) {
    if (one->refused_address)
        snprintf(reason, 320,
                 "the host's name stands for an address that is not public; the operator can allow "
                 "it with its address (host=address)");
    else if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && status))
        snprintf(reason, 320, "%s", curl_easy_strerror(code));
    else
        snprintf(reason, 320, "the answer was %ld%s", status,
                 status >= 300 && status < 400 ? "; redirects are not followed" : "");
}

static bool set_up(CURL *curl, delivery *one, const char *url, const char *body,
                   const struct curl_slist *headers, const struct curl_slist *addresses) {
    bool good = true;
#define SET(option, value) good = good && curl_easy_setopt(curl, option, value) == CURLE_OK
    SET(CURLOPT_URL, url);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    SET(CURLOPT_POSTFIELDS, body);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_USERAGENT, "gradreg/" GRADREG_VERSION);
    if (addresses) SET(CURLOPT_RESOLVE, addresses);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    SET(CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, one);
    SET(CURLOPT_WRITEFUNCTION, discard);
    SET(CURLOPT_WRITEDATA, one);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, go_on);
    SET(CURLOPT_XFERINFODATA, one);
#undef SET
    return good;
}

/* Posts once. GR_OK fills *status (0: no answer) and `reason`, which is "" where it was delivered.
 */
static gr_status post(webhooks *self, const webhook *due, const experiment *record, long *status,
                      char reason[320], gr_error *error) {
    const allowed_host *host = NULL;
    char name[256], *body;
    long port;
    gr_error cause;
    *status = 0;
    const gr_status allowed = parse_url(self, due->url, &host, name, &port, &cause);
    if (allowed == GR_INVALID) { /* the list has changed since the submission */
        snprintf(reason, 320, "%.300s", cause.message);
        return GR_OK;
    }
    if (allowed != GR_OK) return gr_fail(error, allowed, "%s", cause.message);
    GR_TRY(make_body(record, &body, error));
    delivery one = {.self = self, .any_address = *host->address || is_address(host->name)};
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = make_headers(self, due, body);
    struct curl_slist *addresses = *host->address ? pin(host, name, port) : NULL;
    gr_status result = GR_OK;
    if (curl && headers && (addresses || !*host->address) &&
        set_up(curl, &one, due->url, body, headers, addresses)) {
        const CURLcode code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
        reason[0] = 0;
        if (*status < 200 || *status > 299 || (code != CURLE_OK && code != CURLE_WRITE_ERROR))
            describe(&one, code, *status, reason);
    } else {
        result = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a webhook");
    }
    curl_slist_free_all(addresses);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(body);
    return result;
}

static int64_t pause_after(const webhooks *self, int64_t attempts) {
    if (attempts >= MAXIMUM_ATTEMPTS) return 0;
    int64_t pause = self->first_pause;
    for (int64_t i = 1; i < attempts && pause < LONGEST_PAUSE; i++) pause *= PAUSE_FACTOR;
    return pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
}

static gr_status deliver(webhooks *self, const webhook *due, gr_error *error) {
    experiment record;
    long status;
    char reason[320] = "";
    GR_TRY(store_get(self->store, due->id, &record, error));
    gr_status result = post(self, due, &record, &status, reason, error);
    experiment_clear(&record);
    GR_TRY(result);
    if (*reason && atomic_load(&self->stopping)) return GR_OK; /* our own doing: not an attempt */
    const webhook_outcome outcome = {.delivered = !*reason,
                                     .status = status,
                                     .reason = *reason ? reason : NULL,
                                     .pause = pause_after(self, due->attempts + 1)};
    GR_TRY(store_webhook_attempted(self->store, due->id, &outcome, error));
    events_publish(self->events, &(event){.type = EVENT_EXPERIMENT, .id = due->id});
    return GR_OK;
}

/* -- the thread
 * ------------------------------------------------------------------------------------------------
 */
static void wake(void *context, const event *change) {
    webhooks *self = context;
    if (change->type != EVENT_EXPERIMENT) return;
    pthread_mutex_lock(&self->lock);
    self->woke = true;
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
}

/* Until something has changed, or `next_at` (milliseconds since 1970). */
static void rest(webhooks *self, int64_t next_at) {
    int64_t pause = next_at == INT64_MAX ? IDLE_SECONDS * 1000 : next_at - clock_now();
    if (pause > IDLE_SECONDS * 1000) pause = IDLE_SECONDS * 1000; /* clocks may be set */
    if (pause < 20) pause = 20;
    const struct timespec until = clock_after(pause);
    pthread_mutex_lock(&self->lock);
    while (!self->woke && !atomic_load(&self->stopping) &&
           pthread_cond_timedwait(&self->woken, &self->lock, &until) == 0) {
    }
    self->woke = false;
    pthread_mutex_unlock(&self->lock);
}

static void *main_of(void *argument) {
    webhooks *self = argument;
    while (!atomic_load(&self->stopping)) {
        webhook due;
        int64_t next_at = INT64_MAX;
        gr_error error;
        gr_status status = store_webhook_due(self->store, &due, &next_at, &error);
        if (status == GR_OK) status = deliver(self, &due, &error);
        free(due.url);
        if (status == GR_OK) continue;
        /* A store or a memory that refuses is asked again later. */
        rest(self, status == GR_NOT_FOUND ? next_at : clock_now() + 1000);
    }
    return NULL;
}

static gr_status read_secret(webhooks *self, const char *file, gr_error *error) {
    if (!file || !*file)
        return gr_fail(error, GR_INVALID,
                       "webhooks are signed: webhook_secret_file names a file with a secret of at "
                       "least %d bytes",
                       SMALLEST_SECRET);
    void *bytes;
    GR_TRY(file_read(file, LARGEST_SECRET, &bytes, &self->secret_length, error));
    self->secret = bytes;
    while (self->secret_length > 0 && strchr("\r\n", self->secret[self->secret_length - 1]))
        self->secret_length--;
    if (self->secret_length < SMALLEST_SECRET)
        return gr_fail(error, GR_INVALID, "%.300s: a webhook secret has at least %d bytes", file,
                       SMALLEST_SECRET);
    return GR_OK;
}

static gr_status configure(webhooks *self, const webhook_options *options, gr_error *error) {
    for (size_t i = 0; options->hosts[i]; i++) {
        if (self->host_count == MAXIMUM_HOSTS)
            return gr_fail(error, GR_INVALID, "more than %d webhook hosts", MAXIMUM_HOSTS);
        GR_TRY(read_host(options->hosts[i], &self->hosts[self->host_count++], error));
    }
    self->first_pause = options->first_pause ? options->first_pause : FIRST_PAUSE;
    return read_secret(self, options->secret_file, error);
}

gr_status webhooks_start(store *in, events *hub, const webhook_options *options, webhooks **result,
                         gr_error *error) {
    *result = NULL;
    if (!options->hosts || !options->hosts[0]) return GR_OK;
    webhooks *self = calloc(1, sizeof *self);
    if (!self) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for webhooks");
    self->store = in;
    self->events = hub;
    self->listener = -1;
    gr_status status = configure(self, options, error);
    if (status != GR_OK) {
        free(self->secret);
        free(self);
        return status;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    pthread_mutex_init(&self->lock, NULL);
    clock_condition_init(&self->woken);
    self->listener = events_listen(hub, wake, self);
    const int code =
        self->listener < 0 ? ENOMEM : pthread_create(&self->thread, NULL, main_of, self);
    if (code) {
        if (self->listener >= 0) events_unlisten(hub, self->listener);
        pthread_cond_destroy(&self->woken);
        pthread_mutex_destroy(&self->lock);
        free(self->secret);
        free(self);
        return gr_fail(error, GR_IO, "the thread for webhooks did not start: %s", strerror(code));
    }
    *result = self;
    return GR_OK;
}

void webhooks_stop(webhooks *self) {
    if (!self) return;
    events_unlisten(self->events, self->listener);
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->stopping, true);
    pthread_cond_signal(&self->woken);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->woken);
    pthread_mutex_destroy(&self->lock);
    explicit_bzero(self->secret, self->secret_length);
    free(self->secret);
    free(self);
}
