/* The one dispatcher: who may ask, which route it is, and what its handler's status becomes. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/http.h"

static const char merge_patch_type[] = "application/merge-patch+json";

/* What a JSON body may call itself. curl -d says x-www-form-urlencoded unless told otherwise. A
 * PATCH is a merge patch: other kinds of patches, which are JSON too, mean something else. */
static bool is_json_type(const char *type, bool is_patch) {
    static const char *const accepted[] = {"application/json", "application/x-www-form-urlencoded",
                                           merge_patch_type};
    size_t length = strcspn(type, "; \t");
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        if (length == strlen(accepted[i]) && strncasecmp(type, accepted[i], length) == 0)
            return true;
    return !is_patch && length > 17 && strncasecmp(type, "application/", 12) == 0 &&
           strncasecmp(type + length - 5, "+json", 5) == 0;
}

/* Refuses who may not ask. True where it has answered. */
static bool refuse_strangers(const http_options *options, const http_request *request,
                             http_response *answer) {
    const char *host = http_header(request, "Host"), *origin = http_header(request, "Origin");
    const char *site = http_header(request, "Sec-Fetch-Site");
    char shown[128];
    if (request->host)
        host = request->host; /* the absolute form wins over the header, RFC 9112 §3.2.2 */
    if (host && !http_host_is_allowed(host, options->listen_host) &&
        !http_host_is_named(host, options->host_names) &&
        !(options->any_address && http_host_is_address(host))) {
        http_answer_problem(answer, 421, NULL,
                            "this server does not answer for the host \"%s\"; use localhost, "
                            "127.0.0.1, the address it listens at or one of its host_names",
                            http_printable(host, shown, sizeof shown));
        return true;
    }
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "OPTIONS") == 0)
        return false;
    bool strange_origin = origin && !(host && http_origin_is_same(origin, host, options->https));
    bool strange_site =
        site && strcasecmp(site, "same-origin") != 0 && strcasecmp(site, "none") != 0;
    if (!strange_origin && !strange_site) return false;
    http_answer_problem(answer, 403, NULL,
                        "a page of another origin (%s) may not change anything here",
                        http_printable(origin ? origin : "not named", shown, sizeof shown));
    return true;
}

static bool refuse_unknown_query(const http_route *route, const http_request *request,
                                 http_response *answer) {
    for (size_t i = 0; i < request->query_count; i++) {
        const http_parameter *known = route->query;
        while (known && known->name && strcmp(known->name, request->query[i].name) != 0) known++;
        if (known && known->name) continue;
        char shown[64], list[256] = "";
        for (known = route->query; known && known->name; known++) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s",
                     used ? ", " : "; known here: ", known->name);
        }
        http_answer_problem(answer, 400, NULL, "unknown query parameter \"%s\"%s",
                            http_printable(request->query[i].name, shown, sizeof shown), list);
        return true;
    }
    return false;
}

/* What the bytes of a file may call themselves: a form is no file. */
static bool is_file_type(const char *type) {
    static const char *const accepted[] = {"application/octet-stream", "text/csv",
                                           "application/x-www-form-urlencoded"};
    const size_t length = strcspn(type, "; \t");
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        if (length == strlen(accepted[i]) && strncasecmp(type, accepted[i], length) == 0)
            return true;
    return false;
}

static bool refuse_body(const http_route *route, const http_request *request,
                        http_response *answer) {
    char shown[96];
    const char *type = http_header(request, "Content-Type");
    const char *coding = http_header(request, "Content-Encoding");
    if (!(route->traits & (HTTP_TAKES_JSON | HTTP_TAKES_FILE))) {
        if (request->body_length == 0) return false;
        http_answer_problem(answer, 400, NULL,
                            "nothing would be done with this body: leave it out; options are query "
                            "parameters (…?name=value)");
        return true;
    }
    if (coding && strcasecmp(coding, "identity") != 0) {
        http_answer_problem(answer, 415, NULL,
                            "the body's Content-Encoding must be identity, not %s",
                            http_printable(coding, shown, sizeof shown));
        return true;
    }
    if (route->traits & HTTP_TAKES_FILE) {
        if (type == NULL || is_file_type(type)) return false;
        http_answer_problem(answer, 415, NULL,
                            "the body is the bytes of one file, as application/octet-stream or "
                            "text/csv, not %s (curl --data-binary @FILE)",
                            http_printable(type, shown, sizeof shown));
        return true;
    }
    const bool is_patch = strcmp(route->method, "PATCH") == 0;
    if (type == NULL || is_json_type(type, is_patch)) return false;
    http_answer_problem(answer, 415, NULL, "the body must be %s, not %s",
                        is_patch ? merge_patch_type : "application/json",
                        http_printable(type, shown, sizeof shown));
    if (is_patch) http_answer_header(answer, "Accept-Patch", "%s", merge_patch_type);
    return true;
}

http_scope http_route_scope(const http_route *route) {
    if (route->traits & HTTP_NEEDS_ADMIN) return HTTP_SCOPE_ADMIN;
    if (route->traits & HTTP_NEEDS_NOTHING) return HTTP_SCOPE_PUBLIC;
    if (route->traits & HTTP_NEEDS_READ) return HTTP_SCOPE_READ;
    return strcmp(route->method, "GET") == 0 ? HTTP_SCOPE_READ : HTTP_SCOPE_SUBMIT;
}

const char *http_scope_name(http_scope scope) {
    static const char *const names[] = {"public", "read", "submit", "admin"};
    return names[scope];
}

/* Refuses who may not use this route. True where it has answered. */
static bool refuse_without_scope(const http_options *options, const http_route *route,
                                 http_request *request, http_response *answer) {
    const http_scope needed = http_route_scope(route);
    gr_error error = {0};
    request->identity = (http_identity){.scope = HTTP_SCOPE_ADMIN};
    if (options->identify == NULL) return false;
    request->identity = (http_identity){0};
    gr_status status = options->identify(options->context, request, &request->identity, &error);
    if (status != GR_OK && needed == HTTP_SCOPE_PUBLIC) {
        request->identity = (http_identity){0};
        return false;
    }
    if (status == GR_OK && request->identity.scope >= needed) return false;
    if (status == GR_OK && request->identity.token != 0) {
        http_answer_problem(answer, 403, NULL,
                            "this needs a token with the scope \"%s\"; \"%s\" has \"%s\"",
                            http_scope_name(needed), request->identity.name,
                            http_scope_name(request->identity.scope));
    } else if (status == GR_OK || status == GR_INVALID) {
        http_answer_problem(answer, 401, NULL, "%s",
                            status == GR_INVALID
                                ? error.message
                                : "this server wants an access token: send it as \"Authorization: "
                                  "Bearer TOKEN\"; whoever runs the server makes one with "
                                  "gradreg token create");
        http_answer_header(answer, "WWW-Authenticate", "Bearer realm=\"gradreg\"");
    } else {
        error.status = status;
        http_answer_error(answer, &error);
    }
    return true;
}

/* Of a path that the catch-all alone has: whether it serves a file there. */
static bool is_file(const http_options *options, http_request *request) {
    const char *method = request->method;
    http_response found = {0};
    gr_error error;
    char allow[96];
    int status;
    request->method = "GET";
    const http_route *route =
        http_find_route(options->tables, request, &status, allow, sizeof allow);
    const bool is = route && http_route_scope(route) == HTTP_SCOPE_PUBLIC &&
                    route->handler(options->context, request, &found, &error) == GR_OK &&
                    found.status != 404;
    http_response_clear(&found);
    request->method = method;
    return is;
}

bool http_admit(const http_options *options, http_request *request, http_response *answer,
                const http_route **found) {
    char allow[96];
    int status;
    json_memory_forget();
    const http_route *route =
        http_find_route(options->tables, request, &status, allow, sizeof allow);
    *found = route;
    if (refuse_strangers(options, request, answer)) return false;
    if (route == NULL) {
        char shown[200];
        if (status == 404 && is_file(options, request)) {
            status = strcmp(request->method, "OPTIONS") == 0 ? 204 : 405;
            snprintf(allow, sizeof allow, "GET, HEAD, OPTIONS");
        }
        if (status == 204)
            answer->status = 204;
        else if (status == 405)
            http_answer_problem(answer, 405, NULL, "%s allows only: %s",
                                http_printable(request->path, shown, sizeof shown), allow);
        else
            http_answer_problem(answer, 404, NULL, "there is nothing at %s",
                                http_printable(request->path, shown, sizeof shown));
        if (*allow) http_answer_header(answer, "Allow", "%s", allow);
        return false;
    }
    return !refuse_without_scope(options, route, request, answer) &&
           !refuse_unknown_query(route, request, answer) && !refuse_body(route, request, answer);
}

void http_dispatch(const http_options *options, http_request *request, http_response *answer,
                   const http_route **found) {
    const http_route *route;
    const bool admitted = http_admit(options, request, answer, &route);
    if (found) *found = route;
    if (!admitted) return;
    gr_error error = {0};
    gr_status result = route->handler(options->context, request, answer, &error);
    if (result != GR_OK) {
        error.status = result;
        http_answer_error(answer, &error);
    }
}
