#include "server/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/paths.h"
#include "server/server_log.h"
#include "server/user_files.h"

/* Other machines may reach the server only when there is a token. */
static gr_status require_token_elsewhere(const listen_address *address, int64_t tokens,
                                         gr_error *error) {
    if (address->loopback || tokens > 0) return GR_OK;
    return gr_fail(
        error, GR_INVALID,
        "other machines would reach this server at %s, and it has no access token yet; make one "
        "first with gradreg token create NAME, or listen on 127.0.0.1 and forward a port: ssh -L "
        "8080:127.0.0.1:8080 HOST",
        address->url);
}

static bool has_database(const char *directory) {
    char *path = paths_join(directory, "gradreg.db");
    const bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

/* Once the address is taken and the store is open. */
static gr_status prepare_access(service *self, const configuration *chosen, gr_error *error) {
    int64_t tokens;
    GR_TRY(store_tokens_valid(self->api.store, clock_now(), &tokens, error));
    GR_TRY(require_token_elsewhere(&self->address, tokens, error));
    if (!self->address.loopback && !self->https)
        LOG(LOG_WARNING, "no_tls", log_text("address", self->address.url),
            log_text("detail", "tokens and results travel unencrypted; set tls_certificate and "
                               "tls_key, or tls_proxy behind a proxy that does"));
    const bool required =
        !self->address.loopback || configuration_truth(chosen, CONFIGURATION_REQUIRE_TOKEN);
    if (required && tokens == 0)
        LOG(LOG_WARNING, "no_token",
            log_text("detail", "require_token is set and there is no token: nobody can use this "
                               "server; gradreg token create NAME makes one"));
    access_create(&self->api.access, self->api.store, required, self->https, self->address.port);
    return GR_OK;
}

static gr_status start_http(service *self, const configuration *chosen, gr_error *error) {
    const http_options options = {
        .listener = self->address.socket,
        .listen_host = self->address.host,
        .tables = api_routes,
        .context = &self->api,
        .host_names = configuration_list(chosen, CONFIGURATION_HOST_NAMES),
        .any_address = !self->address.loopback,
        .tls_certificate = self->tls.certificate,
        .tls_key = self->tls.key,
        .https = self->https,
        .identify = api_identify,
        .on_record = api_record,
        .body_limit = (size_t)configuration_number(chosen, CONFIGURATION_BODY_LIMIT),
        .upload_folder = self->receiving,
        .upload_limit = (uint64_t)configuration_number(chosen, CONFIGURATION_UPLOAD_LIMIT),
        .request_seconds = (int)configuration_number(chosen, CONFIGURATION_REQUEST_SECONDS),
        .maximum_connections = (int)configuration_number(chosen, CONFIGURATION_CONNECTIONS),
        .maximum_connections_per_address =
            (int)configuration_number(chosen, CONFIGURATION_CONNECTIONS_PER_ADDRESS),
        .maximum_streams = (int)configuration_number(chosen, CONFIGURATION_EVENT_STREAMS)};
    self->address.socket = -1; /* taken over */
    return http_start(&options, &self->http, error);
}

static gr_status start_helpers(service *self, const configuration *chosen, gr_error *error) {
    struct api *api = &self->api;
    const webhook_options told = {
        .hosts = configuration_list(chosen, CONFIGURATION_WEBHOOK_HOSTS),
        .secret_file = configuration_text(chosen, CONFIGURATION_WEBHOOK_SECRET_FILE)};
    const retention_rules rules = {
        .checkpoint_days = configuration_number(chosen, CONFIGURATION_KEEP_CHECKPOINTS_DAYS),
        .trash_days = configuration_number(chosen, CONFIGURATION_KEEP_TRASH_DAYS),
        .kept = configuration_number(chosen, CONFIGURATION_KEEP_EXPERIMENTS)};
    api->memory_limit = configuration_number(chosen, CONFIGURATION_MEMORY_LIMIT);
    GR_TRY(webhooks_start(api->store, api->events, &told, &api->webhooks, error));
    return retention_start(api->store, &rules, &self->retention, error);
}

static gr_status read_tls(const configuration *chosen, tls_files *files, gr_error *error) {
    const char *certificate = configuration_text(chosen, CONFIGURATION_TLS_CERTIFICATE);
    if (certificate == NULL) return GR_OK;
    return tls_files_read(certificate, configuration_text(chosen, CONFIGURATION_TLS_KEY), files,
                          error);
}

gr_status service_start(service *self, const configuration *chosen, gr_error *error) {
    struct api *api = &self->api;
    *self = (service){.address.socket = -1};
    statistics_create(&api->statistics);
    api->started_at = clock_now();
    api->data_directory = configuration_text(chosen, CONFIGURATION_DATA_DIR);
    GR_TRY(read_tls(chosen, &self->tls, error));
    self->https = self->tls.key != NULL || configuration_truth(chosen, CONFIGURATION_TLS_PROXY);
    GR_TRY(listen_open(configuration_text(chosen, CONFIGURATION_LISTEN), self->tls.key != NULL,
                       &self->address, error));
    if (!has_database(api->data_directory))
        GR_TRY(require_token_elsewhere(&self->address, 0, error));
    GR_TRY(paths_make_directories(api->data_directory, error));
    GR_TRY(store_open(api->data_directory, &api->store, error));
    store_limit_queue(api->store, configuration_number(chosen, CONFIGURATION_QUEUE_LIMIT));
    GR_TRY(prepare_access(self, chosen, error));
    GR_TRY(user_file_receiving_folder(api->data_directory, &self->receiving, error));
    api->data = data_cache_create(api->data_directory);
    api->events = events_create();
    api->streams = api->events ? event_streams_create(api) : NULL;
    if (api->data == NULL || api->streams == NULL)
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    GR_TRY(start_helpers(self, chosen, error));
    GR_TRY(workers_start(api->store, api->data, api->events,
                         (int)configuration_number(chosen, CONFIGURATION_WORKERS), &api->workers,
                         error));
    GR_TRY(sweep_keeper_start(api->store, api->events, api->workers, &self->sweeps, error));
    atomic_store(&api->ready, true);
    return start_http(self, chosen, error);
}

void service_stop(service *self) {
    struct api *api = &self->api;
    atomic_store(&api->ready, false);
    http_stop(self->http);
    sweep_keeper_stop(self->sweeps);
    if (api->workers) workers_stop(api->workers);
    retention_stop(self->retention);
    webhooks_stop(api->webhooks);
    event_streams_free(api->streams);
    events_free(api->events);
    data_cache_free(api->data);
    if (api->store) store_close(api->store);
    if (self->address.socket >= 0) close(self->address.socket);
    tls_files_clear(&self->tls);
    statistics_destroy(&api->statistics);
    free(self->receiving);
}

bool service_is_well(service *self) {
    int64_t revision;
    return store_revision(self->api.store, &revision, NULL) == GR_OK;
}

/* -- serve --check
 * -------------------------------------------------------------------------------- */
typedef struct checker {
    FILE *out;
    int faults;
} checker;

static void say(checker *self, const char *kind, const char *subject, const char *text) {
    fprintf(self->out, "%-8s %-12s %s\n", kind, subject, text);
    self->faults += strcmp(kind, "fault") == 0;
}

static void check_tls(checker *self, const configuration *chosen) {
    gr_error error = {0};
    tls_files files = {0};
    char text[400], until[32];
    if (read_tls(chosen, &files, &error) != GR_OK) {
        say(self, "fault", "tls", error.message);
    } else if (files.key) {
        json_time(files.expires_at, until);
        snprintf(text, sizeof text, "%s, valid until %s", files.subject, until);
        const bool soon = files.expires_at - clock_now() < (int64_t)14 * 86400 * 1000;
        say(self, soon ? "warning" : "ok", "tls", text);
    }
    tls_files_clear(&files);
}

static void check_data(checker *self, const configuration *chosen, int64_t *tokens) {
    const char *directory = configuration_text(chosen, CONFIGURATION_DATA_DIR);
    gr_error error = {0};
    char text[400];
    store *opened;
    *tokens = 0;
    gr_status status = store_open_beside(directory, &opened, &error);
    if (status == GR_NOT_FOUND && access(directory, F_OK) != 0) {
        snprintf(text, sizeof text, "%.300s is not there yet; the first start makes it", directory);
        say(self, "ok", "data_dir", text);
        return;
    }
    if (status == GR_NOT_FOUND) {
        const bool writable = access(directory, W_OK | X_OK) == 0;
        snprintf(text, sizeof text, "%.300s %s", directory,
                 writable ? "is empty; the first start makes the database"
                          : "cannot be written to");
        say(self, writable ? "ok" : "fault", "data_dir", text);
        return;
    }
    if (status != GR_OK) {
        say(self, "fault", "data_dir", error.message);
        return;
    }
    int64_t counts[STATE_COUNT] = {0}, all = 0;
    if (store_counts(opened, counts, &error) == GR_OK &&
        store_tokens_valid(opened, clock_now(), tokens, &error) == GR_OK) {
        for (int i = 0; i < STATE_COUNT; i++) all += counts[i];
        snprintf(text, sizeof text, "%.300s: %lld experiments, %lld tokens in force", directory,
                 (long long)all, (long long)*tokens);
        say(self, "ok", "data_dir", text);
    } else {
        say(self, "fault", "data_dir", error.message);
    }
    store_close(opened);
}

static void check_listener(checker *self, const configuration *chosen, int64_t tokens) {
    gr_error error = {0};
    listen_address address;
    const bool https = configuration_text(chosen, CONFIGURATION_TLS_KEY) != NULL;
    gr_status status =
        listen_open(configuration_text(chosen, CONFIGURATION_LISTEN), https, &address, &error);
    if (status != GR_OK) {
        /* The running server itself has the port. */
        say(self, status == GR_CONFLICT ? "warning" : "fault", "listen", error.message);
        return;
    }
    close(address.socket);
    status = require_token_elsewhere(&address, tokens, &error);
    say(self, status == GR_OK ? "ok" : "fault", "listen",
        status == GR_OK ? address.url : error.message);
    if (!address.loopback && !https && !configuration_truth(chosen, CONFIGURATION_TLS_PROXY))
        say(self, "warning", "listen",
            "tokens and results travel unencrypted; set tls_certificate "
            "and tls_key, or tls_proxy");
    if (configuration_truth(chosen, CONFIGURATION_REQUIRE_TOKEN) && tokens == 0)
        say(self, "warning", "token", "require_token is set and there is no token");
}

int service_check(const configuration *chosen, FILE *out) {
    checker self = {.out = out};
    int64_t tokens;
    check_tls(&self, chosen);
    check_data(&self, chosen, &tokens);
    check_listener(&self, chosen, tokens);
    return self.faults;
}
