#include "server/environment.h"

#include "gradreg/processor.h"
#include "server/json.h"

char *environment_text(void) {
    cJSON *object = cJSON_CreateObject();
    bool done = object && cJSON_AddStringToObject(object, "engine", gr_engine_version()) &&
                cJSON_AddStringToObject(object, "kernels", gr_kernels_name()) &&
                cJSON_AddStringToObject(object, "blas_kernel", gr_blas_kernel()) &&
                cJSON_AddStringToObject(object, "blas", gr_blas_configuration());
    char *text = done ? json_text(object) : NULL;
    cJSON_Delete(object);
    return text;
}
