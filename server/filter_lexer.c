/* From characters to tokens. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/filter_internal.h"
#include "server/nearest.h"

gr_status filter_fail(filter_problem *wrong, size_t column, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wrong->detail, sizeof wrong->detail, format, arguments);
    va_end(arguments);
    drop_cut_character(wrong->detail);
    wrong->column = column;
    return GR_INVALID;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name(char c) {
    return is_letter(c) || is_digit(c) || c == '-';
}

/* Goes on by `count` bytes, which are whole characters. */
static void skip(lexer *from, size_t count) {
    for (size_t i = 0; i < count; i++)
        from->column += ((unsigned char)from->rest[i] & 0xC0) != 0x80;
    from->rest += count;
}

/* A text in quotes, at its first one: *length is that of what is between them. */
static gr_status measure_text(const lexer *from, size_t *whole, size_t *length) {
    const char quote = *from->rest;
    *length = 0;
    for (size_t i = 1; from->rest[i]; i++, ++*length) {
        if (from->rest[i] != quote) continue;
        if (from->rest[i + 1] != quote) {
            *whole = i + 1;
            return GR_OK;
        }
        i++;
    }
    return filter_fail(from->problem, from->column, "this text has no end: a %c is missing", quote);
}

static void copy_text(const lexer *from, size_t length, char *to) {
    const char *next = from->rest + 1;
    for (size_t i = 0; i < length; i++, next++) {
        to[i] = *next;
        if (*next == *from->rest) next++;
    }
    to[length] = 0;
}

static gr_status read_text(lexer *from, token *next) {
    size_t whole = 0, length = 0;
    GR_TRY(measure_text(from, &whole, &length));
    next->text = malloc(length + 1);
    if (!next->text) return GR_OUT_OF_MEMORY;
    copy_text(from, length, next->text);
    next->kind = TOKEN_TEXT;
    skip(from, whole);
    return GR_OK;
}

/* One segment of a field: a name, digits, or, behind a dot, a text. */
static gr_status read_segment(lexer *from, segment *part) {
    size_t whole = 0, length = 0;
    part->column = from->column;
    part->quoted = *from->rest == '"' || *from->rest == '\'';
    if (part->quoted) {
        GR_TRY(measure_text(from, &whole, &length));
    } else {
        for (length = 0; is_name(from->rest[length]);) length++;
        whole = length;
        if (length == 0)
            return filter_fail(from->problem, from->column,
                               "expected a name behind the dot; one with other characters than "
                               "letters, digits, _ and - stands in quotes");
    }
    if (length >= sizeof part->text)
        return filter_fail(from->problem, part->column, "no name is longer than %zu bytes",
                           sizeof part->text - 1);
    if (part->quoted)
        copy_text(from, length, part->text);
    else
        snprintf(part->text, sizeof part->text, "%.*s", (int)length, from->rest);
    skip(from, whole);
    return GR_OK;
}

static gr_status read_word(lexer *from, token *next) {
    next->kind = TOKEN_WORD;
    for (;;) {
        if (next->segment_count == MAXIMUM_SEGMENTS)
            return filter_fail(from->problem, from->column, "no path has more than %d parts",
                               MAXIMUM_SEGMENTS);
        GR_TRY(read_segment(from, &next->segments[next->segment_count++]));
        if (*from->rest != '.') return GR_OK;
        skip(from, 1);
    }
}

static gr_status read_number(lexer *from, token *next) {
    const char *end = from->rest;
    if (*end == '-' || *end == '+') end++;
    if (strncasecmp(end, "infinity", 8) == 0 && !is_name(end[8])) {
        next->number = *from->rest == '-' ? -INFINITY : INFINITY;
        end += 8;
    } else {
        const char *digits = end;
        while (is_digit(*end)) end++;
        if (*end == '.') end++;
        while (is_digit(*end)) end++;
        if (end == digits || (end == digits + 1 && *digits == '.'))
            return filter_fail(from->problem, from->column, "expected a number");
        if (*end == 'e' || *end == 'E') {
            end++;
            if (*end == '-' || *end == '+') end++;
            if (!is_digit(*end))
                return filter_fail(from->problem, from->column,
                                   "this number's exponent has no digits");
            while (is_digit(*end)) end++;
        }
        if (is_name(*end) || *end == '.')
            return filter_fail(from->problem, from->column,
                               "this is no number: a text stands in quotes");
        next->number = strtod(from->rest, NULL);
        if (isinf(next->number))
            return filter_fail(from->problem, from->column,
                               "this number is too large; Infinity is written as a word");
    }
    next->kind = TOKEN_NUMBER;
    skip(from, (size_t)(end - from->rest));
    return GR_OK;
}

static gr_status read_sign(lexer *from, token *next) {
    static const char *const signs[] = {"==", "!=", "<>", "<=", ">=", "=", "<",
                                        ">",  "(",  ")",  ",",  "-",  "*"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const size_t length = strlen(signs[i]);
        if (strncmp(from->rest, signs[i], length) != 0) continue;
        next->kind = TOKEN_SIGN;
        snprintf(next->sign, sizeof next->sign, "%s", signs[i]);
        skip(from, length);
        return GR_OK;
    }
    if ((strncmp(from->rest, "&&", 2) == 0) || strncmp(from->rest, "||", 2) == 0)
        return filter_fail(from->problem, from->column, "\"%.2s\" is written as %s here",
                           from->rest, *from->rest == '&' ? "AND" : "OR");
    if (*from->rest == '!')
        return filter_fail(from->problem, from->column, "\"!\" is written as NOT here");
    size_t length = 1;
    while (((unsigned char)from->rest[length] & 0xC0) == 0x80) length++;
    return filter_fail(from->problem, from->column,
                       "the character \"%.*s\" has no meaning here; a text stands in quotes",
                       (int)length, from->rest);
}

gr_status lexer_next(lexer *from, token *next) {
    free(next->text);
    next->text = NULL;
    next->segment_count = 0;
    while (*from->rest == ' ' || *from->rest == '\t' || *from->rest == '\n' || *from->rest == '\r')
        skip(from, 1);
    const char first = *from->rest;
    next->column = from->column;
    if (first == 0) {
        next->kind = TOKEN_END;
        return GR_OK;
    }
    if (first == '"' || first == '\'') return read_text(from, next);
    const char behind = first == '-' || first == '+' ? from->rest[1] : first;
    const char *word = from->rest + (behind != first);
    if (is_digit(behind) || (behind == '.' && is_digit(word[1])) ||
        (strncasecmp(word, "infinity", 8) == 0 && !is_name(word[8]) && word[8] != '.'))
        return read_number(from, next);
    if (is_letter(first)) return read_word(from, next);
    return read_sign(from, next);
}

const char *token_shown(const token *one, char *out, size_t size) {
    switch (one->kind) {
    case TOKEN_END:
        snprintf(out, size, "the end");
        break;
    case TOKEN_WORD:
        snprintf(out, size, "\"%.60s%s\"", one->segments[0].text,
                 one->segment_count > 1 ? ".…" : "");
        break;
    case TOKEN_NUMBER:
        snprintf(out, size, "the number %.15g", one->number);
        break;
    case TOKEN_TEXT:
        snprintf(out, size, "a text");
        break;
    case TOKEN_SIGN:
        snprintf(out, size, "\"%s\"", one->sign);
        break;
    }
    return out;
}

bool token_is_word(const token *one, const char *keyword) {
    return one->kind == TOKEN_WORD && one->segment_count == 1 && !one->segments[0].quoted &&
           strcasecmp(one->segments[0].text, keyword) == 0;
}
