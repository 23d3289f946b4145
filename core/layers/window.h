/* What the pooling layers share: square windows that slide over an image. */
#ifndef CORE_LAYERS_WINDOW_H
#define CORE_LAYERS_WINDOW_H

#include <stdlib.h>

#include "core/layer.h"

/* A node's geometry: the window's size in pixels and the step between windows. */
typedef struct gr_window {
    int64_t rows, columns, stride;
} gr_window;

/* The rows of the options "size" and "stride". */
#define GR_WINDOW_SIZE                                                                     \
    {                                                                                      \
        .name = "size", .help = "rows and columns of the square window, in pixels",        \
        .accepts = GR_ACCEPT(GR_INTEGER), .minimum = 1, .maximum = 64, .default_json = "2" \
    }
#define GR_WINDOW_STRIDE                                                                    \
    {                                                                                       \
        .name = "stride", .help = "step between windows, in pixels; null: the size",        \
        .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL), .minimum = 1, .maximum = 64, \
        .default_json = "null"                                                              \
    }

/* Where a max-pool alone reads what a layer with `pooled` makes, and its windows neither overlap
 * nor are wider than GR_POOLED_WINDOW, says so at that layer. */
void gr_window_pair(gr_node *layer, const gr_node *pool);

/* The site of a pool for `count` of its channels from `first` on; `in`
 * [channel][row][column][sample] has theirs alone. `node`: memory for its node. */
gr_site gr_window_part(const gr_site *pool, int64_t first, int64_t count, gr_real *in,
                       gr_node *node);

/* Sets node->out and, as its geometry, the window; only whole windows count, as in PyTorch. */
gr_status gr_window_configure(gr_node *node, int64_t size, int64_t stride, gr_window **window,
                              gr_error *error);

/* Runs its body for each output feature `o`, with the input feature `corner` at the window's top
 * left. */
#define GR_FOR_EACH_WINDOW(node, window)                                                     \
    for (int64_t o = 0, c = 0; c < (node)->out.size[0]; c++)                                 \
        for (int64_t y_ = 0; y_ < (node)->out.size[1]; y_++)                                 \
            for (int64_t x_ = 0, corner = (c * (node)->in.size[1] + y_ * (window)->stride) * \
                                          (node)->in.size[2];                                \
                 x_ < (node)->out.size[2]; x_++, o++, corner += (window)->stride)

/* Runs its body for each row of windows: `o` is its first output feature, `corner` the input
 * feature at its first window's top left. */
#define GR_FOR_EACH_WINDOW_ROW(node, window)                                        \
    for (int64_t o = 0, c_ = 0; c_ < (node)->out.size[0]; c_++)                     \
        for (int64_t y_ = 0, corner = c_ * (node)->in.size[1] * (node)->in.size[2]; \
             y_ < (node)->out.size[1];                                              \
             y_++, o += (node)->out.size[2], corner += (window)->stride * (node)->in.size[2])

#endif
