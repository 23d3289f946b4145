/* What a spec may say: every family of kinds with its options, from the same tables that parse
 * specs. */
#include "server/api.h"
#include "server/spec.h"

enum { MAXIMUM_FAMILIES = 32 };

/* Adds `family` and all that its options lead to, each once, in the order in which a spec has them.
 */
static size_t collect(const gr_family *family, const gr_family **found, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (found[i] == family) return count;
    if (count == MAXIMUM_FAMILIES) return count;
    found[count++] = family;
    for (size_t k = 0; family->kinds[k]; k++)
        for (size_t i = 0; i < family->kinds[k]->option_count; i++)
            if (family->kinds[k]->options[i].family)
                count = collect(family->kinds[k]->options[i].family, found, count);
    return count;
}

cJSON *api_presets_json(void) {
    const gr_family *families[MAXIMUM_FAMILIES];
    const size_t count = collect(&spec_family, families, 0);
    cJSON *document = cJSON_CreateObject();
    for (size_t i = 0; i < count; i++) {
        /* {"layer": […]}: its one member becomes a member of the answer. */
        cJSON *part = spec_family_document(families[i]);
        cJSON *list = part ? cJSON_DetachItemViaPointer(part, part->child) : NULL;
        if (list == NULL || !cJSON_AddItemToObject(document, families[i]->name, list)) {
            cJSON_Delete(list);
            cJSON_Delete(part);
            cJSON_Delete(document);
            return NULL;
        }
        cJSON_Delete(part);
    }
    return document;
}

static gr_status get_presets(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    (void)context, (void)request, (void)error;
    http_answer_json(response, 200, api_presets_json());
    return GR_OK;
}

const http_route presets_routes[] = {
    {"GET", API_BASE "/presets", get_presets,
     "data sets, models, layers, regularizers and all else that a spec may name", NULL, false},
    {0}};
