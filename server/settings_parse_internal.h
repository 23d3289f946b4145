/* What the reading of a spec (settings_parse.c) and its messages (settings_problems.c) share. */
#ifndef SERVER_SETTINGS_PARSE_INTERNAL_H
#define SERVER_SETTINGS_PARSE_INTERNAL_H

#include "server/settings_parse.h"

enum { QUOTED_SIZE = 80, LISTING_SIZE = 400 };

typedef struct settings_parser {
    problems *found;
    bool out_of_memory;
} settings_parser;

/* Where an item stands: a chain from it to the document's root, on the stack. */
typedef struct settings_place {
    const struct settings_place *parent; /* NULL: the root, which has neither name nor index */
    const char *name;                    /* of a member; NULL: an item of a list */
    size_t index;
} settings_place;

static inline bool settings_accepts(const gr_option *option, gr_value_type type) {
    return option->accepts & GR_ACCEPT(type);
}

/* Adds a problem at `place`; beyond MAXIMUM_PROBLEMS it is only counted. */
void settings_report(settings_parser *parser, const settings_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "found … where … is needed", or how to write what was meant. */
void settings_wrong_type(settings_parser *parser, const settings_place *place,
                         const gr_option *option, const cJSON *item);

/* A user's text in quotes: shortened at a character's border, without control characters. */
const char *settings_quote(const char *string, char text[QUOTED_SIZE]);
/* Adds `word` to a list of alternatives: "a", "a, b", "a, b, c". */
void settings_append_word(char *text, size_t size, const char *word);
/* What an item is, for "found …". */
void settings_describe_found(const cJSON *item, char text[QUOTED_SIZE + 16]);
/* What an option takes, for "… is needed". */
void settings_describe_accepted(const gr_option *option, char text[LISTING_SIZE]);

#endif
