/* The IDX file format of MNIST: two zero bytes, the element type, the rank, one big-endian 32-bit
 * size for each dimension, then the elements in row-major order. */
#ifndef CORE_DATA_IDX_H
#define CORE_DATA_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "gradreg/arrays.h"

typedef struct gr_idx {
    gr_shape shape;
    uint8_t *bytes; /* owned; gr_shape_elements(&shape) of them */
} gr_idx;

/* Reads a file of unsigned bytes, plain or gzipped (told apart by content). Survives any content:
 * memory grows with what the file really holds, up to the size that it declares, which may not be
 * over `maximum_bytes`. GR_NOT_FOUND, GR_IO, GR_OUT_OF_MEMORY, GR_CORRUPT; messages name the file.
 * On failure *idx is empty. */
gr_status gr_idx_read(const char *path, int64_t maximum_bytes, gr_idx *idx, gr_error *error);

/* The same for a file that is already in memory; `name` is for messages. */
gr_status gr_idx_parse(const char *name, const void *content, size_t count, int64_t maximum_bytes,
                       gr_idx *idx, gr_error *error);

void gr_idx_clear(gr_idx *idx);

#endif
