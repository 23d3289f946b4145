/* Any bytes as a configuration file: refused with a message, or taken with every value in its
 * range. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/configuration.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    char path[64];
    const int file = memfd_create("configuration", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, count) != (ssize_t)count) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    char *arguments[] = {(char *)"serve", (char *)"--config", path, NULL};
    configuration read;
    gr_error error = {0};
    const gr_status status = configuration_read(&read, 3, arguments, &error);
    if (status != GR_OK && *error.message == 0) abort();
    if (status == GR_OK) {
        const int64_t workers = configuration_number(&read, CONFIGURATION_WORKERS);
        if (workers < 1 || workers > 256) abort();
        if (configuration_text(&read, CONFIGURATION_LISTEN) == NULL) abort();
        for (const char *const *name = configuration_list(&read, CONFIGURATION_HOST_NAMES); *name;
             name++)
            if (**name == 0 || strchr(*name, ',')) abort();
    }
    configuration_clear(&read);
    close(file);
    return 0;
}
