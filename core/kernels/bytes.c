/* Pixels to numbers. */
#include "core/kernels/vector.h"

INLINE vector standardized(const uint8_t *bytes, wide_vector by, wide_vector plus) {
    wide_vector wide[WIDE_PARTS];
    widen(load_bytes(bytes), wide);
    for (size_t part = 0; part < WIDE_PARTS; part++) wide[part] = wide[part] * by + plus;
    return narrow(wide);
}

int64_t KERNEL(standardize)(const uint8_t *const *rows, int64_t count, double factor, double term,
                            int64_t stride, gr_real *x) {
    const wide_vector by = factor - (wide_vector){0}, plus = term - (wide_vector){0};
    int64_t i = 0;
    for (; i + VECTOR_LANES <= count; i += VECTOR_LANES) {
        vector square[VECTOR_BYTES / sizeof(gr_real)];
        for (int lane = 0; lane < VECTOR_LANES; lane++)
            square[lane] = standardized(rows[lane] + i, by, plus);
        transpose(square);
        for (int feature = 0; feature < VECTOR_LANES; feature++)
            store(x + (i + feature) * stride, square[feature]);
    }
    return i;
}

int64_t KERNEL(standardize_row)(const uint8_t *row, int64_t count, double factor, double term,
                                gr_real *x) {
    const wide_vector by = factor - (wide_vector){0}, plus = term - (wide_vector){0};
    int64_t i = 0;
    for (; i + VECTOR_LANES <= count; i += VECTOR_LANES)
        store(x + i, standardized(row + i, by, plus));
    return i;
}
