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
static const int most_vectors[MOST_CHANNELS] = {4, 4, 4, 3, 2, 2};
#define ROW_VECTORS 3
#endif

/* Loops over a tile, so that its sums are registers from the first to the last. */
#define FOR_EACH(i, count) _Pragma("GCC unroll 8") for (int i = 0; i < (count); i++)

/* How far apart neighbouring taps lie, in reals. */
typedef struct steps {
    int64_t column, row, channel;
} steps;

/* An input row of a tile of output rows: the rows from `first` to `last` read it, each with the
 * weights that far from the tile's first. */
typedef struct shared_row {
    int first, last;
    int64_t weights[TILE_ROWS];
} shared_row;

/* What the tiles of a run of columns share. */
typedef struct place {
    const gr_convolution *c;
    const gr_taps *rows; /* of the first output row */
    const gr_taps *columns;
    const shared_row *shared; /* of a tile of output rows */
    int64_t shared_count;
    steps in, weights;
    int64_t out_stride; /* between a tile's channels or rows */
} place;

/* A tile: its input and weights at the first tap of its first output, its output, and how many
 * lanes may be written there; bias may be NULL. (In registers: a load of what was just written
 * would wait for all the stores of the tile before.) */
typedef void tile_function(const place *at, const gr_real *in, const gr_real *weights,
                           const gr_real *bias, gr_real *out, int64_t left);

/* V vectors of one channel or row. */
INLINE void write_out(const int V, const vector *sum, gr_real *out, int64_t left) {
    FOR_EACH (v, V - 1) store(out + v * VECTOR_LANES, sum[v]);
    store_lanes(out + (V - 1) * VECTOR_LANES, left - (V - 1) * VECTOR_LANES, sum[V - 1]);
}

/* F channels by V vectors. */
INLINE void channel_tile(const int F, const int V, const place *at, const gr_real *in,
                         const gr_real *weights, const gr_real *bias, gr_real *out, int64_t left) {
    vector sum[MOST_CHANNELS][MOST_VECTORS];
    FOR_EACH (f, F)
        FOR_EACH (v, V) sum[f][v] = broadcast(bias ? bias[f] : 0);
    const steps in_steps = at->in, weight_steps = at->weights;
    const int64_t weight_out_stride = at->c->weight_out_stride, channels = at->c->in_channels;
    const int row_count = at->rows->count, column_count = at->columns->count;
    const gr_real *channel_x = in, *channel_w = weights;
    for (int64_t channel = 0; channel < channels; channel++) {
        const gr_real *row_x = channel_x, *row_w = channel_w;
        for (int row = 0; row < row_count; row++) {
            const gr_real *x = row_x, *w = row_w;
            for (int column = 0; column < column_count; column++) {
                if (F < V) {
                    vector weight[MOST_CHANNELS];
                    FOR_EACH (f, F) weight[f] = broadcast(w[f * weight_out_stride]);
                    FOR_EACH (v, V) {
                        const vector value = load_once(x + v * VECTOR_LANES);
                        FOR_EACH (f, F) sum[f][v] += weight[f] * value;
                    }
                } else {
                    vector value[MOST_VECTORS];
                    FOR_EACH (v, V) value[v] = load_once(x + v * VECTOR_LANES);
                    FOR_EACH (f, F) {
                        const vector weight = broadcast(w[f * weight_out_stride]);
                        FOR_EACH (v, V) sum[f][v] += weight * value[v];
                    }
                }
                x += in_steps.column;
                w += weight_steps.column;
            }
            row_x += in_steps.row;
            row_w += weight_steps.row;
        }
        channel_x += in_steps.channel;
        channel_w += weight_steps.channel;
    }
    FOR_EACH (f, F) write_out(V, sum[f], out + f * at->out_stride, left);
}

/* The taps of one input row for the output rows FIRST to LAST of a tile. */
#define SHARE_ROW(FIRST, LAST)                                                         \
    case (FIRST)*TILE_ROWS + (LAST):                                                   \
        for (int column = 0; column < column_count; column++) {                        \
            vector value[ROW_VECTORS];                                                 \
            FOR_EACH (v, V) value[v] = load_once(x + v * VECTOR_LANES);                \
            for (int r = (FIRST); r <= (LAST); r++) {                                  \
                const vector weight = broadcast(w[row->weights[r] + column * w_step]); \
                FOR_EACH (v, V) sum[r][v] += weight * value[v];                        \
            }                                                                          \
            x += x_step;                                                               \
        }                                                                              \
        break;

/* TILE_ROWS output rows of one channel by V vectors: each input row is loaded once for all the rows
 * that it reaches. */
INLINE void row_tile(const int V, const place *at, const gr_real *in, const gr_real *weights,
                     const gr_real *bias, gr_real *out, int64_t left) {
    vector sum[TILE_ROWS][ROW_VECTORS];
    FOR_EACH (r, TILE_ROWS)
        FOR_EACH (v, V) sum[r][v] = broadcast(bias ? *bias : 0);
    const int column_count = at->columns->count;
    const int64_t x_step = at->in.column, w_step = at->weights.column;
    const shared_row *const end = at->shared + at->shared_count;
    for (int64_t channel = 0; channel < at->c->in_channels; channel++) {
        const gr_real *row_x = in + channel * at->in.channel;
        const gr_real *w = weights + channel * at->weights.channel;
        for (const shared_row *row = at->shared; row < end; row++) {
            const gr_real *x = row_x;
            switch (row->first * TILE_ROWS + row->last) {
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
            row_x += at->in.row;
        }
    }
    FOR_EACH (r, TILE_ROWS) write_out(V, sum[r], out + r * at->out_stride, left);
}

#define TILE(F, V)                                                                         \
    static void tile_##F##_##V(const place *at, const gr_real *in, const gr_real *weights, \
                               const gr_real *bias, gr_real *out, int64_t left) {          \
        channel_tile(F, V, at, in, weights, bias, out, left);                              \
    }
#define ROW_TILE(V)                                                                      \
    static void row_tile_##V(const place *at, const gr_real *in, const gr_real *weights, \
                             const gr_real *bias, gr_real *out, int64_t left) {          \
        row_tile(V, at, in, weights, bias, out, left);                                   \
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
TILES_TO_4(3)
TILES_TO_2(4)
TILE(4, 3)
TILES_TO_2(5)
TILES_TO_2(6)
static tile_function *const tiles[MOST_CHANNELS][MOST_VECTORS] = {
    {ROW_OF_4(1)},           {ROW_OF_4(2)}, {ROW_OF_4(3)},
    {ROW_OF_2(4), tile_4_3}, {ROW_OF_2(5)}, {ROW_OF_2(6)}};
ROW_TILE(3)
static tile_function *const row_tiles[ROW_VECTORS] = {row_tile_1, row_tile_2, row_tile_3};
#endif

/* How many output channels a tile takes: all groups about equal, none of them too small to share
 * loads. */
static int64_t group_of(int64_t channels) {
    if (channels % 4 == 0) return 4;
    const int64_t groups = (channels + MOST_CHANNELS - 1) / MOST_CHANNELS;
    return (channels + groups - 1) / groups;
}

/* The input rows that a tile of output rows from y on walks through, from its first row's first to
 * its last row's last; 0: there is no such tile, as it would leave the image, or an input row would
 * reach none of its rows, or there are too many. */
enum { MOST_SHARED_ROWS = 64 };
static int64_t share_rows(const gr_convolution *c, int64_t y, shared_row *shared) {
    if (y + TILE_ROWS > c->out_rows) return 0;
    const gr_taps *rows = &c->rows[y], *last = &rows[TILE_ROWS - 1];
    FOR_EACH (r, TILE_ROWS) {
        if (rows[r].count == 0 || rows[r].input_step != 1) return 0;
        if (r > 0 && (rows[r].input < rows[r - 1].input ||
                      rows[r].input > rows[r - 1].input + rows[r - 1].count ||
                      rows[r].input + rows[r].count < rows[r - 1].input + rows[r - 1].count))
            return 0;
    }
    const int64_t count = last->input + last->count - rows->input;
    if (count > MOST_SHARED_ROWS) return 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t input = rows->input + i;
        shared[i] = (shared_row){.first = TILE_ROWS};
        FOR_EACH (r, TILE_ROWS) {
            const int64_t tap = input - rows[r].input;
            if (tap < 0 || tap >= rows[r].count) continue;
            if (r < shared[i].first) shared[i].first = r;
            shared[i].last = r;
            shared[i].weights[r] =
                (rows[r].weight - rows->weight + tap * rows[r].weight_step) * c->weight_row_stride;
        }
    }
    return count;
}

/* All tiles of a run, each a few vectors of a few channels, or of several rows of one channel. */
static void convolve_run(const place *at, const gr_real *in, const gr_real *weights,
                         const gr_real *bias, gr_real *out, int64_t length, bool by_rows) {
    const gr_convolution *c = at->c;
    const int64_t group = group_of(c->out_channels);
    const int64_t most = by_rows ? ROW_VECTORS : most_vectors[group - 1];
    for (int64_t p = 0; p < length; p += most * VECTOR_LANES) {
        int64_t vectors = (length - p + VECTOR_LANES - 1) / VECTOR_LANES;
        if (vectors > most) vectors = most;
        for (int64_t f = 0; f < c->out_channels; f += group) {
            const int64_t channels = f + group > c->out_channels ? c->out_channels - f : group;
            (by_rows ? row_tiles[vectors - 1] : tiles[channels - 1][vectors - 1])(
                at, in + p, weights + f * c->weight_out_stride, bias ? bias + f : NULL,
                out + f * at->out_stride + p, length - p);
        }
    }
}

void KERNEL(convolve)(const gr_convolution *c, const gr_real *weights, const gr_real *bias,
                      int64_t lanes, const gr_real *in, gr_real *out) {
    const int64_t in_row = c->in_columns * lanes, out_row = c->out_columns * lanes;
    for (int64_t y = 0, count; y < c->out_rows; y += count) {
        shared_row shared[MOST_SHARED_ROWS];
        const int64_t shared_count = c->out_channels == 1 ? share_rows(c, y, shared) : 0;
        const bool by_rows = shared_count > 0;
        const gr_taps *rows = &c->rows[y];
        for (int64_t r = 0; r < c->run_count; r++) {
            const gr_run *run = &c->runs[r];
            const gr_taps *columns = &run->taps;
            const place at = {
                .c = c,
                .rows = rows,
                .columns = columns,
                .shared = shared,
                .shared_count = shared_count,
                .in = {columns->input_step * lanes, rows->input_step * in_row, c->in_rows * in_row},
                .weights = {columns->weight_step, rows->weight_step * c->weight_row_stride,
                            c->weight_in_stride},
                .out_stride = by_rows ? out_row : c->out_rows * out_row};
            convolve_run(&at, in + rows->input * in_row + columns->input * lanes,
                         weights + rows->weight * c->weight_row_stride + columns->weight, bias,
                         out + y * out_row + run->column * lanes, run->columns * lanes, by_rows);
        }
        count = by_rows ? TILE_ROWS : 1;
    }
}

/* -- the weights' gradient
 * ----------------------------------------------------------------------------------- */

/* Sums of a tile: output channels by kernel rows by neighbouring taps of a row. Of kernels of three
 * rows all are in one tile, where the registers suffice: an input row serves them all. */
#if defined(GR_KERNEL_SET_avx512)
enum { GRADIENT_CHANNELS = 4, SQUARE_CHANNELS = 3, GRADIENT_TAPS = 5, SQUARE = 3 };
#else
enum { GRADIENT_CHANNELS = 4, SQUARE_CHANNELS = 0, GRADIENT_TAPS = 3, SQUARE = 1 };
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
        if (R == 1 && F > T) { /* what there are fewer of stays in registers */
            vector x[GRADIENT_TAPS];
            FOR_EACH (t, T) x[t] = load_once(in + t * tap_stride + p);
            FOR_EACH (f, F) {
                const vector d = load_once(d_out + f * out_stride + p);
                FOR_EACH (t, T) sum[first][f][t] += d * x[t];
            }
            continue;
        }
        vector d[GRADIENT_CHANNELS];
        FOR_EACH (f, F) d[f] = load_once(d_out + f * out_stride + p);
        FOR_EACH (r, R)
            FOR_EACH (t, T) {
                const vector x = load_once(in + r * row_stride + t * tap_stride + p);
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
    int64_t in_row, first_row; /* between input rows, in reals; the row that `in` begins with */
    gr_real *d_weights;        /* of these two channels */
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
    const int64_t in_row = at->in_row, tap_stride = run->taps.input_step * lanes;
    for (int64_t y = at->y; y < at->end; y++) {
        const gr_taps *rows = &c->rows[y];
        /* The forward gather's taps go up by one weight row and one input row. */
        const int tap = at->kernel_row - rows->weight;
        const gr_real *d = at->d_out + y * out_row + run->column * lanes;
        const gr_real *x = at->in + (rows->input + tap - at->first_row) * in_row +
                           run->taps.input * lanes + at->first_tap * tap_stride;
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
GRADIENT_TILES(3, 1)
GRADIENT_TILES(4, 1)
#if defined(GR_KERNEL_SET_avx512)
#define GRADIENT_MORE_TILES(F) GRADIENT_TILE(F, 1, 4) GRADIENT_TILE(F, 1, 5)
#define GRADIENT_MORE(F) gradient_tile_##F##_1_4, gradient_tile_##F##_1_5
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
    {GRADIENT_ROW(1, 1)}, {GRADIENT_ROW(2, 1)}, {GRADIENT_ROW(3, 1)}, {GRADIENT_ROW(4, 1)}};
static gradient_function *const (*square_tiles)[GRADIENT_TAPS] = NULL;
#endif

/* `size` in equal parts of at most `most`: the largest part. */
static int64_t even_part(int64_t size, int64_t most) {
    const int64_t parts = (size + most - 1) / most;
    return (size + parts - 1) / parts;
}

/* All taps of the kernel rows from at->kernel_row on between a group of output channels and an
 * input channel, of one run. */
static void accumulate_run(patch *at, int64_t channels, bool square) {
    const int count = at->run->taps.count;
    if (count == 0) return;
    const int taps = (int)even_part(count, GRADIENT_TAPS);
    for (int tap = 0; tap < count; tap += taps) {
        const int64_t of = (tap + taps > count ? count - tap : taps) - 1;
        at->first_tap = tap;
        (square ? square_tiles[channels - 1][of] : gradient_tiles[channels - 1][of])(at);
    }
}

/* Output rows y to end - 1 of some runs; `in` has the rows from first_row on of each channel. */
static void accumulate_rows(patch at, const gr_run *runs, int64_t run_count, int64_t in_channel,
                            bool square) {
    const gr_convolution *c = at.c;
    const patch block = at;
    const int kernel_rows = (int)(c->weight_in_stride / c->weight_row_stride);
    const int64_t group = even_part(c->out_channels, square ? SQUARE_CHANNELS : GRADIENT_CHANNELS);
    for (int64_t f = 0; f < c->out_channels; f += group)
        for (int64_t channel = 0; channel < c->in_channels; channel++) {
            const int64_t left = c->out_channels - f;
            at.d_out = block.d_out + f * c->out_rows * c->out_columns * at.lanes;
            at.in = block.in + channel * in_channel;
            at.d_weights =
                block.d_weights + f * c->weight_out_stride + channel * c->weight_in_stride;
            for (at.kernel_row = 0; at.kernel_row < kernel_rows;
                 at.kernel_row += square ? SQUARE : 1)
                for (at.run = runs; at.run < runs + run_count; at.run++)
                    accumulate_run(&at, left < group ? left : group, square);
        }
}

/* Few channels at stride 1 are copied with their columns' padding, a few rows at a time: the run
 * of all columns is then one, which saves the short runs at the edges. */
enum { PADDED_REALS = 32 << 10, FEWEST_PADDED_ROWS = 4 };

/* Rows of the output that go through the copy at once; 0: none. */
static int64_t padded_rows(const gr_convolution *c, int64_t lanes) {
    const int64_t kernel = c->weight_row_stride;
    const gr_taps *first = &c->runs[0].taps;
    if (c->run_count == 1 || first->count == 0 ||
        c->out_columns != c->in_columns + 2 * first->weight - kernel + 1)
        return 0;
    const int64_t row = c->in_channels * (c->out_columns + kernel - 1) * lanes;
    const int64_t rows = PADDED_REALS / row - (c->weight_in_stride / kernel - 1);
    return rows >= FEWEST_PADDED_ROWS ? rows : 0;
}

/* The rows of all channels that output rows y to end - 1 read: [channel][row][column], padded. */
static void accumulate_padded(patch at, bool square) {
    const gr_convolution *c = at.c;
    const int64_t lanes = at.lanes, left = c->runs[0].taps.weight * lanes;
    const int64_t in_row = at.in_row, in_channel = c->in_rows * in_row;
    const int64_t row = (c->out_columns + c->weight_row_stride - 1) * lanes;
    const gr_taps *last = &c->rows[at.end - 1];
    const gr_run run = {0, (int32_t)c->out_columns, {(int32_t)c->weight_row_stride, 0, 1, 0, 1}};
    gr_real padded[PADDED_REALS + GR_SLACK_BYTES / sizeof(gr_real)], *to = padded;
    at.first_row = c->rows[at.y].input;
    const int64_t rows = last->input + last->count - at.first_row;
    for (int64_t channel = 0; channel < c->in_channels; channel++)
        for (int64_t r = 0; r < rows; r++, to += row) {
            memset(to, 0, (size_t)left * sizeof *to);
            memcpy(to + left, at.in + channel * in_channel + (at.first_row + r) * in_row,
                   (size_t)in_row * sizeof *to);
            memset(to + left + in_row, 0, (size_t)(row - left - in_row) * sizeof *to);
        }
    at.in = padded;
    at.in_row = row;
    accumulate_rows(at, &run, 1, rows * row, square);
}

void KERNEL(convolve_accumulate)(const gr_convolution *c, int64_t lanes, const gr_real *d_out,
                                 const gr_real *in, gr_real *d_weights) {
    const int64_t in_row = c->in_columns * lanes;
    const bool square = SQUARE == 3 && c->weight_row_stride == 3 && c->weight_in_stride == 9;
    const int64_t group = square ? SQUARE_CHANNELS : GRADIENT_CHANNELS;
    const int64_t row_bytes = (group + 1) * c->out_columns * lanes * (int64_t)sizeof(gr_real);
    const int64_t padded = padded_rows(c, lanes);
    int64_t rows = GRADIENT_BYTES / row_bytes + 1;
    rows = even_part(c->out_rows, padded && padded < rows ? padded : rows);
    for (int64_t y = 0; y < c->out_rows; y += rows) {
        const patch at = {.c = c,
                          .y = y,
                          .end = y + rows < c->out_rows ? y + rows : c->out_rows,
                          .lanes = lanes,
                          .d_out = d_out,
                          .in = in,
                          .in_row = in_row,
                          .d_weights = d_weights};
        if (padded)
            accumulate_padded(at, square);
        else
            accumulate_rows(at, c->runs, c->run_count, c->in_rows * in_row, square);
    }
}
