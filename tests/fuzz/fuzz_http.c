/* Any bytes as a request's target and headers: refused, or cut into segments and parameters that
 * are UTF-8 without U+0000, and matched against routes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static const http_route routes[] = {
    {"GET", "/api/v1/experiments", NULL, "", NULL, 0},
    {"POST", "/api/v1/experiments", NULL, "", NULL, 1},
    {"GET", "/api/v1/experiments/{id}", NULL, "", NULL, 0},
    {"POST", "/api/v1/experiments/{id}/{action}", NULL, "", NULL, 0},
    {"GET", "/{file*}", NULL, "", NULL, 0},
    {0}};
static const http_route *const tables[] = {routes, NULL};

/* No text of a request may end early or hold half a character. */
static void check_text(const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c == 0xC0 || *c == 0xC1 || *c > 0xF4) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static const char *const methods[] = {"GET", "POST", "DELETE", "OPTIONS", "X"};
    if (count == 0) return 0;
    char *target = strndup((const char *)bytes + 1, count - 1), allow[96], shown[50];
    http_request request = {.method = methods[bytes[0] % 5]};
    gr_error error = {0};
    int status;
    if (http_request_parse(&request, target, &error) == GR_OK) {
        check_text(request.path);
        for (size_t i = 0; i < request.segment_count; i++) check_text(request.segments[i]);
        for (size_t i = 0; i < request.query_count; i++) {
            int64_t number;
            bool truth;
            check_text(request.query[i].name);
            if (http_query(&request, request.query[i].name) != request.query[i].value) abort();
            if (http_query_integer(&request, request.query[i].name, -5, 1000, 0, &number, &error) ==
                    GR_OK &&
                (number < -5 || number > 1000))
                abort();
            http_query_boolean(&request, request.query[i].name, &truth, &error);
        }
        const http_route *route = http_find_route(tables, &request, &status, allow, sizeof allow);
        if (route == NULL && status != 204 && status != 404 && status != 405) abort();
        if (route && strcmp(route->pattern, "/api/v1/experiments/{id}") == 0 &&
            (request.parameters[0] == NULL || *request.parameters[0] == 0))
            abort();
        http_printable(request.path, shown, sizeof shown);
    } else if (*error.message == 0) {
        abort();
    }
    http_request_clear(&request);
    /* The same bytes as headers. */
    http_host_is_allowed(target, "192.0.2.1");
    http_host_is_named(target, (const char *const[]){"gpu.example", NULL});
    http_host_is_address(target);
    http_origin_is_same(target, "localhost:80", false);
    free(target);
    return 0;
}
