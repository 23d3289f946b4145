/* Kinds, their options, and the values that a user gave them.
 *
 * A *kind* is one member of a *family*: `conv2d` is a kind of layer, `adam` a kind of optimiser. A
 * kind declares its options as data; everything that reads, writes, checks, documents or lists
 * specs is driven by these tables and by nothing else. A *settings* is one kind with a value for
 * each of its options, in the order of its option table. */
#ifndef GRADREG_SETTINGS_H
#define GRADREG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradreg/status.h"

typedef struct gr_kind gr_kind;
typedef struct gr_family gr_family;
typedef struct gr_settings gr_settings;

typedef enum gr_value_type {
    GR_NULL,     /* JSON null: "as the rule of this option says" */
    GR_BOOLEAN,  /* true or false */
    GR_INTEGER,  /* a whole number, |n| <= 2^53 - 1 */
    GR_NUMBER,   /* a finite double */
    GR_CHOICE,   /* one of option->choices, held as its index */
    GR_STRING,   /* UTF-8 without U+0000 */
    GR_NUMBERS,  /* a list of finite doubles */
    GR_SETTINGS, /* one member of option->family */
    GR_LIST,     /* a list of members of option->family */
    GR_STRINGS   /* an object of strings; held as its JSON text in `string` */
} gr_value_type;

/* Bit of a value type in gr_option.accepts: `GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_CHOICE)`. */
#define GR_ACCEPT(type) (1u << (type))

typedef struct gr_value {
    gr_value_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        int choice;
        char *string; /* owned by the settings */
        struct {
            size_t count;
            double *items; /* owned by the settings */
        } numbers;
        struct {
            size_t count;       /* 1 for GR_SETTINGS */
            gr_settings *items; /* owned by the settings that hold this value */
        } settings;
    };
} gr_value;

enum { GR_MAXIMUM_OPTIONS = 24, GR_MAXIMUM_LIST = 1024, GR_MAXIMUM_NESTING = 8 };

/* One option of a kind. */
typedef struct gr_option {
    const char *name;
    const char *help; /* one line, with the unit */
    unsigned accepts; /* GR_ACCEPT bits; with GR_SETTINGS and GR_BOOLEAN both, true stands for {}
                         and false for null */
    /* Bounds of GR_INTEGER, GR_NUMBER and of each item of GR_NUMBERS; where only GR_STRING has
     * bounds, of its length in bytes. Both 0: no bounds (of a string: 1 … 4096 bytes). */
    double minimum, maximum;
    bool minimum_excluded, maximum_excluded;
    const char *const *choices; /* for GR_CHOICE: NULL-terminated */
    const gr_family *family;    /* for GR_SETTINGS and GR_LIST */
    bool lines;                 /* GR_STRING: line feeds and tabs are allowed */
    bool required;              /* else default_json stands in for a missing member */
    bool optional; /* null is left out of the canonical form, which is then what it was before there
                      was such an option */
    const char *default_json; /* the default as JSON text: "0.001", "\"same\"", "null", "[0.5,
                                 0.75]", "{}" */
} gr_option;

/* A fixed value that an alias gives to an option of the kind it stands for. */
typedef struct gr_alias_value {
    const char *option;
    const char *json; /* as in default_json */
} gr_alias_value;

struct gr_kind {
    const char *name;
    const char *help; /* one line; for a method, with its source */
    const gr_option *options;
    size_t option_count;
    /* An alias is another name for a point of a kind: it takes the same options but the fixed ones,
     * and the settings that come of it have the kind `alias_of`. NULL for a kind of its own. */
    const gr_kind *alias_of;
    const gr_alias_value *alias_values;
    size_t alias_value_count;
};

struct gr_family {
    const char *name;            /* "layer", "optimizer", …: for messages and documents */
    const char *discriminator;   /* the member that names the kind: "type", "name", "preset"; NULL
                                    where the   family has one kind and its objects name none */
    const gr_kind *const *kinds; /* NULL-terminated, aliases included */
    const gr_kind
        *unnamed; /* the kind of an object without a discriminator, or NULL: then it is required */
};

/* One kind with its values: values[i] belongs to kind->options[i]. Values own their memory.
 * A zeroed gr_settings (kind NULL) is empty and may be cleared. */
struct gr_settings {
    const gr_kind *kind;
    gr_value *values; /* kind->option_count of them, owned */
};

/* Frees what the settings own and empties them. */
void gr_settings_clear(gr_settings *settings);
/* Frees an array of settings and what each owns. NULL is allowed. */
void gr_settings_array_free(gr_settings *items, size_t count);
/* Frees what a value owns and makes it GR_NULL. */
void gr_value_clear(gr_value *value);
/* Deep copies. GR_OUT_OF_MEMORY leaves `to` empty. */
gr_status gr_settings_copy(gr_settings *to, const gr_settings *from, gr_error *error);

/* The index of the option `name` of `kind`, or -1. */
int gr_kind_option(const gr_kind *kind, const char *name);
/* The kind called `name` (aliases included), or NULL. */
const gr_kind *gr_family_kind(const gr_family *family, const char *name);

/* Values by option index (the enumeration that stands beside an option table). A number is readable
 * as double also where the value is an integer. Asking for another type than the value has is a
 * defect: it is asserted. */
static inline bool gr_is_null(const gr_settings *settings, int option) {
    return settings->values[option].type == GR_NULL;
}
int64_t gr_integer(const gr_settings *settings, int option);
double gr_number(const gr_settings *settings, int option);
bool gr_boolean(const gr_settings *settings, int option);
int gr_choice(const gr_settings *settings, int option);
const char *gr_string(const gr_settings *settings, int option);                     /* borrowed */
const gr_settings *gr_settings_of(const gr_settings *settings, int option);         /* borrowed */
const gr_settings *gr_list(const gr_settings *settings, int option, size_t *count); /* borrowed */
const double *gr_numbers(const gr_settings *settings, int option, size_t *count);   /* borrowed */

/* The families of the core. */
extern const gr_family gr_layer_family;       /* discriminator "type" */
extern const gr_family gr_model_family;       /* discriminator "preset"; unnamed: explicit layers */
extern const gr_family gr_loss_family;        /* discriminator "type" */
extern const gr_family gr_regularizer_family; /* discriminator "type" */
extern const gr_family gr_optimizer_family;   /* discriminator "type" */
extern const gr_family gr_schedule_family;    /* discriminator "type" */
extern const gr_family gr_dataset_family;     /* discriminator "name" */
extern const gr_family gr_training_family;    /* one kind, no discriminator */
extern const gr_family gr_early_stopping_family; /* one kind, no discriminator; of "training" */
extern const gr_family gr_analysis_family;       /* one kind, no discriminator */

#endif
