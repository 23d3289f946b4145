/* Named arrays: what a model, a checkpoint, a batch or a gradient is at rest. The core knows only
 * names, types, shapes and bytes; the file format (safetensors) is the server's. */
#ifndef GRADREG_ARRAYS_H
#define GRADREG_ARRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradreg/status.h"

#ifdef GR_DOUBLE
typedef double gr_real; /* the gradient tests compile the same sources with this */
#else
typedef float gr_real;
#endif

enum { GR_MAXIMUM_RANK = 8 };

typedef struct gr_shape {
    int rank; /* 0: a scalar */
    int64_t size[GR_MAXIMUM_RANK];
} gr_shape;

/* Number of elements; 1 for rank 0. Sizes are trusted to be in range. */
int64_t gr_shape_elements(const gr_shape *shape);
bool gr_shape_equal(const gr_shape *a, const gr_shape *b);
/* Writes "1x28x28" (or "scalar") into text and returns it. */
const char *gr_shape_text(const gr_shape *shape, char text[128]);

typedef enum gr_element_type { GR_F32, GR_F64, GR_I64, GR_U64, GR_U8, GR_I32 } gr_element_type;
size_t gr_element_size(gr_element_type type);
#define GR_REAL_ELEMENT (sizeof(gr_real) == 8 ? GR_F64 : GR_F32)

typedef struct gr_array {
    char *name; /* owned */
    gr_element_type type;
    gr_shape shape;
    void *data; /* owned, row-major, gr_shape_elements(shape) elements */
} gr_array;

/* A growing list of arrays with distinct names. Zero-initialise; gr_arrays_clear frees everything.
 */
typedef struct gr_arrays {
    size_t count, capacity;
    gr_array *items;
} gr_arrays;

void gr_arrays_clear(gr_arrays *arrays);
/* Adds an array with room for its (zeroed) data, returned in *data (borrowed; may be NULL if not
 * wanted). `name` is copied. GR_INVALID for a name that is already there. */
gr_status gr_arrays_add(gr_arrays *arrays, const char *name, gr_element_type type,
                        const gr_shape *shape, void **data, gr_error *error);
/* The array called `name`, or NULL; borrowed. */
const gr_array *gr_arrays_find(const gr_arrays *arrays, const char *name);
/* As gr_arrays_find, but requires type and shape: GR_INVALID names the array and both shapes. */
gr_status gr_arrays_require(const gr_arrays *arrays, const char *name, gr_element_type type,
                            const gr_shape *shape, const void **data, gr_error *error);

#endif
