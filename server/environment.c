#include "server/environment.h"

#include <gnu/libc-version.h>

#include "gradreg/processor.h"
#include "server/json.h"

char *environment_text(void) {
    cJSON *object = cJSON_CreateObject();
    bool done = object && cJSON_AddStringToObject(object, "engine", gr_engine_version()) &&
                cJSON_AddStringToObject(object, "kernels", gr_kernels_name()) &&
                cJSON_AddStringToObject(object, "blas_kernel", gr_blas_kernel()) &&
                cJSON_AddStringToObject(object, "blas", gr_blas_configuration()) &&
                cJSON_AddStringToObject(object, "libc", gnu_get_libc_version()); // exp, log, tanh
    char *text = done ? json_text(object) : NULL;
    cJSON_Delete(object);
    return text;
}
