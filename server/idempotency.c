#include "server/idempotency.h"

#include <pthread.h>
#include <string.h>

/* The keys of requests that are being answered now: nothing of them outlives the process, for the
 * store has what was done. */
static pthread_mutex_t claims_lock = PTHREAD_MUTEX_INITIALIZER;
static idempotency_claim *claims;

/* The header is a structured string ("…") by the draft; many clients send the bare text. */
static gr_status read_key(const char *header, char key[256], gr_error *error) {
    size_t length = strlen(header);
    if (length >= 2 && header[0] == '"' && header[length - 1] == '"') {
        header++;
        length -= 2;
    }
    bool plain = length >= 1 && length <= 255;
    for (size_t i = 0; plain && i < length; i++)
        plain = header[i] > 0x20 && header[i] < 0x7F && header[i] != '"' && header[i] != '\\';
    if (!plain)
        return gr_fail(error, GR_INVALID,
                       "the Idempotency-Key must be 1 to 255 characters of visible ASCII without "
                       "quotes and backslashes, such as a UUID");
    memcpy(key, header, length);
    key[length] = 0;
    return GR_OK;
}

static void fingerprint(const http_request *request, char hex[DIGEST_SIZE]) {
    digest_part parts[3 + 2 * HTTP_MAXIMUM_QUERY] = {{request->method, strlen(request->method)},
                                                     {request->path, strlen(request->path)},
                                                     {request->body, request->body_length}};
    size_t count = 3;
    for (size_t i = 0; i < request->query_count; i++) {
        parts[count++] = (digest_part){request->query[i].name, strlen(request->query[i].name)};
        parts[count++] = (digest_part){request->query[i].value, strlen(request->query[i].value)};
    }
    digest_parts(parts, count, hex);
}

static bool hold(idempotency_claim *claim) {
    pthread_mutex_lock(&claims_lock);
    const idempotency_claim *other = claims;
    while (other && (other->of != claim->of || strcmp(other->key, claim->key) != 0))
        other = other->next;
    if (other == NULL) {
        claim->next = claims;
        claims = claim;
        claim->held = true;
    }
    pthread_mutex_unlock(&claims_lock);
    return claim->held;
}

void idempotency_drop(idempotency_claim *claim) {
    if (!claim->held) return;
    pthread_mutex_lock(&claims_lock);
    idempotency_claim **link = &claims;
    while (*link != claim) link = &(*link)->next;
    *link = claim->next;
    pthread_mutex_unlock(&claims_lock);
    claim->held = false;
}

gr_status idempotency_answer(struct api *api, const idempotency_claim *claim, bool replayed,
                             http_response *response, gr_error *error) {
    stored_answer stored;
    GR_TRY(store_answer(api->store, claim->key, &stored, error));
    if (strcmp(stored.fingerprint, claim->fingerprint) != 0) {
        http_answer_problem(response, 422, NULL,
                            "this Idempotency-Key belongs to another request: its path, query or "
                            "body was not this one; take a new key for a new request");
    } else {
        response->status = stored.status;
        response->body = stored.body;
        response->length = strlen(stored.body);
        stored.body = NULL; /* handed over */
        if (stored.etag) http_answer_header(response, "ETag", "%s", stored.etag);
        if (stored.location) http_answer_header(response, "Location", "%s", stored.location);
        if (replayed) http_answer_header(response, "Idempotency-Replayed", "true");
    }
    stored_answer_clear(&stored);
    return GR_OK;
}

gr_status idempotency_take(struct api *api, const http_request *request, idempotency_claim *claim,
                           http_response *response, bool *answered, gr_error *error) {
    *claim = (idempotency_claim){.of = api->store};
    *answered = false;
    const char *header = http_header(request, "Idempotency-Key");
    if (header == NULL) return GR_OK;
    GR_TRY(read_key(header, claim->key, error));
    fingerprint(request, claim->fingerprint);
    if (!hold(claim)) {
        http_answer_problem(response, 409, NULL,
                            "a request with this Idempotency-Key is being answered right now: try "
                            "again in a moment");
        http_answer_header(response, "Retry-After", "1");
        *answered = true;
        return GR_OK;
    }
    const gr_status status = idempotency_answer(api, claim, true, response, error);
    *answered = status == GR_OK;
    if (status == GR_NOT_FOUND) return GR_OK;
    return status;
}
