/* What the numbers of a result may depend on beside spec and data. */
#ifndef SERVER_ENVIRONMENT_H
#define SERVER_ENVIRONMENT_H

/* A JSON object text: version of the engine, kernels, BLAS kernel, build of BLAS, version of
 * libc (its exp, log, tanh). The same for the life of the process. Owned by the caller (free); NULL
 * without memory. */
char *environment_text(void);
/* gr_blas_configuration for all threads. */
const char *environment_blas(void);

#endif
