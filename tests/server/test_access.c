/* Tokens and sessions over a real store: what is let in, and what no longer is. */
#include <time.h>

#include "server/access.h"
#include "store_fixture.h"

static int set_up(void **state) {
    *state = temporary_directory();
    return 0;
}
static int tear_down(void **state) {
    remove_directory(*state);
    return 0;
}

static int64_t now(void) {
    return (int64_t)time(NULL) * 1000;
}

/* A request with one header. */
static const char *header_name, *header_value;
static const char *one_header(const void *connection, const char *name) {
    (void)connection;
    return header_name && strcmp(name, header_name) == 0 ? header_value : NULL;
}

static gr_status identify(access_control *control, const char *name, const char *value,
                          http_identity *identity, gr_error *error) {
    header_name = name;
    header_value = value;
    const http_request request = {.method = "GET", .header = one_header};
    return access_identify(control, &request, identity, error);
}

static void test_durations(void **state) {
    (void)state;
    static const char *const wrong[] = {"",   "d",   "0d",  "-1d",    "1",           "1s",
                                        "1D", "1 d", "1dd", "36501d", "99999999999d"};
    gr_error error;
    int64_t seconds;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (access_duration(wrong[i], &seconds, &error) != GR_INVALID)
            fail_msg("\"%s\" is taken for a duration", wrong[i]);
    assert_int_equal(access_duration("90d", &seconds, &error), GR_OK);
    assert_int_equal(seconds, 90 * 86400);
    assert_int_equal(access_duration("12h", &seconds, &error), GR_OK);
    assert_int_equal(seconds, 12 * 3600);
    assert_int_equal(access_duration("never", &seconds, &error), GR_OK);
    assert_int_equal(seconds, 0);
}

static void test_token(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    token made, found;
    char secret[ACCESS_SECRET_SIZE], wrong[ACCESS_SECRET_SIZE + 1];
    assert_ok(access_create_token(opened, "a", "read", 60, &made, secret, &error));
    assert_ok(access_check_token(opened, secret, &found, &error));
    assert_string_equal(found.name, "a");
    /* Every place of the secret counts, and nothing may follow it. */
    for (size_t i = 0; i < strlen(secret); i++) {
        snprintf(wrong, sizeof wrong, "%s", secret);
        wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
        assert_status(GR_INVALID, access_check_token(opened, wrong, &found, &error));
    }
    snprintf(wrong, sizeof wrong, "%sA", secret);
    assert_status(GR_INVALID, access_check_token(opened, wrong, &found, &error));
    assert_status(GR_INVALID, access_check_token(opened, "", &found, &error));
    assert_ok(store_token_revoke(opened, "a", &error));
    assert_status(GR_INVALID, access_check_token(opened, secret, &found, &error));
    assert_non_null(strstr(error.message, "revoked"));
    /* The name is free again. */
    assert_ok(access_create_token(opened, "a", "read", 60, &made, secret, &error));
    store_close(opened);
}

static void test_expiry(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    token made, found;
    int64_t valid, expires_at;
    char secret[ACCESS_SECRET_SIZE], cookie[ACCESS_SECRET_SIZE], header[300];
    access_control control;
    http_identity identity;
    access_create(&control, opened, true, false, 8080);
    assert_ok(access_create_token(opened, "brief", "submit", 1, &made, secret, &error));
    assert_ok(access_begin_session(opened, &made, &expires_at, cookie, &error));
    assert_int_equal(expires_at, made.expires_at); /* not seven days */
    snprintf(header, sizeof header, "x=y; gradreg_session_8080=%s", cookie);
    assert_ok(identify(&control, "Cookie", header, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_SUBMIT);
    assert_ok(store_tokens_valid(opened, now(), &valid, &error));
    assert_int_equal(valid, 1);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
    assert_status(GR_INVALID, access_check_token(opened, secret, &found, &error));
    assert_non_null(strstr(error.message, "expired"));
    assert_ok(identify(&control, "Cookie", header, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_PUBLIC);
    assert_ok(store_tokens_valid(opened, now() + 2000, &valid, &error));
    assert_int_equal(valid, 0);
    store_close(opened);
}

static void test_identities(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    token made;
    int64_t expires_at;
    char secret[ACCESS_SECRET_SIZE], cookie[ACCESS_SECRET_SIZE], header[300];
    access_control open, closed;
    http_identity identity;
    access_create(&open, opened, false, false, 1);
    access_create(&closed, opened, true, false, 2);
    assert_ok(identify(&open, NULL, NULL, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_ADMIN);
    assert_ok(identify(&closed, NULL, NULL, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_PUBLIC);
    assert_ok(access_create_token(opened, "r", "read", 0, &made, secret, &error));
    /* A token that was sent counts, also where none is required. */
    snprintf(header, sizeof header, "Bearer %s", secret);
    assert_ok(identify(&open, "Authorization", header, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_READ);
    assert_status(GR_INVALID, identify(&open, "Authorization", "Bearer x", &identity, &error));
    assert_status(GR_INVALID, identify(&open, "Authorization", "Basic eA==", &identity, &error));
    /* A token is no cookie, and a cookie no token; another port's cookie is none. */
    assert_ok(access_begin_session(opened, &made, &expires_at, cookie, &error));
    snprintf(header, sizeof header, "gradreg_session_2=%s", cookie);
    assert_ok(identify(&closed, "Cookie", header, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_READ);
    assert_true(identity.session > 0);
    snprintf(header, sizeof header, "gradreg_session_1=%s; xgradreg_session_2=%s", cookie, cookie);
    assert_ok(identify(&closed, "Cookie", header, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_PUBLIC);
    snprintf(header, sizeof header, "gradreg_session_2=%s", secret);
    assert_ok(identify(&closed, "Cookie", header, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_PUBLIC);
    snprintf(header, sizeof header, "Bearer %s", cookie);
    assert_status(GR_INVALID, identify(&closed, "Authorization", header, &identity, &error));
    /* The hundred newest sessions of a token are kept. */
    char first[ACCESS_SECRET_SIZE];
    snprintf(first, sizeof first, "%s", cookie);
    for (int i = 0; i < 100; i++)
        assert_ok(access_begin_session(opened, &made, &expires_at, cookie, &error));
    snprintf(header, sizeof header, "gradreg_session_2=%s", first);
    assert_ok(identify(&closed, "Cookie", header, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_PUBLIC);
    snprintf(header, sizeof header, "gradreg_session_2=%s", cookie);
    assert_ok(identify(&closed, "Cookie", header, &identity, &error));
    assert_int_equal(identity.scope, HTTP_SCOPE_READ);
    store_close(opened);
}

static void test_queue_limit(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    submission form = {.name = "x",
                       .tags = "{}",
                       .spec = "{}",
                       .data_hash = "00",
                       .engine_version = "test",
                       .iterations = 10,
                       .submitted_by = 7};
    int64_t id;
    experiment taken = {0};
    store_limit_queue(opened, 2);
    assert_ok(store_submit(opened, &form, &id, &error));
    assert_ok(store_submit(opened, &form, &id, &error));
    assert_status(GR_TOO_MANY, store_submit(opened, &form, &id, &error));
    form.submitted_by = 8;
    assert_ok(store_submit(opened, &form, &id, &error));
    form.submitted_by = 7;
    assert_ok(store_lease(opened, "worker", &taken, &error)); /* runs: no longer queued */
    assert_ok(store_submit(opened, &form, &id, &error));
    assert_status(GR_TOO_MANY, store_submit(opened, &form, &id, &error));
    assert_ok(store_cancel(opened, id, NULL, &error));
    assert_ok(store_submit(opened, &form, &id, &error));
    experiment_clear(&taken);
    store_close(opened);
}

/* Sessions end by themselves, before their token does, and are then forgotten. */
static void test_session_expiry(void **state) {
    store *opened = open_store(*state);
    gr_error error = {0};
    token made, found;
    int64_t first, second;
    char secret[ACCESS_SECRET_SIZE], hash[TOKEN_HASH_SIZE];
    assert_ok(access_create_token(opened, "r", "read", 0, &made, secret, &error));
    assert_ok(store_session_create(opened, made.id, "aa", 1000, 2000, &first, &error));
    assert_ok(store_session_get(opened, first, 1999, hash, &found, &error));
    assert_string_equal(hash, "aa");
    assert_status(GR_NOT_FOUND, store_session_get(opened, first, 2000, hash, &found, &error));
    assert_ok(store_session_create(opened, made.id, "bb", 2000, 3000, &second, &error));
    assert_status(GR_NOT_FOUND, store_session_get(opened, first, 1999, hash, &found, &error));
    assert_ok(store_session_end(opened, second, &error));
    assert_status(GR_NOT_FOUND, store_session_get(opened, second, 2000, hash, &found, &error));
    assert_ok(store_session_end(opened, second, &error));
    store_close(opened);
}

/* The command's way in, while a server has the directory. */
static void test_beside(void **state) {
    gr_error error = {0};
    store *server, *beside;
    token *tokens;
    token made;
    size_t count;
    char secret[ACCESS_SECRET_SIZE];
    assert_status(GR_NOT_FOUND, store_open_beside(*state, &beside, &error));
    server = open_store(*state);
    assert_ok(store_open_beside(*state, &beside, &error));
    assert_ok(access_create_token(beside, "b", "admin", 0, &made, secret, &error));
    assert_ok(access_check_token(server, secret, &made, &error));
    submit_one(server, "both write");
    assert_ok(store_token_revoke(beside, "b", &error));
    assert_status(GR_INVALID, access_check_token(server, secret, &made, &error));
    assert_ok(store_tokens(server, &tokens, &count, &error));
    assert_int_equal(count, 1);
    assert_true(tokens[0].revoked_at > 0);
    free(tokens);
    store_close(beside);
    store_close(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expiry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_identities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_session_expiry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_queue_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_beside, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
