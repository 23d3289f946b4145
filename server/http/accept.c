/* Content negotiation by the Accept header. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/http.h"

/* The quality of a range's parameters, "…;q=0.5": from 0 to 1. */
static double quality_of(const char *range, size_t length) {
    for (size_t i = 0; i + 2 < length; i++) {
        if (range[i] != ';') continue;
        size_t at = i + 1;
        while (at < length && (range[at] == ' ' || range[at] == '\t')) at++;
        if (at + 1 >= length || (range[at] != 'q' && range[at] != 'Q') || range[at + 1] != '=')
            continue;
        const double quality = strtod(range + at + 2, NULL);
        return quality >= 0 && quality <= 1 ? quality : 1;
    }
    return 1;
}

/* How well a range fits a type: 3: it names it, 2: it names its group, 1: any type does, 0: not. */
static int fit(const char *range, size_t length, const char *type) {
    const char *slash = strchr(type, '/');
    const size_t group = (size_t)(slash - type) + 1;
    if (length == strlen(type) && strncasecmp(range, type, length) == 0) return 3;
    if (length == group + 1 && range[group] == '*' && strncasecmp(range, type, group) == 0)
        return 2;
    return length == 3 && strncmp(range, "*/*", 3) == 0;
}

size_t http_preferred(const http_request *request, const char *const types[], size_t count) {
    const char *accept = http_header(request, "Accept");
    size_t best = 0, best_place = 0;
    double best_quality = 0;
    for (size_t i = 0; accept && i < count; i++) {
        int closest = 0;
        double quality = 0;
        size_t place = 0, at = 0;
        for (const char *p = accept; *p; at++) {
            p += strspn(p, " \t,");
            const size_t length = strcspn(p, ",");
            const int fits = fit(p, strcspn(p, ";, \t"), types[i]);
            if (fits > closest) {
                closest = fits;
                quality = quality_of(p, length);
                place = closest == 3 ? at : SIZE_MAX;
            }
            p += length;
        }
        if (quality > best_quality ||
            (quality == best_quality && quality > 0 && place < best_place)) {
            best = i;
            best_quality = quality;
            best_place = place;
        }
    }
    return best;
}
