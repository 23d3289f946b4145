/* Student's distribution by the incomplete beta function. */
#include <float.h>
#include <math.h>

#include "server/sample_statistics.h"

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by the modified Lentz
 * method; it converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x) {
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m <= 10000; m++) {
        double term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 + term * d;
        c = 1 + term / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        value *= d * c;
        term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + term * d;
        c = 1 + term / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        const double factor = d * c;
        value *= factor;
        if (fabs(factor - 1) < DBL_EPSILON) break;
    }
    return value;
}

static double log_gamma(double x) {
    int sign;
    return lgamma_r(x, &sign); /* lgamma writes a global */
}

/* I_x(a, b) where 1 - x is known more exactly than x can say. */
static double beta_with_complement(double a, double b, double x, double complement) {
    if (x <= 0) return 0;
    if (complement <= 0) return 1;
    const double front =
        exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * log(x) + b * log(complement));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, complement) / b;
}

double incomplete_beta(double a, double b, double x) {
    if (!(a > 0 && b > 0 && x >= 0 && x <= 1)) return NAN;
    return beta_with_complement(a, b, x, 1 - x);
}

double student_two_sided(double t, double degrees) {
    if (isnan(t) || !(degrees > 0)) return NAN;
    if (isinf(t)) return 0;
    if (isinf(degrees)) return erfc(fabs(t) / M_SQRT2);
    /* I_x(n/2, 1/2) at x = n / (n + t²), DLMF 8.17 with 26.5.27 of Abramowitz and Stegun. */
    const double square = t * t;
    return beta_with_complement(degrees / 2, 0.5, degrees / (degrees + square),
                                square / (degrees + square));
}

double student_cdf(double t, double degrees) {
    const double tail = student_two_sided(t, degrees) / 2;
    return t > 0 ? 1 - tail : tail;
}

double normal_cdf(double z) {
    return erfc(-z / M_SQRT2) / 2;
}

/* By the tail, which has the greater relative precision: bracketed, then halved down to
 * neighbouring numbers. Some 100 steps of a microsecond. */
static double find_quantile(double p, double degrees) {
    const double tail = 2 * (p < 0.5 ? p : 1 - p);
    double low = 0, high = 1;
    while (student_two_sided(high, degrees) > tail && high < DBL_MAX / 4) {
        low = high;
        high *= 2;
    }
    for (int step = 0; step < 200; step++) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) break;
        if (student_two_sided(middle, degrees) > tail)
            low = middle;
        else
            high = middle;
    }
    return p < 0.5 ? -high : high;
}

double student_quantile(double p, double degrees) {
    /* A table asks for the same one in every cell. */
    static _Thread_local struct { double p, degrees, quantile; } last;
    if (!(p > 0 && p < 1) || !(degrees > 0)) return NAN;
    if (p == 0.5) return 0;
    if (p != last.p || degrees != last.degrees) {
        last.quantile = find_quantile(p, degrees);
        last.p = p;
        last.degrees = degrees;
    }
    return last.quantile;
}
