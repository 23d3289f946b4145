#include "server/downsample.h"

#include <math.h>

size_t downsample(const metric_row *rows, size_t count, size_t maximum, size_t *kept) {
    size_t used = 0;
    if (count <= maximum) {
        for (size_t i = 0; i < count; i++) kept[used++] = i;
        return used;
    }
    size_t parts = (maximum - 2) / 2, inner = count - 2;
    kept[used++] = 0;
    for (size_t part = 0; part < parts; part++) {
        /* maximum < count, so each part has a row; 128 bits are not needed for any series that fits
         * memory. */
        size_t begin = 1 + inner * part / parts, end = 1 + inner * (part + 1) / parts;
        size_t least = begin, greatest = begin;
        for (size_t i = begin + 1; i < end; i++) {
            if (rows[i].value < rows[least].value || isnan(rows[least].value)) least = i;
            if (rows[i].value > rows[greatest].value || isnan(rows[greatest].value)) greatest = i;
        }
        kept[used++] = least < greatest ? least : greatest;
        if (least != greatest) kept[used++] = least < greatest ? greatest : least;
    }
    kept[used++] = count - 1;
    return used;
}
