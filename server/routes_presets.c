/* What a spec may say: every family of kinds with its options, from the same tables that parse
 * specs. */
#include "server/api.h"
#include "server/spec.h"

static const gr_family *const families[] = {
    &spec_family,         &gr_dataset_family,  &gr_model_family,
    &gr_layer_family,     &gr_loss_family,     &gr_regularizer_family,
    &gr_optimizer_family, &gr_schedule_family, &gr_training_family};

static gr_status get_presets(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    (void)context, (void)request;
    cJSON *document = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        /* {"layer": […]}: its one member becomes a member of the answer. */
        cJSON *part = spec_family_document(families[i]);
        cJSON *list = part ? cJSON_DetachItemViaPointer(part, part->child) : NULL;
        if (list == NULL || !cJSON_AddItemToObject(document, families[i]->name, list)) {
            cJSON_Delete(list);
            cJSON_Delete(part);
            cJSON_Delete(document);
            return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
        }
        cJSON_Delete(part);
    }
    http_answer_json(response, 200, document);
    return GR_OK;
}

const http_route presets_routes[] = {
    {"GET", API_BASE "/presets", get_presets,
     "data sets, models, layers, regularizers and all else that a spec may name", NULL, false},
    {0}};
