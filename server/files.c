#include "server/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_is_full(int reason) {
    return reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
}

static gr_status fail(gr_error *error, const char *path, const char *what) {
    const gr_status status = errno == ENOENT       ? GR_NOT_FOUND
                             : file_is_full(errno) ? GR_NO_SPACE
                                                   : GR_IO;
    return gr_fail(error, status, "%s: %s: %s", path, what, strerror(errno));
}

/* -- reading
 * ---------------------------------------------------------------------------------------- */

static gr_status read_all(int file, const char *path, char *bytes, size_t size, size_t *count,
                          gr_error *error) {
    *count = 0;
    while (*count < size) {
        const ssize_t got = read(file, bytes + *count, size - *count);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(error, path, "cannot be read");
        if (got == 0) break; /* it became shorter meanwhile */
        *count += (size_t)got;
    }
    return GR_OK;
}

gr_status file_read(const char *path, size_t maximum, void **bytes, size_t *count,
                    gr_error *error) {
    *bytes = NULL;
    /* O_NONBLOCK: a FIFO must not stop us before we see that it is one. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return fail(error, path, "cannot be opened");
    struct stat about;
    gr_status status = GR_OK;
    char *content = NULL;
    if (fstat(file, &about) != 0) {
        status = fail(error, path, "cannot be read");
    } else if (!S_ISREG(about.st_mode)) {
        status = gr_fail(error, GR_INVALID, "%s: is not a regular file", path);
    } else if ((unsigned long long)about.st_size > maximum) {
        status = gr_fail(error, GR_TOO_LARGE, "%s: has %lld bytes; at most %zu are allowed", path,
                         (long long)about.st_size, maximum);
    } else if (!(content = malloc((size_t)about.st_size + 1))) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for %lld bytes", path,
                         (long long)about.st_size);
    } else {
        status = read_all(file, path, content, (size_t)about.st_size, count, error);
    }
    close(file);
    if (status != GR_OK) {
        free(content);
        return status;
    }
    content[*count] = '\0';
    *bytes = content;
    return GR_OK;
}

gr_status file_read_input(size_t maximum, void **bytes, size_t *count, gr_error *error) {
    enum { FIRST = 65536 };
    char *content = NULL;
    size_t capacity = 0, used = 0;
    *bytes = NULL;
    for (;;) {
        if (used == capacity) {
            capacity = capacity ? 2 * capacity : FIRST;
            char *grown = realloc(content, capacity + 1);
            if (!grown) {
                free(content);
                return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for standard input");
            }
            content = grown;
        }
        const ssize_t got = read(STDIN_FILENO, content + used, capacity - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            free(content);
            return fail(error, "standard input", "cannot be read");
        }
        if (got == 0) break;
        used += (size_t)got;
        if (used > maximum) {
            free(content);
            return gr_fail(error, GR_TOO_LARGE, "standard input has more than %zu bytes", maximum);
        }
    }
    content[used] = '\0';
    *bytes = content;
    *count = used;
    return GR_OK;
}

/* -- writing
 * ----------------------------------------------------------------------------------------- */

static gr_status write_all(int file, const char *path, const char *bytes, size_t count,
                           gr_error *error) {
    for (size_t done = 0; done < count;) {
        const ssize_t put = write(file, bytes + done, count - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail(error, path, "cannot be written");
        done += (size_t)put;
    }
    return GR_OK;
}

/* The folder that holds `path`, owned by the caller. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
}

static gr_status check_target(const char *path, gr_error *error) {
    struct stat about;
    if (path[0] == '\0') return gr_fail(error, GR_INVALID, "the name of the file is empty");
    if (lstat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return gr_fail(error, GR_INVALID, "%s: is there and is not a regular file", path);
    return GR_OK;
}

gr_status file_check_replaceable(const char *path, gr_error *error) {
    GR_TRY(check_target(path, error));
    char *folder = folder_of(path);
    if (!folder)
        return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for its folder's name", path);
    const gr_status status = access(folder, W_OK | X_OK) == 0
                                 ? GR_OK
                                 : fail(error, path, "its folder cannot be written");
    free(folder);
    return status;
}

gr_status file_sync_folder(const char *path, gr_error *error) {
    char *folder = folder_of(path);
    if (!folder)
        return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for its folder's name", path);
    const int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (file < 0) return fail(error, path, "its folder cannot be opened");
    gr_status status = GR_OK;
    /* EINVAL: a file system that has no need of it. */
    if (fsync(file) != 0 && errno != EINVAL)
        status = fail(error, path, "its folder cannot be synced");
    close(file);
    return status;
}

struct file_replacement {
    char *path, *temporary;
    int file;
};

static void replacement_free(file_replacement *replacement) {
    if (replacement->file >= 0) close(replacement->file);
    free(replacement->path);
    free(replacement->temporary);
    free(replacement);
}

gr_status file_replacement_begin(const char *path, file_replacement **result, gr_error *error) {
    static atomic_uint serial;
    GR_TRY(check_target(path, error));
    file_replacement *new = calloc(1, sizeof *new);
    if (!new) return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for its name", path);
    new->file = -1;
    new->path = strdup(path);
    gr_status status = GR_OK;
    if (!new->path || asprintf(&new->temporary, "%s.%ld-%u.tmp", path, (long)getpid(),
                               atomic_fetch_add(&serial, 1)) < 0) {
        new->temporary = NULL;
        status = gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for its temporary name", path);
    } else {
        new->file = open(new->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (new->file < 0) status = fail(error, path, "cannot be created");
    }
    if (status == GR_OK)
        *result = new;
    else
        replacement_free(new);
    return status;
}

gr_status file_replacement_write(file_replacement *replacement, const void *bytes, size_t count,
                                 gr_error *error) {
    return write_all(replacement->file, replacement->path, bytes, count, error);
}

void file_replacement_abandon(file_replacement *replacement) {
    if (!replacement) return;
    unlink(replacement->temporary);
    replacement_free(replacement);
}

gr_status file_replacement_finish(file_replacement *replacement, gr_error *error) {
    const char *path = replacement->path;
    gr_status status = GR_OK;
    if (fsync(replacement->file) != 0) status = fail(error, path, "cannot be written");
    /* Some file systems report a full disk only here. */
    if (close(replacement->file) != 0 && status == GR_OK)
        status = fail(error, path, "cannot be written");
    replacement->file = -1;
    if (status == GR_OK && rename(replacement->temporary, path) != 0)
        status = fail(error, path, "cannot be replaced");
    if (status != GR_OK) {
        file_replacement_abandon(replacement);
        return status;
    }
    status = file_sync_folder(path, error);
    replacement_free(replacement);
    return status;
}

const char *file_replacement_temporary(const file_replacement *replacement) {
    return replacement->temporary;
}

gr_status file_replacement_link(file_replacement *replacement, const char *path, gr_error *error) {
    if (fsync(replacement->file) != 0) return fail(error, path, "cannot be written");
    if (link(replacement->temporary, path) != 0) {
        if (errno == EEXIST) return gr_fail(error, GR_CONFLICT, "%s: is there already", path);
        return fail(error, path, "cannot be made");
    }
    return file_sync_folder(path, error);
}

gr_status file_replace(const char *path, const void *bytes, size_t count, gr_error *error) {
    file_replacement *replacement;
    GR_TRY(file_replacement_begin(path, &replacement, error));
    const gr_status status = file_replacement_write(replacement, bytes, count, error);
    if (status == GR_OK) return file_replacement_finish(replacement, error);
    file_replacement_abandon(replacement);
    return status;
}
