#include "server/csv.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_formula(const char *text) {
    char *end;
    if (!*text || !strchr("=+-@\t\r", *text)) return false;
    strtod(text, &end);
    return end == text || *end;
}

void csv_put_text(FILE *out, const char *text) {
    const bool formula = is_formula(text);
    const size_t length = strlen(text);
    if (!formula && strcspn(text, ",\"\r\n") == length &&
        !(length && (text[0] == ' ' || text[length - 1] == ' '))) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    if (formula) fputc('\'', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void csv_put_number(FILE *out, double value) {
    if (!isnan(value)) fprintf(out, "%.17g", value);
}
