/* OpenBLAS chooses its kernels when the program starts, and chooses badly on processors that it
 * does not know: the program then starts itself once more with the right choice in its environment
 * (docs/architecture.md). */
#ifndef SERVER_RESTART_H
#define SERVER_RESTART_H

/* The value for OPENBLAS_CORETYPE with which the program should start again, or NULL where it
 * should go on. `in_use` and `best` are kernel names (best may be NULL); `chosen` is the user's
 * OPENBLAS_CORETYPE and `guard` the environment's GRADREG_RESTARTED, NULL where not set. */
const char *restart_kernel(const char *in_use, const char *best, const char *chosen,
                           const char *guard);

/* Replaces this process by one with better kernels where that is called for; returns otherwise (and
 * where the operating system does not let it). To be called before anything else. */
void restart_with_better_kernels(char **argv);

#endif
