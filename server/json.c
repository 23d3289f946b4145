#include "server/json.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/json_scan.h"

gr_status json_parse(const char *text, size_t length, cJSON **document, gr_error *error) {
    *document = NULL;
    GR_TRY(json_scan(text, length, error));
    *document = cJSON_ParseWithLength(text, length);
    if (!*document) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a JSON document");
    return GR_OK;
}

/* -- memory -------------------------------------------------------------------------------------
 */

static _Thread_local bool memory_failed;

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory) memory_failed = true;
    return memory;
}

void json_watch_memory(void) {
    cJSON_InitHooks(&(cJSON_Hooks){allocate, free});
}

void json_memory_forget(void) {
    memory_failed = false;
}

bool json_memory_failed(void) {
    return memory_failed;
}

bool json_put(cJSON *object, const char *name, cJSON *item) {
    if (item && cJSON_AddItemToObject(object, name, item)) return true;
    cJSON_Delete(item);
    return false;
}

bool json_append(cJSON *list, cJSON *item) {
    if (item && cJSON_AddItemToArray(list, item)) return true;
    cJSON_Delete(item);
    return false;
}

bool json_set(cJSON *object, const char *name, cJSON *item) {
    if (!item) return false;
    if (!cJSON_GetObjectItemCaseSensitive(object, name)) {
        if (cJSON_AddItemToObject(object, name, item)) return true;
        cJSON_Delete(item);
        return false;
    }
    if (cJSON_ReplaceItemInObjectCaseSensitive(object, name, item)) return item->string != NULL;
    cJSON_Delete(item);
    return false;
}

/* -- numbers ------------------------------------------------------------------------------------
 */

static bool reads_back(double value, int digits, char text[JSON_NUMBER_SIZE]) {
    snprintf(text, JSON_NUMBER_SIZE, "%.*g", digits, value);
    return strtod(text, NULL) == value;
}

/* 16 first: what has been computed seldom does with 15. */
const char *json_number_text(double value, char text[JSON_NUMBER_SIZE]) {
    if (!isfinite(value)) {
        snprintf(text, JSON_NUMBER_SIZE, "%s", json_not_finite(value));
        return text;
    }
    char shorter[JSON_NUMBER_SIZE];
    if (!reads_back(value, 16, text))
        snprintf(text, JSON_NUMBER_SIZE, "%.17g", value); /* reads back always */
    else if (reads_back(value, 15, shorter))
        memcpy(text, shorter, JSON_NUMBER_SIZE);
    return text;
}

/* By hand: a page of a list has thousands. */
const char *json_integer_text(int64_t value, char text[JSON_NUMBER_SIZE]) {
    char *at = text + JSON_NUMBER_SIZE - 1;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    *at = 0;
    do *--at = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) *--at = '-';
    return at;
}

cJSON *json_number(double value) {
    if (!isfinite(value)) return cJSON_CreateString(json_not_finite(value));
    char text[JSON_NUMBER_SIZE];
    return cJSON_CreateRaw(json_number_text(value, text));
}

cJSON *json_integer(int64_t value) {
    char text[JSON_NUMBER_SIZE];
    return cJSON_CreateRaw(json_integer_text(value, text));
}

const char *json_not_finite(double value) {
    return isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

bool json_to_double(const cJSON *item, double *value) {
    if (cJSON_IsNumber(item)) {
        *value = item->valuedouble;
        return true;
    }
    if (cJSON_IsRaw(item) && item->valuestring) {
        char *end;
        *value = strtod(item->valuestring, &end);
        return end != item->valuestring && *end == '\0';
    }
    if (!cJSON_IsString(item)) return false;
    if (strcmp(item->valuestring, "NaN") == 0)
        *value = NAN;
    else if (strcmp(item->valuestring, "Infinity") == 0)
        *value = INFINITY;
    else if (strcmp(item->valuestring, "-Infinity") == 0)
        *value = -INFINITY;
    else
        return false;
    return true;
}

/* -- printing ------------------------------------------------------------------------------------
 */

static bool has_numbers(const cJSON *item) {
    for (; item; item = item->next)
        if (cJSON_IsNumber(item) || has_numbers(item->child)) return true;
    return false;
}

/* cJSON's own printing loses bits of a parsed number: replaces each by its exact text. */
static bool make_numbers_raw(cJSON *item) {
    for (; item; item = item->next) {
        if (item->child && !make_numbers_raw(item->child)) return false;
        if (!cJSON_IsNumber(item)) continue;
        char text[JSON_NUMBER_SIZE];
        cJSON *raw = cJSON_CreateRaw(json_number_text(item->valuedouble, text));
        if (!raw) return false;
        item->valuestring = raw->valuestring;
        item->type = cJSON_Raw | (item->type & ~0xFF);
        raw->valuestring = NULL;
        cJSON_Delete(raw);
    }
    return true;
}

/* About the length of the text: room for it at once costs less than growing, which copies it each
 * time. */
static size_t about_length(const cJSON *item) {
    size_t length = 0;
    for (; item; item = item->next) {
        length += 8 + (item->string ? strlen(item->string) : 0);
        if (item->valuestring) length += strlen(item->valuestring);
        length += about_length(item->child);
    }
    return length;
}

static char *print(const cJSON *document, bool pretty) {
    if (!document) return NULL;
    cJSON *copy = NULL;
    if (cJSON_IsNumber(document) || has_numbers(document->child)) {
        copy = cJSON_Duplicate(document, true);
        if (!copy || !make_numbers_raw(copy)) {
            cJSON_Delete(copy);
            return NULL;
        }
        document = copy;
    }
    const size_t length = about_length(document) + 64;
    char *text = pretty || length > INT_MAX ? cJSON_Print(document)
                                            : cJSON_PrintBuffered(document, (int)length, false);
    cJSON_Delete(copy);
    return text;
}

char *json_text(const cJSON *document) {
    return print(document, false);
}

char *json_pretty_text(const cJSON *document) {
    char *tabs = print(document, true);
    if (!tabs) return NULL;
    /* cJSON indents by tabs and puts one after each colon; a tab within a string is escaped. */
    size_t length = 0;
    for (const char *p = tabs; *p; p++) length += *p == '\t' ? 2 : 1;
    char *text = malloc(length + 1), *to = text;
    if (text) {
        for (const char *p = tabs; *p; p++) {
            if (*p != '\t') {
                *to++ = *p;
            } else {
                *to++ = ' ';
                if (p > tabs && p[-1] != ':') *to++ = ' ';
            }
        }
        *to = '\0';
    }
    free(tabs);
    return text;
}

void json_time(int64_t milliseconds, char text[32]) {
    /* The years that RFC 3339 can write. */
    const int64_t first = -62167219200000, last = 253402300799999;
    if (milliseconds < first) milliseconds = first;
    if (milliseconds > last) milliseconds = last;
    int64_t seconds = milliseconds / 1000, rest = milliseconds % 1000;
    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    const time_t time = (time_t)seconds;
    struct tm utc;
    gmtime_r(&time, &utc);
    char date[32];
    snprintf(date, sizeof date, "%04u-%02u-%02uT%02u:%02u:%02u",
             (unsigned)(utc.tm_year + 1900) % 10000, (unsigned)(utc.tm_mon + 1) % 100,
             (unsigned)utc.tm_mday % 100, (unsigned)utc.tm_hour % 100, (unsigned)utc.tm_min % 100,
             (unsigned)utc.tm_sec % 100);
    snprintf(text, 32, "%.19s.%03uZ", date, (unsigned)rest % 1000);
}
