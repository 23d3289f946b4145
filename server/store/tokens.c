/* Access tokens and sessions: rows with hashes. */
#include "server/clock.h"
#include "server/store_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "server/store/internal.h"

enum { MAXIMUM_SESSIONS = 100 };

#define TOKEN_COLUMNS \
    "t.id, t.name, t.scope, t.hash, t.created_at, t.expires_at, t.last_used_at, t.revoked_at"

bool token_is_valid(const token *one, int64_t now) {
    return one->revoked_at == 0 && (one->expires_at == 0 || now < one->expires_at);
}

static void copy_text(sqlite3_stmt *statement, int column, char *text, size_t size) {
    const char *value = (const char *)sqlite3_column_text(statement, column);
    sqlite3_snprintf((int)size, text, "%s", value ? value : "");
}

static void token_read(sqlite3_stmt *statement, int column, token *read) {
    *read = (token){.id = sqlite3_column_int64(statement, column),
                    .created_at = sqlite3_column_int64(statement, column + 4),
                    .expires_at = sqlite3_column_int64(statement, column + 5),
                    .last_used_at = sqlite3_column_int64(statement, column + 6),
                    .revoked_at = sqlite3_column_int64(statement, column + 7)};
    copy_text(statement, column + 1, read->name, sizeof read->name);
    copy_text(statement, column + 2, read->scope, sizeof read->scope);
    copy_text(statement, column + 3, read->hash, sizeof read->hash);
}

/* -- tokens
 * -------------------------------------------------------------------------------------------- */
static gr_status create_work(database *db, void *context, gr_error *error) {
    token *new = context;
    int64_t taken;
    GR_TRY(database_integer(db, &taken, 0, error,
                            "SELECT 1 FROM tokens WHERE name = ?1 AND revoked_at = 0", "t",
                            new->name));
    if (taken)
        return gr_fail(error, GR_CONFLICT,
                       "there is a token called \"%s\"; choose another name, or revoke that one "
                       "first",
                       new->name);
    GR_TRY(database_run(db, NULL, error,
                        "INSERT INTO tokens (name, scope, hash, created_at, expires_at) "
                        "VALUES (?1, ?2, ?3, ?4, ?5)",
                        "tttii", new->name, new->scope, new->hash, new->created_at,
                        new->expires_at));
    new->id = sqlite3_last_insert_rowid(db->handle);
    return GR_OK;
}

gr_status store_token_create(store *self, token *new, gr_error *error) {
    return writer_run(self->writer, create_work, new, error);
}

static gr_status read_tokens(database *db, token **tokens, size_t *count, gr_error *error) {
    sqlite3_stmt *statement;
    bool row;
    *tokens = NULL;
    *count = 0;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT " TOKEN_COLUMNS " FROM tokens t ORDER BY t.id", ""));
    for (;;) {
        gr_status status = database_step(db, statement, &row, error);
        token *grown =
            status == GR_OK && row ? realloc(*tokens, (*count + 1) * sizeof **tokens) : NULL;
        if (grown == NULL) {
            if (status == GR_OK && !row) return GR_OK;
            if (status == GR_OK) {
                sqlite3_reset(statement);
                status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
            }
            free(*tokens);
            *tokens = NULL;
            return status;
        }
        *tokens = grown;
        token_read(statement, 0, &grown[(*count)++]);
    }
}

gr_status store_tokens(store *self, token **tokens, size_t *count, gr_error *error) {
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = read_tokens(db, tokens, count, error);
    readers_give(self->readers, db);
    return status;
}

static gr_status read_token(database *db, int64_t id, token *found, gr_error *error) {
    sqlite3_stmt *statement;
    bool row;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT " TOKEN_COLUMNS " FROM tokens t WHERE t.id = ?1", "i", id));
    GR_TRY(database_step(db, statement, &row, error));
    if (!row) return gr_fail(error, GR_NOT_FOUND, "there is no token %lld", (long long)id);
    token_read(statement, 0, found);
    sqlite3_reset(statement);
    return GR_OK;
}

gr_status store_token_get(store *self, int64_t id, token *found, gr_error *error) {
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = read_token(db, id, found, error);
    readers_give(self->readers, db);
    return status;
}

static gr_status revoke_work(database *db, void *context, gr_error *error) {
    const char *name = context;
    int64_t id;
    GR_TRY(database_integer(db, &id, 0, error,
                            "UPDATE tokens SET revoked_at = ?2 WHERE name = ?1 AND revoked_at = 0 "
                            "RETURNING id",
                            "ti", name, clock_now()));
    if (id == 0)
        return gr_fail(error, GR_NOT_FOUND,
                       "no token in force is called \"%s\"; gradreg token list shows them", name);
    return database_run(db, NULL, error, "DELETE FROM sessions WHERE token = ?1", "i", id);
}

gr_status store_token_revoke(store *self, const char *name, gr_error *error) {
    return writer_run(self->writer, revoke_work, (void *)(uintptr_t)name, error);
}

typedef struct use {
    int64_t id, now;
} use;

static gr_status used_work(database *db, void *context, gr_error *error) {
    const use *this = context;
    return database_run(db, NULL, error,
                        "UPDATE tokens SET last_used_at = max(last_used_at, ?2) WHERE id = ?1",
                        "ii", this->id, this->now);
}

gr_status store_token_used(store *self, int64_t id, int64_t now, gr_error *error) {
    use this = {id, now};
    return writer_run(self->writer, used_work, &this, error);
}

gr_status store_tokens_valid(store *self, int64_t now, int64_t *count, gr_error *error) {
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = database_integer(db, count, 0, error,
                                        "SELECT count(*) FROM tokens WHERE revoked_at = 0 AND "
                                        "(expires_at = 0 OR expires_at > ?1)",
                                        "i", now);
    readers_give(self->readers, db);
    return status;
}

/* -- sessions
 * ------------------------------------------------------------------------------------------ */
typedef struct session {
    int64_t id, token, now, expires_at;
    const char *hash;
} session;

static gr_status session_work(database *db, void *context, gr_error *error) {
    session *new = context;
    GR_TRY(database_run(db, NULL, error,
                        "INSERT INTO sessions (token, hash, created_at, expires_at) "
                        "VALUES (?1, ?2, ?3, ?4)",
                        "itii", new->token, new->hash, new->now, new->expires_at));
    new->id = sqlite3_last_insert_rowid(db->handle);
    return database_run(db, NULL, error,
                        "DELETE FROM sessions WHERE expires_at <= ?2 OR (token = ?1 AND id NOT IN "
                        "(SELECT id FROM sessions WHERE token = ?1 ORDER BY id DESC LIMIT ?3))",
                        "iii", new->token, new->now, (int64_t)MAXIMUM_SESSIONS);
}

gr_status store_session_create(store *self, int64_t owner, const char *hash, int64_t now,
                               int64_t expires_at, int64_t *id, gr_error *error) {
    session new = {.token = owner, .hash = hash, .now = now, .expires_at = expires_at};
    GR_TRY(writer_run(self->writer, session_work, &new, error));
    *id = new.id;
    return GR_OK;
}

static gr_status read_session(database *db, int64_t id, int64_t now, char *hash, token *found,
                              gr_error *error) {
    sqlite3_stmt *statement;
    bool row;
    GR_TRY(database_query(db, &statement, error,
                          "SELECT s.hash, " TOKEN_COLUMNS " FROM sessions s JOIN tokens t "
                          "ON t.id = s.token WHERE s.id = ?1 AND s.expires_at > ?2",
                          "ii", id, now));
    GR_TRY(database_step(db, statement, &row, error));
    if (!row) return gr_fail(error, GR_NOT_FOUND, "the session has ended");
    copy_text(statement, 0, hash, TOKEN_HASH_SIZE);
    token_read(statement, 1, found);
    sqlite3_reset(statement);
    return GR_OK;
}

gr_status store_session_get(store *self, int64_t id, int64_t now, char hash[TOKEN_HASH_SIZE],
                            token *found, gr_error *error) {
    database *db;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = read_session(db, id, now, hash, found, error);
    readers_give(self->readers, db);
    return status;
}

static gr_status end_work(database *db, void *context, gr_error *error) {
    const int64_t *id = context;
    return database_run(db, NULL, error, "DELETE FROM sessions WHERE id = ?1", "i", *id);
}

gr_status store_session_end(store *self, int64_t id, gr_error *error) {
    return writer_run(self->writer, end_work, &id, error);
}
