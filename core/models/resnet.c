/* resnet {width, blocks, batchnorm}: He et al. 2016, §4.2, for small images:
 * three stages of post-activation blocks with 16, 32 and 64 filters (times the width), the second
 * and third at half the resolution, where the shortcut is a 2×2 average pool and channels of zeros.
 */
#include "core/model.h"

enum { STAGES = 3, FILTERS = 16 };

enum { WIDTH, BLOCKS, BATCHNORM };
static const gr_option options[] = {
    [WIDTH] = {.name = "width",
               .help = "factor of the numbers of filters 16, 32 and 64",
               .accepts = GR_ACCEPT(GR_INTEGER),
               .minimum = 1,
               .maximum = 64,
               .default_json = "1"},
    [BLOCKS] = {.name = "blocks",
                .help = "residual blocks in each of the three stages; 3: ResNet-20",
                .accepts = GR_ACCEPT(GR_INTEGER),
                .minimum = 1,
                .maximum = 100,
                .default_json = "3"},
    [BATCHNORM] = {.name = "batchnorm",
                   .help = "batch normalisation after each convolution",
                   .accepts = GR_ACCEPT(GR_BOOLEAN),
                   .default_json = "true"},
};

static void add_convolution(const gr_settings *settings, gr_layer_list *list, int64_t filters,
                            int64_t stride) {
    gr_layer_list_add_conv2d(list, filters, 3, stride, 1);
    if (gr_boolean(settings, BATCHNORM)) gr_layer_list_add(list, &gr_layer_batchnorm, NULL);
}

/* A block that makes `filters` channels; `first`: of a stage that halves the resolution. */
static void add_block(const gr_settings *settings, gr_layer_list *list, int64_t filters,
                      bool first) {
    gr_layer_list body = {0}, shortcut = {0};
    add_convolution(settings, &body, filters, first ? 2 : 1);
    gr_layer_list_add(&body, &gr_layer_relu, NULL);
    add_convolution(settings, &body, filters, 1);
    if (first) {
        gr_layer_list_add(&shortcut, &gr_layer_avgpool2d,
                          (gr_layer_value[]){{"size", 2}, {NULL, 0}});
        gr_layer_list_add(&shortcut, &gr_layer_pad_channels,
                          (gr_layer_value[]){{"channels", (double)filters}, {NULL, 0}});
    }
    gr_layer_list_add_residual(list, &body, &shortcut);
    gr_layer_list_add(list, &gr_layer_relu, NULL);
}

static gr_status expand(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                        gr_layer_list *list, gr_error *error) {
    const int64_t width = gr_integer(settings, WIDTH), blocks = gr_integer(settings, BLOCKS);
    if (input->rank != 3)
        return gr_fail_at(error, GR_INVALID, "/preset",
                          "resnet needs images, and this data set has vectors: use mlp");
    if (input->size[1] % 4 || input->size[2] % 4)
        return gr_fail_at(error, GR_INVALID, "/preset",
                          "resnet halves the image twice, and %lldx%lld pixels are no multiple of "
                          "4: use lenet or layers",
                          (long long)input->size[1], (long long)input->size[2]);
    add_convolution(settings, list, FILTERS * width, 1);
    gr_layer_list_add(list, &gr_layer_relu, NULL);
    for (int64_t stage = 0; stage < STAGES; stage++)
        for (int64_t block = 0; block < blocks; block++)
            add_block(settings, list, (FILTERS * width) << stage, stage > 0 && block == 0);
    gr_layer_list_add(list, &gr_layer_global_avgpool2d, NULL);
    gr_layer_list_add(list, &gr_layer_flatten, NULL);
    gr_layer_list_add_linear(list, outputs);
    return GR_OK;
}

const gr_model_kind gr_model_resnet = {
    .kind = {.name = "resnet",
             .help = "residual network for small images (He et al. 2016; 270,410 parameters on "
                     "CIFAR-10, 2,414,794 with width 3)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .expand = expand,
};
