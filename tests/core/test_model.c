/* Models: what presets stand for, and what is refused, where and how fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/model.h"
#include "tests/settings_builder.h"

static const gr_shape mnist = {3, {1, 28, 28}}, vector = {1, {2}}, cifar = {3, {3, 32, 32}},
                      odd = {3, {1, 28, 30}};

static gr_status build(const char *text, const gr_shape *input, int64_t outputs,
                       gr_network **network, gr_error *error) {
    gr_settings model = settings_build(&gr_model_family, text);
    *network = NULL;
    const gr_status status = gr_model_build(&model, input, outputs, network, error);
    gr_settings_clear(&model);
    return status;
}

static void test_presets(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const gr_shape *input;
        int64_t outputs, parameters;
        int nodes;
    } presets[] = {
        {"{preset: lenet}", &mnist, 10, 61706, 13},
        {"{preset: lenet_tuned}", &mnist, 10, 255230, 13},
        {"{preset: lenet, dropout: 0}", &mnist, 10, 61706, 12},
        {"{preset: mlp, widths: [64, 64, 64, 64, 64]}", &vector, 1, 3 * 64 + 4 * 65 * 64 + 65, 11},
        {"{preset: mlp, widths: [5], activation: tanh, dropout: 0.5}", &mnist, 10, 785 * 5 + 6 * 10,
         5},
        {"{preset: mlp, widths: []}", &mnist, 10, 7850, 2},
        {"{preset: lenet, dropout: 0.2}", &mnist, 10, 61706, 13},
        {"{preset: lenet, batchnorm: true}", &mnist, 10, 61706 + 2 * 84, 13},
        {"{preset: lenet, batchnorm: true, dropout: 0}", &mnist, 10, 61706 + 2 * 84, 13},
        {"{preset: lenet_tuned, batchnorm: true}", &mnist, 10, 255230 + 2 * 84, 13},
        {"{preset: toy}", &vector, 1, 3 * 64 + 4 * 65 * 64 + 65, 11},
        {"{preset: toy, dropout: 0.1}", &vector, 2, 3 * 64 + 4 * 65 * 64 + 130, 12},
        /* 3 + 9·7 + 3 nodes, and the two shortcuts' pools and paddings. */
        {"{preset: resnet}", &cifar, 10, 270410, 3 + 9 * 7 + 4 + 3},
        {"{preset: resnet, width: 3}", &cifar, 10, 2414794, 3 + 9 * 7 + 4 + 3},
        {"{preset: resnet, batchnorm: false}", &cifar, 10, 270410 - 2 * (7 * 16 + 6 * 32 + 6 * 64),
         2 + 9 * 5 + 4 + 3},
        {"{preset: resnet, blocks: 1}", &mnist, 10,
         (9 + 3) * 16 + 2 * (16 * 9 + 3) * 16 + (16 * 9 + 3) * 32 + (32 * 9 + 3) * 32 +
             (32 * 9 + 3) * 64 + (64 * 9 + 3) * 64 + 650,
         3 + 3 * 7 + 4 + 3},
    };
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        gr_network *network;
        gr_error error = {0};
        if (build(presets[i].text, presets[i].input, presets[i].outputs, &network, &error) != GR_OK)
            fail_msg("%s: %s %s", presets[i].text, error.place, error.message);
        assert_int_equal(network->parameter_count, presets[i].parameters);
        assert_int_equal(network->node_count, presets[i].nodes);
        assert_int_equal(gr_network_outputs(network), presets[i].outputs);
        gr_network_free(network);
    }
}

/* A preset is shorthand: the same nodes as its layers written out. */
static void test_lenet_is_its_layers(void **state) {
    (void)state;
    gr_network *preset, *written;
    gr_error error = {0};
    assert_int_equal(build("{preset: lenet}", &mnist, 10, &preset, &error), GR_OK);
    assert_int_equal(
        build("{layers: [{type: conv2d, filters: 6, kernel: 5, padding: same}, {type: relu}, "
              "{type: maxpool2d}, {type: conv2d, filters: 16, kernel: 5}, {type: relu}, "
              "{type: maxpool2d}, {type: conv2d, filters: 120, kernel: 5}, {type: relu}, "
              "{type: flatten}, {type: linear, units: 84}, {type: relu}, {type: dropout}, "
              "{type: linear, units: 10}]}",
              &mnist, 10, &written, &error),
        GR_OK);
    assert_int_equal(preset->node_count, written->node_count);
    for (int i = 0; i < preset->node_count; i++) {
        assert_ptr_equal(preset->nodes[i].kind, written->nodes[i].kind);
        assert_true(gr_shape_equal(&preset->nodes[i].out, &written->nodes[i].out));
        assert_string_equal(preset->nodes[i].name, written->nodes[i].name);
    }
    gr_network_free(preset);
    gr_network_free(written);
}

static void test_activations(void **state) {
    (void)state;
    static const char *const names[] = {"relu", "tanh", "leaky_relu", "sigmoid", "softplus", "elu"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[64], layers[256];
        snprintf(text, sizeof text, "{preset: mlp, widths: [3], activation: %s}", names[i]);
        snprintf(layers, sizeof layers,
                 "{layers: [{type: linear, units: 3}, {type: %s}, {type: linear, units: 2}]}",
                 names[i]);
        gr_network *preset, *written;
        assert_int_equal(build(text, &vector, 2, &preset, NULL), GR_OK);
        assert_int_equal(build(layers, &vector, 2, &written, NULL), GR_OK);
        assert_ptr_equal(preset->nodes[1].kind, written->nodes[1].kind);
        const gr_settings *is = preset->nodes[1].settings, *should = written->nodes[1].settings;
        for (size_t o = 0; o < is->kind->option_count; o++) { /* the slopes are the defaults */
            assert_int_equal(is->values[o].type, should->values[o].type);
            assert_true(gr_number(is, (int)o) == gr_number(should, (int)o));
        }
        gr_network_free(preset);
        gr_network_free(written);
    }
}

/* The first block of a stage that halves, written out; PyTorch's names follow from it. */
static void test_resnet_blocks(void **state) {
    (void)state;
    gr_network *network;
    assert_int_equal(build("{preset: resnet, width: 2, blocks: 2}", &cifar, 10, &network, NULL),
                     GR_OK);
    static const struct {
        const char *name, *kind;
        gr_shape out;
    } expected[] = {
        {"0", "conv2d", {3, {32, 32, 32}}},
        {"1", "batchnorm", {3, {32, 32, 32}}},
        {"2", "relu", {3, {32, 32, 32}}},
        {"7.body.0", "conv2d", {3, {64, 16, 16}}},
        {"7.body.1", "batchnorm", {3, {64, 16, 16}}},
        {"7.body.2", "relu", {3, {64, 16, 16}}},
        {"7.body.3", "conv2d", {3, {64, 16, 16}}},
        {"7.body.4", "batchnorm", {3, {64, 16, 16}}},
        {"7.shortcut.0", "avgpool2d", {3, {32, 16, 16}}},
        {"7.shortcut.1", "pad_channels", {3, {64, 16, 16}}},
        {"7", "sum", {3, {64, 16, 16}}},
        {"8", "relu", {3, {64, 16, 16}}},
        {"9.body.4", "batchnorm", {3, {64, 16, 16}}},
        {"14", "relu", {3, {128, 8, 8}}},
        {"15", "global_avgpool2d", {3, {128, 1, 1}}},
        {"16", "flatten", {1, {128}}},
        {"17", "linear", {1, {10}}},
    };
    int node = 0;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        while (node < network->node_count &&
               strcmp(network->nodes[node].name, expected[i].name) != 0)
            node++;
        if (node == network->node_count) fail_msg("no node %s", expected[i].name);
        assert_string_equal(network->nodes[node].kind->kind.name, expected[i].kind);
        assert_true(gr_shape_equal(&network->nodes[node].out, &expected[i].out));
    }
    assert_int_equal(node, network->node_count - 1);
    gr_network_free(network);
}

/* A single value for each channel has no variance. */
static void test_batches_that_normalise(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const gr_shape *input;
        int64_t smallest;
    } cases[] = {
        {"{preset: lenet, batchnorm: true}", &mnist, 2},
        {"{preset: lenet}", &mnist, 1},
        {"{preset: resnet}", &cifar, 1}, /* 64 positions at the least */
        {"{preset: resnet}", &mnist, 1},
        {"{layers: [{type: batchnorm}, {type: linear, units: 10}]}", &vector, 2},
        {"{layers: [{type: conv2d, filters: 2, kernel: 28}, {type: batchnorm}, {type: flatten}, "
         "{type: linear, units: 10}]}",
         &mnist, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gr_network *network;
        gr_error error = {0};
        assert_int_equal(build(cases[i].text, cases[i].input, 10, &network, &error), GR_OK);
        for (int64_t batch = 1; batch < 4; batch++) {
            const bool fits = gr_network_check_batch(network, batch, &error) == GR_OK;
            if (fits != (batch >= cases[i].smallest))
                fail_msg("%s with a batch of %lld", cases[i].text, (long long)batch);
            if (!fits) assert_non_null(strstr(error.message, "at least 2"));
        }
        gr_network_free(network);
    }
}

static void test_refusals_name_their_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *place, *word;
        const gr_shape *input;
        int64_t outputs;
    } bad[] = {
        {"{layers: [{type: conv2d, filters: 1, kernel: 29}]}", "/model/layers/0/kernel",
         "smaller kernel", &mnist, 10},
        {"{layers: [{type: relu}, {type: conv2d, filters: 2, kernel: 20}, "
         "{type: conv2d, filters: 2, kernel: 10}]}",
         "/model/layers/2/kernel", "smaller kernel", &mnist, 10},
        {"{layers: [{type: maxpool2d, size: 29}]}", "/model/layers/0/size", "smaller", &mnist, 10},
        {"{layers: [{type: linear, units: 10}]}", "/model/layers/0", "flatten", &mnist, 10},
        {"{layers: [{type: conv2d, filters: 1, kernel: 1}]}", "/model/layers/0", "image", &vector,
         10},
        {"{layers: [{type: flatten}, {type: linear, units: 9}]}", "/model/layers", "10", &mnist,
         10},
        {"{layers: []}", "/model/layers", "at least one", &mnist, 10},
        {"{layers: [{type: flatten}, {type: relu}]}", "/model/layers", "nothing to train", &mnist,
         784},
        {"{layers: [{type: linear, units: 1}]}", "/model/input_shape", "input_shape", NULL, 0},
        {"{preset: lenet}", "/model/preset", "data set", NULL, 0},
        {"{input_shape: [1, 28], layers: [{type: linear, units: 1}]}", "/model/input_shape", "rows",
         NULL, 0},
        {"{input_shape: [1.5], layers: [{type: linear, units: 1}]}", "/model/input_shape", "whole",
         NULL, 0},
        {"{input_shape: [3], layers: [{type: linear, units: 1}]}", "/model/input_shape", "2",
         &vector, 1},
        {"{preset: lenet}", "/model/preset", "images", &vector, 2},
        {"{preset: lenet, batchnorm: true, dropout: 0.1}", "/model/dropout", "leave one", &mnist,
         10},
        {"{preset: resnet}", "/model/preset", "images", &vector, 2},
        {"{preset: resnet}", "/model/preset", "multiple of 4", &odd, 2},
        {"{preset: mlp, widths: [1.5]}", "/model/widths", "whole", &vector, 2},
        {"{layers: [{type: flatten}, {type: residual, body: [{type: linear, units: 3}]}]}",
         "/model/layers/1", "equal", &mnist, 784},
        {"{layers: [{type: residual, body: []}]}", "/model/layers/0/body", "layer", &mnist, 784},
        {"{layers: [{type: residual, body: [{type: relu}, "
         "{type: conv2d, filters: 1, kernel: 30}]}]}",
         "/model/layers/0/body/1/kernel", "smaller kernel", &mnist, 784},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gr_network *network;
        gr_error error = {0};
        if (build(bad[i].text, bad[i].input, bad[i].outputs, &network, &error) != GR_INVALID)
            fail_msg("%s was not refused", bad[i].text);
        assert_null(network);
        if (strcmp(error.place, bad[i].place) != 0 || !strstr(error.message, bad[i].word))
            fail_msg("%s: place %s (not %s), message \"%s\" (without \"%s\")", bad[i].text,
                     error.place, bad[i].place, error.message, bad[i].word);
    }
}

/* Sizes whose memory nobody has are refused at once, without asking for it. */
static void test_absurd_sizes(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{input_shape: [65536, 65536, 65536], layers: [{type: flatten}, {type: linear, units: 1}]}",
        "{input_shape: [1, 8000, 8000], layers: [{type: conv2d, filters: 4096, kernel: 1}]}",
        "{input_shape: [1, 8000, 8000], layers: [{type: flatten}, {type: linear, units: 65536}]}",
        "{input_shape: [65536], layers: [{type: linear, units: 65536}]}",
        "{input_shape: [4096, 64, 64], layers: [{type: conv2d, filters: 4096, kernel: 64, "
        "padding: 64}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gr_network *network;
        gr_error error = {0};
        const clock_t begin = clock();
        if (build(bad[i], NULL, 0, &network, &error) != GR_TOO_LARGE)
            fail_msg("%s was not refused as too large: %s", bad[i], error.message);
        assert_null(network);
        assert_true(strncmp(error.place, "/model/", 7) == 0);
        assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 0.5);
    }
}

/* A long list of layers: refused or built, quickly. */
static void test_many_layers(void **state) {
    (void)state;
    enum { LAYERS = 100000 };
    gr_settings *layers = calloc(LAYERS, sizeof *layers);
    assert_non_null(layers);
    for (int i = 0; i < LAYERS; i++) layers[i] = settings_build(&gr_layer_family, "{type: relu}");
    gr_network *network = NULL;
    gr_error error = {0};
    assert_int_equal(gr_network_create(layers, LAYERS, &vector, &network, &error), GR_TOO_LARGE);
    assert_null(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_lenet_is_its_layers),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_resnet_blocks),
        cmocka_unit_test(test_batches_that_normalise),
        cmocka_unit_test(test_refusals_name_their_place),
        cmocka_unit_test(test_absurd_sizes),
        cmocka_unit_test(test_many_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
