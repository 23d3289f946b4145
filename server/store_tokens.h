/* The store's access tokens and browser sessions. It keeps hashes only: what a token looks like,
 * and whether one that was sent is right, is server/access.c's. */
#ifndef SERVER_STORE_TOKENS_H
#define SERVER_STORE_TOKENS_H

#include "server/store.h"

enum { TOKEN_HASH_SIZE = 65, TOKEN_NAME_SIZE = 64 };

/* One token. Times are milliseconds since 1970, 0: never. */
typedef struct token {
    int64_t id;
    char name[TOKEN_NAME_SIZE];
    char scope[8];              /* "read", "submit", "admin" */
    char hash[TOKEN_HASH_SIZE]; /* SHA-256 of the secret, in hexadecimal */
    int64_t created_at, expires_at, last_used_at, revoked_at;
} token;
/* Neither revoked nor expired. */
bool token_is_valid(const token *token, int64_t now);

/* Sets token->id. GR_CONFLICT where a token that is not revoked has this name. */
gr_status store_token_create(store *store, token *token, gr_error *error);
/* All of them, oldest first; *tokens: free(). */
gr_status store_tokens(store *store, token **tokens, size_t *count, gr_error *error);
gr_status store_token_get(store *store, int64_t id, token *token,
                          gr_error *error); /* GR_NOT_FOUND */
/* By name. Its sessions end. GR_NOT_FOUND where none of this name is in force. */
gr_status store_token_revoke(store *store, const char *name, gr_error *error);
gr_status store_token_used(store *store, int64_t id, int64_t now, gr_error *error);
/* How many tokens are valid now. */
gr_status store_tokens_valid(store *store, int64_t now, int64_t *count, gr_error *error);

/* Begins a session of a token; its oldest ones beyond a hundred end, and what has expired is
 * forgotten. */
gr_status store_session_create(store *store, int64_t token, const char *hash, int64_t now,
                               int64_t expires_at, int64_t *id, gr_error *error);
/* hash: the session's; *token: the one it stands for. GR_NOT_FOUND also where it has expired. */
gr_status store_session_get(store *store, int64_t id, int64_t now, char hash[TOKEN_HASH_SIZE],
                            token *token, gr_error *error);
/* Fine where it has ended already. */
gr_status store_session_end(store *store, int64_t id, gr_error *error);

#endif
