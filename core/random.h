/* Random numbers as functions of (seed, purpose, stream, iteration, sample, element): Philox4x32-10
 * (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). Nothing has a running
 * position: any number can be drawn again, in any order, by any thread. */
#ifndef CORE_RANDOM_H
#define CORE_RANDOM_H

#include <stdint.h>

/* What a number is for: part of the key, so that no two uses share numbers. Append only: a changed
 * value changes every result. */
typedef enum gr_purpose {
    GR_PURPOSE_SPLIT = 1,
    GR_PURPOSE_LABEL_NOISE = 2,
    GR_PURPOSE_INITIALIZATION = 3,
    GR_PURPOSE_ORDER = 4,
    GR_PURPOSE_DROPOUT = 5,
    GR_PURPOSE_PROBE = 6,
    GR_PURPOSE_AUGMENTATION = 7,
    GR_PURPOSE_INPUT_NOISE = 8,
    GR_PURPOSE_GENERATED_DATA = 9,
    GR_PURPOSE_ANALYSIS = 10
} gr_purpose;

typedef struct gr_random {
    uint32_t key[2];
    uint32_t stream;    /* which layer, regulariser, … of the same purpose */
    uint32_t iteration; /* or epoch */
} gr_random;

/* The block function itself: 128 random bits of a 128-bit counter and a 64-bit key. */
void gr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* seed: 0 … 2^53 - 1 (the purpose takes the bits above). */
gr_random gr_random_source(uint64_t seed, gr_purpose purpose, uint32_t stream, uint32_t iteration);

/* Four words of (sample, block): the unit that the functions below are made of. */
void gr_random_words(const gr_random *random, uint32_t sample, uint32_t block, uint32_t out[4]);

/* Uniform on [0, 1), 53 bits. */
double gr_random_uniform(const gr_random *random, uint32_t sample, uint32_t element);
/* Standard normal (Box-Muller; one block a number). */
double gr_random_normal(const gr_random *random, uint32_t sample, uint32_t element);
/* Uniform on 0 … bound - 1 (bias below 2^-32 for bounds up to 2^32). */
int64_t gr_random_below(const gr_random *random, uint32_t sample, uint32_t element, int64_t bound);
/* A uniform permutation of 0 … count - 1 (Fisher-Yates), a function of (random, sample). */
void gr_random_permutation(const gr_random *random, uint32_t sample, int64_t count, int64_t *order);

#endif
