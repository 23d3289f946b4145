/* conv2d {filters, kernel, stride, padding}: cross-correlation as PyTorch's Conv2d, W:
 * [filters][in][k][k]. Direct, by the gather kernels of core/kernels; by Winograd's algorithm where
 * channels and lanes are many enough (gr_winograd_pays); as matrix products of columns where the
 * output is few pixels (columns.h); and a layer whose output is one pixel, or whose kernel is, is a
 * matrix product of its input, if nothing is padded. These are rules on shapes, so that the order
 * of the sums never depends on a timing. */
#include <math.h>
#include <stdlib.h>

#include "core/layers/columns.h"
#include "core/layers/window.h"

enum { FILTERS, KERNEL, STRIDE, PADDING };
enum { PADDING_VALID, PADDING_SAME };
static const char *const padding_choices[] = {"valid", "same", NULL};
static const gr_option options[] = {
    [FILTERS] = {.name = "filters",
                 .help = "number of output channels",
                 .accepts = GR_ACCEPT(GR_INTEGER),
                 .minimum = 1,
                 .maximum = 4096,
                 .required = true},
    [KERNEL] = {.name = "kernel",
                .help = "rows and columns of the square kernel, in pixels",
                .accepts = GR_ACCEPT(GR_INTEGER),
                .minimum = 1,
                .maximum = 64,
                .required = true},
    [STRIDE] = {.name = "stride",
                .help = "step between output pixels, in input pixels",
                .accepts = GR_ACCEPT(GR_INTEGER),
                .minimum = 1,
                .maximum = 64,
                .default_json = "1"},
    [PADDING] = {.name = "padding",
                 .help = "zeros on every side: \"valid\" none, \"same\" half the kernel rounded "
                         "down, or a number of pixels",
                 .accepts = GR_ACCEPT(GR_CHOICE) | GR_ACCEPT(GR_INTEGER),
                 .minimum = 0,
                 .maximum = 64,
                 .choices = padding_choices,
                 .default_json = "\"valid\""},
};

enum { WEIGHT, BIAS };

typedef struct geometry {
    int64_t filter_reals; /* weights of a filter */
    bool product;         /* nothing padded, one output pixel or a kernel of one: a matrix product
                             over in·k², whose lanes are those of all `pixels` */
    int64_t pixels;       /* of the output */
    gr_convolution_shape shape;
    gr_convolution forward, transposed;
    bool winograd, columns; /* whether these suit it */
} geometry;

/* Taps that reach output index `o` of a forward pass along one axis: input o·stride - padding +
 * tap. */
static gr_taps forward_taps(int64_t o, int64_t in, int64_t kernel, int64_t stride,
                            int64_t padding) {
    int64_t first = o * stride - padding;
    int64_t low = first < 0 ? -first : 0, high = in - first < kernel ? in - first : kernel;
    if (high < low) high = low;
    return (gr_taps){.count = (int32_t)(high - low),
                     .input = (int32_t)(high > low ? first + low : 0),
                     .input_step = 1,
                     .weight = (int32_t)low,
                     .weight_step = 1};
}

/* Taps of the transpose: input index i of the layer gathers from output o with o·stride - padding +
 * tap = i. Taken in order of falling tap, so that o rises. */
static gr_taps transposed_taps(int64_t i, int64_t out, int64_t kernel, int64_t stride,
                               int64_t padding) {
    int64_t low = (i + padding - (kernel - 1) + stride - 1) / stride;
    if (i + padding - (kernel - 1) <= 0) low = 0;
    int64_t high = (i + padding) / stride;
    if (high > out - 1) high = out - 1;
    if (high < low) return (gr_taps){0};
    return (gr_taps){.count = (int32_t)(high - low + 1),
                     .input = (int32_t)low,
                     .input_step = 1,
                     .weight = (int32_t)(i + padding - low * stride),
                     .weight_step = (int32_t)-stride};
}

typedef gr_taps taps_function(int64_t index, int64_t size, int64_t kernel, int64_t stride,
                              int64_t padding);

/* Fills rows and runs: neighbouring columns whose taps are the same and whose inputs are neighbours
 * make one run. */
static bool plan(gr_convolution *c, taps_function *taps, int64_t kernel, int64_t stride,
                 int64_t padding) {
    c->rows = calloc((size_t)c->out_rows, sizeof *c->rows);
    c->runs = calloc((size_t)c->out_columns, sizeof *c->runs);
    if (!c->rows || !c->runs) return false;
    for (int64_t y = 0; y < c->out_rows; y++)
        c->rows[y] = taps(y, c->in_rows, kernel, stride, padding);
    for (int64_t x = 0; x < c->out_columns; x++) {
        gr_taps t = taps(x, c->in_columns, kernel, stride, padding);
        gr_run *last = c->run_count ? &c->runs[c->run_count - 1] : NULL;
        if (last && last->taps.count == t.count && last->taps.weight == t.weight &&
            (t.count == 0 || last->taps.input + last->columns == t.input))
            last->columns++;
        else
            c->runs[c->run_count++] = (gr_run){(int32_t)x, 1, t};
    }
    return true;
}

static void release(gr_node *node) {
    geometry *g = node->geometry;
    if (!g) return;
    free(g->forward.rows);
    free(g->forward.runs);
    free(g->transposed.rows);
    free(g->transposed.runs);
    free(g);
}

static gr_status configure(gr_node *node, gr_error *error) {
    if (node->in.rank != 3)
        return gr_fail(error, GR_INVALID,
                       "conv2d takes an image (channels, rows, columns), not a vector");
    const int64_t filters = gr_integer(node->settings, FILTERS);
    const int64_t kernel = gr_integer(node->settings, KERNEL);
    const int64_t stride = gr_integer(node->settings, STRIDE);
    const gr_value *value = &node->settings->values[PADDING];
    const int64_t padding = value->type == GR_INTEGER       ? value->integer
                            : value->choice == PADDING_SAME ? kernel / 2
                                                            : 0;
    const int64_t channels = node->in.size[0], rows = node->in.size[1], columns = node->in.size[2];
    if (kernel > rows + 2 * padding || kernel > columns + 2 * padding)
        return gr_fail_at(error, GR_INVALID, "/kernel",
                          "a kernel of %lld is larger than its input of %lldx%lld with a padding "
                          "of %lld: use a smaller kernel or more padding",
                          (long long)kernel, (long long)rows, (long long)columns,
                          (long long)padding);
    const int64_t out_rows = (rows + 2 * padding - kernel) / stride + 1;
    const int64_t out_columns = (columns + 2 * padding - kernel) / stride + 1;
    node->out = (gr_shape){3, {filters, out_rows, out_columns}};
    node->parameter_count = 2;
    const double fan_in = (double)(channels * kernel * kernel);
    const double fan_out = (double)(filters * kernel * kernel) / (double)(stride * stride);
    node->parameters[WEIGHT] = (gr_parameter){.name = "weight",
                                              .shape = {4, {filters, channels, kernel, kernel}},
                                              .initial_deviation = sqrt(4.0 / (fan_in + fan_out))};
    node->parameters[BIAS] = (gr_parameter){.name = "bias", .shape = {1, {filters}}};

    geometry *g = node->geometry = calloc(1, sizeof *g);
    if (!g) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a convolution's plan");
    const bool one_output =
        out_rows == 1 && out_columns == 1 && kernel == rows && kernel == columns;
    g->product = padding == 0 && (one_output || (kernel == 1 && stride == 1));
    g->pixels = out_rows * out_columns;
    g->filter_reals = channels * kernel * kernel;
    g->shape = (gr_convolution_shape){.in_channels = channels,
                                      .in_rows = rows,
                                      .in_columns = columns,
                                      .out_channels = filters,
                                      .out_rows = out_rows,
                                      .out_columns = out_columns,
                                      .kernel = kernel,
                                      .stride = stride,
                                      .padding = padding};
    g->forward = (gr_convolution){.in_channels = channels,
                                  .in_rows = rows,
                                  .in_columns = columns,
                                  .out_channels = filters,
                                  .out_rows = out_rows,
                                  .out_columns = out_columns,
                                  .weight_out_stride = channels * kernel * kernel,
                                  .weight_in_stride = kernel * kernel,
                                  .weight_row_stride = kernel};
    g->transposed = (gr_convolution){.in_channels = filters,
                                     .in_rows = out_rows,
                                     .in_columns = out_columns,
                                     .out_channels = channels,
                                     .out_rows = rows,
                                     .out_columns = columns,
                                     .weight_out_stride = kernel * kernel,
                                     .weight_in_stride = channels * kernel * kernel,
                                     .weight_row_stride = kernel};
    if (!plan(&g->forward, forward_taps, kernel, stride, padding) ||
        !plan(&g->transposed, transposed_taps, kernel, stride, padding))
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a convolution's plan");
    g->winograd = !g->product && stride == 1 && gr_winograd_suits(&g->shape);
    g->columns = !g->product && !g->winograd && gr_columns_pay(&g->shape);
    if (g->winograd) node->scratch_reals = gr_winograd_scratch(&g->shape);
    if (g->columns) node->scratch_reals = gr_columns_scratch(&g->shape);
    if (node->scratch_reals < g->pixels) node->scratch_reals = g->pixels;
    if (!g->product && stride == 1 && (kernel == 3 || kernel == 5)) node->pooled = &g->shape;
    double row_taps = 0, column_taps = 0;
    for (int64_t y = 0; y < out_rows; y++) row_taps += g->forward.rows[y].count;
    for (int64_t r = 0; r < g->forward.run_count; r++)
        column_taps += (double)g->forward.runs[r].columns * g->forward.runs[r].taps.count;
    node->operations = row_taps * column_taps * (double)(filters * channels);
    return GR_OK;
}

static bool by_winograd(const geometry *g, int64_t lanes) {
    return g->winograd && gr_winograd_pays(&g->shape, lanes);
}

/* The direct sums of the filters of `convolution`: all of the layer's, or a part of them. */
static void sum_filters(const gr_site *site, const gr_convolution *convolution, int64_t lanes,
                        const gr_real *weights, const gr_real *bias, const gr_real *in,
                        gr_real *out) {
    const geometry *g = site->node->geometry;
    if (g->product)
        site->kernels->multiply(convolution->out_channels, g->filter_reals, g->pixels * lanes,
                                weights, bias, false, in, out);
    else
        site->kernels->convolve(convolution, weights, bias, lanes, in, out);
}

static void gather(const gr_site *site, int64_t lanes, const gr_real *bias, const gr_real *in,
                   gr_real *out) {
    const gr_node *node = site->node;
    const geometry *g = node->geometry;
    const gr_real *weights = gr_site_parameter(site, WEIGHT);
    if (by_winograd(g, lanes)) {
        site->kernels->winograd_forward(&g->shape, weights, bias, lanes, in, out, site->scratch);
        return;
    }
    if (g->columns) {
        gr_columns_forward(&g->shape, site->kernels, weights, bias, lanes, in, out, site->scratch);
        return;
    }
    sum_filters(site, &g->forward, lanes, weights, bias, in, out);
}

/* The layer's outputs. The direct sums of equal patches are equal; the other ways round by place.
 */
static void make_outputs(const gr_site *site) {
    const geometry *g = site->node->geometry;
    const gr_real *bias = gr_site_parameter(site, BIAS);
    gather(site, site->samples, bias, site->in, site->out);
    if (by_winograd(g, site->samples) || ((g->columns || g->product) && g->pixels > 1))
        site->kernels->settle(&g->shape, gr_site_parameter(site, WEIGHT), bias,
                              site->node->ties_reach, site->samples, site->in, site->out,
                              site->scratch);
}

/* Filters whose outputs are made at a time where a max-pool follows: it finds them in the cache. */
enum { JOINED_FILTERS = 4 };

/* The next filters from `first` on, their convolution, and the pool of their outputs; as many as
 * are left where the algorithm wants all at once. */
typedef struct joined_part {
    int64_t first, count;
    gr_convolution convolution;
    gr_node pool_node;
    gr_site pool;
} joined_part;

static bool next_part(const gr_site *site, joined_part *part) {
    const geometry *g = site->node->geometry;
    const int64_t left = g->forward.out_channels - part->first - part->count;
    part->first += part->count;
    part->count = left < JOINED_FILTERS || g->columns || by_winograd(g, site->samples)
                      ? left
                      : JOINED_FILTERS;
    part->convolution = g->forward;
    part->convolution.out_channels = part->count;
    if (left)
        part->pool =
            gr_window_part(site->pool, part->first, part->count, site->out, &part->pool_node);
    return left > 0;
}

static void forward(const gr_site *site) {
    const geometry *g = site->node->geometry;
    if (!site->pool) {
        make_outputs(site);
        return;
    }
    const gr_real *bias = gr_site_parameter(site, BIAS);
    for (joined_part part = {0}; next_part(site, &part);) {
        if (part.count == g->forward.out_channels)
            make_outputs(site);
        else
            sum_filters(site, &part.convolution, site->samples,
                        gr_site_parameter(site, WEIGHT) + part.first * g->filter_reals,
                        bias + part.first, site->in, site->out);
        part.pool.node->kind->forward(&part.pool);
    }
}

static void backward(const gr_site *site, int64_t probes, const gr_real *d_out, gr_real *d_in) {
    const gr_node *node = site->node;
    const geometry *g = node->geometry;
    const int64_t lanes = probes * site->samples;
    const gr_real *weights = gr_site_parameter(site, WEIGHT);
    const gr_picked *picked = site->picked;
    if (picked)
        site->kernels->pooled_backward(&g->shape, weights, probes, site->samples, picked->winner,
                                       d_out, d_in, picked->scratch);
    else if (by_winograd(g, lanes))
        site->kernels->winograd_backward(&g->shape, weights, lanes, d_out, d_in, site->scratch);
    else if (g->columns)
        gr_columns_backward(&g->shape, site->kernels, weights, lanes, d_out, d_in, site->scratch);
    else if (g->product)
        site->kernels->multiply_transposed(g->forward.out_channels, g->filter_reals,
                                           g->pixels * lanes, weights, d_out, false, d_in);
    else
        site->kernels->convolve(&g->transposed, weights, NULL, lanes, d_out, d_in);
}

/* d_weights and d_bias (NULL: none) += those of the filters of `convolution`: all of the layer's,
 * but for the direct sums, which take a part of them too. */
static void accumulate_filters(const gr_site *site, const gr_convolution *convolution,
                               int64_t lanes, const gr_real *d_out, const gr_real *in,
                               gr_real *d_weights, gr_real *d_bias) {
    const gr_node *node = site->node;
    const geometry *g = node->geometry;
    if (by_winograd(g, lanes))
        site->kernels->winograd_accumulate(&g->shape, lanes, d_out, in, d_weights, site->scratch);
    else if (g->columns)
        gr_columns_accumulate(&g->shape, site->kernels, lanes, d_out, in, d_weights, site->scratch);
    else if (g->product)
        site->kernels->multiply_accumulate(convolution->out_channels, g->filter_reals,
                                           g->pixels * lanes, d_out, false, in, d_weights);
    else
        site->kernels->convolve_accumulate(convolution, lanes, d_out, in, d_weights);
    if (d_bias)
        site->kernels->row_sums(convolution->out_channels,
                                node->out.size[1] * node->out.size[2] * lanes, d_out, d_bias);
}

static void accumulate(const gr_site *site, int64_t probes, const gr_real *d_out, const gr_real *in,
                       bool tangent, gr_real *gradients) {
    const gr_node *node = site->node;
    const geometry *g = node->geometry;
    const int64_t lanes = probes * site->samples;
    gr_real *d_weights = gradients + node->parameters[WEIGHT].offset;
    const gr_picked *picked = site->picked;
    gr_real *d_bias = tangent ? NULL : gradients + node->parameters[BIAS].offset;
    if (picked) {
        const int64_t windows = g->shape.pooled_rows * g->shape.pooled_columns;
        site->kernels->pooled_accumulate(&g->shape, NULL, probes, site->samples, picked->winner,
                                         NULL, d_out, in, NULL, d_weights, picked->scratch);
        if (d_bias)
            site->kernels->row_sums(g->forward.out_channels, windows * lanes, d_out, d_bias);
        return;
    }
    if (!site->pool) {
        accumulate_filters(site, &g->forward, lanes, d_out, in, d_weights, d_bias);
        return;
    }
    for (joined_part part = {0}; next_part(site, &part);) {
        const int64_t windows = part.first * g->shape.pooled_rows * g->shape.pooled_columns;
        part.pool.node->kind->backward(&part.pool, 1, d_out + windows * lanes, site->out);
        accumulate_filters(site, &part.convolution, lanes, site->out, in,
                           d_weights + part.first * g->filter_reals, d_bias + part.first);
    }
}

static void tangent(const gr_site *site, int64_t probes, const gr_real *t_in, gr_real *t_out) {
    const geometry *g = site->node->geometry;
    const gr_picked *picked = site->picked;
    if (picked)
        site->kernels->pooled_tangent(&g->shape, gr_site_parameter(site, WEIGHT), probes,
                                      site->samples, picked->winner, site->kept, t_in, t_out,
                                      picked->scratch);
    else if (g->product && g->pixels == 1 && site->kept)
        site->kernels->multiply_kept(g->forward.out_channels, g->filter_reals, probes,
                                     site->samples, gr_site_parameter(site, WEIGHT), site->kept,
                                     false, t_in, t_out);
    else
        gather(site, probes * site->samples, NULL, t_in, t_out);
}

static void tangent_and_accumulate(const gr_site *site, int64_t probes, const gr_real *d_out,
                                   const gr_real *t_in, gr_real *bend, bool add, gr_real *t_out,
                                   gr_real *gradients) {
    (void)bend, (void)add; /* linear */
    const gr_node *node = site->node;
    const geometry *g = node->geometry;
    const gr_picked *picked = site->picked;
    if (picked) {
        site->kernels->pooled_accumulate(&g->shape, gr_site_parameter(site, WEIGHT), probes,
                                         site->samples, picked->winner, site->kept, d_out, t_in,
                                         t_out, gradients + node->parameters[WEIGHT].offset,
                                         picked->scratch);
        return;
    }
    accumulate(site, probes, d_out, t_in, true, gradients);
    if (t_out) tangent(site, probes, t_in, t_out);
}

const gr_layer_kind gr_layer_conv2d = {
    .kind = {.name = "conv2d",
             .help = "a two-dimensional convolution with bias",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .configure = configure,
    .release = release,
    .forward = forward,
    .backward = backward,
    .accumulate = accumulate,
    .tangent = tangent,
    .tangent_and_accumulate = tangent_and_accumulate,
};
