#include "gradreg/status.h"

#include <stdio.h>
#include <string.h>

static gr_status fill(gr_error *error, gr_status status, const char *place, const char *format,
                      va_list arguments) {
    if (error) {
        error->status = status;
        snprintf(error->place, sizeof error->place, "%s", place);
        /* The arguments may point into error->message: format beside it first. */
        char message[GR_MESSAGE_SIZE];
        vsnprintf(message, sizeof message, format, arguments);
        memcpy(error->message, message, sizeof message);
    }
    return status;
}

gr_status gr_fail(gr_error *error, gr_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, "", format, arguments);
    va_end(arguments);
    return status;
}

gr_status gr_fail_at(gr_error *error, gr_status status, const char *place, const char *format,
                     ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, place, format, arguments);
    va_end(arguments);
    return status;
}

void gr_error_prefix_place(gr_error *error, const char *format, ...) {
    if (!error) return;
    char prefix[GR_PLACE_SIZE], place[GR_PLACE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    memcpy(place, error->place, sizeof place);
    size_t length = strlen(prefix);
    snprintf(error->place, sizeof error->place, "%s", prefix);
    snprintf(error->place + length, sizeof error->place - length, "%s", place);
}

const char *gr_status_name(gr_status status) {
    switch (status) {
    case GR_OK:
        return "ok";
    case GR_INVALID:
        return "invalid";
    case GR_NOT_FOUND:
        return "not found";
    case GR_CONFLICT:
        return "conflict";
    case GR_TOO_LARGE:
        return "too large";
    case GR_TOO_MANY:
        return "too many at once";
    case GR_CORRUPT:
        return "corrupt";
    case GR_IO:
        return "input/output error";
    case GR_NO_SPACE:
        return "no space left";
    case GR_OUT_OF_MEMORY:
        return "out of memory";
    case GR_DIVERGED:
        return "diverged";
    case GR_INTERNAL:
        return "internal error";
    }
    return "unknown status";
}
