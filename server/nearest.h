/* The right name for a misspelt one. */
#ifndef SERVER_NEAREST_H
#define SERVER_NEAREST_H

#include <stddef.h>

/* The candidate that `name` most likely meant (edit distance with swaps; case, '-' and '_' are the
 * same), or NULL where none is near. */
const char *nearest_name(const char *name, const char *const *candidates, size_t count);

/* snprintf may cut a character in two: drops the one that was begun at the end, so that what is
 * left of UTF-8 is UTF-8. */
void drop_cut_character(char *text);

#endif
