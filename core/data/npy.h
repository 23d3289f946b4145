/* NumPy's .npy format, versions 1 to 3: a magic number, a header that is a Python dictionary in
 * ASCII, and the elements in row-major order. */
#ifndef CORE_DATA_NPY_H
#define CORE_DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradreg/arrays.h"

typedef enum gr_npy_type { GR_NPY_F4, GR_NPY_F8, GR_NPY_U1, GR_NPY_I4, GR_NPY_I8 } gr_npy_type;

typedef struct gr_npy {
    gr_shape shape; /* rank 1 … 8, no size 0 */
    gr_npy_type type;
    const uint8_t *elements; /* borrowed: within the content; of any alignment */
} gr_npy;

/* Understands a whole file that is in memory. Survives any content: the elements that the header
 * declares are there, to the last byte of the content. `name` is for messages. GR_CORRUPT. */
gr_status gr_npy_parse(const char *name, const uint8_t *content, size_t count, gr_npy *npy,
                       gr_error *error);

bool gr_npy_is_integer(const gr_npy *npy);
/* The element at `index` in row-major order, exactly (of GR_NPY_I8: rounded to a double). */
double gr_npy_number(const gr_npy *npy, int64_t index);
/* The same of an integer type, exactly. */
int64_t gr_npy_integer(const gr_npy *npy, int64_t index);

#endif
