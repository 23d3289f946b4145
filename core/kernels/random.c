/* Random numbers for many samples and elements at once: normal ones, those of gr_random_normal but
 * for roundings of double precision, and what dropout keeps. Plain loops over a few lanes, which
 * the compiler makes vectors of; so the functions have no branches and no calls. */
#include "core/kernels/vector.h"
#include "core/philox.h"

enum { LANES = 32 };

/* Philox4x32-10: the counters' words in place. */
INLINE void philox(const uint32_t key[2], uint32_t words[4][LANES]) {
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < GR_PHILOX_ROUNDS; round++) {
        for (int l = 0; l < LANES; l++)
            gr_philox_round(k0, k1, &words[0][l], &words[1][l], &words[2][l], &words[3][l]);
        gr_philox_next_key(&k0, &k1);
    }
}

/* Uniform on [0, 1), 53 bits, by conversions of signed 32-bit integers, which every set has. */
INLINE double uniform_of(uint32_t high, uint32_t low) {
    const double upper = (double)(int32_t)(high ^ 0x80000000u) + 0x1p31;
    return upper * 0x1p-32 + (double)(int32_t)(low >> 11) * 0x1p-53;
}

/* terms[0]·z^(count - 1) + … + terms[count - 1], by Horner's scheme. */
INLINE double polynomial(int count, const double *terms, double z) {
    double sum = terms[0];
    for (int i = 1; i < count; i++) sum = sum * z + terms[i];
    return sum;
}

/* log x of a normal x > 0: x = 2^e·m with √½ <= m < √2, and log m = 2·artanh s with
 * s = (m - 1)/(m + 1), by its series: |s| <= 0.172. */
INLINE double logarithm(double x) {
    static const double terms[] = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11,
                                   1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3,  1.0};
    const uint64_t root_of_half = 0x3fe6a09e667f3bcdu, one = (uint64_t)1023 << 52;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int32_t exponent = (int32_t)((bits - root_of_half + one) >> 52) - 1023;
    bits -= (uint64_t)(uint32_t)exponent << 52; /* what is above bit 63 leaves */
    double m;
    memcpy(&m, &bits, sizeof m);
    const double s = (m - 1) / (m + 1);
    return exponent * 0.693147180559945309417 + 2 * s * polynomial(11, terms, s * s);
}

/* cos 2πu of 0 <= u < 1: u = k/4 + t with |t| <= 1/8, and the series of cos 2πt and sin 2πt. */
INLINE double cosine(double u) {
    static const double cosine_terms[] = {-1.0 / 6402373705728000, /* 18! */
                                          1.0 / 20922789888000,
                                          -1.0 / 87178291200,
                                          1.0 / 479001600,
                                          -1.0 / 3628800,
                                          1.0 / 40320,
                                          -1.0 / 720,
                                          1.0 / 24,
                                          -1.0 / 2,
                                          1.0};
    static const double sine_terms[] = {
        1.0 / 355687428096000, /* 17! */
        -1.0 / 1307674368000,  1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880,
        -1.0 / 5040,           1.0 / 120,        -1.0 / 6,        1.0};
    const int32_t k = (int32_t)(4 * u + 0.5);
    const double a = 6.283185307179586476925 * (u - 0.25 * k), z = a * a;
    /* cos(a + kπ/2) but for its sign */
    const double c = polynomial(10, cosine_terms, z), s = a * polynomial(9, sine_terms, z);
    const double value = k & 1 ? s : c;
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

void KERNEL(dropout_mask)(const gr_random *random, uint32_t first_sample, int64_t samples,
                          int64_t elements, uint32_t threshold, gr_real kept, gr_real *factors) {
    const int64_t blocks = (elements + 3) / 4;
    int64_t sample = 0, block = 0; /* of the first lane */
    while (block < blocks) {
        uint32_t words[4][LANES];
        gr_real values[4][LANES];
        int64_t of_lane = sample, block_of_lane = block;
        for (int l = 0; l < LANES; l++) {
            words[0][l] = (uint32_t)block_of_lane;
            words[1][l] = first_sample + (uint32_t)of_lane;
            words[2][l] = random->iteration;
            words[3][l] = random->stream;
            if (++of_lane == samples) of_lane = 0, block_of_lane++;
        }
        philox(random->key, words);
        for (int i = 0; i < 4; i++)
            for (int l = 0; l < LANES; l++) values[i][l] = words[i][l] < threshold ? 0 : kept;
        /* A block's elements are rows of samples. */
        for (int64_t l = 0; l < LANES && block < blocks;) {
            const int64_t left = samples - sample, count = left < LANES - l ? left : LANES - l;
            for (int64_t i = 0; i < 4 && 4 * block + i < elements; i++) {
                gr_real *to = factors + (4 * block + i) * samples + sample;
                for (int64_t k = 0; k < count; k++) to[k] = values[i][l + k];
            }
            l += count;
            sample += count;
            if (sample == samples) sample = 0, block++;
        }
    }
}
