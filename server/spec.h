/* The experiment spec: from JSON text to settings, all errors at once, and back to its canonical
 * form. */
#ifndef SERVER_SPEC_H
#define SERVER_SPEC_H

#include "gradreg/settings.h"
#include "gradreg/training.h"
#include "server/json.h"

typedef struct spec {
    char *name;  /* owned; a name made of the model and regularisers where none was given */
    cJSON *tags; /* owned object of strings */
    gr_settings settings; /* of the kind "experiment": its options are the members of a spec */
} spec;

/* The family whose only kind is the whole spec: its table drives /presets, documents and forms. */
extern const gr_family spec_family;

/* Parses and checks text against the tables of kinds. GR_INVALID with at least one problem where it
 * is no spec (and, in *malformed, whether it was not even JSON). On GR_OK *result is owned by the
 * caller. */
gr_status spec_parse(const char *text, size_t length, spec **result, bool *malformed,
                     problems *problems);
void spec_free(spec *spec);

/* The name that this spec (JSON text) gets where nobody gives it one; owned by the caller (free).
 * NULL where it cannot be read, or without memory. */
char *spec_made_name(const char *text);

/* One settings object by the same rules: for `gradients`, whose file holds only model, loss and
 * regularizers. Members other than `members` (NULL-terminated) are problems. */
gr_status spec_parse_members(const char *text, size_t length, const char *const *members,
                             spec **result, bool *malformed, problems *problems);

/* The canonical spec: every member, in table order, defaults filled in, aliases resolved. Parsing
 * it gives an equal canonical spec. Owned by the caller (free). */
char *spec_canonical(const spec *spec);
/* The same as a document. */
cJSON *spec_document(const spec *spec);
/* Settings as JSON, with the discriminator first: {"type": "adam", "learning_rate": 0.001}. */
cJSON *spec_settings_document(const gr_family *family, const gr_settings *settings);
/* A family's kinds and options, for GET /presets: {"layer": [{"name", "help", "options": [{name,
 * type…}]}]}. */
cJSON *spec_family_document(const gr_family *family);

/* What init_from says: an experiment's id (else 0), or a file (borrowed; else NULL). */
void spec_init_from(const spec *spec, int64_t *id, const char **file);

/* What the core needs of it; borrowed from the spec. */
gr_plan spec_plan(const spec *spec);

#endif
