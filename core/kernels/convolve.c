/* The direct convolution and its transpose, as one gather: out[f][y][x] = bias[f] + Σ w·in over the
 * taps inside the input. At stride 1 a run of columns is one contiguous axis (column, lane), along
 * which the vectors lie. A tile of sums stays in registers over all taps: several vectors by
 * several output channels, which share the input's loads; where there is one output channel only,
 * several output rows share them instead. */
#include "core/kernels/vector.h"

/* The tiles of a set: their sums, inputs and weights fit its registers (32, 16). */
enum { MOST_CHANNELS = 6, MOST_VECTORS = 8, TILE_ROWS = 4 };
#if defined(GR_KERNEL_SET_avx512)
static const int most_vectors[MOST_CHANNELS] = {6, 8, 8, 6, 4, 4};
#define ROW_VECTORS 6
#else
static const int most_vectors[MOST_CHANNELS] = {4, 4, 3, 2, 2, 2};
#define ROW_VECTORS 2
#endif

/* Loops over a tile, so that its sums are registers from the first to the last. */
#define FOR_EACH(i, count) _Pragma("GCC unroll 8") for (int i = 0; i < (count); i++)

/* Where a tile lies: its input at the run's first tap of the first input row, its output. */
typedef struct place {
    const gr_convolution *c;
    const gr_taps *rows; /* of the tile's first output row */
    const gr_taps *columns;
    const gr_real *weights, *bias; /* of its first channel; bias may be NULL */
    const gr_real *in;
    gr_real *out;
    int64_t lanes, out_stride; /* between the tile's channels or rows */
    int64_t left;              /* lanes that may be written, from `out` on */
} place;

/* V vectors of one channel or row. */
INLINE void write_out(const int V, const place *at, gr_real *out, const vector *sum) {
    FOR_EACH (v, V - 1) store(out + v * VECTOR_LANES, sum[v]);
    store_lanes(out + (V - 1) * VECTOR_LANES, at->left - (V - 1) * VECTOR_LANES, sum[V - 1]);
}

/* F channels by V vectors. */
INLINE void channel_tile(const int F, const int V, const place *at) {
    const gr_convolution *c = at->c;
    const gr_taps *rows = at->rows, *columns = at->columns;
    vector sum[MOST_CHANNELS][MOST_VECTORS];
    FOR_EACH (f, F)
        FOR_EACH (v, V) sum[f][v] = broadcast(at->bias ? at->bias[f] : 0);
    const int64_t row_size = c->in_columns * at->lanes, channel_size = c->in_rows * row_size;
    const int64_t weight_out_stride = c->weight_out_stride;
    for (int64_t channel = 0; channel < c->in_channels; channel++)
        for (int row = 0; row < rows->count; row++) {
            const gr_real *x =
                at->in + channel * channel_size + (rows->input + row * rows->input_step) * row_size;
            const gr_real *w = at->weights + channel * c->weight_in_stride +
                               (rows->weight + row * rows->weight_step) * c->weight_row_stride +
                               columns->weight;
            for (int column = 0; column < columns->count; column++) {
                if (F < V) {
                    vector weight[MOST_CHANNELS];
                    FOR_EACH (f, F) weight[f] = broadcast(w[f * weight_out_stride]);
                    FOR_EACH (v, V) {
                        const vector value = load(x + v * VECTOR_LANES);
                        FOR_EACH (f, F) sum[f][v] += weight[f] * value;
                    }
                } else {
                    vector value[MOST_VECTORS];
                    FOR_EACH (v, V) value[v] = load(x + v * VECTOR_LANES);
                    FOR_EACH (f, F) {
                        const vector weight = broadcast(w[f * weight_out_stride]);
                        FOR_EACH (v, V) sum[f][v] += weight * value[v];
                    }
                }
                x += columns->input_step * at->lanes;
                w += columns->weight_step;
            }
        }
    FOR_EACH (f, F) write_out(V, at, at->out + f * at->out_stride, sum[f]);
}

/* The taps of one input row for the output rows FIRST to LAST of a tile. */
#define SHARE_ROW(FIRST, LAST)                                                                 \
    case (FIRST)*TILE_ROWS + (LAST):                                                           \
        for (int column = 0; column < columns->count; column++) {                              \
            vector value[ROW_VECTORS];                                                         \
            FOR_EACH (v, V) value[v] = load_once(x + v * VECTOR_LANES);                        \
            for (int r = (FIRST); r <= (LAST); r++) {                                          \
                const vector weight = broadcast(w[offset[r] + column * columns->weight_step]); \
                FOR_EACH (v, V) sum[r][v] += weight * value[v];                                \
            }                                                                                  \
            x += columns->input_step * at->lanes;                                              \
        }                                                                                      \
        break;

/* TILE_ROWS output rows of one channel by V vectors: each input row is loaded once for all the rows
 * that it reaches. */
INLINE void row_tile(const int V, const place *at) {
    const gr_convolution *c = at->c;
    const gr_taps *rows = at->rows, *columns = at->columns;
    vector sum[TILE_ROWS][ROW_VECTORS];
    FOR_EACH (r, TILE_ROWS)
        FOR_EACH (v, V) sum[r][v] = broadcast(at->bias ? *at->bias : 0);
    const int64_t row_size = c->in_columns * at->lanes, channel_size = c->in_rows * row_size;
    const int end = rows[TILE_ROWS - 1].input + rows[TILE_ROWS - 1].count;
    for (int64_t channel = 0; channel < c->in_channels; channel++) {
        const gr_real *w = at->weights + channel * c->weight_in_stride + columns->weight;
        int first = 0, last = 0;
        for (int row = rows->input; row < end; row++) {
            while (rows[first].input + rows[first].count <= row) first++;
            while (last < TILE_ROWS - 1 && rows[last + 1].input <= row) last++;
            const gr_real *x = at->in + channel * channel_size + row * row_size;
            int64_t offset[TILE_ROWS];
            for (int r = first; r <= last; r++)
                offset[r] = (rows[r].weight + (row - rows[r].input) * rows[r].weight_step) *
                            c->weight_row_stride;
            switch (first * TILE_ROWS + last) {
                SHARE_ROW(0, 0)
                SHARE_ROW(0, 1)
                SHARE_ROW(0, 2)
                SHARE_ROW(0, 3)
                SHARE_ROW(1, 1)
                SHARE_ROW(1, 2)
                SHARE_ROW(1, 3)
                SHARE_ROW(2, 2)
                SHARE_ROW(2, 3)
                SHARE_ROW(3, 3)
            }
        }
    }
    FOR_EACH (r, TILE_ROWS) write_out(V, at, at->out + r * at->out_stride, sum[r]);
}

typedef void tile_function(const place *at);

#define TILE(F, V)                                \
    static void tile_##F##_##V(const place *at) { \
        channel_tile(F, V, at);                   \
    }
#define ROW_TILE(V)                             \
    static void row_tile_##V(const place *at) { \
        row_tile(V, at);                        \
    }
#define TILES_TO_2(F) TILE(F, 1) TILE(F, 2)
#define TILES_TO_4(F) TILES_TO_2(F) TILE(F, 3) TILE(F, 4)
#define TILES_TO_6(F) TILES_TO_4(F) TILE(F, 5) TILE(F, 6)
#define TILES_TO_8(F) TILES_TO_6(F) TILE(F, 7) TILE(F, 8)
#define ROW_OF_2(F) tile_##F##_1, tile_##F##_2
#define ROW_OF_4(F) ROW_OF_2(F), tile_##F##_3, tile_##F##_4
#define ROW_OF_6(F) ROW_OF_4(F), tile_##F##_5, tile_##F##_6
#define ROW_OF_8(F) ROW_OF_6(F), tile_##F##_7, tile_##F##_8
ROW_TILE(1)
ROW_TILE(2)
#if defined(GR_KERNEL_SET_avx512)
TILES_TO_6(1)
TILES_TO_8(2)
TILES_TO_8(3)
TILES_TO_6(4)
TILES_TO_4(5)
TILES_TO_4(6)
static tile_function *const tiles[MOST_CHANNELS][MOST_VECTORS] = {
    {ROW_OF_6(1)}, {ROW_OF_8(2)}, {ROW_OF_8(3)}, {ROW_OF_6(4)}, {ROW_OF_4(5)}, {ROW_OF_4(6)}};
ROW_TILE(3)
ROW_TILE(4)
ROW_TILE(5)
ROW_TILE(6)
static tile_function *const row_tiles[ROW_VECTORS] = {row_tile_1, row_tile_2, row_tile_3,
                                                      row_tile_4, row_tile_5, row_tile_6};
#else
TILES_TO_4(1)
TILES_TO_4(2)
TILES_TO_2(3)
TILE(3, 3)
TILES_TO_2(4)
TILES_TO_2(5)
TILES_TO_2(6)
static tile_function *const tiles[MOST_CHANNELS][MOST_VECTORS] = {
    {ROW_OF_4(1)}, {ROW_OF_4(2)}, {ROW_OF_2(3), tile_3_3},
    {ROW_OF_2(4)}, {ROW_OF_2(5)}, {ROW_OF_2(6)}};
static tile_function *const row_tiles[ROW_VECTORS] = {row_tile_1, row_tile_2};
#endif

/* How many output channels a tile takes: all groups about equal, none of them too small to share
 * loads. */
static int64_t group_of(int64_t channels) {
    if (channels % 4 == 0) return 4;
    const int64_t groups = (channels + MOST_CHANNELS - 1) / MOST_CHANNELS;
    return (channels + groups - 1) / groups;
}

/* Whether the row tile can be used from output row y on: it walks through the input rows from the
 * first row's first to the last row's last, and every one must reach some row. */
static bool rows_overlap(const gr_convolution *c, int64_t y) {
    if (y + TILE_ROWS > c->out_rows) return false;
    FOR_EACH (r, TILE_ROWS) {
        const gr_taps *rows = &c->rows[y + r];
        if (rows->count == 0 || rows->input_step != 1) return false;
        if (r > 0 &&
            (rows->input < rows[-1].input || rows->input > rows[-1].input + rows[-1].count ||
             rows->input + rows->count < rows[-1].input + rows[-1].count))
            return false;
    }
    return true;
}

/* `rows` output rows of one run of columns. */
static void convolve_run(const gr_convolution *c, const gr_run *run, int64_t y, int64_t rows,
                         const gr_real *weights, const gr_real *bias, int64_t lanes,
                         const gr_real *in, gr_real *out) {
    const int64_t out_row = c->out_columns * lanes, channel_size = c->out_rows * out_row;
    const int64_t group = group_of(c->out_channels), length = run->columns * lanes;
    const int64_t most = rows > 1 ? ROW_VECTORS : most_vectors[group - 1];
    for (int64_t p = 0; p < length; p += most * VECTOR_LANES) {
        int64_t vectors = (length - p + VECTOR_LANES - 1) / VECTOR_LANES;
        if (vectors > most) vectors = most;
        for (int64_t f = 0; f < c->out_channels; f += group) {
            const int64_t channels = f + group > c->out_channels ? c->out_channels - f : group;
            const place at = {.c = c,
                              .rows = &c->rows[y],
                              .columns = &run->taps,
                              .weights = weights + f * c->weight_out_stride,
                              .bias = bias ? bias + f : NULL,
                              .in = in + run->taps.input * lanes + p,
                              .out = out + f * channel_size + y * out_row + run->column * lanes + p,
                              .lanes = lanes,
                              .out_stride = rows > 1 ? out_row : channel_size,
                              .left = length - p};
            (rows > 1 ? row_tiles[vectors - 1] : tiles[channels - 1][vectors - 1])(&at);
        }
    }
}

void KERNEL(convolve)(const gr_convolution *c, const gr_real *weights, const gr_real *bias,
                      int64_t lanes, const gr_real *in, gr_real *out) {
    for (int64_t y = 0, rows; y < c->out_rows; y += rows) {
        rows = c->out_channels == 1 && rows_overlap(c, y) ? TILE_ROWS : 1;
        for (int64_t r = 0; r < c->run_count; r++)
            convolve_run(c, &c->runs[r], y, rows, weights, bias, lanes, in, out);
    }
}

/* -- the weights' gradient
 * ----------------------------------------------------------------------------------- */

/* Sums of a tile: output channels by kernel rows by neighbouring taps of a row. Of kernels of three
 * rows all are in one tile, where the registers suffice: an input row serves them all. */
#if defined(GR_KERNEL_SET_avx512)
enum { GRADIENT_CHANNELS = 4, SQUARE_CHANNELS = 3, GRADIENT_TAPS = 5, SQUARE = 3 };
#else
enum { GRADIENT_CHANNELS = 2, SQUARE_CHANNELS = 0, GRADIENT_TAPS = 3, SQUARE = 1 };
#endif
typedef vector gradient_sums[SQUARE][GRADIENT_CHANNELS][GRADIENT_TAPS];

/* What a tile reads: much, so that the sums over lanes at its end do not count, and little enough
 * to be in the second cache still for the next tile that reads it. */
enum { GRADIENT_BYTES = 256 << 10 };

/* sum[r][f][t] += Σ over `length` elements of d_out[f]·in, shifted by r rows and t taps, for the R
 * kernel rows from `first`. */
INLINE void correlate(const int F, const int R, const int T, const int first, int64_t length,
                      const gr_real *d_out, int64_t out_stride, const gr_real *in,
                      int64_t row_stride, int64_t tap_stride, gradient_sums sum) {
    int64_t p = 0;
    for (; p + VECTOR_LANES <= length; p += VECTOR_LANES) {
        vector d[GRADIENT_CHANNELS];
        FOR_EACH (f, F) d[f] = load(d_out + f * out_stride + p);
        FOR_EACH (r, R)
            FOR_EACH (t, T) {
                const vector x = load(in + r * row_stride + t * tap_stride + p);
                FOR_EACH (f, F) sum[first + r][f][t] += d[f] * x;
            }
    }
    if (p < length) {
        vector d[GRADIENT_CHANNELS];
        FOR_EACH (f, F) d[f] = load_part(d_out + f * out_stride + p, length - p);
        FOR_EACH (r, R)
            FOR_EACH (t, T) {
                const vector x = load_part(in + r * row_stride + t * tap_stride + p, length - p);
                FOR_EACH (f, F) sum[first + r][f][t] += d[f] * x;
            }
    }
}

/* What a tile of the gradient sums: output rows y to end - 1 of one run. */
typedef struct patch {
    const gr_convolution *c;
    const gr_run *run;
    int64_t y, end, lanes;
    int kernel_row, first_tap;
    const gr_real *d_out, *in; /* of the tile's first output channel, of its input channel */
    gr_real *d_weights;        /* of these two */
} patch;

/* F channels by R kernel rows by T taps of one run, over those output rows that they reach. */
INLINE void gradient_tile(const int F, const int R, const int T, const patch *at) {
    gradient_sums sum;
    FOR_EACH (r, R)
        FOR_EACH (f, F)
            FOR_EACH (t, T) sum[r][f][t] = (vector){0};
    const gr_convolution *c = at->c;
    const gr_run *run = at->run;
    const int64_t lanes = at->lanes, length = run->columns * lanes;
    const int64_t out_row = c->out_columns * lanes, out_stride = c->out_rows * out_row;
    const int64_t in_row = c->in_columns * lanes, tap_stride = run->taps.input_step * lanes;
    for (int64_t y = at->y; y < at->end; y++) {
        const gr_taps *rows = &c->rows[y];
        /* The forward gather's taps go up by one weight row and one input row. */
        const int tap = at->kernel_row - rows->weight;
        const gr_real *d = at->d_out + y * out_row + run->column * lanes;
        const gr_real *x = at->in + (rows->input + tap) * in_row + run->taps.input * lanes +
                           at->first_tap * tap_stride;
        if (tap >= 0 && tap + R <= rows->count)
            correlate(F, R, T, 0, length, d, out_stride, x, in_row, tap_stride, sum);
        else
            FOR_EACH (r, R)
                if (tap + r >= 0 && tap + r < rows->count)
                    correlate(F, 1, T, r, length, d, out_stride, x + r * in_row, in_row, tap_stride,
                              sum);
    }
    FOR_EACH (r, R) {
        gr_real *w = at->d_weights + (int64_t)(at->kernel_row + r) * c->weight_row_stride +
                     run->taps.weight + at->first_tap;
        FOR_EACH (f, F)
            FOR_EACH (t, T) w[f * c->weight_out_stride + t] += sum_of(sum[r][f][t]);
    }
}

typedef void gradient_function(const patch *at);

#define GRADIENT_TILE(F, R, T)                                   \
    static void gradient_tile_##F##_##R##_##T(const patch *at) { \
        gradient_tile(F, R, T, at);                              \
    }
#define GRADIENT_TILES(F, R) GRADIENT_TILE(F, R, 1) GRADIENT_TILE(F, R, 2) GRADIENT_TILE(F, R, 3)
#define GRADIENT_ROW(F, R) \
    gradient_tile_##F##_##R##_1, gradient_tile_##F##_##R##_2, gradient_tile_##F##_##R##_3
GRADIENT_TILES(1, 1)
GRADIENT_TILES(2, 1)
#if defined(GR_KERNEL_SET_avx512)
#define GRADIENT_MORE_TILES(F) GRADIENT_TILE(F, 1, 4) GRADIENT_TILE(F, 1, 5)
#define GRADIENT_MORE(F) gradient_tile_##F##_1_4, gradient_tile_##F##_1_5
GRADIENT_TILES(3, 1)
GRADIENT_TILES(4, 1)
GRADIENT_MORE_TILES(1)
GRADIENT_MORE_TILES(2)
GRADIENT_MORE_TILES(3)
GRADIENT_MORE_TILES(4)
GRADIENT_TILES(1, 3)
GRADIENT_TILES(2, 3)
GRADIENT_TILES(3, 3)
static gradient_function *const gradient_tiles[GRADIENT_CHANNELS][GRADIENT_TAPS] = {
    {GRADIENT_ROW(1, 1), GRADIENT_MORE(1)},
    {GRADIENT_ROW(2, 1), GRADIENT_MORE(2)},
    {GRADIENT_ROW(3, 1), GRADIENT_MORE(3)},
    {GRADIENT_ROW(4, 1), GRADIENT_MORE(4)}};
static gradient_function *const square_tiles[SQUARE_CHANNELS][SQUARE] = {
    {GRADIENT_ROW(1, 3)}, {GRADIENT_ROW(2, 3)}, {GRADIENT_ROW(3, 3)}};
#else
static gradient_function *const gradient_tiles[GRADIENT_CHANNELS][GRADIENT_TAPS] = {
    {GRADIENT_ROW(1, 1)}, {GRADIENT_ROW(2, 1)}};
static gradient_function *const (*square_tiles)[GRADIENT_TAPS] = NULL;
#endif

/* `size` in equal parts of at most `most`: the largest part. */
static int64_t even_part(int64_t size, int64_t most) {
    const int64_t parts = (size + most - 1) / most;
    return (size + parts - 1) / parts;
}

/* All taps of the kernel rows from at->kernel_row on between a group of output channels and an
 * input channel. */
static void accumulate_rows(patch *at, int64_t channels, bool square) {
    const gr_convolution *c = at->c;
    for (int64_t r = 0; r < c->run_count; r++) {
        at->run = &c->runs[r];
        const int count = at->run->taps.count;
        if (count == 0) continue;
        const int taps = (int)even_part(count, GRADIENT_TAPS);
        for (int tap = 0; tap < count; tap += taps) {
            const int64_t of = (tap + taps > count ? count - tap : taps) - 1;
            at->first_tap = tap;
            (square ? square_tiles[channels - 1][of] : gradient_tiles[channels - 1][of])(at);
        }
    }
}

void KERNEL(convolve_accumulate)(const gr_convolution *c, int64_t lanes, const gr_real *d_out,
                                 const gr_real *in, gr_real *d_weights) {
    const int64_t out_row = c->out_columns * lanes, in_stride = c->in_rows * c->in_columns * lanes;
    const int kernel_rows = (int)(c->weight_in_stride / c->weight_row_stride);
    const bool square = SQUARE == 3 && kernel_rows == 3 && c->weight_row_stride == 3;
    const int64_t group = square ? SQUARE_CHANNELS : GRADIENT_CHANNELS;
    const int64_t row_bytes = (group + 1) * out_row * (int64_t)sizeof(gr_real);
    const int64_t rows = even_part(c->out_rows, GRADIENT_BYTES / row_bytes + 1);
    for (int64_t y = 0; y < c->out_rows; y += rows)
        for (int64_t f = 0; f < c->out_channels; f += group)
            for (int64_t channel = 0; channel < c->in_channels; channel++) {
                patch at = {.c = c,
                            .y = y,
                            .end = y + rows < c->out_rows ? y + rows : c->out_rows,
                            .lanes = lanes,
                            .d_out = d_out + f * c->out_rows * out_row,
                            .in = in + channel * in_stride,
                            .d_weights = d_weights + f * c->weight_out_stride +
                                         channel * c->weight_in_stride};
                for (; at.kernel_row < kernel_rows; at.kernel_row += square ? SQUARE : 1)
                    accumulate_rows(&at, f + group > c->out_channels ? c->out_channels - f : group,
                                    square);
            }
}
