/* What the store's tests share: a temporary data directory and short ways to fill a store. */
#ifndef TESTS_SERVER_STORE_FIXTURE_H
#define TESTS_SERVER_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/store.h"

static inline char *temporary_directory(void) {
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    assert_true(asprintf(&path, "%s/gradreg-test-XXXXXX", parent ? parent : "/tmp") > 0);
    assert_non_null(mkdtemp(path));
    return path;
}

static inline int remove_one(const char *path, const struct stat *about, int type,
                             struct FTW *where) {
    (void)about, (void)type, (void)where;
    return remove(path);
}

/* Removes the folder and all in it, and frees the path. */
static inline void remove_directory(char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

#define assert_ok(expression)                                                          \
    do {                                                                               \
        gr_status assert_ok_status = (expression);                                     \
        if (assert_ok_status != GR_OK) fail_msg("%s: %s", #expression, error.message); \
    } while (0)

#define assert_status(expected, expression) assert_int_equal(expected, expression)

static inline store *open_store(const char *directory) {
    gr_error error = {0};
    store *opened = NULL;
    assert_ok(store_open(directory, &opened, &error));
    return opened;
}

static inline int64_t submit_one(store *to, const char *name) {
    gr_error error = {0};
    submission form = {.name = name,
                       .tags = "{}",
                       .spec = "{\"seed\":1}",
                       .data_hash = "00",
                       .engine_version = "test",
                       .iterations = 1000};
    int64_t id = 0;
    assert_ok(store_submit(to, &form, &id, &error));
    return id;
}

/* Makes a file in the artifacts folder. */
static inline void make_artifact(const store *of, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", store_artifacts(of), name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("artifact", file);
    fclose(file);
}

static inline bool has_artifact(const store *of, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", store_artifacts(of), name);
    return access(path, F_OK) == 0;
}

#endif
