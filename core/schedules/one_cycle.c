/* one_cycle {peak, start, end, annealing}: up from the start factor to 1, then down to the end
 * factor (Smith & Topin 2018), with the iterations and defaults of PyTorch's OneCycleLR: the top is
 * iteration peak·T - 1, the end factor that of the last iteration, T - 1. */
#include <math.h>

#include "core/optimizer.h"

enum { PEAK, START, END, ANNEALING, WARMUP };
enum { ANNEALING_COSINE, ANNEALING_LINEAR };
static const char *const annealings[] = {"cosine", "linear", NULL};
static const gr_option options[] = {
    [PEAK] = {.name = "peak",
              .help = "share of the iterations in which the learning rate rises",
              .accepts = GR_ACCEPT(GR_NUMBER),
              .minimum = 0,
              .maximum = 1,
              .minimum_excluded = true,
              .maximum_excluded = true,
              .default_json = "0.3"},
    [START] = {.name = "start",
               .help = "the factor at the beginning",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1,
               .default_json = "0.04"},
    [END] = {.name = "end",
             .help = "the factor at the end",
             .accepts = GR_ACCEPT(GR_NUMBER),
             .minimum = 0,
             .maximum = 1,
             .default_json = "4e-6"},
    [ANNEALING] = {.name = "annealing",
                   .help = "the shape of both flanks",
                   .accepts = GR_ACCEPT(GR_CHOICE),
                   .choices = annealings,
                   .default_json = "\"cosine\""},
    [WARMUP] = GR_WARMUP_OPTION,
};

static double flank(int annealing, double from, double to, double share) {
    if (annealing == ANNEALING_COSINE) share = (1 - cos(acos(-1) * share)) / 2;
    return from + (to - from) * share;
}

static double factor(const gr_settings *settings, int64_t iteration, int64_t iterations) {
    const double at = (double)iteration, last = (double)iterations - 1;
    /* A rise shorter than an iteration is none. */
    const double top = fmax(gr_number(settings, PEAK) * (double)iterations - 1, 0);
    const int annealing = gr_choice(settings, ANNEALING);
    if (at < top) return flank(annealing, gr_number(settings, START), 1, at / top);
    if (at <= top) return 1;
    return flank(annealing, 1, gr_number(settings, END), (at - top) / (last - top));
}

const gr_schedule_kind gr_schedule_one_cycle = {
    .kind = {.name = "one_cycle",
             .help = "up to the learning rate and down again (Smith & Topin 2018)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .factor = factor,
};
