/* Analyses in double against what their definitions say: central differences, one point at a time;
 * dense matrices; sums by hand. Points are drawn here by the rules of docs/methods.md once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "core/analysis.h"
#include "core/distribution.h"
#include "gradreg/prediction.h"
#include "tests/core/training_helper.h"

/* Central differences of step 1e-5 in double leave about 1e-10 of rounding and of the third
 * derivative; norms are of the order of 1. */
static const double difference_tolerance = 1e-7;
/* The same sums in another order. */
static const double sum_tolerance = 1e-12;
static const double step = 1e-5;

/* A trained model, its analysis, and a network to hold it against. */
typedef struct subject {
    spec spec;
    gr_settings settings;
    gr_dataset *dataset;
    gr_arrays model;
    gr_analysis analysis;
    gr_network *network;
    gr_workspace *workspace;
    gr_split *split;
    double *parameters, *buffers;
    int64_t features, outputs;
} subject;

static const char smooth_model[] =
    "{layers: [{type: linear, units: 7}, {type: tanh}, {type: dropout}, {type: linear, units: 2}]}";
static const char moons[] = "{name: moons, train_size: 40, validation_size: 20}";

static void require(gr_status status, const gr_error *error) {
    if (status != GR_OK) fail_msg("%s %s", error->place, error->message);
}

static void train(subject *s) {
    gr_training *training;
    gr_error error = {0};
    require(gr_training_create(&s->spec.plan, s->dataset, &training, &error), &error);
    for (gr_progress progress = GR_PROGRESS_ITERATION; progress != GR_PROGRESS_FINISHED;)
        require(gr_training_advance(training, &progress, &error), &error);
    require(gr_training_model(training, &s->model, &error), &error);
    gr_training_free(training);
}

static void begin(subject *s, const char *dataset, const char *model, const char *loss,
                  const char *analysis) {
    gr_error error = {0};
    *s = (subject){0};
    spec_build(&s->spec,
               &(spec_texts){.dataset = dataset,
                             .model = model,
                             .loss = loss,
                             .regularizers = "[]",
                             .optimizer = "{type: adam, learning_rate: 0.02}",
                             .training = "{iterations: 60, batch_size: 20, evaluate_every: 60}",
                             .seed = 5});
    s->settings = settings_build(&gr_analysis_family, analysis);
    s->spec.plan.analysis = &s->settings;
    require(gr_dataset_load(&s->spec.dataset, NULL, &s->dataset, &error), &error);
    train(s);
    require(gr_analyse(&s->spec.plan, s->dataset, &s->model, NULL, NULL, &s->analysis, &error),
            &error);
    require(gr_plan_network(&s->spec.plan, s->dataset, &s->network, &error), &error);
    require(gr_split_create(s->dataset, &s->spec.dataset, s->spec.plan.seed, &s->split, &error),
            &error);
    require(gr_workspace_create(s->network, 1, false, NULL, &s->workspace, &error), &error);
    s->features = gr_network_features(s->network, 0);
    s->outputs = gr_network_outputs(s->network);
    s->parameters =
        calloc((size_t)(s->network->parameter_count + s->network->buffer_count) + GR_SLACK_BYTES,
               sizeof *s->parameters);
    s->buffers = s->parameters + s->network->parameter_count;
    require(gr_network_from_arrays(s->network, &s->model, s->parameters, s->buffers, &error),
            &error);
}

static void end(subject *s) {
    free(s->parameters);
    gr_workspace_free(s->workspace);
    gr_split_free(s->split);
    gr_network_free(s->network);
    gr_analysis_clear(&s->analysis);
    gr_arrays_clear(&s->model);
    gr_dataset_free(s->dataset);
    gr_settings_clear(&s->settings);
    spec_clear(&s->spec);
}

/* The outputs at one point. */
static const double *outputs_at(subject *s, const double *x) {
    memcpy(s->workspace->a[0], x, (size_t)s->features * sizeof *x);
    const gr_pass pass = {.workspace = s->workspace,
                          .parameters = s->parameters,
                          .buffers = s->buffers,
                          .samples = 1};
    gr_pass_forward(&pass);
    return s->workspace->a[s->network->node_count];
}

static int class_at(subject *s, const double *x) {
    return (int)gr_greatest_output(outputs_at(s, x), s->outputs, 1);
}

/* Writes softmax(z). */
static void softmax(const double *z, int64_t count, double *p) {
    double sum = 0;
    for (int64_t k = 0; k < count; k++) sum += exp(z[k]);
    for (int64_t k = 0; k < count; k++) p[k] = exp(z[k]) / sum;
}

/* Cross-entropy with smoothed labels, by its definition. */
static double loss_at(subject *s, const double *x, int label, double smoothing) {
    double p[16], loss = 0;
    softmax(outputs_at(s, x), s->outputs, p);
    for (int64_t k = 0; k < s->outputs; k++)
        loss -= ((k == label) * (1 - smoothing) + smoothing / (double)s->outputs) * log(p[k]);
    return loss;
}

static double value_of(const subject *s, const char *path) {
    const gr_array *array = gr_arrays_find(&s->analysis.values, path);
    if (!array) fail_msg("there is no %s", path);
    assert_int_equal(array->shape.rank, 0);
    return array->type == GR_I64 ? (double)*(const int64_t *)array->data
                                 : *(const double *)array->data;
}

static double metric_of(const subject *s, const char *name) {
    const gr_array *array = gr_arrays_find(&s->analysis.metrics, name);
    if (!array) fail_msg("there is no metric %s", name);
    return *(const double *)array->data;
}

static const double *list_of(const subject *s, const char *path, int64_t count) {
    const gr_array *array = gr_arrays_find(&s->analysis.values, path);
    if (!array) fail_msg("there is no %s", path);
    assert_int_equal(array->type, GR_F64);
    assert_int_equal(gr_shape_elements(&array->shape), count);
    return array->data;
}

static void assert_near(const char *what, double is, double wanted, double tolerance) {
    if (!(fabs(is - wanted) <= tolerance * fmax(1, fabs(wanted))))
        fail_msg("%s: %.15g, not %.15g", what, is, wanted);
}

/* -- gradient norms
 * --------------------------------------------------------------------------------- */

enum { LOSS, LOGITS, SOFTMAX };

/* The norm by central differences of everything at once. */
static void norms_at(subject *s, const double *x, int label, double smoothing, double norms[3]) {
    double moved[1024], z[2][16], p[2][16], loss[2];
    norms[0] = norms[1] = norms[2] = 0;
    memcpy(moved, x, (size_t)s->features * sizeof *x);
    for (int64_t f = 0; f < s->features; f++) {
        for (int side = 0; side < 2; side++) {
            moved[f] = x[f] + (side ? step : -step);
            memcpy(z[side], outputs_at(s, moved), (size_t)s->outputs * sizeof(double));
            softmax(z[side], s->outputs, p[side]);
            loss[side] = loss_at(s, moved, label, smoothing);
        }
        moved[f] = x[f];
        norms[LOSS] += pow((loss[1] - loss[0]) / (2 * step), 2);
        for (int64_t k = 0; k < s->outputs; k++) {
            norms[LOGITS] += pow((z[1][k] - z[0][k]) / (2 * step), 2);
            norms[SOFTMAX] += pow((p[1][k] - p[0][k]) / (2 * step), 2);
        }
    }
    for (int i = 0; i < 3; i++) norms[i] = sqrt(norms[i]);
}

static void sample_at(const subject *s, gr_part part, int64_t position, double *x, int *label) {
    int32_t drawn = 0;
    double targets[16];
    gr_split_fill(s->split, part, &position, 1, false, x, &drawn, targets);
    *label = drawn;
}

static gr_random random_of(const subject *s, uint32_t stream) {
    return gr_random_source(s->spec.plan.seed, GR_PURPOSE_ANALYSIS, stream, 0);
}

/* The i-th of n points of a set; label -1: what the network predicts. */
static void point_of(const subject *s, const char *set, int64_t i, int64_t n, double *x,
                     int *label) {
    const int64_t train = gr_split_size(s->split, GR_PART_TRAINING);
    const int64_t test = gr_split_size(s->split, GR_PART_TEST);
    double other[1024];
    sample_at(s, GR_PART_TRAINING, i * train / n, x, label);
    if (!strcmp(set, "test")) sample_at(s, GR_PART_TEST, i * test / n, x, label);
    if (!strcmp(set, "noise")) {
        const gr_random random = random_of(s, GR_ANALYSIS_NOISE);
        for (int64_t f = 0; f < s->features; f++)
            x[f] += 0.3 * gr_random_normal(&random, (uint32_t)i, (uint32_t)f);
    }
    if (!strcmp(set, "segments")) {
        const gr_random random = random_of(s, GR_ANALYSIS_SEGMENTS);
        const int64_t one = gr_random_below(&random, (uint32_t)i, 0, train);
        int64_t two = gr_random_below(&random, (uint32_t)i, 1, train - 1);
        if (two >= one) two++;
        const double share = gr_random_uniform(&random, (uint32_t)i, 2);
        sample_at(s, GR_PART_TRAINING, one, x, label);
        sample_at(s, GR_PART_TRAINING, two, other, label);
        for (int64_t f = 0; f < s->features; f++) x[f] = (1 - share) * x[f] + share * other[f];
        *label = -1;
    }
    if (!strcmp(set, "uniform")) {
        const gr_random random = random_of(s, GR_ANALYSIS_UNIFORM);
        for (int64_t f = 0; f < s->features; f++) {
            double low = INFINITY, high = -INFINITY;
            for (int64_t j = 0; j < train; j++) {
                sample_at(s, GR_PART_TRAINING, j, other, label);
                low = fmin(low, other[f]), high = fmax(high, other[f]);
            }
            x[f] = low + (high - low) * gr_random_uniform(&random, (uint32_t)i, (uint32_t)f);
        }
        *label = -1;
    }
}

static void check_set(subject *s, const char *set, int64_t n, double smoothing) {
    static const char *const names[] = {"loss", "logits", "softmax"};
    static const char *const metrics[] = {"gradient_norm", "jacobian_norm",
                                          "softmax_jacobian_norm"};
    double norms[3][64], x[1024], all[3];
    for (int64_t i = 0; i < n; i++) {
        int label;
        point_of(s, set, i, n, x, &label);
        norms_at(s, x, label < 0 ? class_at(s, x) : label, smoothing, all);
        for (int norm = 0; norm < 3; norm++) norms[norm][i] = all[norm];
    }
    for (int norm = 0; norm < 3; norm++) {
        char path[96];
        const double mean = gr_mean(norms[norm], n);
        gr_sort(norms[norm], n);
        assert_true(norms[norm][n / 2] > 1e-4); /* something to compare */
#define PATH(last) \
    (snprintf(path, sizeof path, "gradient_norms/%s/points/%s/%s", names[norm], set, last), path)
        assert_int_equal((int64_t)value_of(s, PATH("n")), n);
        assert_near(path, value_of(s, PATH("mean")), mean, difference_tolerance);
        assert_near(path, value_of(s, PATH("sd")), gr_standard_deviation(norms[norm], n, mean),
                    difference_tolerance);
        const double *quantiles = list_of(s, PATH("quantiles"), 11);
        assert_near(path, quantiles[0], norms[norm][0], difference_tolerance);
        assert_near(path, quantiles[10], norms[norm][n - 1], difference_tolerance);
        assert_near(path, quantiles[5], gr_quantile(norms[norm], n, 0.5), difference_tolerance);
        const gr_array *histogram = gr_arrays_find(&s->analysis.values, PATH("histogram"));
        assert_non_null(histogram);
        int64_t counted = 0;
        for (int64_t b = 0; b < 40; b++) counted += ((const int64_t *)histogram->data)[b];
        assert_int_equal(counted, n);
#undef PATH
        snprintf(path, sizeof path, "%s.%s.median", metrics[norm], set);
        assert_near(path, metric_of(s, path), quantiles[5], 0);
        snprintf(path, sizeof path, "%s.%s.mean", metrics[norm], set);
        assert_near(path, metric_of(s, path), mean, difference_tolerance);
    }
}

static void test_gradient_norms(void **state) {
    (void)state;
    static const char *const sets[] = {"train", "test", "noise", "segments", "uniform"};
    subject s;
    begin(&s, moons, smooth_model, "{type: cross_entropy, label_smoothing: 0.1}",
          "{gradient_norms: {samples: 33, sigma: 0.3}}");
    for (int i = 0; i < 5; i++) check_set(&s, sets[i], 33, 0.1);
    end(&s);
}

/* Convolutions with running statistics, pools and more outputs than probes at once. */
static void test_gradient_norms_of_images(void **state) {
    (void)state;
    subject s;
    begin(&s, "{name: digits, train_size: 30, validation_size: 20}",
          "{layers: [{type: conv2d, filters: 3, kernel: 5, stride: 3}, {type: batchnorm}, {type: "
          "softplus}, {type: maxpool2d}, {type: flatten}, {type: linear, units: 10}]}",
          NULL, "{gradient_norms: {samples: 3}}");
    check_set(&s, "train", 3, 0);
    check_set(&s, "test", 3, 0);
    end(&s);
}

/* Of two classes, ‖∂p/∂x‖_F = √2 p₁p₂ ‖∂(z₁ - z₂)/∂x‖, and p₁p₂ without a 1 - p. */
static double saturated_norm(subject *s, const double *x) {
    double moved[16], squares = 0, difference[2];
    memcpy(moved, x, (size_t)s->features * sizeof *x);
    for (int64_t f = 0; f < s->features; f++) {
        for (int side = 0; side < 2; side++) {
            moved[f] = x[f] + (side ? step : -step);
            const double *z = outputs_at(s, moved);
            difference[side] = z[0] - z[1];
        }
        moved[f] = x[f];
        squares += pow((difference[1] - difference[0]) / (2 * step), 2);
    }
    const double *z = outputs_at(s, x);
    const double odds = exp(-fabs(z[0] - z[1]));
    return sqrt(2 * squares) * odds / ((1 + odds) * (1 + odds));
}

/* Rows of the softmax's Jacobian that are far below the spacing of numbers at 1 are not nothing:
 * both of them count. */
static void test_saturated(void **state) {
    (void)state;
    subject s;
    gr_error error = {0};
    begin(&s, moons, smooth_model, NULL, "{gradient_norms: {samples: 5}}");
    /* The last layer's weights times 40: p of the other class is about 1e-20 and less. */
    for (size_t i = 0; i < s.model.count; i++)
        for (int64_t e = 0; !strcmp(s.model.items[i].name, "3.weight") &&
                            e < gr_shape_elements(&s.model.items[i].shape);
             e++)
            ((double *)s.model.items[i].data)[e] *= 40;
    gr_analysis_clear(&s.analysis);
    require(gr_analyse(&s.spec.plan, s.dataset, &s.model, NULL, NULL, &s.analysis, &error), &error);
    require(gr_network_from_arrays(s.network, &s.model, s.parameters, s.buffers, &error), &error);
    double norms[5], x[2];
    for (int64_t i = 0; i < 5; i++) {
        int label;
        point_of(&s, "train", i, 5, x, &label);
        norms[i] = saturated_norm(&s, x);
    }
    gr_sort(norms, 5);
    const double *quantiles = list_of(&s, "gradient_norms/softmax/points/train/quantiles", 11);
    assert_true(norms[0] < 1e-17);
    const int at[] = {0, 4, 5, 6, 10}; /* the quantiles that are the five themselves */
    for (int i = 0; i < 5; i++)
        if (!(fabs(quantiles[at[i]] / norms[i] - 1) < 1e-6))
            fail_msg("%d: %.15g, not %.15g", i, quantiles[at[i]], norms[i]);
    end(&s);
}

/* -- transitions
 * ------------------------------------------------------------------------------------ */

static void codes_at(subject *s, const double *x, char codes[64]) {
    int unit = 0;
    outputs_at(s, x);
    for (int i = 0; i < s->network->node_count; i++)
        if (s->network->nodes[i].kind == &gr_layer_relu)
            for (int64_t f = 0; f < s->network->nodes[i].out_features; f++)
                codes[unit++] = s->workspace->a[i + 1][f] > 0;
    assert_int_equal(unit, 24);
}

static void test_transitions(void **state) {
    (void)state;
    enum { POINTS = 90, PATHS = 2 };
    subject s;
    begin(&s, moons,
          "{layers: [{type: linear, units: 16}, {type: relu}, {type: linear, units: 8}, {type: "
          "relu}, {type: linear, units: 2}]}",
          NULL, "{transitions: {paths: 2, points: 90}}");
    const double *counts = list_of(&s, "transitions/count/values", PATHS);
    const double *densities = list_of(&s, "transitions/per_length/values", PATHS);
    const int64_t size = gr_split_size(s.split, GR_PART_TEST);
    const gr_random random = random_of(&s, GR_ANALYSIS_PATHS);
    const double third = 2 * acos(-1) / 3;
    for (uint32_t path = 0; path < PATHS; path++) {
        int64_t at[3];
        for (uint32_t i = 0; i < 3; i++) { /* the i-th of those not chosen yet */
            int64_t left = gr_random_below(&random, path, i, size - (int64_t)i);
            for (at[i] = 0;; at[i]++) {
                bool taken = false;
                for (uint32_t j = 0; j < i; j++) taken = taken || at[j] == at[i];
                if (!taken && left-- == 0) break;
            }
        }
        double corner[3][2], x[POINTS][2], length = 0;
        int label, changes = 0;
        char codes[POINTS][64];
        for (int i = 0; i < 3; i++) sample_at(&s, GR_PART_TEST, at[i], corner[i], &label);
        for (int i = 0; i < POINTS; i++) { /* trigonometric interpolation of the corners */
            for (int f = 0; f < 2; f++) {
                x[i][f] = 0;
                for (int k = 0; k < 3; k++)
                    x[i][f] += corner[k][f] * (1 + 2 * cos(3 * third * i / POINTS - third * k)) / 3;
            }
            codes_at(&s, x[i], codes[i]);
        }
        for (int i = 0; i < POINTS; i++) {
            const int next = (i + 1) % POINTS;
            for (int unit = 0; unit < 24; unit++) changes += codes[i][unit] != codes[next][unit];
            length += hypot(x[next][0] - x[i][0], x[next][1] - x[i][1]);
        }
        assert_true(changes > 4);
        assert_near("changes", counts[path], changes, 0);
        assert_near("density", densities[path], changes / length, 1e-9);
    }
    assert_near("units", value_of(&s, "transitions/units"), 24, 0);
    assert_near("share", metric_of(&s, "transitions.per_unit"), (counts[0] + counts[1]) / 48,
                sum_tolerance);
    end(&s);
}

/* -- the Lipschitz bound
 * ---------------------------------------------------------------------------- */

/* The largest singular value of a [rows][columns], by Jacobi's rotations of aaᵀ. */
static double dense_singular_value(const double *a, int rows, int columns) {
    double *m = calloc((size_t)(rows * rows), sizeof *m), largest = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++)
            for (int c = 0; c < columns; c++)
                m[i * rows + j] += a[i * columns + c] * a[j * columns + c];
    for (int sweep = 0; sweep < 60; sweep++)
        for (int p = 0; p < rows; p++)
            for (int q = p + 1; q < rows; q++) {
                if (fabs(m[p * rows + q]) < 1e-300) continue;
                const double t =
                    0.5 * atan2(2 * m[p * rows + q], m[q * rows + q] - m[p * rows + p]);
                const double c = cos(t), d = sin(t);
                for (int k = 0; k < rows; k++) {
                    const double one = m[k * rows + p], two = m[k * rows + q];
                    m[k * rows + p] = c * one - d * two;
                    m[k * rows + q] = d * one + c * two;
                }
                for (int k = 0; k < rows; k++) {
                    const double one = m[p * rows + k], two = m[q * rows + k];
                    m[p * rows + k] = c * one - d * two;
                    m[q * rows + k] = d * one + c * two;
                }
            }
    for (int i = 0; i < rows; i++) largest = fmax(largest, m[i * rows + i]);
    free(m);
    return sqrt(largest);
}

static const double *weights_of(const subject *s, const char *name, const gr_shape **shape) {
    const gr_array *array = gr_arrays_find(&s->model, name);
    if (!array) fail_msg("there is no %s", name);
    *shape = &array->shape;
    return array->data;
}

/* The matrix of a convolution of stride 5 with padding 1 over 28×28 pixels: 6×6 outputs. */
static double convolution_singular_value(const subject *s) {
    enum { FILTERS = 2, KERNEL = 3, OUT = 6, STEP = 5, IN = 28 };
    const gr_shape *shape;
    const double *w = weights_of(s, "0.weight", &shape);
    assert_int_equal(gr_shape_elements(shape), FILTERS * KERNEL * KERNEL);
    double *matrix = calloc((size_t)FILTERS * OUT * OUT * IN * IN, sizeof *matrix);
    for (int f = 0; f < FILTERS; f++)
        for (int y = 0; y < OUT; y++)
            for (int x = 0; x < OUT; x++)
                for (int i = 0; i < KERNEL; i++)
                    for (int j = 0; j < KERNEL; j++) {
                        const int row = y * STEP + i - 1, column = x * STEP + j - 1;
                        if (row < 0 || column < 0 || row >= IN || column >= IN) continue;
                        matrix[((f * OUT + y) * OUT + x) * IN * IN + row * IN + column] +=
                            w[(f * KERNEL + i) * KERNEL + j];
                    }
    const double sigma = dense_singular_value(matrix, FILTERS * OUT * OUT, IN * IN);
    free(matrix);
    return sigma;
}

static double linear_singular_value(const subject *s, const char *name) {
    const gr_shape *shape;
    const double *w = weights_of(s, name, &shape);
    return dense_singular_value(w, (int)shape->size[0], (int)shape->size[1]);
}

static void test_lipschitz(void **state) {
    (void)state;
    /* A power iteration that ends at changes of 1e-7 is further than that from its limit. */
    const double tolerance = 1e-4;
    subject s;
    begin(
        &s, "{name: digits, train_size: 30, validation_size: 20}",
        "{layers: [{type: conv2d, filters: 2, kernel: 3, stride: 5, padding: 1}, {type: sigmoid}, "
        "{type: maxpool2d, size: 3, stride: 2}, {type: flatten}, {type: linear, units: 9}, {type: "
        "residual, body: [{type: linear, units: 9}, {type: relu}]}, {type: linear, units: 10}]}",
        NULL, "{lipschitz: {power_iterations: 20000}}");
    const double conv = convolution_singular_value(&s),
                 first = linear_singular_value(&s, "4.weight");
    const double inner = linear_singular_value(&s, "5.body.0.weight");
    const double last = linear_singular_value(&s, "6.weight");
    assert_near("conv", value_of(&s, "lipschitz/layers/0"), conv, tolerance);
    assert_near("first", value_of(&s, "lipschitz/layers/4"), first, tolerance);
    assert_near("inner", value_of(&s, "lipschitz/layers/5.body.0"), inner, tolerance);
    assert_near("last", value_of(&s, "lipschitz/layers/6"), last, tolerance);
    /* sigmoid 1/4, overlapping windows 2, the residual 1 + inner. */
    const double bound = conv / 4 * 2 * first * (1 + inner) * last;
    assert_near("bound", value_of(&s, "lipschitz/bound"), bound, 5 * tolerance);
    assert_near("metric", metric_of(&s, "lipschitz.bound"), value_of(&s, "lipschitz/bound"), 0);
    end(&s);
}

/* -- robustness
 * ------------------------------------------------------------------------------------- */

static double clamped(double value, double low, double high) {
    return fmin(fmax(value, low), high);
}

/* x moved by `move` along the sign of the loss's gradient by central differences. */
static void climb(subject *s, double *x, int label, double move) {
    double gradient[1024];
    for (int64_t f = 0; f < s->features; f++) {
        const double at = x[f];
        x[f] = at + step;
        const double above = loss_at(s, x, label, 0);
        x[f] = at - step;
        gradient[f] = above - loss_at(s, x, label, 0);
        x[f] = at;
    }
    for (int64_t f = 0; f < s->features; f++)
        x[f] += gradient[f] > 0 ? move : gradient[f] < 0 ? -move : 0;
}

static void test_robustness(void **state) {
    (void)state;
    enum { SAMPLES = 60, STEPS = 4 };
    static const double epsilons[] = {0.2, 0.7};
    static const char *const names[] = {"robustness.fgsm.0.2", "robustness.fgsm.0.7",
                                        "robustness.pgd.0.2", "robustness.pgd.0.7"};
    subject s;
    begin(&s, moons, smooth_model, NULL,
          "{robustness: {epsilons: [0.2, 0.7], samples: 60, steps: 4, step_size: 0.4}}");
    const int64_t size = gr_split_size(s.split, GR_PART_TEST);
    double previous = 2;
    for (int which = 0; which < 4; which++) {
        const double epsilon = epsilons[which % 2];
        const bool pgd = which >= 2;
        double total = 0;
        int right = 0;
        for (int64_t i = 0; i < SAMPLES; i++) {
            double start[2], x[2];
            int label;
            sample_at(&s, GR_PART_TEST, i * size / SAMPLES, start, &label);
            memcpy(x, start, sizeof x);
            const gr_random random = gr_random_source(s.spec.plan.seed, GR_PURPOSE_ANALYSIS,
                                                      GR_ANALYSIS_START, (uint32_t)(which % 2));
            for (int f = 0; pgd && f < 2; f++)
                x[f] += epsilon * (2 * gr_random_uniform(&random, (uint32_t)i, (uint32_t)f) - 1);
            for (int n = 0; n < (pgd ? STEPS : 1); n++) {
                climb(&s, x, label, pgd ? 0.4 * epsilon : epsilon);
                for (int f = 0; f < 2; f++)
                    x[f] = clamped(x[f], start[f] - epsilon, start[f] + epsilon);
            }
            right += class_at(&s, x) == label;
            total += loss_at(&s, x, label, 0);
        }
        const double *losses = list_of(&s, pgd ? "robustness/pgd/loss" : "robustness/fgsm/loss", 2);
        assert_near(names[which], metric_of(&s, names[which]), (double)right / SAMPLES, 0);
        assert_near(names[which], losses[which % 2], total / SAMPLES, 1e-9);
        if (which % 2 == 0) previous = value_of(&s, "robustness/clean_accuracy");
        assert_true(metric_of(&s, names[which]) < previous); /* the attacks do something */
        previous = metric_of(&s, names[which]);
    }
    end(&s);
}

/* Of images: epsilons in pixels, and nothing beyond black and white. */
static void test_robustness_of_images(void **state) {
    (void)state;
    enum { SAMPLES = 5 };
    subject s;
    begin(
        &s, "{name: digits, train_size: 30, validation_size: 20}",
        "{layers: [{type: flatten}, {type: linear, units: 6}, {type: tanh}, {type: linear, units: "
        "10}]}",
        NULL, "{robustness: {attack: fgsm, epsilons: [0.1], units: original, samples: 5}}");
    const double *mean, *deviation;
    int64_t groups;
    gr_split_standardization(s.split, &mean, &deviation, &groups);
    const int64_t size = gr_split_size(s.split, GR_PART_TEST);
    double total = 0, unclipped = 0;
    for (int64_t i = 0; i < SAMPLES; i++) {
        double x[784];
        int label;
        sample_at(&s, GR_PART_TEST, i * size / SAMPLES, x, &label);
        climb(&s, x, label, 0.1 / deviation[0]);
        unclipped += loss_at(&s, x, label, 0);
        for (int f = 0; f < 784; f++)
            x[f] = clamped(x[f], -mean[0] / deviation[0], (1 - mean[0]) / deviation[0]);
        total += loss_at(&s, x, label, 0);
    }
    assert_near("loss", list_of(&s, "robustness/fgsm/loss", 1)[0], total / SAMPLES, 1e-7);
    assert_true(fabs(total - unclipped) > 0.01);
    assert_null(gr_arrays_find(&s.analysis.values, "robustness/pgd/loss"));
    end(&s);
}

/* -- calibration
 * ------------------------------------------------------------------------------------ */

static void test_calibration(void **state) {
    (void)state;
    enum { BINS = 7 };
    subject s;
    gr_error error = {0};
    gr_predictor *predictor;
    gr_predictions block;
    begin(&s, "{name: digits, train_size: 60, validation_size: 20}",
          "{layers: [{type: flatten}, {type: linear, units: 10}]}", NULL,
          "{calibration: {bins: 7}}");
    require(
        gr_predictor_create(&s.spec.plan, s.dataset, &s.model, GR_PART_TEST, &predictor, &error),
        &error);
    double counts[BINS] = {0}, right[BINS] = {0}, confidences[BINS] = {0}, nll = 0, brier = 0,
           n = 0;
    while (gr_predictor_next(predictor, &block))
        for (int64_t i = 0; i < block.count; i++, n++) {
            const double confidence = block.p[block.classes[i] * block.count + i];
            int bin = 0;
            while (bin + 1 < BINS && confidence > (bin + 1.0) / BINS) bin++;
            counts[bin]++;
            confidences[bin] += confidence;
            right[bin] += block.classes[i] == block.labels[i];
            nll -= log(block.p[block.labels[i] * block.count + i]);
            for (int k = 0; k < 10; k++)
                brier += pow(block.p[k * block.count + i] - (k == block.labels[i]), 2);
        }
    gr_predictor_free(predictor);
    double ece = 0, all_right = 0;
    const double *table = list_of(&s, "calibration/bins/accuracy", BINS);
    for (int b = 0; b < BINS; b++) {
        if (counts[b] > 0) {
            ece += counts[b] / n * fabs(right[b] / counts[b] - confidences[b] / counts[b]);
            assert_near("accuracy", table[b], right[b] / counts[b], sum_tolerance);
        } else {
            assert_true(isnan(table[b]));
        }
        all_right += right[b];
    }
    assert_true(ece > 0.01);
    assert_near("ece", metric_of(&s, "calibration.ece"), ece, 1e-11);
    assert_near("nll", metric_of(&s, "calibration.nll"), nll / n, 1e-11);
    assert_near("brier", metric_of(&s, "calibration.brier"), brier / n, 1e-11);
    assert_near("accuracy", value_of(&s, "calibration/accuracy"), all_right / n, 0);
    end(&s);
}

/* -- pictures and functions
 * ------------------------------------------------------------------------- */

static void test_input_gradients(void **state) {
    (void)state;
    subject s;
    begin(
        &s, "{name: digits, train_size: 30, validation_size: 20}",
        "{layers: [{type: flatten}, {type: linear, units: 6}, {type: tanh}, {type: linear, units: "
        "10}]}",
        NULL, "{input_gradients: {positions: [7, 3]}}");
    const gr_array *gradients = gr_arrays_find(&s.analysis.values, "input_gradients/gradients");
    const gr_array *images = gr_arrays_find(&s.analysis.values, "input_gradients/images");
    assert_non_null(gradients);
    assert_non_null(images);
    const double *scales = list_of(&s, "input_gradients/scales", 2);
    const int64_t positions[] = {7, 3}, *indices = gr_split_indices(s.split, GR_PART_TEST);
    (void)indices;
    const double *mean, *deviation;
    int64_t groups;
    gr_split_standardization(s.split, &mean, &deviation, &groups);
    for (int i = 0; i < 2; i++) {
        double x[784], greatest = 0, gradient[784];
        int label;
        sample_at(&s, GR_PART_TEST, positions[i], x, &label);
        for (int f = 0; f < 784; f++) {
            const double at = x[f];
            x[f] = at + step;
            gradient[f] = loss_at(&s, x, label, 0);
            x[f] = at - step;
            gradient[f] = (gradient[f] - loss_at(&s, x, label, 0)) / (2 * step);
            x[f] = at;
            greatest = fmax(greatest, fabs(gradient[f]));
        }
        assert_near("scale", scales[i], greatest / 127, difference_tolerance);
        for (int f = 0; f < 784; f++) {
            const int shown = ((const int32_t *)gradients->data)[i * 784 + f];
            assert_true(fabs(shown * scales[i] - gradient[f]) <= 0.501 * scales[i] + 1e-8);
            const double pixel = 255 * (x[f] * deviation[0] + mean[0]);
            assert_true(fabs(pixel - ((const uint8_t *)images->data)[i * 784 + f]) < 1e-3);
        }
    }
    end(&s);
}

static void test_function(void **state) {
    (void)state;
    subject s;
    begin(&s, "{name: toy1}", "{preset: toy}", "{type: squared_error}", "{function: {}}");
    const int64_t size = gr_split_size(s.split, GR_PART_TEST);
    const double *inputs = list_of(&s, "function/grid/inputs", size);
    const double *truth = list_of(&s, "function/grid/truth", size);
    const double *fitted = list_of(&s, "function/grid/fitted", size);
    double spread = 0;
    for (int64_t i = 0; i < size; i++) {
        double x;
        int label;
        sample_at(&s, GR_PART_TEST, i, &x, &label);
        assert_near("truth", truth[i], sin(5 * inputs[i]), 1e-9);
        assert_near("fitted", fitted[i], outputs_at(&s, &x)[0], 1e-9);
        spread = fmax(spread, fabs(inputs[i]));
    }
    assert_near("grid", spread, 1, 0.01);
    const int64_t training = gr_split_size(s.split, GR_PART_TRAINING);
    list_of(&s, "function/training/inputs", training);
    const double *targets = list_of(&s, "function/training/targets", training);
    const double *points = list_of(&s, "function/training/inputs", training);
    double squares = 0;
    for (int64_t i = 0; i < training; i++) squares += pow(targets[i] - sin(5 * points[i]), 2);
    assert_near("noise", sqrt(squares / (double)training), 0.1, 0.03);
    end(&s);
}

/* -- what they share
 * -------------------------------------------------------------------------------- */

static void test_distribution(void **state) {
    (void)state;
    double values[] = {4, NAN, 1, 2, 3};
    int64_t counts[4];
    gr_sort(values, 5);
    assert_true(isinf(values[4]));
    assert_near("median", gr_quantile(values, 4, 0.5), 2.5, 0);
    assert_near("last", gr_quantile(values, 4, 1), 4, 0);
    assert_near("tenth", gr_quantile(values, 4, 0.1), 1.3, 1e-15);
    assert_near("of one", gr_quantile(values, 1, 0.3), 1, 0);
    assert_near("sd", gr_standard_deviation(values, 4, 2.5), sqrt(5.0 / 3), 1e-15);
    gr_histogram(values, 5, 1, 3, 4, counts);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 1);
    assert_int_equal(counts[3], 1); /* closed at 3; 4 and infinity lie outside */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_gradient_norms),
        cmocka_unit_test(test_gradient_norms_of_images),
        cmocka_unit_test(test_saturated),
        cmocka_unit_test(test_transitions),
        cmocka_unit_test(test_lipschitz),
        cmocka_unit_test(test_robustness),
        cmocka_unit_test(test_robustness_of_images),
        cmocka_unit_test(test_calibration),
        cmocka_unit_test(test_input_gradients),
        cmocka_unit_test(test_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
