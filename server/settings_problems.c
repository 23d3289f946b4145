#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/settings_parse_internal.h"

static void append(char *text, size_t size, const char *more) {
    const size_t length = strlen(text);
    snprintf(text + length, size - length, "%s", more);
}

/* Adds the RFC 6901 pointer of `place` to text. */
static void append_pointer(const settings_place *place, char text[GR_PLACE_SIZE]) {
    if (!place || !place->parent) return;
    append_pointer(place->parent, text);
    if (!place->name) {
        char number[24];
        snprintf(number, sizeof number, "/%zu", place->index);
        append(text, GR_PLACE_SIZE, number);
        return;
    }
    append(text, GR_PLACE_SIZE, "/");
    size_t length = strlen(text);
    for (const char *p = place->name; *p && length + 2 < GR_PLACE_SIZE; p++) {
        if (*p == '~' || *p == '/') {
            text[length++] = '~';
            text[length++] = *p == '~' ? '0' : '1';
        } else {
            text[length++] = *p;
        }
    }
    text[length] = '\0';
}

void settings_report(settings_parser *parser, const settings_place *place, const char *format,
                     ...) {
    if (parser->found->count >= MAXIMUM_PROBLEMS) {
        parser->found->count++;
        return;
    }
    char pointer[GR_PLACE_SIZE] = "", detail[GR_MESSAGE_SIZE];
    append_pointer(place, pointer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    problems_add(parser->found, pointer, "%s", detail);
}

const char *settings_quote(const char *string, char text[QUOTED_SIZE]) {
    size_t length = 0;
    text[length++] = '"';
    const char *p = string;
    for (; *p && length < QUOTED_SIZE - 8; p++)
        text[length++] = (unsigned char)*p < 0x20 || *p == 0x7F ? '?' : *p;
    if (*p) {
        while (((unsigned char)*p & 0xC0) == 0x80) { /* not within a character */
            p--;
            length--;
        }
        memcpy(text + length, "…", sizeof "…" - 1);
        length += sizeof "…" - 1;
    }
    text[length++] = '"';
    text[length] = '\0';
    return text;
}

void settings_append_word(char *text, size_t size, const char *word) {
    if (text[0]) append(text, size, ", ");
    append(text, size, word);
}

void settings_describe_found(const cJSON *item, char text[QUOTED_SIZE + 16]) {
    char quoted[QUOTED_SIZE];
    if (cJSON_IsString(item))
        snprintf(text, QUOTED_SIZE + 16, "the string %s",
                 settings_quote(item->valuestring, quoted));
    else if (cJSON_IsNumber(item))
        snprintf(text, QUOTED_SIZE + 16, "the number %.16g", item->valuedouble);
    else
        snprintf(text, QUOTED_SIZE + 16, "%s",
                 cJSON_IsNull(item)     ? "null"
                 : cJSON_IsTrue(item)   ? "true"
                 : cJSON_IsFalse(item)  ? "false"
                 : cJSON_IsArray(item)  ? "a list"
                 : cJSON_IsObject(item) ? "an object"
                                        : "something else");
}

static void list_choices(const gr_option *option, char text[LISTING_SIZE]) {
    char quoted[QUOTED_SIZE];
    for (size_t i = 0; option->choices[i]; i++)
        settings_append_word(text, LISTING_SIZE, settings_quote(option->choices[i], quoted));
}

void settings_describe_accepted(const gr_option *option, char text[LISTING_SIZE]) {
    text[0] = '\0';
    if (settings_accepts(option, GR_BOOLEAN))
        settings_append_word(text, LISTING_SIZE, "true or false");
    if (settings_accepts(option, GR_NUMBER))
        settings_append_word(text, LISTING_SIZE, "a number");
    else if (settings_accepts(option, GR_INTEGER))
        settings_append_word(text, LISTING_SIZE, "a whole number");
    if (settings_accepts(option, GR_CHOICE)) list_choices(option, text);
    if (settings_accepts(option, GR_STRING)) settings_append_word(text, LISTING_SIZE, "a string");
    if (settings_accepts(option, GR_NUMBERS))
        settings_append_word(text, LISTING_SIZE, "a list of numbers");
    if (settings_accepts(option, GR_STRINGS))
        settings_append_word(text, LISTING_SIZE, "an object of strings");
    if (settings_accepts(option, GR_SETTINGS)) {
        settings_append_word(text, LISTING_SIZE, "an object (");
        append(text, LISTING_SIZE, option->family->name);
        append(text, LISTING_SIZE, ")");
    }
    if (settings_accepts(option, GR_LIST)) {
        settings_append_word(text, LISTING_SIZE, "a list of objects (");
        append(text, LISTING_SIZE, option->family->name);
        append(text, LISTING_SIZE, ")");
    }
    if (settings_accepts(option, GR_NULL)) settings_append_word(text, LISTING_SIZE, "null");
    /* The last comma reads better as "or". */
    char *comma = NULL;
    for (char *p = text; (p = strstr(p, ", ")); p++) comma = p;
    if (comma && strlen(text) + 3 < LISTING_SIZE) {
        memmove(comma + 4, comma + 2, strlen(comma + 2) + 1);
        memcpy(comma, " or ", 4);
    }
}

void settings_wrong_type(settings_parser *parser, const settings_place *place,
                         const gr_option *option, const cJSON *item) {
    char is[QUOTED_SIZE + 16], needed[LISTING_SIZE];
    settings_describe_found(item, is);
    settings_describe_accepted(option, needed);
    const gr_family *family = option->family;
    if (settings_accepts(option, GR_SETTINGS) && cJSON_IsString(item) && family->discriminator &&
        gr_family_kind(family, item->valuestring))
        settings_report(parser, place, "found %s where an object is needed: write {\"%s\": \"%s\"}",
                        is, family->discriminator, item->valuestring);
    else if (settings_accepts(option, GR_LIST) && cJSON_IsObject(item))
        settings_report(parser, place, "found an object where a list is needed: put it into [ ]");
    else
        settings_report(parser, place, "found %s where %s is needed", is, needed);
}
