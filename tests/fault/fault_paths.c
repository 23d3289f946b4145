/* Every allocation and every file operation on the way from a submission to a trained model, and to
 * the answers about it, fails once, one after the other; then from one on all of them. Each time:
 * an error that says so or a full success, no crash, no leak (under AddressSanitizer), nothing half
 * done; and the service goes on.
 *
 *   fault_paths [EVERY [SCENARIO]]   only every EVERY-th of them (1) */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/api.h"
#include "server/worker_run.h"
#include "tests/fault/faults.h"

#define SPEC                                                                                       \
    "{\"seed\": 3, \"tags\": {\"a\": \"b\"}, \"dataset\": {\"name\": \"moons\", \"train_size\": "  \
    "40, \"validation_size\": 20}, \"model\": {\"layers\": [{\"type\": \"linear\", \"units\": 5}," \
    " {\"type\": \"tanh\"}, {\"type\": \"dropout\", \"rate\": 0.1}, {\"type\": \"linear\", "       \
    "\"units\": 2}]}, \"regularizers\": [{\"type\": \"datagrad\", \"weight\": 0.1}], "             \
    "\"training\": {\"iterations\": 6, \"batch_size\": 10, \"evaluate_every\": 3, "                \
    "\"checkpoint_every\": 2, \"keep\": \"best\"}}"

#define LABELS                                                                                    \
    "\"adjust\": [{\"when\": {\"weight\": \"high\"}, \"set\": {\"/training/iterations\": 5}}], "  \
    "\"axes\": [{\"name\": \"weight\", \"pointer\": \"/regularizers/0/weight\", \"values\": [0, " \
    "{\"label\": \"high\", \"value\": 0.3}]}]"
#define RANGE                                                                              \
    "\"axes\": [{\"pointer\": \"/regularizers/0/weight\", \"range\": {\"minimum\": 0.01, " \
    "\"maximum\": 1, \"scale\": \"log\"}}]"
#define SWEEP(parts)                                                                              \
    "{\"name\": \"s\", \"base\": {\"dataset\": {\"name\": \"moons\", \"train_size\": 40, "        \
    "\"validation_size\": 20}, \"model\": {\"layers\": [{\"type\": \"linear\", \"units\": 2}]}, " \
    "\"regularizers\": [{\"type\": \"datagrad\", \"weight\": 0.1}], \"training\": "               \
    "{\"iterations\": 4, "                                                                        \
    "\"batch_size\": 10, \"evaluate_every\": 2}}, \"repeats\": 2, " parts "}"
enum { SWEEP_EXPERIMENTS = 4 };
#define GRID SWEEP("\"baseline\": {\"weight\": \"0\"}, " LABELS)

static char directory[4096];
static store *opened;
static struct api service;
static int problems_found;
static const char *scenario_name;
static fault_kind kind;
static long number;
static bool all;

static void complain(const char *what, const char *detail) {
    problems_found++;
    printf("FAILED: %s, %s of call %ld of the %s (%s): %s: %s\n", scenario_name,
           all ? "failure from" : "failure", number, kind == FAULT_MEMORY ? "allocations" : "files",
           faults_function(), what, detail);
    fflush(stdout);
}

static void must(gr_status status, const gr_error *error, const char *what) {
    if (status == GR_OK) return;
    printf("FAILED without a fault: %s: %s\n", what, error->message);
    exit(1);
}

static void open_service(void) {
    gr_error error = {0};
    must(store_open(directory, &opened, &error), &error, "store_open");
    service.store = opened;
    service.data = data_cache_create(directory);
    service.events = events_create();
    must(workers_start(opened, service.data, service.events, 0, &service.workers, &error), &error,
         "workers_start");
    atomic_store(&service.ready, true);
}

static void close_service(void) {
    workers_stop(service.workers);
    store_close(opened);
    data_cache_free(service.data);
    events_free(service.events);
}

static int64_t total(void) {
    int64_t counts[STATE_COUNT], sum = 0;
    gr_error error = {0};
    must(store_counts(opened, counts, &error), &error, "store_counts");
    for (int i = 0; i < STATE_COUNT; i++) sum += counts[i];
    return sum;
}

/* -- submission: through the dispatcher, as a client sees it
 * -------------------------------------------------------- */
static char key[64];

static const char *header(const void *connection, const char *name) {
    (void)connection;
    return *key && strcmp(name, "Idempotency-Key") == 0 ? key : NULL;
}

/* Posts the spec. Returns the status of the answer; 0: the request did not get to the dispatcher.
 */
static int post(const char *method, const char *target, const char *body, char *answer,
                size_t size) {
    http_options options = {.tables = api_routes, .context = &service, .listen_host = "localhost"};
    http_request request = {
        .method = method, .body = body, .body_length = strlen(body), .header = header};
    http_response response = {0};
    gr_error error = {0};
    int status = 0;
    if (http_request_parse(&request, target, &error) == GR_OK) {
        http_dispatch(&options, &request, &response, NULL);
        status = response.status ? response.status : 200;
        const char *text = response.body ? response.body : response.static_body;
        snprintf(answer, size, "%.*s", (int)response.length, text ? text : "");
    } else if (error.status != GR_OUT_OF_MEMORY) {
        complain("the request could not be parsed", error.message);
    }
    http_response_clear(&response);
    http_request_clear(&request);
    return status;
}

static int64_t answered_id(const char *answer) {
    const char *at = strstr(answer, "\"id\":");
    return at ? strtoll(at + 5, NULL, 10) : 0;
}

static char answer[65536];

/* Whatever the first answer was: a repetition gives what is there once: so many experiments. */
static bool submit_once(const char *target, const char *body, int64_t experiments) {
    static int keys;
    snprintf(key, sizeof key, "key-%d", ++keys);
    const int64_t before = total();
    faults_arm(kind, number, all);
    int status = post("POST", target, body, answer, sizeof answer);
    const bool happened = faults_disarm() > 0;
    if (status != 201 && status < 500 && status != 0) complain("the answer", answer);
    if (status == 201 && answered_id(answer) == 0) complain("no experiment in the answer", answer);
    if (status >= 500 && !strstr(answer, "\"detail\":")) complain("no reason", answer);
    if (!happened && status != 201) complain("refused without a failure", answer);
    status = post("POST", target, body, answer, sizeof answer);
    if (status != 201) complain("the repetition", answer);
    if (total() != before + experiments)
        complain("experiments made by two requests with one key", "as by two, or fewer");
    /* The queue is empty when a training begins. */
    gr_error error = {0};
    for (int64_t id = before + 1; id <= before + experiments; id++)
        must(store_cancel(opened, id, NULL, &error), &error, "store_cancel");
    return happened;
}

static bool submitting(void) {
    return submit_once("/api/v1/experiments", SPEC, 1);
}

static bool cloning(void) {
    return submit_once("/api/v1/experiments/1/clone",
                       "{\"seed\": 4, \"optimizer\": {\"type\": "
                       "\"sgd\"}}",
                       1);
}

/* The data set is loaded within the request. */
static bool first_submission(void) {
    data_cache_free(service.data);
    workers_stop(service.workers);
    service.data = data_cache_create(directory);
    gr_error error = {0};
    must(workers_start(opened, service.data, service.events, 0, &service.workers, &error), &error,
         "workers_start");
    return submit_once("/api/v1/experiments", SPEC, 1);
}

static bool sweeping(void) {
    return submit_once("/api/v1/sweeps", GRID, SWEEP_EXPERIMENTS);
}

/* -- answers that change nothing: the right one, or none
 * --------------------------------------------------------------- */
static bool answers_right(const char *method, const char *target, const char *body) {
    static char right[65536];
    key[0] = 0;
    if (post(method, target, body, right, sizeof right) != 200) complain("the answer", right);
    faults_arm(kind, number, all);
    const int status = post(method, target, body, answer, sizeof answer);
    const bool happened = faults_disarm() > 0;
    if (status == 200 ? strcmp(answer, right) != 0 : status != 0 && status < 500)
        complain("an answer that is not the right one", answer);
    return happened;
}

/* What does not differ from one time to the next. */
typedef struct request {
    const char *name, *method, *target, *body;
} request;
static const request requests[] = {
    {"validation", "POST", "/api/v1/experiments?validate_only=true", SPEC},
    {"one experiment", "GET", "/api/v1/experiments/1", ""},
    {"list", "GET", "/api/v1/experiments?limit=3", ""},
    {"filtered list", "GET",
     "/api/v1/"
     "experiments?filter=metrics.test_accuracy%20%3E%200%20and%20not%20name%20%3D%20%22x%22&sort=-"
     "metrics."
     "test_accuracy",
     ""},
    {"metrics", "GET", "/api/v1/experiments/1/metrics?max_points=3", ""},
    {"log", "GET", "/api/v1/experiments/1/log", ""},
    {"presets", "GET", "/api/v1/presets", ""},
    {"data sets", "GET", "/api/v1/datasets", ""},
    {"a data set", "GET", "/api/v1/datasets/moons?options=%7B%22train_size%22%3A30%7D", ""},
    {"samples", "GET", "/api/v1/datasets/digits/samples?limit=3&format=png", ""},
    {"predictions", "GET", "/api/v1/experiments/1/predictions.csv?split=validation", ""},
    {"prediction", "POST", "/api/v1/experiments/1/predict", "{\"inputs\": [[0.5, 0.25], [1, -1]]}"},
    {"validation of a sweep", "POST", "/api/v1/sweeps?validate_only=true", GRID},
    {"validation of a random search", "POST", "/api/v1/sweeps?validate_only=true",
     SWEEP(RANGE ", \"strategy\": {\"type\": \"random\", \"samples\": 3}")},
    {"validation of successive halving", "POST", "/api/v1/sweeps?validate_only=true",
     SWEEP(RANGE
           ", \"strategy\": {\"type\": \"asha\", \"samples\": 3, \"minimum_iterations\": 2}")},
    {"sweep", "GET", "/api/v1/sweeps/1", ""},
    {"sweeps", "GET", "/api/v1/sweeps", ""},
    {"table", "GET", "/api/v1/sweeps/1/table", ""},
    {"table in Markdown", "GET", "/api/v1/sweeps/1/table?format=markdown&statistic=median", ""},
    {"table in LaTeX", "GET", "/api/v1/sweeps/1/table?format=latex", ""},
    {"table as CSV", "GET", "/api/v1/sweeps/1/table?format=csv", ""},
};
static const request *asked;

static bool answering(void) {
    return answers_right(asked->method, asked->target, asked->body);
}

/* -- training
 * --------------------------------------------------------------------------------------------------
 */
static void *reference;
static size_t reference_size;

static void *model_bytes(const experiment *record, size_t *size) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", store_artifacts(opened), record->model_file);
    FILE *file = fopen(path, "rb");
    void *bytes = malloc(1 << 20);
    *size = file && bytes ? fread(bytes, 1, 1 << 20, file) : 0;
    if (file) fclose(file);
    return bytes;
}

static atomic_bool stopping;

/* One attempt, by a worker without a keeper. */
static void train(int64_t id, bool with_faults) {
    experiment record;
    gr_error error = {0};
    run current;
    atomic_store(&stopping, false);
    if (with_faults) {
        faults_arm(kind, number, all);
        /* Where nothing works any more, a worker waits for better times until it is stopped. */
        if (all) faults_stop(&stopping);
    }
    if (store_lease(opened, "w", &record, &error) == GR_OK) {
        run_initialize(&current, opened, service.data, service.events, &stopping, &record);
        run_execute(&current);
        run_destroy(&current);
    }
    if (with_faults) faults_disarm();
    (void)id;
}

static bool training(void) {
    gr_error error = {0};
    experiment record;
    int64_t id;
    data_cache_free(service.data);
    service.data = data_cache_create(directory);
    static int keys;
    snprintf(key, sizeof key, "train-%d", ++keys);
    if (post("POST", "/api/v1/experiments", SPEC, answer, sizeof answer) != 201)
        complain("submission", answer);
    id = answered_id(answer);
    data_cache_free(service.data);
    service.data = data_cache_create(directory);
    train(id, true);
    const bool happened = faults_happened();
    for (int round = 0; round < 3; round++) {
        must(store_get(opened, id, &record, &error), &error, "store_get");
        const experiment_state state = record.state;
        if (state == STATE_SUCCEEDED) break;
        if (!happened) complain("ended without a failure", state_name(state));
        if (state == STATE_FAILED) {
            if (!record.error || !*record.error) complain("failed", "without a reason");
            must(store_retry(opened, id, false, NULL, &error), &error, "store_retry");
        } else if (state == STATE_RUNNING) { /* the lease could not be given back: it expires */
            close_service();
            open_service();
        } else if (state != STATE_QUEUED) {
            complain("ended", state_name(state));
        }
        experiment_clear(&record);
        train(id, false);
    }
    if (record.state != STATE_SUCCEEDED) {
        complain("did not succeed afterwards", record.error ? record.error : "");
    } else {
        size_t size;
        void *bytes = model_bytes(&record, &size);
        if (!reference) {
            reference = bytes;
            reference_size = size;
        } else {
            if (size != reference_size || memcmp(bytes, reference, size) != 0)
                complain("the model", "is another one");
            free(bytes);
        }
    }
    experiment_clear(&record);
    return happened;
}

/* -- the store's opening
 * -------------------------------------------------------------------------------------- */
static bool opening(void) {
    gr_error error = {0};
    const int64_t before = total();
    store_close(opened);
    faults_arm(kind, number, all);
    store *again = NULL;
    const gr_status status = store_open(directory, &again, &error);
    const bool happened = faults_disarm() > 0;
    if (status != GR_OK && (!*error.message || again)) complain("store_open", "without a reason");
    if (status != GR_OK && !happened) complain("store_open", error.message);
    if (status == GR_OK) store_close(again);
    must(store_open(directory, &opened, &error), &error, "store_open");
    service.store = opened;
    workers_stop(service.workers);
    must(workers_start(opened, service.data, service.events, 0, &service.workers, &error), &error,
         "workers_start");
    if (total() != before) complain("experiments", "lost");
    return happened;
}

/* -- all of them
 * ------------------------------------------------------------------------------------------------
 */
typedef struct scenario {
    const char *name;
    bool (*run)(void); /* false: nothing has failed, so there is no further call to fail */
} scenario;
static const scenario scenarios[] = {
    {"submission", submitting}, {"submission with the data to be loaded", first_submission},
    {"cloning", cloning},       {"submission of a sweep", sweeping},
    {"training", training},     {"opening", opening}};

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where) {
    (void)about, (void)type, (void)where;
    return remove(path);
}

static void begin(void) {
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/gradreg-fault-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(directory)) exit(2);
    open_service();
    number = 1L << 60;
    training(); /* once without a failure: experiment 1 */
}

/* Sweep 1, trained: what there is to be asked about. */
static void train_sweep(void) {
    gr_error error = {0};
    int64_t counts[STATE_COUNT];
    key[0] = 0;
    if (post("POST", "/api/v1/sweeps", GRID, answer, sizeof answer) != 201)
        complain("the sweep", answer);
    for (int i = 0; i < SWEEP_EXPERIMENTS; i++) train(0, false);
    must(store_counts(opened, counts, &error), &error, "store_counts");
    if (counts[STATE_SUCCEEDED] != 1 + SWEEP_EXPERIMENTS) complain("the sweep", "not trained");
}

static void end(void) {
    close_service();
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Fails every `every`-th call, the `first` at the beginning, in each of the ways. Returns how many.
 */
static long run_scenario(const scenario *one, bool own_directory, long first, long every) {
    long made = 0;
    scenario_name = one->name;
    for (int way = 0; way < 4; way++) {
        kind = way % 2 ? FAULT_FILES : FAULT_MEMORY;
        all = way >= 2;
        if (own_directory) begin(); /* what it holds stays small */
        number = 1L << 60;
        one->run();
        long count = 0;
        /* The presets are thousands of allocations alike. */
        const long pace = strcmp(one->name, "presets") == 0 ? 31 * every : every;
        for (number = first; one->run(); number += pace) count++;
        made += count;
        printf("%s: %ld calls of the %s, %ld failures %s\n", scenario_name, number - 1,
               kind == FAULT_MEMORY ? "allocations" : "files", count,
               all ? "of one and all that follow" : "of one");
        fflush(stdout);
        if (own_directory) end();
    }
    return made;
}

/* Not the same call of each. */
static long first_of(size_t index, long every) {
    return 1 + (long)index % (every < 5 ? every : 5);
}

int main(int argc, char **argv) {
    const long every = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    const char *only = argc > 2 ? argv[2] : NULL;
    if (every < 1) return 2;
    faults_install();
    long made = 0;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (!only || strcmp(only, scenarios[i].name) == 0)
            made += run_scenario(&scenarios[i], true, first_of(i, every), every);
    begin();
    train_sweep();
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        asked = &requests[i];
        const scenario one = {asked->name, answering};
        if (!only || strcmp(only, one.name) == 0)
            made += run_scenario(&one, false, first_of(i, every), every);
    }
    end();
    free(reference);
    printf("%ld failures made, %d problems\n", made, problems_found);
    return problems_found > 0;
}
