#include "server/metric_names.h"

#include <string.h>

#include "server/nearest.h"

const char *const usual_metrics[] = {
    "train_loss",    "train_objective", "train_accuracy", "validation_loss", "validation_accuracy",
    "test_accuracy", "test_loss",       "best_iteration", "stopped_early",   "penalty.0"};
const size_t usual_metric_count = sizeof usual_metrics / sizeof *usual_metrics;

static const char *const times[] = {"elapsed_seconds", "cpu_seconds"};
enum { TIMES = sizeof times / sizeof *times };

static const char *without_best(const char *name) {
    return strncmp(name, "best.", 5) == 0 ? name + 5 : name;
}

bool metric_is_possible(const char *name, const char **nearest) {
    const char *own = without_best(name);
    const char *names[sizeof usual_metrics / sizeof *usual_metrics + TIMES];
    size_t count = 0;
    *nearest = NULL;
    for (size_t i = 0; i < usual_metric_count; i++) names[count++] = usual_metrics[i];
    for (size_t i = 0; own == name && i < TIMES; i++) names[count++] = times[i];
    for (size_t i = 0; i < count; i++)
        if (strcmp(own, names[i]) == 0) return true;
    if (strchr(own, '.')) return true;
    *nearest = nearest_name(own, names, count);
    return false;
}

gr_status metric_check(const char *parameter, const char *name, gr_error *error) {
    const char *nearest;
    if (!name || metric_is_possible(name, &nearest)) return GR_OK;
    return gr_fail(error, GR_INVALID,
                   "the query parameter \"%s\": no metric is called \"%.80s\"%s%s%s", parameter,
                   name, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

bool metric_is_evaluated(const char *name) {
    const char *own = without_best(name);
    return strncmp(own, "train_", 6) == 0 || strncmp(own, "validation_", 11) == 0 ||
           strncmp(own, "penalty.", 8) == 0;
}
