/* gradreg run: trains one spec here, without a server. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/analysis.h"
#include "server/clock.h"
#include "server/command_line.h"
#include "server/command_problems.h"
#include "server/commands.h"
#include "server/experiment_setup.h"
#include "server/files.h"
#include "server/initial_model.h"
#include "server/paths.h"
#include "server/progress_bar.h"

static const char usage[] =
    "usage: gradreg run SPEC.json [--data-dir DIR] [--out MODEL.safetensors]\n"
    "                   [--metrics METRICS.jsonl] [--analysis RESULT.json]\n"
    "\n"
    "  SPEC.json          the experiment; -: from standard input\n"
    "  --data-dir DIR     where the data sets are (GRADREG_DATA_DIR, else ./data)\n"
    "  --out MODEL        gets the trained parameters, with standardisation and spec as metadata\n"
    "  --metrics METRICS  gets one JSON object for each evaluation\n"
    "  --analysis RESULT  gets what the spec's \"analysis\" asks for, as JSON\n";

enum { MAXIMUM_SPEC_FILE = 16 << 20, SIGNAL_STATUS = 128 };
static const double redraw_seconds = 0.1;
static const double rate_seconds = 3; /* the rate shown is an average over about so long */

static volatile sig_atomic_t interrupted; /* the signal, or 0 */

static void interrupt(int number) {
    interrupted = number;
}

struct arguments {
    const char *spec, *data_directory, *out, *metrics, *analysis;
};

struct session {
    const experiment_setup *setup;
    gr_training *training;
    FILE *metrics; /* NULL: not wanted */
    const char *metrics_path;
    cJSON *latest; /* metric name → value */
    bool bar;      /* standard error is a terminal */
    bool lines;    /* each evaluation is a line on standard output */
    double started, drawn, rate;
    int64_t drawn_iteration;
    int drawn_lines;
};

/* -- showing
 * -------------------------------------------------------------------------------------------- */

static double latest(const struct session *session, const char *name) {
    double value;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(session->latest, name);
    return item && json_to_double(item, &value) ? value : NAN;
}

static void draw(struct session *session, bool last) {
    const double time = clock_seconds();
    if (!session->bar || (!last && time - session->drawn < redraw_seconds)) return;
    const int64_t iteration = gr_training_iteration(session->training);
    const int64_t iterations = gr_training_iterations(session->training);
    const double passed = time - session->drawn;
    if (passed > 0) {
        const double rate = (double)(iteration - session->drawn_iteration) / passed;
        const double share = session->rate > 0 ? 1 - exp(-passed / rate_seconds) : 1;
        session->rate += share * (rate - session->rate);
    }
    session->drawn = time;
    session->drawn_iteration = iteration;
    const progress_bar bar = {
        .label = session->setup->spec->name,
        .iteration = iteration,
        .iterations = iterations,
        .iterations_per_second = session->rate,
        .eta_seconds = session->rate > 0 ? (double)(iterations - iteration) / session->rate : NAN,
        .loss = latest(session, "train_loss"),
        .accuracy = latest(session, "validation_accuracy")};
    progress_bar_draw(stderr, &bar, 1, &session->drawn_lines);
}

static void print_rows(const gr_metric *rows, size_t count) {
    printf("iteration %lld:", (long long)rows[0].iteration);
    for (size_t i = 0; i < count; i++) printf(" %s %.6g", rows[i].name, rows[i].value);
    printf("\n");
    fflush(stdout);
}

static void print_end(const struct session *session) {
    const double seconds = clock_seconds() - session->started;
    const int64_t iterations = gr_training_iteration(session->training);
    printf("%lld iterations in %.1f s, %.1f a second\n", (long long)iterations, seconds,
           (double)iterations / fmax(seconds, 1e-9));
    for (const cJSON *item = session->latest->child; item; item = item->next) {
        double value = NAN;
        json_to_double(item, &value);
        printf("%-24s %.6g\n", item->string, value);
    }
}

/* -- metrics
 * -----------------------------------------------------------------------------------------------
 */

static gr_status write_rows(const struct session *session, const gr_metric *rows, size_t count,
                            gr_error *error) {
    cJSON *object = cJSON_CreateObject();
    bool good =
        object && cJSON_AddItemToObject(object, "iteration", json_integer(rows[0].iteration));
    for (size_t i = 0; good && i < count; i++)
        good = cJSON_AddItemToObject(object, rows[i].name, json_number(rows[i].value));
    char *text = good ? json_text(object) : NULL;
    cJSON_Delete(object);
    if (!text) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for metrics");
    good = fprintf(session->metrics, "%s\n", text) > 0 && fflush(session->metrics) == 0;
    free(text);
    if (!good)
        return gr_fail(error, GR_IO, "%s: cannot be written: %s", session->metrics_path,
                       strerror(errno));
    return GR_OK;
}

static gr_status take_rows(struct session *session, const gr_metric *rows, size_t count,
                           gr_error *error) {
    if (count == 0) return GR_OK;
    for (size_t i = 0; i < count; i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(session->latest, rows[i].name);
        if (!cJSON_AddItemToObject(session->latest, rows[i].name, json_number(rows[i].value)))
            return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for metrics");
    }
    if (session->lines) print_rows(rows, count);
    return session->metrics ? write_rows(session, rows, count, error) : GR_OK;
}

static gr_status take_metrics(struct session *session, gr_error *error) {
    size_t count;
    const gr_metric *rows = gr_training_metrics(session->training, &count);
    return take_rows(session, rows, count, error);
}

/* -- training
 * ---------------------------------------------------------------------------------------------- */

static gr_status train(struct session *session, gr_error *error) {
    session->started = session->drawn = clock_seconds();
    for (gr_progress progress = GR_PROGRESS_ITERATION; progress != GR_PROGRESS_FINISHED;) {
        GR_TRY(gr_training_advance(session->training, &progress, error));
        if (progress == GR_PROGRESS_METRICS) GR_TRY(take_metrics(session, error));
        if (interrupted) return GR_CONFLICT;
        draw(session, false);
    }
    return GR_OK;
}

static bool is_interrupted(void *context) {
    (void)context;
    return interrupted;
}

/* What the spec's "analysis" asks for, of the trained model. */
static gr_status analyse(struct session *session, const char *path, gr_error *error) {
    analysis_result result;
    if (!analysis_is_wanted(session->setup)) return GR_OK;
    GR_TRY(analysis_of_training(session->setup, session->training, is_interrupted, NULL, &result,
                                error));
    gr_status status = take_rows(session, result.rows, result.count, error);
    if (status == GR_OK && path)
        status = file_replace(path, result.text, strlen(result.text), error);
    analysis_clear(&result);
    return status;
}

static gr_status open_outputs(const struct arguments *arguments, struct session *session,
                              gr_error *error) {
    if (arguments->out) GR_TRY(file_check_replaceable(arguments->out, error));
    if (arguments->analysis) {
        if (!analysis_is_wanted(session->setup))
            return gr_fail(error, GR_INVALID,
                           "--analysis: the spec asks for no analysis: give it the member "
                           "\"analysis\"");
        GR_TRY(file_check_replaceable(arguments->analysis, error));
    }
    if (arguments->metrics) {
        session->metrics = fopen(arguments->metrics, "we");
        session->metrics_path = arguments->metrics;
        if (!session->metrics)
            return gr_fail(error, GR_IO, "%s: cannot be written: %s", arguments->metrics,
                           strerror(errno));
    }
    session->latest = cJSON_CreateObject();
    if (!session->latest) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for metrics");
    return GR_OK;
}

static int run_session(const struct arguments *arguments, const experiment_setup *setup) {
    gr_error error = {0};
    struct session session = {.setup = setup,
                              .bar = progress_bar_columns(stderr) > 0,
                              .lines = !isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO)};
    gr_status status = open_outputs(arguments, &session, &error);
    if (status == GR_OK)
        status = gr_training_create(&setup->plan, setup->dataset, &session.training, &error);
    if (status == GR_OK) status = initial_model_apply(setup, NULL, session.training, &error);
    /* A second interrupt ends at once. */
    const struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (status == GR_OK) {
        printf("%s: %lld parameters, %lld iterations\n", setup->spec->name,
               (long long)setup->estimate.parameters, (long long)setup->iterations);
        fflush(stdout);
        status = train(&session, &error);
        draw(&session, true);
    }
    if (status == GR_OK) status = analyse(&session, arguments->analysis, &error);
    if (status == GR_OK) print_end(&session);
    if (status == GR_OK && arguments->out)
        status = experiment_write_model(setup, session.training, arguments->out, &error);
    if (status == GR_OK && arguments->out) printf("wrote %s\n", arguments->out);
    if (status == GR_OK && arguments->analysis) printf("wrote %s\n", arguments->analysis);
    int result = status == GR_OK ? 0 : 1;
    if (interrupted && status == GR_CONFLICT) {
        fprintf(stderr, "gradreg run: interrupted at iteration %lld; no model was written\n",
                (long long)gr_training_iteration(session.training));
        result = SIGNAL_STATUS + interrupted;
    } else if (status != GR_OK) {
        command_print_error("run", &error);
    }
    if (session.metrics && fclose(session.metrics) != 0 && result == 0) {
        fprintf(stderr, "gradreg run: %s: cannot be written: %s\n", session.metrics_path,
                strerror(errno));
        result = 1;
    }
    cJSON_Delete(session.latest);
    gr_training_free(session.training);
    return result;
}

/* -- the command
 * ------------------------------------------------------------------------------------------- */

static gr_status read_spec(const char *path, void **text, size_t *length, gr_error *error) {
    if (strcmp(path, "-") == 0) return file_read_input(MAXIMUM_SPEC_FILE, text, length, error);
    return file_read(path, MAXIMUM_SPEC_FILE, text, length, error);
}

static int run(const struct arguments *arguments) {
    gr_error error = {0};
    void *text = NULL;
    size_t length;
    if (read_spec(arguments->spec, &text, &length, &error) != GR_OK) {
        command_print_error("run", &error);
        return 1;
    }
    data_cache *data = data_cache_create(paths_data_directory(arguments->data_directory));
    int result = 1;
    problems found = {0};
    experiment_setup setup = {0};
    if (!data) {
        fputs("gradreg run: no memory for the data sets\n", stderr);
    } else if (experiment_setup_check(text, length, data, &setup, NULL, &found, &error) == GR_OK) {
        result = run_session(arguments, &setup);
    } else if (found.kept) {
        command_print_problems("run", &found);
    } else {
        command_print_error("run", &error);
    }
    problems_clear(&found);
    experiment_setup_clear(&setup);
    data_cache_free(data);
    free(text);
    return result;
}

int command_run(int argc, char **argv) {
    struct arguments arguments = {0};
    const command_option options[] = {{"data-dir", .text = &arguments.data_directory},
                                      {"out", .text = &arguments.out},
                                      {"metrics", .text = &arguments.metrics},
                                      {"analysis", .text = &arguments.analysis},
                                      {0}};
    command_operands operands;
    const int early = command_line(argc, argv, usage, options, 1, 1, &operands);
    if (early >= 0) return early;
    arguments.spec = operands.items[0];
    return run(&arguments);
}
