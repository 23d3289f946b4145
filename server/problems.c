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

void problems_add(problems *problems, const char *pointer, const char *format, ...) {
    const size_t position = problems->count++;
    if (position >= MAXIMUM_PROBLEMS) return;
    if (!problems->items) {
        problems->items = calloc(MAXIMUM_PROBLEMS, sizeof *problems->items);
        if (!problems->items) return; /* the count still says that something is wrong */
    }
    problem *added = &problems->items[problems->kept++];
    snprintf(added->pointer, sizeof added->pointer, "%s", pointer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(added->detail, sizeof added->detail, format, arguments);
    va_end(arguments);
    drop_cut_character(added->pointer);
    drop_cut_character(added->detail);
}

void problems_clear(problems *problems) {
    free(problems->items);
    memset(problems, 0, sizeof *problems);
}
