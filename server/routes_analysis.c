/* What was measured of a trained model. */
#include <stdlib.h>

#include "server/api.h"

static gr_status get_analysis(void *context, const http_request *request, http_response *response,
                              gr_error *error) {
    struct api *api = context;
    experiment found;
    char *text;
    int64_t id;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(store_analysis(api->store, id, &text, error));
    if (text) {
        http_answer_json(response, 200, cJSON_CreateRaw(text));
        free(text);
        return GR_OK;
    }
    GR_TRY(store_get(api->store, id, &found, error));
    /* The spec is canonical: it has the member only where something is asked for. */
    cJSON *spec = cJSON_Parse(found.spec);
    const bool wanted = cJSON_HasObjectItem(spec, "analysis");
    cJSON_Delete(spec);
    const gr_status status =
        wanted ? gr_fail(error, GR_NOT_FOUND,
                         "experiment %lld is %s: its analysis is there once it has succeeded",
                         (long long)id, state_name(found.state))
               : gr_fail(error, GR_NOT_FOUND,
                         "the spec of experiment %lld asks for no analysis: clone it with "
                         "{\"analysis\": {…}}, or use \"gradreg analyse\" with its model",
                         (long long)id);
    experiment_clear(&found);
    return status;
}

const http_route analysis_routes[] = {
    {"GET", API_BASE "/experiments/{id}/analysis", get_analysis,
     "what was measured of the trained model, as its spec's analysis asks", NULL, 0},
    {0}};
