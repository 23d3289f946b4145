/* What an analysis kind is, and the trained network that it works with. One file in core/analyses/
 * and one row of the table in core/analysis.c. */
#ifndef CORE_ANALYSIS_H
#define CORE_ANALYSIS_H

#include "core/passes.h"
#include "core/plan.h"
#include "gradreg/analysis.h"

/* A trained network in evaluation mode, and a block of points that it works on. */
typedef struct gr_trained {
    const gr_plan *plan;
    const gr_dataset *dataset;
    gr_network *network;
    gr_split *split;
    gr_workspace *workspace;
    gr_lanes *lanes;
    int64_t capacity;       /* samples of a block, at most: those of the training's evaluation */
    int64_t probe_capacity; /* probes at once, at most */
    int64_t features, outputs;
    bool classification, probabilities;
    gr_real *parameters, *buffers;
    bool (*stop)(void *context);
    void *stop_context;
    gr_analysis *analysis;

    /* The present block. */
    int64_t samples;
    gr_real *x;         /* [features][samples]: the points, which a forward pass leaves alone */
    const gr_real *z;   /* [outputs][samples]; after gr_trained_forward */
    int32_t *labels;    /* [samples] */
    gr_real *targets;   /* [outputs][samples] */
    int32_t *classes;   /* [samples]: the greatest output; after gr_trained_forward */
    gr_real *p, *r;     /* [outputs][samples]; after gr_trained_loss */
    gr_real *losses;    /* [samples]; after gr_trained_loss */
    int64_t *positions; /* [samples] */
} gr_trained;

/* GR_CONFLICT where the caller wants no more: to be asked once a block. */
gr_status gr_trained_go_on(const gr_trained *trained, gr_error *error);

/* Where the i-th of `count` samples that stand for a part of `size` is in it: evenly spread. */
static inline int64_t gr_spread(int64_t i, int64_t count, int64_t size) {
    return (int64_t)((__int128)i * size / count);
}
/* How many of a part's samples are looked at. */
int64_t gr_trained_count(const gr_trained *trained, gr_part part, int64_t wanted);
/* The next block, of the samples first … of `count` that stand for the part: x, labels, targets. */
void gr_trained_fill(gr_trained *trained, gr_part part, int64_t first, int64_t count);

/* z and classes of x. */
void gr_trained_forward(gr_trained *trained);
/* ℓ of each sample at z, with `labels` and `targets`; returns their sum. */
double gr_trained_loss(gr_trained *trained);
/* g = Jᵀc for `probes` cotangents in gr_trained_cotangents [outputs][probes][samples]:
 * [features][probes][samples], borrowed. Needs gr_trained_forward. */
gr_real *gr_trained_cotangents(gr_trained *trained);
const gr_real *gr_trained_pull(gr_trained *trained, int64_t probes);
/* ∂ℓ/∂x [features][samples], borrowed; needs gr_trained_loss. */
const gr_real *gr_trained_loss_gradient(gr_trained *trained);

/* The standardised values of what the data's bytes can be, of a feature; false: they are numbers.
 */
bool gr_trained_byte_range(const gr_trained *trained, int64_t feature, double *low, double *high);
/* What a feature was divided by, and what was subtracted before. */
double gr_trained_deviation(const gr_trained *trained, int64_t feature);
double gr_trained_mean(const gr_trained *trained, int64_t feature);

/* Results: a path, and where the numbers go (*data: room for `shape`, or for a list). */
gr_status gr_put(gr_trained *trained, const char *path, gr_element_type type, const gr_shape *shape,
                 void *data, gr_error *error);
gr_status gr_put_list(gr_trained *trained, const char *path, int64_t count, double **data,
                      gr_error *error);
gr_status gr_put_number(gr_trained *trained, const char *path, double value, gr_error *error);
gr_status gr_put_count(gr_trained *trained, const char *path, int64_t value, gr_error *error);
gr_status gr_put_metric(gr_trained *trained, const char *name, double value, gr_error *error);

typedef struct gr_analysis_kind {
    gr_kind kind;
    /* Refuses what does not fit; the place is an option's ("/attack"). May be NULL. */
    gr_status (*check)(const gr_settings *settings, const gr_fit *fit, const gr_split *split,
                       gr_error *error);
    gr_status (*run)(const gr_settings *settings, gr_trained *trained, gr_error *error);
} gr_analysis_kind;

/* Of plan->analysis, which may be NULL; error->place is relative to the spec. */
gr_status gr_analysis_check(const gr_plan *plan, const gr_fit *fit, const gr_split *split,
                            gr_error *error);
/* What an analysis allocates beside the training; 0 where there is none. */
int64_t gr_analysis_bytes(const gr_plan *plan, const gr_network *network);

extern const gr_analysis_kind gr_analysis_gradient_norms, gr_analysis_transitions,
    gr_analysis_lipschitz, gr_analysis_robustness, gr_analysis_calibration,
    gr_analysis_input_gradients, gr_analysis_function;

/* The option that says how many samples are looked at. */
#define GR_SAMPLES_OPTION(text)                                                                 \
    {                                                                                           \
        .name = "samples", .help = text, .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL), \
        .minimum = 1, .maximum = 1e6, .default_json = "1000"                                    \
    }
static inline int64_t gr_samples_option(const gr_settings *settings, int option) {
    return gr_is_null(settings, option) ? INT64_MAX : gr_integer(settings, option);
}

/* Which random numbers of GR_PURPOSE_ANALYSIS. */
enum gr_analysis_stream {
    GR_ANALYSIS_NOISE,
    GR_ANALYSIS_SEGMENTS,
    GR_ANALYSIS_UNIFORM,
    GR_ANALYSIS_PATHS,
    GR_ANALYSIS_POWER,
    GR_ANALYSIS_START
};

#endif
