/* Which values of a network share memory. */
#include <stdlib.h>

#include "core/layers/window.h"
#include "core/network.h"

/* Whether value v is read again after the next layer's work: the network's input, the output of a
 * layer that reads it, or one of these under another shape. */
static bool must_stay(const gr_network *network, int v) {
    while (v > 0 && network->storage[v] != v && network->nodes[v - 1].kind->passes_on)
        v = network->nodes[v - 1].inputs[0];
    return v == 0 || network->nodes[v - 1].kind->reads_output;
}

/* A layer that works in place writes over its input, unless that must stay or is read by others
 * too. A sum does so with its first input, unless another layer has been there: its adjoint is then
 * still that of the input when the shortcut needs it. */
static bool overwrites(const gr_network *network, int i) {
    const gr_node *node = &network->nodes[i];
    const int input = node->inputs[0];
    if (network->consumers[input] > 1) return false;
    if (gr_node_is_sum(node)) return network->storage[input] == input && !must_stay(network, input);
    return node->kind->passes_on || (node->kind->in_place && !must_stay(network, input));
}

/* What slots follow from: of a value its first and last reader; of a place, under its owner's
 * number, the first and the last node of the ordinary backward pass that need it. */
typedef struct span {
    int first_reader, last_reader;
    int begin, end; /* begin >= end; begin -1: not at all */
} span;

static void find_spans(const gr_network *network, span *spans) {
    const int lowest = network->first_trained, last = network->node_count;
    for (int v = 0; v <= last; v++) spans[v] = (span){last, -1, -1, v - 1};
    for (int i = 0; i < last; i++)
        for (int j = 0; j < network->nodes[i].input_count; j++) {
            span *read = &spans[network->nodes[i].inputs[j]];
            if (i < read->first_reader) read->first_reader = i;
            if (i > read->last_reader) read->last_reader = i;
        }
    for (int v = lowest + 1; v <= last; v++) {
        span *place = &spans[network->storage[v]];
        const int begin = v == last ? last : spans[v].last_reader;
        if (begin > place->begin) place->begin = begin;
    }
    for (int i = 0; i < last; i++) /* a sum's adjoint waits for the other readers of its inputs */
        for (int j = 0; gr_node_is_sum(&network->nodes[i]) && j < network->nodes[i].input_count;
             j++) {
            span *place = &spans[network->storage[i + 1]];
            const int reader = spans[network->nodes[i].inputs[j]].first_reader;
            if (reader < place->end) place->end = reader;
        }
    for (int v = 0; v <= last; v++)
        if (spans[v].end < lowest) spans[v].end = lowest;
}

/* The free slot that wastes least, made larger if need be, or a new one. busy: the node until which
 * each is needed. */
static int take_slot(gr_network *network, const int *busy, int node, int64_t features) {
    int best = -1;
    for (int s = 0; s < network->slot_count; s++) {
        if (busy[s] <= node) continue;
        const int64_t size = network->slot_features[s];
        const int64_t other = best < 0 ? 0 : network->slot_features[best];
        const bool better = size >= features ? other < features || size < other : size > other;
        if (best < 0 || better) best = s;
    }
    if (best < 0) best = network->slot_count++;
    if (network->slot_features[best] < features) network->slot_features[best] = features;
    return best;
}

/* Slot 0 is the last value's alone: it is filled long before the pass. */
static void assign_slots(gr_network *network, const span *spans, int *busy) {
    const int last = network->node_count;
    for (int v = 0; v <= last; v++) network->slot[v] = -1;
    for (int i = last; i >= network->first_trained; i--) {
        /* The places that node i writes first: those of its inputs, or the last value's. */
        const int inputs = i == last ? 1 : network->nodes[i].input_count;
        for (int j = 0; j < inputs; j++) {
            const int owner = network->storage[i == last ? last : network->nodes[i].inputs[j]];
            if (spans[owner].begin != i || network->slot[owner] >= 0) continue;
            network->slot[owner] = take_slot(network, busy, i, gr_network_features(network, owner));
            busy[network->slot[owner]] = i == last ? -1 : spans[owner].end;
        }
    }
    for (int v = 0; v <= last; v++) network->slot[v] = network->slot[network->storage[v]];
}

/* Whether a relu alone reads value v. */
static bool feeds_relu(const gr_network *network, int v) {
    for (int i = v; i < network->node_count && network->consumers[v] == 1; i++)
        if (network->nodes[i].inputs[0] == v) return network->nodes[i].kind == &gr_layer_relu;
    return false;
}

gr_status gr_network_assign_storage(gr_network *network, gr_error *error) {
    const int last = network->node_count;
    for (int i = 0; i < last; i++)
        for (int j = 0; j < network->nodes[i].input_count; j++)
            network->consumers[network->nodes[i].inputs[j]]++;
    for (int i = 0; i < last; i++)
        network->storage[i + 1] =
            overwrites(network, i) ? network->storage[network->nodes[i].inputs[0]] : i + 1;
    for (int v = 0; v <= last; v++) {
        int shares = 0;
        for (int i = v; network->consumers[v] > 1 && i < last; i++)
            shares += !gr_node_is_sum(&network->nodes[i]) && network->nodes[i].inputs[0] == v;
        const int64_t features = gr_network_features(network, v);
        if (shares > 1 && features > network->scratch_features)
            network->scratch_features = features;
    }
    for (int i = 1; i < last; i++) {
        const int input = network->nodes[i].inputs[0];
        if (input == 0 || network->consumers[input] > 1) continue;
        gr_node *maker = &network->nodes[input - 1];
        gr_window_pair(maker, &network->nodes[i]);
        if (maker->pool == i) maker->pooled->rectified = feeds_relu(network, i + 1);
    }
    span *spans = calloc((size_t)last + 1, sizeof *spans);
    int *busy = calloc((size_t)last + 1, sizeof *busy);
    if (spans && busy) {
        find_spans(network, spans);
        assign_slots(network, spans, busy);
    }
    const bool done = spans && busy;
    free(spans);
    free(busy);
    return done ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a network");
}
