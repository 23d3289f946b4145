/* Any bytes as a spec: refused with problems whose texts are JSON, or canonical at once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    spec *parsed, *again;
    bool malformed;
    problems found = {0};
    const gr_status status = spec_parse((const char *)bytes, count, &parsed, &malformed, &found);
    if ((status == GR_OK) != (found.count == 0)) abort();
    for (size_t i = 0; i < found.kept; i++) {
        cJSON *strings = cJSON_CreateArray(), *back;
        cJSON_AddItemToArray(strings, cJSON_CreateString(found.items[i].pointer));
        cJSON_AddItemToArray(strings, cJSON_CreateString(found.items[i].detail));
        char *text = json_text(strings);
        if (json_parse(text, strlen(text), &back, NULL) != GR_OK) abort();
        cJSON_Delete(back);
        cJSON_Delete(strings);
        free(text);
    }
    problems_clear(&found);
    if (status != GR_OK) return 0;
    char *canonical = spec_canonical(parsed);
    if (spec_parse(canonical, strlen(canonical), &again, &malformed, &found) != GR_OK) abort();
    char *second = spec_canonical(again);
    if (strcmp(canonical, second) != 0) abort();
    free(canonical);
    free(second);
    spec_free(parsed);
    spec_free(again);
    return 0;
}
