/* Convolutions of stride 1 by Winograd's algorithm (Lavin & Gray 2016): tiles of the input and the
 * kernels are evaluated, as polynomials, at k + 3 points of each axis, and a tile of 4·4 outputs
 * takes (k + 3)² products instead of 16·k². With
 *     out = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ in B)] A
 * for each tile the adjoint is its transpose, B [(G w Gᵀ) ⊙ (A d_out Aᵀ)] Bᵀ, whose tiles overlap,
 * and the weights' gradient Gᵀ [Σ (A d_out Aᵀ) ⊙ (Bᵀ in B)] G. The points are 0, ∞ and pairs ±x:
 * 3/4 and 3/2 for k = 3, whose product is near 1 and whose squares are exact, which costs half the
 * precision of 1 and 2; 1/2, 1 and 2 for k = 5, the most precise of those with few digits.
 *
 * An axis' outputs are shared out evenly among its tiles. One with fewer than four needs no value
 * at ∞, which only the fourth is made of: a block of such tiles alone leaves the point out.
 *
 * Lanes are innermost: the transforms are sums of vectors. Between them stand (k + 3)² matrix
 * products, of channels by channels by positions, where a position is a (tile, lane) pair; lanes of
 * neighbouring tiles adjoin, whatever their number. A block of positions at a time, so that what is
 * transformed stays in the second-level cache. */
#include "core/kernels/tiles.h"
#include "core/kernels/winograd_transforms.h"

/* -- the matrix products
 * ------------------------------------------------------------------------------------ */

/* c[row][·] (+)= Σ_i a[i][row]·b[i][·] over i < depth. */
typedef struct product {
    int64_t depth;
    const gr_real *a, *b;
    gr_real *c;
    int64_t a_row, a_step, b_step, c_row; /* strides */
    bool add;
} product;

INLINE void multiply_tile(const int R, const int V, const product *p) {
    vector sum[MOST_ROWS][TILE_VECTORS];
    FOR_EACH (r, R)
        FOR_EACH (v, V) sum[r][v] = (vector){0};
    const gr_real *a = p->a, *b = p->b;
    const int64_t a_row = p->a_row;
    for (int64_t i = 0; i < p->depth; i++, a += p->a_step, b += p->b_step) {
        vector value[TILE_VECTORS];
        FOR_EACH (v, V) value[v] = load_once(b + v * VECTOR_LANES);
        FOR_EACH (r, R) {
            const vector factor = broadcast(a[r * a_row]);
            FOR_EACH (v, V) sum[r][v] += factor * value[v];
        }
    }
    FOR_EACH (r, R)
        FOR_EACH (v, V) {
            gr_real *c = p->c + r * p->c_row + v * VECTOR_LANES;
            if (p->add) sum[r][v] += load(c);
            store(c, sum[r][v]);
        }
}

typedef void multiply_function(const product *p);

#define MULTIPLY(R, V)                                 \
    static void multiply_##R##_##V(const product *p) { \
        multiply_tile(R, V, p);                        \
    }
EACH_TILE(MULTIPLY)

#define ENTRY(R, V) [V - 1][R - 1] = multiply_##R##_##V,
static multiply_function *const multiplications[TILE_VECTORS][MOST_ROWS] = {EACH_TILE(ENTRY)};

/* The next share of `left` in parts of at most `most`, all about equal. */
INLINE int64_t share(int64_t left, int64_t most) {
    const int64_t parts = (left + most - 1) / most;
    return parts ? (left + parts - 1) / parts : 0;
}

/* `rows` rows of c by `count` columns, whole vectors, in tiles as high as their width allows: up to
 * TILE_ROWS rows in one. */
static void multiply(int64_t rows, int64_t count, product p) {
    for (int64_t left = (count + VECTOR_LANES - 1) / VECTOR_LANES, vectors; left; left -= vectors) {
        vectors = share(left, TILE_VECTORS);
        product one = p;
        for (int64_t rest = rows, high; rest; rest -= high) {
            high = share(rest, tile_rows[vectors - 1]);
            multiplications[vectors - 1][high - 1](&one);
            one.a += high * p.a_row;
            one.c += high * p.c_row;
        }
        p.b += vectors * VECTOR_LANES;
        p.c += vectors * VECTOR_LANES;
    }
}

/* -- weights
 * ------------------------------------------------------------------------------------------------
 */

/* What a kernel's value at the point (r, c) is multiplied by. */
INLINE gr_real scale_of(const int k, const int r, const int c) {
    return 1 / (set_of(k)->divisors[r] * set_of(k)->divisors[c]);
}

/* transformed[area][pair] = G taps[·][pair] Gᵀ. */
INLINE void transform_weights(const int k, int64_t pairs, const gr_real *taps,
                              gr_real *transformed) {
    const int points = points_of(k);
    const int64_t area = winograd_area(pairs);
    for (int64_t p = 0; p < pairs; p += VECTOR_LANES) {
        half_tile half;
        FOR_EACH (c, k) {
            vector x[LONGEST], z[MOST_POINTS];
            FOR_EACH (r, k) x[r] = load(taps + (r * k + c) * pairs + p);
            spread(k, k, x, z);
            keep_column(points, c, z, half);
        }
        FOR_EACH (r, points) {
            vector z[MOST_POINTS];
            spread(k, k, half[r], z);
            FOR_EACH (c, points)
                store(transformed + (r * points + c) * area + p, scale_of(k, r, c) * z[c]);
        }
    }
}

/* taps[·][pair] = Gᵀ sums[·][pair] G. */
INLINE void transform_gradient(const int k, int64_t pairs, const gr_real *sums, gr_real *taps) {
    const int points = points_of(k);
    const int64_t area = winograd_area(pairs);
    for (int64_t p = 0; p < pairs; p += VECTOR_LANES) {
        half_tile half;
        FOR_EACH (c, points) {
            vector z[MOST_POINTS], y[LONGEST];
            FOR_EACH (r, points)
                z[r] = scale_of(k, r, c) * load(sums + (r * points + c) * area + p);
            collect(k, k, z, y);
            keep_column(k, c, y, half);
        }
        FOR_EACH (r, k) {
            vector y[LONGEST];
            collect(k, k, half[r], y);
            FOR_EACH (c, k) store(taps + (r * k + c) * pairs + p, y[c]);
        }
    }
}

/* The pairs of a pass in the order in which the products read them: [group of target channels][
 * source channel][target channel of the group]. */
static void take_weights(int64_t square, int64_t sources, int64_t source_stride, int64_t targets,
                         int64_t target_stride, const gr_real *weights, int64_t pairs,
                         gr_real *taps) {
    int64_t pair = 0;
    for (int64_t target = 0, rows; target < targets; target += rows) {
        rows = share(targets - target, TILE_ROWS);
        for (int64_t source = 0; source < sources; source++)
            for (int64_t row = target; row < target + rows; row++, pair++) {
                const gr_real *w = weights + row * target_stride + source * source_stride;
                for (int64_t tap = 0; tap < square; tap++) taps[tap * pairs + pair] = w[tap];
            }
    }
    for (; pair < pairs; pair++)
        for (int64_t tap = 0; tap < square; tap++) taps[tap * pairs + pair] = 0;
}

/* -- tiles of images
 * ---------------------------------------------------------------------------------------- */

/* One side of a pass: [channel][row][column][lane]. A tile begins `margin` pixels before its first
 * output, and has `overlap` more rows and columns than outputs: these are its neighbour's too. */
typedef struct image {
    int64_t channels, rows, columns;
    int64_t overlap, margin;
} image;

/* The positions of a block: lanes first_lane … + lanes of `tiles` tiles from first_tile on. */
typedef struct block {
    int64_t out_rows, out_columns, tile_rows, tile_columns;
    int64_t first_tile, tiles;
    int64_t first_lane, lanes, all_lanes;
    int64_t positions, stride;      /* from channel to channel of what is transformed */
    bool short_rows, short_columns; /* no tile has SIZE of them: the last point is left out */
} block;

/* A tile's outputs along one axis. */
static winograd_span rows_of(const block *b, int64_t tile) {
    return winograd_span_of(b->out_rows, b->tile_rows, tile / b->tile_columns);
}
static winograd_span columns_of(const block *b, int64_t tile) {
    return winograd_span_of(b->out_columns, b->tile_columns, tile % b->tile_columns);
}

/* Whether the block has no values at the point (r, c) of `points` by `points`. */
INLINE bool left_out(const int points, const int r, const int c, const block *b) {
    return (r == points - 1 && b->short_rows) || (c == points - 1 && b->short_columns);
}

/* Offsets of a tile's pixels in a channel; < 0: outside. */
typedef int64_t pixels[MOST_AREAS];

static void find_pixels(const image *i, const block *b, int64_t tile, pixels offset) {
    const winograd_span rows = rows_of(b, tile), columns = columns_of(b, tile);
    const int64_t size = SIZE + i->overlap;
    for (int64_t r = 0; r < size; r++)
        for (int64_t c = 0; c < size; c++) {
            const int64_t y = rows.first - i->margin + r, x = columns.first - i->margin + c;
            const bool inside = r < rows.count + i->overlap && y >= 0 && y < i->rows &&
                                c < columns.count + i->overlap && x >= 0 && x < i->columns;
            offset[r * size + c] =
                inside ? (y * i->columns + x) * b->all_lanes + b->first_lane : -1;
        }
}

/* Tiles of `size` pixels to to[area][channel][position]; `zeros`: as many as lanes. */
INLINE void take_tiles(const int k, const int map, const image *i, const block *b,
                       const gr_real *in, const gr_real *zeros, gr_real *to) {
    const int points = points_of(k), size = map == REDUCE ? points : SIZE;
    const int64_t plane = i->rows * i->columns * b->all_lanes;
    const int64_t area = winograd_area(i->channels * b->stride);
    pixels offsets[WINOGRAD_TILES];
    for (int64_t t = 0; t < b->tiles; t++) find_pixels(i, b, b->first_tile + t, offsets[t]);
    for (int64_t channel = 0; channel < i->channels; channel++, in += plane)
        for (int64_t t = 0; t < b->tiles; t++) {
            const gr_real *from[MOST_AREAS];
            for (int p = 0; p < size * size; p++)
                from[p] = offsets[t][p] < 0 ? zeros : in + offsets[t][p];
            gr_real *at = to + channel * b->stride + t * b->lanes;
            for (int64_t s = 0; s < b->lanes; s += VECTOR_LANES) {
                half_tile half;
                FOR_EACH (c, size) {
                    vector x[MOST_POINTS], z[MOST_POINTS];
                    FOR_EACH (r, size) x[r] = load(from[r * size + c] + s);
                    transform(k, map, x, z);
                    keep_column(points, c, z, half);
                }
                FOR_EACH (r, points) {
                    if (left_out(points, r, 0, b)) continue;
                    vector z[MOST_POINTS];
                    transform(k, map, half[r], z);
                    FOR_EACH (c, points)
                        if (!left_out(points, r, c, b))
                            store(at + (r * points + c) * area + s, z[c]);
                }
            }
        }
}

/* One vector of a tile's lanes, of which `left` are wanted. */
INLINE void put_tile(const int k, const int map, const bool whole, const block *b, int64_t left,
                     vector bias, const gr_real *products, int64_t area,
                     const gr_real *const *addend, gr_real *const *to, int64_t s) {
    const int points = points_of(k);
    const bool add = map == REDUCE_BACK;
    const int size = add ? points : SIZE;
    half_tile half;
    FOR_EACH (c, points) {
        vector z[MOST_POINTS], y[MOST_POINTS];
        FOR_EACH (r, points)
            z[r] =
                left_out(points, r, c, b) ? (vector){0} : load(products + (r * points + c) * area);
        transform(k, map, z, y);
        keep_column(size, c, y, half);
    }
    FOR_EACH (r, size) {
        vector y[MOST_POINTS];
        transform(k, map, half[r], y);
        FOR_EACH (c, size) {
            const int pixel = r * size + c;
            const vector sum = add ? y[c] + load(addend[pixel] + s) : y[c] + bias;
            if (whole)
                store(to[pixel] + s, sum);
            else
                store_part(to[pixel] + s, left, sum);
        }
    }
}

/* The tiles of `count` channels from products[area][channel][position]; bias may be NULL. The
 * input's tiles overlap, and where an earlier one has written, it is added to. */
INLINE void put_tiles(const int k, const int map, const image *i, const block *b, int64_t count,
                      const gr_real *products, int64_t area, const gr_real *bias,
                      const gr_real *zeros, gr_real *sink, gr_real *out) {
    const bool add = map == REDUCE_BACK;
    const int size = add ? points_of(k) : SIZE;
    const int64_t plane = i->rows * i->columns * b->all_lanes;
    pixels offsets[WINOGRAD_TILES];
    for (int64_t t = 0; t < b->tiles; t++) find_pixels(i, b, b->first_tile + t, offsets[t]);
    for (int64_t channel = 0; channel < count; channel++, out += plane) {
        const vector constant = broadcast(bias ? bias[channel] : 0);
        for (int64_t t = 0; t < b->tiles; t++) {
            const int64_t tile = b->first_tile + t;
            const int64_t new_row = tile / b->tile_columns ? i->overlap : 0;
            const int64_t new_column = tile % b->tile_columns ? i->overlap : 0;
            gr_real *to[MOST_AREAS];
            const gr_real *addend[MOST_AREAS];
            for (int p = 0; p < size * size; p++) {
                const bool outside = offsets[t][p] < 0;
                to[p] = outside ? sink : out + offsets[t][p];
                if (add)
                    addend[p] = outside || (p / size >= new_row && p % size >= new_column)
                                    ? zeros
                                    : out + offsets[t][p];
            }
            const gr_real *at = products + channel * b->stride + t * b->lanes;
            int64_t s = 0;
            for (; s + VECTOR_LANES <= b->lanes; s += VECTOR_LANES)
                put_tile(k, map, true, b, 0, constant, at + s, area, addend, to, s);
            if (s < b->lanes)
                put_tile(k, map, false, b, b->lanes - s, constant, at + s, area, addend, to, s);
        }
    }
}

typedef void take_function(const image *i, const block *b, const gr_real *in, const gr_real *zeros,
                           gr_real *to);
typedef void put_function(const image *i, const block *b, int64_t count, const gr_real *products,
                          int64_t area, const gr_real *bias, const gr_real *zeros, gr_real *sink,
                          gr_real *out);

#define TAKE(name, k, map)                                                                    \
    static void name(const image *i, const block *b, const gr_real *in, const gr_real *zeros, \
                     gr_real *to) {                                                           \
        take_tiles(k, map, i, b, in, zeros, to);                                              \
    }
#define PUT(name, k, map)                                                                    \
    static void name(const image *i, const block *b, int64_t count, const gr_real *products, \
                     int64_t area, const gr_real *bias, const gr_real *zeros, gr_real *sink, \
                     gr_real *out) {                                                         \
        put_tiles(k, map, i, b, count, products, area, bias, zeros, sink, out);              \
    }
TAKE(take_input_3, 3, REDUCE)
TAKE(take_input_5, 5, REDUCE)
TAKE(take_output_3, 3, SPREAD)
TAKE(take_output_5, 5, SPREAD)
PUT(put_input_3, 3, REDUCE_BACK)
PUT(put_input_5, 5, REDUCE_BACK)
PUT(put_output_3, 3, COLLECT)
PUT(put_output_5, 5, COLLECT)

static image input_of(const gr_convolution_shape *c) {
    return (image){c->in_channels, c->in_rows, c->in_columns, c->kernel - 1, c->padding};
}

static image output_of(const gr_convolution_shape *c) {
    return (image){c->out_channels, c->out_rows, c->out_columns, 0, 0};
}

/* The first block, or the next one; false where there is none. Lanes are outermost: tiles that
 * overlap come in order. */
static bool next_block(const gr_convolution_shape *c, int64_t lanes, int64_t positions, block *b) {
    if (b->tiles == 0)
        *b = (block){.out_rows = c->out_rows,
                     .out_columns = c->out_columns,
                     .tile_rows = winograd_tiles(c->out_rows),
                     .tile_columns = winograd_tiles(c->out_columns),
                     .all_lanes = lanes};
    else
        b->first_tile += b->tiles;
    const int64_t tiles = b->tile_rows * b->tile_columns;
    if (b->first_tile == tiles) b->first_tile = 0, b->first_lane += b->lanes;
    if (b->first_lane >= lanes) return false;
    /* Whole vectors of lanes as long as there are; the rest of many tiles fills vectors too. */
    const int64_t lanes_left = lanes - b->first_lane;
    const int64_t whole = lanes_left / WINOGRAD_ALIGNMENT * WINOGRAD_ALIGNMENT;
    b->lanes = whole ? winograd_rounded(share(whole, positions)) : lanes_left;
    const int64_t most = positions / b->lanes;
    b->tiles = share(tiles - b->first_tile, most < WINOGRAD_TILES ? most : WINOGRAD_TILES);
    b->positions = b->tiles * b->lanes;
    b->stride = b->positions - b->lanes + winograd_rounded(b->lanes);
    b->stride = winograd_rounded(b->stride);
    b->short_rows = b->short_columns = true;
    for (int64_t t = b->first_tile; t < b->first_tile + b->tiles; t++) {
        b->short_rows &= rows_of(b, t).count < SIZE;
        b->short_columns &= columns_of(b, t).count < SIZE;
    }
    return true;
}

static gr_real *aligned(gr_real *scratch) {
    const uintptr_t missing = -(uintptr_t)scratch & (GR_ALIGNMENT - 1);
    return scratch + missing / sizeof *scratch;
}

/* target = the source's tiles, transformed by `take`, times the weights, transformed by `put`. */
static void pass(const gr_convolution_shape *c, const image *source, take_function *take,
                 int64_t source_stride, const image *target, put_function *put,
                 int64_t target_stride, const gr_real *weights, const gr_real *bias, int64_t lanes,
                 const gr_real *in, gr_real *out, gr_real *scratch) {
    const winograd_places a =
        winograd_places_of(c->kernel, source->channels, target->channels, false);
    scratch = aligned(scratch);
    gr_real *zeros = scratch + a.zeros, *sink = scratch + a.sink, *taps = scratch + a.taps;
    gr_real *transformed = scratch + a.weights, *taken = scratch + a.source;
    gr_real *products = scratch + a.products;
    memset(zeros, 0, (size_t)(a.sink - a.zeros) * sizeof *zeros);
    take_weights(c->kernel * c->kernel, source->channels, source_stride, target->channels,
                 target_stride, weights, a.pairs, taps);
    if (c->kernel == 3)
        transform_weights(3, a.pairs, taps, transformed);
    else
        transform_weights(5, a.pairs, taps, transformed);
    const int points = points_of((int)c->kernel);
    const int64_t weights_area = winograd_area(a.pairs);
    const int64_t plane = target->rows * target->columns * lanes;
    for (block b = {0}; next_block(c, lanes, a.positions, &b);) {
        take(source, &b, in, zeros, taken);
        const int64_t taken_area = winograd_area(source->channels * b.stride);
        for (int64_t first = 0, count; first < target->channels; first += count) {
            /* As many whole groups of channels as the chunk takes. */
            int64_t group;
            for (count = 0; first + count < target->channels; count += group) {
                group = share(target->channels - first - count, TILE_ROWS);
                if (count + group > WINOGRAD_CHUNK) break;
            }
            const int64_t area = winograd_area(count * b.stride);
            for (int p = 0; p < winograd_areas(c->kernel); p++) {
                if (left_out(points, p / points, p % points, &b)) continue;
                for (int64_t f = 0; f < count; f += group) {
                    group = share(target->channels - first - f, TILE_ROWS);
                    const product one = {.depth = source->channels,
                                         .a = transformed + p * weights_area +
                                              (first + f) * source->channels,
                                         .a_row = 1,
                                         .a_step = group,
                                         .b = taken + p * taken_area,
                                         .b_step = b.stride,
                                         .c = products + p * area + f * b.stride,
                                         .c_row = b.stride};
                    multiply(group, b.positions, one);
                }
            }
            put(target, &b, count, products, area, bias ? bias + first : NULL, zeros, sink,
                out + first * plane);
        }
    }
}

void KERNEL(winograd_forward)(const gr_convolution_shape *c, const gr_real *weights,
                              const gr_real *bias, int64_t lanes, const gr_real *in, gr_real *out,
                              gr_real *scratch) {
    const image input = input_of(c), output = output_of(c);
    const int64_t square = c->kernel * c->kernel;
    pass(c, &input, c->kernel == 3 ? take_input_3 : take_input_5, square, &output,
         c->kernel == 3 ? put_output_3 : put_output_5, square * c->in_channels, weights, bias,
         lanes, in, out, scratch);
}

void KERNEL(winograd_backward)(const gr_convolution_shape *c, const gr_real *weights, int64_t lanes,
                               const gr_real *d_out, gr_real *d_in, gr_real *scratch) {
    const image input = input_of(c), output = output_of(c);
    const int64_t square = c->kernel * c->kernel;
    pass(c, &output, c->kernel == 3 ? take_output_3 : take_output_5, square * c->in_channels,
         &input, c->kernel == 3 ? put_input_3 : put_input_5, square, weights, NULL, lanes, d_out,
         d_in, scratch);
}

/* -- the weights' gradient
 * ----------------------------------------------------------------------------------- */

/* Transposes: to[lane][0 … VECTOR_LANES - 1] = from[·][lane], rows of `to` `stride` apart, for the
 * first `lanes` lanes. */
static inline void store_transposed(const vector *from, int64_t lanes, gr_real *to,
                                    int64_t stride) {
    vector v[VECTOR_BYTES / sizeof(gr_real)];
    FOR_EACH (i, VECTOR_LANES) v[i] = from[i];
    transpose(v);
    FOR_EACH (i, VECTOR_LANES)
        if (i < lanes) store(to + i * stride, v[i]);
}

/* d_out's tiles to to[area][position][channel]. */
INLINE void take_transposed(const int k, const image *i, const block *b, int64_t channels,
                            const gr_real *d_out, const gr_real *zeros, gr_real *to) {
    enum { MOST = VECTOR_BYTES / sizeof(gr_real) };
    const int points = points_of(k);
    const int64_t plane = i->rows * i->columns * b->all_lanes;
    const int64_t area = winograd_area(channels * b->stride);
    vector half[MOST][MOST_POINTS][SIZE], row[MOST_POINTS][MOST];
    for (int64_t t = 0; t < b->tiles; t++) {
        pixels offset;
        find_pixels(i, b, b->first_tile + t, offset);
        for (int64_t first = 0; first < channels; first += VECTOR_LANES)
            for (int64_t s = 0; s < b->lanes; s += VECTOR_LANES) {
                for (int64_t f = 0; f < VECTOR_LANES; f++) {
                    const gr_real *plane_at = d_out + (first + f) * plane + s;
                    FOR_EACH (c, SIZE) {
                        vector x[SIZE], z[MOST_POINTS];
                        FOR_EACH (r, SIZE) {
                            const int64_t at = offset[r * SIZE + c];
                            x[r] = load(at < 0 || first + f >= i->channels ? zeros : plane_at + at);
                        }
                        spread(k, SIZE, x, z);
                        FOR_EACH (r, points) half[f][r][c] = z[r];
                    }
                }
                gr_real *at = to + (t * b->lanes + s) * channels + first;
                for (int r = 0; r < points; r++) {
                    for (int64_t f = 0; f < VECTOR_LANES; f++) {
                        vector z[MOST_POINTS];
                        spread(k, SIZE, half[f][r], z);
                        FOR_EACH (c, points) row[c][f] = z[c];
                    }
                    for (int c = 0; c < points; c++, at += area)
                        if (!left_out(points, r, c, b))
                            store_transposed(row[c], b->lanes - s, at, channels);
                }
            }
    }
}

void KERNEL(winograd_accumulate)(const gr_convolution_shape *c, int64_t lanes, const gr_real *d_out,
                                 const gr_real *in, gr_real *d_weights, gr_real *scratch) {
    const image input = input_of(c), output = output_of(c);
    const int64_t channels = winograd_rounded(c->out_channels);
    const winograd_places a = winograd_places_of(c->kernel, c->in_channels, channels, true);
    scratch = aligned(scratch);
    gr_real *zeros = scratch + a.zeros, *taps = scratch + a.taps, *sums = scratch + a.weights;
    gr_real *taken = scratch + a.source, *transposed = scratch + a.products;
    const int points = points_of((int)c->kernel);
    const int64_t sums_area = winograd_area(a.pairs);
    memset(zeros, 0, (size_t)(a.sink - a.zeros) * sizeof *zeros);
    for (block b = {0}; next_block(c, lanes, a.positions, &b);) {
        if (c->kernel == 3) {
            take_input_3(&input, &b, in, zeros, taken);
            take_transposed(3, &output, &b, channels, d_out, zeros, transposed);
        } else {
            take_input_5(&input, &b, in, zeros, taken);
            take_transposed(5, &output, &b, channels, d_out, zeros, transposed);
        }
        const int64_t taken_area = winograd_area(c->in_channels * b.stride);
        const int64_t transposed_area = winograd_area(channels * b.stride);
        const bool first = b.first_tile + b.first_lane == 0;
        for (int p = 0; p < winograd_areas(c->kernel); p++) {
            if (left_out(points, p / points, p % points, &b)) {
                /* The first tile is the largest: then no other has the point. */
                if (first) memset(sums + p * sums_area, 0, (size_t)sums_area * sizeof *sums);
                continue;
            }
            const product all = {.depth = b.positions,
                                 .a = taken + p * taken_area,
                                 .a_row = b.stride,
                                 .a_step = 1,
                                 .b = transposed + p * transposed_area,
                                 .b_step = channels,
                                 .c = sums + p * sums_area,
                                 .c_row = channels,
                                 .add = !first};
            multiply(c->in_channels, channels, all);
        }
    }
    if (c->kernel == 3)
        transform_gradient(3, a.pairs, sums, taps);
    else
        transform_gradient(5, a.pairs, sums, taps);
    const int64_t square = c->kernel * c->kernel;
    for (int64_t channel = 0; channel < c->in_channels; channel++)
        for (int64_t f = 0; f < c->out_channels; f++)
            for (int64_t tap = 0; tap < square; tap++)
                d_weights[(f * c->in_channels + channel) * square + tap] +=
                    taps[tap * a.pairs + channel * channels + f];
}
