/* mlp {widths, activation, dropout}, and toy: the paper's network for its regression tasks. */
#include "core/model.h"

enum { MAXIMUM_HIDDEN_LAYERS = 100 };

enum { WIDTHS, ACTIVATION, DROPOUT };
static const char *const activations[] = {"relu",     "tanh", "leaky_relu", "sigmoid",
                                          "softplus", "elu",  NULL};
static const gr_layer_kind *const activation_kinds[] = {&gr_layer_relu,       &gr_layer_tanh,
                                                        &gr_layer_leaky_relu, &gr_layer_sigmoid,
                                                        &gr_layer_softplus,   &gr_layer_elu};
static const gr_option options[] = {
    [WIDTHS] = {.name = "widths",
                .help = "units of each hidden layer",
                .accepts = GR_ACCEPT(GR_NUMBERS),
                .minimum = 1,
                .maximum = 65536,
                .default_json = "[200, 200]"},
    [ACTIVATION] = {.name = "activation",
                    .help = "what follows each hidden layer, with its defaults",
                    .accepts = GR_ACCEPT(GR_CHOICE),
                    .choices = activations,
                    .default_json = "\"relu\""},
    [DROPOUT] = {.name = "dropout",
                 .help = "rate of the dropout layer before the last one; 0: no such layer",
                 .accepts = GR_ACCEPT(GR_NUMBER),
                 .minimum = 0,
                 .maximum = 1,
                 .maximum_excluded = true,
                 .default_json = "0"},
};

static gr_status expand(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                        gr_layer_list *list, gr_error *error) {
    size_t count;
    const double *widths = gr_numbers(settings, WIDTHS, &count);
    if (count > MAXIMUM_HIDDEN_LAYERS)
        return gr_fail_at(error, GR_INVALID, "/widths", "%zu hidden layers; at most %d are allowed",
                          count, MAXIMUM_HIDDEN_LAYERS);
    if (input->rank != 1) gr_layer_list_add(list, &gr_layer_flatten, NULL);
    for (size_t i = 0; i < count; i++) {
        if (widths[i] != (double)(int64_t)widths[i])
            return gr_fail_at(error, GR_INVALID, "/widths", "widths must be whole numbers");
        gr_layer_list_add_linear(list, (int64_t)widths[i]);
        gr_layer_list_add(list, activation_kinds[gr_choice(settings, ACTIVATION)], NULL);
    }
    if (gr_number(settings, DROPOUT) > 0)
        gr_layer_list_add_dropout(list, gr_number(settings, DROPOUT));
    gr_layer_list_add_linear(list, outputs);
    return GR_OK;
}

const gr_model_kind gr_model_mlp = {
    .kind = {.name = "mlp",
             .help = "fully connected hidden layers",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .expand = expand,
};

static const gr_alias_value toy_values[] = {{"widths", "[64, 64, 64, 64, 64]"},
                                            {"activation", "\"relu\""}};
const gr_kind gr_model_toy = {
    .name = "toy",
    .help = "five hidden ReLU layers of 64 units, for the paper's regression tasks",
    .alias_of = &gr_model_mlp.kind,
    .alias_values = toy_values,
    .alias_value_count = sizeof toy_values / sizeof *toy_values};
