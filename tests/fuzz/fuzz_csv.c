/* libFuzzer driver of the CSV reader: any bytes are rows of cells within the content, or refused.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/csv_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    uint8_t *content = malloc(count + 1);
    if (!content) return 0;
    if (count) memcpy(content, bytes, count);
    gr_csv csv;
    gr_error error;
    bool there = true;
    size_t cells = 0;
    int64_t line = 0;
    gr_csv_begin(&csv, "fuzz", content, count, count % 2 ? ',' : ';');
    while (there && gr_csv_next(&csv, &there, &error) == GR_OK) {
        if (there && (csv.row_line <= line || csv.count < 1)) abort();
        line = csv.row_line;
        for (int64_t i = 0; i < csv.count; i++, cells++) {
            double number;
            const uint8_t *cell = (const uint8_t *)csv.cells[i];
            if (cell < content || cell + strlen(csv.cells[i]) > content + count) abort();
            if (gr_csv_number(csv.cells[i], &number) && !(number - number == 0)) abort();
        }
    }
    if (cells > count + 1) abort();
    gr_csv_end(&csv);
    free(content);
    return 0;
}
