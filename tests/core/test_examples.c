/* Every kind of regulariser has an example: a spec in examples/methods/ that names it. That they
 * are good specs is for tests/examples/run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gradreg/settings.h"

static glob_t examples;

static int find_examples(void **state) {
    (void)state;
    const char *source = getenv("GRADREG_SOURCE_DIR");
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/examples/methods/*.json", source ? source : ".");
    return glob(pattern, 0, NULL, &examples) == 0 ? 0 : -1;
}

static int free_examples(void **state) {
    (void)state;
    globfree(&examples);
    return 0;
}

static bool names(const char *path, const char *kind) {
    char text[16384], wanted[128];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    const size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    snprintf(wanted, sizeof wanted, "\"type\": \"%s\"", kind);
    return strstr(text, wanted) != NULL;
}

static void test_every_regularizer_has_an_example(void **state) {
    (void)state;
    int missing = 0;
    for (int k = 0; gr_regularizer_family.kinds[k]; k++) {
        const char *kind = gr_regularizer_family.kinds[k]->name;
        bool found = false;
        for (size_t i = 0; !found && i < examples.gl_pathc; i++)
            found = names(examples.gl_pathv[i], kind);
        if (!found) print_error("no spec in examples/methods/ has the regularizer %s\n", kind);
        missing += !found;
    }
    assert_int_equal(missing, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_regularizer_has_an_example)};
    return cmocka_run_group_tests(tests, find_examples, free_examples);
}
