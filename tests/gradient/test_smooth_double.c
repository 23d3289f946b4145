/* In double precision what a float would round away is seen too. */
#include "tests/core/test_smooth.c"
