/* One load for many users, and none kept after a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "server/data_cache.h"
#include "tests/settings_builder.h"

enum { THREADS = 4 };

typedef struct user {
    data_cache *cache;
    const gr_dataset *dataset;
    char hash[65];
    gr_status status;
    const char *name;
} user;

static void *use(void *context) {
    user *it = context;
    gr_settings settings = settings_build(&gr_dataset_family, it->name);
    it->status = data_cache_get(it->cache, &settings, &it->dataset, it->hash, NULL);
    gr_settings_clear(&settings);
    return NULL;
}

static void use_together(data_cache *cache, const char *name, user users[THREADS]) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        users[i] = (user){.cache = cache, .name = name};
        assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void test_concurrent_users_share(void **state) {
    (void)state;
    user users[THREADS];
    data_cache *cache = data_cache_create("/nowhere");
    use_together(cache, "{name: digits}", users);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(users[i].status, GR_OK);
        assert_ptr_equal(users[i].dataset, users[0].dataset);
        assert_string_equal(users[i].hash, users[0].hash);
    }
    assert_int_equal(strlen(users[0].hash), 64);
    assert_int_equal(strspn(users[0].hash, "0123456789abcdef"), 64);
    /* Other draws are the same data. */
    gr_settings settings = settings_build(&gr_dataset_family, "{name: digits, train_size: 7}");
    const gr_dataset *dataset;
    char hash[65];
    assert_int_equal(data_cache_get(cache, &settings, &dataset, hash, NULL), GR_OK);
    assert_ptr_equal(dataset, users[0].dataset);
    gr_settings_clear(&settings);
    data_cache_free(cache);
}

static void test_failures_reach_everyone(void **state) {
    (void)state;
    user users[THREADS];
    data_cache *cache = data_cache_create("/nowhere");
    for (int round = 0; round < 2; round++) {
        use_together(cache, "{name: mnist}", users);
        for (int i = 0; i < THREADS; i++) assert_int_equal(users[i].status, GR_NOT_FOUND);
    }
    data_cache_free(cache);
    data_cache_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concurrent_users_share),
        cmocka_unit_test(test_failures_reach_everyone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
