/* The dashboard's files, from the binary itself. */
#include <stdio.h>
#include <string.h>

#include "server/api.h"
#include "server/embedded.h"

/* Scripts and styles come from here alone; nothing inline; nothing may frame the page. Charts draw
 * on canvases, and the icon may be a data: URL. */
static const char policy[] =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'";

static const struct {
    const char *extension, *type;
} content_types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".txt", "text/plain; charset=utf-8"},
    {".woff2", "font/woff2"},
};

static const char *content_type(const char *path) {
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof content_types / sizeof *content_types; i++) {
        size_t extension = strlen(content_types[i].extension);
        if (length > extension &&
            strcmp(path + length - extension, content_types[i].extension) == 0)
            return content_types[i].type;
    }
    return "application/octet-stream";
}

/* FNV-1a, 64 bits: only has to differ between versions of one file. */
static unsigned long long content_hash(const unsigned char *begin, const unsigned char *end) {
    unsigned long long hash = 14695981039346656037ull;
    for (; begin < end; begin++) hash = (hash ^ *begin) * 1099511628211ull;
    return hash;
}

static gr_status get_file(void *context, const http_request *request, http_response *response,
                          gr_error *error) {
    (void)context, (void)error;
    const char *path = *request->parameters[0] ? request->parameters[0] : "index.html";
    const struct embedded_file *file = embedded_web;
    while (file->path && strcmp(file->path, path) != 0) file++;
    if (file->path == NULL) {
        char shown[200];
        http_answer_problem(response, 404, NULL, "there is nothing at %s",
                            http_printable(request->path, shown, sizeof shown));
        return GR_OK;
    }
    char etag[24];
    snprintf(etag, sizeof etag, "\"%016llx\"", content_hash(file->begin, file->end));
    http_answer_header(response, "ETag", "%s", etag);
    http_answer_header(response, "Cache-Control", "no-cache");
    http_answer_header(response, "Content-Security-Policy", "%s", policy);
    int condition;
    GR_TRY(http_condition(request, etag, &condition, error));
    if (condition == 412) {
        http_answer_problem(response, 412, NULL, "this file's ETag is %s by now", etag);
        return GR_OK;
    }
    if (condition) {
        response->status = condition;
        return GR_OK;
    }
    response->content_type = content_type(path);
    response->static_body = file->begin;
    response->length = (uint64_t)(file->end - file->begin);
    return GR_OK;
}

const http_route web_routes[] = {
    {"GET", "/{file*}", get_file, "the dashboard", NULL, HTTP_NEEDS_NOTHING}, {0}};
