/* The OpenAPI 3.1 document: made of the route tables, of the tables of kinds, and of
 * server/openapi.json, which says of each route what it answers. */
#ifndef SERVER_OPENAPI_H
#define SERVER_OPENAPI_H

#include "server/http.h"

/* The document. GR_INTERNAL names a route that server/openapi.json does not describe, or one that
 * it describes and that is not there. */
gr_status openapi_document(const http_route *const *tables, cJSON **document, gr_error *error);

/* JSON Schemas of what a spec may say, from GET /presets' document: family → schema. NULL without
 * memory. */
cJSON *openapi_spec_schemas(const cJSON *presets);

#endif
