/* The table of losses: one row each. */
#include "core/loss.h"

#include <string.h>

static const gr_kind *const kinds[] = {&gr_loss_cross_entropy.kind, &gr_loss_squared_error.kind,
                                       NULL};

const gr_family gr_loss_family = {.name = "loss", .discriminator = "type", .kinds = kinds};

void gr_softmax_rows(int64_t outputs, int64_t samples, const gr_real *p, int64_t first,
                     int64_t count, int64_t stride, gr_real *c) {
    for (int64_t m = first; m < first + count; m++, c += samples) {
        gr_real *own = c + m * stride;
        memset(own, 0, (size_t)samples * sizeof *own);
        for (int64_t k = 0; k < outputs; k++)
            for (int64_t s = 0; k != m && s < samples; s++) {
                const gr_real product = p[m * samples + s] * p[k * samples + s];
                c[k * stride + s] = -product;
                own[s] += product;
            }
    }
}
