/* Losses and regularisers: their values against formulas written out here, their gradients against
 * central differences. A new loss needs a row: the coverage test fails without it.
 * Regularisers other than these are in test_methods.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/regularizer.h"
#include "tests/gradient/gradient_check.h"
#include "tests/near.h"

/* Two networks: one that bends and one that is piecewise linear with a max-pool. */
static const struct {
    const char *name, *input, *layers;
} networks[] = {
    {"smooth", "[4]",
     "[{type: linear, units: 6}, {type: tanh}, {type: linear, units: 5}, {type: tanh}, "
     "{type: linear, units: 3}]"},
    {"piecewise linear", "[1, 6, 6]",
     "[{type: conv2d, filters: 3, kernel: 3, padding: same}, {type: relu}, {type: maxpool2d}, "
     "{type: flatten}, {type: linear, units: 3}]"},
};
enum { NETWORKS = sizeof networks / sizeof *networks };

#define PLAIN "{type: cross_entropy}"
#define SQUARED "{type: squared_error}"
#define SMOOTHED "{type: cross_entropy, label_smoothing: 0.2}"

static gradient_problem problem_of(int network, const char *loss, int64_t samples) {
    return gradient_problem_create(networks[network].input, networks[network].layers, loss, samples,
                                   false, 21 + (uint64_t)network);
}

/* -- coverage
 * ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *kind, *text;
} losses[] = {
    {"cross_entropy", PLAIN},
    {"cross_entropy", SMOOTHED},
    {"squared_error", SQUARED},
};

static bool zero_for_rank_one(const gr_network *network, const gr_node *node,
                              const gr_parameter *parameter) {
    (void)network, (void)node;
    return parameter->shape.rank < 2;
}

#define CONSTANT gradient_zero_for_constant_cotangent
#define PENALTY(options) "[{type: gradient_penalty, weight: 1, " options "}]"

/* Regularisers with weight 1, and which tensors' gradients vanish. */
static const struct {
    const char *kind, *text;
    gradient_zero_rule *zero;
} regularizers[] = {
    {"gradient_penalty", PENALTY("probe: loss, norm: l1"), NULL},
    {"gradient_penalty", PENALTY("probe: softmax, norm: l1"), NULL},
    {"gradient_penalty", PENALTY("probe: logits, norm: l1"), CONSTANT},
    {"gradient_penalty", PENALTY("probe: expected, norm: l1"), NULL},
    {"gradient_penalty", PENALTY("probe: loss, shape: two_sided, target: 0.3"), NULL},
    {"gradient_penalty", PENALTY("probe: logits, shape: two_sided, target: 0.7"), CONSTANT},
    {"gradient_penalty", PENALTY("probe: softmax, shape: two_sided, target: 0"), NULL},
    {"gradient_penalty", PENALTY("probe: random, shape: one_sided, target: 0.2"), CONSTANT},
    {"gradient_penalty", PENALTY("probe: loss, shape: one_sided, target: 0.3"), NULL},
    {"gradient_penalty", PENALTY("probe: expected, shape: one_sided, target: 0.1"), NULL},
    {"gradient_penalty", PENALTY("probe: top_k, k: 2, shape: two_sided, target: 1"), CONSTANT},
    {"gradient_penalty", PENALTY("probe: random, per: sample"), CONSTANT},
    {"gradient_penalty", PENALTY("probe: top_k, k: 1"), CONSTANT},
    {"gradient_penalty", PENALTY("probe: top_k, k: 3"), CONSTANT},
    {"weight_decay", "[{type: weight_decay, weight: 1}]", zero_for_rank_one},
};

enum {
    LOSSES = sizeof losses / sizeof *losses,
    REGULARIZERS = sizeof regularizers / sizeof *regularizers
};

static void test_every_kind_has_a_row(void **state) {
    (void)state;
    for (int k = 0; gr_loss_family.kinds[k]; k++) {
        bool found = gr_loss_family.kinds[k]->alias_of != NULL;
        for (int i = 0; i < LOSSES; i++)
            found = found || strcmp(losses[i].kind, gr_loss_family.kinds[k]->name) == 0;
        if (!found) fail_msg("the loss %s has no row", gr_loss_family.kinds[k]->name);
    }
}

/* -- gradients
 * --------------------------------------------------------------------------------------------- */

static void title_of(int network, const char *loss, const char *what, char title[512]) {
    snprintf(title, 512, "%s network, %s, %s", networks[network].name, loss, what);
}

static void test_losses(void **state) {
    (void)state;
    for (int n = 0; n < NETWORKS; n++)
        for (int l = 0; l < LOSSES; l++) {
            char title[512];
            title_of(n, losses[l].text, "alone", title);
            gradient_problem problem = problem_of(n, losses[l].text, 7);
            gradient_check(title, &problem, NULL, "loss", NULL);
            gradient_problem_clear(&problem);
        }
}

static void test_every_loss_with_its_own_penalty(void **state) {
    (void)state;
    for (int n = 0; n < NETWORKS; n++)
        for (int l = 0; l < LOSSES; l++) {
            char title[512];
            title_of(n, losses[l].text, "its gradient's penalty", title);
            gradient_problem problem = problem_of(n, losses[l].text, 7);
            gradient_check(title, &problem, PENALTY("probe: loss"), "regularizers.0", NULL);
            gradient_problem_clear(&problem);
        }
}

static void test_regularizers(void **state) {
    (void)state;
    for (int n = 0; n < NETWORKS; n++)
        for (int i = 0; i < REGULARIZERS; i++) {
            char title[512];
            title_of(n, PLAIN, regularizers[i].text, title);
            gradient_problem problem = problem_of(n, PLAIN, 7);
            gradient_check(title, &problem, regularizers[i].text, "regularizers.0",
                           regularizers[i].zero);
            gradient_problem_clear(&problem);
        }
}

static const char several[] =
    "[{type: weight_decay, weight: 0.01}, {type: datagrad, weight: 3}, "
    "{type: jacreg, weight: 0.5, norm: l1}, {type: spectreg, weight: 0.25}, "
    "{type: gradient_penalty, probe: expected, shape: one_sided, target: 0.1, weight: 0.3}]";

/* All at once, over several blocks of lanes, the last one short: the total is what training
 * follows. */
static void test_several_penalties_at_once(void **state) {
    (void)state;
    for (int n = 0; n < NETWORKS; n++)
        for (int64_t samples = 7; samples <= 70; samples += 63) {
            char title[512];
            title_of(n, SMOOTHED, "several", title);
            gradient_problem problem = problem_of(n, SMOOTHED, samples);
            gradient_check(title, &problem, several, "total", NULL);
            gr_arrays together = gradient_evaluate(&problem, several);
            const double *loss = gr_arrays_find(&together, "loss")->data;
            static const double weights[] = {0.01, 3, 0.5, 0.25, 0.3};
            double total = *loss;
            for (int i = 0; i < 5; i++) {
                char name[32];
                snprintf(name, sizeof name, "regularizers.%d", i);
                total += weights[i] * *(const double *)gr_arrays_find(&together, name)->data;
            }
            assert_near(*(const double *)gr_arrays_find(&together, "total")->data, total,
                        1e-12 * total);
            gr_arrays_clear(&together);
            gradient_problem_clear(&problem);
        }
}

static void test_given_probe(void **state) {
    (void)state;
    for (int n = 0; n < NETWORKS; n++) {
        char title[512];
        title_of(n, PLAIN, "given probe", title);
        gradient_problem problem = problem_of(n, PLAIN, 7);
        gr_arrays drawn = gradient_evaluate(&problem, PENALTY("probe: random"));
        gradient_problem_give_probe(&problem, 5);
        gr_arrays given = gradient_evaluate(&problem, PENALTY("probe: random"));
        assert_true(*(double *)gr_arrays_find(&drawn, "regularizers.0")->data !=
                    *(double *)gr_arrays_find(&given, "regularizers.0")->data);
        gradient_check(title, &problem, PENALTY("probe: random"), "regularizers.0", CONSTANT);
        gr_arrays_clear(&drawn);
        gr_arrays_clear(&given);
        gradient_problem_clear(&problem);
    }
}

/* -- values: of one linear layer, whose J is its weight
 * ----------------------------------------------------- */

enum { K = 3, FEATURES = 4, ROWS = 6 };

typedef struct linear_problem {
    gradient_problem problem;
    const double *w, *b, *x; /* [K][FEATURES], [K], [ROWS][FEATURES] */
    const int64_t *y;
} linear_problem;

static linear_problem linear_problem_create(int64_t samples) {
    linear_problem l = {
        gradient_problem_create("[4]", "[{type: linear, units: 3}]", SMOOTHED, samples, true, 31),
        NULL, NULL, NULL, NULL};
    gradient_problem_give_probe(&l.problem, 8);
    l.w = gr_arrays_find(&l.problem.weights, "0.weight")->data;
    l.b = gr_arrays_find(&l.problem.weights, "0.bias")->data;
    l.x = gr_arrays_find(&l.problem.batch, "x")->data;
    l.y = gr_arrays_find(&l.problem.batch, "y")->data;
    return l;
}

/* Logits and softmax of one sample. */
static void logits_of(const linear_problem *l, int64_t sample, double z[K], double p[K]) {
    double sum = 0;
    for (int k = 0; k < K; k++) {
        z[k] = l->b[k];
        for (int f = 0; f < FEATURES; f++)
            z[k] += l->w[k * FEATURES + f] * l->x[sample * FEATURES + f];
        sum += exp(z[k]);
    }
    for (int k = 0; k < K; k++) p[k] = exp(z[k]) / sum;
}

/* The table of docs/methods.md: the cotangents of a probe for one sample; returns how many. */
static int cotangents_of(const linear_problem *l, const char *probe, int64_t sample,
                         double c[K][K]) {
    double z[K], p[K], mean = 0;
    logits_of(l, sample, z, p);
    for (int k = 0; k < K; k++) mean += p[k] * z[k];
    const double *given = gr_arrays_find(&l->problem.batch, "probe")->data;
    if (strcmp(probe, "logits") == 0 || strcmp(probe, "softmax") == 0) {
        for (int m = 0; m < K; m++)
            for (int k = 0; k < K; k++)
                c[m][k] = probe[0] == 'l' ? m == k : p[m] * ((m == k) - p[k]);
        return K;
    }
    for (int k = 0; k < K; k++) {
        int above = 0; /* logits that are larger */
        for (int j = 0; j < K; j++) above += z[j] > z[k];
        if (strcmp(probe, "loss") == 0)
            c[0][k] = p[k] - 0.8 * (l->y[sample] == k) - 0.2 / K;
        else if (strcmp(probe, "random") == 0)
            c[0][k] = given[k];
        else if (strcmp(probe, "label") == 0)
            c[0][k] = l->y[sample] == k;
        else if (strcmp(probe, "expected") == 0)
            c[0][k] = p[k] * (1 + z[k] - mean);
        else if (strcmp(probe, "top_k") == 0)
            c[0][k] = above < 2;
        else
            return 0;
    }
    return 1;
}

typedef double phi(double squares, double absolutes);
static double phi_squared(double squares, double absolutes) {
    (void)absolutes;
    return squares;
}
static double phi_l1(double squares, double absolutes) {
    (void)squares;
    return absolutes;
}
static double phi_two_sided(double squares, double absolutes) {
    (void)absolutes;
    const double excess = sqrt(1e-16 + squares) - 0.4;
    return excess * excess;
}
static double phi_one_sided(double squares, double absolutes) {
    const double excess = sqrt(1e-16 + squares) - 0.4;
    return excess > 0 ? phi_two_sided(squares, absolutes) : 0;
}

static double expected_value(const linear_problem *l, const char *probe, phi *shape) {
    double total = 0;
    for (int64_t sample = 0; sample < ROWS; sample++) {
        double c[K][K], squares = 0, absolutes = 0;
        const int count = cotangents_of(l, probe, sample, c);
        for (int m = 0; m < count; m++)
            for (int f = 0; f < FEATURES; f++) {
                double g = 0;
                for (int k = 0; k < K; k++) g += c[m][k] * l->w[k * FEATURES + f];
                squares += g * g;
                absolutes += fabs(g);
            }
        total += shape(squares, absolutes);
    }
    return total / ROWS;
}

static double value_of(const gradient_problem *problem, const char *list, const char *scalar) {
    gr_arrays answer = gradient_evaluate(problem, list);
    const double value = *(const double *)gr_arrays_find(&answer, scalar)->data;
    gr_arrays_clear(&answer);
    return value;
}

static void test_values_of_every_probe_and_shape(void **state) {
    (void)state;
    static const struct {
        const char *options;
        phi *phi;
    } shapes[] = {{"shape: squared", phi_squared},
                  {"norm: l1", phi_l1},
                  {"shape: two_sided, target: 0.4", phi_two_sided},
                  {"shape: one_sided, target: 0.4", phi_one_sided}};
    linear_problem l = linear_problem_create(ROWS);
    int known = 0;
    for (const char *const *probe = gradient_probes(); *probe; probe++) {
        double c[K][K];
        if (cotangents_of(&l, *probe, 0, c) == 0) continue; /* random_label: see below */
        known++;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            char list[256];
            /* The weight must not be in the reported value. */
            snprintf(list, sizeof list,
                     "[{type: gradient_penalty, probe: %s, k: 2, weight: 7, %s}]", *probe,
                     shapes[i].options);
            const double value = expected_value(&l, *probe, shapes[i].phi);
            const double got = value_of(&l.problem, list, "regularizers.0");
            if (!(fabs(got - value) <= 1e-13 * (1 + value)))
                fail_msg("%s is %.17g, not %.17g", list, got, value);
        }
    }
    assert_int_equal(known, 7);
    gradient_problem_clear(&l.problem);
}

static void test_value_of_the_loss(void **state) {
    (void)state;
    linear_problem l = linear_problem_create(ROWS);
    double total = 0;
    for (int64_t s = 0; s < ROWS; s++) {
        double z[K], p[K];
        logits_of(&l, s, z, p);
        for (int k = 0; k < K; k++) total -= (0.8 * (l.y[s] == k) + 0.2 / K) * log(p[k]);
    }
    assert_near(value_of(&l.problem, NULL, "loss"), total / ROWS, 1e-14 * (1 + total));
    gradient_problem_clear(&l.problem);
}

static void test_value_of_weight_decay(void **state) {
    (void)state;
    linear_problem l = linear_problem_create(ROWS);
    double total = 0;
    for (int i = 0; i < K * FEATURES; i++) total += l.w[i] * l.w[i] / 2;
    assert_near(value_of(&l.problem, "[{type: weight_decay, weight: 5}]", "regularizers.0"), total,
                1e-14 * total);
    gradient_problem_clear(&l.problem);
}

/* Batch norm makes the block a whole batch, and then probes are worked on a few at a time: of 48
 * samples two at once, or all of a penalty that needs its probes together. */
static void test_probes_in_groups(void **state) {
    (void)state;
    static const struct {
        const char *title, *text;
    } penalties[] = {
        {"in groups: logits", PENALTY("probe: logits")},
        {"in groups: softmax", PENALTY("probe: softmax")},
        {"in groups: projections", PENALTY("probe: logits, projections: 5")},
        {"in groups: several",
         "[{type: spectreg, weight: 0.5}, {type: frobreg, weight: 0.2}, {type: datagrad, weight: "
         "2}, "
         "{type: jacreg, weight: 1, shape: two_sided, target: 0.5}, {type: jacreg, weight: 0.3}]"},
    };
    for (size_t i = 0; i < sizeof penalties / sizeof *penalties; i++) {
        gradient_problem problem = gradient_problem_create(
            "[4]",
            "[{type: linear, units: 4}, {type: batchnorm}, {type: tanh}, {type: linear, units: 5}]",
            PLAIN, 48, false, 31);
        problem.vanishing = "0.bias";
        /* Each probe once: the sum over the unit vectors, of which each is a group by itself. */
        if (i == 0) {
            const double together = value_of(&problem, penalties[i].text, "regularizers.0");
            double one_by_one = 0;
            gradient_problem_give_probe(&problem, 32);
            double *probe = gr_arrays_find(&problem.batch, "probe")->data;
            for (int k = 0; k < 5; k++) {
                for (int j = 0; j < 5; j++) probe[j] = j == k;
                one_by_one += value_of(&problem, PENALTY("probe: random"), "regularizers.0");
            }
            assert_near(together, one_by_one, 1e-12 * one_by_one);
        }
        gradient_check(penalties[i].title, &problem, penalties[i].text, "total", NULL);
        gradient_problem_clear(&problem);
    }
}

/* So many probes that the pooled kernels are used (gr_pooled_pays), behind a relu and without one,
 * with padding and without. */
static void test_many_probes_before_pooling(void **state) {
    (void)state;
    static const char *const penalties[] = {
        PENALTY("probe: logits"), PENALTY("probe: softmax, shape: two_sided, target: 0.5"),
        "[{type: jacreg, weight: 1}, {type: frobreg, weight: 0.3}, {type: contractive, weight: "
        "0.1}]"};
    for (size_t i = 0; i < sizeof penalties / sizeof *penalties; i++) {
        gradient_problem problem = gradient_problem_create(
            "[2, 9, 9]",
            "[{type: conv2d, filters: 3, kernel: 3, padding: same}, {type: relu}, {type: "
            "maxpool2d}, {type: conv2d, filters: 4, kernel: 3}, {type: maxpool2d, size: 1}, {type: "
            "flatten}, {type: linear, units: 7}]",
            SMOOTHED, 5, false, 33);
        gradient_check("before pooling", &problem, penalties[i], "total", NULL);
        gradient_problem_clear(&problem);
    }
}

/* A window wider than those that the pooled kernels know (GR_POOLED_WINDOW). */
static void test_wide_window(void **state) {
    (void)state;
    gradient_problem problem = gradient_problem_create(
        "[1, 12, 12]",
        "[{type: conv2d, filters: 2, kernel: 3, padding: same}, {type: maxpool2d, size: 12}, "
        "{type: flatten}, {type: linear, units: 7}]",
        SMOOTHED, 5, false, 35);
    gradient_check("wide window", &problem, PENALTY("probe: logits"), "total", NULL);
    gradient_problem_clear(&problem);
}

/* So many channels and lanes that Winograd's algorithm is used (gr_winograd_pays). */
static void test_many_channels(void **state) {
    (void)state;
    gradient_problem problem = gradient_problem_create(
        "[16, 8, 4]",
        "[{type: conv2d, filters: 16, kernel: 3, padding: same}, {type: tanh}, {type: "
        "global_avgpool2d}, {type: flatten}, {type: linear, units: 3}]",
        SMOOTHED, 32, false, 34);
    problem.stride = 97;
    gradient_check("many channels", &problem, PENALTY("probe: loss"), "total", NULL);
    gradient_problem_clear(&problem);
}

/* Drawn probes by their expectations: E‖Jᵀv‖² = ‖J‖²_F over many samples, and a third of it for one
 * of three rows at random; one v for the whole batch gives every sample of a linear net the same.
 */
static void test_drawn_probes(void **state) {
    (void)state;
    enum { MANY = 20000 };
    linear_problem l = linear_problem_create(MANY);
    gr_arrays without = {0}; /* the batch less its given probe */
    gr_error error = {0};
    for (size_t i = 0; i < l.problem.batch.count; i++) {
        const gr_array *array = &l.problem.batch.items[i];
        if (strcmp(array->name, "probe") == 0) continue;
        void *data;
        assert_int_equal(
            gr_arrays_add(&without, array->name, array->type, &array->shape, &data, &error), GR_OK);
        memcpy(data, array->data,
               (size_t)gr_shape_elements(&array->shape) * gr_element_size(array->type));
    }
    gr_arrays_clear(&l.problem.batch);
    l.problem.batch = without;
    double squares = 0, gram = 0, rows[K] = {0};
    for (int j = 0; j < K; j++)
        for (int k = 0; k < K; k++) {
            double product = 0;
            for (int f = 0; f < FEATURES; f++)
                product += l.w[j * FEATURES + f] * l.w[k * FEATURES + f];
            gram += product * product;
            if (j == k) rows[k] = product, squares += product;
        }
    /* vᵀWWᵀv has variance 2‖WWᵀ‖²_F; five standard errors of the mean of MANY. */
    assert_near(value_of(&l.problem, PENALTY("probe: random, per: sample"), "regularizers.0"),
                squares, 5 * sqrt(2 * gram / MANY));
    double variance = 0;
    for (int k = 0; k < K; k++) variance += (rows[k] - squares / K) * (rows[k] - squares / K) / K;
    assert_near(value_of(&l.problem, PENALTY("probe: random_label"), "regularizers.0"), squares / K,
                5 * sqrt(variance / MANY));
    const double batch = value_of(&l.problem, PENALTY("probe: random"), "regularizers.0");
    assert_true(fabs(batch - squares) > 1e-6 * squares); /* one draw is not its expectation */
    /* The second penalty of a list draws numbers of its own. */
    const double second = value_of(
        &l.problem, "[{type: spectreg, weight: 1}, {type: spectreg, weight: 1}]", "regularizers.1");
    assert_true(fabs(second - batch) > 1e-6 * batch);
    gradient_problem_clear(&l.problem);
}

/* The names from the literature are points of the one penalty, with the same bits. */
static void test_aliases(void **state) {
    (void)state;
    static const struct {
        const char *alias, *probe; /* and what else the point fixes */
    } names[] = {{"datagrad", "loss"},
                 {"double_backprop", "loss"},
                 {"spectreg", "random"},
                 {"jacreg", "softmax"},
                 {"frobreg", "logits"},
                 {"onehot", "label"},
                 {"random_onehot", "random_label"},
                 {"jacobian_norm", "logits, shape: norm"}};
    int aliases = 0;
    for (int k = 0; gr_regularizer_family.kinds[k]; k++)
        aliases +=
            gr_regularizer_family.kinds[k]->alias_of == &gr_regularizer_gradient_penalty.kind;
    assert_int_equal(aliases, sizeof names / sizeof *names);
    gradient_problem problem = problem_of(0, PLAIN, 7);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char alias[128], point[128];
        snprintf(alias, sizeof alias, "[{type: %s, weight: 2}]", names[i].alias);
        snprintf(point, sizeof point, "[{type: gradient_penalty, probe: %s, weight: 2}]",
                 names[i].probe);
        gr_arrays a = gradient_evaluate(&problem, alias), b = gradient_evaluate(&problem, point);
        assert_int_equal(a.count, b.count);
        for (size_t j = 0; j < a.count; j++)
            assert_memory_equal(a.items[j].data, b.items[j].data,
                                (size_t)gr_shape_elements(&a.items[j].shape) * sizeof(double));
        gr_arrays_clear(&a);
        gr_arrays_clear(&b);
    }
    gradient_problem_clear(&problem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_has_a_row),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_every_loss_with_its_own_penalty),
        cmocka_unit_test(test_regularizers),
        cmocka_unit_test(test_several_penalties_at_once),
        cmocka_unit_test(test_probes_in_groups),
        cmocka_unit_test(test_many_probes_before_pooling),
        cmocka_unit_test(test_wide_window),
        cmocka_unit_test(test_given_probe),
        cmocka_unit_test(test_values_of_every_probe_and_shape),
        cmocka_unit_test(test_value_of_the_loss),
        cmocka_unit_test(test_value_of_weight_decay),
        cmocka_unit_test(test_many_channels),
        cmocka_unit_test(test_drawn_probes),
        cmocka_unit_test(test_aliases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
