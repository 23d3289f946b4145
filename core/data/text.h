/* Texts that come from files: names of columns and classes. */
#ifndef CORE_DATA_TEXT_H
#define CORE_DATA_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `length` bytes are UTF-8 (no overlong forms, no surrogates) without control characters:
 * fit for messages, JSON and a terminal. */
bool gr_text_printable(const char *text, size_t length);

#endif
