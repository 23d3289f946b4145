/* Actions on one experiment, /experiments/{id}/cancel and so on; and its log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/actions.h"

/* The last part of the path names the action. */
static gr_status post_action(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    const char *name = request->segments[request->segment_count - 1];
    const char *from = http_query(request, "from");
    if (from && strcmp(from, "start") != 0 && strcmp(from, "checkpoint") != 0)
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"from\" must be checkpoint or start");
    const change_options options = {.from_start = from && strcmp(from, "start") == 0};
    return experiment_action_answer(context, experiment_action_named(name), &options, request,
                                    response, error);
}

static gr_status get_log(void *context, const http_request *request, http_response *response,
                         gr_error *error) {
    struct api *api = context;
    int64_t id;
    log_line *lines;
    size_t count, length = 0;
    char *text = NULL;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(store_log(api->store, id, &lines, &count, error));
    FILE *out = open_memstream(&text, &length);
    bool complete = out != NULL;
    for (size_t i = 0; complete && i < count; i++) {
        char time[32];
        json_time(lines[i].time, time);
        const int64_t missing = lines[i].number - (i ? lines[i - 1].number : 0) - 1;
        if (missing > 0) fprintf(out, "(%lld lines are no longer kept)\n", (long long)missing);
        complete = fprintf(out, "%s %-7s %s\n", time, lines[i].level, lines[i].text) > 0;
    }
    if (out) complete = fclose(out) == 0 && complete;
    log_lines_free(lines, count);
    if (!complete || !text) {
        free(text);
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    response->status = 200;
    response->content_type = "text/plain; charset=utf-8";
    response->body = text;
    response->length = length;
    return GR_OK;
}

static const http_parameter retry_query[] = {
    {"from", "checkpoint (where it is not given): go on from the last one, if there is one; start: "
             "from the beginning"},
    {0}};

const http_route actions_routes[] = {
    {"POST", API_BASE "/experiments/{id}/cancel", post_action, "end an experiment early", NULL, 0},
    {"POST", API_BASE "/experiments/{id}/pause", post_action,
     "checkpoint an experiment and set it aside", NULL, 0},
    {"POST", API_BASE "/experiments/{id}/resume", post_action, "let a paused experiment go on",
     NULL, 0},
    {"POST", API_BASE "/experiments/{id}/retry", post_action,
     "queue an experiment again that failed, diverged or was cancelled", retry_query, 0},
    {"POST", API_BASE "/experiments/{id}/undelete", post_action,
     "take an experiment out of the trash", NULL, 0},
    {"POST", API_BASE "/experiments/{id}/purge", post_action,
     "remove an experiment in the trash for good, with its metrics and files", NULL,
     HTTP_NEEDS_ADMIN},
    {"GET", API_BASE "/experiments/{id}/log", get_log, "what happened to it, a line each", NULL, 0},
    {0}};
