/* PATCH of an experiment: name, tags, notes and priority. */
#ifndef SERVER_EDIT_H
#define SERVER_EDIT_H

#include "server/api.h"

/* Merges the request's body (RFC 7396) into the experiment in the path, under If-Match and
 * If-None-Match, and answers with the experiment. A handler. */
gr_status patch_experiment(void *context, const http_request *request, http_response *response,
                           gr_error *error);

#endif
