/* gradreg backup and gradreg restore. */
#include <stdio.h>
#include <string.h>

#include "server/backup.h"
#include "server/command_line.h"
#include "server/commands.h"
#include "server/paths.h"

static const char backup_usage[] =
    "usage: gradreg backup FOLDER [--data-dir DIR]\n"
    "       gradreg backup --check FOLDER\n"
    "\n"
    "  FOLDER          is made: the database as of one moment, the models and checkpoints that it\n"
    "                  refers to, and a list of them with their SHA-256. The server may run on.\n"
    "  --check         compare a backup with its list\n"
    "  --data-dir DIR  of the server (GRADREG_DATA_DIR, else ./data)\n"
    "\n"
    "Data sets are not part of it: copy DIR/datasets yourself, or fetch them again.\n";
static const char restore_usage[] =
    "usage: gradreg restore FOLDER [--data-dir DIR]\n"
    "\n"
    "  FOLDER          what gradreg backup made; it is checked first\n"
    "  --data-dir DIR  where no database is yet (GRADREG_DATA_DIR, else ./data)\n";

static void print_summary(const char *what, const char *folder, const backup_summary *summary) {
    printf("%s %s: %lld experiments, %lld files, %lld bytes\n", what, folder,
           (long long)summary->experiments, (long long)summary->files, (long long)summary->bytes);
    if (summary->without_checkpoint)
        fprintf(stderr,
                "%lld running experiments are in it without a checkpoint: restored, they "
                "begin anew\n",
                (long long)summary->without_checkpoint);
    if (summary->missing)
        fprintf(stderr, "%lld models are missing in the data directory itself\n",
                (long long)summary->missing);
}

int command_backup(int argc, char **argv) {
    const char *directory = NULL;
    bool check = false;
    backup_summary summary;
    gr_error error = {0};
    const command_option options[] = {
        {"data-dir", .text = &directory}, {"check", .given = &check}, {0}};
    command_operands operands;
    const int early = command_line(argc, argv, backup_usage, options, 1, 1, &operands);
    if (early >= 0) return early;
    const char *folder = operands.items[0];
    const gr_status status =
        check ? backup_check(folder, &summary, &error)
              : backup_make(paths_data_directory(directory), folder, &summary, &error);
    if (status == GR_OK)
        print_summary(check ? "good:" : "made", folder, &summary);
    else
        fprintf(stderr, "gradreg backup: %s\n", error.message);
    return status == GR_OK ? 0 : 1;
}

int command_restore(int argc, char **argv) {
    const char *directory = NULL;
    backup_summary summary;
    gr_error error = {0};
    const command_option options[] = {{"data-dir", .text = &directory}, {0}};
    command_operands operands;
    const int early = command_line(argc, argv, restore_usage, options, 1, 1, &operands);
    if (early >= 0) return early;
    directory = paths_data_directory(directory);
    paths_keep_private();
    if (backup_restore(operands.items[0], directory, &summary, &error) != GR_OK) {
        fprintf(stderr, "gradreg restore: %s\n", error.message);
        return 1;
    }
    print_summary("restored to", directory, &summary);
    return 0;
}
