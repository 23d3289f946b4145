/* The elementwise kernels, simple enough for the compiler's own vectors, and the table of the set.
 */
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

/* Vectors of samples that are summed at once; rows that are summed in their own precision. */
enum { NORM_VECTORS = 4, RUN = 16 };

INLINE void add_wide(vector sum, wide_vector total[WIDE_PARTS]) {
    wide_vector wide[WIDE_PARTS];
    widen(sum, wide);
    for (int part = 0; part < (int)WIDE_PARTS; part++) total[part] += wide[part];
}

INLINE void norms_of(const int V, int64_t features, int64_t probes, int64_t samples, int64_t stride,
                     int64_t count, const gr_real *g, double *norms) {
    wide_vector total[NORM_VECTORS][WIDE_PARTS] = {{{0}}};
    for (int64_t row = 0, f = 0, k = 0; row < features * probes;) {
        vector sum[NORM_VECTORS] = {{0}};
        for (const int64_t end = row + RUN; row < end && f < features; row++) {
            const gr_real *from = g + f * stride + k * samples;
            for (int v = 0; v < V; v++) {
                const vector value = load(from + v * VECTOR_LANES);
                sum[v] += value * value;
            }
            if (++k == probes) k = 0, f++;
        }
        for (int v = 0; v < V; v++) add_wide(sum[v], total[v]);
    }
    double all[NORM_VECTORS * VECTOR_BYTES / sizeof(gr_real)];
    memcpy(all, total, sizeof all);
    memcpy(norms, all, (size_t)count * sizeof *norms);
}

#define NORMS(V)                                                                                \
    static void norms_of_##V(int64_t features, int64_t probes, int64_t samples, int64_t stride, \
                             int64_t count, const gr_real *g, double *norms) {                  \
        norms_of(V, features, probes, samples, stride, count, g, norms);                        \
    }
NORMS(1)
NORMS(2)
NORMS(3)
NORMS(4)

static double norm_of_row(int64_t count, const gr_real *g) {
    enum { SIDE_BY_SIDE = 4, STEP = SIDE_BY_SIDE * VECTOR_BYTES / sizeof(gr_real) };
    wide_vector total[WIDE_PARTS] = {{0}};
    int64_t i = 0;
    while (i + STEP <= count) {
        vector sum[SIDE_BY_SIDE] = {{0}};
        for (int64_t end = i + RUN * STEP; i < end && i + STEP <= count; i += STEP)
            for (int v = 0; v < SIDE_BY_SIDE; v++) {
                const vector value = load(g + i + v * VECTOR_LANES);
                sum[v] += value * value;
            }
        for (int v = 0; v < SIDE_BY_SIDE; v++) add_wide(sum[v], total);
    }
    vector rest = {0};
    for (; i < count; i += VECTOR_LANES) {
        const vector value = load_lanes(g + i, count - i);
        rest += value * value;
    }
    add_wide(rest, total);
    double all[VECTOR_BYTES / sizeof(gr_real)], norm = 0;
    memcpy(all, total, sizeof all);
    for (size_t part = 0; part < sizeof all / sizeof *all; part++) norm += all[part];
    return norm;
}

static void squared_norms(int64_t features, int64_t probes, int64_t samples, int64_t stride,
                          bool turned, int64_t count, const gr_real *g, double *norms) {
    for (int64_t s = 0; turned && s < count; s++) {
        norms[s] = 0;
        for (int64_t k = 0; k < probes; k++)
            norms[s] += norm_of_row(features, g + (k * samples + s) * features);
    }
    if (turned) return;
    enum { MOST = NORM_VECTORS * VECTOR_BYTES / sizeof(gr_real) };
    for (; count > 0; count -= MOST, g += MOST, norms += MOST) {
        const int64_t some = count < MOST ? count : MOST;
        const int64_t vectors = (some + VECTOR_LANES - 1) / VECTOR_LANES;
        (vectors == 1   ? norms_of_1
         : vectors == 2 ? norms_of_2
         : vectors == 3 ? norms_of_3
                        : norms_of_4)(features, probes, samples, stride, some, g, norms);
    }
}

/* What a row's last vector has beyond the row stays as it is, so that only the last row's is a
 * part. Shorter rows would each wait for what was stored into them with the one before. */
static void scale_samples(int64_t features, int64_t probes, int64_t samples, int64_t stride,
                          bool turned, const gr_real *factor, gr_real *g) {
    if (turned) {
        for (int64_t lane = 0; lane < probes * samples; lane++, g += features) {
            const vector by = broadcast(factor[lane % samples]);
            FOR_EACH_VECTOR (f, features) store_lanes(g + f, features - f, by * load(g + f));
        }
        return;
    }
    if (samples < VECTOR_LANES) {
        for (int64_t f = 0; f < features; f++)
            for (int64_t k = 0; k < probes; k++)
                for (int64_t s = 0; s < samples; s++) g[f * stride + k * samples + s] *= factor[s];
        return;
    }
    FOR_EACH_VECTOR (s, samples) {
        const int64_t left = samples - s;
        vector by = broadcast(1);
        memcpy(&by, factor + s,
               sizeof *factor * (size_t)(left < VECTOR_LANES ? left : VECTOR_LANES));
        for (int64_t f = 0; f < features; f++)
            for (int64_t k = 0; k < probes; k++) {
                gr_real *at = g + f * stride + k * samples + s;
                const bool last = f == features - 1 && k == probes - 1;
                store_lanes(at, last ? left : VECTOR_LANES, by * load(at));
            }
    }
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

/* -- weight decay and optimisers
 * ------------------------------------------------------------------------------------ */

/* Sums in double. */
typedef struct wide_sums {
    wide_vector part[WIDE_PARTS];
} wide_sums;

INLINE void add_to(wide_sums *sums, vector v) {
    wide_vector wide[WIDE_PARTS];
    widen(v, wide);
    for (int part = 0; part < WIDE_PARTS; part++) sums->part[part] += wide[part];
}

INLINE void add_squares(wide_sums *sums, vector v) {
    wide_vector wide[WIDE_PARTS];
    widen(v, wide);
    for (int part = 0; part < WIDE_PARTS; part++) sums->part[part] += wide[part] * wide[part];
}

INLINE double total_of(const wide_sums *sums) {
    double total = 0;
    for (int part = 0; part < WIDE_PARTS; part++)
        for (int64_t lane = 0; lane < VECTOR_LANES / WIDE_PARTS; lane++)
            total += sums->part[part][lane];
    return total;
}

static double decay(int64_t count, gr_real weight, const gr_real *parameters, gr_real *gradients) {
    wide_sums squares = {0};
    const vector factor = broadcast(weight);
    FOR_EACH_VECTOR (i, count) {
        const vector w = load_lanes(parameters + i, count - i);
        add_squares(&squares, w);
        store_lanes(gradients + i, count - i, load_lanes(gradients + i, count - i) + factor * w);
    }
    return total_of(&squares);
}

static double absolute_decay(int64_t count, gr_real weight, const gr_real *parameters,
                             gr_real *gradients) {
    wide_sums sizes = {0};
    const vector zero = {0}, up = broadcast(weight);
    FOR_EACH_VECTOR (i, count) {
        const vector w = load_lanes(parameters + i, count - i);
        const mask below = greater(zero, w);
        add_to(&sizes, choose(below, -w, w));
        const vector step = choose(below, -up, choose(greater(w, zero), up, zero));
        store_lanes(gradients + i, count - i, load_lanes(gradients + i, count - i) + step);
    }
    return total_of(&sizes);
}

/* A vector of a step's parameters: `left` lanes from `first` on, which are more than a whole vector
 * has or fewer. A constant, so that a step is one run of instructions: where a branch stood between
 * a product and its sum the compiler would round both, and in another loop perhaps only the sum. */
typedef struct portion {
    const gr_step *step;
    int64_t first, left;
    bool whole;
} portion;

INLINE vector get(const portion *p, const gr_real *array) {
    return p->whole ? load(array + p->first) : load_part(array + p->first, p->left);
}

INLINE void set(const portion *p, gr_real *array, vector v) {
    if (p->whole)
        store(array + p->first, v);
    else
        store_part(array + p->first, p->left, v);
}

/* What an optimiser takes off its parameters, given their gradient. Sets the moments. */
typedef vector rule_function(const portion *p, vector g, const gr_real *constants);

INLINE void descend(rule_function *rule, const bool decays, const portion *p,
                    const gr_real *constants, wide_sums *squares) {
    const gr_step *s = p->step;
    const vector w = get(p, s->parameters);
    vector g = get(p, s->gradients);
    if (decays) {
        add_squares(squares, w);
        g += broadcast(s->decay) * w;
    }
    /* Rounded, as by a pass of its own. */
    const vector rest = settled(broadcast(s->kept) * w);
    set(p, s->parameters, rest - rule(p, g, constants));
    set(p, s->gradients, (vector){0});
}

INLINE double descend_all(rule_function *rule, const bool decays, const gr_step *step,
                          const gr_real *constants) {
    const gr_step s = *step;
    wide_sums squares = {0};
    portion p = {.step = &s, .whole = true};
    for (; s.count - p.first >= VECTOR_LANES; p.first += VECTOR_LANES)
        descend(rule, decays, &p, constants, &squares);
    p.left = s.count - p.first;
    p.whole = false;
    if (p.left > 0) descend(rule, decays, &p, constants, &squares);
    return total_of(&squares);
}

INLINE double descend_by(rule_function *rule, const gr_step *step, const gr_real *constants) {
    return step->decay != 0 ? descend_all(rule, true, step, constants)
                            : descend_all(rule, false, step, constants);
}

/* So much of `old` and the rest of `now`; which of the products is rounded is not left to the
 * compiler. */
INLINE vector mean(gr_real share, vector old, vector now) {
    return settled(share * old) + (1 - share) * now;
}

INLINE vector adam_rule(const portion *p, vector g, const gr_real *constants) {
    const gr_real beta1 = constants[0], beta2 = constants[1], step_size = constants[2],
                  second_correction = constants[3], epsilon = constants[4];
    gr_real *const *moments = p->step->moments;
    const vector first = mean(beta1, get(p, moments[0]), g);
    const vector second = mean(beta2, get(p, moments[1]), g * g);
    set(p, moments[0], first);
    set(p, moments[1], second);
    return quotient(step_size * first, square_root(second) * second_correction + epsilon);
}

static double adam(const gr_step *step, gr_real beta1, gr_real beta2, gr_real step_size,
                   gr_real second_correction, gr_real epsilon) {
    const gr_real constants[] = {beta1, beta2, step_size, second_correction, epsilon};
    return descend_by(adam_rule, step, constants);
}

INLINE vector momentum_rule(const portion *p, vector g, const gr_real *constants) {
    const gr_real rate = constants[0], kept = constants[1];
    const vector velocity = kept * get(p, p->step->moments[0]) + g;
    set(p, p->step->moments[0], velocity);
    return rate * velocity;
}

INLINE vector nesterov_rule(const portion *p, vector g, const gr_real *constants) {
    const gr_real rate = constants[0], kept = constants[1];
    const vector velocity = kept * get(p, p->step->moments[0]) + g;
    set(p, p->step->moments[0], velocity);
    return rate * (kept * velocity + g);
}

static double momentum(const gr_step *step, gr_real rate, gr_real kept, bool nesterov) {
    const gr_real constants[] = {rate, kept};
    return nesterov ? descend_by(nesterov_rule, step, constants)
                    : descend_by(momentum_rule, step, constants);
}

INLINE vector rmsprop_rule(const portion *p, vector g, const gr_real *constants) {
    const gr_real rate = constants[0], alpha = constants[1], epsilon = constants[2],
                  kept = constants[3];
    gr_real *const *moments = p->step->moments;
    const vector squares = mean(alpha, get(p, moments[0]), g * g);
    const vector velocity = kept * get(p, moments[1]) + quotient(g, square_root(squares) + epsilon);
    set(p, moments[0], squares);
    set(p, moments[1], velocity);
    return rate * velocity;
}

static double rmsprop(const gr_step *step, gr_real rate, gr_real alpha, gr_real epsilon,
                      gr_real kept) {
    const gr_real constants[] = {rate, alpha, epsilon, kept};
    return descend_by(rmsprop_rule, step, constants);
}

const gr_kernels SET(GR_KERNEL_SET) = {
    .name = TEXT(GR_KERNEL_SET),
    .vector_lanes = VECTOR_LANES,
    .cache_bytes = VECTOR_BYTES == 64 ? 1 << 20 : 1 << 19,
    .standardize = KERNEL(standardize),
    .standardize_row = KERNEL(standardize_row),
    .add_normals = KERNEL(add_normals),
    .dropout_mask = KERNEL(dropout_mask),
    .convolve = KERNEL(convolve),
    .convolve_accumulate = KERNEL(convolve_accumulate),
    .settle = KERNEL(settle),
    .winograd_forward = KERNEL(winograd_forward),
    .winograd_backward = KERNEL(winograd_backward),
    .winograd_accumulate = KERNEL(winograd_accumulate),
    .multiply = KERNEL(multiply),
    .multiply_kept = KERNEL(multiply_kept),
    .multiply_transposed = KERNEL(multiply_transposed),
    .multiply_accumulate = KERNEL(multiply_accumulate),
    .multiply_kept_and_accumulate = KERNEL(multiply_kept_and_accumulate),
    .row_sums = row_sums,
    .relu = relu,
    .tanh = KERNEL(tanh),
    .sigmoid = KERNEL(sigmoid),
    .softplus = KERNEL(softplus),
    .elu = KERNEL(elu),
    .relu_mask = relu_mask,
    .scale = scale,
    .squared_norms = squared_norms,
    .scale_samples = scale_samples,
    .add_products = add_products,
    .window_maximum = window_maximum,
    .window_scatter = window_scatter,
    .window_gather = window_gather,
    .pooled_backward = KERNEL(pooled_backward),
    .pooled_accumulate = KERNEL(pooled_accumulate),
    .pooled_tangent = KERNEL(pooled_tangent),
    .decay = decay,
    .absolute_decay = absolute_decay,
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
