/* gradreg watch: follows experiments of a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command_line.h"
#include "server/commands.h"
#include "server/watch.h"

static const char usage[] =
    "usage: gradreg watch ID… [--server URL]\n"
    "\n"
    "  --server URL  the server (GRADREG_SERVER, else http://127.0.0.1:8080)\n"
    "\n"
    "Ends when all have ended: with status 0 if all succeeded, 1 otherwise.\n";

int command_watch(int argc, char **argv) {
    const char *url = NULL;
    const command_option options[] = {{"server", .text = &url}, {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, options, 1, argc, &operands);
    if (early >= 0) return early;
    const size_t count = (size_t)operands.count;
    int64_t *ids = calloc(count, sizeof *ids);
    if (ids == NULL) return 1;
    for (size_t i = 0; i < count; i++) {
        const char *text = operands.items[i];
        size_t length = strlen(text);
        if (length == 0 || length > 18 || *text == '0' || strspn(text, "0123456789") != length) {
            fprintf(stderr, "gradreg watch: an id is a positive integer, not \"%s\"\n", text);
            free(ids);
            return 2;
        }
        ids[i] = strtoll(text, NULL, 10);
    }
    client *server = NULL;
    gr_error error = {0};
    bool succeeded = false;
    gr_status status = client_create(url, &server, &error);
    if (status == GR_OK) status = watch_experiments(server, ids, count, &succeeded, &error);
    if (status != GR_OK) fprintf(stderr, "gradreg watch: %s\n", error.message);
    client_free(server);
    free(ids);
    return status == GR_OK && succeeded ? 0 : 1;
}
