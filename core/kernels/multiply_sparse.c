/* The products of a linear layer's backward pass with adjoints that are 0 in many places, as a relu
 * leaves them: a row of sums, as many vectors as registers hold, adds the multiples of rows that a
 * mask of 64 bits names. Each product takes a load, where a dense tile shares it between its rows,
 * so the rows that are read are packed for the first-level cache. The order of the sums is that of
 * the terms, with the zeros left out. And the products of tangents that a relu behind will stop in
 * many places: those are left out the same way.
 */
#include "core/kernels/multiply.h"

/* The sums of a row beside a factor and, without fused products, a product. */
#if defined(GR_KERNEL_SET_avx512)
enum { ROW_VECTORS = 13 }; /* of 30: so that 50 packed rows fit a first-level cache of 48 KB */
#define EACH_WIDTH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#elif defined(GR_KERNEL_SET_avx2)
enum { ROW_VECTORS = 14 };
#define EACH_WIDTH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
enum { ROW_VECTORS = 12 };
#define EACH_WIDTH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#endif
/* Terms of a mask; reals of a packed row; units whose adjoints are turned at once; reals of a line
 * of the cache. */
enum { TERMS = 64, WIDE = ROW_VECTORS * LANES, UNITS = 256, LINE = 64 / sizeof(gr_real) };

#define ALIGNED __attribute__((aligned(GR_ALIGNMENT)))

/* c[row][column] = Σ factors[row][term]·b[term][column] over the terms whose bits are set, at most
 * WIDE columns, or added to what is there. Only `columns` are written. */
typedef struct sparse_product {
    int64_t rows, columns;
    const uint64_t *terms; /* of each row */
    const gr_real *factors, *b;
    int64_t factors_row, b_term; /* strides */
    bool add;
    bool far; /* what is there is not in the first-level cache: fetched a row ahead */
    gr_real *c;
    int64_t c_row;
} sparse_product;

INLINE void add_terms(const int V, const sparse_product *p) {
    const gr_real *factors = p->factors, *b = p->b;
    const int64_t factors_row = p->factors_row, b_term = p->b_term, c_row = p->c_row;
    const int64_t left = p->columns - (V - 1) * LANES;
    const bool add = p->add, far = p->far;
    gr_real *c = p->c;
    for (int64_t row = 0; row < p->rows; row++, factors += factors_row, c += c_row) {
        vector sum[ROW_VECTORS];
        if (add)
            FOR_EACH (v, V) sum[v] = load(c + v * LANES);
        else
            FOR_EACH (v, V) sum[v] = (vector){0};
        if (far)
            FOR_EACH (v, V) __builtin_prefetch(c + c_row + v * LANES, 1);
        for (uint64_t terms = p->terms[row]; terms; terms &= terms - 1) {
            const int term = __builtin_ctzll(terms);
            const vector factor = broadcast(factors[term]);
            const gr_real *at = fixed(b + term * b_term);
            FOR_EACH (v, V) sum[v] += factor * load(at + v * LANES);
        }
        FOR_EACH (v, V - 1) store(c + v * LANES, sum[v]);
        store_lanes(c + (V - 1) * LANES, left, sum[V - 1]);
    }
}

typedef void product_function(const sparse_product *p);

#define WIDTH(V)                                         \
    static void add_terms_##V(const sparse_product *p) { \
        add_terms(V, p);                                 \
    }
#define NAME(V) add_terms_##V,
EACH_WIDTH(WIDTH)
static product_function *const products[ROW_VECTORS] = {EACH_WIDTH(NAME)};

static void multiply(const sparse_product *p) {
    products[quotient_up(p->columns, LANES) - 1](p);
}

/* Bit i: whether d[i] is not 0, for i < count, at most TERMS. */
INLINE uint64_t terms_of(int64_t count, const gr_real *d) {
    uint64_t terms = 0;
    for (int64_t i = 0; i < count; i += LANES) terms |= not_zero(load(d + i)) << i;
    return count < TERMS ? terms & (((uint64_t)1 << count) - 1) : terms;
}

/* Whether a product is so large that leaving a part out pays. */
static bool is_large(int64_t units, int64_t in, int64_t lanes) {
    enum { LEAST = 16, LEAST_IN = 96 };
    return units >= LEAST && lanes >= LEAST && in >= LEAST_IN;
}

/* Whether at most three fifths of d's numbers are not 0, or positive: judged by every fourth
 * vector.
 */
INLINE bool are_few(uint64_t (*bits)(vector), int64_t count, const gr_real *d) {
    int64_t found = 0, seen = 0;
    for (int64_t i = 0; i + LANES <= count; i += 4 * LANES, seen += LANES)
        found += __builtin_popcountll(bits(load(d + i)));
    return 5 * found <= 3 * seen;
}

bool KERNEL(sparse_pays)(int64_t units, int64_t in, int64_t lanes, const gr_real *d_out) {
    return is_large(units, in, lanes) && are_few(not_zero, units * lanes, d_out);
}

/* Adjoints of at most UNITS units in at most TERMS lanes, turned: [lane][unit], and which are not
 * 0, for each block of units. */
typedef struct turned_adjoints {
    int64_t lanes;
    tiling blocks;
    gr_real d[TERMS * UNITS + LANES];
    uint64_t terms[UNITS / TERMS][TERMS];
} turned_adjoints;

/* d_out's rows are `stride` apart. */
static void turn_adjoints(int64_t units, int64_t lanes, const gr_real *d_out, int64_t stride,
                          turned_adjoints *to) {
    to->lanes = lanes;
    to->blocks = tiling_of(units, TERMS);
    turn(units, lanes, d_out, stride, to->d, UNITS);
    for (int64_t block = 0, unit = 0; block < to->blocks.tiles; block++) {
        const int64_t count = size_of(to->blocks, block);
        for (int64_t lane = 0; lane < lanes; lane++)
            to->terms[block][lane] = terms_of(count, to->d + lane * UNITS + unit);
        unit += count;
    }
}

/* Whether rows `distance` apart can be read where they are: whole lines of the cache, over which
 * the distance spreads them. */
INLINE bool spreads(int64_t distance, const gr_real *rows) {
    return distance % (2 * LINE) == LINE && (uintptr_t)rows % (LINE * sizeof(gr_real)) == 0;
}

/* result[lane][column] = Σ weights[unit][column]·d_out[unit][lane] for some columns, or added to
 * what is there; the weights' rows are `in` apart. */
static void add_weights(const turned_adjoints *d_out, const gr_real *weights, int64_t in,
                        int64_t columns, bool add, gr_real *result, int64_t result_row) {
    gr_real packed[TERMS * WIDE] ALIGNED;
    const bool in_place = spreads(in, weights);
    for (int64_t block = 0, unit = 0; block < d_out->blocks.tiles; block++) {
        const int64_t count = size_of(d_out->blocks, block);
        for (int64_t u = 0; u < count && !in_place; u++)
            for (int64_t v = 0; v < columns; v += LANES)
                store(packed + u * WIDE + v, load(weights + (unit + u) * in + v));
        multiply(&(sparse_product){.rows = d_out->lanes,
                                   .columns = columns,
                                   .terms = d_out->terms[block],
                                   .factors = d_out->d + unit,
                                   .factors_row = UNITS,
                                   .b = in_place ? weights + unit * in : packed,
                                   .b_term = in_place ? in : WIDE,
                                   .add = add || block > 0,
                                   .c = result,
                                   .c_row = result_row});
        unit += count;
    }
}

/* Each lane adds up the weights of its units, [lane][in]; that is turned, unless it is wanted so.
 */
void KERNEL(sparse_transposed)(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                               const gr_real *d_out, bool turned, gr_real *d_in) {
    gr_real result[TERMS * WIDE] ALIGNED;
    turned_adjoints d;
    const int64_t lane_blocks = quotient_up(lanes, TERMS), parts = quotient_up(units, UNITS);
    const tiling vectors = tiling_of(quotient_up(in, LANES), ROW_VECTORS);
    for (int64_t part = 0; part < lane_blocks * parts; part++) {
        int64_t lane, unit;
        const int64_t count = share_of(lanes, lane_blocks, part / parts, &lane);
        const int64_t some = share_of(units, parts, part % parts, &unit);
        const bool add = part % parts > 0;
        turn_adjoints(some, count, d_out + unit * lanes + lane, lanes, &d);
        for (int64_t i = 0, column = 0; i < vectors.tiles; i++) {
            const int64_t wide = size_of(vectors, i) * LANES, columns = smaller(in - column, wide);
            const gr_real *from = weights + unit * in + column;
            gr_real *to = d_in + (turned ? lane * in + column : column * lanes + lane);
            if (turned) {
                add_weights(&d, from, in, columns, add, to, in);
            } else {
                if (add) turn(columns, count, to, lanes, result, WIDE);
                add_weights(&d, from, in, wide, add, result, WIDE);
                turn(count, columns, result, WIDE, to, lanes);
            }
            column += wide;
        }
    }
}

/* The inputs of each unit's lanes are added up: the inputs turned, [lane][in], are the packed rows.
 */
void KERNEL(sparse_accumulate)(int64_t units, int64_t in, int64_t lanes, const gr_real *d_out,
                               bool turned, const gr_real *x, gr_real *d_weights) {
    enum { MOST_UNITS = 1024 };
    gr_real packed[TERMS * WIDE] ALIGNED;
    const bool in_place = turned && spreads(in, x);
    uint64_t terms[MOST_UNITS];
    const int64_t blocks = quotient_up(lanes, TERMS), parts = quotient_up(units, MOST_UNITS);
    const tiling vectors = tiling_of(quotient_up(in, LANES), ROW_VECTORS);
    for (int64_t part = 0; part < blocks * parts; part++) {
        int64_t lane, unit;
        const int64_t count = share_of(lanes, blocks, part / parts, &lane);
        const int64_t some = share_of(units, parts, part % parts, &unit);
        const gr_real *factors = d_out + unit * lanes + lane;
        for (int64_t u = 0; u < some; u++) terms[u] = terms_of(count, factors + u * lanes);
        for (int64_t i = 0, column = 0; i < vectors.tiles; i++) {
            const int64_t wide = size_of(vectors, i) * LANES, columns = smaller(in - column, wide);
            if (!in_place)
                lanes_of(x, in, lanes, turned, lane, count, column, columns, packed, WIDE);
            /* far: the second-level cache holds no more than a few layers */
            multiply(&(sparse_product){.rows = some,
                                       .columns = columns,
                                       .terms = terms,
                                       .factors = factors,
                                       .factors_row = lanes,
                                       .b = in_place ? x + lane * in + column : packed,
                                       .b_term = in_place ? in : WIDE,
                                       .add = true,
                                       .far = true,
                                       .c = d_weights + unit * in + column,
                                       .c_row = in});
            column += wide;
        }
    }
}

/* -- tangents that a relu lets through
 * --------------------------------------------------------------------- */

/* Vectors of weights in registers: the more, the fewer sums within vectors there are to add up; and
 * lanes at once, so that their columns fit the first-level cache. */
#if defined(GR_KERNEL_SET_avx512)
enum { KEPT_VECTORS = 17, KEPT_LANES = 32 };
#define EACH_KEPT(X) EACH_WIDTH(X) X(14) X(15) X(16) X(17)
#else
enum { KEPT_VECTORS = ROW_VECTORS, KEPT_LANES = TERMS };
#define EACH_KEPT(X) EACH_WIDTH(X)
#endif
enum { KEPT_WIDE = KEPT_VECTORS * LANES };

/* Some columns of some rows of weights, and the lanes whose sums are wanted of each row. */
typedef struct kept_product {
    int64_t rows, columns;
    const uint64_t *wanted;
    const gr_real *weights;
    int64_t weights_row;
    const gr_real *x;
    int64_t x_row;
    gr_real *sums;
} kept_product;

/* sums: of one row after the other, for each wanted lane, a vector whose lanes add up to
 * Σ weights[row][column]·x[lane][column]. */
INLINE void sum_lanes(const int V, const kept_product *p) {
    const int64_t left = p->columns - (V - 1) * LANES;
    const gr_real *weights = p->weights;
    gr_real *sums = p->sums;
    for (int64_t row = 0; row < p->rows; row++, weights += p->weights_row) {
        vector weight[KEPT_VECTORS];
        FOR_EACH (v, V - 1) weight[v] = load(weights + v * LANES);
        weight[V - 1] = load_lanes(weights + (V - 1) * LANES, left);
        for (uint64_t lanes = p->wanted[row]; lanes; lanes &= lanes - 1, sums += LANES) {
            const gr_real *x = fixed(p->x + __builtin_ctzll(lanes) * p->x_row);
            vector even = weight[0] * load(x), odd = {0};
            FOR_EACH (v, V)
                if (v % 2)
                    odd += weight[v] * load(x + v * LANES);
                else if (v)
                    even += weight[v] * load(x + v * LANES);
            store(sums, even + odd);
        }
    }
}

typedef void kept_function(const kept_product *p);

#define SUMS_OF_LANES(V)                               \
    static void sum_lanes_##V(const kept_product *p) { \
        sum_lanes(V, p);                               \
    }
#define SUMS_NAME(V) sum_lanes_##V,
EACH_KEPT(SUMS_OF_LANES)
static kept_function *const sums_of_lanes[KEPT_VECTORS] = {EACH_KEPT(SUMS_NAME)};

INLINE uint64_t positive(vector v) {
    return bits_of(greater(v, (vector){0}));
}

/* Bit i: whether kept[i] is positive, for i < count, at most TERMS. */
INLINE uint64_t positive_of(int64_t count, const gr_real *kept) {
    uint64_t bits = 0;
    for (int64_t i = 0; i < count; i += LANES) bits |= positive(load(kept + i)) << i;
    return count < TERMS ? bits & (((uint64_t)1 << count) - 1) : bits;
}

/* Values, as many as bits are set, to where these are; zeros elsewhere. */
static void spread(int64_t count, uint64_t bits, const gr_real *values, gr_real *row) {
    for (int64_t i = 0; i < count; i += LANES) {
        const uint64_t some = bits >> i & (((uint64_t)1 << LANES) - 1);
        store_lanes(row + i, count - i, expand(some, load(values)));
        values += __builtin_popcountll(some);
    }
}

static bool kept_pays(int64_t units, int64_t in, int64_t samples, const gr_real *kept) {
    /* Adding up a vector's lanes takes as long as the products that are saved of so many inputs: of
     * sixteen lanes so long that it was measured as a loss below, of fewer as none. */
    enum { LEAST_KEPT_IN = LANES < 16 ? 0 : 32 * LANES };
    return is_large(units, in, samples) && in >= LEAST_KEPT_IN &&
           are_few(positive, units * samples, kept);
}

void KERNEL(multiply_kept)(int64_t units, int64_t in, int64_t probes, int64_t samples,
                           const gr_real *weights, const gr_real *kept, bool turned,
                           const gr_real *x, gr_real *y) {
    const int64_t lanes = probes * samples;
    if (!kept || !kept_pays(units, in, samples, kept)) {
        KERNEL(multiply)(units, in, lanes, weights, NULL, turned, x, y);
        return;
    }
    enum { ROWS = 4, MOST_UNITS = 256 }; /* at once */
    gr_real packed[KEPT_LANES * KEPT_WIDE] ALIGNED;
    const bool in_place = turned && spreads(in, x);
    gr_real sums[(ROWS * KEPT_LANES + LANES) * LANES] ALIGNED; /* behind the last: any */
    gr_real values[MOST_UNITS * KEPT_LANES + LANES]; /* the sums of all rows, side by side */
    uint64_t wanted[MOST_UNITS];
    const tiling unit_parts = tiling_of(units, MOST_UNITS);
    const int64_t parts = quotient_up(samples, KEPT_LANES);
    const tiling vectors = tiling_of(quotient_up(in, LANES), KEPT_VECTORS);
    memset(sums, 0, sizeof sums);
    for (int64_t part = 0; part < probes * parts * unit_parts.tiles; part++) {
        const int64_t lane_part = part / unit_parts.tiles, unit_part = part % unit_parts.tiles;
        int64_t sample;
        const int64_t count = share_of(samples, parts, lane_part % parts, &sample);
        const int64_t lane = lane_part / parts * samples + sample;
        const int64_t unit = first_of(unit_parts, unit_part), some = size_of(unit_parts, unit_part);
        for (int64_t u = 0; u < some; u++)
            wanted[u] = positive_of(count, kept + (unit + u) * samples + sample);
        for (int64_t i = 0, column = 0; i < vectors.tiles; i++) {
            const int64_t wide = size_of(vectors, i) * LANES, columns = smaller(in - column, wide);
            if (!in_place)
                lanes_of(x, in, lanes, turned, lane, count, column, columns, packed, KEPT_WIDE);
            gr_real *value = values;
            for (int64_t u = 0; u < some; u += ROWS) {
                const kept_product p = {.rows = smaller(some - u, ROWS),
                                        .columns = columns,
                                        .wanted = wanted + u,
                                        .weights = weights + (unit + u) * in + column,
                                        .weights_row = in,
                                        .x = in_place ? x + lane * in + column : packed,
                                        .x_row = in_place ? in : KEPT_WIDE,
                                        .sums = sums};
                sums_of_lanes[wide / LANES - 1](&p);
                int64_t all = 0;
                for (int64_t row = 0; row < p.rows; row++)
                    all += __builtin_popcountll(p.wanted[row]);
                for (int64_t j = 0; j < all; j += LANES) {
                    vector v[LANES];
                    FOR_EACH (l, LANES) v[l] = load(sums + (j + l) * LANES);
                    vector sum = sums_of(v);
                    if (column) sum += load(value + j);
                    store_lanes(value + j, all - j, sum);
                }
                value += all;
            }
            column += wide;
        }
        const gr_real *value = values;
        for (int64_t u = 0; u < some; u++) {
            spread(count, wanted[u], value, y + (unit + u) * lanes + lane);
            value += __builtin_popcountll(wanted[u]);
        }
    }
}
