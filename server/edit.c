#include "server/edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/merge_patch.h"
#include "server/nearest.h"
#include "server/settings_parse.h"
#include "server/spec.h"
#include "server/submit.h"

/* What may be changed, as a kind like any other. A member that a patch takes out (null) gets its
 * default back. */
enum { EDIT_NAME, EDIT_TAGS, EDIT_NOTES, EDIT_PRIORITY };
enum { MAXIMUM_NAME_BYTES = 200, MAXIMUM_NOTES_BYTES = 20000, MAXIMUM_PRIORITY = 1000 };
static const gr_option options[] = {
    [EDIT_NAME] = {.name = "name",
                   .help = "a name for people; null: made of the spec",
                   .accepts = GR_ACCEPT(GR_STRING) | GR_ACCEPT(GR_NULL),
                   .minimum = 1,
                   .maximum = MAXIMUM_NAME_BYTES,
                   .default_json = "null"},
    [EDIT_TAGS] = {.name = "tags",
                   .help = "names with texts, to find and group experiments by",
                   .accepts = GR_ACCEPT(GR_STRINGS),
                   .default_json = "{}"},
    [EDIT_NOTES] = {.name = "notes",
                    .help = "text for people, of several lines",
                    .accepts = GR_ACCEPT(GR_STRING),
                    .maximum = MAXIMUM_NOTES_BYTES,
                    .lines = true,
                    .default_json = "\"\""},
    [EDIT_PRIORITY] = {.name = "priority",
                       .help = "of those that are queued the greatest is taken first",
                       .accepts = GR_ACCEPT(GR_INTEGER),
                       .minimum = -MAXIMUM_PRIORITY,
                       .maximum = MAXIMUM_PRIORITY,
                       .default_json = "0"}};
enum { OPTION_COUNT = sizeof options / sizeof *options };
static const gr_kind edit = {.name = "a change of an experiment",
                             .help = "what may be changed of an experiment",
                             .options = options,
                             .option_count = OPTION_COUNT};
static const gr_kind *const kinds[] = {&edit, NULL};
static const gr_family edit_family = {.name = "change", .kinds = kinds, .unnamed = &edit};

/* -- what the patch names
 * ----------------------------------------------------------------------------------------- */

/* A pointer's reference token: "~" and "/" are escaped (RFC 6901). */
static void pointer_to(const char *name, char pointer[GR_PLACE_SIZE]) {
    size_t length = 0;
    pointer[length++] = '/';
    for (; *name && length < 200; name++) {
        if (*name == '~' || *name == '/') {
            pointer[length++] = '~';
            pointer[length++] = *name == '~' ? '0' : '1';
        } else {
            pointer[length++] = *name;
        }
    }
    pointer[length] = 0;
}

/* Takes what cannot be changed out of the patch, each with a problem. (The merge would lose a null
 * for a member that nothing has.) */
static gr_status strip(cJSON *patch, problems *found) {
    static const experiment nothing = {0};
    cJSON *whole = experiment_json(&nothing);
    if (!whole) return GR_OUT_OF_MEMORY;
    const char *names[OPTION_COUNT];
    for (size_t i = 0; i < OPTION_COUNT; i++) names[i] = options[i].name;
    for (cJSON *member = patch->child, *next; member; member = next) {
        char pointer[GR_PLACE_SIZE];
        next = member->next;
        if (gr_kind_option(&edit, member->string) >= 0) continue;
        pointer_to(member->string, pointer);
        const char *nearest = nearest_name(member->string, names, OPTION_COUNT);
        if (cJSON_HasObjectItem(whole, member->string))
            problems_add(found, pointer,
                         "\"%s\" of an experiment is not to be changed: only name, tags, notes "
                         "and priority are; actions change its state, and a clone its spec",
                         member->string);
        else if (gr_kind_option(spec_family.unnamed, member->string) >= 0)
            problems_add(found, pointer,
                         "\"%s\" is part of the spec, which is as it was submitted: clone the "
                         "experiment with this change",
                         member->string);
        else if (nearest)
            problems_add(found, pointer, "there is no member \"%.100s\"; did you mean \"%s\"?",
                         member->string, nearest);
        else
            problems_add(found, pointer,
                         "there is no member \"%.100s\": name, tags, notes and priority can be "
                         "changed",
                         member->string);
        cJSON_Delete(cJSON_DetachItemViaPointer(patch, member));
    }
    cJSON_Delete(whole);
    return GR_OK;
}

/* -- in the transaction
 * ----------------------------------------------------------------------------------------- */

typedef struct editing {
    api_condition condition;
    cJSON *patch;
    problems strange; /* of members that are none to be changed */
    problems found;   /* of values */
} editing;

static gr_status guard(void *context, const experiment *before, gr_error *error) {
    editing *self = context;
    return api_condition_check(&self->condition, before, error);
}

static cJSON *document_of(const experiment *record) {
    cJSON *document = cJSON_CreateObject();
    bool complete = json_put(document, "name", cJSON_CreateString(record->name)) &&
                    json_put(document, "tags", cJSON_Parse(record->tags)) &&
                    json_put(document, "notes", cJSON_CreateString(record->notes)) &&
                    json_put(document, "priority", cJSON_CreateNumber((double)record->priority));
    if (complete) return document;
    cJSON_Delete(document);
    return NULL;
}

static bool replace(char **text, char *with) {
    if (!with) return false;
    free(*text);
    *text = with;
    return true;
}

/* Puts the settings into the record. False without memory. */
static bool take(const gr_settings *from, experiment *record) {
    const gr_value *values = from->values;
    record->priority = values[EDIT_PRIORITY].integer;
    return replace(&record->name, gr_is_null(from, EDIT_NAME) ? spec_made_name(record->spec)
                                                              : strdup(values[EDIT_NAME].string)) &&
           replace(&record->tags, strdup(values[EDIT_TAGS].string)) &&
           replace(&record->notes, strdup(values[EDIT_NOTES].string));
}

static gr_status apply(void *context, experiment *record, gr_error *error) {
    editing *self = context;
    gr_settings settings = {0};
    problems_clear(&self->found);
    cJSON *document = document_of(record);
    gr_status status = document ? merge_patch(&edit_family, document, self->patch, &self->found)
                                : GR_OUT_OF_MEMORY;
    if (status == GR_OK)
        status = settings_parse(&edit_family, document, NULL, &settings, &self->found);
    if (status == GR_OK && self->strange.count) status = GR_INVALID;
    if (status == GR_OK && !take(&settings, record)) status = GR_OUT_OF_MEMORY;
    gr_settings_clear(&settings);
    cJSON_Delete(document);
    if (status == GR_OK) return GR_OK;
    return gr_fail(error, status, "%s",
                   status == GR_OUT_OF_MEMORY ? "out of memory" : "the change is not valid");
}

/* -- the handler
 * ----------------------------------------------------------------------------------------- */

static gr_status read_patch(const http_request *request, editing *self, bool *malformed,
                            gr_error *error) {
    gr_status status = json_parse(request->body, request->body_length, &self->patch, error);
    if (status == GR_INVALID) {
        *malformed = true;
        problems_add(&self->found, "", "%s", error->message);
    }
    GR_TRY(status);
    if (!cJSON_IsObject(self->patch)) {
        problems_add(&self->strange, "",
                     "a merge patch is a JSON object with the members to change");
        return GR_INVALID;
    }
    status = strip(self->patch, &self->strange);
    return status == GR_OK ? status : gr_fail(error, status, "out of memory");
}

gr_status patch_experiment(void *context, const http_request *request, http_response *response,
                           gr_error *error) {
    struct api *api = context;
    editing self = {.condition = {.request = request}};
    const change_options how = {.guard = guard, .edit = apply, .context = &self};
    experiment after;
    bool malformed = false;
    int64_t id;
    GR_TRY(api_id(request, &id, error));
    gr_status status = read_patch(request, &self, &malformed, error);
    if (status == GR_OK) status = store_change(api->store, CHANGE_EDIT, id, &how, &after, error);
    if (status == GR_OK) {
        api_publish(api, EVENT_EXPERIMENT, id);
        api_answer_experiment(response, 200, &after);
        experiment_clear(&after);
    } else if (api_condition_answer(&self.condition, status, response, error)) {
        status = GR_OK;
    } else if (malformed) {
        status = submit_refuse(response, status, malformed, &self.found);
    } else if (status == GR_INVALID && self.strange.count + self.found.count) {
        for (size_t i = 0; i < self.found.kept; i++)
            problems_add(&self.strange, self.found.items[i].pointer, "%s",
                         self.found.items[i].detail);
        http_answer_problem(response, 422, &self.strange, "the change has %zu problem%s",
                            self.strange.count, self.strange.count == 1 ? "" : "s");
        status = GR_OK;
    }
    problems_clear(&self.strange);
    problems_clear(&self.found);
    cJSON_Delete(self.patch);
    return status;
}
