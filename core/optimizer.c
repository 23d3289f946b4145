/* The tables of optimisers and schedules, one row each, and what is common to the kinds. */
#include "core/optimizer.h"

#include <math.h>

static const gr_kind *const optimizers[] = {&gr_optimizer_sgd.kind,
                                            &gr_optimizer_momentum.kind,
                                            &gr_optimizer_nesterov,
                                            &gr_optimizer_adam.kind,
                                            &gr_optimizer_adamw.kind,
                                            &gr_optimizer_rmsprop.kind,
                                            NULL};

const gr_family gr_optimizer_family = {
    .name = "optimizer", .discriminator = "type", .kinds = optimizers};

static const gr_kind *const schedules[] = {&gr_schedule_constant.kind,
                                           &gr_schedule_piecewise.kind,
                                           &gr_schedule_exponential.kind,
                                           &gr_schedule_cosine.kind,
                                           &gr_schedule_linear.kind,
                                           &gr_schedule_one_cycle.kind,
                                           NULL};

const gr_family gr_schedule_family = {
    .name = "schedule", .discriminator = "type", .kinds = schedules};

/* -- optimisers
 * ---------------------------------------------------------------------------------------- */

double gr_learning_rate(const gr_settings *optimizer) {
    return gr_number(optimizer, gr_kind_option(optimizer->kind, "learning_rate"));
}

gr_status gr_optimizer_check(const gr_settings *optimizer, gr_error *error) {
    const gr_optimizer_kind *kind = gr_optimizer_kind_of(optimizer);
    return kind->check ? kind->check(optimizer, error) : GR_OK;
}

double gr_optimizer_step(const gr_settings *optimizer, const gr_network *network,
                         const gr_kernels *kernels, int64_t number, double learning_rate,
                         double decay, gr_real *parameters, gr_real *gradients,
                         gr_real *const moments[GR_MAXIMUM_MOMENTS]) {
    const gr_optimizer_kind *kind = gr_optimizer_kind_of(optimizer);
    const double decoupled = kind->decoupled_decay ? kind->decoupled_decay(optimizer) : 0;
    double squares = 0;
    for (int i = 0; i < network->node_count; i++)
        for (int p = 0; p < network->nodes[i].parameter_count; p++) {
            const gr_parameter *parameter = &network->nodes[i].parameters[p];
            const bool decays = parameter->shape.rank >= 2;
            gr_step step = {.count = gr_shape_elements(&parameter->shape),
                            .parameters = parameters + parameter->offset,
                            .gradients = gradients + parameter->offset,
                            .decay = decays ? (gr_real)decay : 0,
                            .kept = decays ? (gr_real)(1 - learning_rate * decoupled) : 1};
            for (int m = 0; m < kind->moments; m++)
                step.moments[m] = moments[m] + parameter->offset;
            squares += kind->step(optimizer, kernels, number, learning_rate, &step);
        }
    return squares;
}

/* -- clipping
 * ------------------------------------------------------------------------------------------ */

/* The sum of squares, in eight running sums: a fixed order that vectors can keep. */
static double squared_norm(int64_t count, const gr_real *values) {
    double sum[8] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int j = 0; j < 8; j++) sum[j] += (double)values[i + j] * (double)values[i + j];
    for (; i < count; i++) sum[0] += (double)values[i] * (double)values[i];
    for (int j = 0; j < 8; j++) total += sum[j];
    return total;
}

void gr_clip(const gr_clipping *clipping, int64_t count, gr_real *gradients) {
    if (clipping->norm > 0) {
        const double norm = sqrt(squared_norm(count, gradients));
        const double scale = clipping->norm / (norm + 1e-6);
        /* Not "scale < 1", which a NaN would pass by. */
        if (!(scale >= 1))
            for (int64_t i = 0; i < count; i++) gradients[i] *= (gr_real)scale;
    }
    if (clipping->value > 0) {
        const gr_real most = (gr_real)clipping->value;
        for (int64_t i = 0; i < count; i++) {
            const gr_real g = gradients[i];
            gradients[i] = g > most ? most : g < -most ? -most : g;
        }
    }
}

/* -- schedules
 * ----------------------------------------------------------------------------------------- */

gr_status gr_schedule_check(const gr_settings *schedule, gr_error *error) {
    const gr_schedule_kind *kind = gr_schedule_kind_of(schedule);
    return kind->check ? kind->check(schedule, error) : GR_OK;
}

double gr_schedule_factor(const gr_settings *schedule, int64_t iteration, int64_t iterations) {
    const gr_schedule_kind *kind = gr_schedule_kind_of(schedule);
    const double share = gr_number(schedule, gr_kind_option(schedule->kind, "warmup"));
    const int64_t warmup = llround(share * (double)iterations);
    const int64_t rest = iterations > warmup ? iterations - warmup : 1;
    if (iteration < warmup)
        return kind->factor(schedule, 0, rest) * (double)(iteration + 1) / (double)warmup;
    return kind->factor(schedule, iteration - warmup, rest);
}
