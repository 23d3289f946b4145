/* Fewer points of a series, chosen so that a plot of them shows what the whole would. */
#ifndef SERVER_DOWNSAMPLE_H
#define SERVER_DOWNSAMPLE_H

#include "server/store.h"

/* Writes the indices of at most `maximum` (>= 2) of the `count` rows to `kept` (room for `count`),
 * ascending: the first, the last, and of each of equal parts of the rest the row of least and the
 * row of greatest value (the first of equals; NaN is neither unless a part has nothing else).
 * Returns how many. */
size_t downsample(const metric_row *rows, size_t count, size_t maximum, size_t *kept);

#endif
