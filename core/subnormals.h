/* Numbers below the smallest normal one, 1.2e-38 for float. Moments and weights of units that no
 * sample reaches any more decay until they get there, and stay: rounded to nearest, nine tenths of
 * the least number are the least number. Each instruction that meets one may then take a hundred
 * cycles. So computations with a network take them for zeros, in operands and results; where the
 * processor has no such mode they stay, and cost time alone. */
#ifndef CORE_SUBNORMALS_H
#define CORE_SUBNORMALS_H

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* Of the calling thread. The caller hands the result to gr_restore_subnormals at the end. */
static inline unsigned gr_flush_subnormals(void) {
#ifdef __x86_64__
    enum { OPERANDS_ARE_ZEROS = 1 << 6, RESULTS_ARE_ZEROS = 1 << 15 };
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | OPERANDS_ARE_ZEROS | RESULTS_ARE_ZEROS);
    return before;
#else
    return 0;
#endif
}

static inline void gr_restore_subnormals(unsigned before) {
#ifdef __x86_64__
    enum { BOTH = 1 << 6 | 1 << 15 };
    _mm_setcsr((_mm_getcsr() & ~(unsigned)BOTH) | (before & BOTH));
#else
    (void)before;
#endif
}

#endif
