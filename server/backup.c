#include "server/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "server/files.h"
#include "server/json.h"
#include "server/paths.h"
#include "server/store_backup.h"

enum {
    ROUNDS = 5, /* tries to catch the checkpoints that are replaced while they are copied */
    BLOCK = 256 * 1024,
    LARGEST_LIST = 256 * 1024 * 1024
};
#define LIST_NAME "backup.json"
#define DATABASE_NAME "gradreg.db"

typedef char path_text[4096];

static gr_status join(path_text path, const char *folder, const char *name, gr_error *error) {
    if ((size_t)snprintf(path, sizeof(path_text), "%s/%s", folder, name) < sizeof(path_text))
        return GR_OK;
    return gr_fail(error, GR_INVALID, "the path %.200s/%.60s is too long", folder, name);
}

static gr_status fail_with_errno(const char *path, gr_error *error) {
    return gr_fail(error, errno == ENOENT ? GR_NOT_FOUND : GR_IO, "%.300s: %s", path,
                   strerror(errno));
}

/* -- files
 * --------------------------------------------------------------------------------------------- */
/* Reads all of `from`, writes it to `to` (-1: nowhere) and tells length and SHA-256. */
static gr_status pass_on(int from, int to, const char *path, int64_t *bytes, char hex[65],
                         gr_error *error) {
    static _Thread_local char block[BLOCK];
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    *bytes = 0;
    for (;;) {
        const ssize_t count = read(from, block, sizeof block);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_with_errno(path, error);
        if (count == 0) break;
        sha256_update(&context, (size_t)count, (const uint8_t *)block);
        *bytes += count;
        for (ssize_t done = 0; to >= 0 && done < count;) {
            const ssize_t written = write(to, block + done, (size_t)(count - done));
            if (written < 0 && errno != EINTR) return fail_with_errno(path, error);
            if (written > 0) done += written;
        }
    }
    sha256_digest(&context, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return GR_OK;
}

static gr_status hash_file(const char *path, int64_t *bytes, char hex[65], gr_error *error) {
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return fail_with_errno(path, error);
    const gr_status status = pass_on(file, -1, path, bytes, hex, error);
    close(file);
    return status;
}

/* GR_NOT_FOUND where the source is gone. */
static gr_status copy_file(const char *source, const char *target, gr_error *error) {
    const int from = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0) return fail_with_errno(source, error);
    const int to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int64_t bytes;
    char hex[65];
    gr_status status = to < 0 ? gr_fail(error, GR_IO, "%.300s: %s", target, strerror(errno))
                              : pass_on(from, to, target, &bytes, hex, error);
    if (status == GR_OK && fsync(to) != 0) status = fail_with_errno(target, error);
    if (to >= 0) close(to);
    close(from);
    return status;
}

static gr_status sync_folder(const char *path, gr_error *error) {
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = folder >= 0 && fsync(folder) == 0;
    const int code = errno;
    if (folder >= 0) close(folder);
    errno = code;
    return synced ? GR_OK : fail_with_errno(path, error);
}

/* Removes a folder of ours: files, and `artifacts` with files. */
static void remove_folder(const char *path) {
    path_text inner;
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (join(inner, path, entry->d_name, NULL) != GR_OK) continue;
        if (unlink(inner) != 0 && errno == EISDIR) remove_folder(inner);
    }
    if (folder) closedir(folder);
    rmdir(path);
}

/* -- making
 * ------------------------------------------------------------------------------------------- */
typedef struct making {
    store *store;
    const char *folder; /* under its temporary name */
    path_text database, artifacts;
    char **files;
    size_t count;
    backup_summary *summary;
} making;

static void free_files(making *self) {
    while (self->count > 0) free(self->files[--self->count]);
    free(self->files);
    self->files = NULL;
}

/* Copies what the copied database refers to and is not there yet. *missing: could not be found. */
static gr_status copy_artifacts(making *self, size_t *missing, gr_error *error) {
    path_text from, to;
    *missing = 0;
    for (size_t i = 0; i < self->count; i++) {
        GR_TRY(join(from, store_artifacts(self->store), self->files[i], error));
        GR_TRY(join(to, self->artifacts, self->files[i], error));
        if (access(to, F_OK) == 0) continue;
        const gr_status status = copy_file(from, to, error);
        if (status == GR_NOT_FOUND)
            ++*missing;
        else if (status != GR_OK)
            return status;
    }
    return GR_OK;
}

static gr_status list_copy(making *self, gr_error *error) {
    store_copy *copy;
    free_files(self);
    GR_TRY(store_copy_open(self->database, false, &copy, error));
    gr_status status = store_copy_files(copy, &self->files, &self->count, error);
    if (status == GR_OK) status = store_copy_count(copy, &self->summary->experiments, error);
    store_copy_close(copy);
    return status;
}

/* What is still missing is forgotten, where it is a checkpoint. */
static gr_status drop_missing(making *self, gr_error *error) {
    store_copy *copy;
    path_text path;
    gr_status status;
    GR_TRY(store_copy_open(self->database, false, &copy, error));
    for (size_t i = 0; i < self->count; i++) {
        int64_t changed = 0;
        GR_TRY_OR(done, join(path, self->artifacts, self->files[i], error));
        if (access(path, F_OK) == 0) continue;
        GR_TRY_OR(done, store_copy_drop_checkpoint(copy, self->files[i], &changed, error));
        self->summary->without_checkpoint += changed;
        self->summary->missing += changed == 0;
    }
    status = GR_OK;
done:
    store_copy_close(copy);
    return status;
}

static bool is_listed(const making *self, const char *name) {
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->files[i], name) == 0) return true;
    return false;
}

/* Earlier rounds copied what the last database no longer refers to. */
static gr_status remove_superfluous(making *self, gr_error *error) {
    DIR *folder = opendir(self->artifacts);
    if (!folder) return fail_with_errno(self->artifacts, error);
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.' && !is_listed(self, entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    return GR_OK;
}

static gr_status add_entry(cJSON *list, const char *folder, const char *name,
                           backup_summary *summary, gr_error *error) {
    path_text path;
    int64_t bytes;
    char hex[65];
    GR_TRY(join(path, folder, name, error));
    GR_TRY(hash_file(path, &bytes, hex, error));
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "name", name);
    cJSON_AddItemToObject(entry, "bytes", json_integer(bytes));
    cJSON_AddStringToObject(entry, "sha256", hex);
    cJSON_AddItemToArray(list, entry);
    summary->files++;
    summary->bytes += bytes;
    return GR_OK;
}

static gr_status write_list(making *self, gr_error *error) {
    char time_text[32], name[300];
    path_text path;
    cJSON *document = cJSON_CreateObject();
    json_time((int64_t)time(NULL) * 1000, time_text);
    cJSON_AddStringToObject(document, "gradreg", GRADREG_VERSION);
    cJSON_AddStringToObject(document, "created_at", time_text);
    cJSON_AddItemToObject(document, "experiments", json_integer(self->summary->experiments));
    cJSON *list = cJSON_AddArrayToObject(document, "files");
    gr_status status = add_entry(list, self->folder, DATABASE_NAME, self->summary, error);
    for (size_t i = 0; i < self->count && status == GR_OK; i++) {
        if (join(path, self->artifacts, self->files[i], NULL) == GR_OK && access(path, F_OK) != 0)
            continue;
        snprintf(name, sizeof name, "artifacts/%s", self->files[i]);
        status = add_entry(list, self->folder, name, self->summary, error);
    }
    char *text = status == GR_OK ? json_pretty_text(document) : NULL;
    cJSON_Delete(document);
    if (status == GR_OK && text == NULL) status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) status = join(path, self->folder, LIST_NAME, error);
    if (status == GR_OK) status = file_replace(path, text, strlen(text), error);
    free(text);
    return status;
}

static gr_status fill(making *self, gr_error *error) {
    size_t missing = 1;
    GR_TRY(join(self->database, self->folder, DATABASE_NAME, error));
    GR_TRY(join(self->artifacts, self->folder, "artifacts", error));
    if (mkdir(self->folder, 0700) != 0 || mkdir(self->artifacts, 0700) != 0)
        return gr_fail(error, GR_IO, "%.300s cannot be made: %s", self->folder, strerror(errno));
    for (int round = 0; round < ROUNDS && missing > 0; round++) {
        GR_TRY(store_copy_database(self->store, self->database, error));
        GR_TRY(list_copy(self, error));
        GR_TRY(copy_artifacts(self, &missing, error));
    }
    if (missing > 0) GR_TRY(drop_missing(self, error));
    GR_TRY(remove_superfluous(self, error));
    GR_TRY(write_list(self, error));
    return sync_folder(self->artifacts, error);
}

gr_status backup_make(const char *data_directory, const char *target, backup_summary *summary,
                      gr_error *error) {
    path_text temporary, parent;
    making self = {.summary = summary, .folder = temporary};
    *summary = (backup_summary){0};
    if (access(target, F_OK) == 0)
        return gr_fail(error, GR_CONFLICT, "%.300s is there already; choose another name", target);
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.partial", target) >= sizeof temporary)
        return gr_fail(error, GR_INVALID, "the path is too long");
    if (access(temporary, F_OK) == 0)
        return gr_fail(error, GR_CONFLICT,
                       "%.300s is left of a backup that was cut off, or another is being made; "
                       "remove it first",
                       temporary);
    GR_TRY(store_open_beside(data_directory, &self.store, error));
    gr_status status = fill(&self, error);
    if (status == GR_OK && rename(temporary, target) != 0)
        status = gr_fail(error, GR_IO, "%.300s: %s", target, strerror(errno));
    if (status == GR_OK) {
        snprintf(parent, sizeof parent, "%s", target);
        for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/'; n--) parent[n - 1] = 0;
        char *slash = strrchr(parent, '/');
        if (slash) slash[slash == parent] = 0;
        status = sync_folder(slash ? parent : ".", error);
    } else {
        remove_folder(temporary);
    }
    free_files(&self);
    store_close(self.store);
    return status;
}

/* -- reading
 * ------------------------------------------------------------------------------------------ */
static gr_status read_list(const char *backup, cJSON **document, gr_error *error) {
    path_text path;
    void *text;
    size_t length;
    gr_error inner = {0};
    GR_TRY(join(path, backup, LIST_NAME, error));
    if (file_read(path, LARGEST_LIST, &text, &length, &inner) != GR_OK)
        return gr_fail(error, inner.status, "this is no backup: %.300s", inner.message);
    gr_status status = json_parse(text, length, document, &inner);
    free(text);
    if (status != GR_OK) return gr_fail(error, GR_CORRUPT, "%.300s: %.150s", path, inner.message);
    return GR_OK;
}

/* "gradreg.db" or "artifacts/<plain name>": nothing else may be in a list. */
static bool name_is_good(const char *name) {
    if (name == NULL) return false;
    if (strcmp(name, DATABASE_NAME) == 0) return true;
    return strncmp(name, "artifacts/", 10) == 0 && name[10] && name[10] != '.' &&
           strchr(name + 10, '/') == NULL && strlen(name) < 256;
}

static gr_status check_entry(const char *backup, const cJSON *entry, backup_summary *summary,
                             gr_error *error) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"));
    const char *wanted = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "sha256"));
    path_text path;
    int64_t bytes;
    char hex[65];
    if (!name_is_good(name) || wanted == NULL)
        return gr_fail(error, GR_CORRUPT, "the list of files in %.200s is damaged", backup);
    GR_TRY(join(path, backup, name, error));
    if (hash_file(path, &bytes, hex, error) == GR_NOT_FOUND)
        return gr_fail(error, GR_CORRUPT, "%.300s is missing", path);
    if (strcmp(hex, wanted) != 0)
        return gr_fail(error, GR_CORRUPT, "%.300s is damaged: its SHA-256 is not that of the list",
                       path);
    summary->files++;
    summary->bytes += bytes;
    return GR_OK;
}

static gr_status check_list(const char *backup, const cJSON *document, backup_summary *summary,
                            gr_error *error) {
    const cJSON *entry, *files = cJSON_GetObjectItemCaseSensitive(document, "files");
    path_text path;
    store_copy *copy;
    bool has_database = false;
    *summary = (backup_summary){0};
    cJSON_ArrayForEach(entry, files) {
        GR_TRY(check_entry(backup, entry, summary, error));
        has_database |=
            strcmp(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name")),
                   DATABASE_NAME) == 0;
    }
    if (!has_database)
        return gr_fail(error, GR_CORRUPT, "the list of files in %.200s is damaged", backup);
    GR_TRY(join(path, backup, DATABASE_NAME, error));
    GR_TRY(store_copy_open(path, true, &copy, error));
    const gr_status status = store_copy_count(copy, &summary->experiments, error);
    store_copy_close(copy);
    return status;
}

gr_status backup_check(const char *backup, backup_summary *summary, gr_error *error) {
    cJSON *document;
    GR_TRY(read_list(backup, &document, error));
    const gr_status status = check_list(backup, document, summary, error);
    cJSON_Delete(document);
    return status;
}

/* The database comes last: before it is there, nothing is. */
static gr_status put_files(const char *backup, const char *directory, const cJSON *document,
                           gr_error *error) {
    const cJSON *entry;
    path_text from, to, artifacts;
    GR_TRY(join(artifacts, directory, "artifacts", error));
    GR_TRY(paths_make_directories(artifacts, error));
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(document, "files")) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"));
        if (strcmp(name, DATABASE_NAME) == 0) continue;
        GR_TRY(join(from, backup, name, error));
        GR_TRY(join(to, directory, name, error));
        GR_TRY(copy_file(from, to, error));
    }
    GR_TRY(sync_folder(artifacts, error));
    GR_TRY(join(from, backup, DATABASE_NAME, error));
    GR_TRY(join(to, directory, DATABASE_NAME ".partial", error));
    GR_TRY(copy_file(from, to, error));
    GR_TRY(join(from, directory, DATABASE_NAME, error));
    if (rename(to, from) != 0) return fail_with_errno(from, error);
    return sync_folder(directory, error);
}

gr_status backup_restore(const char *backup, const char *data_directory, backup_summary *summary,
                         gr_error *error) {
    path_text path;
    cJSON *document;
    int lock;
    GR_TRY(join(path, data_directory, DATABASE_NAME, error));
    if (access(path, F_OK) == 0)
        return gr_fail(error, GR_CONFLICT,
                       "%.300s is there already; restore to another data directory, or move this "
                       "one away first",
                       path);
    GR_TRY(read_list(backup, &document, error));
    gr_status status = check_list(backup, document, summary, error);
    if (status == GR_OK) status = paths_make_directories(data_directory, error);
    if (status == GR_OK) status = store_lock_directory(data_directory, &lock, error);
    if (status == GR_OK) {
        status = put_files(backup, data_directory, document, error);
        close(lock);
    }
    cJSON_Delete(document);
    return status;
}
