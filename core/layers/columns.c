#include "core/layers/columns.h"

#include <string.h>

enum { ROOM = 16 }; /* reals behind an array that a kernel may read */

static int64_t filter_reals(const gr_convolution_shape *c) {
    return c->in_channels * c->kernel * c->kernel;
}

static int64_t pixels(const gr_convolution_shape *c) {
    return c->out_rows * c->out_columns;
}

/* Lanes at a time, whose columns fit the second-level cache. */
static int64_t block_lanes(const gr_convolution_shape *c) {
    enum { MOST_REALS = 1 << 16, VECTOR = 16 };
    return MOST_REALS / (filter_reals(c) * pixels(c)) / VECTOR * VECTOR;
}

bool gr_columns_pay(const gr_convolution_shape *c) {
    /* Of more pixels the direct sums' rows are long enough; and writing and reading a column must
     * be little beside its products. */
    enum { MOST_PIXELS = 4, FEWEST_FILTERS = 64, FEWEST_REALS = 64 };
    return pixels(c) <= MOST_PIXELS && c->out_channels >= FEWEST_FILTERS &&
           filter_reals(c) >= FEWEST_REALS && block_lanes(c) > 0;
}

int64_t gr_columns_scratch(const gr_convolution_shape *c) {
    return (filter_reals(c) + c->out_channels) * pixels(c) * block_lanes(c) + 2 * ROOM;
}

/* Some of the lanes, and where the arrays of a block lie: columns [channel][tap][pixel][lane], and
 * the output's values [filter][pixel][lane]. */
typedef struct block {
    int64_t all_lanes, first, lanes;
    gr_real *columns, *values;
} block;

static bool next_block(const gr_convolution_shape *c, int64_t lanes, gr_real *scratch, block *b) {
    b->all_lanes = lanes;
    b->first += b->lanes;
    const int64_t most = block_lanes(c);
    b->lanes = lanes - b->first < most ? lanes - b->first : most;
    b->columns = scratch;
    b->values = scratch + filter_reals(c) * pixels(c) * most + ROOM;
    return b->lanes > 0;
}

/* Runs its body for each row of lanes of the columns, the one at `at`, with the feature of the
 * input that it is a copy of, `pixel`; -1: outside of the image. */
#define FOR_EACH_COLUMN(c, at, pixel)                                                        \
    for (int64_t at = 0, channel_ = 0; channel_ < (c)->in_channels; channel_++)              \
        for (int64_t tap_ = 0; tap_ < (c)->kernel * (c)->kernel; tap_++)                     \
            for (int64_t out_ = 0, pixel; out_ < (c)->out_rows * (c)->out_columns &&         \
                                          (pixel = pixel_of(c, channel_, tap_, out_), true); \
                 out_++, at++)

static int64_t pixel_of(const gr_convolution_shape *c, int64_t channel, int64_t tap, int64_t out) {
    const int64_t row = out / c->out_columns * c->stride - c->padding + tap / c->kernel;
    const int64_t column = out % c->out_columns * c->stride - c->padding + tap % c->kernel;
    const bool inside = row >= 0 && row < c->in_rows && column >= 0 && column < c->in_columns;
    return inside ? (channel * c->in_rows + row) * c->in_columns + column : -1;
}

static void take_columns(const gr_convolution_shape *c, const block *b, const gr_real *in) {
    const size_t bytes = (size_t)b->lanes * sizeof *in;
    FOR_EACH_COLUMN(c, at, pixel) {
        if (pixel < 0)
            memset(b->columns + at * b->lanes, 0, bytes);
        else
            memcpy(b->columns + at * b->lanes, in + pixel * b->all_lanes + b->first, bytes);
    }
}

static void take_values(const gr_convolution_shape *c, const block *b, const gr_real *out) {
    for (int64_t i = 0; i < c->out_channels * pixels(c); i++)
        memcpy(b->values + i * b->lanes, out + i * b->all_lanes + b->first,
               (size_t)b->lanes * sizeof *out);
}

void gr_columns_forward(const gr_convolution_shape *c, const gr_kernels *kernels,
                        const gr_real *weights, const gr_real *bias, int64_t lanes,
                        const gr_real *in, gr_real *out, gr_real *scratch) {
    for (block b = {0}; next_block(c, lanes, scratch, &b);) {
        take_columns(c, &b, in);
        kernels->multiply(c->out_channels, filter_reals(c), pixels(c) * b.lanes, weights, bias,
                          false, b.columns, b.values);
        for (int64_t i = 0; i < c->out_channels * pixels(c); i++)
            memcpy(out + i * lanes + b.first, b.values + i * b.lanes,
                   (size_t)b.lanes * sizeof *out);
    }
}

void gr_columns_backward(const gr_convolution_shape *c, const gr_kernels *kernels,
                         const gr_real *weights, int64_t lanes, const gr_real *d_out, gr_real *d_in,
                         gr_real *scratch) {
    const int64_t features = c->in_channels * c->in_rows * c->in_columns;
    memset(d_in, 0, (size_t)(features * lanes) * sizeof *d_in);
    for (block b = {0}; next_block(c, lanes, scratch, &b);) {
        take_values(c, &b, d_out);
        kernels->multiply_transposed(c->out_channels, filter_reals(c), pixels(c) * b.lanes, weights,
                                     b.values, false, b.columns);
        FOR_EACH_COLUMN(c, at, pixel) {
            if (pixel < 0) continue;
            gr_real *to = d_in + pixel * lanes + b.first;
            kernels->add(b.lanes, to, b.columns + at * b.lanes, to);
        }
    }
}

void gr_columns_accumulate(const gr_convolution_shape *c, const gr_kernels *kernels, int64_t lanes,
                           const gr_real *d_out, const gr_real *in, gr_real *d_weights,
                           gr_real *scratch) {
    for (block b = {0}; next_block(c, lanes, scratch, &b);) {
        take_columns(c, &b, in);
        take_values(c, &b, d_out);
        kernels->multiply_accumulate(c->out_channels, filter_reals(c), pixels(c) * b.lanes,
                                     b.values, false, b.columns, d_weights);
    }
}
