/* The restart with better kernels: when, and that the binary does it once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gradreg/processor.h"
#include "server/restart.h"

static void decides(void **state) {
    (void)state;
    assert_string_equal(restart_kernel("Prescott", "SkylakeX", NULL, NULL), "SkylakeX");
    assert_string_equal(restart_kernel("Prescott", "Haswell", NULL, NULL), "Haswell");
    assert_string_equal(restart_kernel("Haswell", "SkylakeX", NULL, NULL), "SkylakeX");
    assert_string_equal(restart_kernel("Prescott", "SkylakeX", "", NULL), "SkylakeX");
    assert_null(restart_kernel("SkylakeX", "SkylakeX", NULL, NULL));
    assert_null(restart_kernel("Cooperlake", "SkylakeX", NULL, NULL));
    assert_null(restart_kernel("Zen", "Haswell", NULL, NULL));
    assert_null(restart_kernel("Prescott", NULL, NULL, NULL));
    assert_null(restart_kernel("Prescott", "SkylakeX", "Prescott", NULL)); /* the user's wins */
    assert_null(restart_kernel("Prescott", "SkylakeX", NULL, "1"));        /* no loop */
}

/* What `gradreg --version` says under an environment. */
static void version(const char *environment, char line[512]) {
    char command[1024];
    snprintf(command, sizeof command, "env %s '%s' --version", environment,
             getenv("GRADREG_BINARY"));
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    line[0] = '\0';
    assert_non_null(fgets(line, 512, pipe));
    assert_int_equal(pclose(pipe), 0);
}

static void the_binary_has_good_kernels(void **state) {
    (void)state;
    char line[512], kernel[64];
    if (!getenv("GRADREG_BINARY")) {
        printf("skipped: GRADREG_BINARY is not set\n");
        skip();
    }
    version("-u OPENBLAS_CORETYPE -u GRADREG_RESTARTED", line);
    assert_int_equal(sscanf(strstr(line, "OpenBLAS "), "OpenBLAS %60[^)]", kernel), 1);
    assert_false(gr_blas_kernel_is_worse(kernel, gr_blas_best_kernel()));
    /* A user's choice stays, also a bad one. */
    version("-u GRADREG_RESTARTED OPENBLAS_CORETYPE=Prescott", line);
    assert_int_equal(sscanf(strstr(line, "OpenBLAS "), "OpenBLAS %60[^)]", kernel), 1);
    assert_string_equal(kernel, "Prescott");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides),
        cmocka_unit_test(the_binary_has_good_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
