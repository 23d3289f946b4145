#include "core/passes.h"

#include <stdlib.h>
#include <string.h>

#include "core/large_memory.h"

static int64_t rounded(int64_t bytes) {
    return (bytes + GR_SLACK_BYTES + GR_ALIGNMENT - 1) / GR_ALIGNMENT * GR_ALIGNMENT;
}

/* Places one array after the other in an arena; with base NULL only counts. */
typedef struct arena_layout {
    char *base;
    int64_t offset;
} arena_layout;

static void *place(arena_layout *layout, int64_t bytes) {
    void *at = layout->base ? layout->base + layout->offset : NULL;
    layout->offset += rounded(bytes);
    return at;
}

/* The values from `first` on; those that share storage get the same pointer. */
static void place_values(arena_layout *layout, const gr_network *network, int first, int64_t lanes,
                         gr_real **values) {
    for (int v = first; v <= network->node_count; v++) {
        const int owner = network->storage[v];
        if (owner != v) {
            if (layout->base) values[v] = values[owner];
            continue;
        }
        void *at =
            place(layout, gr_network_features(network, v) * lanes * (int64_t)sizeof(gr_real));
        if (layout->base) values[v] = at;
    }
}

static gr_status allocate(int64_t bytes, void **arena, gr_error *error) {
    *arena =
        gr_allocate_large((size_t)bytes); /* zeros: whole vectors are read past an array's end */
    if (!*arena)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %lld MiB of activations",
                       (long long)(bytes >> 20));
    return GR_OK;
}

/* Whether curvature has to be kept at a node for the ordinary backward pass. */
static bool is_bent(const gr_network *network, int node) {
    return network->nodes[node].kind->curvature && node > network->first_trained;
}

static int64_t real_bytes(int64_t reals) {
    return reals * (int64_t)sizeof(gr_real);
}

static void place_slot(arena_layout *layout, gr_workspace *w, int slot) {
    const gr_network *network = w->network;
    void *at = place(layout, real_bytes(network->slot_features[slot] * w->samples));
    for (int v = 0; layout->base && v <= network->node_count; v++)
        if (network->slot[v] == slot) w->d[v] = at;
}

/* What only the ordinary backward pass needs. */
static void lay_out_descent(arena_layout *layout, gr_workspace *w) {
    for (int slot = 1; slot < w->network->slot_count; slot++) place_slot(layout, w, slot);
    w->scratch = place(layout, real_bytes(w->network->scratch_features * w->samples));
}

/* What the pooled kernels need for as many probes, or fewer, and any number of samples; 0: nothing,
 * they are not used. */
static int64_t pooled_scratch(const gr_network *network, int64_t probes) {
    const gr_kernels *kernels = gr_kernels_choose();
    int64_t reals = 0;
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        for (int64_t k = 1; node->pool && k <= probes; k++) {
            if (!gr_pooled_pays(kernels, node->pooled, k, 1)) continue;
            const int64_t needed = gr_pooled_scratch(kernels, node->pooled, k);
            if (needed > reals) reals = needed;
        }
    }
    return reals;
}

static int64_t lay_out_workspace(gr_workspace *w, bool probed, void *lent, char *base) {
    const gr_network *network = w->network;
    arena_layout layout = {.base = base};
    int64_t scratch = 0;
    place_values(&layout, network, 0, w->samples, w->a);
    place_slot(&layout, w, 0);
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        void *state = place(&layout, node->state_bytes * w->samples);
        void *shared = place(&layout, node->shared_state_bytes);
        if (base) w->state[i] = state, w->shared_state[i] = shared;
        if (node->scratch_reals > scratch) scratch = node->scratch_reals;
        if (!probed || !is_bent(network, i)) continue;
        void *bend = place(&layout, real_bytes(node->in_features * w->samples));
        if (base) w->bend[i] = bend;
    }
    w->node_scratch = place(&layout, real_bytes(scratch));
    const int64_t pooled = pooled_scratch(network, 1);
    w->pooled_scratch = pooled ? place(&layout, real_bytes(pooled)) : NULL;
    arena_layout other = {.base = lent};
    lay_out_descent(lent ? &other : &layout, w);
    return layout.offset;
}

int64_t gr_workspace_bytes(const gr_network *network, int64_t samples, bool probed) {
    gr_workspace w = {.network = network, .samples = samples};
    return lay_out_workspace(&w, probed, NULL, NULL);
}

int64_t gr_workspace_descent_bytes(const gr_network *network, int64_t samples) {
    gr_workspace w = {.network = network, .samples = samples};
    arena_layout layout = {0};
    lay_out_descent(&layout, &w);
    return layout.offset;
}

gr_status gr_workspace_create(const gr_network *network, int64_t samples, bool probed, void *lent,
                              gr_workspace **result, gr_error *error) {
    const size_t values = (size_t)network->node_count + 1;
    gr_workspace *w = calloc(1, sizeof *w);
    if (!w) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a workspace");
    *w = (gr_workspace){.network = network, .kernels = gr_kernels_choose(), .samples = samples};
    w->a = calloc(3 * values, sizeof *w->a);
    w->state = calloc(2 * values, sizeof *w->state);
    w->written = calloc(2 * values, sizeof *w->written);
    w->pending = calloc(values, sizeof *w->pending);
    const int64_t bytes = gr_workspace_bytes(network, samples, probed) -
                          (lent ? gr_workspace_descent_bytes(network, samples) : 0);
    gr_status status = w->a && w->state && w->written && w->pending
                           ? allocate(bytes, &w->arena, error)
                           : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a workspace");
    if (status != GR_OK) {
        gr_workspace_free(w);
        return status;
    }
    w->d = w->a + values;
    w->bend = w->d + values;
    w->shared_state = w->state + values;
    w->bent = w->written + values;
    lay_out_workspace(w, probed, lent, w->arena);
    *result = w;
    return GR_OK;
}

void gr_workspace_free(gr_workspace *w) {
    if (!w) return;
    free(w->a); /* one block with d and bend */
    free(w->state);
    free(w->written);
    free(w->pending);
    free(w->arena);
    free(w);
}

static int64_t lay_out_lanes(gr_lanes *lanes, const gr_network *network, int64_t samples,
                             gr_lanes_use use, char *base) {
    const int64_t count = samples * lanes->probes;
    const int64_t pooled = pooled_scratch(network, lanes->probes);
    arena_layout layout = {.base = base};
    place_values(&layout, network, 0, count, lanes->delta);
    if (use == GR_LANES_PUSHED)
        place_values(&layout, network, 0, count, lanes->t);
    else if (base)
        memcpy(lanes->t, lanes->delta, ((size_t)network->node_count + 1) * sizeof *lanes->t);
    lanes->scratch = place(&layout, real_bytes(network->scratch_features * count));
    lanes->pooled_scratch = pooled ? place(&layout, real_bytes(pooled)) : NULL;
    return layout.offset;
}

int64_t gr_lanes_bytes(const gr_network *network, int64_t samples, int64_t probes,
                       gr_lanes_use use) {
    gr_lanes lanes = {.probes = probes};
    return probes ? lay_out_lanes(&lanes, network, samples, use, NULL) : 0;
}

gr_status gr_lanes_create(const gr_network *network, int64_t samples, int64_t probes,
                          gr_lanes_use use, gr_lanes **result, gr_error *error) {
    const size_t values = (size_t)network->node_count + 1;
    gr_lanes *lanes = calloc(1, sizeof *lanes);
    if (!lanes) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for probes");
    lanes->probes = probes;
    lanes->delta = calloc(2 * values, sizeof *lanes->delta);
    gr_status status =
        lanes->delta ? allocate(gr_lanes_bytes(network, samples, probes, use), &lanes->arena, error)
                     : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for probes");
    if (status != GR_OK) {
        gr_lanes_free(lanes);
        return status;
    }
    lanes->t = lanes->delta + values;
    lay_out_lanes(lanes, network, samples, use, lanes->arena);
    *result = lanes;
    return GR_OK;
}

void gr_lanes_free(gr_lanes *lanes) {
    if (!lanes) return;
    free(lanes->delta); /* one block with t */
    free(lanes->arena);
    free(lanes);
}

/* lanes: those of probes, or NULL. */
static gr_site site_of(const gr_pass *pass, const gr_lanes *lanes, int i) {
    const gr_workspace *w = pass->workspace;
    const gr_node *node = &w->network->nodes[i];
    const bool reads_input = w->network->storage[node->inputs[0]] == 0;
    return (gr_site){.node = node,
                     .in_turned = reads_input && w->turned,
                     .turned = reads_input && lanes && lanes->turned,
                     .kernels = w->kernels,
                     .parameters = pass->parameters,
                     .samples = pass->samples,
                     .training = pass->training,
                     .buffers = pass->buffers,
                     .draw = pass->draw,
                     .scratch = w->node_scratch,
                     .in = w->a[node->inputs[0]],
                     .out = w->a[i + 1],
                     .state = w->state[i],
                     .shared_state = w->shared_state[i]};
}

/* The max-pool that node i of the range makes the values of, as far as adjoints of so many probes
 * and tangents go; 0: the node's own values. */
static int pool_of(const gr_pass *pass, int64_t probes, gr_range range, int i) {
    const gr_workspace *w = pass->workspace;
    const gr_node *node = &w->network->nodes[i];
    const bool pooled = node->pool && node->pool < range.end &&
                        gr_pooled_pays(w->kernels, node->pooled, probes, pass->samples);
    return pooled ? node->pool : 0;
}

/* Whether node i is such a max-pool: the layer before it has done its work. */
static bool is_done(const gr_pass *pass, int64_t probes, gr_range range, int i) {
    const int maker = pass->workspace->network->nodes[i].inputs[0] - 1;
    return maker >= range.first && pool_of(pass, probes, range, maker) == i;
}

static gr_picked picked_of(const gr_pass *pass, gr_real *scratch, int pool) {
    return (gr_picked){.winner = pass->workspace->state[pool], .scratch = scratch};
}

/* Value v where a relu of the range alone reads it, whose tangents it lets through where that is
 * positive; else NULL. */
static const gr_real *kept_of(const gr_pass *pass, gr_range range, int v) {
    const gr_workspace *w = pass->workspace;
    const gr_network *network = w->network;
    for (int i = v; i < range.end && network->consumers[v] == 1; i++)
        if (network->nodes[i].inputs[0] == v && network->nodes[i].kind == &gr_layer_relu)
            return w->a[v]; /* before the relu or, where that is in place, behind */
    return NULL;
}

/* The max-pool whose work node i does with its own, 0: none: that of the first layer with weights,
 * whose activations are the largest. A few channels at a time go from one to the other in the
 * cache, and in the ordinary backward pass nobody asks for the adjoint between them. */
static int joined_pool(const gr_network *network, int i) {
    return i == network->first_trained ? network->nodes[i].pool : 0;
}

static bool is_joined(const gr_network *network, int i) {
    const int maker = network->nodes[i].inputs[0] - 1;
    return maker >= 0 && joined_pool(network, maker) == i;
}

void gr_pass_forward(const gr_pass *pass) {
    const gr_workspace *w = pass->workspace;
    const gr_network *network = w->network;
    memset(w->bent, 0, (size_t)w->network->node_count * sizeof *w->bent);
    for (int i = 0; i < w->network->node_count; i++) {
        if (is_joined(network, i)) continue;
        gr_site site = site_of(pass, NULL, i), pool;
        const int joined = joined_pool(network, i);
        if (joined) pool = site_of(pass, NULL, joined), site.pool = &pool;
        if (gr_node_is_sum(site.node))
            w->kernels->add(site.node->out_features * pass->samples, site.in,
                            w->a[site.node->inputs[1]], site.out);
        else
            site.node->kind->forward(&site);
    }
}

/* A backward pass over adjoints d of `probes` lanes a sample. Values below `lowest` are not wanted.
 * lanes: those of the probes, NULL in the ordinary pass, whose are the gradients. */
typedef struct descent {
    const gr_pass *pass;
    const gr_lanes *lanes;
    gr_range range;
    int64_t probes;
    gr_real *const *d;
    gr_real *scratch, *gradients;
    int lowest;
} descent;

static descent descent_of(const gr_pass *pass, int64_t probes, gr_real *const *d,
                          gr_real *scratch) {
    const gr_workspace *w = pass->workspace;
    const size_t values = (size_t)w->network->node_count + 1;
    memset(w->written, 0, values * sizeof *w->written);
    memset(w->pending, 0, values * sizeof *w->pending);
    return (descent){.pass = pass, .probes = probes, .d = d, .scratch = scratch};
}

/* A sum's adjoint is that of each of its inputs. It is copied only where nothing else reads the
 * input: it shares the memory of one that the sum has overwritten, and elsewhere it is kept until
 * the next share comes, to be added to it. */
static void descend_sum(const descent *at, int i) {
    const gr_workspace *w = at->pass->workspace;
    const gr_network *network = w->network;
    const gr_node *node = &network->nodes[i];
    const int64_t count = node->in_features * at->probes * at->pass->samples;
    const gr_real *from = at->d[i + 1];
    for (int j = 0; j < node->input_count; j++) {
        const int input = node->inputs[j];
        if (input < at->lowest || network->storage[input] == network->storage[i + 1]) continue;
        gr_real *to = at->d[input];
        if (w->written[input]) {
            w->kernels->add(count, to, from, to);
        } else if (w->pending[input]) {
            w->kernels->add(count, at->d[w->pending[input]], from, to);
            w->pending[input] = 0;
            w->written[input] = true;
        } else if (network->consumers[input] > 1) {
            w->pending[input] = i + 1;
        } else {
            memcpy(to, from, (size_t)count * sizeof *to);
            w->written[input] = true;
        }
    }
}

/* The adjoint of node i's input from that of its output; of a value that several nodes read, the
 * sum of their shares. */
static void descend(const descent *at, int i) {
    const gr_workspace *w = at->pass->workspace;
    if (is_done(at->pass, at->probes, at->range, i)) return;
    gr_site site = site_of(at->pass, at->lanes, i), pool_site;
    gr_picked picked;
    int pool = pool_of(at->pass, at->probes, at->range, i);
    if (pool) {
        gr_real *scratch = at->lanes ? at->lanes->pooled_scratch : w->pooled_scratch;
        picked = picked_of(at->pass, scratch, pool), site.picked = &picked;
    } else if (!at->lanes) {
        if (is_joined(w->network, i)) return;
        pool = joined_pool(w->network, i);
        if (pool) pool_site = site_of(at->pass, NULL, pool), site.pool = &pool_site;
    }
    const gr_real *d_out = at->d[pool ? pool + 1 : i + 1];
    const gr_node *node = site.node;
    if (gr_node_is_sum(node)) {
        descend_sum(at, i);
        return;
    }
    const int input = node->inputs[0];
    const int64_t count = node->in_features * at->probes * at->pass->samples;
    gr_real *d_in = at->d[input];
    const bool wanted = input >= at->lowest;
    gr_real *target = !wanted ? NULL : w->written[input] ? at->scratch : d_in;
    const gr_real *bend = at->gradients && w->bent[i] ? w->bend[i] : NULL;
    if (at->gradients && node->kind->backward_and_accumulate) {
        node->kind->backward_and_accumulate(&site, d_out, bend, target, at->gradients);
        bend = NULL;
    } else {
        if (at->gradients && node->parameter_count)
            node->kind->accumulate(&site, 1, d_out, site.in, false, at->gradients);
        if (wanted) node->kind->backward(&site, at->probes, d_out, target);
    }
    if (!wanted) return;
    if (bend) w->kernels->add(count, target, bend, target);
    if (w->written[input]) {
        w->kernels->add(count, d_in, target, d_in);
    } else if (w->pending[input]) {
        w->kernels->add(count, d_in, at->d[w->pending[input]], d_in);
        w->pending[input] = 0;
    }
    w->written[input] = true;
}

void gr_pass_probe_backward(const gr_pass *pass, const gr_lanes *lanes, gr_range range) {
    descent at = descent_of(pass, lanes->probes, lanes->delta, lanes->scratch);
    at.lanes = lanes;
    at.range = range;
    /* Pushed lanes have tangents below the first gradient. */
    at.lowest = lanes->t[0] == lanes->delta[0] ? 0 : pass->workspace->network->first_trained + 1;
    for (int i = range.end - 1; i >= range.first; i--) descend(&at, i);
}

void gr_pass_backward(const gr_pass *pass, gr_real *gradients) {
    const gr_workspace *w = pass->workspace;
    descent at = descent_of(pass, 1, w->d, w->scratch);
    at.gradients = gradients;
    at.range = (gr_range){w->network->first_trained, w->network->node_count};
    at.lowest = w->network->first_trained + 1;
    for (int i = at.range.end - 1; i >= at.range.first; i--) descend(&at, i);
}

/* t at the output of node i of the range. */
static void ascend(const gr_pass *pass, const gr_lanes *lanes, gr_range range, int i) {
    if (is_done(pass, lanes->probes, range, i)) return;
    const int pool = pool_of(pass, lanes->probes, range, i);
    gr_site site = site_of(pass, lanes, i);
    gr_picked picked;
    if (pool) picked = picked_of(pass, lanes->pooled_scratch, pool), site.picked = &picked;
    site.kept = kept_of(pass, range, pool ? pool + 1 : i + 1);
    const gr_real *t_in = lanes->t[site.node->inputs[0]];
    if (gr_node_is_sum(site.node))
        site.kernels->add(site.node->out_features * lanes->probes * pass->samples, t_in,
                          lanes->t[site.node->inputs[1]], lanes->t[i + 1]);
    else
        site.node->kind->tangent(&site, lanes->probes, t_in, lanes->t[pool ? pool + 1 : i + 1]);
}

void gr_pass_tangent(const gr_pass *pass, const gr_lanes *lanes, gr_range range) {
    for (int i = range.first; i < range.end; i++) ascend(pass, lanes, range, i);
}

/* Gradients and curvature of node i from its delta and t; `onwards`: and then t at its output. */
static void accumulate(const gr_pass *pass, const gr_lanes *lanes, gr_range range, int i,
                       bool onwards, gr_real *gradients) {
    const gr_workspace *w = pass->workspace;
    if (is_done(pass, lanes->probes, range, i)) return;
    const int pool = pool_of(pass, lanes->probes, range, i);
    gr_site site = site_of(pass, lanes, i);
    gr_picked picked;
    if (pool) picked = picked_of(pass, lanes->pooled_scratch, pool), site.picked = &picked;
    site.kept = kept_of(pass, range, pool ? pool + 1 : i + 1);
    const gr_layer_kind *kind = site.node->kind;
    const gr_real *delta = lanes->delta[pool ? pool + 1 : i + 1];
    const gr_real *t_in = lanes->t[site.node->inputs[0]];
    gr_real *bend = w->bend[i];
    if (kind->tangent_and_accumulate) {
        kind->tangent_and_accumulate(&site, lanes->probes, delta, t_in, bend, w->bent[i],
                                     onwards ? lanes->t[pool ? pool + 1 : i + 1] : NULL, gradients);
        w->bent[i] = bend != NULL;
        return;
    }
    if (site.node->parameter_count)
        kind->accumulate(&site, lanes->probes, delta, t_in, true, gradients);
    if (bend) {
        const int64_t reals = site.node->in_features * pass->samples;
        if (!w->bent[i]) memset(bend, 0, (size_t)reals * sizeof *bend);
        w->bent[i] = true;
        kind->curvature(&site, lanes->probes, t_in, delta, bend);
    }
    if (onwards) ascend(pass, lanes, range, i);
}

void gr_pass_tangent_accumulate(const gr_pass *pass, const gr_lanes *lanes, gr_range range,
                                bool onwards, gr_real *gradients) {
    for (int i = range.first; i < range.end; i++)
        accumulate(pass, lanes, range, i, onwards || i < range.end - 1, gradients);
}

void gr_pass_accumulate_probes(const gr_pass *pass, const gr_lanes *lanes, gr_range range,
                               gr_real *gradients) {
    for (int i = range.first; i < range.end; i++)
        accumulate(pass, lanes, range, i, false, gradients);
}
