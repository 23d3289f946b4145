/* Who may ask: access tokens, and the browser sessions that stand for them. A secret is 256 random
 * bits; the store has its SHA-256 alone; the two are compared in constant time. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include "server/http.h"
#include "server/store_tokens.h"

enum { ACCESS_SECRET_SIZE = 96, SESSION_SECONDS = 7 * 24 * 3600 };

typedef struct access_control {
    store *store;
    bool required;   /* nothing but what is public without a token */
    bool https;      /* cookies are for https only */
    char cookie[40]; /* the cookie's name: cookies know no ports, so that it holds the server's */
} access_control;

/* `port`: the server's. */
void access_create(access_control *self, store *store, bool required, bool https, int port);
/* For http_options.identify: GR_INVALID where a token was sent that is none, or no longer one. A
 * cookie that has ended is no token at all. Without a token: everything, or, where one is required,
 * what is public. */
gr_status access_identify(access_control *self, const http_request *request,
                          http_identity *identity, gr_error *error);
/* Whether what an identity came of, its token or session, is still in force: for answers that go on
 * for long. False as well where the store does not say. */
bool access_is_in_force(const access_control *self, const http_identity *identity);

/* "90d", "12h", "30m", "never" → seconds, 0 for never. GR_INVALID. */
gr_status access_duration(const char *text, int64_t *seconds, gr_error *error);
/* Makes and stores a token; `secret` is the only time that it is seen. scope: "read", "submit" or
 * "admin". GR_INVALID for a bad name or scope. */
gr_status access_create_token(store *store, const char *name, const char *scope, int64_t seconds,
                              token *made, char secret[ACCESS_SECRET_SIZE], gr_error *error);
/* The token that `secret` is; GR_INVALID where it is none that is in force. */
gr_status access_check_token(store *store, const char *secret, token *found, gr_error *error);
/* Begins a session of a token; `cookie` is the cookie's value. It ends with the token at the
 * latest. */
gr_status access_begin_session(store *store, const token *token, int64_t *expires_at,
                               char cookie[ACCESS_SECRET_SIZE], gr_error *error);

#endif
