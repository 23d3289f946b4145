/* The browser's session: a cookie that stands for a token, because event streams and downloads send
 * no header of ours. */
#include <string.h>

#include "server/api.h"
#include "server/clock.h"

static cJSON *session_json(const access_control *access, const http_identity *identity) {
    const bool known = identity->token != 0;
    cJSON *document = cJSON_CreateObject();
    cJSON_AddBoolToObject(document, "token_required", access->required);
    cJSON_AddBoolToObject(document, "authenticated", known);
    cJSON_AddBoolToObject(document, "session", identity->session != 0);
    json_put(document, "name", known ? cJSON_CreateString(identity->name) : cJSON_CreateNull());
    cJSON_AddStringToObject(document, "scope", http_scope_name(identity->scope));
    return document;
}

static gr_status get_session(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    const struct api *api = context;
    (void)error;
    http_answer_json(response, 200, session_json(&api->access, &request->identity));
    return GR_OK;
}

/* "" for the value: the browser forgets the cookie. */
static void set_cookie(const access_control *access, http_response *response, const char *value,
                       int64_t seconds) {
    http_answer_header(response, "Set-Cookie",
                       "%s=%s; Path=/; HttpOnly; SameSite=Strict; "
                       "Max-Age=%lld%s",
                       access->cookie, value, (long long)seconds, access->https ? "; Secure" : "");
}

static gr_status post_session(void *context, const http_request *request, http_response *response,
                              gr_error *error) {
    struct api *api = context;
    cJSON *body;
    token found;
    char cookie[ACCESS_SECRET_SIZE];
    int64_t expires_at;
    GR_TRY(json_parse(request->body, request->body_length, &body, error));
    const char *secret = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "token"));
    gr_status status =
        secret ? access_check_token(api->store, secret, &found, error)
               : gr_fail(error, GR_INVALID, "the body must be {\"token\": \"gradreg_…\"}");
    const bool is_form = secret != NULL;
    cJSON_Delete(body);
    if (status == GR_INVALID && is_form) {
        http_answer_problem(response, 401, NULL, "%s", error->message);
        http_answer_header(response, "WWW-Authenticate", "Bearer realm=\"gradreg\"");
        return GR_OK;
    }
    GR_TRY(status);
    GR_TRY(access_begin_session(api->store, &found, &expires_at, cookie, error));
    http_identity identity = {.token = found.id, .session = 1};
    for (http_scope scope = HTTP_SCOPE_READ; scope <= HTTP_SCOPE_ADMIN; scope++)
        if (strcmp(found.scope, http_scope_name(scope)) == 0) identity.scope = scope;
    memcpy(identity.name, found.name, sizeof identity.name);
    http_answer_json(response, 200, session_json(&api->access, &identity));
    set_cookie(&api->access, response, cookie, (expires_at - clock_now()) / 1000);
    return GR_OK;
}

static gr_status delete_session(void *context, const http_request *request, http_response *response,
                                gr_error *error) {
    struct api *api = context;
    if (request->identity.session)
        GR_TRY(store_session_end(api->store, request->identity.session, error));
    response->status = 204;
    set_cookie(&api->access, response, "", 0);
    return GR_OK;
}

const http_route session_routes[] = {
    {"GET", API_BASE "/session", get_session, "who you are to this server", NULL,
     HTTP_NEEDS_NOTHING},
    {"POST", API_BASE "/session", post_session,
     "an access token for a cookie that stands for it, for browsers", NULL,
     HTTP_NEEDS_NOTHING | HTTP_TAKES_JSON},
    {"DELETE", API_BASE "/session", delete_session, "end the session of this browser", NULL,
     HTTP_NEEDS_NOTHING},
    {0}};
