/* The smooth functions of elementwise layers, each with its first and second derivative, by
 * formulas that lose no digits where a function is near 0 or a derivative vanishes. Plain loops
 * over a few lanes, which the compiler makes vectors of; so the functions have no branches and no
 * calls. A NaN is passed on. */
#include "core/kernels/vector.h"

enum { LANES = 32 };

/* What depends on the precision: how many terms of the series count, where 2ⁿ would leave the
 * normal numbers, and how a number lies in its bits. */
#ifdef GR_DOUBLE
enum { EXPONENTIAL_TERMS = 13, LOGARITHM_TERMS = 17, LIMIT = 700, FRACTION_BITS = 52, BIAS = 1023 };
typedef uint64_t real_bits;
/* log 2 in two parts; n times the first is exact. */
static const double log_2_high = 6.93147180369123816490e-01, log_2_low = 1.90821492927058770002e-10;
#else
enum { EXPONENTIAL_TERMS = 7, LOGARITHM_TERMS = 7, LIMIT = 86, FRACTION_BITS = 23, BIAS = 127 };
typedef uint32_t real_bits;
static const float log_2_high = 0.693359375f, log_2_low = -2.12194440e-4f;
#endif

/* terms[0]·z^(count - 1) + … + terms[count - 1], by Horner's scheme. */
INLINE gr_real series(int count, const gr_real *terms, gr_real z) {
    gr_real sum = terms[0];
    for (int i = 1; i < count; i++) sum = sum * z + terms[i];
    return sum;
}

/* eˣ, and eˣ - 1 with its leading digits where x is near 0. */
typedef struct exponential {
    gr_real value, less_one;
} exponential;

/* Of x <= LIMIT; below -LIMIT that of -LIMIT. x = n·log 2 + r with |r| <= ½ log 2, and the series
 * of eʳ - 1, whose first term that is left out is below half a rounding of the sum. */
INLINE exponential exponential_of(gr_real x) {
    static const gr_real terms[] = {
        (gr_real)(1.0 / 6227020800), /* 13! */
        (gr_real)(1.0 / 479001600),  (gr_real)(1.0 / 39916800), (gr_real)(1.0 / 3628800),
        (gr_real)(1.0 / 362880),     (gr_real)(1.0 / 40320),    (gr_real)(1.0 / 5040),
        (gr_real)(1.0 / 720),        (gr_real)(1.0 / 120),      (gr_real)(1.0 / 24),
        (gr_real)(1.0 / 6),          (gr_real)(1.0 / 2),        1};
    x = x < -LIMIT ? -LIMIT : x;
    /* The sum's last digit is 1, so that its lowest bits are n. */
    const gr_real digits = (gr_real)(3ll << (FRACTION_BITS - 1));
    const gr_real sum = x * (gr_real)1.44269504088896340736 + digits, n = sum - digits;
    const gr_real r = (x - n * log_2_high) - n * log_2_low;
    const gr_real q = r * series(EXPONENTIAL_TERMS, terms + 13 - EXPONENTIAL_TERMS, r);
    real_bits bits;
    memcpy(&bits, &sum, sizeof bits);
    bits = (bits + BIAS) << FRACTION_BITS;
    gr_real power; /* 2ⁿ */
    memcpy(&power, &bits, sizeof power);
    return (exponential){power + power * q, (power - 1) + power * q};
}

/* log(1 + u) of 0 <= u <= 1: 2·artanh s with s = u/(2 + u), by its series: s <= 1/3. */
INLINE gr_real logarithm_of_one_and(gr_real u) {
    static const gr_real terms[] = {(gr_real)(1.0 / 33),
                                    (gr_real)(1.0 / 31),
                                    (gr_real)(1.0 / 29),
                                    (gr_real)(1.0 / 27),
                                    (gr_real)(1.0 / 25),
                                    (gr_real)(1.0 / 23),
                                    (gr_real)(1.0 / 21),
                                    (gr_real)(1.0 / 19),
                                    (gr_real)(1.0 / 17),
                                    (gr_real)(1.0 / 15),
                                    (gr_real)(1.0 / 13),
                                    (gr_real)(1.0 / 11),
                                    (gr_real)(1.0 / 9),
                                    (gr_real)(1.0 / 7),
                                    (gr_real)(1.0 / 5),
                                    (gr_real)(1.0 / 3),
                                    1};
    const gr_real s = u / (2 + u);
    return 2 * s * series(LOGARITHM_TERMS, terms + 17 - LOGARITHM_TERMS, s * s);
}

typedef struct point {
    gr_real y, slope, bend;
} point;
typedef point smooth_function(gr_real x);

/* With e = e²ˣ: y = (e - 1)/(e + 1), σ′ = 4e/(e + 1)², σ″ = -2yσ′. */
INLINE point tanh_at(gr_real x) {
    const exponential e = exponential_of(x > LIMIT / 2 ? LIMIT : 2 * x);
    const gr_real inverse = 1 / (e.less_one + 2), y = e.less_one * inverse;
    const gr_real slope = 4 * (e.value * inverse) * inverse;
    return (point){y, slope, -2 * y * slope};
}

/* With u = exp(-|x|): y = 1/(1 + u) above 0 and u/(1 + u) below, σ′ = u/(1 + u)², σ″ = σ′(1 - 2y).
 */
INLINE point sigmoid_at(gr_real x) {
    const gr_real u = exponential_of(x > 0 ? -x : x).value, inverse = 1 / (1 + u);
    const gr_real y = x > 0 ? inverse : u * inverse, slope = u * inverse * inverse;
    return (point){y, slope, slope * (1 - 2 * y)};
}

/* y = max(x, 0) + log(1 + u); σ′ is the sigmoid. */
INLINE point softplus_at(gr_real x) {
    const gr_real u = exponential_of(x > 0 ? -x : x).value, inverse = 1 / (1 + u);
    return (point){(x > 0 ? x : 0) + logarithm_of_one_and(u), x > 0 ? inverse : u * inverse,
                   u * inverse * inverse};
}

INLINE point elu_at(gr_real x) {
    const exponential e = exponential_of(x > 0 ? 0 : x);
    return (point){x > 0 ? x : e.less_one, x > 0 ? 1 : e.value, x > 0 ? 0 : e.value};
}

INLINE void for_each(smooth_function *function, int64_t count, const gr_real *x, gr_real *y,
                     gr_real *slope, gr_real *bend) {
    for (int64_t done = 0; done < count; done += LANES) {
        gr_real at[LANES], values[3][LANES];
        memcpy(at, x + done, sizeof at); /* past the end there is slack */
        for (int l = 0; l < LANES; l++) {
            const point p = function(at[l]);
            values[0][l] = p.y;
            values[1][l] = p.slope;
            values[2][l] = p.bend;
        }
        const int64_t left = count - done;
        gr_real *const to[] = {y + done, slope + done, bend + done};
        for (int i = 0; i < 3; i++)
            if (left >= LANES)
                memcpy(to[i], values[i], sizeof values[i]);
            else
                memcpy(to[i], values[i], (size_t)left * sizeof(gr_real));
    }
}

#define SMOOTH(name)                                                               \
    void KERNEL(name)(int64_t count, const gr_real *x, gr_real *y, gr_real *slope, \
                      gr_real *bend) {                                             \
        for_each(name##_at, count, x, y, slope, bend);                             \
    }
SMOOTH(tanh)
SMOOTH(sigmoid)
SMOOTH(softplus)
SMOOTH(elu)
