/* The whole spec as a kind like any other, and what is made of it. */
#include "server/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/settings_parse.h"

enum {
    SPEC_NAME,
    SPEC_TAGS,
    SPEC_SEED,
    SPEC_DATASET,
    SPEC_MODEL,
    SPEC_LOSS,
    SPEC_REGULARIZERS,
    SPEC_OPTIMIZER,
    SPEC_SCHEDULE,
    SPEC_TRAINING,
    SPEC_INIT_FROM,
    SPEC_ANALYSIS
};

enum { MAXIMUM_NAME_BYTES = 200, MAXIMUM_SPEC_BYTES = 1 << 20 };

static const gr_option options[] = {
    [SPEC_NAME] = {.name = "name",
                   .help = "a name for people; null: made of model, data set and regularizers",
                   .accepts = GR_ACCEPT(GR_STRING) | GR_ACCEPT(GR_NULL),
                   .minimum = 1,
                   .maximum = MAXIMUM_NAME_BYTES,
                   .default_json = "null"},
    [SPEC_TAGS] = {.name = "tags",
                   .help = "names with texts, to find and group experiments by",
                   .accepts = GR_ACCEPT(GR_STRINGS),
                   .default_json = "{}"},
    [SPEC_SEED] = {.name = "seed",
                   .help =
                       "decides draw, initialisation, batch order and every other random number",
                   .accepts = GR_ACCEPT(GR_INTEGER),
                   .minimum = 0,
                   .maximum = 9007199254740991,
                   .default_json = "1"},
    [SPEC_DATASET] = {.name = "dataset",
                      .help = "the data, and which samples of it are used for what",
                      .accepts = GR_ACCEPT(GR_SETTINGS),
                      .family = &gr_dataset_family,
                      .required = true},
    [SPEC_MODEL] = {.name = "model",
                    .help = "the network: a preset, or its layers",
                    .accepts = GR_ACCEPT(GR_SETTINGS),
                    .family = &gr_model_family,
                    .required = true},
    [SPEC_LOSS] = {.name = "loss",
                   .help = "the loss of one sample",
                   .accepts = GR_ACCEPT(GR_SETTINGS),
                   .family = &gr_loss_family,
                   .default_json = "{\"type\": \"cross_entropy\"}"},
    [SPEC_REGULARIZERS] = {.name = "regularizers",
                           .help = "what is added to the loss",
                           .accepts = GR_ACCEPT(GR_LIST),
                           .family = &gr_regularizer_family,
                           .default_json = "[]"},
    [SPEC_OPTIMIZER] = {.name = "optimizer",
                        .help = "how a gradient becomes a step",
                        .accepts = GR_ACCEPT(GR_SETTINGS),
                        .family = &gr_optimizer_family,
                        .default_json = "{\"type\": \"adam\"}"},
    [SPEC_SCHEDULE] = {.name = "schedule",
                       .help = "how the learning rate changes",
                       .accepts = GR_ACCEPT(GR_SETTINGS),
                       .family = &gr_schedule_family,
                       .default_json = "{\"type\": \"piecewise\"}"},
    [SPEC_TRAINING] = {.name = "training",
                       .help = "length, batches and bookkeeping",
                       .accepts = GR_ACCEPT(GR_SETTINGS),
                       .family = &gr_training_family,
                       .default_json = "{}"},
    [SPEC_INIT_FROM] = {.name = "init_from",
                        .help = "the model to start from: an experiment's id, or for \"gradreg "
                                "run\" a model.safetensors file; null: a fresh one",
                        .accepts =
                            GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_STRING) | GR_ACCEPT(GR_NULL),
                        .minimum = 1,
                        .maximum = 9007199254740991,
                        .default_json = "null"},
    [SPEC_ANALYSIS] = {.name = "analysis",
                       .help = "what is measured of the trained model beyond its accuracy; null: "
                               "nothing",
                       .accepts = GR_ACCEPT(GR_SETTINGS) | GR_ACCEPT(GR_NULL),
                       .family = &gr_analysis_family,
                       .optional = true,
                       .default_json = "null"},
};

static const gr_kind experiment = {.name = "experiment",
                                   .help = "one training, from its data to its final accuracy",
                                   .options = options,
                                   .option_count = sizeof options / sizeof *options};
static const gr_kind *const kinds[] = {&experiment, NULL};

const gr_family spec_family = {.name = "experiment", .kinds = kinds, .unnamed = &experiment};

/* -- the name of an experiment that was given none
 * ------------------------------------------------------- */

static void append(char *text, const char *more) {
    const size_t length = strlen(text);
    snprintf(text + length, MAXIMUM_NAME_BYTES + 1 - length, "%s", more);
}

/* True where the option's value, as JSON, is `json`. */
static bool value_is(const gr_family *family, const gr_settings *settings, const char *option,
                     const char *json) {
    cJSON *document = spec_settings_document(family, settings), *wanted = NULL;
    char *is = json_text(cJSON_GetObjectItemCaseSensitive(document, option)), *text = NULL;
    if (json && json_parse(json, strlen(json), &wanted, NULL) == GR_OK) text = json_text(wanted);
    const bool equal = is && text && strcmp(is, text) == 0;
    free(is);
    free(text);
    cJSON_Delete(document);
    cJSON_Delete(wanted);
    return equal;
}

/* The alias with the most fixed values that these settings have, else their kind. */
static const gr_kind *best_name(const gr_family *family, const gr_settings *settings) {
    const gr_kind *best = settings->kind;
    for (size_t i = 0; family->kinds[i]; i++) {
        const gr_kind *alias = family->kinds[i];
        if (alias->alias_of != settings->kind ||
            alias->alias_value_count <= best->alias_value_count)
            continue;
        bool fits = true;
        for (size_t v = 0; fits && v < alias->alias_value_count; v++)
            fits = value_is(family, settings, alias->alias_values[v].option,
                            alias->alias_values[v].json);
        if (fits) best = alias;
    }
    return best;
}

/* Adds ", datagrad 50": the shortest name, and its numbers and choices that are no defaults. */
static void append_regularizer(char *name, const gr_settings *settings) {
    const gr_family *family = &gr_regularizer_family;
    const gr_kind *kind = best_name(family, settings);
    append(name, ", ");
    append(name, kind->name);
    for (size_t i = 0; i < settings->kind->option_count; i++) {
        const gr_option *option = &settings->kind->options[i];
        const gr_value *value = &settings->values[i];
        bool fixed = false;
        for (size_t v = 0; v < kind->alias_value_count; v++)
            fixed = fixed || strcmp(kind->alias_values[v].option, option->name) == 0;
        if (fixed ||
            (!option->required && value_is(family, settings, option->name, option->default_json)))
            continue;
        char text[64] = "";
        if (value->type == GR_CHOICE)
            snprintf(text, sizeof text, "%s", option->choices[value->choice]);
        else if (value->type == GR_INTEGER || value->type == GR_NUMBER)
            snprintf(text, sizeof text, "%.6g", gr_number(settings, (int)i));
        else
            continue;
        append(name, " ");
        if (!option->required) {
            append(name, option->name);
            append(name, " ");
        }
        append(name, text);
    }
}

static char *made_name(const gr_settings *settings) {
    char name[MAXIMUM_NAME_BYTES + 1] = "";
    append(name, gr_settings_of(settings, SPEC_MODEL)->kind->name);
    append(name, ", ");
    append(name, gr_settings_of(settings, SPEC_DATASET)->kind->name);
    size_t count;
    const gr_settings *regularizers = gr_list(settings, SPEC_REGULARIZERS, &count);
    for (size_t i = 0; i < count; i++) {
        if (strlen(name) == MAXIMUM_NAME_BYTES) break;
        append_regularizer(name, &regularizers[i]);
    }
    return strdup(name);
}

/* -- parsing
 * ---------------------------------------------------------------------------------------- */

/* Asking for nothing is the same as not asking, and has the same canonical form. */
static bool is_empty(const gr_settings *settings) {
    for (size_t i = 0; i < settings->kind->option_count; i++)
        if (settings->values[i].type != GR_NULL) return false;
    return true;
}

static gr_status finish(spec *made) {
    gr_value *name = &made->settings.values[SPEC_NAME];
    const gr_value *tags = &made->settings.values[SPEC_TAGS];
    if (name->type == GR_NULL && made->settings.values[SPEC_DATASET].type == GR_SETTINGS) {
        char *text = made_name(&made->settings);
        if (!text) return GR_OUT_OF_MEMORY;
        *name = (gr_value){.type = GR_STRING, .string = text};
    }
    gr_value *analysis = &made->settings.values[SPEC_ANALYSIS];
    if (analysis->type == GR_SETTINGS && is_empty(analysis->settings.items))
        gr_value_clear(analysis);
    made->name = strdup(name->type == GR_STRING ? name->string : "");
    if (tags->type == GR_STRINGS)
        json_parse(tags->string, strlen(tags->string), &made->tags, NULL);
    else
        made->tags = cJSON_CreateObject();
    return made->name && made->tags ? GR_OK : GR_OUT_OF_MEMORY;
}

gr_status spec_parse_members(const char *text, size_t length, const char *const *members,
                             spec **result, bool *malformed, problems *found) {
    *result = NULL;
    *malformed = false;
    if (length > MAXIMUM_SPEC_BYTES) {
        problems_add(found, "", "a spec of %zu bytes; at most %d are allowed", length,
                     MAXIMUM_SPEC_BYTES);
        return GR_INVALID;
    }
    cJSON *document;
    gr_error error = {0};
    gr_status status = json_parse(text, length, &document, &error);
    if (status == GR_INVALID) {
        *malformed = true;
        problems_add(found, "", "%s", error.message);
    }
    if (status != GR_OK) return status;
    spec *made = calloc(1, sizeof *made);
    status = made ? settings_parse(&spec_family, document, members, &made->settings, found)
                  : GR_OUT_OF_MEMORY;
    cJSON_Delete(document);
    if (status == GR_OK) status = finish(made);
    if (status == GR_OK) {
        *result = made;
    } else {
        spec_free(made);
    }
    return status;
}

gr_status spec_parse(const char *text, size_t length, spec **result, bool *malformed,
                     problems *found) {
    return spec_parse_members(text, length, NULL, result, malformed, found);
}

char *spec_made_name(const char *text) {
    cJSON *document = NULL;
    char *unnamed = NULL, *name = NULL;
    spec *made = NULL;
    bool malformed;
    problems found = {0};
    if (json_parse(text, strlen(text), &document, NULL) == GR_OK) {
        cJSON_DeleteItemFromObjectCaseSensitive(document, "name");
        unnamed = json_text(document);
    }
    if (unnamed && spec_parse(unnamed, strlen(unnamed), &made, &malformed, &found) == GR_OK)
        name = strdup(made->name);
    problems_clear(&found);
    spec_free(made);
    free(unnamed);
    cJSON_Delete(document);
    return name;
}

void spec_free(spec *freed) {
    if (!freed) return;
    free(freed->name);
    cJSON_Delete(freed->tags);
    gr_settings_clear(&freed->settings);
    free(freed);
}

/* -- use
 * ------------------------------------------------------------------------------------------- */

cJSON *spec_document(const spec *of) {
    return spec_settings_document(&spec_family, &of->settings);
}

char *spec_canonical(const spec *of) {
    cJSON *document = spec_document(of);
    char *text = json_text(document);
    cJSON_Delete(document);
    return text;
}

static const gr_settings *part(const spec *of, int option) {
    const gr_value *value = &of->settings.values[option];
    return value->type == GR_SETTINGS ? value->settings.items : NULL;
}

void spec_init_from(const spec *of, int64_t *id, const char **file) {
    const gr_value *value = &of->settings.values[SPEC_INIT_FROM];
    *id = value->type == GR_INTEGER ? value->integer : 0;
    *file = value->type == GR_STRING ? value->string : NULL;
}

gr_plan spec_plan(const spec *of) {
    gr_plan plan = {.dataset = part(of, SPEC_DATASET),
                    .model = part(of, SPEC_MODEL),
                    .loss = part(of, SPEC_LOSS),
                    .optimizer = part(of, SPEC_OPTIMIZER),
                    .schedule = part(of, SPEC_SCHEDULE),
                    .training = part(of, SPEC_TRAINING),
                    .analysis = part(of, SPEC_ANALYSIS)};
    if (of->settings.values[SPEC_SEED].type == GR_INTEGER)
        plan.seed = (uint64_t)gr_integer(&of->settings, SPEC_SEED);
    if (of->settings.values[SPEC_REGULARIZERS].type == GR_LIST)
        plan.regularizers = gr_list(&of->settings, SPEC_REGULARIZERS, &plan.regularizer_count);
    return plan;
}
