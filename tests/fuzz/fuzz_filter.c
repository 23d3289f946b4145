/* Any bytes as a filter, a list of sort keys and one of fields: a tree, or a problem with a column
 * within the text and words that are JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/filter.h"
#include "server/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static bool is_text(const char *text) {
    cJSON *string = cJSON_CreateString(text), *back = NULL;
    char *printed = json_text(string);
    const bool good = json_parse(printed, strlen(printed), &back, NULL) == GR_OK;
    cJSON_Delete(back);
    cJSON_Delete(string);
    free(printed);
    return good;
}

static void check(gr_status status, const char *text, const filter_problem *wrong) {
    if (status == GR_OK) return;
    if (status != GR_INVALID || !*wrong->detail) abort();
    if (wrong->column < 1 || wrong->column > strlen(text) + 1) abort();
    if (is_text(text) && !is_text(wrong->detail)) abort();
}

/* Reads all of it. */
static size_t weigh(const filter *tree) {
    size_t sum = (size_t)tree->kind + strlen(tree->field.name);
    for (size_t i = 0; i < tree->value_count; i++) {
        const filter_value *value = &tree->values[i];
        if (value->is_text != (value->text != NULL)) abort();
        if (value->number != value->number) abort(); /* no NaN gets in */
        if (value->text) sum += strlen(value->text);
    }
    if (tree->left) sum += weigh(tree->left);
    if (tree->right) sum += weigh(tree->right);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    static const char *const metrics[] = {"calibration_error"};
    static const filter_vocabulary vocabulary = {metrics, 1};
    static const char *const members[] = {"id", "spec", "notes", NULL};
    static field_pick picks[FILTER_MAXIMUM_FIELDS];
    sort_key keys[FILTER_MAXIMUM_SORT_KEYS];
    filter_problem wrong;
    filter *tree;
    size_t found;
    char *text = malloc(count + 1);
    memcpy(text, bytes, count);
    text[count] = 0;
    const gr_status status = filter_parse(text, &vocabulary, &tree, &wrong);
    check(status, text, &wrong);
    if ((status == GR_OK) != (tree != NULL)) abort();
    if (tree && weigh(tree) == 0) abort();
    filter_free(tree);
    check(filter_parse_sort(text, &vocabulary, keys, &found, &wrong), text, &wrong);
    check(filter_parse_fields(text, &vocabulary, members, picks, &found, &wrong), text, &wrong);
    free(text);
    return 0;
}
