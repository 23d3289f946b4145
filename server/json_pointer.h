/* JSON Pointers (RFC 6901) into cJSON documents. */
#ifndef SERVER_JSON_POINTER_H
#define SERVER_JSON_POINTER_H

#include "server/json.h"

/* GR_INVALID where the text is no pointer to a member or an item: it begins with "/", and "~" is
 * only followed by 0 or 1. */
gr_status json_pointer_check(const char *pointer, gr_error *error);
/* What stands there, or NULL. */
const cJSON *json_pointer_get(const cJSON *document, const char *pointer);
/* Puts a copy of `value` there: an item or a member is replaced, a member that is missing is added
 * (and the objects on the way to it, or the list that a "-" speaks of), "-" is one more item of a
 * list. GR_INVALID where the pointer leads through a text or a number, or to an item that the list
 * does not have. */
gr_status json_pointer_set(cJSON *document, const char *pointer, const cJSON *value,
                           gr_error *error);
/* True where `pointer` is `outer`, or points into it. */
bool json_pointer_is_within(const char *pointer, const char *outer);

#endif
