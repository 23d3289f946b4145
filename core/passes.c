#include "core/passes.h"

#include <stdlib.h>
#include <string.h>

static int64_t rounded(int64_t bytes) {
    return (bytes + GR_SLACK_BYTES + GR_ALIGNMENT - 1) / GR_ALIGNMENT * GR_ALIGNMENT;
}

/* The features of the largest value that several nodes read. */
static int64_t scratch_features(const gr_network *network) {
    int64_t most = 0;
    for (int v = 0; v <= network->node_count; v++) {
        const int64_t features = gr_network_features(network, v);
        if (network->consumers[v] > 1 && features > most) most = features;
    }
    return most;
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
    *arena = aligned_alloc(GR_ALIGNMENT, (size_t)bytes);
    if (!*arena)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %lld MiB of activations",
                       (long long)(bytes >> 20));
    memset(*arena, 0, (size_t)bytes); /* whole vectors are read past an array's end */
    return GR_OK;
}

static int64_t lay_out_workspace(gr_workspace *w, char *base) {
    const gr_network *network = w->network;
    arena_layout layout = {.base = base};
    place_values(&layout, network, 0, w->samples, w->a);
    place_values(&layout, network, 0, w->samples, w->d);
    for (int i = 0; i < network->node_count; i++) {
        void *state = place(&layout, network->nodes[i].state_bytes * w->samples);
        void *shared = place(&layout, network->nodes[i].shared_state_bytes);
        if (base) w->state[i] = state, w->shared_state[i] = shared;
    }
    w->scratch = place(&layout, scratch_features(network) * w->samples * (int64_t)sizeof(gr_real));
    return layout.offset;
}

int64_t gr_workspace_bytes(const gr_network *network, int64_t samples) {
    gr_workspace w = {.network = network, .samples = samples};
    return lay_out_workspace(&w, NULL);
}

gr_status gr_workspace_create(const gr_network *network, int64_t samples, gr_workspace **result,
                              gr_error *error) {
    const size_t values = (size_t)network->node_count + 1;
    gr_workspace *w = calloc(1, sizeof *w);
    if (!w) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a workspace");
    *w = (gr_workspace){.network = network, .kernels = gr_kernels_choose(), .samples = samples};
    w->bytes = lay_out_workspace(w, NULL);
    w->a = calloc(2 * values, sizeof *w->a);
    w->state = calloc(2 * values, sizeof *w->state);
    w->written = calloc(values, sizeof *w->written);
    gr_status status = w->a && w->state && w->written
                           ? allocate(w->bytes, &w->arena, error)
                           : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a workspace");
    if (status != GR_OK) {
        gr_workspace_free(w);
        return status;
    }
    w->d = w->a + values;
    w->shared_state = w->state + values;
    lay_out_workspace(w, w->arena);
    *result = w;
    return GR_OK;
}

void gr_workspace_free(gr_workspace *w) {
    if (!w) return;
    free(w->a); /* one block with d */
    free(w->state);
    free(w->written);
    free(w->arena);
    free(w);
}

static int64_t lay_out_lanes(gr_lanes *lanes, const gr_network *network, int64_t samples,
                             bool in_place, char *base) {
    const int64_t count = samples * lanes->probes;
    arena_layout layout = {.base = base};
    place_values(&layout, network, 0, count, lanes->delta);
    if (base && in_place) lanes->t[0] = lanes->delta[0];
    place_values(&layout, network, in_place ? 1 : 0, count, lanes->t);
    lanes->scratch = place(&layout, scratch_features(network) * count * (int64_t)sizeof(gr_real));
    return layout.offset;
}

int64_t gr_lanes_bytes(const gr_network *network, int64_t samples, int64_t probes, bool in_place) {
    gr_lanes lanes = {.probes = probes};
    return probes ? lay_out_lanes(&lanes, network, samples, in_place, NULL) : 0;
}

gr_status gr_lanes_create(const gr_network *network, int64_t samples, int64_t probes, bool in_place,
                          gr_lanes **result, gr_error *error) {
    const size_t values = (size_t)network->node_count + 1;
    gr_lanes *lanes = calloc(1, sizeof *lanes);
    if (!lanes) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for probes");
    lanes->probes = probes;
    lanes->delta = calloc(2 * values, sizeof *lanes->delta);
    gr_status status = lanes->delta ? allocate(gr_lanes_bytes(network, samples, probes, in_place),
                                               &lanes->arena, error)
                                    : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for probes");
    if (status != GR_OK) {
        gr_lanes_free(lanes);
        return status;
    }
    lanes->t = lanes->delta + values;
    lay_out_lanes(lanes, network, samples, in_place, lanes->arena);
    *result = lanes;
    return GR_OK;
}

void gr_lanes_free(gr_lanes *lanes) {
    if (!lanes) return;
    free(lanes->delta); /* one block with t */
    free(lanes->arena);
    free(lanes);
}

static gr_site site_of(const gr_pass *pass, int i) {
    const gr_workspace *w = pass->workspace;
    const gr_node *node = &w->network->nodes[i];
    return (gr_site){.node = node,
                     .kernels = w->kernels,
                     .parameters = pass->parameters,
                     .samples = pass->samples,
                     .training = pass->training,
                     .buffers = pass->buffers,
                     .draw = pass->draw,
                     .in = w->a[node->inputs[0]],
                     .out = w->a[i + 1],
                     .state = w->state[i],
                     .shared_state = w->shared_state[i]};
}

static bool is_sum(const gr_node *node) {
    return node->kind == &gr_layer_sum;
}

/* out = a + b over `count` elements. */
static void add(int64_t count, const gr_real *a, const gr_real *b, gr_real *out) {
    for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}

void gr_pass_forward(const gr_pass *pass) {
    const gr_workspace *w = pass->workspace;
    for (int i = 0; i < w->network->node_count; i++) {
        const gr_site site = site_of(pass, i);
        if (is_sum(site.node))
            add(site.node->out_features * pass->samples, site.in, w->a[site.node->inputs[1]],
                site.out);
        else
            site.node->kind->forward(&site);
    }
}

/* The adjoints of node i's inputs from that of its output, for `probes` lanes a sample. A value
 * that several nodes read gets the sum of their shares: the last of them in order writes, the
 * others add. */
static void pull_back(const gr_pass *pass, int i, int64_t probes, gr_real *const *d,
                      gr_real *scratch) {
    const gr_site site = site_of(pass, i);
    const gr_node *node = site.node;
    bool *written = pass->workspace->written;
    for (int j = 0; j < node->input_count; j++) {
        const int input = node->inputs[j];
        const int64_t count = node->in_features * probes * pass->samples;
        gr_real *target = written[input] ? scratch : d[input];
        if (is_sum(node))
            memcpy(target, d[i + 1], (size_t)count * sizeof *target);
        else
            node->kind->backward(&site, probes, d[i + 1], target);
        if (written[input]) add(count, d[input], target, d[input]);
        written[input] = true;
    }
}

static void forget_written(const gr_pass *pass) {
    const gr_workspace *w = pass->workspace;
    memset(w->written, 0, (size_t)(w->network->node_count + 1) * sizeof *w->written);
}

void gr_pass_probe_backward(const gr_pass *pass, const gr_lanes *lanes, gr_range range) {
    forget_written(pass);
    for (int i = range.end - 1; i >= range.first; i--)
        pull_back(pass, i, lanes->probes, lanes->delta, lanes->scratch);
}

void gr_pass_tangent(const gr_pass *pass, const gr_lanes *lanes, gr_range range) {
    for (int i = range.first; i < range.end; i++) {
        const gr_site site = site_of(pass, i);
        const gr_real *t_in = lanes->t[site.node->inputs[0]];
        if (is_sum(site.node))
            add(site.node->out_features * lanes->probes * pass->samples, t_in,
                lanes->t[site.node->inputs[1]], lanes->t[i + 1]);
        else
            site.node->kind->tangent(&site, lanes->probes, t_in, lanes->t[i + 1]);
    }
}

void gr_pass_accumulate_probes(const gr_pass *pass, const gr_lanes *lanes, gr_range range,
                               gr_real *gradients) {
    for (int i = range.end - 1; i >= range.first; i--) {
        const gr_site site = site_of(pass, i);
        if (site.node->parameter_count)
            site.node->kind->accumulate(&site, lanes->probes, lanes->delta[i + 1],
                                        lanes->t[site.node->inputs[0]], true, gradients);
    }
}

void gr_pass_backward(const gr_pass *pass, const gr_lanes *const *lanes, int lane_sets,
                      gr_real *gradients) {
    const gr_workspace *w = pass->workspace;
    forget_written(pass);
    for (int i = w->network->node_count - 1; i >= w->network->first_trained; i--) {
        const gr_site site = site_of(pass, i);
        const gr_layer_kind *kind = site.node->kind;
        const int input = site.node->inputs[0];
        if (site.node->parameter_count)
            kind->accumulate(&site, 1, w->d[i + 1], site.in, false, gradients);
        if (i == w->network->first_trained) break;
        pull_back(pass, i, 1, w->d, w->scratch);
        for (int set = 0; kind->curvature && set < lane_sets; set++)
            kind->curvature(&site, lanes[set]->probes, lanes[set]->t[input],
                            lanes[set]->delta[i + 1], w->d[input]);
    }
}
