/* What the regularisers of an objective need of a network, and how a batch and its probes are cut
 * for it: by rules on shapes, never by timings (docs/architecture.md, "Blocks"). */
#ifndef CORE_NEEDS_H
#define CORE_NEEDS_H

#include "core/regularizer.h"

/* So many lanes of probes that the kernels' rows are long enough, and few enough for the caches. */
enum { GR_PROBE_LANES = 160 };

/* The sets of probe lanes at the data's points: adjoints of the outputs pulled back to the input,
 * tangents of the input pushed forward, and adjoints from layer to layer. */
enum { GR_PULLED, GR_PUSHED, GR_LAYERWISE, GR_LANE_SETS };

typedef struct gr_needs {
    const gr_network *network;       /* borrowed */
    const gr_settings *regularizers; /* borrowed */
    size_t count;
    /* Of each regulariser: its probes and tangents at the data's points, its probes at its own. */
    int64_t probes[GR_MAXIMUM_REGULARIZERS], tangents[GR_MAXIMUM_REGULARIZERS];
    int64_t own_probes[GR_MAXIMUM_REGULARIZERS];
    int64_t lanes[GR_LANE_SETS]; /* of all, for each sample */
    int64_t own_lanes;           /* likewise */
    /* What is turned, [sample][feature], since a linear layer wants it so and nothing else reads
     * it: the network's input (gr_workspace), and what pulled lanes have there (gr_lanes). */
    bool turned_input, turned_lanes;
    bool own_points; /* some need a forward pass at points of their own */
    bool couples;    /* samples act on each other: a block is a whole batch */
} gr_needs;

/* count: at most GR_MAXIMUM_REGULARIZERS. */
gr_needs gr_needs_of(const gr_network *network, const gr_settings *regularizers, size_t count);
bool gr_needs_any_lanes(const gr_needs *needs);
/* Lanes of a set for each sample that there are at once, in blocks of so many samples. */
int64_t gr_needs_lanes(const gr_needs *needs, int set, int64_t samples);
/* The number of samples that are worked on at a time. */
int64_t gr_needs_block_samples(const gr_needs *needs, int64_t batch_size);
/* Whether a regulariser's values are at points of its own. */
bool gr_has_own_points(const gr_settings *settings);

/* Probes of the pulled regularisers that are worked on together: `count` of each, from `first` on;
 * `all` together. */
typedef struct gr_probe_group {
    int64_t first[GR_MAXIMUM_REGULARIZERS], count[GR_MAXIMUM_REGULARIZERS], all;
} gr_probe_group;

/* The group of at most `capacity` probes after `group` (zero before the first), in the order of the
 * spec; false: there is none. */
bool gr_needs_next_group(const gr_needs *needs, int64_t capacity, gr_probe_group *group);

#endif
