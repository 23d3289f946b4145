/* The regularised loss and its gradient do not depend on how a batch is cut into blocks, nor
 * (beyond rounding) on the set of kernels; where a gradient is exactly zero, it is so in bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/model.h"
#include "core/objective.h"
#include "tests/core/kernel_sets.h"
#include "tests/near.h"
#include "tests/settings_builder.h"

/* float32: sums of some hundred products err by about 1e-6 of their size, a few layers and passes
 * in a row by ten times that. ‖difference‖/‖gradient‖ over all parameters. */
#define BLOCK_TOLERANCE 2e-5

enum { BATCH = 70, OUTPUTS = 4 }; /* more samples than there are norms at once (GR_NORMS) */

static const char layers[] =
    "{input_shape: [2, 9, 9], layers: [{type: conv2d, filters: 5, kernel: 3, padding: same}, "
    "{type: relu}, {type: maxpool2d}, {type: conv2d, filters: 6, kernel: 2}, {type: tanh}, "
    "{type: conv2d, filters: 7, kernel: 3}, {type: softplus}, {type: flatten}, {type: dropout}, "
    "{type: linear, units: 4}]}";
/* Matrix products that leave out what a relu stops, where there are lanes enough: the first layer's
 * outputs have another reader, the second's pass through relus alone. */
static const char products[] =
    "{input_shape: [2, 9, 9], layers: [{type: flatten}, {type: linear, units: 100}, {type: "
    "residual, body: [{type: relu}, {type: linear, units: 100}, {type: relu}, {type: linear, "
    "units: 100}]}, {type: relu}, {type: linear, units: 30}, {type: relu}, {type: linear, units: "
    "4}]}";
/* Draws for each sample: they must not notice where a block begins. Ten probes: with vectors of
 * eight two of them are a group of their own. */
static const char regularizers[] =
    "[{type: jacreg, weight: 1}, {type: gradient_penalty, probe: random, per: sample, weight: 1}, "
    "{type: random_onehot, weight: 1}, {type: datagrad, shape: two_sided, weight: 1}, "
    "{type: frobreg, projections: 3, weight: 1}, {type: weight_decay, weight: 0.1}]";

typedef struct answer {
    gr_objective_result result;
    gr_real *gradients;
    int64_t count;
    int regularizers;
    bool turned; /* the inputs are [sample][feature] */
} answer;

/* They begin as zeros, which would hide whose they are. */
static void fill_biases(const gr_network *network, gr_real *parameters) {
    for (int n = 0; n < network->node_count; n++)
        for (int i = 0; i < network->nodes[n].parameter_count; i++) {
            const gr_parameter *parameter = &network->nodes[n].parameters[i];
            if (strcmp(parameter->name, "bias") != 0) continue;
            for (int64_t j = 0; j < gr_shape_elements(&parameter->shape); j++)
                parameters[parameter->offset + j] = (gr_real)(j % 5 - 2) / 10;
        }
}

static answer evaluate_of(const char *model_text, const char *regularizers_text, int64_t block) {
    gr_settings model = settings_build(&gr_model_family, model_text);
    gr_settings loss = settings_build(&gr_loss_family, "{type: cross_entropy}");
    size_t count;
    gr_settings *list = settings_build_list(&gr_regularizer_family, regularizers_text, &count);
    gr_network *network;
    gr_objective *objective;
    gr_error error = {0};
    assert_int_equal(gr_model_build(&model, NULL, 0, &network, &error), GR_OK);
    const gr_fit fit = {.network = network, .loss = gr_loss_kind_of(&loss), .labels = true};
    assert_int_equal(gr_objective_create(&fit, &loss, list, count, block, 0, 0, &objective, &error),
                     GR_OK);
    const int64_t features = gr_network_features(network, 0);
    guarded parameters = guarded_normal(network->parameter_count, 1, 1);
    guarded x = guarded_normal(features * BATCH, 1, 2);
    gr_network_initialize(network, 5, parameters.data);
    fill_biases(network, parameters.data);
    answer a = {.count = network->parameter_count, .regularizers = (int)count};
    a.gradients = calloc((size_t)a.count + GR_SLACK_BYTES, sizeof *a.gradients);
    assert_non_null(a.gradients);
    gr_real *input = gr_objective_input(objective, &a.turned);
    for (int64_t first = 0; first < BATCH; first += block) {
        const int64_t samples = BATCH - first < block ? BATCH - first : block;
        int32_t labels[BATCH];
        for (int64_t s = 0; s < samples; s++) {
            labels[s] = (int32_t)((first + s) % OUTPUTS);
            for (int64_t f = 0; f < features; f++)
                input[a.turned ? s * features + f : f * samples + s] =
                    ((const gr_real *)x.data)[f * BATCH + first + s];
        }
        gr_objective_block(
            objective, parameters.data,
            &(gr_block){.samples = samples,
                        .batch_size = BATCH,
                        .draw = {.seed = 3, .iteration = 9, .first_sample = (uint32_t)first},
                        .labels = labels},
            a.gradients, &a.result);
    }
    gr_objective_finish(objective, parameters.data, 9, NULL, a.gradients, &a.result);
    guarded_check(&parameters, "parameters");
    gr_objective_free(objective);
    gr_network_free(network);
    gr_settings_array_free(list, count);
    gr_settings_clear(&loss);
    gr_settings_clear(&model);
    guarded_free(&parameters);
    guarded_free(&x);
    return a;
}

static answer evaluate(int64_t block) {
    return evaluate_of(layers, regularizers, block);
}

static void assert_alike(const answer *a, const answer *b) {
    double difference = 0, norm = 0;
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        const double x = (double)a->gradients[i], y = (double)b->gradients[i];
        difference += (x - y) * (x - y);
        norm += x * x;
    }
    assert_true(norm > 1e-3);
    assert_near(sqrt(difference / norm), 0, BLOCK_TOLERANCE);
    assert_near(b->result.loss, a->result.loss, BLOCK_TOLERANCE * a->result.loss);
    assert_near(b->result.total, a->result.total, BLOCK_TOLERANCE * a->result.total);
    for (int i = 0; i < a->regularizers; i++) {
        assert_true(a->result.values[i] > 0);
        assert_near(b->result.values[i], a->result.values[i],
                    BLOCK_TOLERANCE * a->result.values[i]);
    }
    assert_int_equal(b->result.correct, a->result.correct);
}

static void check_blocks(const char *model) {
    answer whole = evaluate_of(model, regularizers, BATCH);
    static const int64_t blocks[] = {1, 2, 5, 8, 16, 22};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        answer cut = evaluate_of(model, regularizers, blocks[i]);
        assert_alike(&whole, &cut);
        free(cut.gradients);
    }
    free(whole.gradients);
}

static void test_blocks(void **state) {
    (void)state;
    check_blocks(layers);
    check_blocks(products);
}

/* A first linear layer that finds the inputs turned, and those of probes where the penalties know
 * it, against one that does not, since something stands before it. */
static void test_turned(void **state) {
    (void)state;
    static const struct {
        const char *penalties;
        bool turned; /* nothing else reads the inputs */
    } cases[] = {
        {"[]", true},
        {regularizers, true},
        {"[{type: gradient_penalty, probe: softmax, norm: l1, weight: 1}, {type: datagrad, weight: "
         "2}]",
         true},
        {"[{type: derivative_sparsity, weight: 1}, {type: datagrad, weight: 2}]", true},
        {"[{type: tangent_prop, weight: 1}, {type: jacreg, weight: 1}]", false},
        {"[{type: gradient_penalty, probe: loss, at: mixup, weight: 1}, {type: spectreg, weight: "
         "1}]",
         false},
        {"[{type: contractive, weight: 1}, {type: datagrad, weight: 1}]", true},
    };
    enum { HIDDEN = 3 };
    static const char *const hidden[HIDDEN] = {
        "{type: linear, units: 100}, {type: relu}, {type: linear, units: 30}, {type: relu}, ",
        "{type: linear, units: 100}, {type: tanh}, {type: linear, units: 30}, {type: relu}, ", ""};
    for (size_t which = 0; which < HIDDEN * sizeof cases / sizeof *cases; which++) {
        answer answers[2];
        for (int apart = 0; apart < 2; apart++) {
            char text[400];
            snprintf(text, sizeof text,
                     "{input_shape: [2, 9, 9], layers: [{type: flatten}, {type: %s}, %s"
                     "{type: linear, units: 4}]}",
                     apart ? "dropout, rate: 0" : "flatten", hidden[which % HIDDEN]);
            answers[apart] = evaluate_of(text, cases[which / HIDDEN].penalties, BATCH);
        }
        assert_int_equal(answers[0].turned, cases[which / HIDDEN].turned);
        assert_false(answers[1].turned);
        assert_alike(&answers[1], &answers[0]);
        free(answers[0].gradients);
        free(answers[1].gradients);
    }
}

/* Tangents that a relu and others read are all made: as where something stands before the relu. */
static void test_read_twice(void **state) {
    (void)state;
    static const char relu[] = "{type: relu}", nothing[] = "{type: dropout, rate: 0}";
    answer answers[2];
    for (int apart = 0; apart < 2; apart++) {
        char text[400];
        snprintf(text, sizeof text,
                 "{input_shape: [2, 17, 17], layers: [{type: flatten}, {type: linear, units: 60}, "
                 "{type: residual, body: [%s, %s, {type: linear, units: 60}]}, "
                 "{type: linear, units: 4}]}",
                 apart ? nothing : relu, apart ? relu : nothing);
        answers[apart] = evaluate_of(text, "[{type: datagrad, weight: 2}]", BATCH);
    }
    assert_alike(&answers[1], &answers[0]);
    for (int apart = 0; apart < 2; apart++) free(answers[apart].gradients);
}

static void test_kernel_sets(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    answer first = {0};
    for (int i = 0; i < sets; i++) {
        setenv("GRADREG_KERNELS", set[i]->name, 1);
        answer next = evaluate(8), again = evaluate(8);
        assert_memory_equal(next.gradients, again.gradients, (size_t)next.count * sizeof(gr_real));
        free(again.gradients);
        if (i == 0) {
            first = next;
            continue;
        }
        assert_alike(&first, &next);
        free(next.gradients);
    }
    unsetenv("GRADREG_KERNELS");
    free(first.gradients);
}

/* A first convolution that does its max-pool's work too, a few filters at a time, comes to the same
 * bits as one that does not, because something stands between them. With 16 channels Winograd's
 * algorithm takes all at once; the pooled kernels, which would sum in another order, do not take
 * windows as wide as these for a probe or two (gr_pooled_pays). */
static void test_joined_pool(void **state) {
    (void)state;
    static const char *const pools[] = {"{type: maxpool2d, size: 4}",
                                        "{type: maxpool2d, size: 4, stride: 5}"};
    static const int channels[][2] = {{1, 6}, {16, 16}}; /* in, out */
    static const char nothing[] = "{type: dropout, rate: 0}";
    static const char *const penalties[] = {"[]", "[{type: datagrad, weight: 1}]"};
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (int i = 0; i < sets; i++)
        for (int which = 0; which < 8; which++) {
            const char *pool = pools[which & 1], *penalty = penalties[which >> 1 & 1];
            const int *c = channels[which >> 2];
            answer answers[2];
            setenv("GRADREG_KERNELS", set[i]->name, 1);
            for (int apart = 0; apart < 2; apart++) {
                char text[400];
                snprintf(text, sizeof text,
                         "{input_shape: [%d, 9, 9], layers: [{type: conv2d, filters: %d, kernel: "
                         "3, padding: same}, %s, %s, {type: tanh}, {type: conv2d, filters: 5, "
                         "kernel: 2}, {type: flatten}, {type: linear, units: 4}]}",
                         c[0], c[1], apart ? nothing : pool, apart ? pool : nothing);
                answers[apart] = evaluate_of(text, penalty, BATCH);
            }
            unsetenv("GRADREG_KERNELS");
            assert_memory_equal(answers[0].gradients, answers[1].gradients,
                                (size_t)answers[0].count * sizeof(gr_real));
            assert_memory_equal(&answers[0].result, &answers[1].result, sizeof answers[0].result);
            for (int apart = 0; apart < 2; apart++) free(answers[apart].gradients);
        }
}

/* A max-pool that takes the place of the activation before it changes nothing: as where something
 * stands between them, and with a leaky_relu that falls, which keeps its place. Few channels and
 * many, which the second convolution works on by another algorithm where no relu follows the pool,
 * unless the samples of a block are few. */
static void test_pool_before_activation(void **state) {
    (void)state;
    static const char *const activations[] = {"{type: relu}",     "{type: tanh}",
                                              "{type: sigmoid}",  "{type: leaky_relu, slope: 0.2}",
                                              "{type: softplus}", "{type: leaky_relu, slope: -0.5}",
                                              "{type: elu}",      "{type: leaky_relu, slope: 0}"};
    static const char nothing[] = "{type: dropout, rate: 0}", pool[] = "{type: maxpool2d}";
    for (size_t i = 0; i < 2 * sizeof activations / sizeof *activations; i++) {
        const char *activation = activations[i / 2];
        answer answers[3]; /* in their own order; apart; in their own order, in blocks */
        for (int which = 0; which < 3; which++) {
            const bool apart = which == 1;
            char text[400];
            snprintf(text, sizeof text,
                     "{input_shape: [2, 9, 9], layers: [{type: conv2d, filters: %d, kernel: 3, "
                     "padding: same}, {type: conv2d, filters: 16, kernel: 3, padding: same}, %s, "
                     "%s, %s, {type: flatten}, {type: linear, units: 4}]}",
                     i % 2 ? 16 : 3, activation, apart ? nothing : pool, apart ? pool : nothing);
            answers[which] = evaluate_of(text, regularizers, which == 2 ? 8 : BATCH);
        }
        assert_alike(&answers[1], &answers[0]);
        assert_alike(&answers[1], &answers[2]);
        for (int which = 0; which < 3; which++) free(answers[which].gradients);
    }
}

/* Piecewise linear from end to end, with every layer that is. */
static const char piecewise[] =
    "{input_shape: [2, 9, 9], layers: [{type: conv2d, filters: 5, kernel: 3, padding: same}, "
    "{type: relu}, {type: maxpool2d, size: 3, stride: 2}, {type: residual, body: [{type: conv2d, "
    "filters: 6, kernel: 3, stride: 2, padding: same}, {type: relu}, {type: conv2d, filters: 6, "
    "kernel: 3, padding: same}], shortcut: [{type: avgpool2d}, {type: pad_channels, channels: 6}]},"
    "{type: relu}, {type: conv2d, filters: 7, kernel: 2}, {type: leaky_relu}, {type: flatten}, "
    "{type: dropout}, {type: linear, units: 8}, {type: relu}, {type: linear, units: 4}]}";

/* The exact zero of docs/methods.md: J of a piecewise linear network does not move with a bias, so
 * a penalty whose cotangent is constant leaves every bit of a bias's gradient as it is; one whose
 * cotangent moves does not, and no weight's stays. */
static void check_biases(const char *penalty, bool zero) {
    char without[160], with[160];
    snprintf(without, sizeof without, "[{type: gradient_penalty, weight: 0, %s}]", penalty);
    snprintf(with, sizeof with, "[{type: gradient_penalty, weight: 30, %s}]", penalty);
    answer a = evaluate_of(piecewise, without, 8), b = evaluate_of(piecewise, with, 8);
    gr_settings model = settings_build(&gr_model_family, piecewise);
    gr_network *network;
    assert_int_equal(gr_model_build(&model, NULL, 0, &network, NULL), GR_OK);
    int biases = 0;
    for (int n = 0; n < network->node_count; n++)
        for (int i = 0; i < network->nodes[n].parameter_count; i++) {
            const gr_parameter *parameter = &network->nodes[n].parameters[i];
            const bool bias = strcmp(parameter->name, "bias") == 0;
            const size_t size = (size_t)gr_shape_elements(&parameter->shape) * sizeof(gr_real);
            const bool same =
                memcmp(a.gradients + parameter->offset, b.gradients + parameter->offset, size) == 0;
            if (same != (bias && zero))
                fail_msg("%s: the penalty %s the gradient of %s.%s", penalty,
                         same ? "does not reach" : "reaches", network->nodes[n].name,
                         parameter->name);
            biases += bias;
        }
    assert_int_equal(biases, 6);
    gr_network_free(network);
    gr_settings_clear(&model);
    free(a.gradients);
    free(b.gradients);
}

static void test_biases_and_constant_cotangents(void **state) {
    (void)state;
    static const char *const constant[] = {"probe: random",
                                           "probe: random, per: sample, norm: l1",
                                           "probe: logits",
                                           "probe: logits, projections: 3",
                                           "probe: label, shape: two_sided",
                                           "probe: random_label",
                                           "probe: top_k, k: 2, shape: norm",
                                           "probe: logits, at: noise",
                                           "probe: random, resample_dropout: true"};
    static const char *const moving[] = {"probe: loss", "probe: softmax", "probe: expected"};
    for (size_t i = 0; i < sizeof constant / sizeof *constant; i++) check_biases(constant[i], true);
    for (size_t i = 0; i < sizeof moving / sizeof *moving; i++) check_biases(moving[i], false);
}

/* φ of one sample x = (1, 1), for the logits w·x, w [2][2], and the label 0, in closed form: of
 * jacreg, of datagrad, and of the probe "expected". */
static double penalty_of(int which, const double w[4]) {
    const double d = w[0] + w[1] - w[2] - w[3];
    const double other = 1 / (1 + exp(d)), first = 1 / (1 + exp(-d)), product = other * first;
    double squares = 0, expected = 0;
    for (int i = 0; i < 2; i++) {
        const double apart = w[i] - w[2 + i];
        const double g = first * w[i] + other * w[2 + i] + product * d * apart;
        squares += apart * apart;
        expected += g * g;
    }
    return which == 0   ? 2 * product * product * squares
           : which == 1 ? other * other * squares
                        : expected;
}

/* Where the network is sure, 1 - p is two parts in a million: what is made of it must not come from
 * p in single precision. */
static void test_saturated_softmax(void **state) {
    (void)state;
    static const char *const penalties[] = {
        "[{type: jacreg, weight: 1e9}]", "[{type: datagrad, weight: 1e9}]",
        "[{type: gradient_penalty, probe: expected, weight: 1e3}]"};
    static const double weights[] = {1e9, 1e9, 1e3};
    for (int which = 0; which < 3; which++) {
        gr_settings model = settings_build(
            &gr_model_family, "{input_shape: [2], layers: [{type: linear, units: 2}]}");
        gr_settings loss = settings_build(&gr_loss_family, "{type: cross_entropy}");
        size_t count;
        gr_settings *list = settings_build_list(&gr_regularizer_family, penalties[which], &count);
        gr_network *network;
        gr_objective *objective;
        assert_int_equal(gr_model_build(&model, NULL, 0, &network, NULL), GR_OK);
        const gr_fit fit = {.network = network, .loss = gr_loss_kind_of(&loss), .labels = true};
        assert_int_equal(gr_objective_create(&fit, &loss, list, count, 1, 0, 0, &objective, NULL),
                         GR_OK);
        static const double w[4] = {1000, -992.5, 2, -7.5};
        guarded parameters = guarded_reals(6), gradients = guarded_reals(6);
        gr_real *values = parameters.data;
        for (int i = 0; i < 6; i++) values[i] = i < 4 ? (gr_real)w[i] : 0;
        memset(gradients.data, 0, gradients.bytes);
        bool turned;
        gr_real *input = gr_objective_input(objective, &turned);
        input[0] = input[1] = 1;
        const int32_t label = 0;
        gr_objective_result result = {0};
        gr_objective_block(objective, parameters.data,
                           &(gr_block){.samples = 1, .batch_size = 1, .labels = &label},
                           gradients.data, &result);
        gr_objective_finish(objective, parameters.data, 0, NULL, gradients.data, &result);
        const double value = penalty_of(which, w), h = 1e-4;
        assert_near(result.values[0], value, 2e-6 * value);
        double wanted[4], largest = 0;
        for (int i = 0; i < 4; i++) {
            double up[4], down[4];
            for (int j = 0; j < 4; j++) up[j] = w[j] + h * (j == i), down[j] = w[j] - h * (j == i);
            wanted[i] =
                weights[which] * (penalty_of(which, up) - penalty_of(which, down)) / (2 * h);
            if (fabs(wanted[i]) > largest) largest = fabs(wanted[i]);
        }
        for (int i = 0; i < 4; i++)
            assert_near(((const gr_real *)gradients.data)[i], wanted[i], 4e-6 * largest);
        guarded_free(&parameters);
        guarded_free(&gradients);
        gr_objective_free(objective);
        gr_network_free(network);
        gr_settings_array_free(list, count);
        gr_settings_clear(&loss);
        gr_settings_clear(&model);
    }
}

/* The rule of blocks: never empty, never more than the batch, all of it with the fewest blocks. */
static void test_block_rule(void **state) {
    (void)state;
    gr_settings model = settings_build(&gr_model_family, layers);
    size_t count;
    gr_settings *list = settings_build_list(&gr_regularizer_family, regularizers, &count);
    gr_network *network;
    assert_int_equal(gr_model_build(&model, NULL, 0, &network, NULL), GR_OK);
    static const int64_t batches[] = {1, 2, 3, 31, 50, 63, 64, 65, 128, 129, 1000, 1000000};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        for (size_t n = 0; n <= count; n++) {
            const int64_t block = gr_objective_block_samples(network, list, n, batches[i]);
            assert_in_range(block, 1, batches[i]);
            assert_true(block <= 64);
        }
    gr_network_free(network);
    gr_settings_array_free(list, count);
    gr_settings_clear(&model);
}

/* Half as many samples where that, and only that, brings the largest value near the cache; equal
 * blocks of whole vectors. (Single precision, 512 KiB, vectors of four.) */
static void test_blocks_near_the_cache(void **state) {
    (void)state;
    static const struct {
        const char *model;
        int64_t batch, block;
    } cases[] = {
        {"{preset: lenet}", 16, 16},       {"{preset: lenet}", 32, 32},
        {"{preset: lenet}", 33, 20},       {"{preset: lenet}", 50, 28},
        {"{preset: lenet}", 64, 32},       {"{preset: lenet}", 65, 24},
        {"{preset: mlp}", 50, 50},         {"{preset: mlp}", 65, 36},
        {"{preset: lenet_tuned}", 64, 64}, {"{preset: lenet_tuned}", 65, 36},
    };
    const gr_shape input = {3, {1, 28, 28}};
    setenv("GRADREG_KERNELS", "baseline", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_settings model = settings_build(&gr_model_family, cases[i].model);
        gr_network *network;
        assert_int_equal(gr_model_build(&model, &input, 10, &network, NULL), GR_OK);
        assert_int_equal(gr_objective_block_samples(network, NULL, 0, cases[i].batch),
                         cases[i].block);
        gr_network_free(network);
        gr_settings_clear(&model);
    }
    unsetenv("GRADREG_KERNELS");
}

static void test_too_many_regularizers(void **state) {
    (void)state;
    gr_settings model = settings_build(&gr_model_family, layers);
    gr_settings loss = settings_build(&gr_loss_family, "{type: cross_entropy}");
    gr_network *network;
    assert_int_equal(gr_model_build(&model, NULL, 0, &network, NULL), GR_OK);
    gr_settings list[GR_MAXIMUM_REGULARIZERS + 1];
    for (int i = 0; i <= GR_MAXIMUM_REGULARIZERS; i++)
        list[i] = settings_build(&gr_regularizer_family, "{type: spectreg, weight: 1}");
    gr_error error = {0};
    const gr_fit fit = {.network = network, .loss = gr_loss_kind_of(&loss), .labels = true};
    assert_int_equal(gr_objective_check(&fit, list, GR_MAXIMUM_REGULARIZERS, &error), GR_OK);
    assert_int_equal(gr_objective_check(&fit, list, GR_MAXIMUM_REGULARIZERS + 1, &error),
                     GR_INVALID);
    assert_string_equal(error.place, "/regularizers");
    for (int i = 0; i <= GR_MAXIMUM_REGULARIZERS; i++) gr_settings_clear(&list[i]);
    gr_network_free(network);
    gr_settings_clear(&loss);
    gr_settings_clear(&model);
}

/* Classes enough that some of their exponentials are not kept. */
static void test_many_classes(void **state) {
    (void)state;
    enum { CLASSES = 70, SAMPLES = 3 };
    gr_settings loss = settings_build(&gr_loss_family, "{type: cross_entropy}");
    guarded z = guarded_normal(CLASSES * SAMPLES, 1, 0), p = guarded_unwritten(CLASSES * SAMPLES);
    guarded r = guarded_unwritten(CLASSES * SAMPLES);
    const int32_t labels[SAMPLES] = {0, 63, 69};
    const gr_loss_block block = {.outputs = CLASSES,
                                 .samples = SAMPLES,
                                 .z = z.data,
                                 .labels = labels,
                                 .p = p.data,
                                 .r = r.data};
    int64_t correct = 0;
    const double total = gr_loss_kind_of(&loss)->evaluate(&loss, &block, &correct);
    double wanted = 0;
    for (int s = 0; s < SAMPLES; s++) {
        double sum = 0;
        for (int k = 0; k < CLASSES; k++) sum += exp((double)block.z[k * SAMPLES + s]);
        for (int k = 0; k < CLASSES; k++) {
            const double share = exp((double)block.z[k * SAMPLES + s]) / sum;
            assert_near((double)block.p[k * SAMPLES + s], share, 1e-6 * share);
            assert_near((double)block.r[k * SAMPLES + s], share - (k == labels[s]), 1e-7);
            if (k == labels[s]) wanted -= log(share);
        }
    }
    assert_near(total, wanted, 1e-12 * wanted);
    guarded *const all[] = {&z, &p, &r};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    gr_settings_clear(&loss);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_classes),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_turned),
        cmocka_unit_test(test_read_twice),
        cmocka_unit_test(test_kernel_sets),
        cmocka_unit_test(test_joined_pool),
        cmocka_unit_test(test_pool_before_activation),
        cmocka_unit_test(test_biases_and_constant_cotangents),
        cmocka_unit_test(test_saturated_softmax),
        cmocka_unit_test(test_block_rule),
        cmocka_unit_test(test_blocks_near_the_cache),
        cmocka_unit_test(test_too_many_regularizers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
