/* Philox4x32's constants and its rounds' keys: for core/random.c, and for kernels of many
 * counters. */
#ifndef CORE_PHILOX_H
#define CORE_PHILOX_H

#include <stdint.h>

enum { GR_PHILOX_ROUNDS = 10 };
#define GR_PHILOX_FACTOR_0 0xD2511F53u
#define GR_PHILOX_FACTOR_1 0xCD9E8D57u

static inline void gr_philox_next_key(uint32_t *k0, uint32_t *k1) {
    *k0 += 0x9E3779B9u;
    *k1 += 0xBB67AE85u;
}

#endif
