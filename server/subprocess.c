#include "server/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/paths.h"

extern char **environ;

/* The first line of a log with anything in it, or "". */
static void first_line(const char *directory, const char *log, char *line, size_t size) {
    line[0] = 0;
    char *path = paths_join(directory, log);
    FILE *file = path ? fopen(path, "re") : NULL;
    free(path);
    if (!file) return;
    while (fgets(line, (int)size, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[strspn(line, " \t")]) break;
        line[0] = 0;
    }
    fclose(file);
}

gr_status subprocess_run(const char *directory, const char *const *argv, const char *log,
                         gr_error *error) {
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory to run %s", argv[0]);
    pid_t child = 0;
    int result = posix_spawn_file_actions_addchdir_np(&actions, directory);
    if (result == 0)
        result = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result =
            posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (result == 0) result = posix_spawn_file_actions_adddup2(&actions, 1, 2);
    /* posix_spawnp does not write to the arguments; its declaration is older than const. */
    if (result == 0)
        result =
            posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (result != 0)
        return gr_fail(error, result == ENOENT ? GR_NOT_FOUND : GR_IO, "%s cannot be run: %s",
                       argv[0], strerror(result));
    int ended;
    while (waitpid(child, &ended, 0) < 0)
        if (errno != EINTR)
            return gr_fail(error, GR_IO, "%s is lost: %s", argv[0], strerror(errno));
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0) return GR_OK;
    char line[256];
    first_line(directory, log, line, sizeof line);
    if (WIFSIGNALED(ended))
        return gr_fail(error, GR_IO, "%s was ended by signal %d", argv[0], WTERMSIG(ended));
    return gr_fail(error, GR_IO, "%s failed with exit status %d: %s", argv[0], WEXITSTATUS(ended),
                   line[0] ? line : "it printed nothing");
}
