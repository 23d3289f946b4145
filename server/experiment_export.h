/* A whole list as a file: CSV for tables, JSON Lines for programs. Which experiments is decided
 * when it begins; each is read when its turn comes, so that memory stays bounded by the ids. */
#ifndef SERVER_EXPERIMENT_EXPORT_H
#define SERVER_EXPERIMENT_EXPORT_H

#include "server/list_request.h"

/* Answers with a stream. Takes over what `wanted` owns, also on failure. */
gr_status experiment_export_answer(struct api *api, list_request *wanted, http_response *response,
                                   gr_error *error);

#endif
