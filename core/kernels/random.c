/* Random numbers for many samples and elements at once: normal ones, those of gr_random_normal but
 * for roundings of double precision, and what dropout keeps. Words are drawn in vectors; the rest
 * are plain loops over a few lanes, which the compiler makes vectors of: no branches and no calls.
 */
#include "core/kernels/vector.h"
#include "core/philox.h"

enum { LANES = 32 };

/* Where the numbers of the lanes belong, which are drawn at a time: to all samples of an element,
 * then to those of the next. */
typedef struct places {
    int64_t samples;                 /* of an element */
    int64_t elements_on, samples_on; /* what LANES places further on is */
    int64_t sample[LANES], element[LANES];
} places;

INLINE void first_places(int64_t samples, places *at) {
    at->samples = samples;
    at->elements_on = LANES / samples;
    at->samples_on = LANES % samples;
    for (int l = 0; l < LANES; l++) at->sample[l] = l % samples, at->element[l] = l / samples;
}

INLINE void next_places(places *at) {
    for (int l = 0; l < LANES; l++) {
        const int64_t sample = at->sample[l] + at->samples_on;
        const bool wraps = sample >= at->samples;
        at->sample[l] = wraps ? sample - at->samples : sample;
        at->element[l] += at->elements_on + wraps;
    }
}

/* Philox4x32-10 of (element, sample, iteration, stream): four words for each lane, in the lower
 * halves. */
INLINE void draw(const gr_random *random, uint32_t first_sample, const places *at,
                 uint64_t drawn[4][LANES]) {
    enum { EACH = VECTOR_BYTES / sizeof(uint64_t) };
    for (int l = 0; l < LANES; l += EACH) {
        words w[4] = {*(const words *)(at->element + l),
                      *(const words *)(at->sample + l) + (uint64_t)first_sample,
                      (words){0} + random->iteration, (words){0} + random->stream};
        uint32_t k0 = random->key[0], k1 = random->key[1];
        for (int round = 0; round < GR_PHILOX_ROUNDS; round++) {
            const words p0 = product_of_words(w[0], GR_PHILOX_FACTOR_0),
                        p1 = product_of_words(w[2], GR_PHILOX_FACTOR_1);
            w[0] = upper_words(p1) ^ w[1] ^ (uint64_t)k0;
            w[1] = p1;
            w[2] = upper_words(p0) ^ w[3] ^ (uint64_t)k1;
            w[3] = p0;
            gr_philox_next_key(&k0, &k1);
        }
        for (int i = 0; i < 4; i++) *(words *)(drawn[i] + l) = w[i];
    }
}

/* A word as a number: the lowest digits of 2^52 + word. */
INLINE double number_of(uint64_t word) {
    const uint64_t bits = word | 0x4330000000000000u;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x - 0x1p52;
}

/* Uniform on [0, 1), 53 bits. */
INLINE double uniform_of(uint64_t high, uint64_t low) {
    return number_of(high & 0xffffffffu) * 0x1p-32 + number_of((low & 0xffffffffu) >> 11) * 0x1p-53;
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
    places at;
    first_places(samples, &at);
    for (int64_t done = 0; done < count; done += LANES, next_places(&at)) {
        uint64_t drawn[4][LANES];
        double normals[LANES];
        gr_real values[LANES];
        draw(random, first_sample, &at, drawn);
        for (int l = 0; l < LANES; l++)
            normals[l] = sqrt(-2 * logarithm(1 - uniform_of(drawn[0][l], drawn[1][l]))) *
                         (factor * cosine(uniform_of(drawn[2][l], drawn[3][l])));
        for (int l = 0; l < LANES; l++) values[l] = (gr_real)normals[l];
        const int64_t left = count - done < LANES ? count - done : LANES;
        if (from)
            for (int64_t l = 0; l < left; l++) values[l] += from[done + l];
        memcpy(to + done, values, (size_t)left * sizeof *to);
    }
}

void KERNEL(dropout_mask)(const gr_random *random, uint32_t first_sample, int64_t samples,
                          int64_t elements, uint32_t threshold, gr_real kept, gr_real *factors) {
    const int64_t blocks = (elements + 3) / 4;
    int64_t sample = 0, block = 0; /* of the first lane */
    places at;
    for (first_places(samples, &at); block < blocks; next_places(&at)) {
        uint64_t drawn[4][LANES];
        gr_real values[4][LANES];
        draw(random, first_sample, &at, drawn);
        for (int i = 0; i < 4; i++)
            for (int l = 0; l < LANES; l++)
                values[i][l] = (uint32_t)drawn[i][l] < threshold ? 0 : kept;
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
