/* The binary form of CIFAR: records of one or two label bytes and 3,072 pixels, in the order
 * (channel, row, column), without any header. */
#ifndef CORE_DATA_CIFAR_RECORDS_H
#define CORE_DATA_CIFAR_RECORDS_H

#include "core/data/dataset_content.h"

enum { GR_CIFAR_PIXELS = 3 * 32 * 32 };

typedef struct gr_cifar_format {
    int label_bytes;     /* in front of each record's pixels: 1 or 2 */
    int classes[2];      /* of each label byte */
    int used;            /* which of them is the label */
    int maximum_records; /* of one file */
} gr_cifar_format;

/* Appends a file's records to `samples`. `name` is for messages. GR_CORRUPT (no whole number of
 * records, none, too many, a label that cannot be), GR_OUT_OF_MEMORY; then `samples` is as before.
 */
gr_status gr_cifar_append(const char *name, const uint8_t *bytes, size_t count,
                          const gr_cifar_format *format, gr_samples *samples, gr_error *error);

#endif
