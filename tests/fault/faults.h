/* Failures on demand: every allocation and every call of the operating system's file functions, in
 * the program and in the libraries that it uses, is counted and can be made to fail.
 *
 * Allocations of our own objects come here by the linker's --wrap, those of SQLite and cJSON by
 * their hooks; file functions are defined in the program, where shared libraries find them first.
 */
#ifndef TESTS_FAULT_FAULTS_H
#define TESTS_FAULT_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>

typedef enum fault_kind { FAULT_MEMORY = 1, FAULT_FILES = 2 } fault_kind;

/* Before SQLite and cJSON are used. */
void faults_install(void);
/* The `number`-th call of that kind from now on fails, and with `all` those after it too. */
void faults_arm(fault_kind kind, long number, bool all);
/* Sets *stop (until disarmed) with the first failure. */
void faults_stop(atomic_bool *stop);
/* No call fails any more. Returns how many calls have failed. */
long faults_disarm(void);
/* Whether a call has failed since it was armed. */
bool faults_happened(void);
/* The function that failed first: for messages. */
const char *faults_function(void);

#endif
