/* The server's log on standard error: one line for each thing that happened, as text for people or
 * as a JSON object for programs. From any thread. Secrets have no way into it: what is logged of a
 * request is its path, never its query, headers or body. */
#ifndef SERVER_SERVER_LOG_H
#define SERVER_SERVER_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "server/http.h"

typedef enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR } log_level;
typedef enum log_format { LOG_TEXT, LOG_JSON } log_format;

/* One thing that is said of an event. Build them with the three functions below. */
typedef struct log_field {
    const char *name, *text; /* text: a text field's value, NULL for the others */
    double real;
    int64_t integer;
    int decimals; /* of a real number; -1: an integer */
} log_field;
log_field log_text(const char *name, const char *text);
log_field log_integer(const char *name, int64_t value);
log_field log_real(const char *name, double value, int decimals);

/* What is less grave than `level` is not logged. Until this is called: text, LOG_INFO. */
void log_start(log_format format, log_level level);
/* "debug", "info", "warning", "error" → level; LOG_INFO for another name. */
log_level log_level_from_name(const char *name);

/* `event` names what happened: "started", "request". Lines too long for one write are cut. */
void log_write(log_level level, const char *event, const log_field *fields, size_t count);
#define LOG(level, event, ...)                                \
    log_write(level, event, (const log_field[]){__VA_ARGS__}, \
              sizeof((const log_field[]){__VA_ARGS__}) / sizeof(log_field))

/* A request that was answered: an error where the server failed, debug for health checks. */
void log_request(const http_record *record);

#endif
