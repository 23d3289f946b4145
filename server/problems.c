/* The list of what is wrong with a document. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/json.h"
#include "server/nearest.h"

void problems_add(problems *list, const char *pointer, const char *format, ...) {
    const size_t position = list->count++;
    if (position >= MAXIMUM_PROBLEMS) return;
    if (!list->items) {
        list->items = calloc(MAXIMUM_PROBLEMS, sizeof *list->items);
        if (!list->items) return; /* the count still says that something is wrong */
    }
    problem *added = &list->items[list->kept++];
    snprintf(added->pointer, sizeof added->pointer, "%s", pointer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(added->detail, sizeof added->detail, format, arguments);
    va_end(arguments);
    drop_cut_character(added->pointer);
    drop_cut_character(added->detail);
}

void problems_locate(problems *list, const char *parameter, size_t column) {
    if (list->kept == 0 || list->kept != list->count) return;
    list->items[list->kept - 1].parameter = parameter;
    list->items[list->kept - 1].column = column;
}

void problems_clear(problems *list) {
    free(list->items);
    memset(list, 0, sizeof *list);
}
