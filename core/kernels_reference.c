/* Every kernel of core/kernels.h straight from its definition, one element at a time and with sums
 * in double: slow, and what the fast sets are tested against. */
#include <math.h>
#include <stdlib.h>

#include "core/kernels.h"

/* Index of in[channel][row][column][lane 0]. */
static int64_t input_index(const gr_convolution *c, int64_t lanes, int64_t channel, int64_t row,
                           int64_t column) {
    return ((channel * c->in_rows + row) * c->in_columns + column) * lanes;
}

/* Index of the weight of tap (i, j) of a row's and a column's taps. */
static int64_t weight_index(const gr_convolution *c, int64_t f, int64_t channel,
                            const gr_taps *rows, int i, const gr_taps *columns, int j) {
    return f * c->weight_out_stride + channel * c->weight_in_stride +
           (rows->weight + (int64_t)i * rows->weight_step) * c->weight_row_stride +
           columns->weight + (int64_t)j * columns->weight_step;
}

/* Calls the body for each output pixel (y, x), with the taps of its row and column; `shift` is what
 * x adds to the input columns of its run's first column. */
#define FOR_EACH_PIXEL(c)                                                                  \
    for (int64_t y = 0; y < (c)->out_rows; y++)                                            \
        for (int64_t r = 0; r < (c)->run_count; r++)                                       \
            for (int64_t shift = 0, x = (c)->runs[r].column; shift < (c)->runs[r].columns; \
                 shift++, x++)

static void convolve(const gr_convolution *c, const gr_real *weights, const gr_real *bias,
                     int64_t lanes, const gr_real *in, gr_real *out) {
    for (int64_t f = 0; f < c->out_channels; f++) FOR_EACH_PIXEL(c) {
            const gr_taps *rows = &c->rows[y], *columns = &c->runs[r].taps;
            for (int64_t lane = 0; lane < lanes; lane++) {
                double sum = bias ? (double)bias[f] : 0;
                for (int64_t channel = 0; channel < c->in_channels; channel++)
                    for (int i = 0; i < rows->count; i++)
                        for (int j = 0; j < columns->count; j++) {
                            const int64_t row = rows->input + i * rows->input_step;
                            const int64_t column = columns->input + shift + j * columns->input_step;
                            const int64_t w = weight_index(c, f, channel, rows, i, columns, j);
                            sum += (double)weights[w] *
                                   (double)in[input_index(c, lanes, channel, row, column) + lane];
                        }
                out[((f * c->out_rows + y) * c->out_columns + x) * lanes + lane] = (gr_real)sum;
            }
        }
}

/* The sum that one output pixel adds to one weight. */
static double lane_product(int64_t lanes, const gr_real *d_out, const gr_real *in) {
    double sum = 0;
    for (int64_t lane = 0; lane < lanes; lane++) sum += (double)d_out[lane] * (double)in[lane];
    return sum;
}

static void convolve_accumulate(const gr_convolution *c, int64_t lanes, const gr_real *d_out,
                                const gr_real *in, gr_real *d_weights) {
    /* Outermost the weights, so that each is summed in double and rounded once. */
    const int kernel_rows = (int)(c->weight_in_stride / c->weight_row_stride);
    const int kernel_columns = (int)c->weight_row_stride;
    for (int64_t f = 0; f < c->out_channels; f++)
        for (int64_t channel = 0; channel < c->in_channels; channel++)
            for (int ky = 0; ky < kernel_rows; ky++)
                for (int kx = 0; kx < kernel_columns; kx++) {
                    double sum = 0;
                    FOR_EACH_PIXEL(c) {
                        const gr_taps *rows = &c->rows[y], *columns = &c->runs[r].taps;
                        const int i = ky - rows->weight, j = kx - columns->weight;
                        if (i < 0 || i >= rows->count || j < 0 || j >= columns->count) continue;
                        const int64_t row = rows->input + i * rows->input_step;
                        const int64_t column = columns->input + shift + j * columns->input_step;
                        sum += lane_product(
                            lanes, d_out + ((f * c->out_rows + y) * c->out_columns + x) * lanes,
                            in + input_index(c, lanes, channel, row, column));
                    }
                    gr_real *w = d_weights + f * c->weight_out_stride +
                                 channel * c->weight_in_stride + ky * c->weight_row_stride + kx;
                    *w = (gr_real)((double)*w + sum);
                }
}

/* Index of the pixel of `in` that tap (ky, kx) of output pixel (y, x) reads; < 0: of the padding.
 */
static int64_t read_pixel(const gr_convolution_shape *c, int64_t y, int64_t x, int64_t ky,
                          int64_t kx) {
    const int64_t row = y + ky - c->padding, column = x + kx - c->padding;
    const bool inside = row >= 0 && row < c->in_rows && column >= 0 && column < c->in_columns;
    return inside ? row * c->in_columns + column : -1;
}

/* Calls the body for each lane of each product of an output (o), a weight (w) and an input (i). */
#define FOR_EACH_PRODUCT(c, lanes)                                                                \
    for (int64_t o_ = 0; o_ < (c)->out_channels * (c)->out_rows * (c)->out_columns; o_++)         \
        for (int64_t t_ = 0; t_ < (c)->in_channels * (c)->kernel * (c)->kernel; t_++)             \
            for (int64_t                                                                          \
                     area_ = (c)->out_rows * (c)->out_columns,                                    \
                     square_ = (c)->kernel * (c)->kernel, lane_ = 0,                              \
                     pixel_ = read_pixel(c, o_ % area_ / (c)->out_columns, o_ % (c)->out_columns, \
                                         t_ % square_ / (c)->kernel, t_ % (c)->kernel),           \
                     w = o_ / area_ * (c)->in_channels * square_ + t_, o = o_ * (lanes),          \
                     i = (t_ / square_ * (c)->in_rows * (c)->in_columns + pixel_) * (lanes);      \
                 pixel_ >= 0 && lane_ < (lanes); lane_++, o++, i++)

static int64_t standardize(const uint8_t *const *rows, int64_t count, double factor, double term,
                           int64_t stride, gr_real *x) {
    for (int64_t i = 0; i < count; i++) x[i * stride] = (gr_real)(rows[0][i] * factor + term);
    return count;
}

static int64_t standardize_row(const uint8_t *row, int64_t count, double factor, double term,
                               gr_real *x) {
    return standardize(&row, count, factor, term, 1, x);
}

static void add_normals(const gr_random *random, uint32_t first_sample, int64_t samples,
                        int64_t elements, double factor, const gr_real *from, gr_real *to) {
    for (int64_t i = 0; i < samples * elements; i++) {
        const double normal = gr_random_normal(random, first_sample + (uint32_t)(i % samples),
                                               (uint32_t)(i / samples));
        to[i] = (from ? from[i] : 0) + (gr_real)(factor * normal);
    }
}

static void dropout_mask(const gr_random *random, uint32_t first_sample, int64_t samples,
                         int64_t elements, uint32_t threshold, gr_real kept, gr_real *mask) {
    for (int64_t i = 0; i < samples * elements; i++) {
        const int64_t element = i / samples;
        uint32_t words[4];
        gr_random_words(random, first_sample + (uint32_t)(i % samples), (uint32_t)(element / 4),
                        words);
        mask[i] = words[element % 4] < threshold ? 0 : kept;
    }
}

static gr_real pixel_of(const gr_convolution_shape *c, int64_t lanes, const gr_real *in,
                        int64_t channel, int64_t row, int64_t column) {
    const bool inside = row >= 0 && row < c->in_rows && column >= 0 && column < c->in_columns;
    return inside ? in[((channel * c->in_rows + row) * c->in_columns + column) * lanes] : 0;
}

static bool is_empty(const gr_convolution_shape *c, int64_t lanes, const gr_real *in, int64_t p) {
    const int64_t row = p / c->out_columns * c->stride - c->padding;
    const int64_t column = p % c->out_columns * c->stride - c->padding;
    for (int64_t channel = 0; channel < c->in_channels; channel++)
        for (int64_t i = 0; i < c->kernel; i++)
            for (int64_t j = 0; j < c->kernel; j++)
                if (pixel_of(c, lanes, in, channel, row + i, column + j) != 0) return false;
    return true;
}

static bool same_patch(const gr_convolution_shape *c, int64_t lanes, const gr_real *in, int64_t p,
                       int64_t q) {
    const int64_t row = p / c->out_columns * c->stride - c->padding;
    const int64_t column = p % c->out_columns * c->stride - c->padding;
    const int64_t other_row = q / c->out_columns * c->stride - c->padding;
    const int64_t other_column = q % c->out_columns * c->stride - c->padding;
    for (int64_t channel = 0; channel < c->in_channels; channel++)
        for (int64_t i = 0; i < c->kernel; i++)
            for (int64_t j = 0; j < c->kernel; j++)
                if (pixel_of(c, lanes, in, channel, row + i, column + j) !=
                    pixel_of(c, lanes, in, channel, other_row + i, other_column + j))
                    return false;
    return true;
}

static void settle(const gr_convolution_shape *c, const gr_real *weights, const gr_real *bias,
                   int64_t reach, int64_t lanes, const gr_real *in, gr_real *out,
                   gr_real *scratch) {
    (void)scratch;
    const int64_t pixels = c->out_rows * c->out_columns, taps = c->kernel * c->kernel;
    bool empty = false;
    for (int64_t f = 0; f < c->out_channels; f++) empty = empty || !bias || bias[f] == 0;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t lane = 0; lane < lanes; lane++) {
            bool settled = empty && is_empty(c, lanes, in + lane, p);
            for (int64_t q = 0; q < pixels && !settled; q++)
                settled = q != p && llabs(p / c->out_columns - q / c->out_columns) <= reach &&
                          llabs(p % c->out_columns - q % c->out_columns) <= reach &&
                          same_patch(c, lanes, in + lane, p, q);
            if (!settled) continue;
            const int64_t row = p / c->out_columns * c->stride - c->padding;
            const int64_t column = p % c->out_columns * c->stride - c->padding;
            for (int64_t f = 0; f < c->out_channels; f++) {
                double sum = bias ? (double)bias[f] : 0;
                for (int64_t tap = 0; tap < c->in_channels * taps; tap++)
                    sum += (double)weights[f * c->in_channels * taps + tap] *
                           (double)pixel_of(c, lanes, in + lane, tap / taps,
                                            row + tap % taps / c->kernel, column + tap % c->kernel);
                out[(f * pixels + p) * lanes + lane] = (gr_real)sum;
            }
        }
}

static void winograd_forward(const gr_convolution_shape *c, const gr_real *weights,
                             const gr_real *bias, int64_t lanes, const gr_real *in, gr_real *out,
                             gr_real *scratch) {
    (void)scratch;
    const int64_t area = c->out_rows * c->out_columns * lanes;
    for (int64_t e = 0; e < c->out_channels * area; e++) out[e] = bias ? bias[e / area] : 0;
    FOR_EACH_PRODUCT(c, lanes) out[o] += weights[w] * in[i];
}

static void winograd_backward(const gr_convolution_shape *c, const gr_real *weights, int64_t lanes,
                              const gr_real *d_out, gr_real *d_in, gr_real *scratch) {
    (void)scratch;
    for (int64_t e = 0; e < c->in_channels * c->in_rows * c->in_columns * lanes; e++) d_in[e] = 0;
    FOR_EACH_PRODUCT(c, lanes) d_in[i] += weights[w] * d_out[o];
}

static void winograd_accumulate(const gr_convolution_shape *c, int64_t lanes, const gr_real *d_out,
                                const gr_real *in, gr_real *d_weights, gr_real *scratch) {
    (void)scratch;
    const int64_t square = c->kernel * c->kernel, area = c->out_rows * c->out_columns;
    for (int64_t w = 0; w < c->out_channels * c->in_channels * square; w++) {
        const int64_t f = w / square / c->in_channels, channel = w / square % c->in_channels;
        double sum = (double)d_weights[w];
        for (int64_t o = 0; o < area; o++) {
            const int64_t pixel = read_pixel(c, o / c->out_columns, o % c->out_columns,
                                             w % square / c->kernel, w % c->kernel);
            if (pixel >= 0)
                sum += lane_product(lanes, d_out + (f * area + o) * lanes,
                                    in + (channel * c->in_rows * c->in_columns + pixel) * lanes);
        }
        d_weights[w] = (gr_real)sum;
    }
}

static void multiply(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                     const gr_real *bias, bool turned, const gr_real *x, gr_real *y) {
    for (int64_t u = 0; u < units; u++)
        for (int64_t lane = 0; lane < lanes; lane++) {
            double sum = bias ? (double)bias[u] : 0;
            for (int64_t i = 0; i < in; i++)
                sum += (double)weights[u * in + i] *
                       (double)x[turned ? lane * in + i : i * lanes + lane];
            y[u * lanes + lane] = (gr_real)sum;
        }
}

static void multiply_kept(int64_t units, int64_t in, int64_t probes, int64_t samples,
                          const gr_real *weights, const gr_real *kept, bool turned,
                          const gr_real *x, gr_real *y) {
    (void)kept;
    multiply(units, in, probes * samples, weights, NULL, turned, x, y);
}

static void multiply_transposed(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                                const gr_real *d_out, bool turned, gr_real *d_in) {
    for (int64_t i = 0; i < in; i++)
        for (int64_t lane = 0; lane < lanes; lane++) {
            double sum = 0;
            for (int64_t u = 0; u < units; u++)
                sum += (double)weights[u * in + i] * (double)d_out[u * lanes + lane];
            d_in[turned ? lane * in + i : i * lanes + lane] = (gr_real)sum;
        }
}

static void multiply_accumulate(int64_t units, int64_t in, int64_t lanes, const gr_real *d_out,
                                bool turned, const gr_real *x, gr_real *d_weights) {
    for (int64_t u = 0; u < units; u++)
        for (int64_t i = 0; i < in; i++) {
            double sum = 0;
            for (int64_t lane = 0; lane < lanes; lane++)
                sum += (double)d_out[u * lanes + lane] *
                       (double)x[turned ? lane * in + i : i * lanes + lane];
            d_weights[u * in + i] = (gr_real)((double)d_weights[u * in + i] + sum);
        }
}

static void multiply_kept_and_accumulate(int64_t units, int64_t in, int64_t probes, int64_t samples,
                                         const gr_real *weights, const gr_real *kept,
                                         const gr_real *d_out, bool turned, const gr_real *x,
                                         gr_real *y, gr_real *d_weights) {
    multiply_accumulate(units, in, probes * samples, d_out, turned, x, d_weights);
    multiply_kept(units, in, probes, samples, weights, kept, turned, x, y);
}

static void row_sums(int64_t features, int64_t count, const gr_real *d, gr_real *sums) {
    for (int64_t f = 0; f < features; f++) {
        double sum = (double)sums[f];
        for (int64_t i = 0; i < count; i++) sum += (double)d[f * count + i];
        sums[f] = (gr_real)sum;
    }
}

static void smooth_tanh(int64_t count, const gr_real *x, gr_real *y, gr_real *slope,
                        gr_real *bend) {
    for (int64_t i = 0; i < count; i++) {
        const double a = (double)x[i], c = cosh(a), t = tanh(a), s = 1 / (c * c);
        y[i] = (gr_real)t;
        slope[i] = (gr_real)s;
        bend[i] = (gr_real)(-2 * t * s);
    }
}

static void smooth_sigmoid(int64_t count, const gr_real *x, gr_real *y, gr_real *slope,
                           gr_real *bend) {
    for (int64_t i = 0; i < count; i++) {
        const double a = (double)x[i], up = 1 / (1 + exp(-a)), down = 1 / (1 + exp(a));
        y[i] = (gr_real)up;
        slope[i] = (gr_real)(up * down);
        bend[i] = (gr_real)(up * down * (down - up));
    }
}

static void smooth_softplus(int64_t count, const gr_real *x, gr_real *y, gr_real *slope,
                            gr_real *bend) {
    for (int64_t i = 0; i < count; i++) {
        const double a = (double)x[i], up = 1 / (1 + exp(-a)), down = 1 / (1 + exp(a));
        y[i] = (gr_real)(a > 0 ? a + log1p(exp(-a)) : log1p(exp(a)));
        slope[i] = (gr_real)up;
        bend[i] = (gr_real)(up * down);
    }
}

static void smooth_elu(int64_t count, const gr_real *x, gr_real *y, gr_real *slope, gr_real *bend) {
    for (int64_t i = 0; i < count; i++) {
        const double a = (double)x[i];
        y[i] = (gr_real)(a > 0 ? a : expm1(a));
        slope[i] = (gr_real)(a > 0 ? 1 : exp(a));
        bend[i] = (gr_real)(a > 0 ? 0 : exp(a));
    }
}

static void relu(int64_t count, const gr_real *x, gr_real *y) {
    for (int64_t i = 0; i < count; i++) y[i] = x[i] <= 0 ? 0 : x[i]; /* a NaN stays one */
}

#define FOR_EACH_LANE(features, probes, samples) \
    for (int64_t f = 0; f < (features); f++)     \
        for (int64_t k = 0; k < (probes); k++)   \
            for (int64_t s = 0; s < (samples); s++)

static void relu_mask(int64_t features, int64_t probes, int64_t samples, const gr_real *y,
                      const gr_real *d_out, gr_real *d_in) {
    FOR_EACH_LANE (features, probes, samples) {
        const int64_t lane = (f * probes + k) * samples + s;
        d_in[lane] = y[f * samples + s] > 0 ? d_out[lane] : 0;
    }
}

static void scale(int64_t features, int64_t probes, int64_t samples, const gr_real *factor,
                  const gr_real *in, gr_real *out) {
    FOR_EACH_LANE (features, probes, samples) {
        const int64_t lane = (f * probes + k) * samples + s;
        out[lane] = factor[f * samples + s] * in[lane];
    }
}

static void squared_norms(int64_t features, int64_t probes, int64_t samples, int64_t stride,
                          bool turned, int64_t count, const gr_real *g, double *norms) {
    for (int64_t s = 0; s < count; s++) {
        norms[s] = 0;
        for (int64_t f = 0; f < features; f++)
            for (int64_t k = 0; k < probes; k++) {
                const int64_t lane = k * samples + s;
                const double value = (double)g[turned ? lane * features + f : f * stride + lane];
                norms[s] += value * value;
            }
    }
}

static void scale_samples(int64_t features, int64_t probes, int64_t samples, int64_t stride,
                          bool turned, const gr_real *factor, gr_real *g) {
    FOR_EACH_LANE (features, probes, samples) {
        const int64_t lane = k * samples + s;
        g[turned ? lane * features + f : f * stride + lane] *= factor[s];
    }
}

static void add_products(int64_t features, int64_t probes, int64_t samples, const gr_real *a,
                         const gr_real *t, const gr_real *e, gr_real *d) {
    for (int64_t f = 0; f < features; f++)
        for (int64_t s = 0; s < samples; s++) {
            double sum = (double)d[f * samples + s];
            for (int64_t k = 0; k < probes; k++) {
                const int64_t lane = (f * probes + k) * samples + s;
                sum += (double)a[f * samples + s] * (double)t[lane] * (double)e[lane];
            }
            d[f * samples + s] = (gr_real)sum;
        }
}

static void window_maximum(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                           int64_t samples, const gr_real *in, gr_real *out, int32_t *winner) {
    for (int64_t w = 0; w < windows; w++, in += step, out += samples, winner += samples)
        for (int64_t s = 0; s < samples; s++) {
            winner[s] = 0;
            for (int64_t pixel = 0; pixel < size * size; pixel++) {
                const gr_real x = in[pixel / size * row_stride + pixel % size * samples + s];
                if (pixel == 0 || x > out[s] || x != x) out[s] = x, winner[s] = (int32_t)pixel;
            }
        }
}

static void window_scatter(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                           bool add, int64_t probes, int64_t samples, const int32_t *winner,
                           const gr_real *d_out, gr_real *d_in) {
    for (int64_t w = 0; w < windows; w++)
        for (int32_t pixel = 0; pixel < size * size; pixel++) {
            gr_real *to =
                d_in + w * step + pixel / size * row_stride + pixel % size * probes * samples;
            FOR_EACH_LANE (1, probes, samples) {
                const int64_t lane = (f * probes + k) * samples + s;
                const bool won = winner[w * samples + s] == pixel;
                const gr_real d = won ? d_out[w * probes * samples + lane] : 0;
                to[lane] = add ? to[lane] + d : d;
            }
        }
}

static void window_gather(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                          int64_t probes, int64_t samples, const int32_t *winner, const gr_real *in,
                          gr_real *out) {
    for (int64_t w = 0; w < windows; w++, in += step, winner += samples, out += probes * samples)
        FOR_EACH_LANE (1, probes, samples) {
            const int64_t lane = (f * probes + k) * samples + s;
            const int64_t row = winner[s] / size, column = winner[s] % size;
            out[lane] = in[row * row_stride + column * probes * samples + lane];
        }
}

/* Calls the body for each pair of a picked pixel's tap and the pixel of the image that it reads:
 * `w` the weight's index, `i` the image's lane, `o` that of the pool's output. */
#define FOR_EACH_PICKED_TAP(c, probes, samples, winner)                                            \
    for (int64_t f = 0; f < (c)->out_channels * (c)->pooled_rows * (c)->pooled_columns; f++)       \
        for (int64_t lane_ = 0; lane_ < (probes) * (samples); lane_++)                             \
            for (int64_t tap = 0, o = f * (probes) * (samples) + lane_;                            \
                 tap < (c)->in_channels * (c)->kernel * (c)->kernel; tap++)                        \
                for (int64_t w = f / ((c)->pooled_rows * (c)->pooled_columns) * (c)->in_channels * \
                                     (c)->kernel * (c)->kernel +                                   \
                                 tap,                                                              \
                             i = picked_input(c, f, (winner)[f * (samples) + lane_ % (samples)],   \
                                              tap, (probes) * (samples), lane_),                   \
                             once_ = 1;                                                            \
                     once_ && i >= 0; once_ = 0)

/* The lane of the image that tap `tap` of pooled feature f reads; -1 in the padding. */
static int64_t picked_input(const gr_convolution_shape *c, int64_t f, int32_t winner, int64_t tap,
                            int64_t lanes, int64_t lane) {
    const int64_t row = f / c->pooled_columns % c->pooled_rows, column = f % c->pooled_columns;
    const int64_t channel = tap / (c->kernel * c->kernel);
    const int64_t y = row * c->step + winner / c->window + tap / c->kernel % c->kernel - c->padding;
    const int64_t x = column * c->step + winner % c->window + tap % c->kernel - c->padding;
    if (y < 0 || y >= c->in_rows || x < 0 || x >= c->in_columns) return -1;
    return ((channel * c->in_rows + y) * c->in_columns + x) * lanes + lane;
}

static void pooled_backward(const gr_convolution_shape *c, const gr_real *weights, int64_t probes,
                            int64_t samples, const int32_t *winner, const gr_real *d_pooled,
                            gr_real *d_in, gr_real *scratch) {
    (void)scratch;
    for (int64_t e = 0; e < c->in_channels * c->in_rows * c->in_columns * probes * samples; e++)
        d_in[e] = 0;
    FOR_EACH_PICKED_TAP (c, probes, samples, winner) d_in[i] += weights[w] * d_pooled[o];
}

static void pooled_tangent(const gr_convolution_shape *c, const gr_real *weights, int64_t probes,
                           int64_t samples, const int32_t *winner, const gr_real *kept,
                           const gr_real *t_in, gr_real *t_pooled, gr_real *scratch) {
    (void)scratch;
    const int64_t features = c->out_channels * c->pooled_rows * c->pooled_columns;
    for (int64_t e = 0; e < features * probes * samples; e++) t_pooled[e] = 0;
    FOR_EACH_PICKED_TAP (c, probes, samples, winner)
        if (!kept || kept[f * samples + lane_ % samples] > 0) t_pooled[o] += weights[w] * t_in[i];
}

static void pooled_accumulate(const gr_convolution_shape *c, const gr_real *weights, int64_t probes,
                              int64_t samples, const int32_t *winner, const gr_real *kept,
                              const gr_real *d_pooled, const gr_real *t_in, gr_real *t_pooled,
                              gr_real *d_weights, gr_real *scratch) {
    FOR_EACH_PICKED_TAP (c, probes, samples, winner) d_weights[w] += d_pooled[o] * t_in[i];
    if (t_pooled)
        pooled_tangent(c, weights, probes, samples, winner, kept, t_in, t_pooled, scratch);
}

static double decay(int64_t count, gr_real weight, const gr_real *parameters, gr_real *gradients) {
    double squares = 0;
    for (int64_t i = 0; i < count; i++) {
        const double w = (double)parameters[i];
        squares += w * w;
        gradients[i] = (gr_real)((double)gradients[i] + (double)weight * w);
    }
    return squares;
}

static double absolute_decay(int64_t count, gr_real weight, const gr_real *parameters,
                             gr_real *gradients) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += fabs((double)parameters[i]);
        gradients[i] += parameters[i] > 0 ? weight : parameters[i] < 0 ? -weight : 0;
    }
    return sum;
}

static void add(int64_t count, const gr_real *a, const gr_real *b, gr_real *out) {
    for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}

static void moments(int64_t count, const gr_real *a, double *mean, double *variance) {
    *mean = *variance = 0;
    for (int64_t i = 0; i < count; i++) *mean += (double)a[i] / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double x = (double)a[i] - *mean;
        *variance += x * x / (double)count;
    }
}

static void normalize(int64_t count, const gr_real *a, gr_real center, gr_real scale_,
                      gr_real shift, gr_real *y) {
    for (int64_t i = 0; i < count; i++)
        y[i] = (gr_real)(((double)a[i] - (double)center) * (double)scale_ + (double)shift);
}

/* Calls the body for each element of one probe's lanes of a channel: `lane` among adjoints and
 * tangents, `sample` in the layer's input. */
#define FOR_EACH_ELEMENT(positions, samples, stride)                                    \
    for (int64_t p = 0; p < (positions); p++)                                           \
        for (int64_t s = 0, lane = p * (stride), sample = p * (samples); s < (samples); \
             s++, lane++, sample++)

static void normalized_sums(int64_t positions, int64_t samples, int64_t stride, const gr_real *v,
                            const gr_real *a, gr_real center, double *sums) {
    sums[0] = sums[1] = 0;
    FOR_EACH_ELEMENT(positions, samples, stride) {
        sums[0] += (double)v[lane];
        sums[1] += (double)v[lane] * ((double)a[sample] - (double)center);
    }
}

static void second_sums(int64_t positions, int64_t samples, int64_t stride, const gr_real *d,
                        const gr_real *t, const gr_real *a, gr_real center, double *sums) {
    for (int i = 0; i < GR_SECOND_SUMS; i++) sums[i] = 0;
    FOR_EACH_ELEMENT(positions, samples, stride) {
        const double e = (double)d[lane], b = (double)t[lane];
        const double x = (double)a[sample] - (double)center;
        sums[GR_SUM_D] += e;
        sums[GR_SUM_DX] += e * x;
        sums[GR_SUM_T] += b;
        sums[GR_SUM_TX] += b * x;
        sums[GR_SUM_DT] += e * b;
    }
}

static double plane_at(const gr_plane *plane, double d, double t, double x) {
    return (double)plane->of_d * d + (double)plane->of_t * t + (double)plane->of_x * x +
           (double)plane->constant;
}

static void project(int64_t positions, int64_t samples, int64_t stride, const gr_real *v,
                    const gr_real *a, gr_real center, const gr_plane *plane, const gr_real *extra,
                    gr_real *out) {
    FOR_EACH_ELEMENT(positions, samples, stride) {
        const double x = (double)a[sample] - (double)center;
        out[lane] =
            (gr_real)(plane_at(plane, 0, (double)v[lane], x) + (extra ? (double)extra[sample] : 0));
    }
}

static void bend(int64_t positions, int64_t samples, int64_t stride, const gr_real *d,
                 const gr_real *t, const gr_real *a, gr_real center, const gr_plane *plane,
                 bool add_, gr_real *out, const gr_plane *t_plane, gr_real *t_out) {
    FOR_EACH_ELEMENT(positions, samples, stride) {
        const double e = (double)d[lane], b = (double)t[lane];
        const double x = (double)a[sample] - (double)center;
        out[sample] = (gr_real)(plane_at(plane, e, b, x) + (add_ ? (double)out[sample] : 0));
        if (t_out) t_out[lane] = (gr_real)plane_at(t_plane, 0, b, x);
    }
}

/* What joins the gradient and what is kept of the parameter, for all optimisers. */
static double decay_step(const gr_step *step) {
    double squares = 0;
    if (step->decay != 0)
        squares = decay(step->count, step->decay, step->parameters, step->gradients);
    for (int64_t i = 0; i < step->count; i++) step->parameters[i] *= step->kept;
    return squares;
}

static double adam(const gr_step *step, gr_real beta1, gr_real beta2, gr_real step_size,
                   gr_real second_correction, gr_real epsilon) {
    gr_real *first = step->moments[0], *second = step->moments[1];
    const double squares = decay_step(step);
    for (int64_t i = 0; i < step->count; i++) {
        const double g = (double)step->gradients[i];
        const double m = (double)beta1 * (double)first[i] + (1 - (double)beta1) * g;
        const double v = (double)beta2 * (double)second[i] + (1 - (double)beta2) * g * g;
        const double root = sqrt(v) * (double)second_correction + (double)epsilon;
        first[i] = (gr_real)m;
        second[i] = (gr_real)v;
        step->parameters[i] = (gr_real)((double)step->parameters[i] - (double)step_size * m / root);
        step->gradients[i] = 0;
    }
    return squares;
}

static double momentum(const gr_step *step, gr_real rate, gr_real kept, bool nesterov) {
    gr_real *velocity = step->moments[0];
    const double squares = decay_step(step);
    for (int64_t i = 0; i < step->count; i++) {
        const double g = (double)step->gradients[i];
        const double v = (double)kept * (double)velocity[i] + g;
        const double moved = nesterov ? g + (double)kept * v : v;
        velocity[i] = (gr_real)v;
        step->parameters[i] = (gr_real)((double)step->parameters[i] - (double)rate * moved);
        step->gradients[i] = 0;
    }
    return squares;
}

static double rmsprop(const gr_step *step, gr_real rate, gr_real alpha, gr_real epsilon,
                      gr_real kept) {
    gr_real *mean_squares = step->moments[0], *velocity = step->moments[1];
    const double squares = decay_step(step);
    for (int64_t i = 0; i < step->count; i++) {
        const double g = (double)step->gradients[i];
        const double s = (double)alpha * (double)mean_squares[i] + (1 - (double)alpha) * g * g;
        const double v = (double)kept * (double)velocity[i] + g / (sqrt(s) + (double)epsilon);
        mean_squares[i] = (gr_real)s;
        velocity[i] = (gr_real)v;
        step->parameters[i] = (gr_real)((double)step->parameters[i] - (double)rate * v);
        step->gradients[i] = 0;
    }
    return squares;
}

const gr_kernels gr_kernels_reference = {
    .name = "reference",
    .vector_lanes = 1,
    .cache_bytes = 1 << 19,
    .standardize = standardize,
    .standardize_row = standardize_row,
    .add_normals = add_normals,
    .dropout_mask = dropout_mask,
    .convolve = convolve,
    .convolve_accumulate = convolve_accumulate,
    .settle = settle,
    .winograd_forward = winograd_forward,
    .winograd_backward = winograd_backward,
    .winograd_accumulate = winograd_accumulate,
    .multiply = multiply,
    .multiply_kept = multiply_kept,
    .multiply_transposed = multiply_transposed,
    .multiply_accumulate = multiply_accumulate,
    .multiply_kept_and_accumulate = multiply_kept_and_accumulate,
    .row_sums = row_sums,
    .relu = relu,
    .tanh = smooth_tanh,
    .sigmoid = smooth_sigmoid,
    .softplus = smooth_softplus,
    .elu = smooth_elu,
    .relu_mask = relu_mask,
    .scale = scale,
    .squared_norms = squared_norms,
    .scale_samples = scale_samples,
    .add_products = add_products,
    .window_maximum = window_maximum,
    .window_scatter = window_scatter,
    .window_gather = window_gather,
    .pooled_backward = pooled_backward,
    .pooled_accumulate = pooled_accumulate,
    .pooled_tangent = pooled_tangent,
    .decay = decay,
    .absolute_decay = absolute_decay,
    .add = add,
    .moments = moments,
    .normalize = normalize,
    .normalized_sums = normalized_sums,
    .second_sums = second_sums,
    .project = project,
    .bend = bend,
    .adam = adam,
    .momentum = momentum,
    .rmsprop = rmsprop,
};
