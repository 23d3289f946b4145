#include "core/objective.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The sets of probe lanes at the data's points. */
enum { PULLED, PUSHED, LAYERWISE, LANE_SETS };

/* So many lanes that the kernels' rows are long enough, and few enough for the caches. Whole
 * vectors of samples, since what belongs to a sample is loaded for each of its probes anew. */
enum { LANES = 64, PROBE_LANES = 160, COUPLED_LANES = 128, VECTOR = 16 };

struct gr_objective {
    const gr_network *network;
    const gr_settings *loss;         /* borrowed */
    const gr_settings *regularizers; /* borrowed */
    size_t count;
    int64_t iterations;
    int64_t probes[GR_MAXIMUM_REGULARIZERS];   /* of each regulariser, at the data's points */
    int64_t tangents[GR_MAXIMUM_REGULARIZERS]; /* likewise */
    gr_workspace *workspace, *own_points;      /* own_points: NULL where nothing needs it */
    gr_lanes *lanes[LANE_SETS];                /* NULL where there are none */
    gr_lanes *own_lanes[GR_MAXIMUM_REGULARIZERS];
    gr_real *memory; /* what the pointers below point into */
    gr_real *p, *r, *losses, *scratch, *own_p, *own_losses;
    gr_real *state; /* of all regularisers */
    int64_t state_count;
    gr_real *buffers;
    const gr_real *given_probe;
};

/* -- what each regulariser needs
 * -------------------------------------------------------------------------- */

static bool has_own_points(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->points && (!kind->has_points || kind->has_points(settings));
}

static int64_t probes_of(const gr_settings *settings, int64_t outputs) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->probes && !has_own_points(settings) ? kind->probes(settings, outputs) : 0;
}

static int64_t tangents_of(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->tangents ? kind->tangents(settings) : 0;
}

static int64_t own_probes_of(const gr_settings *settings, int64_t outputs) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return has_own_points(settings) && kind->points_probes ? kind->points_probes(settings, outputs)
                                                           : 0;
}

static bool is_separable(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->separable && kind->separable(settings);
}

static bool couples_samples(const gr_settings *settings) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    return kind->couples_samples && kind->couples_samples(settings);
}

/* Lanes for each sample, and what else depends on all regularisers. */
typedef struct needs {
    int64_t lanes[LANE_SETS];
    int64_t own_lanes; /* summed over the regularisers with own points */
    bool own_points, couples;
} needs;

static needs needs_of(const gr_network *network, const gr_settings *regularizers, size_t count) {
    needs n = {.couples = network->couples_samples};
    const int64_t outputs = gr_network_outputs(network);
    for (size_t i = 0; i < count; i++) {
        const gr_settings *settings = &regularizers[i];
        n.lanes[PULLED] += probes_of(settings, outputs);
        n.lanes[PUSHED] += tangents_of(settings);
        n.lanes[LAYERWISE] += gr_regularizer_kind_of(settings)->layer_input != NULL;
        n.own_lanes += own_probes_of(settings, outputs);
        n.own_points = n.own_points || has_own_points(settings);
        n.couples = n.couples || couples_samples(settings);
    }
    if (n.lanes[LAYERWISE] > 1) n.lanes[LAYERWISE] = 1; /* one after the other */
    return n;
}

static bool same_value(const gr_value *a, const gr_value *b) {
    if (a->type != b->type) return false;
    switch (a->type) {
    case GR_NULL:
        return true;
    case GR_BOOLEAN:
        return a->boolean == b->boolean;
    case GR_INTEGER:
        return a->integer == b->integer;
    case GR_NUMBER:
        return a->number == b->number;
    case GR_CHOICE:
        return a->choice == b->choice;
    case GR_NUMBERS:
        return a->numbers.count == b->numbers.count &&
               memcmp(a->numbers.items, b->numbers.items,
                      a->numbers.count * sizeof *a->numbers.items) == 0;
    default: /* no regulariser has others */
        return false;
    }
}

/* Whether one of the two with the sum of the weights would be the same. */
static bool is_repeated(const gr_settings *a, const gr_settings *b) {
    if (a->kind != b->kind) return false;
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(a);
    if (kind->draws && kind->draws(a)) return false;
    const int weight = gr_kind_option(a->kind, "weight");
    for (size_t i = 0; i < a->kind->option_count; i++)
        if ((int)i != weight && !same_value(&a->values[i], &b->values[i])) return false;
    return true;
}

/* Probes of the pulled regularisers that are worked on together: `count` of each, from `first` on;
 * `all` together. */
typedef struct group {
    int64_t first[GR_MAXIMUM_REGULARIZERS], count[GR_MAXIMUM_REGULARIZERS], all;
} group;

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
static int64_t group_capacity(const gr_network *network, const needs *n,
                              const gr_settings *regularizers, size_t count, int64_t samples) {
    const int64_t outputs = gr_network_outputs(network);
    int64_t capacity = (n->couples ? COUPLED_LANES : PROBE_LANES) / samples;
    if (capacity > n->lanes[PULLED]) capacity = n->lanes[PULLED];
    capacity = without_a_few(network, capacity < 1 ? 1 : capacity);
    for (size_t i = 0; i < count; i++) {
        const int64_t probes = probes_of(&regularizers[i], outputs);
        if (probes > capacity && !is_separable(&regularizers[i])) capacity = probes;
    }
    return capacity < n->lanes[PULLED] ? capacity : n->lanes[PULLED];
}

/* The group after `g` (zero before the first), in the order of the spec; false: there is none. */
static bool next_group(const gr_settings *regularizers, const int64_t *probes, size_t count,
                       int64_t capacity, group *g) {
    for (size_t i = 0; i < count; i++) g->first[i] += g->count[i], g->count[i] = 0;
    g->all = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t left = probes[i] - g->first[i], room = capacity - g->all;
        if (left <= room)
            g->count[i] = left;
        else if (is_separable(&regularizers[i]))
            g->count[i] = room;
        g->all += g->count[i];
        if (g->count[i] < left) break;
    }
    return g->all > 0;
}

static bool has_lanes(const needs *n) {
    bool any = false;
    for (int set = 0; set < LANE_SETS; set++) any = any || n->lanes[set];
    return any;
}

/* Lanes of a set for each sample that there are at once. */
static int64_t lanes_of(const gr_network *network, const needs *n, int set,
                        const gr_settings *regularizers, size_t count, int64_t samples) {
    return set == PULLED && n->lanes[PULLED]
               ? group_capacity(network, n, regularizers, count, samples)
               : n->lanes[set];
}

/* Whether the memory of the pulled probes, which are done by then, is enough for the ordinary
 * backward pass. */
static bool lends(const gr_network *network, int64_t pulled, int64_t samples) {
    return pulled && gr_lanes_bytes(network, samples, pulled, GR_LANES_PULLED) >=
                         gr_workspace_descent_bytes(network, samples);
}

static gr_lanes_use use_of(int set) {
    return set == PUSHED ? GR_LANES_PUSHED : GR_LANES_PULLED;
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

gr_status gr_objective_check_regularizer(const gr_fit *fit, const gr_settings *regularizers,
                                         size_t index, gr_error *error) {
    const gr_settings *settings = &regularizers[index];
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    gr_status status = kind->check ? kind->check(settings, fit, error) : GR_OK;
    for (size_t j = 0; status == GR_OK && j < index; j++)
        if (is_repeated(settings, &regularizers[j]))
            status = gr_fail_at(error, GR_INVALID, "/type",
                                "this is /regularizers/%zu again, weight aside: give it once, "
                                "with the sum of the weights",
                                j);
    const int ramp = gr_kind_option(&kind->kind, "ramp");
    if (status == GR_OK && ramp >= 0 && !gr_is_null(settings, ramp)) {
        size_t ends;
        const double *shares = gr_numbers(settings, ramp, &ends);
        if (ends != 2 || shares[0] >= shares[1])
            status = gr_fail_at(error, GR_INVALID, "/ramp",
                                "ramp is [begin, end] with begin before end");
    }
    if (status != GR_OK) gr_error_prefix_place(error, "/regularizers/%zu", index);
    return status;
}

gr_status gr_objective_check(const gr_fit *fit, const gr_settings *regularizers, size_t count,
                             gr_error *error) {
    GR_TRY(gr_objective_check_network(fit, count, error));
    for (size_t i = 0; i < count; i++)
        GR_TRY(gr_objective_check_regularizer(fit, regularizers, i, error));
    return GR_OK;
}

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

int64_t gr_objective_block_samples(const gr_network *network, const gr_settings *regularizers,
                                   size_t count, int64_t batch_size) {
    const needs n = needs_of(network, regularizers, count);
    if (n.couples) return batch_size;
    const gr_kernels *kernels = gr_kernels_choose();
    int64_t probes = n.lanes[PULLED] > n.lanes[PUSHED] ? n.lanes[PULLED] : n.lanes[PUSHED];
    if (n.own_lanes > probes) probes = n.own_lanes;
    int64_t most = most_samples(network, kernels);
    if (probes > 1 && PROBE_LANES / probes < most) most = PROBE_LANES / probes;
    if (most > VECTOR) most -= most % VECTOR;
    if (most < VECTOR / 4) most = VECTOR / 4;
    /* Blocks of whole vectors that are about equal: a few samples alone would cost nearly as much.
     */
    const int64_t equal = quotient_up(batch_size, quotient_up(batch_size, most));
    const int64_t whole = quotient_up(equal, kernels->vector_lanes) * kernels->vector_lanes;
    const int64_t samples = whole < most ? whole : most;
    return samples < batch_size ? samples : batch_size;
}

/* p and r at the data, p elsewhere: [outputs][samples]; losses twice and scratch: [samples] each.
 */
static int64_t extra_reals(const gr_network *network, int64_t samples) {
    return (3 * gr_network_outputs(network) + 4) * samples;
}

int64_t gr_objective_bytes(const gr_network *network, const gr_settings *regularizers, size_t count,
                           int64_t samples) {
    const needs n = needs_of(network, regularizers, count);
    const int64_t outputs = gr_network_outputs(network);
    int64_t bytes = gr_workspace_bytes(network, samples, has_lanes(&n));
    if (lends(network, lanes_of(network, &n, PULLED, regularizers, count, samples), samples))
        bytes -= gr_workspace_descent_bytes(network, samples);
    if (n.own_points) bytes += gr_workspace_bytes(network, samples, n.own_lanes > 0);
    for (int set = 0; set < LANE_SETS; set++)
        bytes +=
            gr_lanes_bytes(network, samples,
                           lanes_of(network, &n, set, regularizers, count, samples), use_of(set));
    for (size_t i = 0; i < count; i++)
        bytes += gr_lanes_bytes(network, samples, own_probes_of(&regularizers[i], outputs),
                                GR_LANES_PULLED);
    return bytes + extra_reals(network, samples) * (int64_t)sizeof(gr_real);
}

double gr_objective_operations(const gr_network *network, const gr_settings *regularizers,
                               size_t count) {
    const needs n = needs_of(network, regularizers, count);
    const int64_t lanes = n.lanes[PULLED] + n.lanes[PUSHED] + n.lanes[LAYERWISE] + n.own_lanes;
    return network->operations * (3 * (n.own_points ? 2 : 1) + 3 * (double)lanes);
}

/* -- creation
 * ---------------------------------------------------------------------------------------------- */

static gr_status allocate_state(gr_objective *o, uint64_t seed, gr_error *error) {
    for (size_t i = 0; i < o->count; i++) {
        const gr_regularizer_kind *kind = gr_regularizer_kind_of(&o->regularizers[i]);
        if (kind->state_size) o->state_count += kind->state_size(&o->regularizers[i], o->network);
    }
    o->state = calloc((size_t)o->state_count + 1, sizeof *o->state);
    if (!o->state) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a regularizer's state");
    gr_real *state = o->state;
    for (size_t i = 0; i < o->count; i++) {
        const gr_regularizer_kind *kind = gr_regularizer_kind_of(&o->regularizers[i]);
        if (!kind->state_size) continue;
        kind->initialize_state(&o->regularizers[i], o->network, seed, state);
        state += kind->state_size(&o->regularizers[i], o->network);
    }
    return GR_OK;
}

static gr_status allocate(gr_objective *o, int64_t samples, gr_error *error) {
    const gr_network *network = o->network;
    const int64_t outputs = gr_network_outputs(network);
    const needs n = needs_of(network, o->regularizers, o->count);
    o->memory = calloc((size_t)extra_reals(network, samples), sizeof *o->memory);
    if (!o->memory) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for an objective");
    o->p = o->memory;
    o->r = o->p + outputs * samples;
    o->own_p = o->r + outputs * samples;
    o->losses = o->own_p + outputs * samples;
    o->own_losses = o->losses + samples;
    o->scratch = o->own_losses + samples;
    const int64_t pulled = lanes_of(network, &n, PULLED, o->regularizers, o->count, samples);
    for (int set = 0; set < LANE_SETS; set++)
        if (n.lanes[set])
            GR_TRY(gr_lanes_create(network, samples, set == PULLED ? pulled : n.lanes[set],
                                   use_of(set), &o->lanes[set], error));
    void *lent = lends(network, pulled, samples) ? o->lanes[PULLED]->arena : NULL;
    GR_TRY(gr_workspace_create(network, samples, has_lanes(&n), lent, &o->workspace, error));
    if (n.own_points)
        GR_TRY(gr_workspace_create(network, samples, n.own_lanes > 0, NULL, &o->own_points, error));
    for (size_t i = 0; i < o->count; i++) {
        const int64_t probes = own_probes_of(&o->regularizers[i], outputs);
        if (probes)
            GR_TRY(gr_lanes_create(network, samples, probes, GR_LANES_PULLED, &o->own_lanes[i],
                                   error));
        o->probes[i] = probes_of(&o->regularizers[i], outputs);
        o->tangents[i] = tangents_of(&o->regularizers[i]);
    }
    return GR_OK;
}

gr_status gr_objective_create(const gr_fit *fit, const gr_settings *loss,
                              const gr_settings *regularizers, size_t count, int64_t block_samples,
                              int64_t iterations, uint64_t seed, gr_objective **result,
                              gr_error *error) {
    GR_TRY(gr_objective_check(fit, regularizers, count, error));
    gr_objective *o = calloc(1, sizeof *o);
    if (!o) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for an objective");
    o->network = fit->network;
    o->loss = loss;
    o->regularizers = regularizers;
    o->count = count;
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
    for (int set = 0; set < LANE_SETS; set++) gr_lanes_free(o->lanes[set]);
    for (size_t i = 0; i < o->count; i++) gr_lanes_free(o->own_lanes[i]);
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

gr_real *gr_objective_input(gr_objective *o) {
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
    for (size_t i = 0; i < o->count; i++) {
        const gr_settings *settings = &o->regularizers[i];
        w->first[i] = pushed;
        pushed += o->tangents[i] * samples;
        w->probes[i] = (gr_probe_block){.kernels = o->workspace->kernels,
                                        .settings = settings,
                                        .weight = weight_of(o, settings, w->block->draw.iteration),
                                        .loss_kind = gr_loss_kind_of(o->loss),
                                        .loss = &w->loss,
                                        .input = *gr_network_input(o->network),
                                        .features = gr_network_features(o->network, 0),
                                        .probes = o->tangents[i] ? o->tangents[i] : 1,
                                        .all_probes = o->probes[i],
                                        .batch_size = w->block->batch_size,
                                        .index = (uint32_t)i,
                                        .draw = w->block->draw,
                                        .x = o->workspace->a[0],
                                        .given = o->given_probe,
                                        .derivatives = w->block->derivatives,
                                        .scratch = o->scratch};
    }
    for (size_t i = 0; i < o->count; i++)
        w->probes[i].stride = o->tangents[i] ? pushed : samples; /* pulled: see pull() */
}

static void add_value(work *w, size_t i, double sum) {
    w->result->values[i] += sum / (double)w->block->batch_size;
}

/* Penalties of g = Jᵀc: c, back to g, u, forward to ż, and q, added to the cotangent d of the main
 * loss. */
static void pull(work *w, gr_real *d) {
    gr_objective *o = w->o;
    if (!o->lanes[PULLED]) return;
    const int last = o->network->node_count;
    const gr_range all = gr_all_nodes(o->network);
    const int64_t samples = w->block->samples, capacity = o->lanes[PULLED]->probes;
    group g = {0};
    while (next_group(o->regularizers, o->probes, o->count, capacity, &g)) {
        gr_lanes lanes = *o->lanes[PULLED];
        lanes.probes = g.all;
        int64_t first[GR_MAXIMUM_REGULARIZERS], before = 0;
        for (size_t i = 0; i < o->count; i++) {
            first[i] = before;
            before += g.count[i] * samples;
            if (!g.count[i]) continue;
            w->probes[i].first_probe = g.first[i];
            w->probes[i].probes = g.count[i];
            w->probes[i].stride = g.all * samples;
            kind_of(w, i)->cotangent(&w->probes[i], lanes.delta[last] + first[i]);
        }
        gr_pass_probe_backward(&w->pass, &lanes, all);
        for (size_t i = 0; i < o->count; i++)
            if (g.count[i])
                add_value(w, i, kind_of(w, i)->input(&w->probes[i], lanes.delta[0] + first[i]));
        gr_pass_tangent_accumulate(&w->pass, &lanes, all, true, w->gradients);
        for (size_t i = 0; i < o->count; i++)
            if (g.count[i] && kind_of(w, i)->output)
                kind_of(w, i)->output(&w->probes[i], lanes.t[last] + first[i], d);
    }
}

/* Penalties of ż = J u: u, forward to ż, c, back. */
static void push(work *w) {
    gr_objective *o = w->o;
    const gr_lanes *lanes = o->lanes[PUSHED];
    if (!lanes) return;
    const int last = o->network->node_count;
    const gr_range all = gr_all_nodes(o->network);
    for (size_t i = 0; i < o->count; i++)
        if (o->tangents[i]) kind_of(w, i)->tangent(&w->probes[i], lanes->t[0] + w->first[i]);
    gr_pass_tangent(&w->pass, lanes, all);
    for (size_t i = 0; i < o->count; i++)
        if (o->tangents[i])
            add_value(w, i,
                      kind_of(w, i)->tangent_output(&w->probes[i], lanes->t[last] + w->first[i],
                                                    lanes->delta[last] + w->first[i]));
    gr_pass_probe_backward(&w->pass, lanes, all);
    gr_pass_accumulate_probes(&w->pass, lanes, all, w->gradients);
}

/* Penalties of each layer's own Jacobian: from the last weights to the first. */
static void layerwise(work *w, size_t i) {
    gr_objective *o = w->o;
    const gr_lanes *lanes = o->lanes[LAYERWISE];
    const gr_network *network = o->network;
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
    points.probe.probes = own_probes_of(points.probe.settings, gr_network_outputs(o->network));
    points.probe.all_probes = points.probe.probes;
    points.probe.stride = points.probe.probes * w->block->samples;
    points.loss.p = o->own_p;
    points.loss.z = o->own_points->a[o->network->node_count];
    points.loss.r = o->own_points->d[o->network->node_count];
    points.loss.losses = o->own_losses;
    add_value(w, i, kind_of(w, i)->points(&points));
}

void gr_objective_block(gr_objective *o, const gr_real *parameters, const gr_block *block,
                        gr_real *gradients, gr_objective_result *result) {
    gr_workspace *ws = o->workspace;
    const int last = o->network->node_count;
    const int64_t outputs = gr_network_outputs(o->network), samples = block->samples;
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
    for (size_t i = 0; i < o->count; i++)
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
    for (size_t i = 0; i < o->count; i++) {
        const gr_regularizer_kind *kind = kind_of(&w, i);
        if (kind->layer_input) layerwise(&w, i);
        if (kind->logits) add_value(&w, i, kind->logits(&w.probes[i], d));
        if (has_own_points(w.probes[i].settings)) at_own_points(&w, i, d);
    }
    gr_pass_backward(&w.pass, gradients);
}

void gr_objective_finish(gr_objective *o, const gr_real *parameters, uint32_t iteration,
                         double *decay, gr_real *gradients, gr_objective_result *result) {
    if (decay) *decay = 0;
    result->total = result->loss;
    gr_real *state = o->state;
    for (size_t i = 0; i < o->count; i++) {
        const gr_settings *settings = &o->regularizers[i];
        const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
        const double weight = weight_of(o, settings, iteration);
        if (decay && kind->decays && weight != 0)
            *decay += weight; /* of several ramps, too */
        else if (kind->parameters)
            result->values[i] =
                kind->parameters(settings, weight, o->network, parameters, state, gradients);
        if (kind->state_size) state += kind->state_size(settings, o->network);
        result->total += weight * result->values[i];
    }
}

void gr_objective_add_decay(const gr_objective *o, double decay, double squares,
                            gr_objective_result *result) {
    for (size_t i = 0; i < o->count; i++)
        if (gr_regularizer_kind_of(&o->regularizers[i])->decays) result->values[i] = squares / 2;
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
    const gr_loss_block loss = {.outputs = gr_network_outputs(o->network),
                                .samples = block->samples,
                                .z = ws->a[o->network->node_count],
                                .labels = block->labels,
                                .targets = block->targets,
                                .p = o->p,
                                .r = o->r};
    *loss_sum += gr_loss_kind_of(o->loss)->evaluate(o->loss, &loss, correct);
}
