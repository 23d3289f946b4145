/* libFuzzer driver of the IDX reader: any bytes are read or refused, within bounded memory. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    gr_idx idx;
    gr_error error;
    if (gr_idx_parse("fuzz", bytes, count, 1 << 24, &idx, &error) == GR_OK) {
        /* All that was declared is there. */
        volatile uint8_t last = idx.bytes[gr_shape_elements(&idx.shape) - 1];
        (void)last;
    } else if (idx.bytes) {
        abort();
    }
    gr_idx_clear(&idx);
    return 0;
}
