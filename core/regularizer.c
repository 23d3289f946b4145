/* The table of regularisers: one row each, aliases included. */
#include "core/regularizer.h"

#include <string.h>

static const gr_kind *const kinds[] = {&gr_regularizer_gradient_penalty.kind,
                                       &gr_regularizer_datagrad,
                                       &gr_regularizer_double_backprop,
                                       &gr_regularizer_spectreg,
                                       &gr_regularizer_jacreg,
                                       &gr_regularizer_frobreg,
                                       &gr_regularizer_onehot,
                                       &gr_regularizer_random_onehot,
                                       &gr_regularizer_jacobian_norm,
                                       &gr_regularizer_weight_decay.kind,
                                       &gr_regularizer_l1.kind,
                                       &gr_regularizer_spectral_norm.kind,
                                       &gr_regularizer_confidence_penalty.kind,
                                       &gr_regularizer_contractive.kind,
                                       &gr_regularizer_tangent_prop.kind,
                                       &gr_regularizer_sobolev.kind,
                                       &gr_regularizer_derivative_sparsity.kind,
                                       &gr_regularizer_adversarial.kind,
                                       &gr_regularizer_gradient_difference.kind,
                                       &gr_regularizer_input_noise.kind,
                                       NULL};

const gr_family gr_regularizer_family = {
    .name = "regularizer", .discriminator = "type", .kinds = kinds};

static bool same_value(const gr_value *a, const gr_value *b) {
    if (a->type != b->type) return false;
    switch (a->type) {
    case GR_NULL:
        return true;
    case GR_BOOLEAN:
        return a->boolean == b->boolean;
    case GR_INTEGER:
        return a->integer == b->integer;
    case GR_NUMBER:
        return a->number == b->number;
    case GR_CHOICE:
        return a->choice == b->choice;
    case GR_NUMBERS:
        return a->numbers.count == b->numbers.count &&
               memcmp(a->numbers.items, b->numbers.items,
                      a->numbers.count * sizeof *a->numbers.items) == 0;
    default: /* no regulariser has others */
        return false;
    }
}

/* Whether one of the two with the sum of the weights would be the same. */
static bool is_repeated(const gr_settings *a, const gr_settings *b) {
    if (a->kind != b->kind) return false;
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(a);
    if (kind->draws && kind->draws(a)) return false;
    const int weight = gr_kind_option(a->kind, "weight");
    for (size_t i = 0; i < a->kind->option_count; i++)
        if ((int)i != weight && !same_value(&a->values[i], &b->values[i])) return false;
    return true;
}

gr_status gr_regularizer_check(const gr_fit *fit, const gr_settings *regularizers, size_t index,
                               gr_error *error) {
    const gr_settings *settings = &regularizers[index];
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
    gr_status status = kind->check ? kind->check(settings, fit, error) : GR_OK;
    for (size_t j = 0; status == GR_OK && j < index; j++)
        if (is_repeated(settings, &regularizers[j]))
            status = gr_fail_at(error, GR_INVALID, "/type",
                                "this is /regularizers/%zu again, weight aside: give it once, "
                                "with the sum of the weights",
                                j);
    const int ramp = gr_kind_option(&kind->kind, "ramp");
    if (status == GR_OK && ramp >= 0 && !gr_is_null(settings, ramp)) {
        size_t ends;
        const double *shares = gr_numbers(settings, ramp, &ends);
        if (ends != 2 || shares[0] >= shares[1])
            status = gr_fail_at(error, GR_INVALID, "/ramp",
                                "ramp is [begin, end] with begin before end");
    }
    if (status != GR_OK) gr_error_prefix_place(error, "/regularizers/%zu", index);
    return status;
}
