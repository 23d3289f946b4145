#include "server/server_log.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/json.h"

/* Not more than PIPE_BUF, so that lines of several threads and processes do not mix. */
enum { LINE_SIZE = 4096 };

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static atomic_int chosen_format = LOG_TEXT, chosen_level = LOG_INFO;

log_field log_text(const char *name, const char *text) {
    return (log_field){.name = name, .text = text ? text : ""};
}

log_field log_integer(const char *name, int64_t value) {
    return (log_field){.name = name, .integer = value, .decimals = -1};
}

log_field log_real(const char *name, double value, int decimals) {
    return (log_field){.name = name, .real = value, .decimals = decimals};
}

void log_start(log_format format, log_level level) {
    atomic_store(&chosen_format, format);
    atomic_store(&chosen_level, level);
}

log_level log_level_from_name(const char *name) {
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++)
        if (strcmp(name, level_names[level]) == 0) return (log_level)level;
    return LOG_INFO;
}

/* -- lines
 * --------------------------------------------------------------------------------------------- */
typedef struct line {
    char text[LINE_SIZE];
    size_t length;
} line;

static void add(line *to, const char *text) {
    while (*text && to->length < LINE_SIZE - 8) to->text[to->length++] = *text++;
}

/* In quotes, escaped as JSON wants it; cut where the line would be too long. */
static void add_quoted(line *to, const char *text) {
    add(to, "\"");
    for (; *text && to->length < LINE_SIZE - 512; text++) {
        char escape[8] = {*text, 0};
        if (*text == '"' || *text == '\\')
            snprintf(escape, sizeof escape, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*text);
        add(to, escape);
    }
    add(to, "\"");
}

static bool is_plain(const char *text) {
    return *text && strcspn(text, " \"\\=\t\r\n") == strlen(text);
}

static void add_value(line *to, const log_field *field, bool json) {
    char number[40];
    if (field->text && !json && is_plain(field->text)) {
        add(to, field->text);
    } else if (field->text) {
        add_quoted(to, field->text);
    } else {
        if (field->decimals < 0)
            snprintf(number, sizeof number, "%lld", (long long)field->integer);
        else
            snprintf(number, sizeof number, "%.*f", field->decimals,
                     isfinite(field->real) ? field->real : 0.0);
        add(to, number);
    }
}

void log_write(log_level level, const char *event, const log_field *fields, size_t count) {
    line out = {.length = 0};
    char time[32];
    if ((int)level < atomic_load(&chosen_level)) return;
    const bool json = atomic_load(&chosen_format) == LOG_JSON;
    json_time(clock_now(), time);
    add(&out, json ? "{\"time\":\"" : "");
    add(&out, time);
    add(&out, json ? "\",\"level\":\"" : " ");
    add(&out, level_names[level]);
    add(&out, json ? "\",\"event\":\"" : " ");
    add(&out, event);
    add(&out, json ? "\"" : "");
    for (size_t i = 0; i < count; i++) {
        add(&out, json ? ",\"" : " ");
        add(&out, fields[i].name);
        add(&out, json ? "\":" : "=");
        add_value(&out, &fields[i], json);
    }
    add(&out, json ? "}\n" : "\n");
    /* Nobody can be told where this fails. */
    (void)!write(STDERR_FILENO, out.text, out.length);
}

void log_request(const http_record *record) {
    log_level level = record->status >= 500 || record->status == 0 ? LOG_WARNING : LOG_INFO;
    if (record->status == 503 || record->status == 507) level = LOG_WARNING;
    if (record->status == 500) level = LOG_ERROR;
    if (strcmp(record->route, "/healthz") == 0 || strcmp(record->route, "/readyz") == 0)
        level = record->status < 500 ? LOG_DEBUG : level;
    LOG(level, "request", log_text("id", record->id), log_text("address", record->address),
        log_text("method", record->method), log_text("route", record->route),
        log_text("path", record->path), log_integer("status", record->status),
        log_real("milliseconds", record->seconds * 1000, 3),
        log_integer("bytes", (int64_t)record->bytes), log_integer("token", record->token),
        log_text("end", record->completed ? "completed" : "broken off"));
}
