/* From a request with a spec to a stored experiment: the one way of all routes that make one. */
#ifndef SERVER_SUBMIT_H
#define SERVER_SUBMIT_H

#include "server/api.h"

typedef struct submit_origin {
    int64_t cloned_from, replay_of; /* 0: none */
    const char *tags;               /* JSON object text instead of the spec's; NULL: the spec's */
} submit_origin;

/* Checks the spec and answers the request: 201 with the stored experiment, or what its query
 * (validate_only, reuse, webhook: where the route knows them) and its Idempotency-Key ask for.
 * `origin` may be NULL. */
gr_status submit_spec(struct api *api, const http_request *request, const char *text, size_t length,
                      const submit_origin *origin, http_response *response, gr_error *error);

/* The problem of a body or spec that cannot be accepted: 400 where it is not JSON, else 422.
 * Returns `status` where nothing was found, for *error says what. */
gr_status submit_refuse(http_response *response, gr_status status, bool malformed,
                        const problems *found);

#endif
