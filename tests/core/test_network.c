/* Networks: initialisation by the seed, and parameters under PyTorch's names, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/network.h"
#include "tests/near.h"
#include "tests/settings_builder.h"

static const char layers[] =
    "[{type: conv2d, filters: 32, kernel: 5, stride: 2}, {type: batchnorm}, {type: relu}, "
    "{type: residual, body: [{type: conv2d, filters: 32, kernel: 3, padding: same}, "
    "{type: tanh}]}, {type: flatten}, {type: linear, units: 100}]";

static gr_network *create_of(const char *text, const gr_shape *input) {
    size_t count;
    gr_settings *list = settings_build_list(&gr_layer_family, text, &count);
    gr_network *network = NULL;
    gr_error error = {0};
    if (gr_network_create(list, count, input, &network, &error) != GR_OK)
        fail_msg("%s %s", error.place, error.message);
    return network;
}

static gr_network *create(void) {
    return create_of(layers, &(gr_shape){3, {3, 15, 15}});
}

static gr_real *initialized(const gr_network *network, uint64_t seed) {
    gr_real *parameters = calloc((size_t)network->parameter_count, sizeof *parameters);
    assert_non_null(parameters);
    gr_network_initialize(network, seed, parameters);
    return parameters;
}

/* docs/methods.md: biases 0; weights uniform on ±√3·std, conv std = √(4/(fan_in + fan_out)) with
 * fan_out = out·k²/stride², linear std = √(2/(in + out)). */
static void test_initialization(void **state) {
    (void)state;
    gr_network *network = create();
    gr_real *parameters = initialized(network, 4);
    int weights = 0;
    for (int n = 0; n < network->node_count; n++) {
        const gr_node *node = &network->nodes[n];
        if (strcmp(node->kind->kind.name, "batchnorm") == 0) continue;
        for (int p = 0; p < node->parameter_count; p++) {
            const gr_parameter *parameter = &node->parameters[p];
            const gr_real *values = parameters + parameter->offset;
            const int64_t count = gr_shape_elements(&parameter->shape);
            if (strcmp(parameter->name, "bias") == 0) {
                for (int64_t e = 0; e < count; e++) assert_true(values[e] == 0);
                continue;
            }
            const gr_shape *w = &parameter->shape;
            double deviation = sqrt(2.0 / (double)(w->size[0] + w->size[1]));
            if (w->rank == 4) {
                const double area = (double)(w->size[2] * w->size[3]), stride = n == 0 ? 2 : 1;
                deviation = sqrt(4 / ((double)w->size[1] * area +
                                      (double)w->size[0] * area / (stride * stride)));
            }
            double sum = 0, squares = 0, largest = 0;
            for (int64_t e = 0; e < count; e++) {
                sum += (double)values[e];
                squares += (double)values[e] * (double)values[e];
                largest = fmax(largest, fabs((double)values[e]));
            }
            /* Five standard errors; the square of a uniform number has a deviation of 0.894 of its
             * mean. */
            const double root = sqrt((double)count);
            assert_near(sum / (double)count, 0, 5 * deviation / root);
            assert_near(squares / (double)count, deviation * deviation,
                        5 * 0.9 * deviation * deviation / root);
            assert_true(largest <= sqrt(3.0) * deviation * (1 + 1e-6));
            assert_true(largest > 0.99 * sqrt(3.0) * deviation);
            weights++;
        }
    }
    assert_int_equal(weights, 3);
    gr_real *again = initialized(network, 4), *other = initialized(network, 5);
    const size_t bytes = (size_t)network->parameter_count * sizeof(gr_real);
    assert_memory_equal(parameters, again, bytes);
    assert_memory_not_equal(parameters, other, bytes);
    free(parameters);
    free(again);
    free(other);
    gr_network_free(network);
}

static void test_names_and_shapes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        gr_shape shape;
    } expected[] = {{"0.weight", {4, {32, 3, 5, 5}}},
                    {"0.bias", {1, {32}}},
                    {"1.weight", {1, {32}}},
                    {"1.bias", {1, {32}}},
                    {"3.body.0.weight", {4, {32, 32, 3, 3}}},
                    {"3.body.0.bias", {1, {32}}},
                    {"5.weight", {2, {100, 1152}}},
                    {"5.bias", {1, {100}}}};
    gr_network *network = create();
    gr_real *parameters = initialized(network, 4);
    gr_arrays arrays = {0};
    assert_int_equal(gr_network_to_arrays(network, "", parameters, NULL, 0, &arrays, NULL), GR_OK);
    assert_int_equal(arrays.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < arrays.count; i++) {
        const gr_array *array = gr_arrays_find(&arrays, expected[i].name);
        if (!array) fail_msg("%s is missing", expected[i].name);
        assert_true(gr_shape_equal(&array->shape, &expected[i].shape));
    }
    gr_arrays_clear(&arrays);
    free(parameters);
    gr_network_free(network);
}

/* Out and in again, with the running statistics: the same bits. */
static void test_round_trip(void **state) {
    (void)state;
    gr_network *network = create();
    gr_real *parameters = initialized(network, 4);
    const size_t buffer_bytes = (size_t)network->buffer_count * sizeof(gr_real);
    gr_real *buffers = malloc(buffer_bytes), *buffers_back = calloc(1, buffer_bytes);
    gr_real *back = calloc((size_t)network->parameter_count, sizeof *back);
    assert_non_null(buffers);
    assert_non_null(buffers_back);
    assert_non_null(back);
    gr_network_initialize_buffers(network, buffers);
    for (int64_t i = 0; i < network->buffer_count; i++) buffers[i] += (gr_real)i;
    enum { BATCHES = 7 };
    for (int i = 0; i < network->node_count; i++)
        for (int b = 0; b < network->nodes[i].buffer_count; b++)
            if (network->nodes[i].buffers[b].counter)
                buffers[network->nodes[i].buffers[b].offset] = BATCHES;
    gr_arrays arrays = {0};
    gr_error error = {0};
    assert_int_equal(
        gr_network_to_arrays(network, "", parameters, buffers, BATCHES, &arrays, &error), GR_OK);
    assert_int_equal(gr_network_from_arrays(network, &arrays, back, buffers_back, &error), GR_OK);
    assert_memory_equal(back, parameters, (size_t)network->parameter_count * sizeof(gr_real));
    assert_memory_equal(buffers_back, buffers, buffer_bytes);

    /* A missing array, a foreign one and a wrong shape are named. */
    char *name = arrays.items[2].name, foreign[] = "7.weight";
    arrays.items[2].name = foreign;
    assert_int_equal(gr_network_from_arrays(network, &arrays, back, buffers_back, &error),
                     GR_INVALID);
    assert_true(strstr(error.message, name) || strstr(error.message, foreign));
    arrays.items[2].name = name;
    arrays.items[0].shape.size[0]--;
    assert_int_equal(gr_network_from_arrays(network, &arrays, back, buffers_back, &error),
                     GR_INVALID);
    assert_non_null(strstr(error.message, arrays.items[0].name));
    arrays.items[0].shape.size[0]++;
    assert_int_equal(
        gr_arrays_add(&arrays, foreign, GR_REAL_ELEMENT, &(gr_shape){1, {3}}, NULL, &error), GR_OK);
    assert_int_equal(gr_network_from_arrays(network, &arrays, back, buffers_back, &error),
                     GR_INVALID);
    assert_non_null(strstr(error.message, foreign));
    gr_arrays_clear(&arrays);
    free(parameters);
    free(back);
    free(buffers);
    free(buffers_back);
    gr_network_free(network);
}

/* What overwrites its input must not overwrite what another still reads. */
static void test_storage(void **state) {
    (void)state;
    gr_network *network = create();
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        const int input = node->inputs[0];
        if (network->storage[i + 1] == i + 1) continue;
        assert_int_equal(network->storage[i + 1], network->storage[input]);
        /* A sum: nothing else has been in the place that it takes. */
        if (gr_node_is_sum(node))
            assert_int_equal(network->storage[input], input);
        else
            assert_true(node->kind->in_place);
        assert_true(input > 0);
        assert_true(node->kind->passes_on || !network->nodes[input - 1].kind->reads_output);
        assert_int_equal(network->consumers[input], 1);
    }
    gr_network_free(network);
}

/* Nobody writes over the network's input, or what a relu reads again; what only reshapes these does
 * not copy them either. */
static void test_reshaped_storage(void **state) {
    (void)state;
    gr_network *network =
        create_of("[{type: flatten}, {type: relu}, {type: flatten}, {type: relu}, {type: linear, "
                  "units: 4}, {type: dropout, rate: 0.5}]",
                  &(gr_shape){3, {1, 2, 3}});
    static const int expected[] = {0, 0, 2, 2, 4, 5, 5};
    for (int v = 0; v <= network->node_count; v++)
        assert_int_equal(network->storage[v], expected[v]);
    gr_network_free(network);
}

/* Adjoints of the ordinary backward pass, node by node from the last: what a node reads must still
 * be there, so that a slot is never written while another value of it is to be read. */
static void test_slots(void **state) {
    (void)state;
    gr_network *network = create();
    int *holds = calloc((size_t)network->slot_count, sizeof *holds); /* the place in each slot */
    assert_non_null(holds);
    const int last = network->node_count, lowest = network->first_trained;
    holds[network->slot[last]] = network->storage[last];
    for (int i = last - 1; i >= lowest; i--) {
        const gr_node *node = &network->nodes[i];
        assert_in_range(network->slot[i + 1], 0, network->slot_count - 1);
        assert_int_equal(holds[network->slot[i + 1]], network->storage[i + 1]);
        /* Sums of higher nodes whose adjoint is still to be added to an input that this one reads
         * first. */
        for (int s = i + 1; s < last; s++)
            for (int j = 0; gr_node_is_sum(&network->nodes[s]) && j < 2; j++) {
                const int waits = network->nodes[s].inputs[j];
                bool first = node->inputs[0] == waits && network->consumers[waits] > 1;
                for (int n = i + 1; n < s; n++)
                    first = first && network->nodes[n].inputs[0] != waits;
                if (first) assert_int_equal(holds[network->slot[s + 1]], network->storage[s + 1]);
            }
        for (int j = 0; j < node->input_count; j++) {
            const int input = node->inputs[j];
            if (input <= lowest) continue;
            assert_in_range(network->slot[input], 0, network->slot_count - 1);
            assert_true(network->slot_features[network->slot[input]] >=
                        gr_network_features(network, input));
            if (network->storage[input] != network->storage[i + 1])
                assert_int_not_equal(network->slot[input], network->slot[i + 1]);
            holds[network->slot[input]] = network->storage[input];
        }
    }
    free(holds);
    gr_network_free(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initialization),   cmocka_unit_test(test_names_and_shapes),
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_storage),
        cmocka_unit_test(test_reshaped_storage), cmocka_unit_test(test_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
