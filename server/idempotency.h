/* Requests with an Idempotency-Key: what was done once is answered again, not done again. */
#ifndef SERVER_IDEMPOTENCY_H
#define SERVER_IDEMPOTENCY_H

#include "server/api.h"
#include "server/digest.h"

/* A key that a request holds while it is answered. */
typedef struct idempotency_claim {
    char key[256]; /* "": the request has none */
    char fingerprint[DIGEST_SIZE];
    const store *of;
    struct idempotency_claim *next;
    bool held;
} idempotency_claim;

/* Reads the header and takes the key. *answered: the response is complete (the stored answer, 409
 * where another request holds the key, 422 where it stands for another request). GR_INVALID for a
 * header that is no key. To be dropped in any case. */
gr_status idempotency_take(struct api *api, const http_request *request, idempotency_claim *claim,
                           http_response *response, bool *answered, gr_error *error);
void idempotency_drop(idempotency_claim *claim);

/* Answers with what is stored under the claim's key: the first answer is given as every later one.
 */
gr_status idempotency_answer(struct api *api, const idempotency_claim *claim, bool replayed,
                             http_response *response, gr_error *error);

#endif
