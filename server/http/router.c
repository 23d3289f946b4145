/* From a request's method and path to the row of a route table. */
#include <stdio.h>
#include <string.h>

#include "server/http.h"

/* Matches the segments against a pattern. Fills the parameters where it does. */
static bool pattern_matches(const char *pattern, http_request *request) {
    const char *parameters[HTTP_MAXIMUM_PATH_PARAMETERS] = {0};
    size_t used = 0, segment = 0;
    while (*pattern == '/') {
        pattern++;
        size_t length = strcspn(pattern, "/");
        bool variable = length > 2 && pattern[0] == '{';
        if (variable && pattern[length - 2] == '*') { /* "{name*}": the rest, empty or not */
            if (used < HTTP_MAXIMUM_PATH_PARAMETERS) parameters[used++] = request->path + 1;
            segment = request->segment_count;
            pattern += length;
            break;
        }
        if (segment == request->segment_count) return false;
        const char *text = request->segments[segment++];
        if (variable) {
            if (*text == 0 || used == HTTP_MAXIMUM_PATH_PARAMETERS) return false;
            parameters[used++] = text;
        } else if (strlen(text) != length || memcmp(text, pattern, length) != 0) {
            return false;
        }
        pattern += length;
    }
    if (segment != request->segment_count || *pattern != 0) return false;
    memcpy(request->parameters, parameters, sizeof parameters);
    return true;
}

static bool is_catch_all(const char *pattern) {
    return strncmp(pattern, "/{", 2) == 0;
}

static void allow_method(char *allow, size_t size, const char *method) {
    size_t used = strlen(allow);
    snprintf(allow + used, size - used, "%s%s", used ? ", " : "", method);
    if (strcmp(method, "GET") == 0) allow_method(allow, size, "HEAD");
}

const http_route *http_find_route(const http_route *const *tables, http_request *request,
                                  int *status, char *allow, size_t allow_size) {
    bool options = strcmp(request->method, "OPTIONS") == 0;
    const char *pattern = NULL; /* the first that matches the path; its rows stand in one table */
    *status = 404;
    *allow = 0;
    if (strcmp(request->path, "*") == 0) {
        if (!options) return NULL;
        snprintf(allow, allow_size, "GET, HEAD, POST, PATCH, DELETE, OPTIONS");
        *status = 204;
        return NULL;
    }
    for (; *tables; tables++)
        for (const http_route *route = *tables; route->method; route++) {
            if (pattern ? strcmp(pattern, route->pattern) != 0
                        : !pattern_matches(route->pattern, request))
                continue;
            /* The catch-all serves files; to any other method an unknown path is unknown. */
            bool same = strcmp(route->method, request->method) == 0;
            if (is_catch_all(route->pattern) && !same) continue;
            if (same) return route;
            pattern = route->pattern;
            allow_method(allow, allow_size, route->method);
        }
    if (pattern == NULL) return NULL;
    allow_method(allow, allow_size, "OPTIONS");
    *status = options ? 204 : 405;
    return NULL;
}
