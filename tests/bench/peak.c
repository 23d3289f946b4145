/* What one core can do at most: multiply-accumulates on registers alone, with the vectors of the
 * kernels in use. */
#include <string.h>

#include "tests/bench/bench.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

enum { ROUNDS = 20000, LEAST_RUNS = 20 };

/* COUNT independent sums: more than the latency times the throughput of the instruction, and no
 * more than there are registers for. CLASS: of their registers. */
#define PEAK(NAME, TARGET, VECTOR, SET, ADD, COUNT, CLASS)                      \
    __attribute__((target(TARGET), noinline)) static void NAME(void) {          \
        VECTOR sum[COUNT];                                                      \
        const VECTOR half = SET(0.5f);                                          \
        _Pragma("GCC unroll 24") for (int i = 0; i < COUNT; i++) sum[i] = half; \
        for (int round = 0; round < ROUNDS; round++) {                          \
            _Pragma("GCC unroll 24") for (int i = 0; i < COUNT; i++) {          \
                sum[i] = ADD(sum[i], half, half);                               \
                __asm__ volatile("" : "+" CLASS(sum[i]));                       \
            }                                                                   \
        }                                                                       \
    }
PEAK(peak_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, 24, "v")
PEAK(peak_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, 12, "x")

double bench_peak_gflops(const char *kernels, double seconds) {
    const bool wide = strcmp(kernels, "avx512") == 0;
    if (!wide && strcmp(kernels, "avx2") != 0) return 0;
    double best = 0;
    const double end = bench_now() + seconds;
    for (int run = 0; run < LEAST_RUNS || bench_now() < end; run++) {
        const double began = bench_now();
        (wide ? peak_avx512 : peak_avx2)();
        const double rate = 2e-9 * ROUNDS * (wide ? 24 * 16 : 12 * 8) / (bench_now() - began);
        if (rate > best) best = rate;
    }
    return best;
}

#else

double bench_peak_gflops(const char *kernels, double seconds) {
    (void)kernels, (void)seconds;
    return 0;
}

#endif
