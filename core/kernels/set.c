/* The elementwise kernels, simple enough for the compiler's own vectors, and the table of the set.
 */
#include <math.h>

#include "core/kernels/vector.h"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
#define SET_EXPAND(set) gr_kernels_##set
#define SET(set) SET_EXPAND(set)

static void row_sums(int64_t features, int64_t count, const gr_real *d, gr_real *sums) {
    for (int64_t f = 0; f < features; f++, d += count) {
        vector sum = {0};
        int64_t i = 0;
        for (; i + VECTOR_LANES <= count; i += VECTOR_LANES) sum += load(d + i);
        if (i < count) sum += load_part(d + i, count - i);
        sums[f] += sum_of(sum);
    }
}

#define FOR_EACH_VECTOR(s, count) for (int64_t s = 0; s < (count); s += VECTOR_LANES)

static void relu(int64_t count, const gr_real *x, gr_real *y) {
    FOR_EACH_VECTOR (i, count) {
        const vector value = load(x + i), zero = {0};
        store_lanes(y + i, count - i, choose(greater(zero, value), zero, zero + value));
    }
}

static void relu_mask(int64_t features, int64_t probes, int64_t samples, const gr_real *y,
                      const gr_real *d_out, gr_real *d_in) {
    if (probes == 1) samples *= features, features = 1;
    const vector zero = {0};
    for (int64_t f = 0; f < features; f++, y += samples)
        for (int64_t k = 0; k < probes; k++, d_out += samples, d_in += samples)
            FOR_EACH_VECTOR (s, samples)
                store_lanes(d_in + s, samples - s,
                            choose(greater(load(y + s), zero), load(d_out + s), zero));
}

static void scale(int64_t features, int64_t probes, int64_t samples, const gr_real *factor,
                  const gr_real *in, gr_real *out) {
    if (probes == 1) samples *= features, features = 1;
    for (int64_t f = 0; f < features; f++, factor += samples)
        for (int64_t k = 0; k < probes; k++, in += samples, out += samples)
            FOR_EACH_VECTOR (s, samples)
                store_lanes(out + s, samples - s, load(factor + s) * load(in + s));
}

static void add_products(int64_t features, int64_t probes, int64_t samples, const gr_real *a,
                         const gr_real *t, const gr_real *e, gr_real *d) {
    for (int64_t f = 0; f < features; f++, a += samples, d += samples)
        for (int64_t k = 0; k < probes; k++, t += samples, e += samples)
            FOR_EACH_VECTOR (s, samples)
                store_lanes(d + s, samples - s,
                            load(d + s) + load(a + s) * load(t + s) * load(e + s));
}

/* The usual windows of two by two are compiled on their own, so that their pixels are unrolled. */

/* Windows in a row write one after the other: a vector may spill over into what the next window
 * writes after it, up to the row's end, so that only the row's last vector is a part. */
INLINE void maximum_of(const int64_t size, int64_t windows, int64_t step, int64_t row_stride,
                       int64_t samples, const gr_real *in, gr_real *out, int32_t *winner) {
    int64_t left = windows * samples;
    for (int64_t w = 0; w < windows;
         w++, in += step, out += samples, winner += samples, left -= samples)
        FOR_EACH_VECTOR (s, samples) {
            vector best = load(in + s);
            integers place = {0};
            for (int64_t i = 0; i < size; i++)
                for (int64_t j = 0; j < size; j++) {
                    if (i == 0 && j == 0) continue;
                    const vector value = load(in + i * row_stride + j * samples + s);
                    const mask wins = greater(value, best) | is_nan(value); /* a NaN is passed on */
                    place = choose_index(wins, same_index((int32_t)(i * size + j)), place);
                    best = choose(wins, value, best);
                }
            store_lanes(out + s, left - s, best);
            store_indices(winner + s, left - s, place);
        }
}

static void window_maximum(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                           int64_t samples, const gr_real *in, gr_real *out, int32_t *winner) {
    if (size == 2)
        maximum_of(2, windows, step, row_stride, samples, in, out, winner);
    else
        maximum_of(size, windows, step, row_stride, samples, in, out, winner);
}

/* One vector of a window's adjoints to all its pixels. */
INLINE void scatter_vector(const int64_t size, int64_t row_stride, int64_t lanes, bool add,
                           integers winner, vector d, int64_t left, gr_real *to) {
    const vector zero = {0};
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < size; j++) {
            vector value = choose(equal(winner, same_index((int32_t)(i * size + j))), d, zero);
            gr_real *pixel = to + i * row_stride + j * lanes;
            if (add) value += load(pixel);
            store_lanes(pixel, left, value);
        }
}

INLINE void scatter(const int64_t size, int64_t windows, int64_t step, int64_t row_stride, bool add,
                    int64_t probes, int64_t samples, const int32_t *winner, const gr_real *d_out,
                    gr_real *d_in) {
    const int64_t lanes = probes * samples, whole = samples - samples % VECTOR_LANES;
    for (int64_t w = 0; w < windows; w++, winner += samples, d_in += step)
        for (int64_t k = 0; k < probes; k++, d_out += samples) {
            gr_real *to = d_in + k * samples;
            for (int64_t s = 0; s < whole; s += VECTOR_LANES)
                scatter_vector(size, row_stride, lanes, add, load_indices(winner + s),
                               load(d_out + s), VECTOR_LANES, to + s);
            if (whole < samples)
                scatter_vector(size, row_stride, lanes, add, load_indices(winner + whole),
                               load(d_out + whole), samples - whole, to + whole);
        }
}

static void window_scatter(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                           bool add, int64_t probes, int64_t samples, const int32_t *winner,
                           const gr_real *d_out, gr_real *d_in) {
    if (size == 2 && !add)
        scatter(2, windows, step, row_stride, false, probes, samples, winner, d_out, d_in);
    else
        scatter(size, windows, step, row_stride, add, probes, samples, winner, d_out, d_in);
}

INLINE void gather_of(const int64_t size, int64_t windows, int64_t step, int64_t row_stride,
                      int64_t probes, int64_t samples, const int32_t *winner, const gr_real *in,
                      gr_real *out) {
    const int64_t lanes = probes * samples;
    int64_t left = windows * lanes;
    for (int64_t w = 0; w < windows; w++, in += step, winner += samples)
        for (int64_t k = 0; k < probes; k++, out += samples, left -= samples)
            FOR_EACH_VECTOR (s, samples) {
                const integers place = load_indices(winner + s);
                const gr_real *x = in + k * samples + s;
                vector value = load(x);
                for (int64_t i = 0; i < size; i++)
                    for (int64_t j = 0; j < size; j++)
                        value = choose(equal(place, same_index((int32_t)(i * size + j))),
                                       load(x + i * row_stride + j * lanes), value);
                store_lanes(out + s, left - s, value);
            }
}

static void window_gather(int64_t windows, int64_t step, int64_t size, int64_t row_stride,
                          int64_t probes, int64_t samples, const int32_t *winner, const gr_real *in,
                          gr_real *out) {
    if (size == 2)
        gather_of(2, windows, step, row_stride, probes, samples, winner, in, out);
    else
        gather_of(size, windows, step, row_stride, probes, samples, winner, in, out);
}

INLINE gr_real root_of(gr_real x) {
#ifdef GR_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

static double decay(int64_t count, gr_real weight, const gr_real *parameters, gr_real *gradients) {
    wide_vector squares = {0};
    const vector factor = broadcast(weight);
    FOR_EACH_VECTOR (i, count) {
        const int64_t left = count - i;
        const bool whole = left >= VECTOR_LANES;
        const vector w = whole ? load(parameters + i) : load_part(parameters + i, left);
        const vector g = whole ? load(gradients + i) : load_part(gradients + i, left);
        const wide_vector wide = __builtin_convertvector(w, wide_vector);
        squares += wide * wide;
        store_lanes(gradients + i, left, g + factor * w);
    }
    double sum = 0;
    for (int lane = 0; lane < VECTOR_LANES; lane++) sum += squares[lane];
    return sum;
}

static void adam(int64_t count, gr_real *restrict parameters, const gr_real *restrict gradients,
                 gr_real *restrict first, gr_real *restrict second, gr_real beta1, gr_real beta2,
                 gr_real step_size, gr_real second_correction, gr_real epsilon) {
    for (int64_t i = 0; i < count; i++) {
        first[i] = beta1 * first[i] + (1 - beta1) * gradients[i];
        second[i] = beta2 * second[i] + (1 - beta2) * gradients[i] * gradients[i];
        parameters[i] -= step_size * first[i] / (root_of(second[i]) * second_correction + epsilon);
    }
}

static void momentum(int64_t count, gr_real *restrict parameters, const gr_real *restrict gradients,
                     gr_real *restrict velocity, gr_real rate, gr_real kept, bool nesterov) {
    /* g + momentum·v, or v itself as 0·g + 1·v: no branch in the loop. */
    const gr_real of_gradient = nesterov ? 1 : 0, of_velocity = nesterov ? kept : 1;
    for (int64_t i = 0; i < count; i++) {
        velocity[i] = kept * velocity[i] + gradients[i];
        parameters[i] -= rate * (of_gradient * gradients[i] + of_velocity * velocity[i]);
    }
}

static void rmsprop(int64_t count, gr_real *restrict parameters, const gr_real *restrict gradients,
                    gr_real *restrict squares, gr_real *restrict velocity, gr_real rate,
                    gr_real alpha, gr_real epsilon, gr_real kept) {
    for (int64_t i = 0; i < count; i++) {
        const gr_real g = gradients[i];
        squares[i] = alpha * squares[i] + (1 - alpha) * g * g;
        velocity[i] = kept * velocity[i] + g / (root_of(squares[i]) + epsilon);
        parameters[i] -= rate * velocity[i];
    }
}

const gr_kernels SET(GR_KERNEL_SET) = {
    .name = TEXT(GR_KERNEL_SET),
    .vector_lanes = VECTOR_LANES,
    .convolve = KERNEL(convolve),
    .convolve_accumulate = KERNEL(convolve_accumulate),
    .winograd_forward = KERNEL(winograd_forward),
    .winograd_backward = KERNEL(winograd_backward),
    .winograd_accumulate = KERNEL(winograd_accumulate),
    .multiply = KERNEL(multiply),
    .multiply_transposed = KERNEL(multiply_transposed),
    .multiply_accumulate = KERNEL(multiply_accumulate),
    .row_sums = row_sums,
    .relu = relu,
    .relu_mask = relu_mask,
    .scale = scale,
    .add_products = add_products,
    .window_maximum = window_maximum,
    .window_scatter = window_scatter,
    .window_gather = window_gather,
    .pooled_backward = KERNEL(pooled_backward),
    .pooled_accumulate = KERNEL(pooled_accumulate),
    .pooled_tangent = KERNEL(pooled_tangent),
    .decay = decay,
    .add = KERNEL(add),
    .moments = KERNEL(moments),
    .normalize = KERNEL(normalize),
    .normalized_sums = KERNEL(normalized_sums),
    .second_sums = KERNEL(second_sums),
    .project = KERNEL(project),
    .bend = KERNEL(bend),
    .adam = adam,
    .momentum = momentum,
    .rmsprop = rmsprop,
};
