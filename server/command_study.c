/* gradreg study: runs a study on a server, or finds that it was run, and makes its tables and
 * figures. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/command_line.h"
#include "server/commands.h"
#include "server/paths.h"
#include "server/progress_bar.h"
#include "server/study.h"
#include "server/sweep_follow.h"

static const char usage[] =
    "usage: gradreg study NAME|FILE.json [OPTION…]\n"
    "       gradreg study --list\n"
    "\n"
    "  NAME              a study of the paper; FILE.json: one of your own (docs/studies.md)\n"
    "  --quick           its quick size: minutes, to see that all works\n"
    "  --size NAME       another of its sizes\n"
    "  --out DIR         where tables and figures go (study-NAME or study-NAME-SIZE)\n"
    "  --server URL      the server (GRADREG_SERVER, else http://127.0.0.1:8080)\n"
    "  --check           only check it and say what it would cost\n"
    "  --again           run it again, though the server has it\n"
    "  --partial         run nothing: tables and figures of what has ended so far\n"
    "\n"
    "A study that the server has been given before, equal in every member, is not run twice: it\n"
    "is followed to its end, or only its tables and figures are made again.\n";

typedef struct options {
    const char *what, *size, *out, *server;
    bool list, check, again, partial;
} options;

/* -1: go on; otherwise the exit status. */
static int parse_options(int argc, char **argv, options *chosen) {
    *chosen = (options){0};
    bool quick = false;
    const command_option known[] = {{"list", .given = &chosen->list},
                                    {"quick", .given = &quick},
                                    {"size", .text = &chosen->size},
                                    {"out", .text = &chosen->out},
                                    {"server", .text = &chosen->server},
                                    {"check", .given = &chosen->check},
                                    {"again", .given = &chosen->again},
                                    {"partial", .given = &chosen->partial},
                                    {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, known, 0, 1, &operands);
    if (early >= 0) return early;
    if (operands.count == 0 && !chosen->list)
        return command_refuse(usage, "which study? --list shows those of the paper");
    if (operands.count && chosen->list)
        return command_refuse(usage, "--list shows all: it does not go with \"%s\"",
                              operands.items[0]);
    if (chosen->partial && (chosen->again || chosen->check))
        return command_refuse(usage,
                              "--partial runs nothing and makes tables: it does not go with --%s",
                              chosen->again ? "again" : "check");
    if (quick && !chosen->size) chosen->size = "quick";
    chosen->what = operands.items[0]; /* NULL with --list */
    return -1;
}

/* -- running a sweep
 * ----------------------------------------------------------------------------------- */

/* The newest sweep of the server with this canonical spec, one that was cancelled only if
 * `cancelled`; 0: none. */
static gr_status find_sweep(client *server, const cJSON *spec, bool cancelled, int64_t *id,
                            gr_error *error) {
    char path[300], cursor[200] = "";
    *id = 0;
    for (bool more = true; more && *id == 0;) {
        cJSON *page, *one;
        snprintf(path, sizeof path, "/api/v1/sweeps?limit=200%s%s", *cursor ? "&cursor=" : "",
                 cursor);
        GR_TRY(client_request(server, "GET", path, NULL, 0, &page, NULL, error));
        gr_status status = GR_OK;
        cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(page, "sweeps")) {
            cJSON *whole;
            if (*id || status != GR_OK ||
                strcmp(study_text(one, "name", ""), study_text(spec, "name", "-")) != 0 ||
                (!cancelled && strncmp(study_text(one, "state", ""), "cancel", 6) == 0))
                continue;
            snprintf(path, sizeof path, "/api/v1/sweeps/%.0f", sweep_number(one, "id", 0));
            status = client_request(server, "GET", path, NULL, 0, &whole, NULL, error);
            if (status != GR_OK) continue;
            if (cJSON_Compare(cJSON_GetObjectItemCaseSensitive(whole, "spec"), spec, true))
                *id = (int64_t)sweep_number(one, "id", 0);
            cJSON_Delete(whole);
        }
        snprintf(cursor, sizeof cursor, "%s", study_text(page, "next_cursor", ""));
        more = *cursor != 0 && status == GR_OK;
        cJSON_Delete(page);
        GR_TRY(status);
    }
    return GR_OK;
}

static void print_estimate(const cJSON *estimate) {
    const double seconds = sweep_number(estimate, "seconds", NAN);
    char time[24];
    printf("%.0f arms, %.0f experiments, %.0f iterations", sweep_number(estimate, "arms", 0),
           sweep_number(estimate, "experiments", 0), sweep_number(estimate, "iterations", 0));
    if (!isnan(seconds)) printf("; about %s", progress_bar_time(seconds, time));
    putchar('\n');
    fflush(stdout);
}

static gr_status post(client *server, const char *path, const char *text, cJSON **answer,
                      gr_error *error) {
    char *details = NULL;
    const gr_status status =
        client_request(server, "POST", path, text, strlen(text), answer, &details, error);
    if (details) fprintf(stderr, "%s", details);
    free(details);
    return status;
}

/* Submits the sweep unless the server has it, and follows it to its end. *id: 0 where it was only
 * checked. */
static gr_status run_sweep(client *server, const options *chosen, const cJSON *sweep, int64_t *id,
                           double *bad, gr_error *error) {
    char *text = json_text(sweep);
    cJSON *checked = NULL, *answer = NULL;
    *id = 0;
    gr_status status = text ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK)
        status = post(server, "/api/v1/sweeps?validate_only=true", text, &checked, error);
    if (status == GR_OK && !chosen->again)
        status = find_sweep(server, cJSON_GetObjectItemCaseSensitive(checked, "spec"),
                            chosen->partial, id, error);
    if (status == GR_OK) {
        printf("%s\n", study_text(sweep, "name", ""));
        print_estimate(cJSON_GetObjectItemCaseSensitive(checked, "estimate"));
        if (*id) printf("the server has it already: sweep %lld\n", (long long)*id);
    }
    if (status == GR_OK && !*id && chosen->partial)
        status = gr_fail(error, GR_NOT_FOUND,
                         "the server has no sweep \"%s\" of this spec, so nothing of it has ended",
                         study_text(sweep, "name", ""));
    if (status == GR_OK && !*id && !chosen->check) {
        status = post(server, "/api/v1/sweeps", text, &answer, error);
        *id = (int64_t)sweep_number(answer, "id", 0);
        if (status == GR_OK)
            printf("sweep %lld: %s/#/sweeps/%lld\n", (long long)*id, client_url(server),
                   (long long)*id);
    }
    fflush(stdout);
    if (chosen->check) *id = 0;
    double own = 0;
    if (status == GR_OK && *id && !chosen->partial) status = sweep_follow(server, *id, &own, error);
    *bad += own;
    cJSON_Delete(answer);
    cJSON_Delete(checked);
    free(text);
    return status;
}

/* -- what comes out
 * ------------------------------------------------------------------------------------ */

static gr_status write_table(const study *of, client *server, int64_t sweep, const cJSON *item,
                             bool print, gr_error *error) {
    static const char *const formats[][2] = {{"csv", "csv"}, {"markdown", "md"}, {"latex", "tex"}};
    if (cJSON_HasObjectItem(item, "metrics"))
        return study_measures(of, server, sweep, item, print, error);
    for (int i = 0; i < 3; i++) {
        char *text;
        GR_TRY(study_table_text(server, sweep, item, formats[i][0], &text, error));
        const gr_status status =
            study_write(of, study_text(item, "file", "table"), formats[i][1], text, error);
        if (print && i == 1) printf("\n%s\n", text);
        free(text);
        GR_TRY(status);
    }
    return GR_OK;
}

static gr_status write_figure(const study *of, client *server, int64_t sweep, const cJSON *item,
                              gr_error *error) {
    if (strcmp(study_text(item, "kind", ""), "fits") == 0)
        return study_fits(of, server, sweep, item, error);
    if (strcmp(study_text(item, "kind", ""), "norms") == 0)
        return study_norms(of, server, sweep, item, error);
    cJSON *table;
    char *svg = NULL;
    GR_TRY(study_table(server, sweep, item, &table, error));
    gr_status status = study_figure(item, table, &svg, error);
    if (status == GR_OK) status = study_write(of, study_text(item, "file", ""), "svg", svg, error);
    free(svg);
    cJSON_Delete(table);
    return status;
}

static gr_status write_outputs(const study *of, client *server, int64_t sweep, gr_error *error) {
    const cJSON *item;
    bool first = true;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(of->document, "tables")) {
        GR_TRY(write_table(of, server, sweep, item, first, error));
        first = false;
    }
    GR_TRY(study_claims(of, server, sweep, error));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(of->document, "figures"))
        GR_TRY(write_figure(of, server, sweep, item, error));
    return GR_OK;
}

/* study.json: the sweeps as the server has them, and what ran them. */
static gr_status write_summary(const study *of, const options *chosen, cJSON *sweeps,
                               const study_cost *cost, client *server, gr_error *error) {
    cJSON *summary = cJSON_CreateObject(), *about = NULL;
    cJSON_AddStringToObject(summary, "study", of->name);
    cJSON_AddStringToObject(summary, "size", chosen->size ? chosen->size : "full");
    cJSON_AddStringToObject(summary, "title", study_text(of->document, "title", ""));
    json_put(summary, "seconds_of_training", json_number(cost->elapsed_seconds));
    json_put(summary, "cpu_seconds_of_training", json_number(cost->cpu_seconds));
    json_put(summary, "iterations", json_number(cost->iterations));
    json_put(summary, "experiments", json_number(cost->experiments));
    json_put(summary, "sweeps", sweeps);
    gr_status status =
        client_request(server, "GET", "/api/v1/server", NULL, 0, &about, NULL, error);
    if (status == GR_OK) json_put(summary, "server", about);
    char *text = status == GR_OK ? json_pretty_text(summary) : NULL;
    if (status == GR_OK) status = study_write(of, "study", "json", text, error);
    free(text);
    cJSON_Delete(summary);
    return status;
}

static gr_status add_records(const study *of, client *server, int64_t id, const char *role,
                             FILE *out, cJSON *sweeps, study_cost *cost, gr_error *error) {
    char path[64];
    cJSON *whole;
    snprintf(path, sizeof path, "/api/v1/sweeps/%lld", (long long)id);
    GR_TRY(client_request(server, "GET", path, NULL, 0, &whole, NULL, error));
    json_append(sweeps, whole);
    return study_records(of, server, id, role, whole, out, cost, error);
}

/* The tuning's table decides the second sweep. */
static gr_status run_final(const study *of, client *server, const options *chosen, int64_t tuning,
                           int64_t *id, double *bad, gr_error *error) {
    const cJSON *final = cJSON_GetObjectItemCaseSensitive(of->document, "final");
    cJSON *item = cJSON_CreateObject(), *table = NULL, *sweep = NULL;
    cJSON_AddStringToObject(item, "rows", study_text(final, "axis", ""));
    cJSON_AddStringToObject(item, "baseline", "");
    cJSON_AddStringToObject(item, "file", "tuning");
    char *csv = NULL;
    size_t size;
    FILE *out = open_memstream(&csv, &size);
    gr_status status = out ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) status = write_table(of, server, tuning, item, false, error);
    if (status == GR_OK) status = study_table(server, tuning, item, &table, error);
    if (status == GR_OK) status = study_final_sweep(of, table, out, &sweep, error);
    if (out) fclose(out);
    if (status == GR_OK) status = study_write(of, "chosen", "csv", csv, error);
    if (status == GR_OK) status = run_sweep(server, chosen, sweep, id, bad, error);
    free(csv);
    cJSON_Delete(sweep);
    cJSON_Delete(table);
    cJSON_Delete(item);
    return status;
}

static gr_status run_study(const study *of, client *server, const options *chosen, double *bad,
                           gr_error *error) {
    int64_t first, last;
    GR_TRY(run_sweep(server, chosen, of->sweep, &first, bad, error));
    if (chosen->check) return GR_OK;
    GR_TRY(paths_make_directories(of->folder, error));
    const bool tuned = cJSON_GetObjectItemCaseSensitive(of->document, "final") != NULL;
    last = first;
    if (tuned) GR_TRY(run_final(of, server, chosen, first, &last, bad, error));
    char *csv = NULL;
    size_t size;
    study_cost cost = {0};
    cJSON *sweeps = cJSON_CreateArray();
    FILE *out = open_memstream(&csv, &size);
    gr_status status = out && sweeps ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK)
        status =
            add_records(of, server, first, tuned ? "tuning" : "sweep", out, sweeps, &cost, error);
    if (status == GR_OK && tuned)
        status = add_records(of, server, last, "final", out, sweeps, &cost, error);
    if (out && fclose(out) != 0 && status == GR_OK)
        status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (status == GR_OK) status = study_write(of, "experiments", "csv", csv, error);
    free(csv);
    if (status == GR_OK)
        status = write_summary(of, chosen, sweeps, &cost, server, error);
    else
        cJSON_Delete(sweeps);
    if (status == GR_OK) status = write_outputs(of, server, last, error);
    return status;
}

int command_study(int argc, char **argv) {
    options chosen;
    const int early = parse_options(argc, argv, &chosen);
    if (early >= 0) return early;
    gr_error error = {0};
    if (chosen.list) {
        const gr_status status = study_list(stdout, &error);
        if (status != GR_OK) fprintf(stderr, "gradreg study: %s\n", error.message);
        return status == GR_OK ? 0 : 1;
    }
    study of;
    client *server = NULL;
    double bad = 0;
    gr_status status = study_load(chosen.what, chosen.size, &of, &error);
    if (chosen.out)
        snprintf(of.folder, sizeof of.folder, "%s", chosen.out);
    else
        snprintf(of.folder, sizeof of.folder, "study-%s%s%s", of.name, chosen.size ? "-" : "",
                 chosen.size ? chosen.size : "");
    if (status == GR_OK) status = client_create(chosen.server, &server, &error);
    if (status == GR_OK) status = run_study(&of, server, &chosen, &bad, &error);
    if (status != GR_OK)
        fprintf(stderr, "gradreg study: %s: %s\n", chosen.what, error.message);
    else if (!chosen.check)
        printf("tables, figures and experiments.csv are in %s\n", of.folder);
    if (status == GR_OK && bad > 0)
        fprintf(stderr,
                "gradreg study: %.0f experiments did not succeed; the tables count them. After a "
                "retry, run the same command again\n",
                bad);
    client_free(server);
    study_clear(&of);
    return status == GR_OK && bad == 0 ? 0 : 1;
}
