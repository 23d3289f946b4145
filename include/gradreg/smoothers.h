/* Classical regression from scattered points, to hold a network's fit against: the smoothing spline
 * and kernel regression, each with the one parameter that the data themselves choose. */
#ifndef GRADREG_SMOOTHERS_H
#define GRADREG_SMOOTHERS_H

#include <stdint.h>

#include "gradreg/status.h"

/* A fitted function of d numbers. */
typedef struct gr_smoother gr_smoother;

enum { GR_SMOOTHER_MAXIMUM_POINTS = 2000, GR_SMOOTHER_MAXIMUM_FEATURES = 2 };

/* The thin-plate smoothing spline of Wahba (Spline Models for Observational Data, 1990) with second
 * derivatives, in one dimension the natural cubic smoothing spline: the f that minimises
 * 1/n Σ (y_i − f(x_i))² + λ J(f), where J is the integral of f''², in two dimensions of
 * f_11² + 2 f_12² + f_22². λ > 0 is taken as it is; λ = 0 stands for the lowest inner
 * minimum of generalised cross-validation.
 * x: [n][features], y: [n]. GR_INVALID: fewer than features + 2 points, points on one line (at one
 * place), what is not finite, too many points or features. GR_OUT_OF_MEMORY. Work: O(n³). */
gr_status gr_smoothing_spline(const double *x, const double *y, int64_t n, int features,
                              double lambda, gr_smoother **result, gr_error *error);

/* Nadaraya–Watson regression with a Gaussian kernel, f(x) = Σ w_i y_i / Σ w_i,
 * w_i = exp(−|x − x_i|²/2h²). h > 0 is taken as it is; h = 0 stands for the minimum of the
 * leave-one-out error. As above; 2 points are enough. */
gr_status gr_kernel_regression(const double *x, const double *y, int64_t n, int features,
                               double bandwidth, gr_smoother **result, gr_error *error);

void gr_smoother_free(gr_smoother *of); /* NULL is allowed */
/* At `count` points, x: [count][features]; values: [count]. */
void gr_smoother_evaluate(const gr_smoother *of, const double *x, int64_t count, double *values);
/* λ or h, and what was minimised by it (the score of the parameter, also where it was given). */
double gr_smoother_parameter(const gr_smoother *of);
double gr_smoother_score(const gr_smoother *of);

#endif
