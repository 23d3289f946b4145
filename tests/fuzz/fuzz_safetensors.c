/* Any bytes as a safetensors file: refused, or read and written again as equal arrays. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    gr_arrays arrays, again;
    char *metadata;
    gr_error error;
    const gr_status status = safetensors_parse(bytes, count, &arrays, &metadata, &error);
    if (status == GR_CORRUPT) return 0;
    if (status != GR_OK) abort();
    void *written;
    size_t length;
    if (safetensors_format(&arrays, metadata, &written, &length, &error) != GR_OK) abort();
    if (safetensors_parse(written, length, &again, NULL, &error) != GR_OK) abort();
    if (again.count != arrays.count) abort();
    for (size_t i = 0; i < arrays.count; i++) {
        const gr_array *a = &arrays.items[i], *b = &again.items[i];
        if (strcmp(a->name, b->name) != 0 || a->type != b->type ||
            !gr_shape_equal(&a->shape, &b->shape) ||
            memcmp(a->data, b->data,
                   (size_t)gr_shape_elements(&a->shape) * gr_element_size(a->type)) != 0)
            abort();
    }
    free(written);
    free(metadata);
    gr_arrays_clear(&arrays);
    gr_arrays_clear(&again);
    return 0;
}
