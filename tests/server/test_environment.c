/* What a training ran on, asked for by many threads at once, as submissions do. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/environment.h"

enum { THREADS = 4, TIMES = 3000 };

static void *ask(void *first) {
    for (int i = 0; i < TIMES; i++) {
        char *text = environment_text();
        const int same = text && strcmp(text, first) == 0;
        free(text);
        if (!same) return first;
    }
    return NULL;
}

static void test_many_threads(void **state) {
    (void)state;
    char *first = environment_text();
    assert_non_null(first);
    assert_non_null(strstr(first, "\"blas\":\"OpenBLAS "));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, first), 0);
    for (int i = 0; i < THREADS; i++) {
        void *different;
        pthread_join(threads[i], &different);
        assert_null(different);
    }
    free(first);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
