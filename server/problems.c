/* The list of what is wrong with a document. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/json.h"

/* snprintf may cut a character in two: drops the begun one, so that what is left is UTF-8. */
static void drop_cut_character(char *text) {
    size_t length = strlen(text), start = length;
    while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0) return;
    const unsigned char lead = (unsigned char)text[start - 1];
    const size_t needed = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (length - (start - 1) < needed) text[start - 1] = '\0';
}

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
