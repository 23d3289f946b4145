/* Settings for tests, from a short text: the core reads no JSON, and tests of the core must not
 * need the server.
 *
 *     gr_settings layer = settings_build(&gr_layer_family, "{type: conv2d, filters: 6, kernel:
 * 5}"); … gr_settings_clear(&layer);
 *
 * The text is JSON in which quotes around plain words may be left out and '=' may stand for ':';
 * the outer braces may be left out too ("type=linear, units=10"). Members that are not given get
 * the option's default_json; aliases are resolved. Unknown members, wrong types and missing
 * required members abort the test program with a message. Bounds are not checked, so that a test
 * can see what the core makes of values out of range. */
#ifndef TESTS_SETTINGS_BUILDER_H
#define TESTS_SETTINGS_BUILDER_H

#include "gradreg/settings.h"

/* One object of `family`, by its discriminator. Owned by the caller: gr_settings_clear. */
gr_settings settings_build(const gr_family *family, const char *text);

/* One object of `kind` (or of what the alias `kind` stands for); the text names no kind. NULL text:
 * all defaults. */
gr_settings settings_build_kind(const gr_kind *kind, const char *text);

/* A list, "[{type: relu}, {type: linear, units: 10}]". Owned by the caller: gr_settings_array_free.
 */
gr_settings *settings_build_list(const gr_family *family, const char *text, size_t *count);

#endif
