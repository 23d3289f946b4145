#include "core/random.h"

#include <math.h>

#include "core/philox.h"

static void next_round(uint32_t k0, uint32_t k1, uint32_t *w0, uint32_t *w1, uint32_t *w2,
                       uint32_t *w3) {
    const uint64_t p0 = (uint64_t)GR_PHILOX_FACTOR_0 * *w0, p1 = (uint64_t)GR_PHILOX_FACTOR_1 * *w2;
    *w0 = (uint32_t)(p1 >> 32) ^ *w1 ^ k0;
    *w1 = (uint32_t)p1;
    *w2 = (uint32_t)(p0 >> 32) ^ *w3 ^ k1;
    *w3 = (uint32_t)p0;
}

void gr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < GR_PHILOX_ROUNDS; round++) {
        next_round(k0, k1, &c0, &c1, &c2, &c3);
        gr_philox_next_key(&k0, &k1);
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

gr_random gr_random_source(uint64_t seed, gr_purpose purpose, uint32_t stream, uint32_t iteration) {
    uint32_t high = (uint32_t)(seed >> 32) ^ ((uint32_t)purpose << 21);
    return (gr_random){{(uint32_t)seed, high}, stream, iteration};
}

void gr_random_words(const gr_random *random, uint32_t sample, uint32_t block, uint32_t out[4]) {
    const uint32_t counter[4] = {block, sample, random->iteration, random->stream};
    gr_philox(counter, random->key, out);
}

static double uniform_of(uint32_t high, uint32_t low) {
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return (double)bits * 0x1p-53;
}

double gr_random_uniform(const gr_random *random, uint32_t sample, uint32_t element) {
    uint32_t words[4];
    gr_random_words(random, sample, element >> 1, words);
    const uint32_t *pair = words + 2 * (element & 1);
    return uniform_of(pair[0], pair[1]);
}

double gr_random_normal(const gr_random *random, uint32_t sample, uint32_t element) {
    uint32_t words[4];
    gr_random_words(random, sample, element, words);
    double radius = sqrt(-2.0 * log(1.0 - uniform_of(words[0], words[1])));
    return radius * cos(6.283185307179586476925 * uniform_of(words[2], words[3]));
}

int64_t gr_random_below(const gr_random *random, uint32_t sample, uint32_t element, int64_t bound) {
    uint32_t words[4];
    gr_random_words(random, sample, element >> 1, words);
    const uint32_t *pair = words + 2 * (element & 1);
    uint64_t bits = (uint64_t)pair[0] << 32 | pair[1];
    return (int64_t)(((unsigned __int128)bits * (uint64_t)bound) >> 64);
}

void gr_random_permutation(const gr_random *random, uint32_t sample, int64_t count,
                           int64_t *order) {
    for (int64_t i = 0; i < count; i++) {
        int64_t j = gr_random_below(random, sample, (uint32_t)i, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}
