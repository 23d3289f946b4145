/* maxpool2d {size, stride}: the largest of each window; ties go to the first in row-major order.
 * The window's position of the largest is kept for each sample and shared by its probes. */
#include <string.h>

#include "core/layers/window.h"

enum { SIZE, STRIDE };
static const gr_option options[] = {[SIZE] = GR_WINDOW_SIZE, [STRIDE] = GR_WINDOW_STRIDE};

static gr_status configure(gr_node *node, gr_error *error) {
    gr_window *window;
    const int64_t size = gr_integer(node->settings, SIZE);
    const int64_t stride =
        gr_is_null(node->settings, STRIDE) ? size : gr_integer(node->settings, STRIDE);
    GR_TRY(gr_window_configure(node, size, stride, &window, error));
    node->state_bytes = gr_shape_elements(&node->out) * (int64_t)sizeof(int32_t);
    return GR_OK;
}

static void forward(const gr_site *site) {
    const gr_node *node = site->node;
    const gr_window *window = node->geometry;
    const int64_t samples = site->samples;
    GR_FOR_EACH_WINDOW_ROW(node, window) {
        site->kernels->window_maximum(node->out.size[2], window->stride * samples, window->rows,
                                      node->in.size[2] * samples, samples,
                                      site->in + corner * samples, site->out + o * samples,
                                      (int32_t *)site->state + o * samples);
    }
}

static void backward(const gr_site *site, int64_t probes, const gr_real *d_out, gr_real *d_in) {
    const gr_node *node = site->node;
    const gr_window *window = node->geometry;
    const int64_t samples = site->samples, lanes = probes * samples;
    const int64_t rows = node->in.size[1], columns = node->in.size[2], size = window->rows;
    const bool overlap = window->stride < size;
    const bool tiled = window->stride == size && rows % size == 0 && columns % size == 0;
    if (!tiled) memset(d_in, 0, (size_t)(node->in_features * lanes) * sizeof(gr_real));
    GR_FOR_EACH_WINDOW_ROW(node, window) {
        site->kernels->window_scatter(node->out.size[2], window->stride * lanes, size,
                                      columns * lanes, overlap, probes, samples,
                                      (const int32_t *)site->state + o * samples, d_out + o * lanes,
                                      d_in + corner * lanes);
    }
}

static void tangent(const gr_site *site, int64_t probes, const gr_real *t_in, gr_real *t_out) {
    const gr_node *node = site->node;
    const gr_window *window = node->geometry;
    const int64_t samples = site->samples, lanes = probes * samples;
    GR_FOR_EACH_WINDOW_ROW(node, window) {
        site->kernels->window_gather(node->out.size[2], window->stride * lanes, window->rows,
                                     node->in.size[2] * lanes, probes, samples,
                                     (const int32_t *)site->state + o * samples,
                                     t_in + corner * lanes, t_out + o * lanes);
    }
}

/* A pixel that is the maximum of all windows that it is in counts once in each. */
static double stretch(const gr_node *node) {
    const gr_window *window = node->geometry;
    return (double)((window->rows + window->stride - 1) / window->stride);
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
    .stretch = stretch,
};
