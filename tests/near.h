/* Comparison of doubles with a stated tolerance; a failure says both numbers. Include after cmocka.
 */
#ifndef TESTS_NEAR_H
#define TESTS_NEAR_H

#include <math.h>

#define assert_near(actual, expected, tolerance)                                             \
    do {                                                                                     \
        const double near_a = (actual), near_e = (expected), near_t = (tolerance);           \
        if (!(fabs(near_a - near_e) <= near_t))                                              \
            fail_msg("%s is %.17g, not %.17g within %.3g", #actual, near_a, near_e, near_t); \
    } while (0)

#endif
