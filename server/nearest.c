#include "server/nearest.h"

#include <ctype.h>
#include <string.h>

enum { MAXIMUM_LENGTH = 48 }; /* of a name worth comparing: no kind or option has a longer one */

static char plain(char c) {
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

/* Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours.
 */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length) {
    size_t rows[3][MAXIMUM_LENGTH + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++) last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t best = last[j - 1] + (plain(a[i - 1]) != plain(b[j - 1]));
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && plain(a[i - 1]) == plain(b[j - 2]) &&
                plain(a[i - 2]) == plain(b[j - 1]) && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b_length];
}

const char *nearest_name(const char *name, const char *const *candidates, size_t count) {
    const size_t length = strnlen(name, MAXIMUM_LENGTH + 1);
    if (length == 0 || length > MAXIMUM_LENGTH) return NULL;
    const char *nearest = NULL;
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t candidate_length = strnlen(candidates[i], MAXIMUM_LENGTH + 1);
        if (candidate_length > MAXIMUM_LENGTH) continue;
        const size_t errors = distance(name, length, candidates[i], candidate_length);
        /* A third of the letters may be wrong; or one name is the beginning of the other. */
        const size_t shorter = length < candidate_length ? length : candidate_length;
        const int begins = shorter >= 3 && strncasecmp(name, candidates[i], shorter) == 0;
        if (errors > 1 + candidate_length / 4 && !begins) continue;
        if (errors >= length && !begins) continue;
        if (!nearest || errors < best) {
            nearest = candidates[i];
            best = errors;
        }
    }
    return nearest;
}

void drop_cut_character(char *text) {
    size_t length = strlen(text), start = length;
    while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0) return;
    const unsigned char lead = (unsigned char)text[start - 1];
    const size_t needed = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (length - (start - 1) < needed) text[start - 1] = '\0';
}
