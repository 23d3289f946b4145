#include "tests/gradient/gradient_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/loss.h"
#include "core/model.h"
#include "core/objective.h"
#include "core/regularizer.h"
#include "gradreg/training.h"
#include "tests/settings_builder.h"

static void require(gr_status status, const gr_error *error) {
    if (status != GR_OK) fail_msg("%s %s", error->place, error->message);
}

static double *add(gr_arrays *arrays, const char *name, const gr_shape *shape) {
    gr_error error = {0};
    void *data;
    require(gr_arrays_add(arrays, name, GR_F64, shape, &data, &error), &error);
    return data;
}

/* Random numbers of the problem: purposes of the core only serve to keep the streams apart. */
static double normal(uint64_t seed, uint32_t stream, int64_t element) {
    const gr_random random = gr_random_source(seed, GR_PURPOSE_GENERATED_DATA, stream, 0);
    return gr_random_normal(&random, 0, (uint32_t)element);
}

static void add_weights(gradient_problem *problem, uint64_t seed) {
    const gr_network *network = problem->network;
    const size_t count = (size_t)network->parameter_count;
    gr_real *parameters = calloc(count, sizeof *parameters);
    assert_non_null(parameters);
    gr_network_initialize(network, seed, parameters);
    /* Biases, too, away from where initialisation puts them: nothing may depend on their being 0.
     */
    for (size_t i = 0; i < count; i++) parameters[i] += 0.2 * normal(seed, 0, (int64_t)i);
    gr_error error = {0};
    require(gr_network_to_arrays(network, "", parameters, NULL, 0, &problem->weights, &error),
            &error);
    free(parameters);
}

static void add_batch(gradient_problem *problem, int64_t samples, bool labelled, uint64_t seed) {
    gr_shape shape = *gr_network_input(problem->network);
    const int64_t features = gr_shape_elements(&shape);
    const int64_t outputs = gr_network_outputs(problem->network);
    for (int i = shape.rank++; i > 0; i--) shape.size[i] = shape.size[i - 1];
    shape.size[0] = samples;
    double *x = add(&problem->batch, "x", &shape);
    for (int64_t i = 0; i < samples * features; i++) x[i] = normal(seed, 1, i);
    if (!gr_loss_kind_of(&problem->loss)->regression || labelled) {
        void *labels;
        gr_error error = {0};
        const gr_shape vector = {1, {samples}};
        require(gr_arrays_add(&problem->batch, "y", GR_I64, &vector, &labels, &error), &error);
        const gr_random random = gr_random_source(seed, GR_PURPOSE_GENERATED_DATA, 2, 0);
        for (int64_t s = 0; s < samples; s++)
            ((int64_t *)labels)[s] = gr_random_below(&random, 0, (uint32_t)s, outputs);
    } else {
        double *y = add(&problem->batch, "y", &(gr_shape){2, {samples, outputs}});
        for (int64_t i = 0; i < samples * outputs; i++) y[i] = normal(seed, 2, i);
    }
}

gradient_problem gradient_problem_create(const char *input, const char *layers, const char *loss,
                                         int64_t samples, bool labelled, uint64_t seed) {
    char text[4096];
    const int length = snprintf(text, sizeof text, "{input_shape: %s, layers: %s}", input, layers);
    assert_true(length > 0 && (size_t)length < sizeof text);
    gradient_problem problem = {.model = settings_build(&gr_model_family, text),
                                .loss = settings_build(&gr_loss_family, loss)};
    gr_error error = {0};
    require(gr_model_build(&problem.model, NULL, 0, &problem.network, &error), &error);
    add_weights(&problem, seed);
    add_batch(&problem, samples, labelled, seed);
    return problem;
}

void gradient_problem_clear(gradient_problem *problem) {
    gr_network_free(problem->network);
    gr_arrays_clear(&problem->weights);
    gr_arrays_clear(&problem->batch);
    gr_settings_clear(&problem->model);
    gr_settings_clear(&problem->loss);
}

void gradient_problem_give_probe(gradient_problem *problem, uint64_t seed) {
    const int64_t outputs = gr_network_outputs(problem->network);
    double *probe = add(&problem->batch, "probe", &(gr_shape){1, {outputs}});
    for (int64_t k = 0; k < outputs; k++) probe[k] = normal(seed, 3, k);
}

/* -- evaluation
 * -------------------------------------------------------------------------------------------- */

static gr_arrays evaluate(const gradient_problem *problem, const gr_settings *regularizers,
                          size_t count) {
    gr_arrays answer = {0};
    gr_error error = {0};
    require(gr_gradients(&problem->model, &problem->loss, regularizers, count, &problem->weights,
                         &problem->batch, &answer, &error),
            &error);
    return answer;
}

/* As evaluate, with the weight of every regulariser 0. They still have their lanes, so blocks and
 * the order of sums are those of the weighted penalty: where its gradient is exactly 0, bits are
 * equal. */
static gr_arrays evaluate_without_weight(const gradient_problem *problem, gr_settings *list,
                                         size_t count) {
    gr_value kept[GR_MAXIMUM_REGULARIZERS];
    assert_true(count <= GR_MAXIMUM_REGULARIZERS);
    for (size_t i = 0; i < count; i++) {
        gr_value *weight = &list[i].values[gr_kind_option(list[i].kind, "weight")];
        kept[i] = *weight;
        *weight = (gr_value){.type = GR_NUMBER, .number = 0};
    }
    const gr_arrays answer = evaluate(problem, list, count);
    for (size_t i = 0; i < count; i++)
        list[i].values[gr_kind_option(list[i].kind, "weight")] = kept[i];
    return answer;
}

gr_arrays gradient_evaluate(const gradient_problem *problem, const char *regularizers) {
    size_t count = 0;
    gr_settings *list =
        regularizers ? settings_build_list(&gr_regularizer_family, regularizers, &count) : NULL;
    const gr_arrays answer = evaluate(problem, list, count);
    gr_settings_array_free(list, count);
    return answer;
}

static double scalar_of(const gr_arrays *arrays, const char *name) {
    const gr_array *array = gr_arrays_find(arrays, name);
    assert_non_null(array);
    return *(const double *)array->data;
}

/* The scalar with element `element` of a weight array moved by `step`. */
static double moved(const gradient_problem *problem, const gr_settings *regularizers, size_t count,
                    const char *scalar, double *element, double step) {
    const double before = *element;
    *element = before + step;
    gr_arrays answer = evaluate(problem, regularizers, count);
    *element = before;
    const double value = scalar_of(&answer, scalar);
    gr_arrays_clear(&answer);
    return value;
}

/* -- comparison
 * -------------------------------------------------------------------------------------------- */

/* The worst second difference of a tensor's elements, over the step: of size h where the function
 * is smooth, of size 1 where a kink lies within the step. */
typedef struct difference {
    double error, norm, own_norm, bend;
} difference;

static difference compare(const gradient_problem *problem, const gr_settings *regularizers,
                          size_t count, const char *scalar, gr_array *weight,
                          const double *gradient, double here) {
    difference d = {0};
    double *values = weight->data;
    const int64_t elements = gr_shape_elements(&weight->shape);
    const int64_t stride = problem->stride && problem->stride < elements ? problem->stride : 1;
    for (int64_t e = 0; e < elements; e += stride) {
        const double up = moved(problem, regularizers, count, scalar, values + e, GRADIENT_STEP);
        const double down = moved(problem, regularizers, count, scalar, values + e, -GRADIENT_STEP);
        const double numeric = (up - down) / (2 * GRADIENT_STEP);
        d.error += (gradient[e] - numeric) * (gradient[e] - numeric);
        d.norm += numeric * numeric;
        d.own_norm += gradient[e] * gradient[e];
        d.bend = fmax(d.bend, fabs(up - 2 * here + down) / GRADIENT_STEP);
    }
    d.error = sqrt(d.error);
    d.norm = sqrt(d.norm);
    d.own_norm = sqrt(d.own_norm);
    return d;
}

/* Whether `name` is a word of `list` (which may be NULL). */
static bool listed(const char *list, const char *name) {
    const size_t length = strlen(name);
    for (const char *at = list ? strstr(list, name) : NULL; at; at = strstr(at + 1, name))
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return true;
    return false;
}

void gradient_check(const char *title, const gradient_problem *problem, const char *regularizers,
                    const char *scalar, gradient_zero_rule *zero) {
    size_t count = 0;
    gr_settings *list =
        regularizers ? settings_build_list(&gr_regularizer_family, regularizers, &count) : NULL;
    gr_arrays with = evaluate(problem, list, count), without = {0}, weightless = {0};
    const bool alone = strncmp(scalar, "regularizers.", 13) == 0;
    if (alone) {
        without = evaluate(problem, NULL, 0);
        weightless = evaluate_without_weight(problem, list, count);
    }
    const double here = scalar_of(&with, scalar);
    if (!isfinite(here)) fail_msg("%s: %s is not finite", title, scalar);

    for (int n = 0; n < problem->network->node_count; n++) {
        const gr_node *node = &problem->network->nodes[n];
        for (int p = 0; p < node->parameter_count; p++) {
            const gr_parameter *parameter = &node->parameters[p];
            char name[128], gradient_name[160];
            snprintf(name, sizeof name, "%s.%s", node->name, parameter->name);
            snprintf(gradient_name, sizeof gradient_name, "grad.%s", name);
            const gr_array *array = gr_arrays_find(&with, gradient_name);
            gr_array *weight = NULL;
            for (size_t i = 0; i < problem->weights.count; i++)
                if (strcmp(problem->weights.items[i].name, name) == 0)
                    weight = &problem->weights.items[i];
            assert_non_null(array);
            assert_non_null(weight);
            assert_true(gr_shape_equal(&array->shape, &weight->shape));
            double *gradient = array->data;
            const int64_t elements = gr_shape_elements(&array->shape);
            const gr_array *base = alone ? gr_arrays_find(&without, gradient_name) : NULL;
            const gr_array *same = alone ? gr_arrays_find(&weightless, gradient_name) : NULL;
            const bool unmoved =
                same && memcmp(same->data, gradient, (size_t)elements * sizeof(double)) == 0;
            for (int64_t e = 0; base && e < elements; e++)
                gradient[e] -= ((const double *)base->data)[e];

            const difference d = compare(problem, list, count, scalar, weight, gradient, here);
            if (zero && zero(problem->network, node, parameter)) {
                if (!unmoved || d.own_norm > GRADIENT_VANISHING || d.norm > GRADIENT_VANISHING)
                    fail_msg("%s: the gradient of %s must be exactly 0, but is %.3g "
                             "(numerically %.3g)%s",
                             title, name, d.own_norm, d.norm,
                             unmoved ? "" : ", and follows the weight");
                continue;
            }
            if (listed(problem->vanishing, name)) {
                if (d.own_norm > GRADIENT_VANISHING || d.norm > GRADIENT_VANISHING)
                    fail_msg("%s: the gradient of %s must vanish, but is %.3g (numerically %.3g)",
                             title, name, d.own_norm, d.norm);
                continue;
            }
            if (!(d.norm >= GRADIENT_GUARD))
                fail_msg("%s: the gradient of %s has a norm of only %.3g: it proves nothing", title,
                         name, d.norm);
            if (!(d.error <= GRADIENT_TOLERANCE * d.norm))
                fail_msg("%s: the gradient of %s is off by %.3g of its norm %.3g%s", title, name,
                         d.error / d.norm, d.norm,
                         d.bend > 1e-2 * d.norm ? " (perhaps a kink: try another seed)" : "");
        }
    }
    gr_arrays_clear(&with);
    gr_arrays_clear(&without);
    gr_arrays_clear(&weightless);
    gr_settings_array_free(list, count);
}

bool gradient_zero_for_constant_cotangent(const gr_network *network, const gr_node *node,
                                          const gr_parameter *parameter) {
    if (strcmp(parameter->name, "bias") != 0) return false;
    static bool depends[GR_MAXIMUM_NODES + 1]; /* by value: on this bias */
    memset(depends, 0, sizeof depends);
    depends[node->index + 1] = true;
    for (int i = node->index + 1; i < network->node_count; i++)
        for (int j = 0; j < network->nodes[i].input_count; j++) {
            if (!depends[network->nodes[i].inputs[j]]) continue;
            depends[i + 1] = true;
            if (network->nodes[i].kind->curvature) return false;
        }
    return true;
}

bool gradient_probe_is_constant(const char *probe) {
    static const char *const constant[] = {"random", "logits", "label", "random_label", "top_k"};
    static const char *const moving[] = {"loss", "softmax", "expected"};
    for (size_t i = 0; i < sizeof constant / sizeof *constant; i++)
        if (strcmp(probe, constant[i]) == 0) return true;
    for (size_t i = 0; i < sizeof moving / sizeof *moving; i++)
        if (strcmp(probe, moving[i]) == 0) return false;
    fail_msg("the probe %s is new: does its cotangent depend on the logits?", probe);
    return false;
}

const char *const *gradient_probes(void) {
    const gr_kind *kind = &gr_regularizer_gradient_penalty.kind;
    return kind->options[gr_kind_option(kind, "probe")].choices;
}
