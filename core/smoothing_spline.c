/* The thin-plate smoothing spline (Wahba, Spline Models for Observational Data, 1990,
 * chapters 2 and 4): f(x) = Σ c_i E(|x − x_i|) + b_0 + b·x with Tᵀc = 0, where T has the rows (1,
 * x_i). With Z an orthonormal basis of the null space of Tᵀ, c = Z (ZᵀEZ + nλI)⁻¹ Zᵀy. ZᵀEZ = U
 * diag(γ) Uᵀ is found once; then every λ is cheap, and GCV(λ) = 1/n |r|² / (1/n tr)², r_k = nλ/(γ_k
 * + nλ) (UᵀZᵀy)_k, tr = Σ nλ/(γ_k + nλ). */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/smoother.h"

/* E: in one dimension r³/12, in two r² log r / 8π; `square` is r². */
static double radial(int features, double square) {
    if (square == 0) return 0;
    if (features == 1) return square * sqrt(square) / 12;
    return square * log(square) / (16 * 3.141592653589793);
}

static double evaluate(const gr_smoother *of, const double *x) {
    double sum = of->plane[0];
    for (int j = 0; j < of->features; j++) sum += of->plane[1 + j] * x[j];
    for (int64_t i = 0; i < of->n; i++)
        sum += of->weights[i] *
               radial(of->features, gr_smoother_distance(of, x, of->x + i * of->features));
    return sum;
}

/* -- linear algebra of n × n matrices, n some hundred
 * --------------------------------------------- */

/* Householder's vectors v_k [n], unit, one for each of the m columns of T, whose product H_1 … H_m
 * turns T into an upper triangle R [m][m]. False where T has not full rank. */
static bool reflect_columns(double *columns, int64_t n, int m, double *vectors, double *triangle) {
    for (int k = 0; k < m; k++) {
        double *column = columns + k * n, *v = vectors + k * n;
        double norm = 0, whole = 0;
        for (int64_t i = 0; i < n; i++) whole += column[i] * column[i];
        for (int64_t i = k; i < n; i++) norm += column[i] * column[i];
        if (!(norm > 1e-20 * whole) || norm == 0) return false;
        const double alpha = column[k] > 0 ? -sqrt(norm) : sqrt(norm);
        for (int64_t i = 0; i < n; i++) v[i] = i < k ? 0 : column[i];
        v[k] -= alpha;
        double length = 0;
        for (int64_t i = k; i < n; i++) length += v[i] * v[i];
        length = sqrt(length);
        for (int64_t i = k; i < n; i++) v[i] /= length;
        for (int j = k; j < m; j++) {
            double *other = columns + j * n, dot = 0;
            for (int64_t i = k; i < n; i++) dot += v[i] * other[i];
            for (int64_t i = k; i < n; i++) other[i] -= 2 * dot * v[i];
        }
        for (int j = 0; j < m; j++) triangle[k * m + j] = columns[j * n + k];
    }
    return true;
}

/* x [n] becomes H_m … H_1 x (Qᵀx), or with `back` H_1 … H_m x (Qx). `stride`: between elements. */
static void reflect(const double *vectors, int64_t n, int m, bool back, double *x, int64_t stride) {
    for (int step = 0; step < m; step++) {
        const double *v = vectors + (back ? m - 1 - step : step) * n;
        double dot = 0;
        for (int64_t i = 0; i < n; i++) dot += v[i] * x[i * stride];
        for (int64_t i = 0; i < n; i++) x[i * stride] -= 2 * dot * v[i];
    }
}

/* Eigenvalues (on a's diagonal) and eigenvectors (columns of u) of the symmetric a [n][n], by
 * cyclic Jacobi rotations (Golub & Van Loan, §8.5). */
static void diagonalize(double *a, double *u, int64_t n) {
    enum { SWEEPS = 40 };
    memset(u, 0, (size_t)(n * n) * sizeof *u);
    for (int64_t i = 0; i < n; i++) u[i * n + i] = 1;
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0, all = 0;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                all += a[i * n + j] * a[i * n + j];
                if (i != j) off += a[i * n + j] * a[i * n + j];
            }
        if (off <= 1e-32 * all) return;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) {
                if (a[p * n + q] == 0) continue;
                const double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
                const double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1));
                const double c = 1 / sqrt(t * t + 1), s = t * c;
                for (int64_t i = 0; i < n; i++) { /* rows, which are contiguous */
                    const double ap = a[p * n + i], aq = a[q * n + i];
                    a[p * n + i] = c * ap - s * aq;
                    a[q * n + i] = s * ap + c * aq;
                }
                for (int64_t i = 0; i < n; i++) {
                    const double ap = a[i * n + p], aq = a[i * n + q];
                    a[i * n + p] = c * ap - s * aq;
                    a[i * n + q] = s * ap + c * aq;
                    const double up = u[i * n + p], uq = u[i * n + q];
                    u[i * n + p] = c * up - s * uq;
                    u[i * n + q] = s * up + c * uq;
                }
            }
    }
}

/* -- fitting
 * ------------------------------------------------------------------------------------------- */

typedef struct spectrum {
    int64_t n, free_count; /* free_count = n − 1 − features: the size of ZᵀEZ */
    double *values;        /* γ, [free_count] */
    double *target;        /* UᵀZᵀy, [free_count] */
} spectrum;

static double generalized_cross_validation(const void *context, double lambda) {
    const spectrum *of = context;
    const double shift = lambda * (double)of->n;
    double residual = 0, trace = 0;
    for (int64_t k = 0; k < of->free_count; k++) {
        const double share = shift / (fmax(of->values[k], 0) + shift);
        residual += share * share * of->target[k] * of->target[k];
        trace += share;
    }
    return residual * (double)of->n / (trace * trace);
}

/* The polynomial part from R b = (Qᵀ(y − Ec))_1…m. `rest` is Qᵀ(y − Ec). */
static void solve_plane(gr_smoother *of, const double *triangle, const double *rest) {
    const int m = 1 + of->features;
    for (int k = m - 1; k >= 0; k--) {
        double sum = rest[k];
        for (int j = k + 1; j < m; j++) sum -= triangle[k * m + j] * of->plane[j];
        of->plane[k] = sum / triangle[k * m + k];
    }
}

gr_status gr_smoothing_spline(const double *x, const double *y, int64_t n, int features,
                              double lambda, gr_smoother **result, gr_error *error) {
    gr_smoother *of;
    GR_TRY(gr_smoother_create(x, y, n, features, features + 2, &of, error));
    of->evaluate = evaluate;
    const int m = 1 + features;
    const int64_t f = n - m;
    gr_status status = GR_OK;
    double *e = calloc((size_t)(n * n + 2 * f * f + 2 * m * n + m * m + 3 * n), sizeof *e);
    if (!e) {
        status =
            gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a spline of %lld points", (long long)n);
        goto end;
    }
    double *inner = e + n * n, *u = inner + f * f, *columns = u + f * f, *vectors = columns + m * n;
    double *triangle = vectors + m * n, *turned = triangle + m * m, *values = turned + n;
    double *target = values + n;
    for (int64_t i = 0; i < n; i++) {
        columns[i] = 1;
        for (int j = 0; j < features; j++) columns[(1 + j) * n + i] = x[i * features + j];
        for (int64_t j = 0; j < n; j++)
            e[i * n + j] =
                radial(features, gr_smoother_distance(of, x + i * features, x + j * features));
    }
    if (!reflect_columns(columns, n, m, vectors, triangle)) {
        status = gr_fail(error, GR_INVALID, "the points are all %s: no spline is determined",
                         features == 1 ? "at one place" : "on one line");
        goto end;
    }
    /* QᵀEQ, whose last f rows and columns are ZᵀEZ. */
    for (int64_t i = 0; i < n; i++) reflect(vectors, n, m, false, e + i * n, 1);
    for (int64_t j = 0; j < n; j++) reflect(vectors, n, m, false, e + j, n);
    memcpy(turned, y, (size_t)n * sizeof *y);
    reflect(vectors, n, m, false, turned, 1);
    for (int64_t i = 0; i < f; i++)
        memcpy(inner + i * f, e + (m + i) * n + m, (size_t)f * sizeof *e);
    diagonalize(inner, u, f);
    double largest = 0;
    for (int64_t k = 0; k < f; k++) {
        values[k] = inner[k * f + k];
        largest = fmax(largest, values[k]);
        for (int64_t i = 0; i < f; i++) target[k] += u[i * f + k] * turned[m + i];
    }
    const spectrum found = {.n = n, .free_count = f, .values = values, .target = target};
    of->parameter =
        lambda > 0 ? lambda
                   : gr_smoother_minimize(generalized_cross_validation, &found,
                                          1e-12 * largest / (double)n, 1e3 * largest / (double)n);
    of->score = generalized_cross_validation(&found, of->parameter);
    /* c in the turned basis, (0, U (γ + nλ)⁻¹ UᵀZᵀy); Qᵀ(y − Ec) needs only its first m rows. */
    double *turned_weights = of->weights;
    for (int64_t i = 0; i < f; i++) {
        double sum = 0;
        for (int64_t k = 0; k < f; k++)
            sum += u[i * f + k] * target[k] / (fmax(values[k], 0) + of->parameter * (double)n);
        turned_weights[m + i] = sum;
    }
    for (int k = 0; k < m; k++)
        for (int64_t i = m; i < n; i++) turned[k] -= e[k * n + i] * turned_weights[i];
    solve_plane(of, triangle, turned);
    reflect(vectors, n, m, true, of->weights, 1);
    *result = of;
    of = NULL;
end:
    free(e);
    gr_smoother_free(of);
    return status;
}
