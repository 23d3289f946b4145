/* Winograd's transforms along one axis, of vectors of lanes; both axes one after the other make a
 * tile's (winograd.c). */
#ifndef CORE_KERNELS_WINOGRAD_TRANSFORMS_H
#define CORE_KERNELS_WINOGRAD_TRANSFORMS_H

#include "core/kernels/vector.h"
#include "core/kernels/winograd.h"

enum {
    SIZE = WINOGRAD_SIZE,
    MOST_POINTS = WINOGRAD_MOST_POINTS,
    MOST_AREAS = WINOGRAD_MOST_AREAS,
    LONGEST = 5, /* coefficients of what is evaluated: those of a kernel or of a tile's outputs */
    MOST_PAIRS = MOST_POINTS / 2 - 1
};

#define FOR_EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < (count); i++)

/* The points' order: 0, x₀, -x₀, x₁, -x₁, …, ∞. Polynomials in x² have the lowest power first. */
typedef struct point_set {
    gr_real powers[MOST_PAIRS][LONGEST];
    gr_real all[MOST_PAIRS + 1];            /* Π (x² - xᵢ²) */
    gr_real others[MOST_PAIRS][MOST_PAIRS]; /* the same without the pair's own factor */
    /* What a point's value of a kernel is divided by: Π (x - x') over the other points x'. */
    gr_real divisors[MOST_POINTS];
} point_set;

/* By the squares of the pairs' points. */
/* clang-format off */
#define POWERS(x) {1, (x), (x) * (x), (x) * (x) * (x), (x) * (x) * (x) * (x)}
#define DIVISOR(square, others) (2 * (square) * (others))
#define A (0.75 * 0.75)
#define B (1.5 * 1.5)
static const point_set points_of_3 = {
    .powers = {POWERS(0.75), POWERS(1.5)},
    .all = {A * B, -(A + B), 1},
    .others = {{-B, 1}, {-A, 1}},
    .divisors = {A * B, DIVISOR(A, A - B), DIVISOR(A, A - B), DIVISOR(B, B - A), DIVISOR(B, B - A),
                 1},
};
#undef A
#undef B
#define A (0.5 * 0.5)
#define B 1.0
#define C (2.0 * 2.0)
static const point_set points_of_5 = {
    .powers = {POWERS(0.5), POWERS(1.0), POWERS(2.0)},
    .all = {-A * B * C, A * B + A * C + B * C, -(A + B + C), 1},
    .others = {{B * C, -(B + C), 1}, {A * C, -(A + C), 1}, {A * B, -(A + B), 1}},
    .divisors = {-A * B * C, DIVISOR(A, (A - B) * (A - C)), DIVISOR(A, (A - B) * (A - C)),
                 DIVISOR(B, (B - A) * (B - C)), DIVISOR(B, (B - A) * (B - C)),
                 DIVISOR(C, (C - A) * (C - B)), DIVISOR(C, (C - A) * (C - B)), 1},
};
#undef A
#undef B
#undef C
/* clang-format on */

/* Of a kernel of k pixels. */
INLINE const point_set *set_of(const int k) {
    return k == 3 ? &points_of_3 : &points_of_5;
}
INLINE int points_of(const int k) {
    return SIZE + k - 1;
}
INLINE int pairs_of(const int k) {
    return points_of(k) / 2 - 1;
}

enum { SPREAD, COLLECT, REDUCE, REDUCE_BACK };

/* A: the values at the points of the polynomial with `count` coefficients y. */
INLINE void spread(const int k, const int count, const vector *y, vector *z) {
    z[0] = y[0];
    FOR_EACH (i, pairs_of(k)) {
        const gr_real *powers = set_of(k)->powers[i];
        vector even = y[0], odd = powers[1] * y[1];
        if (count > 2) even += powers[2] * y[2];
        if (count > 3) odd += powers[3] * y[3];
        if (count > 4) even += powers[4] * y[4];
        z[1 + 2 * i] = even + odd;
        z[2 + 2 * i] = even - odd;
    }
    z[points_of(k) - 1] = y[count - 1];
}

/* Aᵀ, its transpose. */
INLINE void collect(const int k, const int count, const vector *z, vector *y) {
    FOR_EACH (i, pairs_of(k)) {
        const gr_real *powers = set_of(k)->powers[i];
        const vector even = z[1 + 2 * i] + z[2 + 2 * i], odd = z[1 + 2 * i] - z[2 + 2 * i];
        FOR_EACH (j, count) {
            const vector share = powers[j] * (j % 2 ? odd : even);
            if (i > 0)
                y[j] += share;
            else
                y[j] = share;
        }
    }
    y[0] += z[0];
    y[count - 1] += z[points_of(k) - 1];
}

/* Bᵀ: each point's row is the polynomial that is zero at the others. */
INLINE void reduce(const int k, const vector *x, vector *z) {
    const point_set *set = set_of(k);
    const int pairs = pairs_of(k);
    z[0] = set->all[0] * x[0];
    z[points_of(k) - 1] = set->all[0] * x[1];
    FOR_EACH (j, pairs) {
        z[0] += set->all[j + 1] * x[2 * j + 2];
        z[points_of(k) - 1] += set->all[j + 1] * x[2 * j + 3];
    }
    FOR_EACH (i, pairs) {
        const gr_real *others = set->others[i], point = set->powers[i][1];
        vector even = others[0] * x[2], odd = others[0] * x[1];
        FOR_EACH (j, pairs) {
            if (j == 0) continue;
            even += others[j] * x[2 * j + 2];
            odd += others[j] * x[2 * j + 1];
        }
        z[1 + 2 * i] = even + point * odd;
        z[2 + 2 * i] = even - point * odd;
    }
}

/* B, its transpose. */
INLINE void reduce_back(const int k, const vector *z, vector *x) {
    const point_set *set = set_of(k);
    const int pairs = pairs_of(k);
    const vector zero = z[0], infinite = z[points_of(k) - 1];
    FOR_EACH (j, pairs + 1) {
        x[2 * j] = set->all[j] * zero;
        x[2 * j + 1] = set->all[j] * infinite;
    }
    FOR_EACH (i, pairs) {
        const gr_real *others = set->others[i];
        const vector even = z[1 + 2 * i] + z[2 + 2 * i];
        const vector odd = set->powers[i][1] * (z[1 + 2 * i] - z[2 + 2 * i]);
        FOR_EACH (j, pairs) {
            x[2 * j + 2] += others[j] * even;
            x[2 * j + 1] += others[j] * odd;
        }
    }
}

INLINE void transform(const int k, const int map, const vector *from, vector *to) {
    if (map == SPREAD)
        spread(k, SIZE, from, to);
    else if (map == COLLECT)
        collect(k, SIZE, from, to);
    else if (map == REDUCE)
        reduce(k, from, to);
    else
        reduce_back(k, from, to);
}

/* The second axis: row `r` of the result from half[r]. */
typedef vector half_tile[MOST_POINTS][MOST_POINTS];

INLINE void keep_column(const int rows, const int c, const vector *column, half_tile half) {
    FOR_EACH (r, rows) half[r][c] = column[r];
}

#endif
