/* Normal numbers for many samples and elements at once: those of gr_random_normal, but for
 * roundings of double precision. Plain loops over a few lanes, which the compiler makes vectors of;
 * so the functions have no branches and no calls. */
#include "core/kernels/vector.h"

enum { LANES = 32, ROUNDS = 10 };

/* Philox4x32-10 (core/random.c): the counters' words in place. */
INLINE void philox(const uint32_t key[2], uint32_t words[4][LANES]) {
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        for (int l = 0; l < LANES; l++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * words[0][l];
            const uint64_t p1 = (uint64_t)0xCD9E8D57u * words[2][l];
            words[0][l] = (uint32_t)(p1 >> 32) ^ words[1][l] ^ k0;
            words[1][l] = (uint32_t)p1;
            words[2][l] = (uint32_t)(p0 >> 32) ^ words[3][l] ^ k1;
            words[3][l] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* Uniform on [0, 1), 53 bits, by conversions of signed 32-bit integers, which every set has. */
INLINE double uniform_of(uint32_t high, uint32_t low) {
    const double upper = (double)(int32_t)(high ^ 0x80000000u) + 0x1p31;
    return upper * 0x1p-32 + (double)(int32_t)(low >> 11) * 0x1p-53;
}

/* log x of a normal x > 0: x = 2^e·m with √½ <= m < √2, and log m = 2·artanh s with
 * s = (m - 1)/(m + 1), by its series: |s| <= 0.172. */
INLINE double logarithm(double x) {
    const uint64_t root_of_half = 0x3fe6a09e667f3bcdu, one = (uint64_t)1023 << 52;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int32_t exponent = (int32_t)((bits - root_of_half + one) >> 52) - 1023;
    bits -= (uint64_t)(uint32_t)exponent << 52; /* what is above bit 63 leaves */
    double m;
    memcpy(&m, &bits, sizeof m);
    const double s = (m - 1) / (m + 1), z = s * s;
    double series = 1.0 / 21;
    series = series * z + 1.0 / 19;
    series = series * z + 1.0 / 17;
    series = series * z + 1.0 / 15;
    series = series * z + 1.0 / 13;
    series = series * z + 1.0 / 11;
    series = series * z + 1.0 / 9;
    series = series * z + 1.0 / 7;
    series = series * z + 1.0 / 5;
    series = series * z + 1.0 / 3;
    series = series * z + 1.0;
    return exponent * 0.693147180559945309417 + 2 * s * series;
}

/* cos 2πu of 0 <= u < 1: u = k/4 + t with |t| <= 1/8, and the series of cos 2πt and sin 2πt. */
INLINE double cosine(double u) {
    const int32_t k = (int32_t)(4 * u + 0.5);
    const double a = 6.283185307179586476925 * (u - 0.25 * k), z = a * a;
    double c = -1.0 / 6402373705728000; /* 1/18! */
    c = c * z + 1.0 / 20922789888000;
    c = c * z - 1.0 / 87178291200;
    c = c * z + 1.0 / 479001600;
    c = c * z - 1.0 / 3628800;
    c = c * z + 1.0 / 40320;
    c = c * z - 1.0 / 720;
    c = c * z + 1.0 / 24;
    c = c * z - 1.0 / 2;
    c = c * z + 1.0;
    double s = 1.0 / 355687428096000; /* 1/17! */
    s = s * z - 1.0 / 1307674368000;
    s = s * z + 1.0 / 6227020800;
    s = s * z - 1.0 / 39916800;
    s = s * z + 1.0 / 362880;
    s = s * z - 1.0 / 5040;
    s = s * z + 1.0 / 120;
    s = s * z - 1.0 / 6;
    s = (s * z + 1.0) * a;
    const double value = k & 1 ? s : c; /* cos(a + kπ/2) but for its sign */
    return (k + 1) & 2 ? -value : value;
}

void KERNEL(add_normals)(const gr_random *random, uint32_t first_sample, int64_t samples,
                         int64_t elements, double factor, const gr_real *from, gr_real *to) {
    const int64_t count = samples * elements;
    int64_t sample = 0;
    uint32_t element = 0;
    for (int64_t done = 0; done < count; done += LANES) {
        uint32_t words[4][LANES];
        double values[LANES];
        for (int l = 0; l < LANES; l++) {
            words[0][l] = element;
            words[1][l] = first_sample + (uint32_t)sample;
            words[2][l] = random->iteration;
            words[3][l] = random->stream;
            if (++sample == samples) sample = 0, element++;
        }
        philox(random->key, words);
        for (int l = 0; l < LANES; l++)
            values[l] = sqrt(-2 * logarithm(1 - uniform_of(words[0][l], words[1][l])));
        for (int l = 0; l < LANES; l++)
            values[l] *= factor * cosine(uniform_of(words[2][l], words[3][l]));
        const int64_t left = count - done < LANES ? count - done : LANES;
        for (int64_t l = 0; l < left; l++)
            to[done + l] = (from ? from[done + l] : 0) + (gr_real)values[l];
    }
}
