#include "core/data/file_content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *gr_path_shown(const char *path) {
    const size_t longest = 240;
    size_t length = strlen(path);
    return length > longest ? path + (length - longest) : path;
}

/* `bytes` has room for `expected` and two more: what a file that has not grown does not fill. */
static gr_status read_all(int file, const char *path, size_t maximum, size_t expected,
                          uint8_t **bytes, size_t *count, gr_error *error) {
    size_t capacity = expected + 2;
    *count = 0;
    *bytes = malloc(capacity);
    while (*bytes) {
        ssize_t got = read(file, *bytes + *count, capacity - 1 - *count);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return gr_fail(error, GR_IO, "%s: cannot be read: %s", gr_path_shown(path),
                           strerror(errno));
        *count += (size_t)got;
        if (*count > maximum)
            return gr_fail(error, GR_TOO_LARGE,
                           "%s: is larger than the %zu bytes that are read at most",
                           gr_path_shown(path), maximum);
        if (got == 0) {
            (*bytes)[*count] = 0;
            return GR_OK;
        }
        if (*count < capacity - 1) continue;
        capacity = 2 * capacity;
        uint8_t *larger = realloc(*bytes, capacity);
        if (!larger) break;
        *bytes = larger;
    }
    return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for %zu bytes", gr_path_shown(path),
                   capacity);
}

gr_status gr_file_content(const char *path, bool follow, size_t maximum, uint8_t **bytes,
                          size_t *count, gr_error *error) {
    *bytes = NULL;
    *count = 0;
    /* Not blocking: a FIFO of this name must not hang the program. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
    if (file < 0 && errno == ELOOP && !follow)
        return gr_fail(error, GR_CORRUPT, "%s: is a symbolic link: put the file itself there",
                       gr_path_shown(path));
    if (file < 0)
        return gr_fail(error, errno == ENOENT || errno == ENOTDIR ? GR_NOT_FOUND : GR_IO,
                       "%s: cannot be opened: %s", gr_path_shown(path), strerror(errno));
    struct stat information;
    gr_status status;
    if (fstat(file, &information) != 0 || !S_ISREG(information.st_mode))
        status = gr_fail(error, GR_CORRUPT, "%s: is not a regular file", gr_path_shown(path));
    else if ((uint64_t)information.st_size > maximum)
        status =
            gr_fail(error, GR_TOO_LARGE, "%s: is larger than the %zu bytes that are read at most",
                    gr_path_shown(path), maximum);
    else
        status = read_all(file, path, maximum, (size_t)information.st_size, bytes, count, error);
    if (status != GR_OK) {
        free(*bytes);
        *bytes = NULL;
        *count = 0;
    }
    close(file);
    return status;
}
