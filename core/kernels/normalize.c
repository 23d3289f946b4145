/* Batch normalisation: sums over a channel, and its elementwise passes. All are bound by memory:
 * each reads its arrays once. Sums run in vectors of gr_real for at most FLUSH vectors and then go
 * to double, in a fixed order: their error does not grow with the length of the channel. */
#include "core/kernels/vector.h"

enum { FLUSH = 64, UNROLL = 4 };

/* Rows of `samples` reals, `stride` apart, beside rows of `samples` without gaps. */
typedef struct rows {
    int64_t positions, samples, stride;
} rows;

/* One probe's rows have no gaps: they are a single one. */
INLINE rows rows_of(int64_t positions, int64_t samples, int64_t stride) {
    return stride == samples ? (rows){1, positions * samples, positions * samples}
                             : (rows){positions, samples, stride};
}

INLINE int64_t end_of_piece(int64_t i, int64_t count) {
    const int64_t end = i + FLUSH * VECTOR_LANES;
    return end < count ? end : count;
}

INLINE vector read_lanes(const gr_real *p, int64_t count) {
    return count < VECTOR_LANES ? load_part(p, count) : load(p);
}

INLINE vector power_of(const int power, vector x) {
    if (power == 2) return x * x;
    return x;
}

/* Σ (a - center)^power, power 1 or 2. */
INLINE double power_sum(const int power, int64_t count, const gr_real *a, gr_real center) {
    const vector c = broadcast(center);
    double total = 0;
    for (int64_t i = 0; i < count;) {
        const int64_t end = end_of_piece(i, count);
        vector sum[UNROLL] = {{0}};
        for (; i + UNROLL * VECTOR_LANES <= end; i += UNROLL * VECTOR_LANES)
            for (int u = 0; u < UNROLL; u++) {
                const vector x = load(a + i + u * VECTOR_LANES) - c;
                sum[u] += power_of(power, x);
            }
        for (; i + VECTOR_LANES <= end; i += VECTOR_LANES) {
            const vector x = load(a + i) - c;
            sum[0] += power_of(power, x);
        }
        total += (double)sum_of((sum[0] + sum[1]) + (sum[2] + sum[3]));
        for (; i < end; i++) {
            const double x = (double)(a[i] - center);
            total += power == 2 ? x * x : x;
        }
    }
    return total;
}

void KERNEL(moments)(int64_t count, const gr_real *a, double *mean, double *variance) {
    const double n = (double)count;
    *mean = power_sum(1, count, a, 0) / n;
    const gr_real center = (gr_real)*mean;
    const double rest = *mean - (double)center;
    *variance = power_sum(2, count, a, center) / n - rest * rest;
    if (*variance < 0) *variance = 0;
}

void KERNEL(normalize)(int64_t count, const gr_real *a, gr_real center, gr_real scale,
                       gr_real shift, gr_real *y) {
    for (int64_t i = 0; i < count; i++) y[i] = (a[i] - center) * scale + shift;
}

void KERNEL(normalized_sums)(int64_t positions, int64_t samples, int64_t stride, const gr_real *v,
                             const gr_real *a, gr_real center, double *sums) {
    const rows r = rows_of(positions, samples, stride);
    const vector c = broadcast(center);
    vector sum = {0}, product = {0};
    int64_t pending = 0;
    sums[0] = sums[1] = 0;
    for (int64_t p = 0; p < r.positions; p++, v += r.stride, a += r.samples)
        for (int64_t i = 0; i < r.samples;) {
            const int64_t end = end_of_piece(i, r.samples);
            pending += end - i;
            for (; i < end; i += VECTOR_LANES) {
                const vector x = read_lanes(v + i, end - i);
                sum += x;
                product += x * (read_lanes(a + i, end - i) - c);
            }
            i = end;
            if (pending < FLUSH * VECTOR_LANES && p < r.positions - 1) continue;
            sums[0] += (double)sum_of(sum);
            sums[1] += (double)sum_of(product);
            sum = product = (vector){0};
            pending = 0;
        }
}

void KERNEL(second_sums)(int64_t positions, int64_t samples, int64_t stride, const gr_real *d,
                         const gr_real *t, const gr_real *a, gr_real center, double *sums) {
    const rows r = rows_of(positions, samples, stride);
    const vector c = broadcast(center);
    vector sum[GR_SECOND_SUMS] = {{0}};
    int64_t pending = 0;
    for (int s = 0; s < GR_SECOND_SUMS; s++) sums[s] = 0;
    for (int64_t p = 0; p < r.positions; p++, d += r.stride, t += r.stride, a += r.samples)
        for (int64_t i = 0; i < r.samples;) {
            const int64_t end = end_of_piece(i, r.samples);
            pending += end - i;
            for (; i < end; i += VECTOR_LANES) {
                const vector e = read_lanes(d + i, end - i), b = read_lanes(t + i, end - i);
                const vector x = read_lanes(a + i, end - i) - c;
                sum[GR_SUM_D] += e;
                sum[GR_SUM_DX] += e * x;
                sum[GR_SUM_T] += b;
                sum[GR_SUM_TX] += b * x;
                sum[GR_SUM_DT] += e * b;
            }
            i = end;
            if (pending < FLUSH * VECTOR_LANES && p < r.positions - 1) continue;
            for (int s = 0; s < GR_SECOND_SUMS; s++) {
                sums[s] += (double)sum_of(sum[s]);
                sum[s] = (vector){0};
            }
            pending = 0;
        }
}

INLINE void write_lanes(gr_real *p, int64_t count, vector v) {
    if (count < VECTOR_LANES)
        store_part(p, count, v);
    else
        store(p, v);
}

/* In vectors by hand: out may be v, which the compiler's own would have to check. */
INLINE void project_row(const bool more, int64_t count, const gr_real *v, const gr_real *a,
                        gr_real center, const gr_plane *plane, const gr_real *extra, gr_real *out) {
    const vector of_v = broadcast(plane->of_t), of_x = broadcast(plane->of_x);
    const vector constant = broadcast(plane->constant), c = broadcast(center);
    for (int64_t i = 0; i < count; i += VECTOR_LANES) {
        vector sum = of_x * (read_lanes(a + i, count - i) - c) + constant;
        if (more) sum += read_lanes(extra + i, count - i);
        write_lanes(out + i, count - i, of_v * read_lanes(v + i, count - i) + sum);
    }
}

void KERNEL(project)(int64_t positions, int64_t samples, int64_t stride, const gr_real *v,
                     const gr_real *a, gr_real center, const gr_plane *plane, const gr_real *extra,
                     gr_real *out) {
    const rows r = rows_of(positions, samples, stride);
    for (int64_t p = 0; p < r.positions; p++, v += r.stride, out += r.stride, a += r.samples)
        if (extra)
            project_row(true, r.samples, v, a, center, plane, extra + p * r.samples, out);
        else
            project_row(false, r.samples, v, a, center, plane, NULL, out);
}

INLINE void bend_row(const bool add, const bool tangent, int64_t count, const gr_real *d,
                     const gr_real *t, const gr_real *a, gr_real center, const gr_plane *plane,
                     gr_real *bend, const gr_plane *t_plane, gr_real *t_out) {
    const vector c = broadcast(center), of_d = broadcast(plane->of_d),
                 of_t = broadcast(plane->of_t);
    const vector of_x = broadcast(plane->of_x), constant = broadcast(plane->constant);
    for (int64_t i = 0; i < count; i += VECTOR_LANES) {
        const int64_t left = count - i;
        const vector b = read_lanes(t + i, left), x = read_lanes(a + i, left) - c;
        vector sum = of_d * read_lanes(d + i, left) + (of_t * b + (of_x * x + constant));
        if (add) sum += read_lanes(bend + i, left);
        write_lanes(bend + i, left, sum);
        if (tangent)
            write_lanes(t_out + i, left,
                        broadcast(t_plane->of_t) * b +
                            (broadcast(t_plane->of_x) * x + broadcast(t_plane->constant)));
    }
}

void KERNEL(bend)(int64_t positions, int64_t samples, int64_t stride, const gr_real *d,
                  const gr_real *t, const gr_real *a, gr_real center, const gr_plane *given,
                  bool add, gr_real *bend, const gr_plane *t_given, gr_real *t_out) {
    const rows r = rows_of(positions, samples, stride);
    const gr_plane plane = *given, t_plane = t_out ? *t_given : (gr_plane){0};
    for (int64_t p = 0; p < r.positions; p++) {
        if (!t_out && add)
            bend_row(true, false, r.samples, d, t, a, center, &plane, bend, NULL, NULL);
        else if (!t_out)
            bend_row(false, false, r.samples, d, t, a, center, &plane, bend, NULL, NULL);
        else if (add)
            bend_row(true, true, r.samples, d, t, a, center, &plane, bend, &t_plane, t_out);
        else
            bend_row(false, true, r.samples, d, t, a, center, &plane, bend, &t_plane, t_out);
        d += r.stride, t += r.stride, a += r.samples, bend += r.samples;
        if (t_out) t_out += r.stride;
    }
}

void KERNEL(add)(int64_t count, const gr_real *a, const gr_real *b, gr_real *out) {
    for (int64_t i = 0; i < count; i += VECTOR_LANES)
        write_lanes(out + i, count - i,
                    read_lanes(a + i, count - i) + read_lanes(b + i, count - i));
}
