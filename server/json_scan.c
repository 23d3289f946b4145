#include "server/json_scan.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scanner {
    const unsigned char *text, *end, *at;
    gr_error *error;
};

static gr_status fail_at(const struct scanner *scanner, const unsigned char *place,
                         const char *what) {
    size_t line = 1, column = 1;
    for (const unsigned char *p = scanner->text; p < place; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else if ((*p & 0xC0) != 0x80) {
            column++;
        }
    }
    return gr_fail(scanner->error, GR_INVALID, "line %zu, column %zu: %s", line, column, what);
}

/* "expected …, found 'x'" at the current position. */
static gr_status unexpected(const struct scanner *scanner, const char *expected) {
    char what[160];
    if (scanner->at == scanner->end)
        snprintf(what, sizeof what, "expected %s, but the text ends", expected);
    else if (*scanner->at > ' ' && *scanner->at < 0x7F)
        snprintf(what, sizeof what, "expected %s, found '%c'", expected, *scanner->at);
    else
        snprintf(what, sizeof what, "expected %s, found the byte 0x%02X", expected, *scanner->at);
    return fail_at(scanner, scanner->at, what);
}

static void skip_space(struct scanner *scanner) {
    while (scanner->at < scanner->end && (*scanner->at == ' ' || *scanner->at == '\t' ||
                                          *scanner->at == '\n' || *scanner->at == '\r'))
        scanner->at++;
}

/* Length of the character that starts at p by RFC 3629 (no overlong forms, no surrogates, at most
 * U+10FFFF); 0 where there is none. */
static size_t character(const unsigned char *p, const unsigned char *end) {
    const size_t left = (size_t)(end - p);
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4) return 0;
    const size_t length = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (left < length) return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return length;
}

/* The four digits at p as a number, or -1. */
static int code_unit(const unsigned char *p, const unsigned char *end) {
    if (end - p < 4) return -1;
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned char c = p[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* An escape; at is on the backslash. */
static gr_status scan_escape(struct scanner *scanner) {
    const unsigned char *start = scanner->at++;
    if (scanner->at == scanner->end) return unexpected(scanner, "an escape");
    if (*scanner->at != 'u') {
        if (!memchr("\"\\/bfnrt", *scanner->at, 8))
            return fail_at(scanner, start,
                           "this escape is none of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        scanner->at++;
        return GR_OK;
    }
    const int unit = code_unit(scanner->at + 1, scanner->end);
    if (unit < 0) return fail_at(scanner, start, "\\u must be followed by four hexadecimal digits");
    if (unit == 0) return fail_at(scanner, start, "\\u0000 is not allowed");
    scanner->at += 5;
    if (unit < 0xD800 || unit > 0xDFFF) return GR_OK;
    int low = -1;
    if (unit <= 0xDBFF && scanner->end - scanner->at >= 6 && scanner->at[0] == '\\' &&
        scanner->at[1] == 'u')
        low = code_unit(scanner->at + 2, scanner->end);
    if (low < 0xDC00 || low > 0xDFFF)
        return fail_at(scanner, start, "this surrogate is not one of a pair");
    scanner->at += 6;
    return GR_OK;
}

static gr_status scan_string(struct scanner *scanner) {
    const unsigned char *start = scanner->at++;
    while (scanner->at < scanner->end) {
        const unsigned char c = *scanner->at;
        if (c == '"') {
            scanner->at++;
            return GR_OK;
        }
        if (c == '\\') {
            GR_TRY(scan_escape(scanner));
            continue;
        }
        if (c < 0x20)
            return fail_at(scanner, scanner->at,
                           "a control character in a string must be escaped (a line end is \\n)");
        const size_t length = character(scanner->at, scanner->end);
        if (length == 0) return fail_at(scanner, scanner->at, "these bytes are not UTF-8");
        scanner->at += length;
    }
    return fail_at(scanner, start, "this string does not end");
}

static bool scan_digits(struct scanner *scanner) {
    const unsigned char *start = scanner->at;
    while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9') scanner->at++;
    return scanner->at > start;
}

static bool take(struct scanner *scanner, char c) {
    if (scanner->at == scanner->end || *scanner->at != (unsigned char)c) return false;
    scanner->at++;
    return true;
}

static gr_status scan_number(struct scanner *scanner) {
    const unsigned char *start = scanner->at;
    take(scanner, '-');
    if (take(scanner, '0')) {
        if (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
            return fail_at(scanner, start, "a number must not begin with a superfluous 0");
    } else if (!scan_digits(scanner)) {
        return unexpected(scanner, "a digit");
    }
    if (take(scanner, '.') && !scan_digits(scanner))
        return unexpected(scanner, "a digit after the point");
    if (take(scanner, 'e') || take(scanner, 'E')) {
        if (!take(scanner, '-')) take(scanner, '+');
        if (!scan_digits(scanner)) return unexpected(scanner, "a digit of the exponent");
    }
    const size_t length = (size_t)(scanner->at - start);
    if (length > JSON_MAXIMUM_NUMBER)
        return fail_at(scanner, start, "a number of more than 60 characters: 17 digits are enough");
    char digits[JSON_MAXIMUM_NUMBER + 1];
    memcpy(digits, start, length);
    digits[length] = '\0';
    if (!isfinite(strtod(digits, NULL)))
        return fail_at(scanner, start, "this number is too large (at most 1.797e308)");
    return GR_OK;
}

static gr_status scan_word(struct scanner *scanner) {
    static const char *const words[] = {"true", "false", "null"};
    const size_t left = (size_t)(scanner->end - scanner->at);
    for (int i = 0; i < 3; i++) {
        const size_t length = strlen(words[i]);
        if (left >= length && memcmp(scanner->at, words[i], length) == 0) {
            scanner->at += length;
            return GR_OK;
        }
    }
    return unexpected(scanner, "a JSON value");
}

static gr_status scan_value(struct scanner *scanner, int depth);

/* An object or a list; at is on its bracket. */
static gr_status scan_collection(struct scanner *scanner, int depth) {
    const bool object = *scanner->at == '{';
    const char close = object ? '}' : ']';
    if (depth == JSON_MAXIMUM_DEPTH)
        return fail_at(scanner, scanner->at, "nested more than 64 levels deep");
    scanner->at++;
    skip_space(scanner);
    if (take(scanner, close)) return GR_OK;
    for (;;) {
        if (object) {
            if (scanner->at == scanner->end || *scanner->at != '"')
                return unexpected(scanner, "the name of a member in double quotes");
            GR_TRY(scan_string(scanner));
            skip_space(scanner);
            if (!take(scanner, ':')) return unexpected(scanner, "':' after a member's name");
            skip_space(scanner);
        }
        GR_TRY(scan_value(scanner, depth + 1));
        skip_space(scanner);
        if (take(scanner, close)) return GR_OK;
        if (!take(scanner, ',')) return unexpected(scanner, object ? "',' or '}'" : "',' or ']'");
        skip_space(scanner);
    }
}

static gr_status scan_value(struct scanner *scanner, int depth) {
    if (scanner->at == scanner->end) return unexpected(scanner, "a JSON value");
    switch (*scanner->at) {
    case '{':
    case '[':
        return scan_collection(scanner, depth);
    case '"':
        return scan_string(scanner);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(scanner);
    default:
        return scan_word(scanner);
    }
}

gr_status json_scan(const char *text, size_t length, gr_error *error) {
    const unsigned char *start = (const unsigned char *)text;
    struct scanner scanner = {.text = start, .end = start + length, .at = start, .error = error};
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        return fail_at(&scanner, start,
                       "the text starts with a byte order mark: save it as UTF-8 without one");
    skip_space(&scanner);
    GR_TRY(scan_value(&scanner, 0));
    skip_space(&scanner);
    if (scanner.at < scanner.end) return unexpected(&scanner, "the end after the JSON value");
    return GR_OK;
}
