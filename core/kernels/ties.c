/* Equal patches, equal outputs, and none where there is nothing: algorithms whose rounding depends
 * on a pixel's place (Winograd's, and products that sum their last lanes in another order) would
 * break the ties that an image's flat parts make in a max-pool, and open relus that see 0. There
 * the outputs are made anew, by the direct sums, which are the same everywhere. */
#include "core/kernels/vector.h"

/* A vector of lanes of all the layer's outputs. */
typedef struct column {
    const gr_convolution_shape *c;
    const gr_real *weights, *bias, *in;
    gr_real *out;
    int64_t lanes, left;
    uint32_t *exact; /* by output pixel: bits of the lanes whose outputs are direct sums */
} column;

/* Channel `channel` of the inputs at a tap of an output pixel; 0 outside of the image. */
INLINE vector input_at(const column *at, int64_t channel, int64_t row, int64_t x, int64_t i,
                       int64_t j) {
    const gr_convolution_shape *c = at->c;
    const int64_t y = row * c->stride - c->padding + i;
    x = x * c->stride - c->padding + j;
    if (y < 0 || y >= c->in_rows || x < 0 || x >= c->in_columns) return (vector){0};
    return load(at->in + ((channel * c->in_rows + y) * c->in_columns + x) * at->lanes);
}

/* The lanes of `wanted` in which two output pixels read the same; most differ at the first tap. */
INLINE uint64_t same_lanes(const column *at, int64_t row, int64_t x, int64_t other_row,
                           int64_t other_x, uint64_t wanted) {
    const gr_convolution_shape *c = at->c;
    for (int64_t channel = 0; channel < c->in_channels; channel++)
        for (int64_t i = 0; i < c->kernel; i++)
            for (int64_t j = 0; j < c->kernel; j++) {
                wanted &= bits_of(equal((integers)input_at(at, channel, row, x, i, j),
                                        (integers)input_at(at, channel, other_row, other_x, i, j)));
                if (!wanted) return 0;
            }
    return wanted;
}

INLINE gr_real *output_at(const column *at, int64_t filter, int64_t row, int64_t x) {
    const gr_convolution_shape *c = at->c;
    return at->out + ((filter * c->out_rows + row) * c->out_columns + x) * at->lanes;
}

INLINE void put(const column *at, uint64_t lanes, vector value, gr_real *to) {
    store_lanes(to, at->left, choose(mask_of(lanes), value, load(to)));
}

/* The direct sums of an output pixel, in some lanes. */
static void sum_pixel(const column *at, int64_t row, int64_t x, uint64_t lanes) {
    enum { TOGETHER = 4 };
    const gr_convolution_shape *c = at->c;
    const int64_t taps = c->in_channels * c->kernel * c->kernel;
    for (int64_t first = 0; first < c->out_channels; first += TOGETHER) {
        const int64_t left = c->out_channels - first;
        const gr_real *w[TOGETHER];
        vector sum[TOGETHER];
        for (int f = 0; f < TOGETHER; f++) {
            const int64_t filter = first + (f < left ? f : 0);
            w[f] = at->weights + filter * taps;
            sum[f] = broadcast(at->bias ? at->bias[filter] : 0);
        }
        int64_t tap = 0;
        for (int64_t channel = 0; channel < c->in_channels; channel++)
            for (int64_t i = 0; i < c->kernel; i++)
                for (int64_t j = 0; j < c->kernel; j++, tap++) {
                    const vector value = input_at(at, channel, row, x, i, j);
                    for (int f = 0; f < TOGETHER; f++) sum[f] += w[f][tap] * value;
                }
        for (int f = 0; f < TOGETHER && f < left; f++)
            put(at, lanes, sum[f], output_at(at, first + f, row, x));
    }
    at->exact[row * c->out_columns + x] |= (uint32_t)lanes;
}

/* Where the pixel reads what the earlier one reads, both get the direct sums. Returns the lanes of
 * `wanted` where it does. */
static uint64_t settle_pair(const column *at, int64_t row, int64_t x, int64_t from_row,
                            int64_t from_x, uint64_t wanted) {
    const gr_convolution_shape *c = at->c;
    const uint64_t same = same_lanes(at, row, x, from_row, from_x, wanted);
    if (!same) return 0;
    const uint64_t rounded = same & ~(uint64_t)at->exact[from_row * c->out_columns + from_x];
    if (rounded) sum_pixel(at, from_row, from_x, rounded);
    for (int64_t f = 0; f < c->out_channels; f++)
        put(at, same, load(output_at(at, f, from_row, from_x)), output_at(at, f, row, x));
    at->exact[row * c->out_columns + x] |= (uint32_t)same;
    return same;
}

static void settle_pixel(const column *at, int64_t reach, bool empty, int64_t row, int64_t x) {
    const gr_convolution_shape *c = at->c;
    uint64_t open = ((uint64_t)1 << (at->left < VECTOR_LANES ? at->left : VECTOR_LANES)) - 1;
    for (int64_t up = 0; up <= reach && up <= row; up++)
        for (int64_t back = up ? -reach : 1; back <= reach && open; back++)
            if (x - back >= 0 && x - back < c->out_columns)
                open &= ~settle_pair(at, row, x, row - up, x - back, open);
    if (!empty || !open) return;
    const int64_t nowhere = c->in_rows + c->padding; /* there all taps are outside */
    open = same_lanes(at, row, x, nowhere, 0, open);
    for (int64_t f = 0; f < c->out_channels && open; f++)
        put(at, open, broadcast(at->bias ? at->bias[f] : 0), output_at(at, f, row, x));
}

void KERNEL(settle)(const gr_convolution_shape *c, const gr_real *weights, const gr_real *bias,
                    int64_t reach, int64_t lanes, const gr_real *in, gr_real *out,
                    gr_real *scratch) {
    bool empty = false; /* with another bias no rounding changes a sign */
    for (int64_t f = 0; f < c->out_channels; f++) empty = empty || bias == NULL || bias[f] == 0;
    if (reach == 0 && !empty) return;
    for (int64_t lane = 0; lane < lanes; lane += VECTOR_LANES) {
        const column at = {.c = c,
                           .weights = weights,
                           .bias = bias,
                           .in = in + lane,
                           .out = out + lane,
                           .lanes = lanes,
                           .left = lanes - lane,
                           .exact = (uint32_t *)(void *)scratch};
        memset(at.exact, 0, (size_t)(c->out_rows * c->out_columns) * sizeof *at.exact);
        for (int64_t row = 0; row < c->out_rows; row++)
            for (int64_t x = 0; x < c->out_columns; x++) settle_pixel(&at, reach, empty, row, x);
    }
}
