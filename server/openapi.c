#include "server/openapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api.h"
#include "server/embedded.h"

/* What a status means, whatever the route. */
static const struct {
    int status;
    const char *text;
} meanings[] = {
    {200, "Done"},
    {201, "Made; Location says where it is"},
    {202, "Accepted"},
    {204, "Done; there is nothing to say"},
    {304, "Not changed since If-None-Match"},
    {400, "Not JSON, not UTF-8, or a query parameter that is unknown, given twice or wrong"},
    {401, "An access token is needed, or the one that was sent is none in force"},
    {403, "A page of another origin, or a token without the scope"},
    {404, "There is no such thing"},
    {409, "The state does not allow it"},
    {412, "It is not as If-Match or If-None-Match wants it"},
    {413, "The body is too large"},
    {415, "A content type or encoding that is not taken"},
    {421, "A Host that is not this server's"},
    {422, "Well formed, but not valid"},
    {428, "If-Match is missing"},
    {429, "Too many at once"},
    {503, "Starting, stopping, too much at once, or a disk that refuses: try again"},
    {507, "No space left to store it"},
};

static const char *meaning(int status) {
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].status == status) return meanings[i].text;
    return "See detail";
}

/* The dashboard's files are no part of the API. */
static bool is_documented(const http_route *route) {
    return strncmp(route->pattern, "/{", 2) != 0;
}

static cJSON *schema_reference(const char *name) {
    char target[96];
    cJSON *schema = cJSON_CreateObject();
    snprintf(target, sizeof target, "#/components/schemas/%s", name);
    cJSON_AddStringToObject(schema, "$ref", target);
    return schema;
}

/* {"application/json": {"schema": …}}; `what` is a schema's name, or {"type": a content type} with
 * or without a "schema". */
static cJSON *content_of(const cJSON *what) {
    const char *name = cJSON_GetStringValue(what);
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(what, "type"));
    const char *schema = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(what, "schema"));
    cJSON *content = cJSON_CreateObject();
    if (name == NULL) {
        cJSON *media = cJSON_AddObjectToObject(content, type ? type : "application/octet-stream");
        if (schema)
            cJSON_AddItemToObject(media, "schema", schema_reference(schema));
        else
            cJSON_AddObjectToObject(media, "schema");
        return content;
    }
    const bool is_problem = strcmp(name, "Problem") == 0;
    cJSON *media = cJSON_AddObjectToObject(content, is_problem ? "application/problem+json"
                                                               : "application/json");
    cJSON_AddItemToObject(media, "schema", schema_reference(name));
    return content;
}

static void add_answer(cJSON *responses, int status, const cJSON *what) {
    char text[8];
    snprintf(text, sizeof text, "%d", status);
    if (cJSON_HasObjectItem(responses, text)) return;
    cJSON *answer = cJSON_AddObjectToObject(responses, text);
    cJSON_AddStringToObject(answer, "description", meaning(status));
    if (what && !cJSON_IsNull(what)) cJSON_AddItemToObject(answer, "content", content_of(what));
}

/* What openapi.json says, and what the dispatcher answers for every route. */
static cJSON *responses_of(const http_route *route, const cJSON *operation) {
    static const int always[] = {400, 421};
    cJSON *responses = cJSON_CreateObject(), *trouble = cJSON_CreateString("Problem");
    const cJSON *item;
    const bool changes = strcmp(route->method, "GET") != 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(operation, "answers"))
        add_answer(responses, atoi(item->string), item);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        add_answer(responses, always[i], trouble);
    if (http_route_scope(route) != HTTP_SCOPE_PUBLIC) add_answer(responses, 401, trouble);
    if (changes || http_route_scope(route) == HTTP_SCOPE_ADMIN) add_answer(responses, 403, trouble);
    if (route->traits & (HTTP_TAKES_JSON | HTTP_TAKES_FILE)) {
        add_answer(responses, 413, trouble);
        add_answer(responses, 415, trouble);
    }
    cJSON *other = cJSON_AddObjectToObject(responses, "default");
    cJSON_AddStringToObject(other, "description", "Any other problem");
    cJSON_AddItemToObject(other, "content", content_of(trouble));
    cJSON_Delete(trouble);
    return responses;
}

static void add_parameter(cJSON *list, const char *place, const char *name, const char *help,
                          const cJSON *schemas) {
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(schemas, name);
    cJSON *parameter = cJSON_CreateObject();
    cJSON_AddStringToObject(parameter, "name", name);
    cJSON_AddStringToObject(parameter, "in", place);
    if (strcmp(place, "path") == 0) cJSON_AddTrueToObject(parameter, "required");
    if (help) cJSON_AddStringToObject(parameter, "description", help);
    if (schema)
        cJSON_AddItemToObject(parameter, "schema", cJSON_Duplicate(schema, true));
    else
        cJSON_AddStringToObject(cJSON_AddObjectToObject(parameter, "schema"), "type", "string");
    cJSON_AddItemToArray(list, parameter);
}

static cJSON *parameters_of(const http_route *route, const cJSON *operation, const cJSON *schemas) {
    cJSON *list = cJSON_CreateArray();
    const cJSON *header;
    char name[64];
    for (const char *open = strchr(route->pattern, '{'); open; open = strchr(open + 1, '{')) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(open + 1, "}*"), open + 1);
        add_parameter(list, "path", name, NULL, schemas);
    }
    for (const http_parameter *query = route->query; query && query->name; query++)
        add_parameter(list, "query", query->name, query->help, schemas);
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(operation, "headers"))
        add_parameter(list, "header", cJSON_GetStringValue(header), NULL, schemas);
    return list;
}

static cJSON *operation_of(const http_route *route, const cJSON *from, const cJSON *schemas) {
    cJSON *operation = cJSON_CreateObject();
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(from, "body");
    cJSON_AddItemToObject(operation, "operationId",
                          cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(from, "id"), true));
    cJSON_AddStringToObject(operation, "summary", route->help);
    cJSON *tags = cJSON_AddArrayToObject(operation, "tags");
    cJSON_AddItemToArray(tags,
                         cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(from, "tag"), true));
    cJSON_AddItemToObject(operation, "parameters", parameters_of(route, from, schemas));
    if (body) {
        cJSON *request = cJSON_AddObjectToObject(operation, "requestBody");
        cJSON_AddTrueToObject(request, "required");
        cJSON_AddItemToObject(request, "content", content_of(body));
    }
    cJSON_AddItemToObject(operation, "responses", responses_of(route, from));
    cJSON *security = cJSON_AddArrayToObject(operation, "security");
    if (http_route_scope(route) == HTTP_SCOPE_PUBLIC) return operation;
    cJSON_AddStringToObject(operation, "x-scope", http_scope_name(http_route_scope(route)));
    for (int i = 0; i < 3; i++) { /* on loopback a server may want none */
        static const char *const schemes[] = {"token", "session"};
        cJSON *one = cJSON_CreateObject();
        if (i < 2) cJSON_AddArrayToObject(one, schemes[i]);
        cJSON_AddItemToArray(security, one);
    }
    return operation;
}

static gr_status add_route(cJSON *paths, const http_route *route, cJSON *operations,
                           const cJSON *schemas, gr_error *error) {
    char key[256], method[16];
    snprintf(key, sizeof key, "%s %s", route->method, route->pattern);
    cJSON *from = cJSON_DetachItemFromObjectCaseSensitive(operations, key);
    if (from == NULL)
        return gr_fail(error, GR_INTERNAL,
                       "server/openapi.json does not describe \"%s\" (or twice): add it under "
                       "\"operations\"",
                       key);
    size_t i = 0;
    for (; route->method[i]; i++) method[i] = (char)(route->method[i] | 0x20);
    method[i] = 0;
    cJSON *path = cJSON_GetObjectItemCaseSensitive(paths, route->pattern);
    if (path == NULL) path = cJSON_AddObjectToObject(paths, route->pattern);
    cJSON_AddItemToObject(path, method, operation_of(route, from, schemas));
    cJSON_Delete(from);
    return GR_OK;
}

static void add_spec_schemas(cJSON *document) {
    cJSON *presets = api_presets_json(), *schemas = openapi_spec_schemas(presets), *schema;
    cJSON *into = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(document, "components"), "schemas");
    while (schemas && (schema = schemas->child) != NULL) {
        char name[96];
        snprintf(name, sizeof name, "%s", schema->string);
        cJSON_AddItemToObject(into, name, cJSON_DetachItemViaPointer(schemas, schema));
    }
    cJSON_Delete(schemas);
    cJSON_Delete(presets);
}

gr_status openapi_document(const http_route *const *tables, cJSON **result, gr_error *error) {
    const struct embedded_file *base = embedded_openapi;
    cJSON *document;
    gr_status status =
        json_parse((const char *)base->begin, (size_t)(base->end - base->begin), &document, error);
    if (status != GR_OK) return gr_fail(error, GR_INTERNAL, "server/openapi.json is no JSON");
    cJSON *operations = cJSON_DetachItemFromObjectCaseSensitive(document, "operations");
    cJSON *schemas = cJSON_DetachItemFromObjectCaseSensitive(document, "parameters");
    cJSON *paths = cJSON_AddObjectToObject(document, "paths");
    cJSON_AddStringToObject(cJSON_GetObjectItemCaseSensitive(document, "info"), "version",
                            GRADREG_VERSION);
    for (; *tables && status == GR_OK; tables++)
        for (const http_route *route = *tables; route->method && status == GR_OK; route++)
            if (is_documented(route)) status = add_route(paths, route, operations, schemas, error);
    if (status == GR_OK && operations->child)
        status =
            gr_fail(error, GR_INTERNAL, "server/openapi.json describes \"%s\", which is no route",
                    operations->child->string);
    add_spec_schemas(document);
    cJSON_Delete(operations);
    cJSON_Delete(schemas);
    *result = document;
    if (status != GR_OK) cJSON_Delete(document);
    return status;
}

static gr_status get_openapi(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    cJSON *document;
    (void)context, (void)request;
    GR_TRY(openapi_document(api_routes, &document, error));
    http_answer_json(response, 200, document);
    return GR_OK;
}

const http_route openapi_routes[] = {
    {"GET", API_BASE "/openapi.json", get_openapi, "this document", NULL, HTTP_NEEDS_NOTHING}, {0}};
