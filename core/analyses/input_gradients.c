/* input_gradients {count, positions}: pictures of ∂ℓ/∂x at test images (Ross & Doshi-Velez 2018),
 * each beside its image: bytes for the image, -127 … 127 for the gradient, times its `scale`. */
#include <math.h>
#include <string.h>

#include "core/analysis.h"
#include "core/data/split_content.h"

enum { COUNT, POSITIONS };
static const gr_option options[] = {
    [COUNT] = {.name = "count",
               .help = "test images, evenly spread over the test set",
               .accepts = GR_ACCEPT(GR_INTEGER),
               .minimum = 1,
               .maximum = 100,
               .default_json = "10"},
    [POSITIONS] = {.name = "positions",
                   .help = "which test images, from 0, instead of evenly spread ones; null: those",
                   .accepts = GR_ACCEPT(GR_NUMBERS) | GR_ACCEPT(GR_NULL),
                   .minimum = 0,
                   .maximum = 9007199254740991.0,
                   .default_json = "null"},
};
enum { MAXIMUM_PICTURES = 100 };

static gr_status check(const gr_settings *settings, const gr_fit *fit, const gr_split *split,
                       gr_error *error) {
    const gr_shape *shape = gr_network_input(fit->network);
    if (shape->rank != 3 || (shape->size[0] != 1 && shape->size[0] != 3))
        return gr_fail(error, GR_INVALID,
                       "the inputs of %s are no pictures of one or three channels: leave "
                       "input_gradients out",
                       gr_dataset_describe(split->dataset)->name);
    if (gr_is_null(settings, POSITIONS)) return GR_OK;
    size_t count;
    const double *positions = gr_numbers(settings, POSITIONS, &count);
    if (count < 1 || count > MAXIMUM_PICTURES)
        return gr_fail_at(error, GR_INVALID, "/positions", "%zu numbers; 1 to %d are needed", count,
                          MAXIMUM_PICTURES);
    for (size_t i = 0; i < count; i++)
        if (positions[i] != floor(positions[i]))
            return gr_fail_at(error, GR_INVALID, "/positions", "%.6g is no whole number",
                              positions[i]);
    const int64_t size = gr_split_size(split, GR_PART_TEST);
    for (size_t i = 0; i < count; i++)
        if (positions[i] >= (double)size)
            return gr_fail_at(error, GR_INVALID, "/positions",
                              "there are %lld test samples, and none at %.16g: give numbers below "
                              "that",
                              (long long)size, positions[i]);
    return GR_OK;
}

/* Where the results go: [pictures] and [pictures][features]. */
typedef struct sheet {
    int64_t count;
    int64_t *positions, *labels, *classes;
    double *scales, *losses;
    uint8_t *images;
    int32_t *gradients;
} sheet;

static gr_status put_sheet(gr_trained *t, sheet *s, gr_error *error) {
    const gr_shape *in = gr_network_input(t->network);
    const gr_shape list = {1, {s->count}};
    const gr_shape pictures = {4, {s->count, in->size[0], in->size[1], in->size[2]}};
    void *data;
#define PUT(member, type, shape)                                              \
    GR_TRY(gr_put(t, "input_gradients/" #member, type, shape, &data, error)); \
    s->member = data
    PUT(positions, GR_I64, &list);
    PUT(labels, GR_I64, &list);
    PUT(classes, GR_I64, &list);
    PUT(losses, GR_F64, &list);
    PUT(scales, GR_F64, &list);
    PUT(images, GR_U8, &pictures);
    PUT(gradients, GR_I32, &pictures);
#undef PUT
    return GR_OK;
}

/* Of what is no bytes, the range of the picture itself. */
static void picture(const gr_trained *t, int64_t s, uint8_t *to) {
    double low = INFINITY, high = -INFINITY, bounds[2];
    for (int64_t f = 0; f < t->features; f++) {
        low = fmin(low, (double)t->x[f * t->samples + s]);
        high = fmax(high, (double)t->x[f * t->samples + s]);
    }
    for (int64_t f = 0; f < t->features; f++) {
        if (!gr_trained_byte_range(t, f, &bounds[0], &bounds[1])) bounds[0] = low, bounds[1] = high;
        const double width = bounds[1] > bounds[0] ? bounds[1] - bounds[0] : 1;
        const double level = ((double)t->x[f * t->samples + s] - bounds[0]) / width;
        to[f] = (uint8_t)(255 * fmin(fmax(level, 0), 1) + 0.5);
    }
}

static double gradient(const gr_trained *t, int64_t s, const gr_real *g, int32_t *to) {
    double greatest = 0;
    for (int64_t f = 0; f < t->features; f++)
        greatest = fmax(greatest, fabs((double)g[f * t->samples + s]));
    for (int64_t f = 0; f < t->features; f++)
        to[f] = greatest > 0 ? (int32_t)lround(127 * (double)g[f * t->samples + s] / greatest) : 0;
    return greatest / 127;
}

static void choose(const gr_trained *t, const gr_settings *settings, sheet *s) {
    const int64_t size = gr_split_size(t->split, GR_PART_TEST);
    size_t given;
    for (int64_t i = 0; i < s->count; i++)
        s->positions[i] = gr_is_null(settings, POSITIONS)
                              ? gr_spread(i, s->count, size)
                              : (int64_t)gr_numbers(settings, POSITIONS, &given)[i];
}

static gr_status run(const gr_settings *settings, gr_trained *t, gr_error *error) {
    size_t given = 0;
    if (!gr_is_null(settings, POSITIONS)) gr_numbers(settings, POSITIONS, &given);
    sheet s = {.count = given ? (int64_t)given
                              : gr_trained_count(t, GR_PART_TEST, gr_integer(settings, COUNT))};
    GR_TRY(put_sheet(t, &s, error));
    choose(t, settings, &s);
    for (int64_t first = 0; first < s.count; first += t->samples) {
        GR_TRY(gr_trained_go_on(t, error));
        t->samples = s.count - first < t->capacity ? s.count - first : t->capacity;
        gr_split_fill(t->split, GR_PART_TEST, s.positions + first, t->samples, false, t->x,
                      t->labels, t->targets);
        gr_trained_forward(t);
        gr_trained_loss(t);
        const gr_real *g = gr_trained_loss_gradient(t);
        for (int64_t i = 0; i < t->samples; i++) {
            const int64_t at = first + i;
            s.labels[at] = t->labels[i];
            s.classes[at] = t->classes[i];
            s.losses[at] = (double)t->losses[i];
            picture(t, i, s.images + at * t->features);
            s.scales[at] = gradient(t, i, g, s.gradients + at * t->features);
        }
    }
    return GR_OK;
}

const gr_analysis_kind gr_analysis_input_gradients = {
    .kind = {.name = "input_gradients",
             .help = "pictures of the loss's input gradient at test images (Ross & Doshi-Velez "
                     "2018)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .run = run,
};
