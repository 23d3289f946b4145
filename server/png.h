/* Small pictures as PNG (ISO/IEC 15948), by zlib. */
#ifndef SERVER_PNG_H
#define SERVER_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "gradreg/status.h"

/* pixels: [rows][columns][channels] with 1 (grey) or 3 (red, green, blue) channels. *bytes is owned
 * by the caller (free). GR_OUT_OF_MEMORY. */
gr_status png_encode(const uint8_t *pixels, uint32_t rows, uint32_t columns, int channels,
                     uint8_t **bytes, size_t *count, gr_error *error);

#endif
