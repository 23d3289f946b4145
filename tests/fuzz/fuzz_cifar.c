/* libFuzzer driver of the CIFAR reader: any bytes are records with possible labels, or refused. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/data/cifar_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static const gr_cifar_format formats[] = {
        {.label_bytes = 1, .classes = {10}, .maximum_records = 4},
        {.label_bytes = 2, .classes = {20, 100}, .used = 1, .maximum_records = 4},
        {.label_bytes = 2, .classes = {20, 100}, .used = 0, .maximum_records = 4}};
    for (int i = 0; i < 3; i++) {
        gr_samples samples = {0};
        gr_error error;
        if (gr_cifar_append("fuzz", bytes, count, &formats[i], &samples, &error) == GR_OK) {
            if (samples.count < 1 || samples.count > formats[i].maximum_records) abort();
            for (int64_t j = 0; j < samples.count; j++)
                if (samples.labels[j] >= formats[i].classes[formats[i].used]) abort();
            volatile uint8_t last = samples.pixels[samples.count * GR_CIFAR_PIXELS - 1];
            (void)last;
        } else if (samples.count) {
            abort();
        }
        gr_samples_clear(&samples);
    }
    return 0;
}
