/* The layers that a preset stands for, as the settings that a spec's layers would be. */
#ifndef CORE_LAYER_LIST_H
#define CORE_LAYER_LIST_H

#include "core/layer.h"

/* Zero-initialise. The first failure is kept in `status`, and what follows it does nothing: a
 * preset adds its layers without looking, and its caller looks once. */
typedef struct gr_layer_list {
    gr_settings *items; /* owned */
    size_t count, capacity;
    gr_status status;
} gr_layer_list;

void gr_layer_list_clear(gr_layer_list *list);

/* A whole number, number or boolean (0 or 1) for an option, by the option's name. */
typedef struct gr_layer_value {
    const char *option;
    double value;
} gr_layer_value;

/* Adds a layer. `values` ends with a NULL name, or is NULL; options that it does not name have
 * their defaults. */
void gr_layer_list_add(gr_layer_list *list, const gr_layer_kind *kind,
                       const gr_layer_value *values);
void gr_layer_list_add_linear(gr_layer_list *list, int64_t units);
void gr_layer_list_add_conv2d(gr_layer_list *list, int64_t filters, int64_t kernel, int64_t stride,
                              int64_t padding);
void gr_layer_list_add_dropout(gr_layer_list *list, double rate);
/* Adds a residual of these two lists, which it takes over and empties. */
void gr_layer_list_add_residual(gr_layer_list *list, gr_layer_list *body, gr_layer_list *shortcut);
/* Adds a deep copy. */
void gr_layer_list_add_copy(gr_layer_list *list, const gr_settings *layer);

#endif
