#include "gradreg/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void gr_value_clear(gr_value *value) {
    switch (value->type) {
    case GR_STRING:
    case GR_STRINGS:
        free(value->string);
        break;
    case GR_NUMBERS:
        free(value->numbers.items);
        break;
    case GR_SETTINGS:
    case GR_LIST:
        gr_settings_array_free(value->settings.items, value->settings.count);
        break;
    default:
        break;
    }
    memset(value, 0, sizeof *value);
}

void gr_settings_clear(gr_settings *settings) {
    if (settings->values)
        for (size_t i = 0; i < settings->kind->option_count; i++)
            gr_value_clear(&settings->values[i]);
    free(settings->values);
    memset(settings, 0, sizeof *settings);
}

void gr_settings_array_free(gr_settings *items, size_t count) {
    if (!items) return;
    for (size_t i = 0; i < count; i++) gr_settings_clear(&items[i]);
    free(items);
}

static gr_status copy_value(gr_value *to, const gr_value *from, gr_error *error) {
    *to = (gr_value){0};
    switch (from->type) {
    case GR_STRING:
    case GR_STRINGS:
        to->string = strdup(from->string);
        if (!to->string) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a string");
        break;
    case GR_NUMBERS:
        to->numbers.items = malloc((from->numbers.count + 1) * sizeof(double));
        if (!to->numbers.items) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for numbers");
        to->numbers.count = from->numbers.count;
        if (from->numbers.count)
            memcpy(to->numbers.items, from->numbers.items, from->numbers.count * sizeof(double));
        break;
    case GR_SETTINGS:
    case GR_LIST: {
        size_t count = from->settings.count;
        gr_settings *items = calloc(count + 1, sizeof *items);
        if (!items) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for settings");
        for (size_t i = 0; i < count; i++) {
            gr_status status = gr_settings_copy(&items[i], &from->settings.items[i], error);
            if (status != GR_OK) {
                gr_settings_array_free(items, i);
                return status;
            }
        }
        to->settings.items = items;
        to->settings.count = count;
        break;
    }
    default:
        *to = *from;
        break;
    }
    to->type = from->type;
    return GR_OK;
}

gr_status gr_settings_copy(gr_settings *to, const gr_settings *from, gr_error *error) {
    memset(to, 0, sizeof *to);
    if (!from->kind) return GR_OK;
    to->values = calloc(from->kind->option_count + 1, sizeof *to->values);
    if (!to->values) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for settings");
    to->kind = from->kind;
    for (size_t i = 0; i < from->kind->option_count; i++) {
        gr_status status = copy_value(&to->values[i], &from->values[i], error);
        if (status != GR_OK) {
            gr_settings_clear(to);
            return status;
        }
    }
    return GR_OK;
}

int gr_kind_option(const gr_kind *kind, const char *name) {
    for (size_t i = 0; i < kind->option_count; i++)
        if (strcmp(kind->options[i].name, name) == 0) return (int)i;
    return -1;
}

const gr_kind *gr_family_kind(const gr_family *family, const char *name) {
    for (size_t i = 0; family->kinds[i]; i++)
        if (strcmp(family->kinds[i]->name, name) == 0) return family->kinds[i];
    return NULL;
}

int64_t gr_integer(const gr_settings *settings, int option) {
    assert(settings->values[option].type == GR_INTEGER);
    return settings->values[option].integer;
}

double gr_number(const gr_settings *settings, int option) {
    const gr_value *value = &settings->values[option];
    assert(value->type == GR_NUMBER || value->type == GR_INTEGER);
    return value->type == GR_INTEGER ? (double)value->integer : value->number;
}

bool gr_boolean(const gr_settings *settings, int option) {
    assert(settings->values[option].type == GR_BOOLEAN);
    return settings->values[option].boolean;
}

int gr_choice(const gr_settings *settings, int option) {
    assert(settings->values[option].type == GR_CHOICE);
    return settings->values[option].choice;
}

const char *gr_string(const gr_settings *settings, int option) {
    assert(settings->values[option].type == GR_STRING ||
           settings->values[option].type == GR_STRINGS);
    return settings->values[option].string;
}

const gr_settings *gr_settings_of(const gr_settings *settings, int option) {
    assert(settings->values[option].type == GR_SETTINGS);
    return settings->values[option].settings.items;
}

const gr_settings *gr_list(const gr_settings *settings, int option, size_t *count) {
    assert(settings->values[option].type == GR_LIST);
    *count = settings->values[option].settings.count;
    return settings->values[option].settings.items;
}

const double *gr_numbers(const gr_settings *settings, int option, size_t *count) {
    assert(settings->values[option].type == GR_NUMBERS);
    *count = settings->values[option].numbers.count;
    return settings->values[option].numbers.items;
}
