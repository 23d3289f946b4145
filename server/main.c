/* The binary: its sub-commands, and what comes before all of them. */
#include <stdio.h>
#include <string.h>

#include "gradreg/processor.h"
#include "server/commands.h"
#include "server/json.h"
#include "server/nearest.h"
#include "server/restart.h"

static const struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"serve", "start the experiment server", command_serve},
    {"run", "train one spec here, without a server", command_run},
    {"submit", "post specs to a server", command_submit},
    {"watch", "follow experiments of a server", command_watch},
    {"sweep", "post a sweep to a server, follow it, and print its table", command_sweep},
    {"study", "run an experiment of the paper: sweep, tables, figures", command_study},
    {"data", "fetch and list data sets", command_data},
    {"token", "make, list and revoke access tokens", command_token},
    {"backup", "copy a data directory while its server runs", command_backup},
    {"restore", "make a data directory of a backup", command_restore},
    {"export", "experiments as files: specs, metrics, models", command_export},
    {"predict", "what a trained model answers for each sample, as CSV", command_predict},
    {"analyse", "measure a trained model: gradient norms, robustness, calibration, as JSON",
     command_analyse},
    {"gradients", "compute the gradient of a spec's loss for given weights and batch",
     command_gradients},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(FILE *file) {
    fputs("usage: gradreg COMMAND [OPTION…]\n"
          "\n"
          "An experiment server for gradient regularisation of neural networks.\n"
          "\n",
          file);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(file, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n"
          "  --help     this text; gradreg COMMAND --help: that of a command\n"
          "  --version  version and numerical kernels in use\n",
          file);
}

static void print_version(void) {
    printf("gradreg %s (engine %s, kernels %s, OpenBLAS %s)\n", GRADREG_VERSION,
           gr_engine_version(), gr_kernels_name(), gr_blas_kernel());
}

static int unknown_command(const char *name) {
    const char *names[COMMAND_COUNT];
    for (int i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
    const char *nearest = nearest_name(name, names, COMMAND_COUNT);
    if (nearest)
        fprintf(stderr, "gradreg: no command is called \"%s\"; did you mean \"%s\"?\n", name,
                nearest);
    else
        fprintf(stderr, "gradreg: no command is called \"%s\"; see gradreg --help\n", name);
    return 2;
}

int main(int argc, char **argv) {
    restart_with_better_kernels(argv);
    json_watch_memory();
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        print_version();
        return 0;
    }
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    return unknown_command(name);
}
