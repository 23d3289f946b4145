#include "core/needs.h"

/* As GR_PROBE_LANES, without probes and where a block is a whole batch. Whole vectors of samples,
 * since what belongs to a sample is loaded for each of its probes anew. */
enum { LANES = 64, COUPLED_LANES = 128, VECTOR = 16 };

bool gr_has_own_points(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->points && (!kind->has_points || kind->has_points(settings));
}

static int64_t probes_of(const gr_settings *settings, int64_t outputs) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->probes && !gr_has_own_points(settings) ? kind->probes(settings, outputs) : 0;
}

static int64_t tangents_of(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->tangents ? kind->tangents(settings) : 0;
}

static int64_t own_probes_of(const gr_settings *settings, int64_t outputs) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return gr_has_own_points(settings) && kind->points_probes
               ? kind->points_probes(settings, outputs)
               : 0;
}

static bool is_separable(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->separable && kind->separable(settings);
}

static bool reads_input(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->inputs || kind->tangents || gr_has_own_points(settings);
}

static bool couples_samples(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->couples_samples && kind->couples_samples(settings);
}

/* Whether the network's input is a vector for a layer that may find it turned, and so wide that no
 * vector of features is largely empty. */
static bool can_turn(const gr_network *network) {
    enum { LEAST_FEATURES = 64 };
    int v = 0; /* the input, perhaps under another shape */
    while (network->consumers[v] == 1 && v < network->node_count &&
           network->nodes[v].inputs[0] == v && network->nodes[v].kind->passes_on)
        v++;
    return network->consumers[v] == 1 && v < network->node_count &&
           network->nodes[v].kind->knows_turned &&
           gr_network_features(network, 0) >= LEAST_FEATURES;
}

gr_needs gr_needs_of(const gr_network *network, const gr_settings *regularizers, size_t count) {
    gr_needs n = {.network = network,
                  .regularizers = regularizers,
                  .count = count,
                  .turned_input = can_turn(network),
                  .turned_lanes = can_turn(network),
                  .couples = network->couples_samples};
    const int64_t outputs = gr_network_outputs(network);
    for (size_t i = 0; i < count; i++) {
        const gr_settings *settings = &regularizers[i];
        n.probes[i] = probes_of(settings, outputs);
        n.tangents[i] = tangents_of(settings);
        n.own_probes[i] = own_probes_of(settings, outputs);
        n.lanes[GR_PULLED] += n.probes[i];
        if (n.probes[i] && !gr_regularizer_kind_of(settings)->knows_turned) n.turned_lanes = false;
        if (reads_input(settings)) n.turned_input = false;
        n.lanes[GR_PUSHED] += n.tangents[i];
        n.own_lanes += n.own_probes[i];
        if (gr_regularizer_kind_of(settings)->layer_input)
            n.lanes[GR_LAYERWISE] = 1; /* one after the other */
        n.own_points = n.own_points || gr_has_own_points(settings);
        n.couples = n.couples || couples_samples(settings);
    }
    return n;
}

bool gr_needs_any_lanes(const gr_needs *n) {
    bool any = false;
    for (int set = 0; set < GR_LANE_SETS; set++) any = any || n->lanes[set];
    return any;
}

/* -- samples at a time
 * ---------------------------------------------------------------------------- */

/* LANES, or half as many where those, and only those, bring the largest value near the second-level
 * cache. (Each block reads the weights and adds to their gradients once more.) */
static int64_t most_samples(const gr_network *network, const gr_kernels *kernels) {
    int64_t largest = 0;
    for (int v = 0; v <= network->node_count; v++)
        if (gr_network_features(network, v) > largest) largest = gr_network_features(network, v);
    const int64_t near = kernels->cache_bytes / 4 * 5;
    const int64_t bytes = LANES * largest * (int64_t)sizeof(gr_real);
    return bytes > near && bytes / 2 <= near ? LANES / 2 : LANES;
}

static int64_t quotient_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

int64_t gr_needs_block_samples(const gr_needs *n, int64_t batch_size) {
    if (n->couples) return batch_size;
    const gr_kernels *kernels = gr_kernels_choose();
    int64_t probes = n->own_lanes;
    for (int set = GR_PULLED; set <= GR_PUSHED; set++)
        if (n->lanes[set] > probes) probes = n->lanes[set];
    int64_t most = most_samples(n->network, kernels);
    if (probes > 1 && GR_PROBE_LANES / probes < most) most = GR_PROBE_LANES / probes;
    if (most > VECTOR) most -= most % VECTOR;
    if (most < VECTOR / 4) most = VECTOR / 4;
    /* Blocks of whole vectors that are about equal: a few samples alone would cost nearly as much.
     */
    const int64_t equal = quotient_up(batch_size, quotient_up(batch_size, most));
    const int64_t whole = quotient_up(equal, kernels->vector_lanes) * kernels->vector_lanes;
    const int64_t samples = whole < most ? whole : most;
    return samples < batch_size ? samples : batch_size;
}

/* -- probes at a time
 * ----------------------------------------------------------------------------- */

/* Where probes are the lanes (gr_pooled_pays), a few more than whole vectors of them take as long
 * as a vector: those are for a group of their own, which goes another way. */
static int64_t without_a_few(const gr_network *network, int64_t probes) {
    const int64_t lanes = gr_kernels_choose()->vector_lanes, few = probes % lanes;
    bool pooled = false;
    for (int i = 0; i < network->node_count; i++) pooled = pooled || network->nodes[i].pool;
    return pooled && few < probes && 8 * few <= 3 * lanes ? probes - few : probes;
}

/* As many probes at once as make rows long enough, and no more where the block is a whole batch:
 * memory and caches are for the samples then. Probes that are not separable stay together. */
int64_t gr_needs_lanes(const gr_needs *n, int set, int64_t samples) {
    if (set != GR_PULLED || n->lanes[set] == 0) return n->lanes[set];
    int64_t capacity = (n->couples ? COUPLED_LANES : GR_PROBE_LANES) / samples;
    if (capacity > n->lanes[GR_PULLED]) capacity = n->lanes[GR_PULLED];
    capacity = without_a_few(n->network, capacity < 1 ? 1 : capacity);
    for (size_t i = 0; i < n->count; i++)
        if (n->probes[i] > capacity && !is_separable(&n->regularizers[i])) capacity = n->probes[i];
    return capacity;
}

bool gr_needs_next_group(const gr_needs *n, int64_t capacity, gr_probe_group *g) {
    for (size_t i = 0; i < n->count; i++) g->first[i] += g->count[i], g->count[i] = 0;
    g->all = 0;
    for (size_t i = 0; i < n->count; i++) {
        const int64_t left = n->probes[i] - g->first[i], room = capacity - g->all;
        if (left <= room)
            g->count[i] = left;
        else if (is_separable(&n->regularizers[i]))
            g->count[i] = room;
        g->all += g->count[i];
        if (g->count[i] < left) break;
    }
    return g->all > 0;
}
