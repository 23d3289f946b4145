/* experiments.csv: what each number of a study's tables comes from. And the tables themselves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/digest.h"
#include "server/files.h"
#include "server/paths.h"
#include "server/study.h"
#include "server/sweep_follow.h"

enum { PAGE = 500 };

gr_status study_write(const study *of, const char *name, const char *extension, const char *text,
                      gr_error *error) {
    char file[96];
    snprintf(file, sizeof file, "%.64s.%s", name, extension);
    char *path = paths_join(of->folder, file);
    const gr_status status = path && text
                                 ? file_replace(path, text, strlen(text), error)
                                 : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %s", file);
    free(path);
    return status;
}

/* -- tables
 * -------------------------------------------------------------------------------------------- */

static void add_query(const cJSON *item, const char *name, char *query, size_t size) {
    const char *value = study_text(item, name, NULL);
    size_t length = strlen(query);
    if (!value) return;
    length += (size_t)snprintf(query + length, size - length, "&%s=", name);
    for (; *value && length + 4 < size; value++) {
        const bool plain = strchr("-._~", *value) || (*value >= '0' && *value <= '9') ||
                           (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z');
        length += (size_t)snprintf(query + length, size - length, plain ? "%c" : "%%%02X",
                                   (unsigned char)*value);
    }
}

static void table_path(int64_t sweep, const cJSON *item, const char *format, char *path,
                       size_t size) {
    static const char *const parameters[] = {"rows",     "columns",   "metric",
                                             "baseline", "statistic", "direction"};
    snprintf(path, size, "/api/v1/sweeps/%lld/table?format=%s", (long long)sweep, format);
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        add_query(item, parameters[i], path, size);
}

gr_status study_table(client *server, int64_t sweep, const cJSON *item, cJSON **table,
                      gr_error *error) {
    char path[1000];
    table_path(sweep, item, "json", path, sizeof path);
    return client_request(server, "GET", path, NULL, 0, table, NULL, error);
}

gr_status study_table_text(client *server, int64_t sweep, const cJSON *item, const char *format,
                           char **text, gr_error *error) {
    char path[1000];
    table_path(sweep, item, format, path, sizeof path);
    return client_get_text(server, path, text, error);
}

/* -- experiments
 * --------------------------------------------------------------------------------------- */

static void put_quoted(FILE *out, const char *text) {
    fputs(",\"", out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void put_value(FILE *out, const cJSON *item) {
    double value;
    fputc(',', out);
    if (item && json_to_double(item, &value)) fprintf(out, "%.17g", value);
}

/* SHA-256 of the spec without its name and tags, which change no result. */
static bool spec_hash(const cJSON *spec, char hex[DIGEST_SIZE]) {
    cJSON *bare = cJSON_Duplicate(spec, true);
    cJSON_DeleteItemFromObjectCaseSensitive(bare, "name");
    cJSON_DeleteItemFromObjectCaseSensitive(bare, "tags");
    char *text = bare ? json_text(bare) : NULL;
    cJSON_Delete(bare);
    if (!text) return false;
    digest_parts(&(digest_part){text, strlen(text)}, 1, hex);
    free(text);
    return true;
}

static gr_status put_experiment(const cJSON *one, int64_t sweep, const char *role,
                                const cJSON *arms, FILE *out, gr_error *error) {
    static const char *const metrics[] = {"test_accuracy",       "test_loss",
                                          "validation_accuracy", "validation_loss",
                                          "train_accuracy",      "train_loss"};
    const cJSON *place = cJSON_GetObjectItemCaseSensitive(one, "sweep");
    const cJSON *arm = cJSON_GetArrayItem(arms, (int)sweep_number(place, "arm", -1));
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(one, "metrics");
    const cJSON *environment = cJSON_GetObjectItemCaseSensitive(one, "environment");
    char hash[DIGEST_SIZE];
    if (!spec_hash(cJSON_GetObjectItemCaseSensitive(one, "spec"), hash))
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    fprintf(out, "%.0f,%s,%lld", sweep_number(one, "id", 0), role, (long long)sweep);
    put_quoted(out, study_text(arm, "label", ""));
    fprintf(out, ",%.0f,%s", sweep_number(place, "seed", 0), study_text(one, "state", ""));
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        put_value(out, cJSON_GetObjectItemCaseSensitive(values, metrics[i]));
    put_value(out, cJSON_GetObjectItemCaseSensitive(one, "elapsed_seconds"));
    fprintf(out, ",%s,%s,%s,%s\r\n", hash, study_text(one, "data_hash", ""),
            study_text(one, "engine_version", ""), study_text(environment, "kernels", ""));
    return GR_OK;
}

gr_status study_records(client *server, int64_t sweep, const char *role, const cJSON *spec,
                        FILE *out, double *seconds, gr_error *error) {
    char path[400], cursor[200] = "";
    const cJSON *arms = cJSON_GetObjectItemCaseSensitive(spec, "arm_list");
    if (ftell(out) == 0)
        fputs("id,role,sweep,arm,seed,state,test_accuracy,test_loss,validation_accuracy,"
              "validation_loss,train_accuracy,train_loss,elapsed_seconds,spec_sha256,data_sha256,"
              "engine_version,kernels\r\n",
              out);
    for (bool more = true; more;) {
        cJSON *page;
        snprintf(path, sizeof path,
                 "/api/v1/experiments?sweep=%lld&limit=%d&fields=id,state,spec,metrics,sweep,"
                 "elapsed_seconds,data_hash,engine_version,environment%s%s",
                 (long long)sweep, PAGE, *cursor ? "&cursor=" : "", cursor);
        GR_TRY(client_request(server, "GET", path, NULL, 0, &page, NULL, error));
        const cJSON *one;
        gr_status status = GR_OK;
        cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(page, "experiments")) {
            *seconds += sweep_number(one, "elapsed_seconds", 0);
            if (status == GR_OK) status = put_experiment(one, sweep, role, arms, out, error);
        }
        snprintf(cursor, sizeof cursor, "%s", study_text(page, "next_cursor", ""));
        more = *cursor != 0 && status == GR_OK;
        cJSON_Delete(page);
        GR_TRY(status);
    }
    return GR_OK;
}
