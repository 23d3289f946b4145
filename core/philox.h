/* One round of Philox4x32 and its rounds' keys: for core/random.c, and for kernels of many
 * counters. */
#ifndef CORE_PHILOX_H
#define CORE_PHILOX_H

#include <stdint.h>

enum { GR_PHILOX_ROUNDS = 10 };
#define GR_PHILOX_FACTOR_0 0xD2511F53u
#define GR_PHILOX_FACTOR_1 0xCD9E8D57u

static inline void gr_philox_round(uint32_t k0, uint32_t k1, uint32_t *w0, uint32_t *w1,
                                   uint32_t *w2, uint32_t *w3) {
    const uint64_t p0 = (uint64_t)GR_PHILOX_FACTOR_0 * *w0, p1 = (uint64_t)GR_PHILOX_FACTOR_1 * *w2;
    *w0 = (uint32_t)(p1 >> 32) ^ *w1 ^ k0;
    *w1 = (uint32_t)p1;
    *w2 = (uint32_t)(p0 >> 32) ^ *w3 ^ k1;
    *w3 = (uint32_t)p0;
}

static inline void gr_philox_next_key(uint32_t *k0, uint32_t *k1) {
    *k0 += 0x9E3779B9u;
    *k1 += 0xBB67AE85u;
}

#endif
