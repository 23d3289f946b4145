#include "core/data/npy.h"

#include <string.h>

#include "core/data/file_content.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are read as they are at rest");

enum { PREFIX = 8, MAXIMUM_HEADER = 64 * 1024 };

static const struct {
    const char *descr;
    int64_t size;
} types[] = {[GR_NPY_F4] = {"<f4", 4},
             [GR_NPY_F8] = {"<f8", 8},
             [GR_NPY_U1] = {"|u1", 1},
             [GR_NPY_I4] = {"<i4", 4},
             [GR_NPY_I8] = {"<i8", 8}};
enum { TYPES = sizeof types / sizeof types[0] };

/* -- the header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 * ------------------------------- */

struct header {
    const char *name; /* of the file */
    const char *at, *end;
};

static gr_status malformed(const struct header *header, const char *what, gr_error *error) {
    return gr_fail(error, GR_CORRUPT, "%s: the header of this .npy file is malformed: %s",
                   gr_path_shown(header->name), what);
}

static void skip_space(struct header *header) {
    while (header->at < header->end && (*header->at == ' ' || *header->at == '\n')) header->at++;
}

static bool take(struct header *header, char character) {
    skip_space(header);
    if (header->at == header->end || *header->at != character) return false;
    header->at++;
    return true;
}

static bool take_word(struct header *header, const char *word) {
    const size_t length = strlen(word);
    skip_space(header);
    if ((size_t)(header->end - header->at) < length || memcmp(header->at, word, length) != 0)
        return false;
    header->at += length;
    return true;
}

/* A Python string without escapes, into text. */
static bool take_string(struct header *header, char text[32]) {
    const char quote = take(header, '\'') ? '\'' : take(header, '"') ? '"' : 0;
    size_t length = 0;
    if (!quote) return false;
    for (; header->at < header->end && *header->at != quote; header->at++) {
        if (length == 31 || *header->at < ' ' || *header->at > '~' || *header->at == '\\')
            return false;
        text[length++] = *header->at;
    }
    text[length] = 0;
    return take(header, quote);
}

static gr_status take_type(struct header *header, gr_npy *npy, gr_error *error) {
    char descr[32];
    if (!take_string(header, descr))
        return malformed(header, "'descr' is not one plain type (structured arrays are not read)",
                         error);
    for (int i = 0; i < TYPES; i++)
        if (strcmp(descr, types[i].descr) == 0) {
            npy->type = (gr_npy_type)i;
            return GR_OK;
        }
    return gr_fail(error, GR_CORRUPT,
                   "%s: elements of type '%s' are not read; those that are: '<f4', '<f8', '|u1', "
                   "'<i4', '<i8' (little-endian: save array.astype('<f4'))",
                   gr_path_shown(header->name), descr);
}

static gr_status take_order(struct header *header, gr_error *error) {
    if (take_word(header, "False")) return GR_OK;
    if (!take_word(header, "True"))
        return malformed(header, "'fortran_order' is neither True nor False", error);
    return gr_fail(error, GR_CORRUPT,
                   "%s: is in Fortran order: save numpy.ascontiguousarray(array)",
                   gr_path_shown(header->name));
}

static gr_status take_size(struct header *header, gr_shape *shape, gr_error *error) {
    int64_t size = 0;
    bool digits = false;
    skip_space(header);
    for (; header->at < header->end && *header->at >= '0' && *header->at <= '9'; header->at++) {
        digits = true;
        if (size > (INT64_MAX - 9) / 10) return malformed(header, "a size is too large", error);
        size = 10 * size + (*header->at - '0');
    }
    if (!digits) return malformed(header, "'shape' is not a tuple of sizes", error);
    if (header->at < header->end && *header->at == 'L') header->at++; /* Python 2 wrote it */
    if (shape->rank == GR_MAXIMUM_RANK)
        return malformed(header, "'shape' has more than 8 dimensions", error);
    if (size == 0)
        return gr_fail(error, GR_CORRUPT, "%s: dimension %d has size 0",
                       gr_path_shown(header->name), shape->rank + 1);
    shape->size[shape->rank++] = size;
    return GR_OK;
}

static gr_status take_shape(struct header *header, gr_shape *shape, gr_error *error) {
    if (!take(header, '(')) return malformed(header, "'shape' is not a tuple", error);
    while (!take(header, ')')) {
        GR_TRY(take_size(header, shape, error));
        if (take(header, ',')) continue;
        if (!take(header, ')')) return malformed(header, "'shape' does not end", error);
        break;
    }
    if (shape->rank == 0)
        return gr_fail(error, GR_CORRUPT, "%s: is a single number where an array is needed",
                       gr_path_shown(header->name));
    return GR_OK;
}

static gr_status read_dictionary(struct header *header, gr_npy *npy, gr_error *error) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false, false, false};
    if (!take(header, '{')) return malformed(header, "it is no dictionary", error);
    while (!take(header, '}')) {
        char key[32];
        int which = 0;
        if (!take_string(header, key) || !take(header, ':'))
            return malformed(header, "a key with its value was expected", error);
        while (which < 3 && strcmp(keys[which], key) != 0) which++;
        if (which == 3 || seen[which]) return malformed(header, "an unknown or double key", error);
        seen[which] = true;
        GR_TRY(which == 0   ? take_type(header, npy, error)
               : which == 1 ? take_order(header, error)
                            : take_shape(header, &npy->shape, error));
        if (take(header, ',')) continue;
        if (!take(header, '}')) return malformed(header, "it does not end", error);
        break;
    }
    if (!seen[0] || !seen[1] || !seen[2])
        return malformed(header, "'descr', 'fortran_order' or 'shape' is missing", error);
    skip_space(header);
    if (header->at < header->end) return malformed(header, "text follows the dictionary", error);
    return GR_OK;
}

/* -- the file
 * -------------------------------------------------------------------------------------------- */

gr_status gr_npy_parse(const char *name, const uint8_t *content, size_t count, gr_npy *npy,
                       gr_error *error) {
    *npy = (gr_npy){0};
    const char *shown = gr_path_shown(name);
    if (count >= 6 && memcmp(content, "\x93NUMPY", 6) != 0)
        return gr_fail(error, GR_CORRUPT, "%s: no .npy file: it does not begin with \\x93NUMPY",
                       shown);
    if (count < PREFIX + 2)
        return gr_fail(error, GR_CORRUPT, "%s: truncated: %zu bytes are too few for a .npy file",
                       shown, count);
    const int version = content[6];
    if (version < 1 || version > 3 || content[7] != 0)
        return gr_fail(error, GR_CORRUPT, "%s: version %d.%d of .npy is not known", shown, version,
                       content[7]);
    const size_t length_bytes = version == 1 ? 2 : 4;
    if (count < PREFIX + length_bytes)
        return gr_fail(error, GR_CORRUPT, "%s: truncated: %zu bytes are too few for a .npy file",
                       shown, count);
    size_t length = 0;
    for (size_t i = 0; i < length_bytes; i++) length |= (size_t)content[PREFIX + i] << 8 * i;
    if (length > MAXIMUM_HEADER)
        return gr_fail(error, GR_CORRUPT, "%s: a header of %zu bytes, where %d are the most", shown,
                       length, MAXIMUM_HEADER);
    const uint8_t *begin = content + PREFIX + length_bytes;
    const size_t left = count - PREFIX - length_bytes;
    if (left < length)
        return gr_fail(error, GR_CORRUPT,
                       "%s: truncated: a header of %zu bytes is declared, but only %zu follow",
                       shown, length, left);
    struct header header = {name, (const char *)begin, (const char *)begin + length};
    GR_TRY(read_dictionary(&header, npy, error));
    npy->elements = begin + length;

    const uint64_t held = left - length;
    uint64_t bytes = (uint64_t)types[npy->type].size;
    for (int i = 0; i < npy->shape.rank; i++)
        if (__builtin_mul_overflow(bytes, (uint64_t)npy->shape.size[i], &bytes)) bytes = UINT64_MAX;
    /* An overflow at an early dimension must not be hidden by the later ones: no size is 0, so the
     * saturated product overflows again, or is multiplied by 1. */
    if (bytes != held) {
        char shape[128];
        return gr_fail(error, GR_CORRUPT,
                       "%s: %s: its header declares %s elements of %lld bytes, but %llu bytes "
                       "follow",
                       shown, bytes > held ? "truncated" : "more data than declared",
                       gr_shape_text(&npy->shape, shape), (long long)types[npy->type].size,
                       (unsigned long long)held);
    }
    return GR_OK;
}

bool gr_npy_is_integer(const gr_npy *npy) {
    return npy->type == GR_NPY_U1 || npy->type == GR_NPY_I4 || npy->type == GR_NPY_I8;
}

int64_t gr_npy_integer(const gr_npy *npy, int64_t index) {
    const uint8_t *at = npy->elements + index * types[npy->type].size;
    int32_t narrow;
    int64_t wide;
    switch (npy->type) {
    case GR_NPY_I4:
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    case GR_NPY_I8:
        memcpy(&wide, at, sizeof wide);
        return wide;
    default:
        return *at;
    }
}

double gr_npy_number(const gr_npy *npy, int64_t index) {
    const uint8_t *at = npy->elements + index * types[npy->type].size;
    float narrow;
    double wide;
    switch (npy->type) {
    case GR_NPY_F4:
        memcpy(&narrow, at, sizeof narrow);
        return (double)narrow;
    case GR_NPY_F8:
        memcpy(&wide, at, sizeof wide);
        return wide;
    default:
        return (double)gr_npy_integer(npy, index);
    }
}
