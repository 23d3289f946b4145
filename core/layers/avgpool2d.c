/* avgpool2d {size, stride} and global_avgpool2d: the mean of each window. Linear: the tangent is
 * the layer itself, and the adjoint spreads. */
#include <string.h>

#include "core/layers/window.h"

enum { SIZE, STRIDE };
static const gr_option options[] = {[SIZE] = GR_WINDOW_SIZE, [STRIDE] = GR_WINDOW_STRIDE};

static gr_status configure(gr_node *node, gr_error *error) {
    gr_window *window;
    GR_TRY(gr_window_configure(node, gr_integer(node->settings, SIZE),
                               gr_is_null(node->settings, STRIDE)
                                   ? gr_integer(node->settings, SIZE)
                                   : gr_integer(node->settings, STRIDE),
                               &window, error));
    return GR_OK;
}

static gr_status configure_global(gr_node *node, gr_error *error) {
    if (node->in.rank != 3)
        return gr_fail(error, GR_INVALID, "global_avgpool2d takes an image, not a vector");
    node->out = (gr_shape){3, {node->in.size[0], 1, 1}};
    gr_window *window = node->geometry = malloc(sizeof *window);
    if (!window) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a layer");
    *window = (gr_window){.rows = node->in.size[1], .columns = node->in.size[2], .stride = 1};
    return GR_OK;
}

/* Line by line of a window, so that the sum of a large one loses nothing. */
static void average(const gr_site *site, int64_t lanes, const gr_real *in, gr_real *out) {
    enum { TOGETHER = 64 };
    const gr_node *node = site->node;
    const gr_window *window = node->geometry;
    const gr_real share = (gr_real)(1.0 / (double)(window->rows * window->columns));
    GR_FOR_EACH_WINDOW(node, window) {
        for (int64_t first = 0; first < lanes; first += TOGETHER) {
            const int64_t count = lanes - first < TOGETHER ? lanes - first : TOGETHER;
            gr_real sum[TOGETHER] = {0};
            for (int64_t i = 0; i < window->rows; i++) {
                gr_real line[TOGETHER] = {0};
                for (int64_t j = 0; j < window->columns; j++) {
                    const gr_real *x = in + (corner + i * node->in.size[2] + j) * lanes + first;
                    for (int64_t s = 0; s < count; s++) line[s] += x[s];
                }
                for (int64_t s = 0; s < count; s++) sum[s] += line[s];
            }
            gr_real *y = out + o * lanes + first;
            for (int64_t s = 0; s < count; s++) y[s] = share * sum[s];
        }
    }
}

static void forward(const gr_site *site) {
    average(site, site->samples, site->in, site->out);
}

static void tangent(const gr_site *site, int64_t probes, const gr_real *t_in, gr_real *t_out) {
    average(site, probes * site->samples, t_in, t_out);
}

static void backward(const gr_site *site, int64_t probes, const gr_real *d_out, gr_real *d_in) {
    const gr_node *node = site->node;
    const gr_window *window = node->geometry;
    const int64_t lanes = probes * site->samples;
    const gr_real share = (gr_real)(1.0 / (double)(window->rows * window->columns));
    memset(d_in, 0, (size_t)(node->in_features * lanes) * sizeof *d_in);
    GR_FOR_EACH_WINDOW(node, window) {
        const gr_real *d = d_out + o * lanes;
        for (int64_t i = 0; i < window->rows; i++)
            for (int64_t j = 0; j < window->columns; j++) {
                gr_real *x = d_in + (corner + i * node->in.size[2] + j) * lanes;
                for (int64_t s = 0; s < lanes; s++) x[s] += share * d[s];
            }
    }
}

const gr_layer_kind gr_layer_avgpool2d = {
    .kind = {.name = "avgpool2d",
             .help = "the mean of each window",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .configure = configure,
    .forward = forward,
    .backward = backward,
    .tangent = tangent,
};

const gr_layer_kind gr_layer_global_avgpool2d = {
    .kind = {.name = "global_avgpool2d", .help = "the mean of each channel, as a 1x1 image"},
    .configure = configure_global,
    .forward = forward,
    .backward = backward,
    .tangent = tangent,
};
