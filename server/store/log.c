/* The log of each experiment: what happened to it, a line each, for people. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/store/internal.h"

enum { MAXIMUM_LINES = 1000, LINE_SIZE = 640 };

gr_status log_add(database *db, int64_t id, const char *level, gr_error *error, const char *format,
                  ...) {
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' ';
    int64_t number;
    GR_TRY(database_integer(db, &number, 0, error,
                            "SELECT coalesce(max(number), 0) + 1 FROM log WHERE experiment = ?1",
                            "i", id));
    GR_TRY(database_run(db, NULL, error, "INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5)", "iiitt", id,
                        number, clock_now(), level, text));
    if (number <= MAXIMUM_LINES) return GR_OK;
    return database_run(db, NULL, error,
                        "DELETE FROM log WHERE experiment = ?1 AND number <= ?2 "
                        "AND number > 1", /* the first line says when it was submitted */
                        "ii", id, number - MAXIMUM_LINES);
}

static gr_status read_lines(database *db, sqlite3_stmt *statement, log_line **result,
                            size_t *result_count, gr_error *error) {
    log_line *lines = NULL;
    size_t count = 0, capacity = 0;
    gr_status status = GR_OK;
    for (;;) {
        bool row;
        GR_TRY_OR(failed, database_step(db, statement, &row, error));
        if (!row) break;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 32;
            log_line *larger = realloc(lines, capacity * sizeof *lines);
            if (!larger) {
                status = gr_fail(error, GR_OUT_OF_MEMORY, "store: out of memory");
                goto failed;
            }
            lines = larger;
        }
        log_line *line = &lines[count];
        *line = (log_line){.number = sqlite3_column_int64(statement, 0),
                           .time = sqlite3_column_int64(statement, 1)};
        const char *level = (const char *)sqlite3_column_text(statement, 2);
        snprintf(line->level, sizeof line->level, "%s", level ? level : "");
        GR_TRY_OR(failed, database_text(statement, 3, &line->text, error));
        count++;
    }
    *result = lines;
    *result_count = count;
    return GR_OK;

failed:
    sqlite3_reset(statement);
    log_lines_free(lines, count);
    return status;
}

gr_status store_log(store *self, int64_t id, log_line **lines, size_t *count, gr_error *error) {
    *lines = NULL;
    *count = 0;
    database *db;
    sqlite3_stmt *statement;
    GR_TRY(readers_take(self->readers, &db, error));
    gr_status status = experiment_require(db, id, error);
    if (status == GR_OK)
        status = database_query(db, &statement, error,
                                "SELECT number, time, level, text FROM log WHERE experiment = ?1 "
                                "ORDER BY number",
                                "i", id);
    if (status == GR_OK) status = read_lines(db, statement, lines, count, error);
    readers_give(self->readers, db);
    return status;
}

void log_lines_free(log_line *lines, size_t count) {
    for (size_t i = 0; i < count; i++) free(lines[i].text);
    free(lines);
}
