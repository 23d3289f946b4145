/* From JSON to settings, driven by the tables of kinds and by nothing else. */
#ifndef SERVER_SETTINGS_PARSE_H
#define SERVER_SETTINGS_PARSE_H

#include "gradreg/settings.h"
#include "server/json.h"

enum {
    MAXIMUM_STRING_BYTES = 4096, /* of an option without bounds of its own */
    MAXIMUM_STRINGS = 64,        /* entries of GR_STRINGS */
    MAXIMUM_STRINGS_NAME = 100,  /* bytes of an entry's name */
    MAXIMUM_STRINGS_VALUE = 200
};

/* Reads `item` as one object of `family`, whose place in the document is the root. Everything that
 * is wrong becomes a problem. Where `members` (NULL-terminated) is given, others may not be there
 * and their values stay GR_NULL. GR_OK, GR_INVALID (at least one problem) or GR_OUT_OF_MEMORY; on
 * GR_OK *settings is owned by the caller, else it is empty. */
gr_status settings_parse(const gr_family *family, const cJSON *item, const char *const *members,
                         gr_settings *settings, problems *found);

#endif
