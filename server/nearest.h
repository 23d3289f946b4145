/* The right name for a misspelt one. */
#ifndef SERVER_NEAREST_H
#define SERVER_NEAREST_H

#include <stddef.h>

/* The candidate that `name` most likely meant (edit distance with swaps; case, '-' and '_' are the
 * same), or NULL where none is near. */
const char *nearest_name(const char *name, const char *const *candidates, size_t count);

#endif
