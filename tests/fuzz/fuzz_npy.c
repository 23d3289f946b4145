/* libFuzzer driver of the .npy reader: any bytes are refused, or hold all that they declare. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/data/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    gr_npy npy;
    gr_error error;
    if (gr_npy_parse("fuzz", bytes, count, &npy, &error) != GR_OK) return 0;
    const int64_t elements = gr_shape_elements(&npy.shape);
    if (elements < 1 || (uint64_t)elements > count) abort();
    double sum = 0;
    for (int64_t i = 0; i < elements; i++) {
        sum += gr_npy_number(&npy, i);
        if (gr_npy_is_integer(&npy)) sum += (double)gr_npy_integer(&npy, i);
    }
    static volatile double kept; /* so that the reads are not optimised away */
    kept = sum;
    (void)kept;
    return 0;
}
