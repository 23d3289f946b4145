#include "core/layer_list.h"

#include <stdlib.h>
#include <string.h>

void gr_layer_list_clear(gr_layer_list *list) {
    gr_settings_array_free(list->items, list->count);
    *list = (gr_layer_list){0};
}

/* Room for one more, zeroed; NULL where the list has failed. */
static gr_settings *next(gr_layer_list *list) {
    if (list->status != GR_OK) return NULL;
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 16;
        gr_settings *items = realloc(list->items, capacity * sizeof *items);
        if (!items) {
            list->status = GR_OUT_OF_MEMORY;
            return NULL;
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count] = (gr_settings){0};
    return &list->items[list->count++];
}

/* The default of an option that a preset leaves as it is: none of a layer's is more than a word or
 * a number (a residual's lists are not left). */
static gr_value default_of(const gr_option *option) {
    const char *json = option->default_json ? option->default_json : "null";
    const unsigned accepts = option->accepts;
    if (strcmp(json, "true") == 0 || strcmp(json, "false") == 0)
        return (gr_value){.type = GR_BOOLEAN, .boolean = json[0] == 't'};
    if (json[0] == '"') {
        for (int i = 0; option->choices && option->choices[i]; i++)
            if (strncmp(json + 1, option->choices[i], strlen(option->choices[i])) == 0 &&
                json[1 + strlen(option->choices[i])] == '"')
                return (gr_value){.type = GR_CHOICE, .choice = i};
    } else if (accepts & GR_ACCEPT(GR_INTEGER) && strcmp(json, "null") != 0) {
        return (gr_value){.type = GR_INTEGER, .integer = strtoll(json, NULL, 10)};
    } else if (accepts & GR_ACCEPT(GR_NUMBER) && strcmp(json, "null") != 0) {
        return (gr_value){.type = GR_NUMBER, .number = strtod(json, NULL)};
    }
    return (gr_value){.type = GR_NULL};
}

static gr_value value_of(const gr_option *option, double value) {
    if (option->accepts & GR_ACCEPT(GR_INTEGER))
        return (gr_value){.type = GR_INTEGER, .integer = (int64_t)value};
    if (option->accepts & GR_ACCEPT(GR_NUMBER))
        return (gr_value){.type = GR_NUMBER, .number = value};
    return (gr_value){.type = GR_BOOLEAN, .boolean = value != 0};
}

void gr_layer_list_add(gr_layer_list *list, const gr_layer_kind *kind,
                       const gr_layer_value *values) {
    gr_settings *layer = next(list);
    if (!layer) return;
    const gr_kind *of = &kind->kind;
    layer->values = calloc(of->option_count + 1, sizeof *layer->values);
    if (!layer->values) {
        list->status = GR_OUT_OF_MEMORY;
        return;
    }
    layer->kind = of;
    for (size_t i = 0; i < of->option_count; i++) layer->values[i] = default_of(&of->options[i]);
    for (; values && values->option; values++) {
        const int option = gr_kind_option(of, values->option);
        layer->values[option] = value_of(&of->options[option], values->value);
    }
}

void gr_layer_list_add_linear(gr_layer_list *list, int64_t units) {
    gr_layer_list_add(list, &gr_layer_linear,
                      (gr_layer_value[]){{"units", (double)units}, {NULL, 0}});
}

void gr_layer_list_add_conv2d(gr_layer_list *list, int64_t filters, int64_t kernel, int64_t stride,
                              int64_t padding) {
    gr_layer_list_add(list, &gr_layer_conv2d,
                      (gr_layer_value[]){{"filters", (double)filters},
                                         {"kernel", (double)kernel},
                                         {"stride", (double)stride},
                                         {"padding", (double)padding},
                                         {NULL, 0}});
}

void gr_layer_list_add_dropout(gr_layer_list *list, double rate) {
    gr_layer_list_add(list, &gr_layer_dropout, (gr_layer_value[]){{"rate", rate}, {NULL, 0}});
}

void gr_layer_list_add_residual(gr_layer_list *list, gr_layer_list *body, gr_layer_list *shortcut) {
    gr_layer_list *const parts[] = {[GR_RESIDUAL_BODY] = body, [GR_RESIDUAL_SHORTCUT] = shortcut};
    gr_layer_list_add(list, &gr_layer_residual, NULL);
    for (int part = GR_RESIDUAL_BODY; part <= GR_RESIDUAL_SHORTCUT; part++) {
        if (list->status == GR_OK) list->status = parts[part]->status;
        if (list->status == GR_OK) {
            list->items[list->count - 1].values[part] =
                (gr_value){.type = GR_LIST,
                           .settings = {.count = parts[part]->count, .items = parts[part]->items}};
            *parts[part] = (gr_layer_list){0};
        }
        gr_layer_list_clear(parts[part]);
    }
}

void gr_layer_list_add_copy(gr_layer_list *list, const gr_settings *layer) {
    gr_settings *to = next(list);
    if (to) list->status = gr_settings_copy(to, layer, NULL);
}
