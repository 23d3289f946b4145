#include "server/user_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "gradreg/dataset.h"
#include "server/paths.h"

enum { MAXIMUM_NAME = 128, CHUNK = 64 * 1024 };

const char *const user_file_options[] = {"file",        "test_file",   "inputs", "labels",
                                         "test_inputs", "test_labels", NULL};

bool user_file_kind(const gr_kind *kind) {
    return gr_kind_option(kind, "file") >= 0 || gr_kind_option(kind, "inputs") >= 0;
}

static char *folder_path(const char *data_directory, const char *folder) {
    char *path;
    return asprintf(&path, "%s/" PATHS_DATASETS "/%s", data_directory, folder) < 0 ? NULL : path;
}

static char *user_file_path(const char *data_directory, const char *name) {
    char *path;
    return asprintf(&path, "%s/" PATHS_DATASETS "/user/%s", data_directory, name) < 0 ? NULL : path;
}

static gr_status out_of_memory(gr_error *error) {
    return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
}

gr_status user_file_check_name(const char *name, gr_error *error) {
    bool good = *name && *name != '.' && !strchr(name, '/') && strlen(name) <= MAXIMUM_NAME;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        good = good && *c >= 0x20 && *c != 0x7F;
    if (!good)
        return gr_fail(error, GR_INVALID,
                       "a data file's name has no slashes, no control characters and no dot in "
                       "front, and at most %d bytes",
                       MAXIMUM_NAME);
    if (gr_family_kind(&gr_dataset_family, name))
        return gr_fail(error, GR_INVALID, "\"%s\" is the name of a data set: choose another", name);
    return GR_OK;
}

gr_status user_file_receiving_folder(const char *data_directory, char **result, gr_error *error) {
    char *folder = folder_path(data_directory, "receiving");
    *result = NULL;
    if (!folder) return out_of_memory(error);
    const gr_status status = paths_make_directories(folder, error);
    DIR *listing = status == GR_OK ? opendir(folder) : NULL;
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing) closedir(listing);
    if (status == GR_OK)
        *result = folder;
    else
        free(folder);
    return status;
}

/* -- one
 * ------------------------------------------------------------------------------------------- */

static gr_status fail(const char *name, const char *what, gr_error *error) {
    if (errno == ENOENT || errno == ENOTDIR)
        return gr_fail(error, GR_NOT_FOUND, "there is no data file \"%.200s\"", name);
    return gr_fail(error, file_is_full(errno) ? GR_NO_SPACE : GR_IO,
                   "the data file \"%.200s\" %s: %s", name, what, strerror(errno));
}

static gr_status open_file(const char *data_directory, const char *name, int *file,
                           gr_error *error) {
    char *path = user_file_path(data_directory, name);
    if (!path) return out_of_memory(error);
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const gr_status status = *file < 0 ? fail(name, "cannot be opened", error) : GR_OK;
    free(path);
    return status;
}

static gr_status describe(int folder, const char *name, user_file *found, gr_error *error) {
    struct stat about;
    *found = (user_file){0};
    if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(name, "cannot be looked at", error);
    if (!S_ISREG(about.st_mode))
        return gr_fail(error, GR_NOT_FOUND, "\"%.200s\" is no regular file", name);
    found->name = strdup(name);
    found->bytes = about.st_size;
    found->modified_at = about.st_mtim.tv_sec * INT64_C(1000) + about.st_mtim.tv_nsec / 1000000;
    return found->name ? GR_OK : out_of_memory(error);
}

void user_file_clear(user_file *file) {
    free(file->name);
    *file = (user_file){0};
}

gr_status user_file_find(const char *data_directory, const char *name, user_file *found,
                         gr_error *error) {
    char *folder = folder_path(data_directory, "user");
    if (!folder) return out_of_memory(error);
    const int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    gr_status status =
        at < 0 ? fail(name, "cannot be looked for", error) : describe(at, name, found, error);
    if (at >= 0) close(at);
    return status;
}

gr_status user_file_hash(const char *data_directory, const char *name, char hash[65],
                         gr_error *error) {
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    int file = -1;
    GR_TRY(open_file(data_directory, name, &file, error));
    uint8_t *chunk = malloc(CHUNK);
    gr_status status = chunk ? GR_OK : out_of_memory(error);
    sha256_init(&context);
    while (status == GR_OK) {
        const ssize_t got = read(file, chunk, CHUNK);
        if (got == 0) break;
        if (got > 0)
            sha256_update(&context, (size_t)got, chunk);
        else if (errno != EINTR)
            status = fail(name, "cannot be read", error);
    }
    free(chunk);
    close(file);
    sha256_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hash + 2 * i, 3, "%02x", digest[i]);
    return status;
}

gr_status user_file_remove(const char *data_directory, const char *name, gr_error *error) {
    char *path = user_file_path(data_directory, name);
    if (!path) return out_of_memory(error);
    gr_status status = unlink(path) == 0 ? GR_OK : fail(name, "cannot be removed", error);
    if (status == GR_OK) status = file_sync_folder(path, error);
    free(path);
    return status;
}

/* -- keeping what was written
 * ------------------------------------------------------------------------------------------- */

/* *same: both have the same bytes. */
static gr_status compare(const char *one, const char *other, bool *same, gr_error *error) {
    FILE *first = fopen(one, "rbe"), *second = fopen(other, "rbe");
    char *bytes = malloc(2 * (size_t)CHUNK);
    gr_status status = GR_OK;
    *same = true;
    if (!first || !second)
        status =
            gr_fail(error, GR_IO, "%s cannot be read: %s", first ? other : one, strerror(errno));
    else if (!bytes)
        status = out_of_memory(error);
    while (status == GR_OK && *same) {
        const size_t got = fread(bytes, 1, CHUNK, first);
        const size_t there = fread(bytes + CHUNK, 1, CHUNK, second);
        *same = got == there && memcmp(bytes, bytes + CHUNK, got) == 0;
        if (ferror(first) || ferror(second))
            status = gr_fail(error, GR_IO, "%s cannot be read", ferror(first) ? one : other);
        if (got < CHUNK) break;
    }
    free(bytes);
    if (first) fclose(first);
    if (second) fclose(second);
    return status;
}

static gr_status keep_at(const char *path, const char *name, file_replacement *written, bool *made,
                         gr_error *error) {
    bool same;
    const gr_status status = file_replacement_link(written, path, error);
    *made = status == GR_OK;
    if (status != GR_CONFLICT) return status;
    GR_TRY(compare(path, file_replacement_temporary(written), &same, error));
    if (same) return GR_OK;
    return gr_fail(error, GR_CONFLICT,
                   "a data file \"%.200s\" with other content is there already: choose another "
                   "name, or delete that one first",
                   name);
}

gr_status user_file_prepare(const char *data_directory, const char *name, char **path,
                            gr_error *error) {
    char *folder = folder_path(data_directory, "user");
    gr_status status = folder ? paths_make_directories(folder, error) : out_of_memory(error);
    *path = status == GR_OK ? user_file_path(data_directory, name) : NULL;
    if (status == GR_OK && !*path) status = out_of_memory(error);
    free(folder);
    return status;
}

gr_status user_file_keep(const char *data_directory, const char *name, file_replacement *written,
                         bool *made, gr_error *error) {
    char *path;
    GR_TRY(user_file_check_name(name, error));
    GR_TRY(user_file_prepare(data_directory, name, &path, error));
    const gr_status status = keep_at(path, name, written, made, error);
    free(path);
    return status;
}

/* -- all
 * ------------------------------------------------------------------------------------------- */

void user_files_free(user_file *files, size_t count) {
    for (size_t i = 0; i < count; i++) user_file_clear(&files[i]);
    free(files);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const user_file *)a)->name, ((const user_file *)b)->name);
}

static gr_status add_to(user_file **files, size_t *count, const user_file *one, gr_error *error) {
    if (*count % 32 == 0) {
        user_file *larger = realloc(*files, (*count + 32) * sizeof *larger);
        if (!larger) return out_of_memory(error);
        *files = larger;
    }
    (*files)[(*count)++] = *one;
    return GR_OK;
}

gr_status user_files_list(const char *data_directory, user_file **files, size_t *count,
                          gr_error *error) {
    char *folder = folder_path(data_directory, "user");
    *files = NULL;
    *count = 0;
    if (!folder) return out_of_memory(error);
    DIR *listing = opendir(folder);
    free(folder);
    if (!listing && errno == ENOENT) return GR_OK; /* nobody has brought a file yet */
    if (!listing)
        return gr_fail(error, GR_IO, "the folder of data files cannot be read: %s",
                       strerror(errno));
    gr_status status = GR_OK;
    for (struct dirent *entry; status == GR_OK && (entry = readdir(listing));) {
        user_file one;
        if (entry->d_name[0] == '.') continue;
        status = describe(dirfd(listing), entry->d_name, &one, error);
        if (status == GR_OK) status = add_to(files, count, &one, error);
        if (status != GR_OK) user_file_clear(&one);
        if (status == GR_NOT_FOUND) status = GR_OK; /* a folder, or gone meanwhile */
    }
    closedir(listing);
    if (status != GR_OK) {
        user_files_free(*files, *count);
        *files = NULL;
        *count = 0;
    } else if (*count) {
        qsort(*files, *count, sizeof **files, by_name);
    }
    return status;
}
