/* lenet and lenet_tuned: LeCun et al. 1998 with ReLU, max-pooling, and dropout or batch
 * normalisation before the last layer. */
#include "core/model.h"

enum { DROPOUT, BATCHNORM };
static const gr_option options[] = {
    [DROPOUT] = {.name = "dropout",
                 .help = "rate of the dropout layer before the last one; 0: no such layer; null: "
                         "0.5, or none where batchnorm takes its place",
                 .accepts = GR_ACCEPT(GR_NUMBER) | GR_ACCEPT(GR_NULL),
                 .minimum = 0,
                 .maximum = 1,
                 .maximum_excluded = true,
                 .default_json = "null"},
    [BATCHNORM] = {.name = "batchnorm",
                   .help = "batch normalisation in the place of the dropout layer",
                   .accepts = GR_ACCEPT(GR_BOOLEAN),
                   .default_json = "false"},
};

static gr_status lenet(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                       int64_t first, int64_t second, gr_layer_list *list, gr_error *error) {
    if (input->rank != 3)
        return gr_fail_at(error, GR_INVALID, "/preset",
                          "%s needs images, and this data set has vectors: use mlp",
                          settings->kind->name);
    const bool batchnorm = gr_boolean(settings, BATCHNORM);
    const double dropout = !gr_is_null(settings, DROPOUT) ? gr_number(settings, DROPOUT)
                           : batchnorm                    ? 0
                                                          : 0.5;
    if (batchnorm && dropout > 0)
        return gr_fail_at(error, GR_INVALID, "/dropout",
                          "batchnorm takes the place of the dropout layer: leave one of the two "
                          "out, or write the layers out");
    gr_layer_list_add_conv2d(list, first, 5, 1, 2);
    gr_layer_list_add(list, &gr_layer_relu, NULL);
    gr_layer_list_add(list, &gr_layer_maxpool2d, NULL);
    gr_layer_list_add_conv2d(list, second, 5, 1, 0);
    gr_layer_list_add(list, &gr_layer_relu, NULL);
    gr_layer_list_add(list, &gr_layer_maxpool2d, NULL);
    gr_layer_list_add_conv2d(list, 120, 5, 1, 0);
    gr_layer_list_add(list, &gr_layer_relu, NULL);
    gr_layer_list_add(list, &gr_layer_flatten, NULL);
    gr_layer_list_add_linear(list, 84);
    gr_layer_list_add(list, &gr_layer_relu, NULL);
    if (batchnorm) gr_layer_list_add(list, &gr_layer_batchnorm, NULL);
    if (dropout > 0) gr_layer_list_add_dropout(list, dropout);
    gr_layer_list_add_linear(list, outputs);
    return GR_OK;
}

static gr_status expand(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                        gr_layer_list *list, gr_error *error) {
    return lenet(settings, input, outputs, 6, 16, list, error);
}

static gr_status expand_tuned(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                              gr_layer_list *list, gr_error *error) {
    return lenet(settings, input, outputs, 32, 64, list, error);
}

const gr_model_kind gr_model_lenet = {
    .kind = {.name = "lenet",
             .help = "LeNet with 6, 16 and 120 filters and 84 units (61,706 parameters on MNIST)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .expand = expand,
};

const gr_model_kind gr_model_lenet_tuned = {
    .kind = {.name = "lenet_tuned",
             .help = "LeNet with 32, 64 and 120 filters and 84 units (255,230 parameters on MNIST)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .expand = expand_tuned,
};
