/* function: what was fitted, at the test points of a regression of one or two inputs (the grid of
 * the toy tasks), with the truth there and the training points; inputs as they were before they
 * were standardised. */
#include "core/analysis.h"
#include "core/data/split_content.h"

static gr_status check(const gr_settings *settings, const gr_fit *fit, const gr_split *split,
                       gr_error *error) {
    (void)settings;
    const int64_t features = gr_network_features(fit->network, 0);
    if (!fit->labels && features <= 2 && gr_network_outputs(fit->network) == 1) return GR_OK;
    return gr_fail(error, GR_INVALID,
                   "%s is no regression of one or two inputs and one output, which could be drawn: "
                   "leave function out",
                   gr_dataset_describe(split->dataset)->name);
}

static gr_status put_part(gr_trained *t, gr_part part, const char *const paths[3],
                          gr_error *error) {
    const int64_t count = gr_split_size(t->split, part);
    double *outputs, *targets;
    void *data;
    GR_TRY(gr_put(t, paths[0], GR_F64, &(gr_shape){2, {count, t->features}}, &data, error));
    GR_TRY(gr_put_list(t, paths[1], count, &targets, error));
    GR_TRY(gr_put_list(t, paths[2], count, &outputs, error));
    double *inputs = data;
    for (int64_t first = 0; first < count; first += t->samples) {
        GR_TRY(gr_trained_go_on(t, error));
        gr_trained_fill(t, part, first, count);
        gr_trained_forward(t);
        for (int64_t s = 0; s < t->samples; s++) {
            for (int64_t f = 0; f < t->features; f++)
                inputs[(first + s) * t->features + f] =
                    gr_trained_mean(t, f) +
                    gr_trained_deviation(t, f) * (double)t->x[f * t->samples + s];
            targets[first + s] = (double)t->targets[s];
            outputs[first + s] = (double)t->z[s];
        }
    }
    return GR_OK;
}

static gr_status run(const gr_settings *settings, gr_trained *t, gr_error *error) {
    (void)settings;
    static const char *const grid[] = {"function/grid/inputs", "function/grid/truth",
                                       "function/grid/fitted"};
    static const char *const training[] = {"function/training/inputs", "function/training/targets",
                                           "function/training/fitted"};
    GR_TRY(put_part(t, GR_PART_TEST, grid, error));
    return put_part(t, GR_PART_TRAINING, training, error);
}

const gr_analysis_kind gr_analysis_function = {
    .kind = {.name = "function",
             .help = "the fitted function at the test points, with the truth and the training "
                     "points"},
    .check = check,
    .run = run,
};
