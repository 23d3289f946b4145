#include "server/environment.h"

#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdio.h>

#include "gradreg/processor.h"
#include "server/json.h"

static char blas[256];

static void read_blas(void) {
    snprintf(blas, sizeof blas, "%s", gr_blas_configuration());
}

const char *environment_blas(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_blas);
    return blas;
}

char *environment_text(void) {
    cJSON *object = cJSON_CreateObject();
    bool done = object && cJSON_AddStringToObject(object, "engine", gr_engine_version()) &&
                cJSON_AddStringToObject(object, "kernels", gr_kernels_name()) &&
                cJSON_AddStringToObject(object, "blas_kernel", gr_blas_kernel()) &&
                cJSON_AddStringToObject(object, "blas", environment_blas()) &&
                cJSON_AddStringToObject(object, "libc", gnu_get_libc_version()); // exp, log, tanh
    char *text = done ? json_text(object) : NULL;
    cJSON_Delete(object);
    return text;
}
