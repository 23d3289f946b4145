/* Requests: cutting and decoding targets, reading parameters, and who may ask. */
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/http.h"

/* -- decoding
 * ---------------------------------------------------------------------------------------- */
static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
static bool is_utf8(const unsigned char *text) {
    while (*text) {
        unsigned lead = *text++;
        if (lead < 0x80) continue;
        int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4) return false;
        unsigned low = 0x80, high = 0xBF;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
        for (; more > 0; more--, text++) {
            if (*text < low || *text > high) return false;
            low = 0x80;
            high = 0xBF;
        }
    }
    return true;
}

/* *decoded (malloc) is the text of `count` escaped characters. */
static gr_status decode(const char *text, size_t count, bool plus_is_space, char **decoded,
                        gr_error *error) {
    char *out = malloc(count + 1);
    *decoded = NULL;
    if (out == NULL) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 1 < count ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < count ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                free(out);
                return gr_fail(error, GR_INVALID,
                               "the request's address has a \"%%\" that two hexadecimal digits do "
                               "not follow; a percent sign itself is written %%25");
            }
            c = (char)(high * 16 + low);
            i += 2;
            if (c == 0) {
                free(out);
                return gr_fail(error, GR_INVALID,
                               "the request's address has an encoded NUL (%%00)");
            }
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[length++] = c;
    }
    out[length] = 0;
    if (!is_utf8((const unsigned char *)out)) {
        free(out);
        return gr_fail(error, GR_INVALID, "the request's address is not UTF-8");
    }
    *decoded = out;
    return GR_OK;
}

static gr_status parse_path(http_request *request, const char *path, size_t length,
                            gr_error *error) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += path[i] == '/';
    GR_TRY(decode(path, length, false, &request->path, error));
    request->segments = calloc(count + 1, sizeof *request->segments);
    if (request->segments == NULL) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    for (size_t begin = 1; begin <= length;) {
        const char *slash = memchr(path + begin, '/', length - begin);
        size_t end = slash ? (size_t)(slash - path) : length;
        GR_TRY(decode(path + begin, end - begin, false, &request->segments[request->segment_count],
                      error));
        request->segment_count++;
        begin = end + 1;
    }
    return GR_OK;
}

static gr_status parse_query(http_request *request, const char *query, gr_error *error) {
    while (*query) {
        size_t length = strcspn(query, "&");
        if (length > 0) {
            if (request->query_count == HTTP_MAXIMUM_QUERY)
                return gr_fail(error, GR_INVALID, "the query has more than %d parameters",
                               HTTP_MAXIMUM_QUERY);
            const char *equals = memchr(query, '=', length);
            size_t name_length = equals ? (size_t)(equals - query) : length;
            http_query_item *item = &request->query[request->query_count++];
            GR_TRY(decode(query, name_length, true, &item->name, error));
            GR_TRY(decode(equals ? equals + 1 : "", equals ? length - name_length - 1 : 0, true,
                          &item->value, error));
            for (http_query_item *other = request->query; other < item; other++)
                if (strcmp(other->name, item->name) == 0) {
                    char name[64];
                    return gr_fail(error, GR_INVALID, "the query parameter \"%s\" is given twice",
                                   http_printable(item->name, name, sizeof name));
                }
        }
        query += length;
        if (*query == '&') query++;
    }
    return GR_OK;
}

gr_status http_request_parse(http_request *request, const char *target, gr_error *error) {
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    if (scheme) { /* absolute form, RFC 9112 §3.2.2 */
        target += scheme;
        size_t length = strcspn(target, "/?#");
        GR_TRY(decode(target, length, false, &request->host, error));
        target += length;
        if (*target != '/') { /* an empty path is "/" */
            GR_TRY(parse_path(request, "/", 1, error));
            return *target == '?' ? parse_query(request, target + 1, error) : GR_OK;
        }
    }
    if (strcmp(target, "*") == 0) {
        request->path = strdup("*");
        return request->path ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    if (*target != '/')
        return gr_fail(error, GR_INVALID, "the request's address does not begin with \"/\"");
    size_t length = strcspn(target, "?#");
    GR_TRY(parse_path(request, target, length, error));
    return target[length] == '?' ? parse_query(request, target + length + 1, error) : GR_OK;
}

void http_request_clear(http_request *request) {
    free(request->path);
    free(request->host);
    for (size_t i = 0; i < request->segment_count; i++) free(request->segments[i]);
    free(request->segments);
    for (size_t i = 0; i < request->query_count; i++) {
        free(request->query[i].name);
        free(request->query[i].value);
    }
    *request = (http_request){0};
}

/* -- parameters
 * -------------------------------------------------------------------------------------- */
const char *http_query(const http_request *request, const char *name) {
    for (size_t i = 0; i < request->query_count; i++)
        if (strcmp(request->query[i].name, name) == 0) return request->query[i].value;
    return NULL;
}

gr_status http_query_integer(const http_request *request, const char *name, int64_t minimum,
                             int64_t maximum, int64_t fallback, int64_t *value, gr_error *error) {
    const char *text = http_query(request, name);
    *value = fallback;
    if (text == NULL) return GR_OK;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    bool whole = (isdigit((unsigned char)*text) || *text == '-') && *end == 0 && end != text;
    if (!whole || errno == ERANGE || number < minimum || number > maximum)
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"%s\" must be a whole number from %lld to %lld", name,
                       (long long)minimum, (long long)maximum);
    *value = number;
    return GR_OK;
}

gr_status http_query_boolean(const http_request *request, const char *name, bool *value,
                             gr_error *error) {
    const char *text = http_query(request, name);
    *value = text != NULL && strcmp(text, "true") == 0;
    if (text == NULL || *value || strcmp(text, "false") == 0) return GR_OK;
    return gr_fail(error, GR_INVALID, "the query parameter \"%s\" must be true or false", name);
}

const char *http_header(const http_request *request, const char *name) {
    return request->header ? request->header(request->connection, name) : NULL;
}

/* Looks for `etag` in a header's value: "*", or entity tags separated by commas, with empty items
 * in between (RFC 9110 §5.6.1, §8.8.3). Weak tags never match where the comparison is `strong`. */
static gr_status list_has_etag(const char *name, const char *list, const char *etag, bool strong,
                               bool *found, gr_error *error) {
    const char *p = list + strspn(list, " \t");
    size_t items = 0;
    *found = false;
    if (*p == '*' && p[1 + strspn(p + 1, " \t")] == 0) {
        *found = true;
        return GR_OK;
    }
    for (;;) {
        p += strspn(p, " \t,");
        if (*p == 0 && items > 0) return GR_OK;
        const bool weak = p[0] == 'W' && p[1] == '/';
        const char *begin = weak ? p + 2 : p, *end = begin;
        if (*end == '"')
            for (end++; *end && *end != '"' && (unsigned char)*end > 0x20 && *end != 0x7F;) end++;
        const size_t length = (size_t)(end + 1 - begin);
        p = *begin == '"' && *end == '"' ? end + 1 + strspn(end + 1, " \t") : NULL;
        if (p == NULL || (*p && *p != ','))
            return gr_fail(error, GR_INVALID,
                           "the header %s must be * or entity tags in double quotes, separated by "
                           "commas, as in %s: \"17\", \"18\"",
                           name, name);
        items++;
        if (!(strong && weak) && strlen(etag) == length && memcmp(begin, etag, length) == 0)
            *found = true;
    }
}

gr_status http_condition(const http_request *request, const char *etag, int *status,
                         gr_error *error) {
    const char *match = http_header(request, "If-Match");
    const char *none_match = http_header(request, "If-None-Match");
    bool matches = true, is_among = false;
    if (match) GR_TRY(list_has_etag("If-Match", match, etag, true, &matches, error));
    if (none_match)
        GR_TRY(list_has_etag("If-None-Match", none_match, etag, false, &is_among, error));
    *status = !matches ? 412 : !is_among ? 0 : strcmp(request->method, "GET") == 0 ? 304 : 412;
    return GR_OK;
}

const char *http_printable(const char *text, char *out, size_t size) {
    size_t length = 0;
    for (; text[length] && length + 1 < size; length++)
        out[length] = text[length] >= 0x20 && text[length] < 0x7F ? text[length] : '?';
    out[length] = 0;
    return out;
}

/* -- who may ask
 * ------------------------------------------------------------------------------------- */
/* Cuts the host out of "host", "host:port", "[v6]" or "[v6]:port"; false where it is none of these.
 */
static bool split_authority(const char *authority, char host[256]) {
    const char *begin = authority, *end, *rest;
    if (*begin == '[') {
        begin++;
        end = strchr(begin, ']');
        if (end == NULL) return false;
        rest = end + 1;
    } else {
        end = begin + strcspn(begin, ":");
        rest = end;
    }
    size_t length = (size_t)(end - begin);
    if (length == 0 || length > 255) return false;
    if (*rest == ':') {
        rest++;
        if (strlen(rest) > 5 || strspn(rest, "0123456789") != strlen(rest)) return false;
    } else if (*rest != 0) {
        return false;
    }
    memcpy(host, begin, length);
    host[length] = 0;
    return true;
}

bool http_host_is_allowed(const char *host, const char *listen_host) {
    char name[256];
    if (!split_authority(host, name)) return false;
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.') name[length - 1] = 0; /* "localhost." */
    return strcasecmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0 ||
           strcmp(name, "::1") == 0 || strcasecmp(name, listen_host) == 0;
}

bool http_host_is_address(const char *host) {
    char name[256];
    unsigned char address[sizeof(struct in6_addr)];
    return split_authority(host, name) &&
           inet_pton(*host == '[' ? AF_INET6 : AF_INET, name, address) == 1;
}

bool http_host_is_named(const char *host, const char *const *names) {
    char name[256];
    if (names == NULL || !split_authority(host, name)) return false;
    size_t length = strlen(name);
    if (name[length - 1] == '.') name[length - 1] = 0;
    for (; *names; names++)
        if (strcasecmp(name, *names) == 0) return true;
    return false;
}

bool http_origin_is_same(const char *origin, const char *host, bool tls) {
    const char *scheme = tls ? "https://" : "http://";
    size_t length = strlen(scheme);
    return strncasecmp(origin, scheme, length) == 0 && strcasecmp(origin + length, host) == 0;
}
