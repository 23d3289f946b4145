#include "core/data/cifar_records.h"

#include <stdlib.h>
#include <string.h>

#include "core/data/file_content.h"

static gr_status check(const char *name, const uint8_t *bytes, size_t count,
                       const gr_cifar_format *format, gr_error *error) {
    const size_t record = (size_t)format->label_bytes + GR_CIFAR_PIXELS;
    if (count == 0)
        return gr_fail(error, GR_CORRUPT, "%s: is empty where records of %zu bytes are needed",
                       gr_path_shown(name), record);
    if (count % record)
        return gr_fail(error, GR_CORRUPT,
                       "%s: truncated: %zu bytes are %zu records of %zu bytes and %zu bytes more",
                       gr_path_shown(name), count, count / record, record, count % record);
    if (count / record > (size_t)format->maximum_records)
        return gr_fail(error, GR_CORRUPT, "%s: holds %zu records where %d are the most",
                       gr_path_shown(name), count / record, format->maximum_records);
    for (size_t i = 0; i < count / record; i++)
        for (int j = 0; j < format->label_bytes; j++) {
            int label = bytes[i * record + (size_t)j];
            if (label >= format->classes[j])
                return gr_fail(error, GR_CORRUPT,
                               "%s: label %d of record %zu is %d where 0 to %d are possible",
                               gr_path_shown(name), j + 1, i + 1, label, format->classes[j] - 1);
        }
    return GR_OK;
}

gr_status gr_cifar_append(const char *name, const uint8_t *bytes, size_t count,
                          const gr_cifar_format *format, gr_samples *samples, gr_error *error) {
    GR_TRY(check(name, bytes, count, format, error));
    const size_t record = (size_t)format->label_bytes + GR_CIFAR_PIXELS;
    const size_t before = (size_t)samples->count, after = before + count / record;
    uint8_t *pixels = realloc(samples->pixels, after * GR_CIFAR_PIXELS);
    if (pixels) samples->pixels = pixels;
    uint8_t *labels = realloc(samples->labels, after);
    if (labels) samples->labels = labels;
    if (!pixels || !labels)
        return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for %zu images", gr_path_shown(name),
                       after);
    for (size_t i = before; i < after; i++, bytes += record) {
        labels[i] = bytes[format->used];
        memcpy(pixels + i * GR_CIFAR_PIXELS, bytes + format->label_bytes, GR_CIFAR_PIXELS);
    }
    samples->count = (int64_t)after;
    return GR_OK;
}
