/* maxpool2d {size, stride}: the largest of each window; ties go to the first in row-major order.
 * The window's position of the largest is kept for each sample and shared by its probes. */
#include <string.h>

#include "core/layer.h"

enum { SIZE, STRIDE };
static const gr_option options[] = {
    [SIZE] = {.name = "size",
              .help = "rows and columns of the square window, in pixels",
              .accepts = GR_ACCEPT(GR_INTEGER),
              .minimum = 1,
              .maximum = 64,
              .default_json = "2"},
    [STRIDE] = {.name = "stride",
                .help = "step between windows, in pixels; null: the size",
                .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),
                .minimum = 1,
                .maximum = 64,
                .default_json = "null"},
};

static int64_t stride_of(const gr_node *node) {
    return gr_is_null(node->settings, STRIDE) ? gr_integer(node->settings, SIZE)
                                              : gr_integer(node->settings, STRIDE);
}

static gr_status configure(gr_node *node, gr_error *error) {
    if (node->in.rank != 3)
        return gr_fail(error, GR_INVALID,
                       "maxpool2d takes an image (channels, rows, columns), not a vector");
    const int64_t size = gr_integer(node->settings, SIZE), stride = stride_of(node);
    const int64_t rows = node->in.size[1], columns = node->in.size[2];
    if (size > rows || size > columns)
        return gr_fail_at(
            error, GR_INVALID, "/size",
            "a window of %lld is larger than its input of %lldx%lld: use a smaller one",
            (long long)size, (long long)rows, (long long)columns);
    node->out = (gr_shape){
        3, {node->in.size[0], (rows - size) / stride + 1, (columns - size) / stride + 1}};
    node->state_bytes = gr_shape_elements(&node->out) * (int64_t)sizeof(int32_t);
    return GR_OK;
}

/* Calls the body with `in_row`, the input feature at a window's top left corner, for each output
 * feature `o`. */
#define FOR_EACH_WINDOW(node, stride)                                                           \
    for (int64_t o = 0, c = 0; c < (node)->out.size[0]; c++)                                    \
        for (int64_t y = 0; y < (node)->out.size[1]; y++)                                       \
            for (int64_t x = 0,                                                                 \
                         in_row = (c * (node)->in.size[1] + y * (stride)) * (node)->in.size[2]; \
                 x < (node)->out.size[2]; x++, o++, in_row += (stride))

static void forward(const gr_site *site) {
    const gr_node *node = site->node;
    const int64_t size = gr_integer(node->settings, SIZE), stride = stride_of(node);
    const int64_t samples = site->samples, columns = node->in.size[2];
    FOR_EACH_WINDOW(node, stride) {
        site->kernels->window_maximum(size, columns * samples, samples, site->in + in_row * samples,
                                      site->out + o * samples,
                                      (int32_t *)site->state + o * samples);
    }
}

static void backward(const gr_site *site, int64_t probes, const gr_real *d_out, gr_real *d_in) {
    const gr_node *node = site->node;
    const int64_t size = gr_integer(node->settings, SIZE), stride = stride_of(node);
    const int64_t samples = site->samples, lanes = probes * samples, columns = node->in.size[2];
    const bool tiled = stride == size && node->in.size[1] % size == 0 && columns % size == 0;
    if (!tiled) memset(d_in, 0, (size_t)(node->in_features * lanes) * sizeof(gr_real));
    FOR_EACH_WINDOW(node, stride) {
        const int32_t *winner = (const int32_t *)site->state + o * samples;
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++)
                site->kernels->window_scatter((int32_t)(i * size + j), stride < size, probes,
                                              samples, winner, d_out + o * lanes,
                                              d_in + (in_row + i * columns + j) * lanes);
    }
}

static void tangent(const gr_site *site, int64_t probes, const gr_real *t_in, gr_real *t_out) {
    const gr_node *node = site->node;
    const int64_t size = gr_integer(node->settings, SIZE), stride = stride_of(node);
    const int64_t samples = site->samples, lanes = probes * samples, columns = node->in.size[2];
    FOR_EACH_WINDOW(node, stride) {
        site->kernels->window_gather(size, columns * lanes, probes, samples,
                                     (const int32_t *)site->state + o * samples,
                                     t_in + in_row * lanes, t_out + o * lanes);
    }
}

const gr_layer_kind gr_layer_maxpool2d = {
    .kind = {.name = "maxpool2d",
             .help = "the maximum of each window",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .configure = configure,
    .forward = forward,
    .backward = backward,
    .tangent = tangent,
};
