/* Whether a text is strict JSON: what json_parse checks before cJSON reads it. */
#ifndef SERVER_JSON_SCAN_H
#define SERVER_JSON_SCAN_H

#include <stddef.h>

#include "gradreg/status.h"

enum {
    JSON_MAXIMUM_DEPTH = 64,
    JSON_MAXIMUM_NUMBER = 60 /* characters of one number: cJSON reads no more than 63 */
};

/* GR_INVALID names line and column (both from 1; columns count characters). */
gr_status json_scan(const char *text, size_t length, gr_error *error);

#endif
