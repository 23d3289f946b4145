/* The event hub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "server/events.h"

static void count(void *context, const event *change) {
    atomic_fetch_add((atomic_long *)context, (long)change->id);
}

static void reaches_every_listener(void **state) {
    (void)state;
    events *hub = events_create();
    atomic_long first = 0, second = 0;
    int a = events_listen(hub, count, &first), b = events_listen(hub, count, &second);
    assert_true(a >= 0 && b >= 0 && a != b);
    events_publish(hub, &(event){.type = EVENT_METRICS, .id = 3});
    events_unlisten(hub, a);
    events_publish(hub, &(event){.type = EVENT_METRICS, .id = 4});
    assert_int_equal(3, atomic_load(&first));
    assert_int_equal(7, atomic_load(&second));
    events_unlisten(hub, b);
    events_unlisten(hub, -1);
    events_publish(hub, &(event){.id = 5});
    assert_int_equal(7, atomic_load(&second));
    events_free(hub);
}

static void refuses_one_too_many(void **state) {
    (void)state;
    events *hub = events_create();
    atomic_long sum = 0;
    int handles = 0;
    while (handles < 10000 && events_listen(hub, count, &sum) >= 0) handles++;
    assert_in_range(handles, 8, 9999);
    events_unlisten(hub, 5);
    assert_int_equal(5, events_listen(hub, count, &sum));
    events_free(hub);
}

enum { PUBLISHERS = 4, EVENTS = 20000 };

static void *publish(void *argument) {
    for (int i = 0; i < EVENTS; i++) events_publish(argument, &(event){.id = 1});
    return NULL;
}

static void publishes_from_many_threads(void **state) {
    (void)state;
    events *hub = events_create();
    atomic_long kept = 0;
    events_listen(hub, count, &kept);
    pthread_t threads[PUBLISHERS];
    for (int i = 0; i < PUBLISHERS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, publish, hub));
    for (int i = 0; i < 200; i++) {
        /* After events_unlisten has returned, its context may be gone. */
        atomic_long passing = 0;
        int handle = events_listen(hub, count, &passing);
        assert_true(handle >= 0);
        events_unlisten(hub, handle);
    }
    for (int i = 0; i < PUBLISHERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(PUBLISHERS * EVENTS, atomic_load(&kept));
    events_free(hub);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reaches_every_listener),
        cmocka_unit_test(refuses_one_too_many),
        cmocka_unit_test(publishes_from_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
