/* Durations counted by size, as Prometheus wants them. */
#ifndef SERVER_HISTOGRAM_H
#define SERVER_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 12 };

typedef struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last: longer than every bound */
    double sum;                            /* seconds */
} histogram;

/* The upper bounds in seconds, ascending. */
extern const double histogram_bounds[HISTOGRAM_BOUNDS];
void histogram_add(histogram *histogram, double seconds);

#endif
