/* Every kind of layer, with the plain loss and with every probe of gradient_penalty. A new kind
 * needs a row here: test_every_kind_has_a_row fails without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/gradient/gradient_check.h"

typedef struct layer_case {
    const char *kind;  /* what the row is there for */
    const char *input; /* "[channels, rows, columns]" or "[features]" */
    const char *layers;
    uint64_t seed;
    int64_t samples;       /* 0: SAMPLES */
    const char *vanishing; /* see gradient_problem */
} layer_case;

enum { SAMPLES = 5 };
/* Flat images of three classes: what follows the layer in question in most rows. */
#define HEAD "{type: flatten}, {type: linear, units: 3}"

static const layer_case cases[] = {
    {"linear", "[5]", "[{type: linear, units: 4}, {type: linear, units: 3}]", .seed = 1},
    {"linear", "[4]", "[{type: linear, units: 5}, {type: tanh}, {type: linear, units: 3}]",
     .seed = 2},
    {"relu", "[6]", "[{type: linear, units: 9}, {type: relu}, {type: linear, units: 3}]",
     .seed = 3},
    {"tanh", "[3]",
     "[{type: tanh}, {type: linear, units: 4}, {type: tanh}, {type: linear, units: 5}, "
     "{type: tanh}, {type: linear, units: 3}, {type: tanh}]",
     .seed = 4},
    {"flatten", "[2, 3, 2]", "[{type: flatten}, {type: linear, units: 3}]", .seed = 5},
    {"conv2d", "[2, 5, 4]",
     "[{type: conv2d, filters: 3, kernel: 3, padding: same}, {type: tanh}, "
     "{type: conv2d, filters: 2, kernel: 2, stride: 2}, {type: relu}, " HEAD "]",
     .seed = 6},
    {"conv2d", "[1, 7, 6]",
     "[{type: conv2d, filters: 2, kernel: 4, stride: 3, padding: 2}, {type: relu}, " HEAD "]",
     .seed = 7},
    /* One output pixel without padding: the matrix product instead of the gather. */
    {"conv2d", "[2, 4, 4]",
     "[{type: conv2d, filters: 2, kernel: 2}, {type: tanh}, "
     "{type: conv2d, filters: 4, kernel: 3}, {type: tanh}, " HEAD "]",
     .seed = 8},
    {"maxpool2d", "[1, 6, 6]",
     "[{type: conv2d, filters: 2, kernel: 3, padding: same}, {type: maxpool2d}, " HEAD "]",
     .seed = 9},
    /* Windows that overlap, and some that leave a border out. */
    {"maxpool2d", "[2, 6, 5]",
     "[{type: conv2d, filters: 2, kernel: 2}, {type: tanh}, "
     "{type: maxpool2d, size: 3, stride: 1}, {type: maxpool2d, size: 2, stride: 2}, " HEAD "]",
     .seed = 10},
    {"maxpool2d", "[1, 7, 7]",
     "[{type: maxpool2d, size: 2, stride: 3}, {type: conv2d, filters: 2, kernel: 2}, "
     "{type: relu}, " HEAD "]",
     .seed = 11},
    /* Both kinds in several blocks: what one leaves behind must not be in the next. */
    {"maxpool2d", "[1, 7, 5]",
     "[{type: conv2d, filters: 1, kernel: 2}, {type: maxpool2d, size: 3, stride: 2}, "
     "{type: conv2d, filters: 2, kernel: 1}, {type: tanh}, {type: flatten}, "
     "{type: linear, units: 3}]",
     .seed = 29, .samples = 150},
    /* The first convolution and its pool do one work, in parts of a few filters. */
    {"maxpool2d", "[2, 6, 5]",
     "[{type: conv2d, filters: 6, kernel: 3, padding: same}, {type: maxpool2d}, {type: tanh}, " HEAD
     "]",
     .seed = 33},
    {"avgpool2d", "[1, 7, 5]",
     "[{type: conv2d, filters: 1, kernel: 2}, {type: tanh}, {type: avgpool2d, size: 3, stride: 2}, "
     "{type: maxpool2d, size: 1, stride: 2}, {type: conv2d, filters: 2, kernel: 1}, {type: tanh}, "
     "{type: flatten}, {type: linear, units: 3}]",
     .seed = 30, .samples = 150},
    {"dropout", "[6]",
     "[{type: linear, units: 8}, {type: relu}, {type: dropout, rate: 0.5}, "
     "{type: linear, units: 3}]",
     .seed = 12, .samples = 12},
    {"dropout", "[5]",
     "[{type: dropout, rate: 0.3}, {type: linear, units: 6}, {type: tanh}, "
     "{type: dropout, rate: 0.5}, {type: linear, units: 3}]",
     .seed = 13, .samples = 12},
    /* A small LeNet, in several blocks of lanes, the last one short. */
    {"conv2d", "[1, 8, 8]",
     "[{type: conv2d, filters: 2, kernel: 3, padding: same}, {type: relu}, {type: maxpool2d}, "
     "{type: conv2d, filters: 3, kernel: 3}, {type: relu}, {type: conv2d, filters: 3, kernel: 2}, "
     "{type: relu}, {type: flatten}, {type: linear, units: 4}, {type: tanh}, {type: dropout}, "
     "{type: linear, units: 3}]",
     .seed = 14, .samples = 311},
    {"leaky_relu", "[5]",
     "[{type: linear, units: 7}, {type: leaky_relu, slope: 0.2}, {type: linear, units: 3}]",
     .seed = 15},
    {"sigmoid", "[4]",
     "[{type: linear, units: 6}, {type: sigmoid}, {type: linear, units: 3}, {type: sigmoid}]",
     .seed = 16},
    {"softplus", "[4]",
     "[{type: linear, units: 5}, {type: softplus}, {type: linear, units: 3}, {type: softplus}]",
     .seed = 17},
    {"elu", "[4]", "[{type: linear, units: 6}, {type: elu}, {type: linear, units: 3}, {type: elu}]",
     .seed = 18},
    {"avgpool2d", "[2, 6, 5]",
     "[{type: avgpool2d, size: 2, stride: 1}, {type: conv2d, filters: 2, kernel: 2}, "
     "{type: tanh}, {type: avgpool2d}, " HEAD "]",
     .seed = 19},
    {"avgpool2d", "[1, 8, 7]",
     "[{type: conv2d, filters: 2, kernel: 2}, {type: relu}, "
     "{type: avgpool2d, size: 2, stride: 3}, " HEAD "]",
     .seed = 20},
    {"global_avgpool2d", "[2, 4, 5]",
     "[{type: conv2d, filters: 4, kernel: 3, padding: same}, {type: tanh}, "
     "{type: global_avgpool2d}, " HEAD "]",
     .seed = 21},
    /* The bias of a layer that a normalisation follows is subtracted again. */
    {"batchnorm", "[4]",
     "[{type: linear, units: 5}, {type: batchnorm}, {type: tanh}, {type: linear, units: 3}]",
     .seed = 22, .samples = 6, .vanishing = "0.bias"},
    {"batchnorm", "[2, 4, 4]",
     "[{type: conv2d, filters: 3, kernel: 3, padding: same}, {type: batchnorm}, {type: relu}, "
     "{type: conv2d, filters: 2, kernel: 2}, {type: batchnorm}, {type: relu}, " HEAD "]",
     .seed = 23, .samples = 4, .vanishing = "0.bias 3.bias"},
    /* A constant cotangent of a batch sees nothing through a normalisation alone: it needs a bend
     * behind it. */
    {"batchnorm", "[3]",
     "[{type: batchnorm}, {type: linear, units: 4}, {type: elu}, "
     "{type: batchnorm}, {type: tanh}, {type: linear, units: 3}]",
     .seed = 24, .samples = 90},
    {"pad_channels", "[2, 3, 3]",
     "[{type: conv2d, filters: 2, kernel: 2}, {type: tanh}, {type: pad_channels, channels: 4}, "
     "{type: conv2d, filters: 2, kernel: 2}, {type: tanh}, " HEAD "]",
     .seed = 25},
    /* The identity beside its body, first in the network and after a layer that works in place. */
    {"residual", "[4]",
     "[{type: residual, body: [{type: linear, units: 4}, {type: tanh}]}, {type: linear, units: 5}, "
     "{type: relu}, {type: residual, body: [{type: relu}, {type: linear, units: 5}]}, "
     "{type: linear, units: 3}]",
     .seed = 26},
    /* A value that a layer and the sums of two blocks read. */
    {"residual", "[4]",
     "[{type: linear, units: 4}, {type: tanh}, {type: residual, body: [{type: residual, body: "
     "[{type: linear, units: 4}, {type: tanh}]}, {type: linear, units: 4}, {type: tanh}]}, "
     "{type: linear, units: 3}]",
     .seed = 29},
    /* One inside another, with a shortcut of its own, as a small residual network has them. */
    {"residual", "[2, 6, 6]",
     "[{type: conv2d, filters: 2, kernel: 3, padding: same}, {type: tanh}, "
     "{type: residual, body: [{type: conv2d, filters: 3, kernel: 3, stride: 2, padding: same}, "
     "{type: tanh}, {type: residual, body: [{type: conv2d, filters: 3, kernel: 3, padding: same}, "
     "{type: tanh}]}], shortcut: [{type: avgpool2d}, {type: pad_channels, channels: 3}]}, "
     "{type: relu}, {type: global_avgpool2d}, " HEAD "]",
     .seed = 27},
    {"residual", "[2, 4, 4]",
     "[{type: conv2d, filters: 2, kernel: 3, padding: same}, {type: batchnorm}, {type: relu}, "
     "{type: residual, body: [{type: conv2d, filters: 2, kernel: 3, padding: same}, "
     "{type: batchnorm}], shortcut: [{type: conv2d, filters: 2, kernel: 1}, {type: batchnorm}]}, "
     "{type: relu}, {type: maxpool2d}, " HEAD "]",
     .seed = 28, .samples = 5, .vanishing = "0.bias 3.body.0.bias 3.shortcut.0.bias"},
};
enum { CASES = sizeof cases / sizeof *cases };

static gradient_problem problem_of(const layer_case *row) {
    gradient_problem problem =
        gradient_problem_create(row->input, row->layers, "{type: cross_entropy}",
                                row->samples ? row->samples : SAMPLES, true, row->seed);
    problem.vanishing = row->vanishing;
    return problem;
}

static void test_every_kind_has_a_row(void **state) {
    (void)state;
    for (int k = 0; gr_layer_family.kinds[k]; k++) {
        const gr_kind *kind = gr_layer_family.kinds[k];
        bool found = kind->alias_of != NULL;
        for (int i = 0; i < CASES; i++) {
            if (strcmp(cases[i].kind, kind->name) != 0) continue;
            /* The row's layers really contain the kind, not only its name. */
            size_t count;
            gradient_problem problem = problem_of(&cases[i]);
            const gr_settings *layers =
                gr_list(&problem.model, gr_kind_option(problem.model.kind, "layers"), &count);
            for (size_t l = 0; l < count; l++) found = found || layers[l].kind == kind;
            gradient_problem_clear(&problem);
        }
        if (!found) fail_msg("the layer %s has no row in this test", kind->name);
    }
}

static void title_of(const layer_case *row, const char *what, char title[256]) {
    snprintf(title, 256, "%s (row with seed %llu), %s", row->kind, (unsigned long long)row->seed,
             what);
}

static void test_plain_loss(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        char title[256];
        title_of(&cases[i], "plain loss", title);
        gradient_problem problem = problem_of(&cases[i]);
        gradient_check(title, &problem, NULL, "loss", NULL);
        gradient_problem_clear(&problem);
    }
}

static void test_every_probe(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        gradient_problem problem = problem_of(&cases[i]);
        for (const char *const *probe = gradient_probes(); *probe; probe++) {
            char title[256], penalty[256];
            title_of(&cases[i], *probe, title);
            snprintf(penalty, sizeof penalty,
                     "[{type: gradient_penalty, probe: %s, k: 2, weight: 1}]", *probe);
            gradient_check(title, &problem, penalty, "regularizers.0",
                           gradient_probe_is_constant(*probe) ? gradient_zero_for_constant_cotangent
                                                              : NULL);
        }
        gradient_problem_clear(&problem);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_has_a_row),
        cmocka_unit_test(test_plain_loss),
        cmocka_unit_test(test_every_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
