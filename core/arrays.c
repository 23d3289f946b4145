#include "gradreg/arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t gr_shape_elements(const gr_shape *shape) {
    int64_t elements = 1;
    for (int i = 0; i < shape->rank; i++) elements *= shape->size[i];
    return elements;
}

bool gr_shape_equal(const gr_shape *a, const gr_shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->size[i] != b->size[i]) return false;
    return true;
}

const char *gr_shape_text(const gr_shape *shape, char text[128]) {
    if (shape->rank == 0) {
        snprintf(text, 128, "scalar");
        return text;
    }
    size_t length = 0;
    for (int i = 0; i < shape->rank && length < 128; i++)
        length += (size_t)snprintf(text + length, 128 - length, "%s%lld", i ? "x" : "",
                                   (long long)shape->size[i]);
    return text;
}

size_t gr_element_size(gr_element_type type) {
    switch (type) {
    case GR_F32:
    case GR_I32:
        return 4;
    case GR_F64:
    case GR_I64:
    case GR_U64:
        return 8;
    case GR_U8:
        return 1;
    }
    return 0;
}

static const char *element_name(gr_element_type type) {
    static const char *const names[] = {"F32", "F64", "I64", "U64", "U8", "I32"};
    return names[type];
}

void gr_arrays_clear(gr_arrays *arrays) {
    for (size_t i = 0; i < arrays->count; i++) {
        free(arrays->items[i].name);
        free(arrays->items[i].data);
    }
    free(arrays->items);
    memset(arrays, 0, sizeof *arrays);
}

const gr_array *gr_arrays_find(const gr_arrays *arrays, const char *name) {
    for (size_t i = 0; i < arrays->count; i++)
        if (strcmp(arrays->items[i].name, name) == 0) return &arrays->items[i];
    return NULL;
}

gr_status gr_arrays_add(gr_arrays *arrays, const char *name, gr_element_type type,
                        const gr_shape *shape, void **data, gr_error *error) {
    if (gr_arrays_find(arrays, name))
        return gr_fail(error, GR_INVALID, "the array \"%s\" is there twice", name);
    if (arrays->count == arrays->capacity) {
        size_t capacity = arrays->capacity ? arrays->capacity * 2 : 16;
        gr_array *items = realloc(arrays->items, capacity * sizeof *items);
        if (!items) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %zu arrays", capacity);
        arrays->items = items;
        arrays->capacity = capacity;
    }
    size_t elements = (size_t)gr_shape_elements(shape);
    gr_array array = {.name = strdup(name), .type = type, .shape = *shape};
    array.data = calloc(elements ? elements : 1, gr_element_size(type));
    if (!array.name || !array.data) {
        free(array.name);
        free(array.data);
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the array \"%s\" of %zu elements",
                       name, elements);
    }
    arrays->items[arrays->count++] = array;
    if (data) *data = array.data;
    return GR_OK;
}

gr_status gr_arrays_require(const gr_arrays *arrays, const char *name, gr_element_type type,
                            const gr_shape *shape, const void **data, gr_error *error) {
    const gr_array *array = gr_arrays_find(arrays, name);
    if (!array) return gr_fail(error, GR_INVALID, "the array \"%s\" is missing", name);
    if (array->type != type || !gr_shape_equal(&array->shape, shape)) {
        char is[128], wanted[128];
        return gr_fail(error, GR_INVALID, "the array \"%s\" is %s %s, but %s %s is needed", name,
                       element_name(array->type), gr_shape_text(&array->shape, is),
                       element_name(type), gr_shape_text(shape, wanted));
    }
    *data = array->data;
    return GR_OK;
}
