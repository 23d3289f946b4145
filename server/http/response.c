/* Responses: JSON payloads and RFC 9457 problems. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/http.h"

static const char problem_type[] = "application/problem+json";

/* What a problem's `type` and `title` are, by its status. */
static const struct kind_of_problem {
    int status;
    const char *name, *title;
} kinds_of_problem[] = {
    {400, "bad-request", "Bad request"},
    {401, "unauthorized", "An access token is needed"},
    {403, "forbidden", "Forbidden"},
    {404, "not-found", "Not found"},
    {405, "method-not-allowed", "Method not allowed"},
    {406, "not-acceptable", "Not acceptable"},
    {409, "conflict", "The state does not allow it"},
    {412, "precondition-failed", "It is not as the request wants it"},
    {413, "too-large", "The body is too large"},
    {415, "unsupported-media-type", "Unsupported content type"},
    {421, "misdirected-request", "Not this server's name"},
    {422, "invalid-spec", "The spec is not valid"},
    {429, "too-many-requests", "Too many at once"},
    {431, "headers-too-large", "Too many headers"},
    {503, "unavailable", "Not available now"},
    {507, "insufficient-storage", "No space left to store it"},
    {500, "internal-error", "Internal error"}, /* the last one stands for any other */
};

void http_response_clear(http_response *response) {
    free(response->body);
    if (response->has_file) close(response->file);
    if (response->stream) response->stream->close(response->stream_context);
    *response = (http_response){0};
}

static void answer_out_of_memory(http_response *response) {
    static const char text[] =
        "{\"type\":\"urn:gradreg:problem:unavailable\",\"title\":\"Not available now\","
        "\"status\":503,\"detail\":\"the server is out of memory; try again later\"}";
    http_response_clear(response);
    response->status = 503;
    response->content_type = problem_type;
    response->static_body = text;
    response->length = sizeof text - 1;
}

void http_answer_json(http_response *response, int status, cJSON *document) {
    char *text = document ? json_text(document) : NULL;
    cJSON_Delete(document);
    if (text && json_memory_failed()) { /* a document that may lack something */
        free(text);
        text = NULL;
    }
    if (text == NULL) {
        answer_out_of_memory(response);
        return;
    }
    response->status = status;
    response->content_type = NULL;
    response->body = text;
    response->length = strlen(text);
}

void http_answer_header(http_response *response, const char *name, const char *format, ...) {
    assert(response->header_count < HTTP_MAXIMUM_HEADERS);
    struct http_response_header *header = &response->headers[response->header_count++];
    header->name = name;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(header->value, sizeof header->value, format, arguments);
    va_end(arguments);
    assert(length >= 0 && (size_t)length < sizeof header->value);
    (void)length;
    for (char *c = header->value; *c; c++) assert((unsigned char)*c >= 0x20 && *c != 0x7F);
}

static cJSON *problem_document(int status, const problems *errors, const char *detail) {
    const struct kind_of_problem *kind = kinds_of_problem;
    while (kind->status != status && kind->status != 500) kind++;
    static const struct kind_of_problem unprocessable = {422, "unprocessable",
                                                         "The request cannot be done as it is"};
    if (status == 422 && errors == NULL) kind = &unprocessable;
    char type[64];
    snprintf(type, sizeof type, "urn:gradreg:problem:%s", kind->name);
    cJSON *document = cJSON_CreateObject(), *list;
    bool complete = cJSON_AddStringToObject(document, "type", type) &&
                    cJSON_AddStringToObject(document, "title", kind->title) &&
                    cJSON_AddNumberToObject(document, "status", status) &&
                    cJSON_AddStringToObject(document, "detail", detail);
    if (complete && errors && errors->kept > 0) {
        list = cJSON_AddArrayToObject(document, "errors");
        complete = list != NULL;
        for (size_t i = 0; complete && i < errors->kept; i++) {
            const problem *from = &errors->items[i];
            cJSON *item = cJSON_CreateObject();
            complete = cJSON_AddStringToObject(item, from->parameter ? "parameter" : "pointer",
                                               from->parameter ? from->parameter : from->pointer) &&
                       (from->column == 0 ||
                        cJSON_AddNumberToObject(item, "column", (double)from->column)) &&
                       cJSON_AddStringToObject(item, "detail", from->detail);
            if (!cJSON_AddItemToArray(list, item)) cJSON_Delete(item);
        }
    }
    if (complete) return document;
    cJSON_Delete(document);
    return NULL;
}

void http_answer_problem(http_response *response, int status, const problems *errors,
                         const char *format, ...) {
    char detail[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    http_response_clear(response);
    http_answer_json(response, status, problem_document(status, errors, detail));
    if (response->content_type == NULL) response->content_type = problem_type;
}

int http_status_of(gr_status status) {
    switch (status) {
    case GR_INVALID:
        return 400;
    case GR_NOT_FOUND:
        return 404;
    case GR_CONFLICT:
        return 409;
    case GR_TOO_LARGE:
        return 413;
    case GR_TOO_MANY:
        return 429;
    case GR_OUT_OF_MEMORY:
    case GR_IO: /* a disk or a file system that refuses: whoever runs the server can help */
        return 503;
    case GR_NO_SPACE:
        return 507;
    default:
        return 500;
    }
}

void http_answer_error(http_response *response, const gr_error *error) {
    http_answer_problem(response, http_status_of(error->status), NULL, "%s%s%s", error->place,
                        *error->place ? ": " : "", error->message);
}
