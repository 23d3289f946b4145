/* Analytic gradients against central differences, in double, through gr_gradients: the same door as
 * `gradreg gradients`. A problem is a small network with random parameters and a random batch;
 * every parameter is varied, and gradients are compared signed, tensor by tensor. */
#ifndef TESTS_GRADIENT_CHECK_H
#define TESTS_GRADIENT_CHECK_H

#include <stdbool.h>

#include "core/network.h"
#include "gradreg/arrays.h"
#include "gradreg/settings.h"

/* ‖g - num‖ / ‖num‖ allowed for a tensor. Central differences with step h = 1e-5 of a function of
 * size 1 with derivatives of size 1 err by h²/6 ≈ 2e-11 (truncation) plus 2·1e-16·F/h ≈ 1e-11
 * (rounding), F ≈ 1…10 being what is differentiated; tensors here have norms above 1e-4, third
 * derivatives reach some hundreds: 1e-6 leaves one order. A wrong or missing term errs by 1e-3 or
 * more. */
#define GRADIENT_TOLERANCE 1e-6
#define GRADIENT_STEP 1e-5
/* A tensor whose gradient has to be there is at least this long: see GRADIENT_TOLERANCE. */
#define GRADIENT_GUARD 1e-4

/* What is zero but for rounding: see GRADIENT_TOLERANCE; a thousand times the rounding there. */
#define GRADIENT_VANISHING 1e-8

typedef struct gradient_problem {
    gr_settings model, loss;
    gr_network *network;
    gr_arrays weights, batch;
    /* Names, with spaces between them, of tensors that no loss depends on, such as a bias before a
     * normalisation: both gradients must be within GRADIENT_VANISHING of 0. NULL: none. */
    const char *vanishing;
    int64_t stride; /* one element of so many is compared, of large tensors; 0: all are */
} gradient_problem;

/* `input` is "[2, 6, 5]", `layers` a list, `loss` a member of its family; weights, inputs and
 * labels are drawn with `seed`. A loss of regressions gets real targets unless `labelled`. Fails
 * the test where the network does not build. gradient_problem_clear. */
gradient_problem gradient_problem_create(const char *input, const char *layers, const char *loss,
                                         int64_t samples, bool labelled, uint64_t seed);
void gradient_problem_clear(gradient_problem *problem);
/* The cotangent that the random probe uses instead of a drawn one. */
void gradient_problem_give_probe(gradient_problem *problem, uint64_t seed);

/* What gr_gradients answers; `regularizers` is a list or NULL. Owned by the caller. */
gr_arrays gradient_evaluate(const gradient_problem *problem, const char *regularizers);

/* Which tensors' gradients have to be exactly zero: bit for bit those of weight 0 (whose blocks of
 * lanes are the same), and those without the penalty but for rounding. The others have to pass
 * GRADIENT_GUARD. */
typedef bool gradient_zero_rule(const gr_network *network, const gr_node *node,
                                const gr_parameter *parameter);

/* Compares the gradient of the number called `scalar` ("loss", "regularizers.0", "total") over
 * every parameter. For "regularizers.0" the analytic side is the gradient with that one regulariser
 * (whose weight is 1) less that without any; for the others it is all of grad.*. Fails the test,
 * naming `title` and the tensor. zero NULL: no tensor. */
void gradient_check(const char *title, const gradient_problem *problem, const char *regularizers,
                    const char *scalar, gradient_zero_rule *zero);

/* The rule of penalties whose cotangent c is constant: the bias of a layer enters g only through
 * the bend of a smooth layer after it, so where none follows its gradient is exactly zero
 * (docs/methods.md). */
gradient_zero_rule gradient_zero_for_constant_cotangent;

/* Whether c of this probe is held constant (docs/methods.md, the table of q). Fails the test for a
 * probe that it does not know: say what q it has. */
bool gradient_probe_is_constant(const char *probe);
/* The choices of gradient_penalty's option "probe", NULL-terminated: a new probe is tested at once.
 */
const char *const *gradient_probes(void);

#endif
