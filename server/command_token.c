/* gradreg token: access tokens, made and revoked on the server's machine, also while it runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/access.h"
#include "server/command_line.h"
#include "server/commands.h"
#include "server/paths.h"

static const char usage[] =
    "usage: gradreg token create NAME [--scope read|submit|admin] [--expires DURATION]\n"
    "       gradreg token list [--json]\n"
    "       gradreg token revoke NAME\n"
    "\n"
    "  create NAME         make a token and print it, once: the server keeps only a hash of it\n"
    "  list                the tokens: scope, when made, when they expire, when last used\n"
    "  revoke NAME         it is refused from now on, and its browser sessions end\n"
    "\n"
    "  --scope SCOPE       read: look at everything; submit: and submit, cancel, change, delete\n"
    "                      (the default); admin: and what concerns the server itself\n"
    "  --expires DURATION  30m, 12h, 90d or never (90d)\n"
    "  --data-dir DIR      of the server, which may be running (GRADREG_DATA_DIR, else ./data)\n"
    "  --json              one JSON object with all tokens\n";

typedef struct token_options {
    const char *action, *name, *scope, *expires, *data_directory;
    bool json;
} token_options;

/* -1: go on; otherwise the exit status. */
static int parse_options(int argc, char **argv, token_options *options) {
    *options = (token_options){.scope = "submit", .expires = "90d"};
    const command_option known[] = {{"scope", .text = &options->scope},
                                    {"expires", .text = &options->expires},
                                    {"data-dir", .text = &options->data_directory},
                                    {"json", .given = &options->json},
                                    {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, known, 1, 2, &operands);
    if (early >= 0) return early;
    const int given = operands.count;
    options->action = operands.items[0];
    if (given > 1) options->name = operands.items[1];
    const bool named =
        (strcmp(options->action, "create") == 0 || strcmp(options->action, "revoke") == 0);
    const bool good = named ? given == 2 : strcmp(options->action, "list") == 0 && given == 1;
    if (good) return -1;
    if (named) return command_refuse(usage, "%s what? NAME is missing", options->action);
    if (strcmp(options->action, "list") == 0)
        return command_refuse(usage, "unexpected argument \"%s\"", options->name);
    return command_refuse(usage, "\"%s\" is neither create nor list nor revoke", options->action);
}

/* A server may be at work on the directory; where there is no database yet, it is made. */
static gr_status open_tokens(const char *directory, bool create, store **opened, gr_error *error) {
    paths_keep_private();
    gr_status status = store_open_beside(directory, opened, error);
    return status == GR_NOT_FOUND && create ? store_open(directory, opened, error) : status;
}

static gr_status create_token(store *opened, const token_options *options, gr_error *error) {
    char secret[ACCESS_SECRET_SIZE], until[32];
    int64_t seconds;
    token made;
    GR_TRY(access_duration(options->expires, &seconds, error));
    GR_TRY(
        access_create_token(opened, options->name, options->scope, seconds, &made, secret, error));
    json_time(made.expires_at, until);
    printf("%s\n", secret);
    fprintf(stderr, "token \"%s\": scope %s, %s%s. It is shown this once.\n", made.name, made.scope,
            made.expires_at ? "expires " : "does not expire", made.expires_at ? until : "");
    return GR_OK;
}

static cJSON *time_json(int64_t milliseconds) {
    char text[32];
    json_time(milliseconds, text);
    return milliseconds ? cJSON_CreateString(text) : cJSON_CreateNull();
}

static const char *state_of(const token *one, int64_t now) {
    return one->revoked_at ? "revoked" : token_is_valid(one, now) ? "valid" : "expired";
}

static gr_status print_json(const token *tokens, size_t count, int64_t now, gr_error *error) {
    cJSON *document = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(document, "tokens");
    for (size_t i = 0; i < count; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddItemToObject(row, "id", json_integer(tokens[i].id));
        cJSON_AddStringToObject(row, "name", tokens[i].name);
        cJSON_AddStringToObject(row, "scope", tokens[i].scope);
        cJSON_AddStringToObject(row, "state", state_of(&tokens[i], now));
        cJSON_AddItemToObject(row, "created_at", time_json(tokens[i].created_at));
        cJSON_AddItemToObject(row, "expires_at", time_json(tokens[i].expires_at));
        cJSON_AddItemToObject(row, "last_used_at", time_json(tokens[i].last_used_at));
        cJSON_AddItemToObject(row, "revoked_at", time_json(tokens[i].revoked_at));
        cJSON_AddItemToArray(list, row);
    }
    char *text = json_text(document);
    cJSON_Delete(document);
    if (text == NULL) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    puts(text);
    free(text);
    return GR_OK;
}

static void print_table(const token *tokens, size_t count, int64_t now) {
    printf("%4s  %-24s %-7s %-8s %-20s %-20s %s\n", "id", "name", "scope", "state", "created",
           "expires", "last used");
    for (size_t i = 0; i < count; i++) {
        char times[3][32] = {"", "never", "never"};
        json_time(tokens[i].created_at, times[0]);
        if (tokens[i].expires_at) json_time(tokens[i].expires_at, times[1]);
        if (tokens[i].last_used_at) json_time(tokens[i].last_used_at, times[2]);
        for (int k = 0; k < 3; k++) times[k][19] = 0; /* to the second */
        printf("%4lld  %-24s %-7s %-8s %-20s %-20s %s\n", (long long)tokens[i].id, tokens[i].name,
               tokens[i].scope, state_of(&tokens[i], now), times[0], times[1], times[2]);
    }
}

static gr_status list_tokens(store *opened, const token_options *options, gr_error *error) {
    const int64_t now = (int64_t)time(NULL) * 1000;
    token *tokens;
    size_t count;
    GR_TRY(store_tokens(opened, &tokens, &count, error));
    gr_status status = GR_OK;
    if (options->json)
        status = print_json(tokens, count, now, error);
    else
        print_table(tokens, count, now);
    free(tokens);
    return status;
}

int command_token(int argc, char **argv) {
    token_options options;
    gr_error error = {0};
    store *opened = NULL;
    int exit_status = parse_options(argc, argv, &options);
    if (exit_status >= 0) return exit_status;
    const char *directory = paths_data_directory(options.data_directory);
    gr_status status =
        open_tokens(directory, strcmp(options.action, "create") == 0, &opened, &error);
    if (status == GR_OK) {
        if (strcmp(options.action, "create") == 0)
            status = create_token(opened, &options, &error);
        else if (strcmp(options.action, "list") == 0)
            status = list_tokens(opened, &options, &error);
        else
            status = store_token_revoke(opened, options.name, &error);
        store_close(opened);
    }
    if (status == GR_OK) return 0;
    fprintf(stderr, "gradreg token: %s\n", error.message);
    return 1;
}
