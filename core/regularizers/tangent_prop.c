/* tangent_prop: weight·mean Σ_i‖J t_i‖² (Simard et al. 1991), t_i the change of an image under a
 * small rotation, shift or scaling: by α radians, α pixels, or the factor 1 + α, at α = 0. The
 * derivative of the image is by central differences of its pixels, coordinates from the centre. */
#include <string.h>

#include "core/regularizer.h"

enum { ROTATION = GR_REGULARIZER_OPTIONS, SHIFT_X, SHIFT_Y, SCALING };
#define TRANSFORMATION(text)                                                                    \
    {                                                                                           \
        .name = text, .help = "penalise the change under it", .accepts = GR_ACCEPT(GR_BOOLEAN), \
        .default_json = "true"                                                                  \
    }
static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of the mean squared change of the logits"),
    [ROTATION] = TRANSFORMATION("rotation"),
    [SHIFT_X] = TRANSFORMATION("shift_x"),
    [SHIFT_Y] = TRANSFORMATION("shift_y"),
    [SCALING] = TRANSFORMATION("scaling"),
};

static int64_t tangents(const gr_settings *settings) {
    int64_t count = 0;
    for (int option = ROTATION; option <= SCALING; option++) count += gr_boolean(settings, option);
    return count;
}

static gr_status check(const gr_settings *settings, const gr_fit *fit, gr_error *error) {
    if (gr_network_input(fit->network)->rank != 3)
        return gr_fail_at(error, GR_INVALID, "/type",
                          "tangent_prop rotates and shifts images, and these inputs are vectors: "
                          "leave it out");
    if (tangents(settings) == 0)
        return gr_fail_at(error, GR_INVALID, "/rotation",
                          "all transformations are off: turn one on, or leave tangent_prop out");
    return GR_OK;
}

/* The coefficients of ∂I/∂x and ∂I/∂y at a pixel. */
static void direction(int option, double x, double y, double *dx, double *dy) {
    *dx = option == ROTATION ? -y : option == SHIFT_X ? 1 : option == SCALING ? x : 0;
    *dy = option == ROTATION ? x : option == SHIFT_Y ? 1 : option == SCALING ? y : 0;
}

static void tangent(const gr_probe_block *b, gr_real *u) {
    const int64_t n = b->loss->samples;
    const int64_t channels = b->input.size[0], rows = b->input.size[1], columns = b->input.size[2];
    int64_t k = 0;
    for (int option = ROTATION; option <= SCALING; option++) {
        if (!gr_boolean(b->settings, option)) continue;
        for (int64_t f = 0; f < channels * rows * columns; f++) {
            const int64_t column = f % columns, row = f / columns % rows;
            double dx, dy;
            direction(option, (double)column - (double)(columns - 1) / 2,
                      (double)row - (double)(rows - 1) / 2, &dx, &dy);
            /* At the border the difference is one-sided. */
            const int64_t left = column > 0 ? f - 1 : f, right = column < columns - 1 ? f + 1 : f;
            const int64_t up = row > 0 ? f - columns : f, down = row < rows - 1 ? f + columns : f;
            const gr_real x_scale = (gr_real)(right > left ? dx / (double)(right - left) : 0);
            const gr_real y_scale =
                (gr_real)(down > up ? dy * (double)columns / (double)(down - up) : 0);
            for (int64_t s = 0; s < n; s++)
                u[f * b->stride + k * n + s] =
                    x_scale * (b->x[right * n + s] - b->x[left * n + s]) +
                    y_scale * (b->x[down * n + s] - b->x[up * n + s]);
        }
        k++;
    }
}

static double tangent_output(const gr_probe_block *b, const gr_real *t_z, gr_real *c) {
    const gr_real factor = (gr_real)(2 * b->weight / (double)b->batch_size);
    const int64_t lanes = b->probes * b->loss->samples;
    double total = 0;
    for (int64_t k = 0; k < b->loss->outputs; k++)
        for (int64_t i = 0; i < lanes; i++) {
            const gr_real t = t_z[k * b->stride + i];
            total += (double)t * (double)t;
            c[k * b->stride + i] = factor * t;
        }
    return total;
}

const gr_regularizer_kind gr_regularizer_tangent_prop = {
    .kind = {.name = "tangent_prop",
             .help = "change under rotation, shift and scaling of the image (Simard et al. 1991)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .tangents = tangents,
    .tangent = tangent,
    .tangent_output = tangent_output,
};
