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

static void relu(int64_t count, const gr_real *x, gr_real *y) {
    for (int64_t i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : (x[i] != x[i] ? x[i] : 0);
}

static void relu_mask(int64_t features, int64_t probes, int64_t samples, const gr_real *y,
                      const gr_real *d_out, gr_real *d_in) {
    if (probes == 1) samples *= features, features = 1;
    for (int64_t f = 0; f < features; f++, y += samples)
        for (int64_t k = 0; k < probes; k++, d_out += samples, d_in += samples)
            for (int64_t s = 0; s < samples; s++) {
                gr_real d = d_out[s];
                d_in[s] = y[s] > 0 ? d : 0;
            }
}

static void scale(int64_t features, int64_t probes, int64_t samples, const gr_real *factor,
                  const gr_real *in, gr_real *out) {
    if (probes == 1) samples *= features, features = 1;
    for (int64_t f = 0; f < features; f++, factor += samples)
        for (int64_t k = 0; k < probes; k++, in += samples, out += samples)
            for (int64_t s = 0; s < samples; s++) out[s] = factor[s] * in[s];
}

static void add_products(int64_t features, int64_t probes, int64_t samples, const gr_real *a,
                         const gr_real *t, const gr_real *e, gr_real *d) {
    for (int64_t f = 0; f < features; f++, a += samples, d += samples)
        for (int64_t k = 0; k < probes; k++, t += samples, e += samples)
            for (int64_t s = 0; s < samples; s++) d[s] += a[s] * t[s] * e[s];
}

static void window_maximum(int64_t size, int64_t row_stride, int64_t samples,
                           const gr_real *restrict in, gr_real *restrict out,
                           int32_t *restrict winner) {
    for (int64_t s = 0; s < samples; s++) out[s] = in[s], winner[s] = 0;
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j < size; j++) {
            const gr_real *restrict x = in + i * row_stride + j * samples;
            const int32_t pixel = (int32_t)(i * size + j);
            for (int64_t s = 0; s < samples; s++) {
                const gr_real value = x[s], best = out[s];
                const bool wins = value > best || value != value; /* a NaN is passed on */
                winner[s] = wins ? pixel : winner[s];
                out[s] = wins ? value : best;
            }
        }
}

static void window_scatter(int32_t pixel, bool add, int64_t probes, int64_t samples,
                           const int32_t *restrict winner, const gr_real *restrict d_out,
                           gr_real *restrict d_in) {
    for (int64_t k = 0; k < probes; k++, d_out += samples, d_in += samples)
        if (add)
            for (int64_t s = 0; s < samples; s++) d_in[s] += winner[s] == pixel ? d_out[s] : 0;
        else
            for (int64_t s = 0; s < samples; s++) {
                const gr_real d = d_out[s];
                d_in[s] = winner[s] == pixel ? d : 0;
            }
}

static void window_gather(int64_t size, int64_t row_stride, int64_t probes, int64_t samples,
                          const int32_t *restrict winner, const gr_real *restrict in,
                          gr_real *restrict out) {
    const int64_t lanes = probes * samples;
    for (int64_t k = 0; k < probes; k++, in += samples, out += samples) {
        for (int64_t s = 0; s < samples; s++) out[s] = in[s];
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++) {
                const gr_real *restrict x = in + i * row_stride + j * lanes;
                const int32_t pixel = (int32_t)(i * size + j);
                for (int64_t s = 0; s < samples; s++) {
                    const gr_real value = x[s], other = out[s];
                    out[s] = winner[s] == pixel ? value : other;
                }
            }
    }
}

INLINE gr_real root_of(gr_real x) {
#ifdef GR_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
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
    .convolve = KERNEL(convolve),
    .convolve_accumulate = KERNEL(convolve_accumulate),
    .row_sums = row_sums,
    .relu = relu,
    .relu_mask = relu_mask,
    .scale = scale,
    .add_products = add_products,
    .window_maximum = window_maximum,
    .window_scatter = window_scatter,
    .window_gather = window_gather,
    .adam = adam,
    .momentum = momentum,
    .rmsprop = rmsprop,
};
