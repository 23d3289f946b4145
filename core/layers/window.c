#include "core/layers/window.h"

gr_status gr_window_configure(gr_node *node, int64_t size, int64_t stride, gr_window **window,
                              gr_error *error) {
    const char *name = node->kind->kind.name;
    if (node->in.rank != 3)
        return gr_fail(error, GR_INVALID,
                       "%s takes an image (channels, rows, columns), not a vector", name);
    const int64_t rows = node->in.size[1], columns = node->in.size[2];
    if (size > rows || size > columns)
        return gr_fail_at(
            error, GR_INVALID, "/size",
            "a window of %lld is larger than its input of %lldx%lld: use a smaller one",
            (long long)size, (long long)rows, (long long)columns);
    node->out = (gr_shape){
        3, {node->in.size[0], (rows - size) / stride + 1, (columns - size) / stride + 1}};
    *window = node->geometry = malloc(sizeof **window);
    if (!*window) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a layer");
    **window = (gr_window){.rows = size, .columns = size, .stride = stride};
    return GR_OK;
}

void gr_window_pair(gr_node *layer, const gr_node *pool) {
    const gr_window *window = pool->geometry;
    if (!layer->pooled || pool->kind != &gr_layer_maxpool2d || window->stride < window->rows ||
        window->rows > GR_POOLED_WINDOW)
        return;
    layer->pooled->window = window->rows;
    layer->pooled->step = window->stride;
    layer->pooled->pooled_rows = pool->out.size[1];
    layer->pooled->pooled_columns = pool->out.size[2];
    layer->pool = pool->index;
}

gr_site gr_window_part(const gr_site *pool, int64_t first, int64_t count, gr_real *in,
                       gr_node *node) {
    *node = *pool->node;
    node->in.size[0] = node->out.size[0] = count;
    node->in_features = gr_shape_elements(&node->in);
    node->out_features = gr_shape_elements(&node->out);
    const int64_t windows = first * node->out.size[1] * node->out.size[2] * pool->samples;
    gr_site part = *pool;
    part.node = node;
    part.in = in;
    part.out += windows;
    part.state = (int32_t *)pool->state + windows;
    return part;
}
