/* experiments.csv: what each number of a study's tables comes from. And the tables themselves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/csv.h"
#include "server/digest.h"
#include "server/files.h"
#include "server/paths.h"
#include "server/store.h"
#include "server/study.h"
#include "server/sweep_follow.h"

enum { PAGE = 500, MAXIMUM_METRICS = 64 };

/* What every study has, before the metrics of its own tables. */
static const char *const common_metrics[] = {"test_accuracy",       "test_loss",
                                             "validation_accuracy", "validation_loss",
                                             "train_accuracy",      "train_loss"};
enum { COMMON_METRICS = sizeof common_metrics / sizeof *common_metrics };

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

static void put_value(FILE *out, const cJSON *item) {
    double value;
    fputc(',', out);
    if (item && json_to_double(item, &value)) csv_put_number(out, value);
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

/* Names of metrics, borrowed from the study's definition; those beyond the maximum are left out. */
typedef struct metric_names {
    const char *items[MAXIMUM_METRICS];
    size_t count;
} metric_names;

static void add_metric(metric_names *to, const char *name) {
    if (!name || strstr(name, "_seconds") || to->count == MAXIMUM_METRICS)
        return; /* columns anyway */
    for (size_t i = 0; i < to->count; i++)
        if (strcmp(to->items[i], name) == 0) return;
    to->items[to->count++] = name;
}

static metric_names metrics_of(const study *of) {
    metric_names names = {0};
    const cJSON *table, *one;
    for (size_t i = 0; i < COMMON_METRICS; i++) add_metric(&names, common_metrics[i]);
    cJSON_ArrayForEach(table, cJSON_GetObjectItemCaseSensitive(of->document, "tables")) {
        add_metric(&names, study_text(table, "metric", NULL));
        cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(table, "metrics")) {
            add_metric(&names, study_text(one, "metric", NULL));
            add_metric(&names, study_text(one, "over", NULL));
        }
    }
    return names;
}

/* "lenet", "resnet 3"; of explicit layers "layers". */
static void put_model(FILE *out, const cJSON *spec) {
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(spec, "model");
    const double width = sweep_number(model, "width", 0);
    fprintf(out, ",%s", study_text(model, "preset", "layers"));
    if (width > 0) fprintf(out, " %.0f", width);
}

/* Names of the regularisers, those of a gradient penalty being its probe's: "weight_decay+loss". */
static void put_methods(FILE *out, const cJSON *spec) {
    const cJSON *one;
    const char *before = "";
    fputc(',', out);
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(spec, "regularizers")) {
        const char *type = study_text(one, "type", "");
        if (sweep_number(one, "weight", 1) == 0) continue;
        fprintf(out, "%s%s", before, study_text(one, "probe", type));
        before = "+";
    }
}

static void put_header(const metric_names *metrics, FILE *out) {
    fputs("id,role,sweep,arm,seed,state", out);
    for (size_t i = 0; i < metrics->count; i++) fprintf(out, ",%s", metrics->items[i]);
    fputs(",model,methods,batch_size,elapsed_seconds,cpu_seconds,iterations,spec_sha256,data_"
          "sha256,engine_version,"
          "kernels\r\n",
          out);
}

static gr_status put_experiment(const cJSON *one, int64_t sweep, const char *role,
                                const cJSON *arms, const metric_names *metrics, FILE *out,
                                gr_error *error) {
    const cJSON *place = cJSON_GetObjectItemCaseSensitive(one, "sweep");
    const cJSON *arm = cJSON_GetArrayItem(arms, (int)sweep_number(place, "arm", -1));
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(one, "metrics");
    const cJSON *environment = cJSON_GetObjectItemCaseSensitive(one, "environment");
    char hash[DIGEST_SIZE];
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(one, "spec");
    if (!spec_hash(spec, hash)) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    fprintf(out, "%.0f,%s,%lld,", sweep_number(one, "id", 0), role, (long long)sweep);
    csv_put_text(out, study_text(arm, "label", ""));
    fprintf(out, ",%.0f,%s", sweep_number(place, "seed", 0), study_text(one, "state", ""));
    for (size_t i = 0; i < metrics->count; i++)
        put_value(out, cJSON_GetObjectItemCaseSensitive(values, metrics->items[i]));
    put_model(out, spec);
    put_methods(out, spec);
    put_value(out, cJSON_GetObjectItemCaseSensitive(
                       cJSON_GetObjectItemCaseSensitive(spec, "training"), "batch_size"));
    put_value(out, cJSON_GetObjectItemCaseSensitive(one, "elapsed_seconds"));
    put_value(out, cJSON_GetObjectItemCaseSensitive(one, "cpu_seconds"));
    put_value(out, cJSON_GetObjectItemCaseSensitive(
                       cJSON_GetObjectItemCaseSensitive(one, "progress"), "iteration"));
    fprintf(out, ",%s,%s,%s,%s\r\n", hash, study_text(one, "data_hash", ""),
            study_text(one, "engine_version", ""), study_text(environment, "kernels", ""));
    return GR_OK;
}

gr_status study_records(const study *of, client *server, int64_t sweep, const char *role,
                        const cJSON *spec, FILE *out, study_cost *cost, gr_error *error) {
    const metric_names metrics = metrics_of(of);
    char path[400], cursor[200] = "";
    const cJSON *arms = cJSON_GetObjectItemCaseSensitive(spec, "arm_list");
    if (ftell(out) == 0) put_header(&metrics, out);
    for (bool more = true; more;) {
        cJSON *page;
        snprintf(path, sizeof path,
                 "/api/v1/experiments?sweep=%lld&limit=%d&fields=id,state,spec,metrics,sweep,"
                 "progress,elapsed_seconds,cpu_seconds,data_hash,engine_version,environment%s%s",
                 (long long)sweep, PAGE, *cursor ? "&cursor=" : "", cursor);
        GR_TRY(client_request(server, "GET", path, NULL, 0, &page, NULL, error));
        const cJSON *one;
        gr_status status = GR_OK;
        cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(page, "experiments")) {
            experiment_state state;
            if (!state_from_name(study_text(one, "state", ""), &state) || !state_is_final(state))
                continue;
            cost->experiments++;
            cost->elapsed_seconds += sweep_number(one, "elapsed_seconds", 0);
            cost->cpu_seconds += sweep_number(one, "cpu_seconds", 0);
            cost->iterations +=
                sweep_number(cJSON_GetObjectItemCaseSensitive(one, "progress"), "iteration", 0);
            if (status == GR_OK)
                status = put_experiment(one, sweep, role, arms, &metrics, out, error);
        }
        snprintf(cursor, sizeof cursor, "%s", study_text(page, "next_cursor", ""));
        more = *cursor != 0 && status == GR_OK;
        cJSON_Delete(page);
        GR_TRY(status);
    }
    return GR_OK;
}
