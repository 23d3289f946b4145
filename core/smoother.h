/* What the smoothers share. */
#ifndef CORE_SMOOTHER_H
#define CORE_SMOOTHER_H

#include "gradreg/smoothers.h"

struct gr_smoother {
    int64_t n;
    int features;
    double parameter, score;
    double *x; /* [n][features], owned */
    /* [n] coefficients of a spline, or the values y of kernel regression; owned, with x */
    double *weights;
    double plane[1 + GR_SMOOTHER_MAXIMUM_FEATURES]; /* of a spline: its polynomial part */
    double (*evaluate)(const gr_smoother *of, const double *x);
};

/* A smoother with its points copied, and room for the weights. GR_INVALID as gradreg/smoothers.h
 * says. */
gr_status gr_smoother_create(const double *x, const double *y, int64_t n, int features,
                             int64_t minimum, gr_smoother **result, gr_error *error);

/* |a − b|² */
double gr_smoother_distance(const gr_smoother *of, const double *a, const double *b);

/* The place of the least score between low and high (> 0): the lowest valley of a logarithmic grid,
 * refined by golden section. An end is taken only where there is no valley: scores of
 * cross-validation can fall below it where the fit passes through every point, which is known for
 * an accident of the sample, not for a good fit. */
double gr_smoother_minimize(double (*score)(const void *context, double at), const void *context,
                            double low, double high);

#endif
