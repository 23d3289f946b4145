/* The compute kernels: compiled once for each set of instructions (core/kernels/), chosen at run
 * time. Arrays are [feature][lane]. Vectors are loaded whole: every array must be readable for
 * GR_SLACK_BYTES past its end (an arena sees to that); nothing is written past the end. */
#ifndef CORE_KERNELS_H
#define CORE_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/random.h"
#include "gradreg/arrays.h"

enum { GR_ALIGNMENT = 64, GR_SLACK_BYTES = 512 };

/* Which taps of a convolution reach one output row (or one run of output columns): tap number i
 * reads the input at `input + i·input_step` and the weight at `weight + i·weight_step`, for i <
 * count. */
typedef struct gr_taps {
    int32_t count;
    int32_t input, input_step;
    int32_t weight, weight_step;
} gr_taps;

/* A run of output columns that share their taps; more than one column only where input_step per
 * column is 1. */
typedef struct gr_run {
    int32_t column, columns;
    gr_taps taps; /* input: the input column of the run's first column */
} gr_run;

/* A convolution, or the transpose of one, as a gather: out[f][y][x] = Σ w·in over taps that lie
 * inside the input. No padding is stored or multiplied. Independent of the number of lanes. */
typedef struct gr_convolution {
    int64_t in_channels, in_rows, in_columns;
    int64_t out_channels, out_rows, out_columns;
    int64_t weight_out_stride,
        weight_in_stride;      /* elements between weights of neighbouring channels */
    int64_t weight_row_stride; /* between rows of taps; columns are adjacent */
    gr_taps *rows;             /* [out_rows] */
    gr_run *runs;
    int64_t run_count;
} gr_convolution;

/* A linear function of what batch normalisation has at an element: of_d·δ + of_t·t + of_x·(a -
 * center) + constant, where a is the layer's input. */
typedef struct gr_plane {
    gr_real of_d, of_t, of_x, constant;
} gr_plane;

/* Sums over one probe's lanes of a channel, with x = a - center: Σδ, Σδx, Σt, Σtx, Σδt. */
enum { GR_SUM_D, GR_SUM_DX, GR_SUM_T, GR_SUM_TX, GR_SUM_DT, GR_SECOND_SUMS };

/* The sizes of a convolution and, for the pooled kernels, of the max-pool that alone reads it,
 * whose windows (`window` pixels wide, `step` apart) do not overlap. The kernels that take them use
 * the layer's own weights, [out_channels][in_channels][kernel][kernel], and are for strides of 1
 * and kernels of 3 or 5 pixels; Winograd's algorithm for a padding less than that. */
typedef struct gr_convolution_shape {
    int64_t in_channels, in_rows, in_columns;
    int64_t out_channels, out_rows, out_columns;
    int64_t kernel, stride, padding;
    int64_t window, step, pooled_rows, pooled_columns; /* 0 without a pool */
    bool rectified; /* a relu alone reads the pool: half of what it passes back are zeros */
} gr_convolution_shape;

enum {
    GR_POOLED_WINDOW = 8, /* the widest there is */
    GR_POOLED_NARROW_WINDOW = 3,
    GR_POOLED_ROW_WINDOW = 2,
    GR_POOLED_ROW_VECTORS = 2
};

enum { GR_MAXIMUM_MOMENTS = 2 };

/* Contiguous parameters at an optimiser's step. */
typedef struct gr_step {
    int64_t count;
    gr_real *parameters, *gradients; /* the gradients are zero afterwards */
    gr_real *moments[GR_MAXIMUM_MOMENTS];
    gr_real decay; /* so many times the parameter joins its gradient first; 0: nothing does */
    gr_real kept;  /* and of so much of the parameter the step is taken off; 1: of all */
} gr_step;

/* y = σ(x), slope = σ′(x), bend = σ″(x) of `count` elements; y may be x. */
typedef void gr_smooth(int64_t count, const gr_real *x, gr_real *y, gr_real *slope, gr_real *bend);

typedef struct gr_kernels {
    const char *name;
    int64_t vector_lanes; /* reals in a vector */
    int64_t cache_bytes;  /* the second-level cache of processors that have these instructions */
    /* x[i][lane] = rows[lane][i]·factor + term, in double and then rounded, for vector_lanes rows
     * of at least `count` bytes; the lanes of one i are `stride` reals after those of the one
     * before. Returns how many i it has done from 0 on: whole vectors of them. */
    int64_t (*standardize)(const uint8_t *const *rows, int64_t count, double factor, double term,
                           int64_t stride, gr_real *x);
    /* The same of one row, x[i]. */
    int64_t (*standardize_row)(const uint8_t *row, int64_t count, double factor, double term,
                               gr_real *x);
    /* to[e][s] = from[e][s] + factor·N(0, 1) of samples first_sample + s and elements e: numbers of
     * gr_random_normal, but for roundings of double. `from` may be `to`, or NULL: without it. */
    void (*add_normals)(const gr_random *random, uint32_t first_sample, int64_t samples,
                        int64_t elements, double factor, const gr_real *from, gr_real *to);
    /* factors[e][s] = 0 where word e % 4 of gr_random_words(random, first_sample + s, e / 4) is
     * below the threshold, else kept. */
    void (*dropout_mask)(const gr_random *random, uint32_t first_sample, int64_t samples,
                         int64_t elements, uint32_t threshold, gr_real kept, gr_real *factors);
    /* out[f][y][x][lane] = bias[f] + Σ; bias may be NULL. */
    void (*convolve)(const gr_convolution *convolution, const gr_real *weights, const gr_real *bias,
                     int64_t lanes, const gr_real *in, gr_real *out);
    /* d_weights[f][c][ky][kx] += Σ over lanes and positions of d_out·in. Only for the gather of a
     * forward pass. */
    void (*convolve_accumulate)(const gr_convolution *convolution, int64_t lanes,
                                const gr_real *d_out, const gr_real *in, gr_real *d_weights);

    /* For algorithms that round an output pixel by its place. In the lanes where it reads the same
     * patch as another one, at most `reach` rows and columns away, both get the direct sums. And
     * where the patch is 0 it gets the biases (NULL: 0), if one of these is 0: a layer behind may
     * have its kink there. scratch: a real for each output pixel. */
    void (*settle)(const gr_convolution_shape *convolution, const gr_real *weights,
                   const gr_real *bias, int64_t reach, int64_t lanes, const gr_real *in,
                   gr_real *out, gr_real *scratch);

    /* -- the same by Winograd's algorithm (gr_winograd_pays); scratch: gr_winograd_scratch reals.
     * Errors are a few times those of the direct sums with kernels of 3 pixels, and up to some
     * twenty times with 5: at most 1.5e-6 and 4.8e-6 of the result's norm (test_winograd). -- */
    /* out[f][y][x][lane] = bias[f] + Σ; bias may be NULL. */
    void (*winograd_forward)(const gr_convolution_shape *convolution, const gr_real *weights,
                             const gr_real *bias, int64_t lanes, const gr_real *in, gr_real *out,
                             gr_real *scratch);
    /* d_in = Jᵀ d_out. */
    void (*winograd_backward)(const gr_convolution_shape *convolution, const gr_real *weights,
                              int64_t lanes, const gr_real *d_out, gr_real *d_in, gr_real *scratch);
    /* d_weights += Σ over lanes and positions of d_out·in. */
    void (*winograd_accumulate)(const gr_convolution_shape *convolution, int64_t lanes,
                                const gr_real *d_out, const gr_real *in, gr_real *d_weights,
                                gr_real *scratch);

    /* -- a linear layer's products; weights are [units][in]. x and d_in may be `turned`: they are
     * [lane][in] then. -- */
    /* y[u][lane] = bias[u] + Σ w[u][i]·x[i][lane]; bias may be NULL. */
    void (*multiply)(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                     const gr_real *bias, bool turned, const gr_real *x, gr_real *y);
    /* y[u][k][s] = Σ w[u][i]·x[i][k][s] where kept[u][s] is positive, elsewhere any number; where
     * kept is NULL, everywhere. */
    void (*multiply_kept)(int64_t units, int64_t in, int64_t probes, int64_t samples,
                          const gr_real *weights, const gr_real *kept, bool turned,
                          const gr_real *x, gr_real *y);
    /* d_in[i][lane] = Σ w[u][i]·d_out[u][lane]. This and the next may leave out the terms whose
     * d_out is 0, whatever they would be times. */
    void (*multiply_transposed)(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                                const gr_real *d_out, bool turned, gr_real *d_in);
    /* d_weights[u][i] += Σ over lanes of d_out[u][lane]·x[i][lane]. */
    void (*multiply_accumulate)(int64_t units, int64_t in, int64_t lanes, const gr_real *d_out,
                                bool turned, const gr_real *x, gr_real *d_weights);
    /* multiply_accumulate and multiply_kept, which read the same x; y may be d_out. */
    void (*multiply_kept_and_accumulate)(int64_t units, int64_t in, int64_t probes, int64_t samples,
                                         const gr_real *weights, const gr_real *kept,
                                         const gr_real *d_out, bool turned, const gr_real *x,
                                         gr_real *y, gr_real *d_weights);
    /* sums[f] += Σ of row f of d[features][count]. */
    void (*row_sums)(int64_t features, int64_t count, const gr_real *d, gr_real *sums);
    /* y = max(x, 0); x and y may be the same array. */
    void (*relu)(int64_t count, const gr_real *x, gr_real *y);
    gr_smooth *tanh, *sigmoid, *softplus, *elu;
    /* d_in[f][k][s] = y[f][s] > 0 ? d_out[f][k][s] : 0; d_in may be d_out. */
    void (*relu_mask)(int64_t features, int64_t probes, int64_t samples, const gr_real *y,
                      const gr_real *d_out, gr_real *d_in);
    /* out[f][k][s] = scale[f][s]·in[f][k][s]; out may be in. */
    void (*scale)(int64_t features, int64_t probes, int64_t samples, const gr_real *scale,
                  const gr_real *in, gr_real *out);
    /* -- of input gradients g [features][probes][samples], `stride` reals between features; or
     * `turned`, [probes][samples][features], without a stride. -- */
    /* norms[s] = Σ over features and probes of g², for the first `count` samples, summed so that
     * thousands of like terms lose nothing. */
    void (*squared_norms)(int64_t features, int64_t probes, int64_t samples, int64_t stride,
                          bool turned, int64_t count, const gr_real *g, double *norms);
    /* g[f][k][s] *= factor[s]. */
    void (*scale_samples)(int64_t features, int64_t probes, int64_t samples, int64_t stride,
                          bool turned, const gr_real *factor, gr_real *g);
    /* d[f][s] += Σ_k a[f][s]·t[f][k][s]·e[f][k][s]. */
    void (*add_products)(int64_t features, int64_t probes, int64_t samples, const gr_real *a,
                         const gr_real *t, const gr_real *e, gr_real *d);
    /* A row of windows, `step` elements apart, of size·size pixels each, the first at `in` (rows of
     * pixels row_stride apart, pixels `samples` apart): for each window and sample the maximum, and
     * which pixel of the window (row-major, the first of equals) it was. */
    void (*window_maximum)(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                           int64_t samples, const gr_real *in, gr_real *out, int32_t *winner);
    /* d_in[pixel][k][s] = winner[s] == pixel ? d_out[k][s] : 0 for each pixel of each window of the
     * row that begins at d_in, pixels probes·samples apart; where `add`, that is added to d_in.
     * Without `add` the windows do not overlap. */
    void (*window_scatter)(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                           bool add, int64_t probes, int64_t samples, const int32_t *winner,
                           const gr_real *d_out, gr_real *d_in);
    /* out[k][s] = the winner[s]-th pixel of each window of the row that begins at `in`, pixels
     * probes·samples apart. */
    void (*window_gather)(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                          int64_t probes, int64_t samples, const int32_t *winner, const gr_real *in,
                          gr_real *out);

    /* -- convolution and max-pool in one (gr_pooled_pays): the arrays of the convolution's output
     * are never made. winner as from window_maximum; d_pooled and t_pooled
     * [pooled feature][probe][sample] are at the pool's output; scratch: gr_pooled_scratch reals.
     * --
     */
    /* d_in = Jᵀ d_pooled. */
    void (*pooled_backward)(const gr_convolution_shape *convolution, const gr_real *weights,
                            int64_t probes, int64_t samples, const int32_t *winner,
                            const gr_real *d_pooled, gr_real *d_in, gr_real *scratch);
    /* d_weights += Σ of d_pooled times what the winners read of t_in; and, where t_pooled is not
     * NULL, what pooled_tangent does, with the same pass over t_in: then d_pooled has to be 0 where
     * `kept` is not positive. t_pooled may be d_pooled. */
    void (*pooled_accumulate)(const gr_convolution_shape *convolution, const gr_real *weights,
                              int64_t probes, int64_t samples, const int32_t *winner,
                              const gr_real *kept, const gr_real *d_pooled, const gr_real *t_in,
                              gr_real *t_pooled, gr_real *d_weights, gr_real *scratch);
    /* t_pooled = J t_in; where `kept` [pooled feature][sample] is given, 0 where that is not
     * positive. */
    void (*pooled_tangent)(const gr_convolution_shape *convolution, const gr_real *weights,
                           int64_t probes, int64_t samples, const int32_t *winner,
                           const gr_real *kept, const gr_real *t_in, gr_real *t_pooled,
                           gr_real *scratch);

    /* gradients += weight·parameters; returns the sum of the parameters' squares. */
    double (*decay)(int64_t count, gr_real weight, const gr_real *parameters, gr_real *gradients);
    /* gradients += weight·sign(parameters), of which that of 0 is 0; returns the sum of the
     * parameters' absolute values. */
    double (*absolute_decay)(int64_t count, gr_real weight, const gr_real *parameters,
                             gr_real *gradients);
    /* out = a + b; out may be a or b. */
    void (*add)(int64_t count, const gr_real *a, const gr_real *b, gr_real *out);

    /* -- batch normalisation, one channel at a time. `a` is the layer's input [positions][samples];
     * adjoints and tangents are [positions][samples] with `stride` reals between positions. -- */
    /* Mean and biased variance. */
    void (*moments)(int64_t count, const gr_real *a, double *mean, double *variance);
    /* y = (a - center)·scale + shift. */
    void (*normalize)(int64_t count, const gr_real *a, gr_real center, gr_real scale, gr_real shift,
                      gr_real *y);
    /* sums = {Σv, Σ v·(a - center)}. */
    void (*normalized_sums)(int64_t positions, int64_t samples, int64_t stride, const gr_real *v,
                            const gr_real *a, gr_real center, double *sums);
    /* sums[GR_SECOND_SUMS] of adjoint d and tangent t. */
    void (*second_sums)(int64_t positions, int64_t samples, int64_t stride, const gr_real *d,
                        const gr_real *t, const gr_real *a, gr_real center, double *sums);
    /* out = of_t·v + of_x·(a - center) + constant (+ extra [positions][samples], where not NULL);
     * out [as v] may be v. */
    void (*project)(int64_t positions, int64_t samples, int64_t stride, const gr_real *v,
                    const gr_real *a, gr_real center, const gr_plane *plane, const gr_real *extra,
                    gr_real *out);
    /* bend [positions][samples] = or, where `add`, += the plane at (d, t, a); and where t_out is
     * not NULL t_out [as t] = t_plane (without of_d) there; t_out may be d or t. */
    void (*bend)(int64_t positions, int64_t samples, int64_t stride, const gr_real *d,
                 const gr_real *t, const gr_real *a, gr_real center, const gr_plane *plane,
                 bool add, gr_real *bend, const gr_plane *t_plane, gr_real *t_out);

    /* -- optimisers' steps: all that is done to the parameters, in one pass. Each returns the sum
     * of the parameters' squares before the step where it decays them, else 0. -- */
    /* Adam (Kingma & Ba 2015, PyTorch's constants' places); moments: first and second. */
    double (*adam)(const gr_step *step, gr_real beta1, gr_real beta2, gr_real step_size,
                   gr_real second_correction, gr_real epsilon);
    /* velocity = momentum·velocity + g; parameters -= rate·velocity, or with Nesterov's look-ahead
     * rate·(g + momentum·velocity). moments: velocity. */
    double (*momentum)(const gr_step *step, gr_real rate, gr_real momentum, bool nesterov);
    /* squares = alpha·squares + (1 - alpha)·g²; velocity = momentum·velocity + g/(√squares + ε);
     * parameters -= rate·velocity. moments: squares and velocity. */
    double (*rmsprop)(const gr_step *step, gr_real rate, gr_real alpha, gr_real epsilon,
                      gr_real momentum);
} gr_kernels;

/* The best set for this processor, or the one that GRADREG_KERNELS names ("avx512", "avx2",
 * "baseline"; a set that the processor cannot run, or an unknown name, is passed over). Constant
 * during a process unless that variable changes. */
const gr_kernels *gr_kernels_choose(void);

/* What the lanes of a vector are in the pooled kernels: the probes of a sample, where three of five
 * lanes at least are in use; a row of a kernel's taps, where an image has few channels; or a
 * pixel's channels. */
typedef enum gr_pooled_way {
    GR_POOLED_BY_PROBES,
    GR_POOLED_BY_ROWS,
    GR_POOLED_BY_CHANNELS
} gr_pooled_way;
gr_pooled_way gr_pooled_way_of(int64_t vector_lanes, const gr_convolution_shape *convolution,
                               int64_t probes);
/* Vectors for a row of taps, all channels, and `more` pixels. */
static inline int64_t gr_pooled_row_vectors(int64_t vector_lanes, const gr_convolution_shape *c,
                                            int64_t more) {
    return ((c->kernel + more) * c->in_channels + vector_lanes - 1) / vector_lanes;
}
/* Whether the pooled kernels are the faster ones for so many probes of each of so many samples, or
 * with one probe for the ordinary adjoint. A rule on shapes: it must not depend on a timing. Where
 * they are not for a number of samples, they may still be for fewer. */
bool gr_pooled_pays(const gr_kernels *kernels, const gr_convolution_shape *convolution,
                    int64_t probes, int64_t samples);
/* Reals of scratch that they need for so many probes. */
int64_t gr_pooled_scratch(const gr_kernels *kernels, const gr_convolution_shape *convolution,
                          int64_t probes);

/* Whether Winograd's algorithm is the faster one, for many lanes and for so many. Rules on shapes,
 * as above. */
bool gr_winograd_suits(const gr_convolution_shape *convolution);
bool gr_winograd_pays(const gr_convolution_shape *convolution, int64_t lanes);
/* Reals of scratch that it needs. */
int64_t gr_winograd_scratch(const gr_convolution_shape *convolution);

extern const gr_kernels gr_kernels_avx512, gr_kernels_avx2, gr_kernels_baseline;

/* Plain references with the same signatures: what every set is tested against. */
extern const gr_kernels gr_kernels_reference;

#endif
