#include "server/access.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>

#include "server/clock.h"

enum {
    SECRET_BYTES = 32,
    SECRET_LENGTH = 43,        /* in base64url, without padding */
    USED_MILLISECONDS = 60000, /* last_used_at is that exact */
    LONGEST_DAYS = 36500
};
static const char token_prefix[] = "gradreg_";

/* -- secrets
 * ------------------------------------------------------------------------------------------- */
static gr_status make_secret(char secret[SECRET_LENGTH + 1], gr_error *error) {
    uint8_t bytes[SECRET_BYTES];
    struct base64_encode_ctx base64;
    char encoded[BASE64_ENCODE_LENGTH(SECRET_BYTES) + BASE64_ENCODE_FINAL_LENGTH];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return gr_fail(error, GR_IO, "the system gives no random numbers: %s", strerror(errno));
    base64url_encode_init(&base64);
    const size_t length = base64_encode_update(&base64, encoded, sizeof bytes, bytes);
    base64_encode_final(&base64, encoded + length);
    memcpy(secret, encoded, SECRET_LENGTH);
    secret[SECRET_LENGTH] = 0;
    explicit_bzero(bytes, sizeof bytes);
    return GR_OK;
}

static void hash_secret(const char *secret, char hash[TOKEN_HASH_SIZE]) {
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    sha256_update(&context, strlen(secret), (const uint8_t *)secret);
    sha256_digest(&context, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(hash + 2 * i, 3, "%02x", digest[i]);
}

/* "<id>_<secret>"; the id finds the row, so that no comparison depends on how much of a guess is
 * right. False where the text has another form. */
static bool split_secret(const char *text, int64_t *id, const char **secret) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '_') return false;
    *id = strtoll(text, NULL, 10);
    *secret = text + digits + 1;
    return strlen(*secret) == SECRET_LENGTH;
}

static bool secret_is(const char *secret, const char hash[TOKEN_HASH_SIZE]) {
    char own[TOKEN_HASH_SIZE];
    hash_secret(secret, own);
    return memeql_sec(own, hash, TOKEN_HASH_SIZE) == 1;
}

/* -- tokens
 * -------------------------------------------------------------------------------------------- */
gr_status access_duration(const char *text, int64_t *seconds, gr_error *error) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}};
    *seconds = 0;
    if (strcmp(text, "never") == 0) return GR_OK;
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= 9 && strlen(text) == digits + 1)
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (text[digits] == units[i].unit)
                *seconds = strtoll(text, NULL, 10) * units[i].seconds;
    if (*seconds > 0 && *seconds <= (int64_t)LONGEST_DAYS * 86400) return GR_OK;
    return gr_fail(error, GR_INVALID,
                   "\"%.40s\" is no duration: write 90d, 12h or 30m, at most %dd, or never", text,
                   LONGEST_DAYS);
}

static bool name_is_good(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length < TOKEN_NAME_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@") ==
               length;
}

gr_status access_create_token(store *in, const char *name, const char *scope, int64_t seconds,
                              token *made, char secret[ACCESS_SECRET_SIZE], gr_error *error) {
    char random[SECRET_LENGTH + 1];
    if (!name_is_good(name))
        return gr_fail(error, GR_INVALID,
                       "a token's name is 1 to %d letters, digits and . _ - @, not \"%.80s\"",
                       TOKEN_NAME_SIZE - 1, name);
    if (strcmp(scope, "read") != 0 && strcmp(scope, "submit") != 0 && strcmp(scope, "admin") != 0)
        return gr_fail(error, GR_INVALID, "a token's scope is read, submit or admin, not \"%.80s\"",
                       scope);
    GR_TRY(make_secret(random, error));
    *made = (token){.created_at = clock_now()};
    made->expires_at = seconds ? made->created_at + seconds * 1000 : 0;
    snprintf(made->name, sizeof made->name, "%s", name);
    snprintf(made->scope, sizeof made->scope, "%s", scope);
    hash_secret(random, made->hash);
    GR_TRY(store_token_create(in, made, error));
    snprintf(secret, ACCESS_SECRET_SIZE, "%s%" PRId64 "_%s", token_prefix, made->id, random);
    explicit_bzero(random, sizeof random);
    return GR_OK;
}

gr_status access_check_token(store *in, const char *text, token *found, gr_error *error) {
    static const char unknown[] = "the access token is not one of this server";
    const size_t prefix = sizeof token_prefix - 1;
    const char *secret;
    int64_t id;
    if (strncmp(text, token_prefix, prefix) != 0 || !split_secret(text + prefix, &id, &secret))
        return gr_fail(error, GR_INVALID, unknown);
    gr_status status = store_token_get(in, id, found, error);
    if (status == GR_NOT_FOUND || (status == GR_OK && !secret_is(secret, found->hash)))
        return gr_fail(error, GR_INVALID, unknown);
    GR_TRY(status);
    if (token_is_valid(found, clock_now())) return GR_OK;
    return gr_fail(error, GR_INVALID, "the access token \"%s\" has %s; ask for a new one",
                   found->name, found->revoked_at ? "been revoked" : "expired");
}

/* -- sessions
 * ------------------------------------------------------------------------------------------ */
gr_status access_begin_session(store *in, const token *of, int64_t *expires_at,
                               char cookie[ACCESS_SECRET_SIZE], gr_error *error) {
    char random[SECRET_LENGTH + 1], hash[TOKEN_HASH_SIZE];
    int64_t id, now = clock_now();
    GR_TRY(make_secret(random, error));
    hash_secret(random, hash);
    *expires_at = now + (int64_t)SESSION_SECONDS * 1000;
    if (of->expires_at && of->expires_at < *expires_at) *expires_at = of->expires_at;
    GR_TRY(store_session_create(in, of->id, hash, now, *expires_at, &id, error));
    snprintf(cookie, ACCESS_SECRET_SIZE, "%" PRId64 "_%s", id, random);
    explicit_bzero(random, sizeof random);
    return GR_OK;
}

/* The value of the cookie `name` in a Cookie header (RFC 6265 §4.2). */
static bool find_cookie(const char *header, const char *name, char value[ACCESS_SECRET_SIZE]) {
    const size_t name_length = strlen(name);
    while (header && *header) {
        header += strspn(header, " ;\t");
        size_t length = strcspn(header, ";");
        if (length > name_length && strncmp(header, name, name_length) == 0 &&
            header[name_length] == '=' && length - name_length - 1 < ACCESS_SECRET_SIZE) {
            snprintf(value, ACCESS_SECRET_SIZE, "%.*s", (int)(length - name_length - 1),
                     header + name_length + 1);
            return true;
        }
        header += length;
    }
    return false;
}

static gr_status find_session(access_control *self, const char *cookie, int64_t *id, token *found,
                              gr_error *error) {
    char hash[TOKEN_HASH_SIZE];
    const char *secret;
    int64_t now = clock_now();
    if (!split_secret(cookie, id, &secret)) return gr_fail(error, GR_NOT_FOUND, "no session");
    GR_TRY(store_session_get(self->store, *id, now, hash, found, error));
    if (secret_is(secret, hash) && token_is_valid(found, now)) return GR_OK;
    return gr_fail(error, GR_NOT_FOUND, "no session");
}

/* -- identification
 * ------------------------------------------------------------------------------------ */
void access_create(access_control *self, store *in, bool required, bool https, int port) {
    *self = (access_control){.store = in, .required = required, .https = https};
    snprintf(self->cookie, sizeof self->cookie, "gradreg_session_%d", port);
}

static http_scope scope_from_name(const char *name) {
    for (http_scope scope = HTTP_SCOPE_READ; scope <= HTTP_SCOPE_ADMIN; scope++)
        if (strcmp(name, http_scope_name(scope)) == 0) return scope;
    return HTTP_SCOPE_PUBLIC;
}

static void become(access_control *self, const token *found, int64_t session,
                   http_identity *identity) {
    int64_t now = clock_now();
    *identity = (http_identity){.token = found->id, .session = session};
    identity->scope = scope_from_name(found->scope);
    snprintf(identity->name, sizeof identity->name, "%s", found->name);
    /* Who may ask is not refused because this cannot be noted. */
    if (now - found->last_used_at >= USED_MILLISECONDS)
        store_token_used(self->store, found->id, now, NULL);
}

gr_status access_identify(access_control *self, const http_request *request,
                          http_identity *identity, gr_error *error) {
    const char *authorization = http_header(request, "Authorization");
    char cookie[ACCESS_SECRET_SIZE];
    int64_t session = 0;
    token found;
    if (authorization) {
        if (strncasecmp(authorization, "Bearer ", 7) != 0)
            return gr_fail(error, GR_INVALID, "the Authorization header must be \"Bearer TOKEN\"");
        authorization += 7 + strspn(authorization + 7, " ");
        GR_TRY(access_check_token(self->store, authorization, &found, error));
        become(self, &found, 0, identity);
        return GR_OK;
    }
    if (find_cookie(http_header(request, "Cookie"), self->cookie, cookie)) {
        gr_status status = find_session(self, cookie, &session, &found, error);
        if (status == GR_OK) become(self, &found, session, identity);
        if (status != GR_NOT_FOUND) return status;
    }
    *identity = (http_identity){.scope = self->required ? HTTP_SCOPE_PUBLIC : HTTP_SCOPE_ADMIN};
    return GR_OK;
}

bool access_is_in_force(const access_control *self, const http_identity *identity) {
    char hash[TOKEN_HASH_SIZE];
    const int64_t now = clock_now();
    token found;
    if (identity->token == 0) return true;
    const gr_status status =
        identity->session
            ? store_session_get(self->store, identity->session, now, hash, &found, NULL)
            : store_token_get(self->store, identity->token, &found, NULL);
    return status == GR_OK && token_is_valid(&found, now);
}
