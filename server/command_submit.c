/* gradreg submit: posts specs to a server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command_line.h"
#include "server/commands.h"
#include "server/watch.h"

enum { MAXIMUM_SPEC = 16 * 1024 * 1024 };

static const char usage[] =
    "usage: gradreg submit SPEC.json… [--server URL] [--watch]\n"
    "\n"
    "  SPEC.json     an experiment's spec; \"-\" reads one from the standard input\n"
    "  --server URL  the server (GRADREG_SERVER, else http://127.0.0.1:8080)\n"
    "  --watch       follow what was submitted until it has ended\n";

/* The whole file, owned by the caller (free); NULL with one line on stderr. */
static char *read_file(const char *path, size_t *length) {
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    char *bytes = NULL;
    const char *reason = NULL;
    *length = 0;
    if (file == NULL) {
        fprintf(stderr, "gradreg submit: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    for (size_t got = 1; got > 0 && reason == NULL; *length += got) {
        char *grown = realloc(bytes, *length + 65536);
        if (grown == NULL) {
            reason = "out of memory";
            break;
        }
        bytes = grown;
        errno = 0;
        got = fread(bytes + *length, 1, 65535, file);
        if (ferror(file)) reason = strerror(errno);
        if (*length + got > MAXIMUM_SPEC) reason = "this is larger than any spec may be";
    }
    if (!standard) fclose(file);
    if (reason == NULL) {
        bytes[*length] = 0;
        return bytes;
    }
    fprintf(stderr, "gradreg submit: %s: %s\n", path, reason);
    free(bytes);
    return NULL;
}

/* Submits one spec and prints where it is, or all that is wrong with it. Returns its id or 0. */
static int64_t submit(client *server, const char *path) {
    size_t length;
    char *spec = read_file(path, &length), *details = NULL;
    if (spec == NULL) return 0;
    cJSON *document = NULL;
    gr_error error = {0};
    int64_t id = 0;
    if (client_request(server, "POST", "/api/v1/experiments", spec, length, &document, &details,
                       &error) != GR_OK) {
        fprintf(stderr, "gradreg submit: %s: %s\n%s", path, error.message, details ? details : "");
    } else {
        double number = 0;
        const cJSON *member = cJSON_GetObjectItemCaseSensitive(document, "id");
        if (member && json_to_double(member, &number)) id = (int64_t)number;
        printf("%s: experiment %lld, %s/#/experiments/%lld\n", path, (long long)id,
               client_url(server), (long long)id);
        fflush(stdout);
    }
    cJSON_Delete(document);
    free(details);
    free(spec);
    return id;
}

int command_submit(int argc, char **argv) {
    const char *url = NULL;
    bool follow = false;
    const command_option options[] = {{"server", .text = &url}, {"watch", .given = &follow}, {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, options, 1, argc, &operands);
    if (early >= 0) return early;
    client *server = NULL;
    gr_error error = {0};
    int64_t *ids = calloc((size_t)operands.count, sizeof *ids);
    size_t count = 0;
    bool complete = true, succeeded = true;
    gr_status status = ids ? client_create(url, &server, &error)
                           : gr_fail(&error, GR_OUT_OF_MEMORY, "out of memory");
    for (int i = 0; status == GR_OK && i < operands.count; i++) {
        int64_t id = submit(server, operands.items[i]);
        if (id > 0)
            ids[count++] = id;
        else
            complete = false;
    }
    if (status == GR_OK && follow && count > 0)
        status = watch_experiments(server, ids, count, &succeeded, &error);
    if (status != GR_OK) fprintf(stderr, "gradreg submit: %s\n", error.message);
    client_free(server);
    free(ids);
    return status == GR_OK && complete && succeeded ? 0 : 1;
}
