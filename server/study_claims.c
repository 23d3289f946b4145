/* What the paper says of a study's arms, and whether these runs bear it out: paired t-tests between
 * any two arms, or between two gains, with Holm's correction over all claims of the study. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/sample_statistics.h"
#include "server/study.h"
#include "server/sweep_follow.h"
#include "server/sweep_table.h"

enum { MAXIMUM_CLAIMS = 64 };

typedef struct claim {
    const char *text, *first, *second;    /* borrowed from the definition: labels of arms */
    const char *base_first, *base_second; /* the gain that is smaller; NULL: none */
    bool equal;                           /* no difference is claimed */
    paired_test test;                     /* of first - second, of which more is better */
    double p_holm;
} claim;

/* -- reading
 * -------------------------------------------------------------------------------------------- */

static const char *label_of(const cJSON *list, int index) {
    return cJSON_GetStringValue(cJSON_GetArrayItem(list, index));
}

/* {"claim", "better": [A, B]}, {"claim", "equal": [A, B]}, {"claim", "more": [A, B, C, D]}: A - B
 * is greater than C - D. */
static gr_status read_claim(const cJSON *item, claim *to, gr_error *error) {
    const cJSON *better = cJSON_GetObjectItemCaseSensitive(item, "better");
    const cJSON *equal = cJSON_GetObjectItemCaseSensitive(item, "equal");
    const cJSON *more = cJSON_GetObjectItemCaseSensitive(item, "more");
    const cJSON *list = better ? better : equal ? equal : more;
    *to = (claim){.text = study_text(item, "claim", ""),
                  .first = label_of(list, 0),
                  .second = label_of(list, 1),
                  .base_first = label_of(list, 2),
                  .base_second = label_of(list, 3),
                  .equal = list && list == equal};
    if (to->first && to->second && cJSON_GetArraySize(list) == (list == more ? 4 : 2) &&
        (list != more || (to->base_first && to->base_second)))
        return GR_OK;
    return gr_fail(error, GR_INVALID,
                   "/claims: each has \"better\" or \"equal\" with the labels of two arms, or "
                   "\"more\" with four");
}

static const cJSON *cell_of(const cJSON *table, const char *label, gr_error *error) {
    const cJSON *cell;
    cJSON_ArrayForEach(cell, cJSON_GetObjectItemCaseSensitive(table, "cells")) {
        if (strcmp(study_text(cell, "label", ""), label) == 0) return cell;
    }
    gr_fail(error, GR_INVALID, "/claims: the sweep has no arm \"%.100s\"", label);
    return NULL;
}

/* -- testing
 * -------------------------------------------------------------------------------------------- */

static gr_status compare(const cJSON *table, claim *of, gr_error *error) {
    const char *const labels[] = {of->first, of->second, of->base_first, of->base_second};
    const cJSON *cells[4] = {0}, *pair;
    for (int i = 0; i < 4 && labels[i]; i++) {
        cells[i] = cell_of(table, labels[i], error);
        if (!cells[i]) return GR_INVALID;
    }
    const double sign = strcmp(study_text(table, "better", ""), "lower") == 0 ? -1 : 1;
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(cells[0], "values");
    const size_t most = (size_t)cJSON_GetArraySize(values) + 1;
    double *differences = calloc(2 * most, sizeof *differences);
    size_t count = 0;
    if (!differences) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    cJSON_ArrayForEach(pair, values) {
        double seed;
        if (!json_to_double(cJSON_GetArrayItem(pair, 0), &seed)) continue;
        double difference = study_at_seed(cells[0], seed) - study_at_seed(cells[1], seed);
        if (cells[2]) difference -= study_at_seed(cells[2], seed) - study_at_seed(cells[3], seed);
        if (isfinite(difference)) differences[count++] = sign * difference;
    }
    /* The second half is zeros. */
    const gr_status status =
        paired_compare(differences, differences + most, count,
                       sweep_number(table, "confidence", 0.95), &of->test, error);
    of->p_holm = of->test.p;
    free(differences);
    return status;
}

static gr_status correct(claim *claims, size_t count, gr_error *error) {
    double p[MAXIMUM_CLAIMS];
    for (size_t i = 0; i < count; i++) p[i] = claims[i].p_holm;
    GR_TRY(holm_correct(p, count, error));
    for (size_t i = 0; i < count; i++) claims[i].p_holm = p[i];
    return GR_OK;
}

/* -- writing
 * -------------------------------------------------------------------------------------------- */

static const char *outcome(const claim *of, double level) {
    const bool significant = of->p_holm < level;
    if (of->equal) return significant ? "a difference" : "no difference shown";
    if (!significant) return of->test.mean < 0 ? "not shown, rather the opposite" : "not shown";
    return of->test.mean > 0 ? "holds" : "the opposite";
}

static void put_line(FILE *out, const claim *of, bool percent, double level) {
    const paired_test *test = &of->test;
    const double factor = percent ? 100 : 1;
    const double half = factor * (test->mean_band.high - test->mean_band.low) / 2;
    const int digits = sweep_table_decimals(percent, half);
    fputs("| ", out);
    sweep_table_put_label(out, false, of->text);
    fputs(" | ", out);
    sweep_table_put_label(out, false, of->first);
    fputs(" − ", out);
    sweep_table_put_label(out, false, of->second);
    if (of->base_first) {
        fputs(", less ", out);
        sweep_table_put_label(out, false, of->base_first);
        fputs(" − ", out);
        sweep_table_put_label(out, false, of->base_second);
    }
    if (isnan(test->mean))
        fputs(" | – |", out);
    else if (isnan(half))
        fprintf(out, " | %+.*f |", digits, factor * test->mean);
    else
        fprintf(out, " | %+.*f ± %.*f |", digits, factor * test->mean, digits, half);
    fprintf(out,
            isnan(of->p_holm)     ? " – |"
            : of->p_holm < 0.0001 ? " < 0.0001 |"
                                  : " %.2g |",
            of->p_holm);
    fprintf(out, " %zu | %s |\n", test->n, outcome(of, level));
}

static gr_status write_text(const cJSON *table, const claim *claims, size_t count, char **text,
                            gr_error *error) {
    size_t size;
    FILE *out = open_memstream(text, &size);
    if (!out) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    const bool percent = strstr(study_text(table, "metric", ""), "accuracy") != NULL;
    const double confidence = sweep_number(table, "confidence", 0.95);
    fprintf(out,
            "| the paper | compared | difference%s | p (Holm) | seeds | here |\n"
            "|---|---|---:|---:|---:|---|\n",
            percent ? " in points" : "");
    for (size_t i = 0; i < count; i++) put_line(out, &claims[i], percent, 1 - confidence);
    fprintf(out,
            "\nDifferences of the %s by seed, of which more is better, ± half of the %g %% "
            "interval; p of the paired t-test with Holm's correction for these %zu claims.\n",
            study_text(table, "metric", ""), 100 * confidence, count);
    return fclose(out) == 0 ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
}

gr_status study_claims_text(const cJSON *list, const cJSON *table, char **text, gr_error *error) {
    claim claims[MAXIMUM_CLAIMS];
    size_t count = 0;
    const cJSON *item;
    *text = NULL;
    if (cJSON_GetArraySize(list) > MAXIMUM_CLAIMS)
        return gr_fail(error, GR_INVALID, "/claims: at most %d", MAXIMUM_CLAIMS);
    cJSON_ArrayForEach(item, list) {
        GR_TRY(read_claim(item, &claims[count], error));
        GR_TRY(compare(table, &claims[count++], error));
    }
    GR_TRY(correct(claims, count, error));
    return write_text(table, claims, count, text, error);
}

gr_status study_claims(const study *of, client *server, int64_t sweep, gr_error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(of->document, "claims");
    cJSON *table;
    char *text = NULL;
    if (!list) return GR_OK;
    GR_TRY(study_table(server, sweep, NULL, &table, error));
    gr_status status = study_claims_text(list, table, &text, error);
    if (status == GR_OK) status = study_write(of, "claims", "md", text, error);
    if (status == GR_OK) printf("%s\n", text);
    free(text);
    cJSON_Delete(table);
    return status;
}
