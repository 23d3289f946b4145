/* The two clocks, and waiting by the one that never jumps. */
#ifndef SERVER_CLOCK_H
#define SERVER_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970 UTC: for what is stored or told. The clock may be set meanwhile. */
int64_t clock_now(void);

/* The same clock in two units, since some moment: for how long something takes. It never jumps. */
int64_t clock_milliseconds(void);
double clock_seconds(void);

/* A condition whose timed waits are by the clock that never jumps; and the time to wait for: so
 * many milliseconds from now. */
void clock_condition_init(pthread_cond_t *condition);
struct timespec clock_after(int64_t milliseconds);

#endif
