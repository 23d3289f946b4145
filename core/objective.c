#include "core/objective.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/needs.h"

struct gr_objective {
    gr_needs needs;          /* with the network and the regularisers */
    const gr_settings *loss; /* borrowed */
    int64_t iterations;
    gr_workspace *workspace, *own_points; /* own_points: NULL where nothing needs it */
    gr_lanes *lanes[GR_LANE_SETS];        /* NULL where there are none */
    gr_lanes *own_lanes[GR_MAXIMUM_REGULARIZERS];
    gr_real *memory; /* what the pointers below point into */
    gr_real *p, *r, *losses, *scratch, *own_p, *own_losses;
    gr_real *state; /* of all regularisers */
    int64_t state_count;
    gr_real *buffers;
    const gr_real *given_probe;
};

/* -- what fits, and what it takes
 * -------------------------------------------------------------------------- */

/* Whether the memory of the pulled probes, which are done by then, is enough for the ordinary
 * backward pass. */
static bool lends(const gr_network *network, int64_t pulled, int64_t samples) {
    return pulled && gr_lanes_bytes(network, samples, pulled, GR_LANES_PULLED) >=
                         gr_workspace_descent_bytes(network, samples);
}

static gr_lanes_use use_of(int set) {
    return set == GR_PUSHED ? GR_LANES_PUSHED : GR_LANES_PULLED;
}

gr_status gr_objective_check_network(const gr_fit *fit, size_t count, gr_error *error) {
    if (count > GR_MAXIMUM_REGULARIZERS)
        return gr_fail_at(error, GR_INVALID, "/regularizers",
                          "%zu regularizers, but at most %d are allowed", count,
                          GR_MAXIMUM_REGULARIZERS);
    if (gr_network_output(fit->network)->rank != 1)
        return gr_fail_at(error, GR_INVALID, "/model/layers",
                          "the network ends in an image: put a flatten layer before its end");
    return GR_OK;
}

gr_status gr_objective_check(const gr_fit *fit, const gr_settings *regularizers, size_t count,
                             gr_error *error) {
    GR_TRY(gr_objective_check_network(fit, count, error));
    for (size_t i = 0; i < count; i++) GR_TRY(gr_regularizer_check(fit, regularizers, i, error));
    return GR_OK;
}

int64_t gr_objective_block_samples(const gr_network *network, const gr_settings *regularizers,
                                   size_t count, int64_t batch_size) {
    const gr_needs n = gr_needs_of(network, regularizers, count);
    return gr_needs_block_samples(&n, batch_size);
}

/* p and r at the data, p elsewhere: [outputs][samples]; losses twice and scratch: [samples] each.
 */
static int64_t extra_reals(const gr_network *network, int64_t samples) {
    return (3 * gr_network_outputs(network) + 4) * samples;
}

int64_t gr_objective_bytes(const gr_network *network, const gr_settings *regularizers, size_t count,
                           int64_t samples) {
    const gr_needs n = gr_needs_of(network, regularizers, count);
    int64_t bytes = gr_workspace_bytes(network, samples, gr_needs_any_lanes(&n));
    if (lends(network, gr_needs_lanes(&n, GR_PULLED, samples), samples))
        bytes -= gr_workspace_descent_bytes(network, samples);
    if (n.own_points) bytes += gr_workspace_bytes(network, samples, n.own_lanes > 0);
    for (int set = 0; set < GR_LANE_SETS; set++)
        bytes += gr_lanes_bytes(network, samples, gr_needs_lanes(&n, set, samples), use_of(set));
    for (size_t i = 0; i < count; i++)
        bytes += gr_lanes_bytes(network, samples, n.own_probes[i], GR_LANES_PULLED);
    return bytes + extra_reals(network, samples) * (int64_t)sizeof(gr_real);
}

double gr_objective_operations(const gr_network *network, const gr_settings *regularizers,
                               size_t count) {
    const gr_needs n = gr_needs_of(network, regularizers, count);
    double passes = 3;
    for (int set = 0; set < GR_LANE_SETS; set++) passes += 3 * (double)n.lanes[set];
    for (size_t i = 0; i < count; i++)
        if (gr_has_own_points(&regularizers[i]))
            passes +=
                gr_regularizer_kind_of(&regularizers[i])->points_cost(&regularizers[i], network);
    return network->operations * passes;
}

/* -- creation
 * ---------------------------------------------------------------------------------------------- */

static gr_status allocate_state(gr_objective *o, uint64_t seed, gr_error *error) {
    for (size_t i = 0; i < o->needs.count; i++) {
        const gr_regularizer_kind *kind = gr_regularizer_kind_of(&o->needs.regularizers[i]);
        if (kind->state_size)
            o->state_count += kind->state_size(&o->needs.regularizers[i], o->needs.network);
    }
    o->state = calloc((size_t)o->state_count + 1, sizeof *o->state);
    if (!o->state) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a regularizer's state");
    gr_real *state = o->state;
    for (size_t i = 0; i < o->needs.count; i++) {
        const gr_regularizer_kind *kind = gr_regularizer_kind_of(&o->needs.regularizers[i]);
        if (!kind->state_size) continue;
        kind->initialize_state(&o->needs.regularizers[i], o->needs.network, seed, state);
        state += kind->state_size(&o->needs.regularizers[i], o->needs.network);
    }
    return GR_OK;
}

static gr_status allocate(gr_objective *o, int64_t samples, gr_error *error) {
    const gr_network *network = o->needs.network;
    const int64_t outputs = gr_network_outputs(network);
    const gr_needs *n = &o->needs;
    o->memory = calloc((size_t)extra_reals(network, samples), sizeof *o->memory);
    if (!o->memory) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for an objective");
    o->p = o->memory;
    o->r = o->p + outputs * samples;
    o->own_p = o->r + outputs * samples;
    o->losses = o->own_p + outputs * samples;
    o->own_losses = o->losses + samples;
    o->scratch = o->own_losses + samples;
    for (int set = 0; set < GR_LANE_SETS; set++)
        if (n->lanes[set])
            GR_TRY(gr_lanes_create(network, samples, gr_needs_lanes(n, set, samples), use_of(set),
                                   &o->lanes[set], error));
    void *lent = lends(network, gr_needs_lanes(n, GR_PULLED, samples), samples)
                     ? o->lanes[GR_PULLED]->arena
                     : NULL;
    GR_TRY(
        gr_workspace_create(network, samples, gr_needs_any_lanes(n), lent, &o->workspace, error));
    o->workspace->turned = n->turned_input;
    if (n->own_points)
        GR_TRY(
            gr_workspace_create(network, samples, n->own_lanes > 0, NULL, &o->own_points, error));
    for (size_t i = 0; i < o->needs.count; i++)
        if (n->own_probes[i])
            GR_TRY(gr_lanes_create(network, samples, n->own_probes[i], GR_LANES_PULLED,
                                   &o->own_lanes[i], error));
    return GR_OK;
}

gr_status gr_objective_create(const gr_fit *fit, const gr_settings *loss,
                              const gr_settings *regularizers, size_t count, int64_t block_samples,
                              int64_t iterations, uint64_t seed, gr_objective **result,
                              gr_error *error) {
    GR_TRY(gr_objective_check(fit, regularizers, count, error));
    gr_objective *o = calloc(1, sizeof *o);
    if (!o) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for an objective");
    o->needs = gr_needs_of(fit->network, regularizers, count);
    o->loss = loss;
    o->iterations = iterations;
    gr_status status = allocate(o, block_samples, error);
    if (status == GR_OK) status = allocate_state(o, seed, error);
    if (status != GR_OK) {
        gr_objective_free(o);
        return status;
    }
    *result = o;
    return GR_OK;
}

void gr_objective_free(gr_objective *o) {
    if (!o) return;
    gr_workspace_free(o->workspace);
    gr_workspace_free(o->own_points);
    for (int set = 0; set < GR_LANE_SETS; set++) gr_lanes_free(o->lanes[set]);
    for (size_t i = 0; i < o->needs.count; i++) gr_lanes_free(o->own_lanes[i]);
    free(o->memory);
    free(o->state);
    free(o);
}

void gr_objective_set_buffers(gr_objective *o, gr_real *buffers) {
    o->buffers = buffers;
}

void gr_objective_set_probe(gr_objective *o, const gr_real *probe) {
    o->given_probe = probe;
}

const gr_kernels *gr_objective_kernels(const gr_objective *o) {
    return o->workspace->kernels;
}

gr_real *gr_objective_state(gr_objective *o, int64_t *count) {
    *count = o->state_count;
    return o->state;
}

gr_real *gr_objective_input(gr_objective *o, bool *turned) {
    *turned = o->workspace->turned;
    return o->workspace->a[0];
}

/* -- one block
 * --------------------------------------------------------------------------------------------- */

static double weight_of(const gr_objective *o, const gr_settings *settings, uint32_t iteration) {
    const int option = gr_kind_option(settings->kind, "weight");
    if (option < 0) return 1;
    const double weight = gr_number(settings, option);
    const int ramp = gr_kind_option(settings->kind, "ramp");
    if (ramp < 0 || gr_is_null(settings, ramp) || !o->iterations) return weight;
    size_t ends;
    const double *shares = gr_numbers(settings, ramp, &ends);
    const double at = (double)iteration / (double)o->iterations;
    const double risen = (at - shares[0]) / (shares[1] - shares[0]);
    return weight * (risen < 0 ? 0 : risen > 1 ? 1 : risen);
}

/* A block on its way: the blocks of its regularisers, and where their lanes begin. */
typedef struct work {
    gr_objective *o;
    const gr_block *block;
    gr_pass pass;
    gr_loss_block loss;
    gr_probe_block probes[GR_MAXIMUM_REGULARIZERS];
    int64_t first[GR_MAXIMUM_REGULARIZERS]; /* among the pushed lanes */
    gr_real *gradients;
    gr_objective_result *result;
} work;

static const gr_regularizer_kind *kind_of(const work *w, size_t i) {
    return gr_regularizer_kind_of(w->probes[i].settings);
}

static void prepare(work *w) {
    gr_objective *o = w->o;
    const int64_t samples = w->block->samples;
    int64_t pushed = 0;
    for (size_t i = 0; i < o->needs.count; i++) {
        const gr_settings *settings = &o->needs.regularizers[i];
        w->first[i] = pushed;
        pushed += o->needs.tangents[i] * samples;
        w->probes[i] = (gr_probe_block){.kernels = o->workspace->kernels,
                                        .settings = settings,
                                        .weight = weight_of(o, settings, w->block->draw.iteration),
                                        .loss_kind = gr_loss_kind_of(o->loss),
                                        .loss = &w->loss,
                                        .input = *gr_network_input(o->needs.network),
                                        .features = gr_network_features(o->needs.network, 0),
                                        .probes = o->needs.tangents[i] ? o->needs.tangents[i] : 1,
                                        .all_probes = o->needs.probes[i],
                                        .batch_size = w->block->batch_size,
                                        .index = (uint32_t)i,
                                        .draw = w->block->draw,
                                        .x = o->needs.turned_input ? NULL : o->workspace->a[0],
                                        .given = o->given_probe,
                                        .derivatives = w->block->derivatives,
                                        .scratch = o->scratch};
    }
    for (size_t i = 0; i < o->needs.count; i++)
        w->probes[i].stride = o->needs.tangents[i] ? pushed : samples; /* pulled: see pull() */
}

static void add_value(work *w, size_t i, double sum) {
    w->result->values[i] += sum / (double)w->block->batch_size;
}

/* Penalties of g = Jᵀc: c, back to g, u, forward to ż, and q, added to the cotangent d of the main
 * loss. */
static void pull(work *w, gr_real *d) {
    gr_objective *o = w->o;
    if (!o->lanes[GR_PULLED]) return;
    const int last = o->needs.network->node_count;
    const gr_range all = gr_all_nodes(o->needs.network);
    const int64_t samples = w->block->samples, capacity = o->lanes[GR_PULLED]->probes;
    /* Reals from a lane of the network's input to the next. */
    const int64_t lane_reals = o->needs.turned_lanes ? gr_network_features(o->needs.network, 0) : 1;
    gr_probe_group g = {0};
    while (gr_needs_next_group(&o->needs, capacity, &g)) {
        gr_lanes lanes = *o->lanes[GR_PULLED];
        lanes.probes = g.all;
        lanes.turned = o->needs.turned_lanes;
        int64_t first[GR_MAXIMUM_REGULARIZERS], before = 0;
        for (size_t i = 0; i < o->needs.count; i++) {
            first[i] = before;
            before += g.count[i] * samples;
            if (!g.count[i]) continue;
            w->probes[i].first_probe = g.first[i];
            w->probes[i].probes = g.count[i];
            w->probes[i].stride = g.all * samples;
            w->probes[i].turned = o->needs.turned_lanes;
            kind_of(w, i)->cotangent(&w->probes[i], lanes.delta[last] + first[i]);
        }
        gr_pass_probe_backward(&w->pass, &lanes, all);
        for (size_t i = 0; i < o->needs.count; i++)
            if (g.count[i])
                add_value(
                    w, i,
                    kind_of(w, i)->input(&w->probes[i], lanes.delta[0] + first[i] * lane_reals));
        gr_pass_tangent_accumulate(&w->pass, &lanes, all, true, w->gradients);
        for (size_t i = 0; i < o->needs.count; i++)
            if (g.count[i] && kind_of(w, i)->output)
                kind_of(w, i)->output(&w->probes[i], lanes.t[last] + first[i], d);
    }
}

/* Penalties of ż = J u: u, forward to ż, c, back. */
static void push(work *w) {
    gr_objective *o = w->o;
    const gr_lanes *lanes = o->lanes[GR_PUSHED];
    if (!lanes) return;
    const int last = o->needs.network->node_count;
    const gr_range all = gr_all_nodes(o->needs.network);
    for (size_t i = 0; i < o->needs.count; i++)
        if (o->needs.tangents[i]) kind_of(w, i)->tangent(&w->probes[i], lanes->t[0] + w->first[i]);
    gr_pass_tangent(&w->pass, lanes, all);
    for (size_t i = 0; i < o->needs.count; i++)
        if (o->needs.tangents[i])
            add_value(w, i,
                      kind_of(w, i)->tangent_output(&w->probes[i], lanes->t[last] + w->first[i],
                                                    lanes->delta[last] + w->first[i]));
    gr_pass_probe_backward(&w->pass, lanes, all);
    gr_pass_accumulate_probes(&w->pass, lanes, all, w->gradients);
}

/* Penalties of each layer's own Jacobian: from the last weights to the first. */
static void layerwise(work *w, size_t i) {
    gr_objective *o = w->o;
    const gr_lanes *lanes = o->lanes[GR_LAYERWISE];
    const gr_network *network = o->needs.network;
    gr_probe_block block = w->probes[i];
    int end = network->node_count;
    while (end > 0) {
        int first = end - 1;
        while (first > 0 && !gr_node_has_weights(&network->nodes[first])) first--;
        bool more = false; /* weights below: else the first layers join this one */
        for (int n = 0; n < first; n++) more = more || gr_node_has_weights(&network->nodes[n]);
        if (!more) first = 0;
        block.features = gr_network_features(network, end);
        block.draw.stream = (uint32_t)end;
        kind_of(w, i)->layer_cotangent(&block, lanes->delta[end]);
        gr_pass_probe_backward(&w->pass, lanes, (gr_range){first, end});
        block.features = gr_network_features(network, first);
        add_value(w, i, kind_of(w, i)->layer_input(&block, lanes->t[first]));
        gr_pass_tangent_accumulate(&w->pass, lanes, (gr_range){first, end}, false, w->gradients);
        end = first;
    }
}

static void at_own_points(work *w, size_t i, gr_real *d) {
    gr_objective *o = w->o;
    gr_points_block points = {.probe = w->probes[i],
                              .pass = w->pass,
                              .lanes = o->own_lanes[i],
                              .loss_settings = o->loss,
                              .loss = w->loss,
                              .main_losses = o->losses,
                              .main_d = d,
                              .main_r = o->r,
                              .sample_losses = o->own_losses,
                              .gradients = w->gradients};
    points.pass.workspace = o->own_points;
    points.pass.buffers = NULL;
    points.probe.loss = &points.loss;
    points.probe.x = o->workspace->a[0];
    points.probe.probes = o->needs.own_probes[i];
    points.probe.all_probes = points.probe.probes;
    points.probe.stride = points.probe.probes * w->block->samples;
    points.loss.p = o->own_p;
    points.loss.z = o->own_points->a[o->needs.network->node_count];
    points.loss.r = o->own_points->d[o->needs.network->node_count];
    points.loss.losses = o->own_losses;
    add_value(w, i, kind_of(w, i)->points(&points));
}

void gr_objective_block(gr_objective *o, const gr_real *parameters, const gr_block *block,
                        gr_real *gradients, gr_objective_result *result) {
    gr_workspace *ws = o->workspace;
    const int last = o->needs.network->node_count;
    const int64_t outputs = gr_network_outputs(o->needs.network), samples = block->samples;
    work w = {.o = o,
              .block = block,
              .pass = {.workspace = ws,
                       .parameters = parameters,
                       .buffers = o->buffers,
                       .samples = samples,
                       .training = true,
                       .draw = block->draw},
              .loss = {.outputs = outputs,
                       .samples = samples,
                       .z = ws->a[last],
                       .labels = block->labels,
                       .targets = block->targets,
                       .p = o->p,
                       .losses = o->losses,
                       .r = o->r},
              .gradients = gradients,
              .result = result};
    prepare(&w);
    for (size_t i = 0; i < o->needs.count; i++)
        if (kind_of(&w, i)->inputs) kind_of(&w, i)->inputs(&w.probes[i], ws->a[0]);
    gr_pass_forward(&w.pass);
    result->loss += gr_loss_kind_of(o->loss)->evaluate(o->loss, &w.loss, &result->correct) /
                    (double)block->batch_size;
    /* The main loss's cotangent r/B, and what the probes' own dependence on the logits adds to it.
     */
    gr_real *d = ws->d[last];
    const gr_real share = (gr_real)(1.0 / (double)block->batch_size);
    for (int64_t e = 0; e < outputs * samples; e++) d[e] = share * o->r[e];
    pull(&w, d);
    push(&w);
    for (size_t i = 0; i < o->needs.count; i++) {
        const gr_regularizer_kind *kind = kind_of(&w, i);
        if (kind->layer_input) layerwise(&w, i);
        if (kind->logits) add_value(&w, i, kind->logits(&w.probes[i], d));
        if (gr_has_own_points(w.probes[i].settings)) at_own_points(&w, i, d);
    }
    gr_pass_backward(&w.pass, gradients);
}

void gr_objective_finish(gr_objective *o, const gr_real *parameters, uint32_t iteration,
                         double *decay, gr_real *gradients, gr_objective_result *result) {
    if (decay) *decay = 0;
    result->total = result->loss;
    gr_real *state = o->state;
    for (size_t i = 0; i < o->needs.count; i++) {
        const gr_settings *settings = &o->needs.regularizers[i];
        const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
        const double weight = weight_of(o, settings, iteration);
        if (decay && kind->decays && weight != 0)
            *decay += weight; /* of several ramps, too */
        else if (kind->parameters)
            result->values[i] =
                kind->parameters(settings, weight, o->needs.network, parameters, state, gradients);
        if (kind->state_size) state += kind->state_size(settings, o->needs.network);
        result->total += weight * result->values[i];
    }
}

void gr_objective_add_decay(const gr_objective *o, double decay, double squares,
                            gr_objective_result *result) {
    for (size_t i = 0; i < o->needs.count; i++)
        if (gr_regularizer_kind_of(&o->needs.regularizers[i])->decays)
            result->values[i] = squares / 2;
    result->total += decay * squares / 2;
}

void gr_objective_evaluate(gr_objective *o, const gr_real *parameters, const gr_block *block,
                           double *loss_sum, int64_t *correct) {
    gr_workspace *ws = o->workspace;
    const gr_pass pass = {.workspace = ws,
                          .parameters = parameters,
                          .buffers = o->buffers,
                          .samples = block->samples};
    gr_pass_forward(&pass);
    const gr_loss_block loss = {.outputs = gr_network_outputs(o->needs.network),
                                .samples = block->samples,
                                .z = ws->a[o->needs.network->node_count],
                                .labels = block->labels,
                                .targets = block->targets,
                                .p = o->p,
                                .r = o->r};
    *loss_sum += gr_loss_kind_of(o->loss)->evaluate(o->loss, &loss, correct);
}
