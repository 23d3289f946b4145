/* spectral_norm: weight/2·Σ σ₁(W)² (Yoshida & Miyato 2017), σ₁ by power iteration with a vector
 * kept between steps; the gradient is weight·σ₁uvᵀ. A convolution's weights are the matrix out ×
 * (in·k²). */
#include <math.h>

#include "core/regularizer.h"

enum { POWER_ITERATIONS = GR_REGULARIZER_OPTIONS };
static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of half the sum of squared largest singular values"),
    [POWER_ITERATIONS] = {.name = "power_iterations",
                          .help = "steps of the power iteration for each training step",
                          .accepts = GR_ACCEPT(GR_INTEGER),
                          .minimum = 1,
                          .maximum = 10000,
                          .default_json = "1"},
};

/* Runs its body for each matrix W [rows][columns] of the network, at parameters + offset. */
#define FOR_EACH_MATRIX(network)                                      \
    for (int i = 0; i < (network)->node_count; i++)                   \
        for (int p = 0; p < (network)->nodes[i].parameter_count; p++) \
            if ((network)->nodes[i].parameters[p].shape.rank >= 2)

static int64_t rows_of(const gr_parameter *parameter) {
    return parameter->shape.size[0];
}
static int64_t columns_of(const gr_parameter *parameter) {
    return gr_shape_elements(&parameter->shape) / parameter->shape.size[0];
}

/* For each matrix v [columns], then room for u [rows]. */
static int64_t state_size(const gr_settings *settings, const gr_network *network) {
    (void)settings;
    int64_t size = 0;
    FOR_EACH_MATRIX(network) {
        const gr_parameter *parameter = &network->nodes[i].parameters[p];
        size += rows_of(parameter) + columns_of(parameter);
    }
    return size;
}

static double normalize(gr_real *v, int64_t count) {
    double sum = 0;
    for (int64_t e = 0; e < count; e++) sum += (double)v[e] * (double)v[e];
    const double length = sqrt(sum);
    for (int64_t e = 0; length > 0 && e < count; e++) v[e] = (gr_real)((double)v[e] / length);
    return length;
}

static void initialize_state(const gr_settings *settings, const gr_network *network, uint64_t seed,
                             gr_real *state) {
    (void)settings;
    FOR_EACH_MATRIX(network) {
        const gr_parameter *parameter = &network->nodes[i].parameters[p];
        const int64_t columns = columns_of(parameter);
        const gr_random random = gr_random_source(
            seed, GR_PURPOSE_PROBE, UINT32_MAX - (uint32_t)(i * GR_NODE_PARAMETERS + p), 0);
        for (int64_t e = 0; e < columns; e++)
            state[e] = (gr_real)gr_random_normal(&random, 0, (uint32_t)e);
        normalize(state, columns);
        state += columns + rows_of(parameter);
    }
}

static double parameters(const gr_settings *settings, double weight, const gr_network *network,
                         const gr_real *values, gr_real *state, gr_real *gradients) {
    double total = 0;
    FOR_EACH_MATRIX(network) {
        const gr_parameter *parameter = &network->nodes[i].parameters[p];
        const int64_t rows = rows_of(parameter), columns = columns_of(parameter);
        const gr_real *w = values + parameter->offset;
        gr_real *g = gradients + parameter->offset, *v = state, *u = state + columns;
        double sigma = 0;
        for (int64_t step = 0; step < gr_integer(settings, POWER_ITERATIONS); step++) {
            for (int64_t r = 0; r < rows; r++) {
                double sum = 0;
                for (int64_t c = 0; c < columns; c++)
                    sum += (double)w[r * columns + c] * (double)v[c];
                u[r] = (gr_real)sum;
            }
            normalize(u, rows);
            for (int64_t c = 0; c < columns; c++) v[c] = 0;
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < columns; c++) v[c] += u[r] * w[r * columns + c];
            sigma = normalize(v, columns);
        }
        const gr_real factor = (gr_real)(weight * sigma);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++) g[r * columns + c] += factor * u[r] * v[c];
        total += sigma * sigma / 2;
        state += columns + rows;
    }
    return total;
}

const gr_regularizer_kind gr_regularizer_spectral_norm = {
    .kind = {.name = "spectral_norm",
             .help = "largest singular values of the weights (Yoshida & Miyato 2017)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .parameters = parameters,
    .state_size = state_size,
    .initialize_state = initialize_state,
};
