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
    gr_real *c;
    int64_t c_row;
} sparse_product;

INLINE void add_terms(const int V, const sparse_product *p) {
    const gr_real *factors = p->factors, *b = p->b;
    const int64_t factors_row = p->factors_row, b_term = p->b_term, c_row = p->c_row;
    const int64_t left = p->columns - (V - 1) * LANES;
    const bool add = p->add;
    gr_real *c = p->c;
    for (int64_t row = 0; row < p->rows; row++, factors += factors_row, c += c_row) {
        vector sum[ROW_VECTORS];
        if (add)
            FOR_EACH (v, V) sum[v] = load(c + v * LANES);
        else
            FOR_EACH (v, V) sum[v] = (vector){0};
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
            multiply(&(sparse_product){.rows = some,
                                       .columns = columns,
                                       .terms = terms,
                                       .factors = factors,
                                       .factors_row = lanes,
                                       .b = in_place ? x + lane * in + column : packed,
                                       .b_term = in_place ? in : WIDE,
                                       .add = true,
                                       .c = d_weights + unit * in + column,
                                       .c_row = in});
            column += wide;
        }
    }
}

/* -- tangents that a relu lets through, alone or with the gradient that reads the same inputs
 * -----------------------------------------------------------------------------------------------
 */

/* Vectors of weights in registers: the more, the fewer sums within vectors there are to add up; and
 * lanes at once, so that their columns fit the first-level cache. */
#if defined(GR_KERNEL_SET_avx512)
enum { KEPT_VECTORS = 17, KEPT_LANES = 32 };
#define EACH_KEPT(X) EACH_WIDTH(X) X(14) X(15) X(16) X(17)
#else
enum { KEPT_VECTORS = ROW_VECTORS, KEPT_LANES = TERMS };
#define EACH_KEPT(X) EACH_WIDTH(X)
#endif

/* Some columns of the weights' rows, and of each row the lanes whose sums are wanted. */
typedef struct kept_product {
    int64_t rows, columns;
    const uint64_t *wanted;
    const gr_real *weights;
    int64_t weights_row;
    const gr_real *x;
    int64_t x_row;
    bool add;
    gr_real *values; /* the sums of all rows' wanted lanes, side by side */
    /* With gradients: d_weights[row] += Σ over the wanted lanes of d_out[row][lane]·x[lane]. */
    const gr_real *d_out;
    int64_t d_out_row;
    gr_real *d_weights;
} kept_product;

/* values = Σ weights[row][column]·x[lane][column], or added to what is there: a vector for each,
 * whose lanes are added up at a row's end. What the row after the next will read is fetched
 * between the products, a piece for each lane: all at once it would be in their way. */
INLINE void add_lanes(const int V, const bool accumulates, const kept_product *p) {
    enum { AHEAD = 2 };
    const int64_t left = p->columns - (V - 1) * LANES;
    const gr_real *weights = p->weights, *d_out = p->d_out;
    gr_real *values = p->values, *d_weights = p->d_weights;
    gr_real sums[TERMS * LANES] ALIGNED = {0};
    for (int64_t row = 0; row < p->rows; row++) {
        const int64_t count = __builtin_popcountll(p->wanted[row]);
        const gr_real *ahead = weights + AHEAD * p->weights_row;
        const gr_real *gradient_ahead = accumulates ? d_weights + AHEAD * p->weights_row : NULL;
        const int64_t step = count ? V * LANES / count : 0;
        gr_real *sum = sums;
        vector weight[KEPT_VECTORS], gradient[ROW_VECTORS];
        FOR_EACH (v, V - 1) weight[v] = load(weights + v * LANES);
        weight[V - 1] = load_lanes(weights + (V - 1) * LANES, left);
        if (accumulates) {
            FOR_EACH (v, V - 1) gradient[v] = load(d_weights + v * LANES);
            gradient[V - 1] = load_lanes(d_weights + (V - 1) * LANES, left);
        }
        for (uint64_t lanes = p->wanted[row]; lanes; lanes &= lanes - 1, sum += LANES) {
            const int lane = __builtin_ctzll(lanes);
            const gr_real *x = fixed(p->x + lane * p->x_row);
            const vector factor = accumulates ? broadcast(d_out[lane]) : (vector){0};
            __builtin_prefetch(ahead), ahead += step;
            if (accumulates) __builtin_prefetch(gradient_ahead, 1), gradient_ahead += step;
            vector even = {0}, odd = {0};
            FOR_EACH (v, V) {
                const vector value = accumulates ? load_once(x + v * LANES) : load(x + v * LANES);
                if (v == 0)
                    even = weight[v] * value;
                else if (v % 2)
                    odd += weight[v] * value;
                else
                    even += weight[v] * value;
                if (accumulates) gradient[v] += factor * value;
            }
            store(sum, even + odd);
        }
        if (accumulates) {
            FOR_EACH (v, V - 1) store(d_weights + v * LANES, gradient[v]);
            store_lanes(d_weights + (V - 1) * LANES, left, gradient[V - 1]);
            d_weights += p->weights_row;
            d_out += p->d_out_row;
        }
        for (int64_t i = 0; i < count; i += LANES) {
            vector total = sums_at(sums + i * LANES);
            if (p->add) total += load(values + i);
            store_lanes(values + i, count - i, total);
        }
        values += count;
        weights += p->weights_row;
    }
}

typedef void kept_function(const kept_product *p);

#define VALUES(V)                                      \
    static void add_lanes_##V(const kept_product *p) { \
        add_lanes(V, false, p);                        \
    }
#define VALUES_AND_GRADIENT(V)                                      \
    static void add_lanes_and_gradient_##V(const kept_product *p) { \
        add_lanes(V, true, p);                                      \
    }
#define VALUES_NAME(V) add_lanes_##V,
#define VALUES_AND_GRADIENT_NAME(V) add_lanes_and_gradient_##V,
EACH_KEPT(VALUES)
EACH_WIDTH(VALUES_AND_GRADIENT)
static kept_function *const values_alone[KEPT_VECTORS] = {EACH_KEPT(VALUES_NAME)};
static kept_function *const values_and_gradients[ROW_VECTORS] = {
    EACH_WIDTH(VALUES_AND_GRADIENT_NAME)};

static void add_up(kept_function *const *of_vectors, const kept_product *p) {
    of_vectors[quotient_up(p->columns, LANES) - 1](p);
}

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

/* y, a block of units and lanes at a time, and d_weights, where `accumulates`. y may be d_out: what
 * a block has of it is read before it is written. */
INLINE void multiply_some(const bool accumulates, int64_t units, int64_t in, int64_t probes,
                          int64_t samples, const gr_real *weights, const gr_real *kept,
                          const gr_real *d_out, bool turned, const gr_real *x, gr_real *y,
                          gr_real *d_weights) {
    enum { MOST_UNITS = 256 }; /* at once */
    const int64_t lanes = probes * samples;
    const int most_vectors = accumulates ? ROW_VECTORS : KEPT_VECTORS;
    const int most_lanes = accumulates ? TERMS : KEPT_LANES, packed_row = most_vectors * LANES;
    gr_real packed[TERMS * KEPT_VECTORS * LANES] ALIGNED;
    const bool in_place = turned && spreads(in, x);
    gr_real values[MOST_UNITS * TERMS + LANES];
    uint64_t wanted[MOST_UNITS];
    const tiling unit_parts = tiling_of(units, MOST_UNITS);
    const int64_t parts = quotient_up(samples, most_lanes);
    const tiling vectors = tiling_of(quotient_up(in, LANES), most_vectors);
    for (int64_t part = 0; part < probes * parts * unit_parts.tiles; part++) {
        const int64_t lane_part = part / unit_parts.tiles, unit_part = part % unit_parts.tiles;
        int64_t sample;
        const int64_t count = share_of(samples, parts, lane_part % parts, &sample);
        const int64_t lane = lane_part / parts * samples + sample;
        const int64_t unit = first_of(unit_parts, unit_part), some = size_of(unit_parts, unit_part);
        for (int64_t u = 0; u < some; u++) {
            wanted[u] = positive_of(count, kept + (unit + u) * samples + sample);
            if (accumulates) wanted[u] |= terms_of(count, d_out + (unit + u) * lanes + lane);
        }
        for (int64_t i = 0, column = 0; i < vectors.tiles; i++) {
            const int64_t wide = size_of(vectors, i) * LANES, columns = smaller(in - column, wide);
            if (!in_place)
                lanes_of(x, in, lanes, turned, lane, count, column, columns, packed, packed_row);
            kept_product p = {.rows = some,
                              .columns = columns,
                              .wanted = wanted,
                              .weights = weights + unit * in + column,
                              .weights_row = in,
                              .x = in_place ? x + lane * in + column : packed,
                              .x_row = in_place ? in : packed_row,
                              .add = column > 0,
                              .values = values};
            if (accumulates) {
                p.d_out = d_out + unit * lanes + lane;
                p.d_out_row = lanes;
                p.d_weights = d_weights + unit * in + column;
            }
            add_up(accumulates ? values_and_gradients : values_alone, &p);
            column += wide;
        }
        const gr_real *value = values;
        for (int64_t u = 0; u < some; u++) {
            spread(count, wanted[u], value, y + (unit + u) * lanes + lane);
            value += __builtin_popcountll(wanted[u]);
        }
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
    if (kept && kept_pays(units, in, samples, kept))
        multiply_some(false, units, in, probes, samples, weights, kept, NULL, turned, x, y, NULL);
    else
        KERNEL(multiply)(units, in, probes * samples, weights, NULL, turned, x, y);
}

/* Whether both pay as one: where registers hold a row of weights and one of sums, where the inputs
 * are so many that the sums within vectors cost less than is saved, and where the lanes that either
 * wants are few, judged by every fourth unit. */
static bool both_pay(int64_t units, int64_t in, int64_t probes, int64_t samples,
                     const gr_real *kept, const gr_real *d_out) {
    enum { ENOUGH_REGISTERS = LANES >= 16, LEAST_BOTH_IN = 10 * LANES };
    if (!ENOUGH_REGISTERS || in < LEAST_BOTH_IN || !is_large(units, in, samples)) return false;
    int64_t found = 0, seen = 0;
    for (int64_t u = 0; u < units; u += 4)
        for (int64_t s = 0; s < samples; s += TERMS) {
            const int64_t count = smaller(samples - s, TERMS);
            const uint64_t wanted = positive_of(count, kept + u * samples + s);
            const gr_real *d = d_out + u * probes * samples + s;
            for (int64_t k = 0; k < probes; k++, d += samples)
                found += __builtin_popcountll(wanted | terms_of(count, d));
            seen += probes * count;
        }
    return 5 * found <= 3 * seen;
}

void KERNEL(multiply_kept_and_accumulate)(int64_t units, int64_t in, int64_t probes,
                                          int64_t samples, const gr_real *weights,
                                          const gr_real *kept, const gr_real *d_out, bool turned,
                                          const gr_real *x, gr_real *y, gr_real *d_weights) {
    if (kept && both_pay(units, in, probes, samples, kept, d_out)) {
        multiply_some(true, units, in, probes, samples, weights, kept, d_out, turned, x, y,
                      d_weights);
        return;
    }
    KERNEL(multiply_accumulate)(units, in, probes * samples, d_out, turned, x, d_weights);
    KERNEL(multiply_kept)(units, in, probes, samples, weights, kept, turned, x, y);
}
