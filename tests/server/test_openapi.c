/* The OpenAPI document against the route tables, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "server/api.h"
#include "server/openapi.h"

static cJSON *operation(const cJSON *document, const http_route *route) {
    char method[16] = "";
    for (size_t i = 0; route->method[i]; i++) method[i] = (char)(route->method[i] | 0x20);
    return cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(document, "paths"),
                                         route->pattern),
        method);
}

/* Every route, with every parameter; as many operations as routes. */
static void test_routes_are_documented(void **state) {
    (void)state;
    gr_error error = {0};
    cJSON *document;
    int routes = 0, operations = 0;
    if (openapi_document(api_routes, &document, &error) != GR_OK) fail_msg("%s", error.message);
    for (const http_route *const *table = api_routes; *table; table++)
        for (const http_route *route = *table; route->method; route++) {
            if (strncmp(route->pattern, "/{", 2) == 0) continue;
            const cJSON *documented = operation(document, route), *parameter;
            assert_non_null(documented);
            routes++;
            int wanted = 0, found = 0;
            for (const http_parameter *query = route->query; query && query->name; query++)
                wanted++;
            cJSON_ArrayForEach(parameter,
                               cJSON_GetObjectItemCaseSensitive(documented, "parameters")) found +=
                strcmp(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parameter, "in")),
                       "query") == 0;
            assert_int_equal(found, wanted);
            assert_true(cJSON_HasObjectItem(documented, "requestBody") ==
                        ((route->traits & (HTTP_TAKES_JSON | HTTP_TAKES_FILE)) != 0));
        }
    const cJSON *path;
    cJSON_ArrayForEach(path, cJSON_GetObjectItemCaseSensitive(document, "paths")) operations +=
        cJSON_GetArraySize(path);
    assert_int_equal(operations, routes);
    assert_true(routes > 20);
    cJSON_Delete(document);
}

static gr_status nothing(void *context, const http_request *request, http_response *response,
                         gr_error *error) {
    (void)context, (void)request, (void)response, (void)error;
    return GR_OK;
}

static void test_differences_are_found(void **state) {
    (void)state;
    static const http_route new_routes[] = {{"GET", "/new", nothing, "", NULL, 0}, {0}};
    const http_route *const more[] = {new_routes, NULL}, *const fewer[] = {server_routes, NULL};
    gr_error error = {0};
    cJSON *document;
    assert_int_equal(openapi_document(more, &document, &error), GR_INTERNAL);
    assert_non_null(strstr(error.message, "GET /new"));
    assert_int_equal(openapi_document(fewer, &document, &error), GR_INTERNAL);
    assert_non_null(strstr(error.message, "no route"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes_are_documented),
                                       cmocka_unit_test(test_differences_are_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
