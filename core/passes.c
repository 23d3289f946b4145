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

/* Lays out the arena; with base NULL only counts. The pointers of values that share storage are
 * equal. */
static int64_t lay_out(gr_workspace *w, char *base) {
    const gr_network *network = w->network;
    const int64_t real = (int64_t)sizeof(gr_real);
    int64_t offset = 0;
    for (int v = 0; v <= network->node_count; v++) {
        const int owner = network->storage[v];
        const int64_t samples = gr_network_features(network, v) * w->samples * real;
        const int64_t lanes = samples * w->probes;
        gr_real **const arrays[] = {w->a, w->d, w->delta, w->t};
        const int64_t sizes[] = {samples, samples, lanes, lanes};
        for (int i = 0; i < 4; i++) {
            const bool shared = owner != v, input_tangent = i == 3 && v == 0;
            if (!shared && !input_tangent && sizes[i] > 0) {
                if (base) arrays[i][v] = (gr_real *)(void *)(base + offset);
                offset += rounded(sizes[i]);
            } else if (base && sizes[i] > 0) {
                arrays[i][v] = input_tangent ? w->delta[0] : arrays[i][owner];
            }
        }
    }
    for (int i = 0; i < network->node_count; i++) {
        if (base) w->state[i] = base + offset;
        offset += rounded(network->nodes[i].state_bytes * w->samples);
        if (base) w->shared_state[i] = base + offset;
        offset += rounded(network->nodes[i].shared_state_bytes);
    }
    const int64_t scratch =
        scratch_features(network) * w->samples * real * (w->probes > 1 ? w->probes : 1);
    if (base) w->scratch = (gr_real *)(void *)(base + offset);
    offset += rounded(scratch);
    return offset;
}

int64_t gr_workspace_bytes(const gr_network *network, int64_t samples, int64_t probes) {
    gr_workspace w = {.network = network, .samples = samples, .probes = probes};
    return lay_out(&w, NULL);
}

gr_status gr_workspace_create(const gr_network *network, int64_t samples, int64_t probes,
                              gr_workspace **result, gr_error *error) {
    gr_workspace *w = calloc(1, sizeof *w);
    if (!w) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a workspace");
    w->network = network;
    w->kernels = gr_kernels_choose();
    w->samples = samples;
    w->probes = probes;
    w->bytes = lay_out(w, NULL);
    const size_t values = (size_t)network->node_count + 1;
    gr_real **pointers = calloc(4 * values, sizeof *pointers);
    w->a = pointers;
    w->state = calloc(2 * values, sizeof *w->state);
    w->written = calloc(values, sizeof *w->written);
    w->arena = aligned_alloc(GR_ALIGNMENT, (size_t)w->bytes);
    if (!pointers || !w->state || !w->written || !w->arena) {
        const int64_t bytes = w->bytes;
        gr_workspace_free(w);
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %lld MiB of activations",
                       (long long)(bytes >> 20));
    }
    w->shared_state = w->state + values;
    w->d = pointers + values;
    w->delta = pointers + 2 * values;
    w->t = pointers + 3 * values;
    memset(w->arena, 0, (size_t)w->bytes); /* whole vectors are read past an array's end */
    lay_out(w, w->arena);
    *result = w;
    return GR_OK;
}

void gr_workspace_free(gr_workspace *w) {
    if (!w) return;
    free(w->a); /* one block with d, delta and t */
    free(w->state);
    free(w->written);
    free(w->arena);
    free(w);
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
                      bool *written) {
    const gr_workspace *w = pass->workspace;
    const gr_site site = site_of(pass, i);
    const gr_node *node = site.node;
    for (int j = 0; j < node->input_count; j++) {
        const int input = node->inputs[j];
        const int64_t count = node->in_features * probes * pass->samples;
        gr_real *target = written[input] ? w->scratch : d[input];
        if (is_sum(node))
            memcpy(target, d[i + 1], (size_t)count * sizeof *target);
        else
            node->kind->backward(&site, probes, d[i + 1], target);
        if (written[input]) add(count, d[input], target, d[input]);
        written[input] = true;
    }
}

void gr_pass_probe_backward(const gr_pass *pass) {
    const gr_workspace *w = pass->workspace;
    memset(w->written, 0, (size_t)(w->network->node_count + 1) * sizeof *w->written);
    for (int i = w->network->node_count - 1; i >= 0; i--)
        pull_back(pass, i, pass->probes, w->delta, w->written);
}

void gr_pass_tangent(const gr_pass *pass) {
    const gr_workspace *w = pass->workspace;
    for (int i = 0; i < w->network->node_count; i++) {
        const gr_site site = site_of(pass, i);
        const gr_real *t_in = w->t[site.node->inputs[0]];
        if (is_sum(site.node))
            add(site.node->out_features * pass->probes * pass->samples, t_in,
                w->t[site.node->inputs[1]], w->t[i + 1]);
        else
            site.node->kind->tangent(&site, pass->probes, t_in, w->t[i + 1]);
    }
}

void gr_pass_accumulate_probes(const gr_pass *pass, gr_real *gradients) {
    const gr_workspace *w = pass->workspace;
    for (int i = w->network->node_count - 1; i >= 0; i--) {
        const gr_site site = site_of(pass, i);
        if (site.node->parameter_count)
            site.node->kind->accumulate(&site, pass->probes, w->delta[i + 1],
                                        w->t[site.node->inputs[0]], true, gradients);
    }
}

void gr_pass_backward(const gr_pass *pass, gr_real *gradients) {
    const gr_workspace *w = pass->workspace;
    memset(w->written, 0, (size_t)(w->network->node_count + 1) * sizeof *w->written);
    for (int i = w->network->node_count - 1; i >= w->network->first_trained; i--) {
        const gr_site site = site_of(pass, i);
        const gr_layer_kind *kind = site.node->kind;
        const int input = site.node->inputs[0];
        if (site.node->parameter_count)
            kind->accumulate(&site, 1, w->d[i + 1], site.in, false, gradients);
        if (i == w->network->first_trained) break;
        pull_back(pass, i, 1, w->d, w->written);
        if (pass->probes && kind->curvature)
            kind->curvature(&site, pass->probes, w->t[input], w->delta[i + 1], w->d[input]);
    }
}
