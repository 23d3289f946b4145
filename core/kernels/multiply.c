/* Matrix products of linear layers, for shapes whose operands stay in the caches: nothing is packed
 * for the next product. A tile of sums stays in registers over a block of terms; its rows' factors
 * are broadcast, its columns are vectors. Where lanes would fill the last vector badly, the columns
 * are the layer's inputs instead: forward by sums within vectors, backward with the result turned.
 */
#include "core/kernels/multiply.h"
#include "core/kernels/tiles.h"

enum { PANEL = TILE_VECTORS * LANES };
/* Terms whose panel of vectors stays in the first-level cache; lanes that are turned at once. */
enum { BLOCK_TERMS = 160, BLOCK_LANES = 64, BLOCK_REALS = 6144 };
/* Lanes that are left over are summed within vectors, up to so many and for so many terms. */
enum { MOST_SUMMED = LANES / 2, LEAST_TERMS = 4 * LANES, SUMMED_TERMS = 512 };

/* c[row][column] = start[row] + Σ a(row, term)·b(term, column), or added to what is there. */
typedef struct product {
    int64_t rows, columns, terms;
    const gr_real *a;
    int64_t a_row, a_term; /* strides */
    const gr_real *b;
    int64_t b_term;
    const gr_real *start; /* NULL: zeros */
    bool add;
    gr_real *c;
    int64_t c_row;
} product;

/* A tile of a product, over some of its terms. */
typedef struct place {
    const gr_real *a, *b, *start;
    gr_real *c;
    int64_t terms, columns; /* columns: that may be written */
    bool add;
} place;

INLINE void tile(const int R, const int V, const product *p, const place *at) {
    const int64_t a_row = p->a_row, a_term = p->a_term, b_term = p->b_term, c_row = p->c_row;
    const gr_real *a = at->a, *b = at->b;
    gr_real *c = at->c;
    const int64_t left = at->columns - (V - 1) * LANES;
    vector sum[MOST_ROWS][TILE_VECTORS] = {{{0}}};
    if (at->add && at->terms > FEW)
        FOR_EACH (r, R)
            FOR_EACH (v, V) __builtin_prefetch(c + r * c_row + v * LANES, 1);
    for (int64_t term = 0; term < at->terms; term++, a += a_term, b += b_term) {
        vector value[TILE_VECTORS];
        FOR_EACH (v, V) value[v] = load_once(b + v * LANES);
        FOR_EACH (r, R) {
            const vector factor = broadcast(a[r * a_row]);
            FOR_EACH (v, V) sum[r][v] += factor * value[v];
        }
    }
    if (at->add)
        FOR_EACH (r, R)
            FOR_EACH (v, V) sum[r][v] += load(c + r * c_row + v * LANES);
    else if (at->start)
        FOR_EACH (r, R)
            FOR_EACH (v, V) sum[r][v] += broadcast(at->start[r]);
    FOR_EACH (r, R)
        FOR_EACH (v, V - 1) store(c + r * c_row + v * LANES, sum[r][v]);
    if (left >= LANES)
        FOR_EACH (r, R) store(c + r * c_row + (V - 1) * LANES, sum[r][V - 1]);
    else
        FOR_EACH (r, R) store_part(c + r * c_row + (V - 1) * LANES, left, sum[r][V - 1]);
}

typedef void tile_function(const product *p, const place *at);

#define TILE(R, V)                                                  \
    static void tile_##R##_##V(const product *p, const place *at) { \
        tile(R, V, p, at);                                          \
    }
EACH_TILE(TILE)

#define ENTRY(R, V) [V - 1][R - 1] = tile_##R##_##V,
static tile_function *const tiles[TILE_VECTORS][MOST_ROWS] = {EACH_TILE(ENTRY)};

/* `count` tiles of `wide` vectors, from `column` on, over the terms from `term` on. */
static void multiply_columns(const product *p, int64_t term, int64_t terms, int64_t column,
                             int64_t wide, int64_t count) {
    const tiling rows = tiling_of(p->rows, tile_rows[wide - 1]);
    /* The operand that stays in the first-level cache is the one of the outer loop's tile. */
    const bool rows_first = terms * count * wide * LANES <= BLOCK_REALS;
    for (int64_t i = 0; i < (rows_first ? rows.tiles : count); i++)
        for (int64_t j = 0; j < (rows_first ? count : rows.tiles); j++) {
            const int64_t tile = rows_first ? i : j, row = first_of(rows, tile);
            const int64_t to = column + (rows_first ? j : i) * wide * LANES;
            const place at = {.a = p->a + row * p->a_row + term * p->a_term,
                              .b = p->b + term * p->b_term + to,
                              .start = p->start ? p->start + row : NULL,
                              .c = p->c + row * p->c_row + to,
                              .terms = terms,
                              .columns = p->columns - to,
                              .add = p->add || term > 0};
            tiles[wide - 1][size_of(rows, tile) - 1](p, &at);
        }
}

static void multiply(const product *p) {
    const int64_t blocks = quotient_up(p->terms, BLOCK_TERMS);
    const tiling vectors = tiling_of(quotient_up(p->columns, LANES), TILE_VECTORS);
    for (int64_t block = 0; block < blocks; block++) {
        int64_t term;
        const int64_t terms = share_of(p->terms, blocks, block, &term);
        const int64_t wider = vectors.small + 1, rest = vectors.tiles - vectors.large;
        if (vectors.large) multiply_columns(p, term, terms, 0, wider, vectors.large);
        if (rest)
            multiply_columns(p, term, terms, vectors.large * wider * LANES, vectors.small, rest);
    }
}

/* -- sums within vectors
 * --------------------------------------------------------------------------------- */

/* c[r][v] += Σ a[r][term]·b[v][term]. */
INLINE void sums_tile(const int R, const int V, int64_t terms, const gr_real *a, int64_t a_row,
                      const gr_real *b, int64_t b_row, gr_real *c, int64_t c_row) {
    vector sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
    int64_t term = 0;
    for (; term + LANES <= terms; term += LANES) {
        vector value[TILE_VECTORS];
        FOR_EACH (v, V) value[v] = load_once(b + v * b_row + term);
        FOR_EACH (r, R) {
            const vector factor = load_once(a + r * a_row + term);
            FOR_EACH (v, V) sum[r][v] += factor * value[v];
        }
    }
    if (term < terms) {
        vector value[TILE_VECTORS];
        FOR_EACH (v, V) value[v] = load_part(b + v * b_row + term, terms - term);
        FOR_EACH (r, R) {
            const vector factor = load_part(a + r * a_row + term, terms - term);
            FOR_EACH (v, V) sum[r][v] += factor * value[v];
        }
    }
    FOR_EACH (r, R)
        FOR_EACH (v, V) c[r * c_row + v] += sum_of(sum[r][v]);
}

/* The same for `rows` rows. */
INLINE void sums(const int V, int64_t rows, int64_t terms, const gr_real *a, int64_t a_row,
                 const gr_real *b, int64_t b_row, gr_real *c, int64_t c_row) {
    int64_t row = 0;
    for (; row + TILE_ROWS <= rows; row += TILE_ROWS)
        sums_tile(TILE_ROWS, V, terms, a + row * a_row, a_row, b, b_row, c + row * c_row, c_row);
    for (; row < rows; row++)
        sums_tile(1, V, terms, a + row * a_row, a_row, b, b_row, c + row * c_row, c_row);
}

/* y[unit][lane] += Σ weights[unit][term]·x[lane][term] for a few lanes. */
static void sum_lanes(int64_t units, int64_t in, int64_t count, int64_t terms,
                      const gr_real *weights, const gr_real *x, int64_t x_row, gr_real *y,
                      int64_t lanes) {
    for (int64_t lane = 0; lane < count;) {
        const gr_real *b = x + lane * x_row;
        gr_real *c = y + lane;
        if (count - lane == 1)
            sums(1, units, terms, weights, in, b, x_row, c, lanes), lane += 1;
        else if (count - lane == 2 || TILE_VECTORS == 2)
            sums(2, units, terms, weights, in, b, x_row, c, lanes), lane += 2;
        else
            sums(TILE_VECTORS, units, terms, weights, in, b, x_row, c, lanes), lane += 3;
    }
}

/* Whether the lanes that fill no vector are summed so. */
static bool sums_pay(int64_t in, int64_t lanes) {
    const int64_t left = lanes % LANES;
    return left > 0 && left <= MOST_SUMMED && in >= LEAST_TERMS;
}

/* y[unit][lane] = bias[unit] (NULL: 0) for the lanes from `first` on. */
static void begin_lanes(int64_t units, int64_t lanes, int64_t first, const gr_real *bias,
                        gr_real *y) {
    for (int64_t u = 0; u < units; u++)
        for (int64_t lane = first; lane < lanes; lane++) y[u * lanes + lane] = bias ? bias[u] : 0;
}

/* -- the products
 * ---------------------------------------------------------------------------------------- */

/* x is [in][lane]. */
static void multiply_plain(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                           const gr_real *bias, const gr_real *x, gr_real *y) {
    const bool summed = sums_pay(in, lanes);
    const int64_t whole = summed ? lanes - lanes % LANES : lanes, left = lanes - whole;
    product p = {.rows = units,
                 .columns = whole,
                 .terms = in,
                 .a = weights,
                 .a_row = in,
                 .a_term = 1,
                 .b = x,
                 .b_term = lanes,
                 .start = bias,
                 .c = y,
                 .c_row = lanes};
    if (!summed) {
        multiply(&p);
        return;
    }
    begin_lanes(units, lanes, whole, bias, y);
    /* Both for some of the terms, whose weights stay in the second-level cache between them. */
    const int64_t blocks = quotient_up(in, SUMMED_TERMS);
    for (int64_t block = 0; block < blocks; block++) {
        int64_t term;
        p.terms = share_of(in, blocks, block, &term);
        p.a = weights + term;
        p.b = x + term * lanes;
        p.add = block > 0;
        if (p.columns) multiply(&p);
        gr_real rows[MOST_SUMMED][SUMMED_TERMS];
        for (int64_t i = 0; i < p.terms; i++)
            for (int64_t lane = 0; lane < left; lane++)
                rows[lane][i] = p.b[i * lanes + whole + lane];
        sum_lanes(units, in, left, p.terms, p.a, *rows, SUMMED_TERMS, y + whole, lanes);
    }
}

/* The same of x [lane][in]. */
static void multiply_turned(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                            const gr_real *bias, const gr_real *x, gr_real *y) {
    const bool summed = sums_pay(in, lanes);
    const int64_t whole = summed ? lanes - lanes % LANES : lanes;
    const int64_t blocks = quotient_up(in, BLOCK_TERMS);
    for (int64_t block = 0; block < blocks; block++) {
        int64_t term;
        const int64_t terms = share_of(in, blocks, block, &term);
        for (int64_t lane = 0; lane < whole; lane += PANEL) {
            gr_real columns[BLOCK_TERMS][PANEL];
            const int64_t count = smaller(whole - lane, PANEL);
            clear_rest(terms, count, *columns, PANEL);
            turn(count, terms, x + lane * in + term, in, *columns, PANEL);
            multiply(&(product){.rows = units,
                                .columns = count,
                                .terms = terms,
                                .a = weights + term,
                                .a_row = in,
                                .a_term = 1,
                                .b = *columns,
                                .b_term = PANEL,
                                .start = bias,
                                .add = block > 0,
                                .c = y + lane,
                                .c_row = lanes});
        }
    }
    begin_lanes(units, lanes, whole, bias, y);
    sum_lanes(units, in, lanes - whole, in, weights, x + whole * in, in, y + whole, lanes);
}

void KERNEL(multiply)(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                      const gr_real *bias, bool turned, const gr_real *x, gr_real *y) {
    (turned ? multiply_turned : multiply_plain)(units, in, lanes, weights, bias, x, y);
}

INLINE int64_t padded(int64_t count) {
    return quotient_up(count, LANES) * LANES;
}

void KERNEL(multiply_transposed)(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                                 const gr_real *d_out, bool turned, gr_real *d_in) {
    if (KERNEL(sparse_pays)(units, in, lanes, d_out)) {
        KERNEL(sparse_transposed)(units, in, lanes, weights, d_out, turned, d_in);
        return;
    }
    if (turned) {
        multiply(&(product){.rows = lanes,
                            .columns = in,
                            .terms = units,
                            .a = d_out,
                            .a_row = 1,
                            .a_term = lanes,
                            .b = weights,
                            .b_term = in,
                            .c = d_in,
                            .c_row = in});
        return;
    }
    /* Turning takes about as long as so many more units. */
    enum { TURNING = 20, MOST_STRIDED = 1 << 18 };
    if (units * in <= MOST_STRIDED &&
        padded(lanes) * in * units <= padded(in) * lanes * (units + TURNING)) {
        const product p = {.rows = in,
                           .columns = lanes,
                           .terms = units,
                           .a = weights,
                           .a_row = 1,
                           .a_term = in,
                           .b = d_out,
                           .b_term = lanes,
                           .c = d_in,
                           .c_row = lanes};
        multiply(&p);
        return;
    }
    const int64_t blocks = quotient_up(lanes, BLOCK_LANES);
    for (int64_t i = 0; i < in; i += PANEL)
        for (int64_t block = 0; block < blocks; block++) {
            gr_real result[BLOCK_LANES][PANEL];
            int64_t lane;
            const int64_t count = share_of(lanes, blocks, block, &lane);
            const int64_t columns = smaller(in - i, PANEL);
            const product p = {.rows = count,
                               .columns = padded(columns),
                               .terms = units,
                               .a = d_out + lane,
                               .a_row = 1,
                               .a_term = lanes,
                               .b = weights + i,
                               .b_term = in,
                               .c = *result,
                               .c_row = PANEL};
            multiply(&p);
            turn(count, columns, *result, PANEL, d_in + i * lanes + lane, lanes);
        }
}

void KERNEL(multiply_accumulate)(int64_t units, int64_t in, int64_t lanes, const gr_real *d_out,
                                 bool turned, const gr_real *x, gr_real *d_weights) {
    if (KERNEL(sparse_pays)(units, in, lanes, d_out)) {
        KERNEL(sparse_accumulate)(units, in, lanes, d_out, turned, x, d_weights);
        return;
    }
    const int64_t blocks = quotient_up(lanes, BLOCK_REALS / PANEL);
    gr_real rows[BLOCK_REALS];
    for (int64_t block = 0; block < blocks; block++) {
        int64_t lane;
        const int64_t count = share_of(lanes, blocks, block, &lane);
        const int64_t wide = BLOCK_REALS / count / PANEL * PANEL;
        for (int64_t i = 0; i < in; i += wide) {
            const int64_t columns = smaller(in - i, wide);
            lanes_of(x, in, lanes, turned, lane, count, i, columns, rows, wide);
            const product p = {.rows = units,
                               .columns = columns,
                               .terms = count,
                               .a = d_out + lane,
                               .a_row = lanes,
                               .a_term = 1,
                               .b = rows,
                               .b_term = wide,
                               .add = true,
                               .c = d_weights + i,
                               .c_row = in};
            multiply(&p);
        }
    }
}
