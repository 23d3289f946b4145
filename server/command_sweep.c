/* gradreg sweep: posts a sweep to a server, follows it, and ends with its table. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/client.h"
#include "server/command_line.h"
#include "server/commands.h"
#include "server/progress_bar.h"
#include "server/sweep_follow.h"

enum { MAXIMUM_SPEC = 1 << 20 };

static const char usage[] =
    "usage: gradreg sweep SWEEP.json|ID [OPTION…]\n"
    "\n"
    "  SWEEP.json          a sweep's spec (docs/sweeps.md); \"-\" reads one from the standard "
    "input\n"
    "  ID                  or a sweep that the server has already\n"
    "  --server URL        the server (GRADREG_SERVER, else http://127.0.0.1:8080)\n"
    "  --check             only check it and say what it would cost\n"
    "  --no-wait           submit it and leave\n"
    "  --format FORMAT     of the table: markdown (default), latex, csv or json\n"
    "  --statistic NAME    mean (default, with Student's interval), mean_sd, median or\n"
    "                      interquartile_mean\n"
    "  --rows, --columns, --metric, --direction, --baseline, --confidence VALUE\n"
    "                      what the table shows, as the query parameters of those names\n"
    "\n"
    "Ends with status 0 if every experiment succeeded or was dropped by successive halving, else "
    "1.\n";

/* What the table's query takes. */
static const char *const table_options[] = {"format", "statistic", "rows",     "columns",
                                            "metric", "direction", "baseline", "confidence"};
enum { TABLE_OPTIONS = sizeof table_options / sizeof *table_options };

typedef struct options {
    const char *what, *server;
    bool check, no_wait;
    char query[900]; /* of the table */
} options;

/* -- arguments
 * ------------------------------------------------------------------------------------------ */

/* Adds "name=value" to the query, percent-encoded. False where there is no room. */
static bool add_query(options *chosen, const char *name, const char *value) {
    size_t length = strlen(chosen->query);
    const size_t size = sizeof chosen->query;
    length +=
        (size_t)snprintf(chosen->query + length, size - length, "%c%s=", length ? '&' : '?', name);
    for (; *value && length + 4 < size; value++) {
        const bool plain = strchr("-._~", *value) || (*value >= '0' && *value <= '9') ||
                           (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z');
        length += (size_t)snprintf(chosen->query + length, size - length, plain ? "%c" : "%%%02X",
                                   (unsigned char)*value);
    }
    return *value == 0;
}

/* -1: go on; otherwise the exit status. */
static int parse_options(int argc, char **argv, options *chosen) {
    *chosen = (options){0};
    const char *of_table[TABLE_OPTIONS] = {"markdown"};
    command_option known[3 + TABLE_OPTIONS + 1] = {{"server", .text = &chosen->server},
                                                   {"check", .given = &chosen->check},
                                                   {"no-wait", .given = &chosen->no_wait}};
    for (int i = 0; i < TABLE_OPTIONS; i++)
        known[3 + i] = (command_option){table_options[i], .text = &of_table[i]};
    command_operands operands;
    const int early = command_line(argc, argv, usage, known, 1, 1, &operands);
    if (early >= 0) return early;
    for (int i = 0; i < TABLE_OPTIONS; i++)
        if (of_table[i] && !add_query(chosen, table_options[i], of_table[i]))
            return command_refuse(usage, "--%s is too long", table_options[i]);
    chosen->what = operands.items[0];
    return -1;
}

/* The whole file (free). */
static gr_status read_spec(const char *path, char **bytes, size_t *length, gr_error *error) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!file) return gr_fail(error, GR_IO, "%s", strerror(errno));
    *bytes = malloc(MAXIMUM_SPEC + 1);
    gr_status status = *bytes ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) {
        errno = 0;
        *length = fread(*bytes, 1, MAXIMUM_SPEC + 1, file);
        if (ferror(file)) status = gr_fail(error, GR_IO, "%s", strerror(errno));
        if (status == GR_OK && *length > MAXIMUM_SPEC)
            status = gr_fail(error, GR_TOO_LARGE, "a sweep has at most %d bytes", MAXIMUM_SPEC);
    }
    if (file != stdin) fclose(file);
    if (status == GR_OK) return GR_OK;
    free(*bytes);
    *bytes = NULL;
    return status;
}

/* -- submission
 * ----------------------------------------------------------------------------------------- */

static void print_estimate(const cJSON *answer) {
    const cJSON *estimate = cJSON_GetObjectItemCaseSensitive(answer, "estimate");
    const double seconds = sweep_number(estimate, "seconds", NAN);
    char time[24];
    printf("%.0f arms, %.0f experiments, %.0f iterations; at most %.0f MiB of memory each",
           sweep_number(estimate, "arms", 0), sweep_number(estimate, "experiments", 0),
           sweep_number(estimate, "iterations", 0),
           sweep_number(estimate, "memory_bytes", 0) / 1048576);
    if (!isnan(seconds)) printf("; about %s", progress_bar_time(seconds, time));
    putchar('\n');
}

/* *id: 0 where it was only checked. */
static gr_status submit(client *server, const options *chosen, int64_t *id, gr_error *error) {
    char *text = NULL, *details = NULL;
    size_t length = 0;
    cJSON *answer = NULL;
    *id = 0;
    GR_TRY(read_spec(chosen->what, &text, &length, error));
    gr_status status = client_request(
        server, "POST", chosen->check ? "/api/v1/sweeps?validate_only=true" : "/api/v1/sweeps",
        text, length, &answer, &details, error);
    if (status != GR_OK) {
        if (details) fprintf(stderr, "%s", details);
    } else if (chosen->check) {
        print_estimate(answer);
    } else {
        *id = (int64_t)sweep_number(answer, "id", 0);
        printf("sweep %lld: %.0f arms, %.0f experiments, %s/#/sweeps/%lld\n", (long long)*id,
               sweep_number(answer, "arms", 0), sweep_number(answer, "experiments", 0),
               client_url(server), (long long)*id);
        fflush(stdout);
    }
    cJSON_Delete(answer);
    free(details);
    free(text);
    return status;
}

static gr_status print_table(client *server, int64_t id, const options *chosen, gr_error *error) {
    char path[1000], *table;
    snprintf(path, sizeof path, "/api/v1/sweeps/%lld/table%s", (long long)id, chosen->query);
    GR_TRY(client_get_text(server, path, &table, error));
    printf("\n%s", table);
    free(table);
    return GR_OK;
}

static bool is_id(const char *text) {
    const size_t length = strlen(text);
    return length > 0 && length <= 18 && *text != '0' && strspn(text, "0123456789") == length;
}

int command_sweep(int argc, char **argv) {
    options chosen;
    const int early = parse_options(argc, argv, &chosen);
    if (early >= 0) return early;
    client *server = NULL;
    gr_error error = {0};
    int64_t id = 0;
    double bad = 0;
    gr_status status = client_create(chosen.server, &server, &error);
    if (status == GR_OK && is_id(chosen.what))
        id = strtoll(chosen.what, NULL, 10);
    else if (status == GR_OK)
        status = submit(server, &chosen, &id, &error);
    const bool waits = id > 0 && !chosen.no_wait && !chosen.check;
    if (status == GR_OK && waits) status = sweep_follow(server, id, &bad, &error);
    if (status == GR_OK && waits) status = print_table(server, id, &chosen, &error);
    if (status != GR_OK)
        fprintf(stderr, "gradreg sweep: %s: %s\n", chosen.what, error.message);
    else if (bad > 0)
        fprintf(stderr,
                "gradreg sweep: %.0f experiments did not succeed; \"gradreg sweep %lld\" "
                "shows the table again after a retry\n",
                bad, (long long)id);
    client_free(server);
    return status == GR_OK && bad == 0 ? 0 : 1;
}
