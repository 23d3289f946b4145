/* From a request with a sweep to stored experiments. */
#ifndef SERVER_SWEEP_SUBMIT_H
#define SERVER_SWEEP_SUBMIT_H

#include "server/api.h"

/* Checks the sweep and stores it, or does what the query (validate_only) or the Idempotency-Key ask
 * for. *id: the sweep that was made; 0: none was. *answered: the response is complete; otherwise
 * the caller shows the sweep. */
gr_status sweep_submit(struct api *api, const http_request *request, int64_t *id, bool *answered,
                       http_response *response, gr_error *error);

#endif
