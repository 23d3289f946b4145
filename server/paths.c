#include "server/paths.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/files.h"

const char *paths_data_directory(const char *option) {
    if (option && *option) return option;
    const char *environment = getenv("GRADREG_DATA_DIR");
    return environment && *environment ? environment : "data";
}

char *paths_join(const char *directory, const char *name) {
    char *path;
    size_t length = strlen(directory);
    const char *between = length && directory[length - 1] == '/' ? "" : "/";
    return asprintf(&path, "%s%s%s", directory, between, name) < 0 ? NULL : path;
}

void paths_keep_private(void) {
    umask(umask(0) | 077);
}

gr_status paths_make_directories(const char *path, gr_error *error) {
    char *partial = strdup(path);
    if (!partial) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
    gr_status status = GR_OK;
    for (char *at = partial;; at++) {
        if ((*at != '/' || at == partial) && *at) continue;
        char end = *at;
        *at = 0;
        struct stat information;
        if (mkdir(partial, 0777) == 0) {
            status = file_sync_folder(partial, error);
            if (status != GR_OK) break;
        } else {
            int reason = errno;
            bool there = stat(partial, &information) == 0 && S_ISDIR(information.st_mode);
            if (!there) {
                status = gr_fail(error, GR_IO, "the folder %s cannot be made: %s", partial,
                                 strerror(reason));
                break;
            }
        }
        if (!end) break;
        *at = end;
    }
    free(partial);
    return status;
}
