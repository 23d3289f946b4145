#include "server/png.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

static uint8_t *put_number(uint8_t *to, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) *to++ = (uint8_t)(value >> shift);
    return to;
}

/* A chunk: its length, type, content (already at to + 8) and sum. */
static uint8_t *end_chunk(uint8_t *to, const char type[4], uint32_t length) {
    put_number(to, length);
    memcpy(to + 4, type, 4);
    return put_number(to + 8 + length, (uint32_t)crc32(0, to + 4, length + 4));
}

gr_status png_encode(const uint8_t *pixels, uint32_t rows, uint32_t columns, int channels,
                     uint8_t **bytes, size_t *count, gr_error *error) {
    static const uint8_t signature[8] = {137, 'P', 'N', 'G', '\r', '\n', 26, '\n'};
    enum { HEADER = 13, CHUNK = 12, FILTER_NONE = 0, GREY = 0, COLOUR = 2 };
    const size_t row = (size_t)columns * (size_t)channels, size = rows * (row + 1);
    uLongf packed = compressBound((uLong)size);
    uint8_t *lines = malloc(size);
    *bytes = malloc(sizeof signature + 3 * CHUNK + HEADER + packed);
    if (!lines || !*bytes) {
        free(lines);
        free(*bytes);
        *bytes = NULL;
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a picture");
    }
    for (uint32_t y = 0; y < rows; y++) {
        lines[y * (row + 1)] = FILTER_NONE;
        memcpy(lines + y * (row + 1) + 1, pixels + y * row, row);
    }
    uint8_t *to = *bytes;
    memcpy(to, signature, sizeof signature);
    to += sizeof signature;
    uint8_t *content = put_number(put_number(to + 8, columns), rows);
    const uint8_t rest[] = {8, channels == 3 ? COLOUR : GREY, 0, 0, 0};
    memcpy(content, rest, sizeof rest);
    to = end_chunk(to, "IHDR", HEADER);
    const int status = compress2(to + 8, &packed, lines, (uLong)size, Z_BEST_COMPRESSION);
    free(lines);
    if (status != Z_OK) {
        free(*bytes);
        *bytes = NULL;
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a picture");
    }
    to = end_chunk(to, "IDAT", (uint32_t)packed);
    to = end_chunk(to, "IEND", 0);
    *count = (size_t)(to - *bytes);
    return GR_OK;
}
