#include "server/json_pointer.h"

#include <stdlib.h>
#include <string.h>

enum { MAXIMUM_TOKEN = 256 };

/* Reads the token after the "/" that *at stands on, and goes to the next "/" or the end. False
 * where it is no token. */
static bool next_token(const char **at, char token[MAXIMUM_TOKEN]) {
    size_t length = 0;
    const char *p = *at;
    if (*p++ != '/') return false;
    for (; *p && *p != '/'; p++) {
        char letter = *p;
        if (letter == '~') {
            p++;
            if (*p != '0' && *p != '1') return false;
            letter = *p == '0' ? '~' : '/';
        }
        if (length + 1 >= MAXIMUM_TOKEN) return false;
        token[length++] = letter;
    }
    token[length] = 0;
    *at = p;
    return true;
}

gr_status json_pointer_check(const char *pointer, gr_error *error) {
    char token[MAXIMUM_TOKEN];
    const char *at = pointer;
    if (*pointer && strlen(pointer) < GR_PLACE_SIZE) {
        while (*at && next_token(&at, token)) continue;
        if (*at == 0) return GR_OK;
    }
    return gr_fail(error, GR_INVALID,
                   "\"%.100s\" is no JSON Pointer into a spec; one looks like "
                   "\"/dataset/train_size\" or \"/regularizers/0/weight\"",
                   pointer);
}

/* The index that a token is; -1 where it is none. */
static int index_of(const char *token) {
    const size_t length = strlen(token);
    if (length == 0 || length > 6 || strspn(token, "0123456789") != length) return -1;
    if (length > 1 && *token == '0') return -1;
    return atoi(token);
}

static cJSON *step(const cJSON *from, const char *token) {
    if (cJSON_IsObject(from)) return cJSON_GetObjectItemCaseSensitive(from, token);
    const int index = cJSON_IsArray(from) ? index_of(token) : -1;
    return index < 0 ? NULL : cJSON_GetArrayItem(from, index);
}

const cJSON *json_pointer_get(const cJSON *document, const char *pointer) {
    char token[MAXIMUM_TOKEN];
    const cJSON *here = document;
    for (const char *at = pointer; here && *at;)
        here = next_token(&at, token) ? step(here, token) : NULL;
    return here;
}

/* Replaces or adds; `value` is taken over. */
static gr_status put(cJSON *parent, const char *token, cJSON *value, gr_error *error) {
    bool done = false;
    if (!value) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a JSON document");
    if (cJSON_IsObject(parent)) {
        done = cJSON_GetObjectItemCaseSensitive(parent, token)
                   ? cJSON_ReplaceItemInObjectCaseSensitive(parent, token, value)
                   : cJSON_AddItemToObject(parent, token, value);
    } else if (cJSON_IsArray(parent) && strcmp(token, "-") == 0) {
        done = cJSON_AddItemToArray(parent, value);
    } else if (cJSON_IsArray(parent)) {
        const int index = index_of(token), size = cJSON_GetArraySize(parent);
        if (index < 0 || index >= size) {
            cJSON_Delete(value);
            return gr_fail(error, GR_INVALID,
                           "the list there has %d item%s, and \"%.40s\" is none of them; \"-\" "
                           "stands for one more",
                           size, size == 1 ? "" : "s", token);
        }
        done = cJSON_ReplaceItemInArray(parent, index, value);
    } else {
        cJSON_Delete(value);
        return gr_fail(error, GR_INVALID, "\"%.40s\" would be part of what is no object or list",
                       token);
    }
    if (done) return GR_OK;
    cJSON_Delete(value);
    return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a JSON document");
}

gr_status json_pointer_set(cJSON *document, const char *pointer, const cJSON *value,
                           gr_error *error) {
    char token[MAXIMUM_TOKEN];
    cJSON *here = document;
    GR_TRY(json_pointer_check(pointer, error));
    for (const char *at = pointer;;) {
        next_token(&at, token);
        if (*at == 0) return put(here, token, cJSON_Duplicate(value, true), error);
        cJSON *inner = step(here, token);
        if (inner == NULL ||
            cJSON_IsNull(inner)) { /* of a list: refused where it has no such item */
            const bool list = at[1] == '-' && (at[2] == 0 || at[2] == '/');
            GR_TRY(put(here, token, list ? cJSON_CreateArray() : cJSON_CreateObject(), error));
            inner = strcmp(token, "-") == 0 && cJSON_IsArray(here)
                        ? cJSON_GetArrayItem(here, cJSON_GetArraySize(here) - 1)
                        : step(here, token);
        }
        here = inner;
    }
}

bool json_pointer_is_within(const char *pointer, const char *outer) {
    const size_t length = strlen(outer);
    return strncmp(pointer, outer, length) == 0 && (pointer[length] == 0 || pointer[length] == '/');
}
