/* What regularisers do at points of their own (core/regularizer.h). */
#include <string.h>

#include "core/regularizer.h"

void gr_unit_cotangents(const gr_probe_block *b, gr_real *c) {
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    for (int64_t k = 0; k < K; k++)
        for (int64_t probe = 0; probe < b->probes; probe++)
            for (int64_t s = 0; s < n; s++)
                c[k * b->stride + probe * n + s] = k == b->first_probe + probe;
}

void gr_add_noise(const gr_probe_block *b, double sigma, const gr_real *from, gr_real *to) {
    const gr_random random =
        gr_random_source(b->draw.seed, GR_PURPOSE_INPUT_NOISE, b->index, b->draw.iteration);
    b->kernels->add_normals(&random, b->draw.first_sample, b->loss->samples, b->features, sigma,
                            from, to);
}

void gr_points_evaluate(gr_points_block *b) {
    int64_t correct = 0;
    gr_pass_forward(&b->pass);
    b->probe.loss_kind->evaluate(b->loss_settings, &b->loss, &correct);
}

const gr_real *gr_points_input_gradient(gr_points_block *b) {
    const gr_network *network = b->pass.workspace->network;
    const gr_lanes one = {.probes = 1,
                          .delta = b->lanes->delta,
                          .t = b->lanes->t,
                          .scratch = b->lanes->scratch,
                          .pooled_scratch = b->lanes->pooled_scratch};
    memcpy(one.delta[network->node_count], b->loss.r,
           (size_t)(b->loss.outputs * b->loss.samples) * sizeof(gr_real));
    gr_pass_probe_backward(&b->pass, &one, gr_all_nodes(network));
    return one.delta[0];
}

void gr_points_loss_gradient(gr_points_block *b, const gr_real *factor) {
    gr_real *d = b->loss.r; /* the workspace's own cotangent of the logits */
    for (int64_t k = 0; k < b->loss.outputs; k++)
        for (int64_t s = 0; s < b->loss.samples; s++) d[k * b->loss.samples + s] *= factor[s];
    gr_pass_backward(&b->pass, b->gradients);
}

double gr_points_penalty(gr_points_block *b) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(b->probe.settings);
    const gr_network *network = b->pass.workspace->network;
    const gr_range all = gr_all_nodes(network);
    const int last = network->node_count;
    gr_points_evaluate(b);
    kind->cotangent(&b->probe, b->lanes->delta[last]);
    gr_pass_probe_backward(&b->pass, b->lanes, all);
    const double sum = kind->input(&b->probe, b->lanes->delta[0]);
    gr_pass_tangent_accumulate(&b->pass, b->lanes, all, true, b->gradients);
    memset(b->loss.r, 0, (size_t)(b->loss.outputs * b->loss.samples) * sizeof(gr_real));
    if (kind->output) kind->output(&b->probe, b->lanes->t[last], b->loss.r);
    /* No way back where the cotangent does not move and no layer bends. */
    bool needed = false;
    for (int64_t e = 0; e < b->loss.outputs * b->loss.samples; e++)
        needed = needed || b->loss.r[e] != 0;
    for (int i = 0; i < last; i++) needed = needed || network->nodes[i].kind->curvature;
    if (needed) gr_pass_backward(&b->pass, b->gradients);
    return sum;
}
