/* The direct convolution and its transpose, as one gather: out[f][y][x] = bias[f] + Σ w·in over the
 * taps inside the input. At stride 1 a run of columns is one contiguous axis (column, lane), along
 * which the vectors lie; a tile of TILE_CHANNELS output channels by TILE_VECTORS vectors stays in
 * registers over all taps. */
#include "core/kernels/vector.h"

/* One tile: F channels from f, V vectors from `out`; `tail` lanes of the last vector are written
 * where 0 < tail, else all. */
INLINE void tile(const int F, const int V, const gr_convolution *c, const gr_taps *rows,
                 const gr_taps *columns, const gr_real *weights, const gr_real *bias, int64_t lanes,
                 const gr_real *in, gr_real *out, int64_t out_stride, int64_t tail) {
    vector sum[TILE_CHANNELS][TILE_VECTORS];
    for (int f = 0; f < F; f++)
        for (int v = 0; v < V; v++) sum[f][v] = broadcast(bias ? bias[f] : 0);
    const int64_t row_size = c->in_columns * lanes, channel_size = c->in_rows * row_size;
    for (int64_t channel = 0; channel < c->in_channels; channel++) {
        for (int row = 0; row < rows->count; row++) {
            const gr_real *x = in + channel * channel_size +
                               (rows->input + row * rows->input_step) * row_size +
                               columns->input * lanes;
            const gr_real *w = weights + channel * c->weight_in_stride +
                               (rows->weight + row * rows->weight_step) * c->weight_row_stride +
                               columns->weight;
            for (int column = 0; column < columns->count; column++) {
                vector value[TILE_VECTORS];
                for (int v = 0; v < V; v++) value[v] = load(x + v * VECTOR_LANES);
                for (int f = 0; f < F; f++) {
                    vector weight = broadcast(w[f * c->weight_out_stride]);
                    for (int v = 0; v < V; v++) sum[f][v] += weight * value[v];
                }
                x += columns->input_step * lanes;
                w += columns->weight_step;
            }
        }
    }
    for (int f = 0; f < F; f++) {
        for (int v = 0; v < V - 1; v++) store(out + f * out_stride + v * VECTOR_LANES, sum[f][v]);
        gr_real *last = out + f * out_stride + (V - 1) * VECTOR_LANES;
        if (tail)
            store_part(last, tail, sum[f][V - 1]);
        else
            store(last, sum[f][V - 1]);
    }
}

typedef void tile_function(const gr_convolution *c, const gr_taps *rows, const gr_taps *columns,
                           const gr_real *weights, const gr_real *bias, int64_t lanes,
                           const gr_real *in, gr_real *out, int64_t out_stride, int64_t tail);

#define TILE(F, V)                                                                     \
    static void tile_##F##_##V(const gr_convolution *c, const gr_taps *rows,           \
                               const gr_taps *columns, const gr_real *weights,         \
                               const gr_real *bias, int64_t lanes, const gr_real *in,  \
                               gr_real *out, int64_t out_stride, int64_t tail) {       \
        tile(F, V, c, rows, columns, weights, bias, lanes, in, out, out_stride, tail); \
    }
#define TILES_OF(V) TILE(1, V) TILE(2, V) TILE(3, V) TILE(4, V)
#define ROW_OF(V) \
    { tile_1_##V, tile_2_##V, tile_3_##V, tile_4_##V }

TILES_OF(1)
TILES_OF(2)
#if TILE_VECTORS > 2
TILES_OF(3)
TILES_OF(4)
TILES_OF(5)
TILES_OF(6)
static tile_function *const tiles[TILE_VECTORS][TILE_CHANNELS] = {ROW_OF(1), ROW_OF(2), ROW_OF(3),
                                                                  ROW_OF(4), ROW_OF(5), ROW_OF(6)};
#else
static tile_function *const tiles[TILE_VECTORS][TILE_CHANNELS] = {ROW_OF(1), ROW_OF(2)};
#endif

void KERNEL(convolve)(const gr_convolution *c, const gr_real *weights, const gr_real *bias,
                      int64_t lanes, const gr_real *in, gr_real *out) {
    const int64_t out_row = c->out_columns * lanes, out_stride = c->out_rows * out_row;
    for (int64_t y = 0; y < c->out_rows; y++) {
        for (int64_t r = 0; r < c->run_count; r++) {
            const gr_run *run = &c->runs[r];
            const int64_t length = run->columns * lanes;
            for (int64_t p = 0; p < length; p += TILE_VECTORS * VECTOR_LANES) {
                int64_t left = length - p;
                int64_t vectors = (left + VECTOR_LANES - 1) / VECTOR_LANES;
                int64_t tail = left % VECTOR_LANES;
                if (vectors > TILE_VECTORS) vectors = TILE_VECTORS, tail = 0;
                for (int64_t f = 0; f < c->out_channels; f += TILE_CHANNELS) {
                    int64_t channels = c->out_channels - f;
                    if (channels > TILE_CHANNELS) channels = TILE_CHANNELS;
                    tiles[vectors - 1][channels - 1](
                        c, &c->rows[y], &run->taps, weights + f * c->weight_out_stride,
                        bias ? bias + f : NULL, lanes, in + p,
                        out + f * out_stride + y * out_row + run->column * lanes + p, out_stride,
                        tail);
                }
            }
        }
    }
}

/* -- the weights' gradient
 * ----------------------------------------------------------------------------------- */

#if defined(GR_KERNEL_SET_avx512)
#define GRADIENT_TAPS 5
#else
#define GRADIENT_TAPS 3
#endif
#define GRADIENT_CHANNELS (GRADIENT_TAPS == 5 ? 4 : 2)

/* sum[f][t] += Σ over `length` elements of d_out[f]·in shifted by t taps. */
INLINE void correlate(const int F, const int T, int64_t length, const gr_real *d_out,
                      int64_t out_stride, const gr_real *in, int64_t tap_stride,
                      vector sum[4][GRADIENT_TAPS]) {
    int64_t p = 0;
    for (; p + VECTOR_LANES <= length; p += VECTOR_LANES) {
        vector d[4];
        for (int f = 0; f < F; f++) d[f] = load(d_out + f * out_stride + p);
        for (int t = 0; t < T; t++) {
            vector x = load(in + t * tap_stride + p);
            for (int f = 0; f < F; f++) sum[f][t] += d[f] * x;
        }
    }
    if (p < length) {
        vector d[4];
        for (int f = 0; f < F; f++) d[f] = load_part(d_out + f * out_stride + p, length - p);
        for (int t = 0; t < T; t++) {
            vector x = load_part(in + t * tap_stride + p, length - p);
            for (int f = 0; f < F; f++) sum[f][t] += d[f] * x;
        }
    }
}

/* F channels by T taps of one run, over all output rows that the kernel row reaches. */
INLINE void gradient_tile(const int F, const int T, const gr_convolution *c, int kernel_row,
                          const gr_run *run, int first_tap, int64_t lanes, const gr_real *d_out,
                          const gr_real *in, gr_real *d_weights) {
    vector sum[4][GRADIENT_TAPS];
    for (int f = 0; f < F; f++)
        for (int t = 0; t < T; t++) sum[f][t] = (vector){0};
    const int64_t out_row = c->out_columns * lanes, out_stride = c->out_rows * out_row;
    const int64_t tap_stride = run->taps.input_step * lanes;
    for (int64_t y = 0; y < c->out_rows; y++) {
        const gr_taps *rows = &c->rows[y];
        /* The forward gather's taps go up by one weight row and one input row. */
        int tap = kernel_row - rows->weight;
        if (tap < 0 || tap >= rows->count) continue;
        const gr_real *x = in + (rows->input + tap * rows->input_step) * c->in_columns * lanes +
                           run->taps.input * lanes + first_tap * tap_stride;
        correlate(F, T, run->columns * lanes, d_out + y * out_row + run->column * lanes, out_stride,
                  x, tap_stride, sum);
    }
    for (int f = 0; f < F; f++)
        for (int t = 0; t < T; t++)
            d_weights[f * c->weight_out_stride + (int64_t)kernel_row * c->weight_row_stride +
                      run->taps.weight + first_tap + t] += sum_of(sum[f][t]);
}

#define GRADIENT_CASE(F, T)                                           \
    case F * 8 + T:                                                   \
        gradient_tile(F, T, c, kernel_row, run, tap, lanes, d, x, w); \
        break;
#if GRADIENT_TAPS == 5
#define GRADIENT_CASES(F) \
    GRADIENT_CASE(F, 1)   \
    GRADIENT_CASE(F, 2) GRADIENT_CASE(F, 3) GRADIENT_CASE(F, 4) GRADIENT_CASE(F, 5)
#else
#define GRADIENT_CASES(F) GRADIENT_CASE(F, 1) GRADIENT_CASE(F, 2) GRADIENT_CASE(F, 3)
#endif

void KERNEL(convolve_accumulate)(const gr_convolution *c, int64_t lanes, const gr_real *d_out,
                                 const gr_real *in, gr_real *d_weights) {
    const int64_t out_stride = c->out_rows * c->out_columns * lanes;
    const int64_t in_stride = c->in_rows * c->in_columns * lanes;
    const int kernel_rows = (int)(c->weight_in_stride / c->weight_row_stride);
    for (int64_t f = 0; f < c->out_channels; f += GRADIENT_CHANNELS) {
        int64_t channels = c->out_channels - f;
        if (channels > GRADIENT_CHANNELS) channels = GRADIENT_CHANNELS;
        const gr_real *d = d_out + f * out_stride;
        for (int64_t channel = 0; channel < c->in_channels; channel++) {
            const gr_real *x = in + channel * in_stride;
            gr_real *w = d_weights + f * c->weight_out_stride + channel * c->weight_in_stride;
            for (int kernel_row = 0; kernel_row < kernel_rows; kernel_row++) {
                for (int64_t r = 0; r < c->run_count; r++) {
                    const gr_run *run = &c->runs[r];
                    for (int tap = 0; tap < run->taps.count; tap += GRADIENT_TAPS) {
                        int taps = run->taps.count - tap;
                        if (taps > GRADIENT_TAPS) taps = GRADIENT_TAPS;
                        switch ((int)channels * 8 + taps) {
                            GRADIENT_CASES(1)
                            GRADIENT_CASES(2)
#if GRADIENT_TAPS == 5
                            GRADIENT_CASES(3)
                            GRADIENT_CASES(4)
#endif
                        }
                    }
                }
            }
        }
    }
}
