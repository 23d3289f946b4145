/* The passes of each convolution and linear layer of a spec's network, one at a time, against
 * sgemm. Shapes that occur twice are measured once. */
#include <stdlib.h>
#include <string.h>

#include "core/large_memory.h"
#include "core/network.h"
#include "core/plan.h"
#include "core/training_options.h"
#include "tests/bench/bench.h"

enum { MINIMUM_TURNS = 3 };
static const double turn_seconds = 0.01;

enum { FORWARD, TRANSPOSED, GRADIENT, PASSES };
static const char *const pass_names[PASSES] = {"forward", "transposed", "weight gradient"};

/* A node alone, with arrays of its own. */
typedef struct stand {
    gr_site site;
    gr_real *in, *out, *d_in, *d_out, *gradients;
} stand;

/* As a training's arrays lie in memory. */
static gr_real *array(int64_t count) {
    const size_t bytes =
        ((size_t)count * sizeof(gr_real) + 2 * GR_SLACK_BYTES) / GR_ALIGNMENT * GR_ALIGNMENT;
    gr_real *values = gr_allocate_large(bytes);
    if (!values) return NULL;
    for (int64_t i = 0; i < count; i++) values[i] = (gr_real)(i % 17) / 17 - (gr_real)0.5;
    return values;
}

static void stand_clear(stand *s) {
    free(s->in);
    free(s->out);
    free(s->d_in);
    free(s->d_out);
    free(s->gradients);
    free(s->site.state);
    free(s->site.shared_state);
    free(s->site.scratch);
}

static gr_status stand_create(const gr_network *network, const gr_node *node,
                              const gr_real *parameters, int64_t lanes, stand *s, gr_error *error) {
    *s = (stand){.in = array(node->in_features * lanes),
                 .out = array(node->out_features * lanes),
                 .d_in = array(node->in_features * lanes),
                 .d_out = array(node->out_features * lanes),
                 .gradients = array(network->parameter_count)};
    s->site = (gr_site){.node = node,
                        .kernels = gr_kernels_choose(),
                        .parameters = parameters,
                        .samples = lanes,
                        .training = true,
                        .in = s->in,
                        .out = s->out,
                        .state = array(node->state_bytes * lanes),
                        .shared_state = array(node->shared_state_bytes),
                        .scratch = array(node->scratch_reals)};
    if (s->in && s->out && s->d_in && s->d_out && s->gradients && s->site.state &&
        s->site.shared_state && s->site.scratch)
        return GR_OK;
    stand_clear(s);
    return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %s at %lld lanes", node->name,
                   (long long)lanes);
}

static void run(const stand *s, int pass) {
    const gr_layer_kind *kind = s->site.node->kind;
    if (pass == FORWARD) kind->forward(&s->site);
    if (pass == TRANSPOSED) kind->backward(&s->site, 1, s->d_out, s->d_in);
    if (pass == GRADIENT) kind->accumulate(&s->site, 1, s->d_out, s->in, false, s->gradients);
}

static void describe(cJSON *row, const gr_node *node) {
    char in[128], out[128];
    cJSON_AddStringToObject(row, "kind", node->kind->kind.name);
    cJSON_AddStringToObject(row, "in", gr_shape_text(&node->in, in));
    cJSON_AddStringToObject(row, "out", gr_shape_text(&node->out, out));
    if (node->parameters[0].shape.rank == 4)
        cJSON_AddNumberToObject(row, "kernel", (double)node->parameters[0].shape.size[3]);
}

static void measure(const stand *s, const bench_product *product, double seconds, cJSON *rows) {
    const gr_node *node = s->site.node;
    bench_times times[PASSES] = {0}, products = {0};
    for (int pass = 0; pass < PASSES; pass++) run(s, pass);
    const double end = bench_now() + seconds;
    for (int turn = 0; turn < MINIMUM_TURNS || bench_now() < end; turn++) {
        bench_add(&products, bench_product_run(product));
        for (int pass = 0; pass < PASSES; pass++) {
            const double turn_end = bench_now() + turn_seconds;
            double began, now;
            run(s, pass); /* brings its arrays back to the cache */
            do {
                began = bench_now();
                run(s, pass);
                now = bench_now();
                bench_add(&times[pass], now - began);
            } while (now < turn_end);
        }
    }
    const double rate = 2e-9 * bench_product_operations() / bench_quantile(&products, 0.5);
    for (int pass = 0; pass < PASSES; pass++) {
        const double time = bench_quantile(&times[pass], 0.5);
        cJSON *row = cJSON_CreateObject();
        describe(row, node);
        cJSON_AddStringToObject(row, "pass", pass_names[pass]);
        cJSON_AddNumberToObject(row, "lanes", (double)s->site.samples);
        cJSON_AddItemToObject(row, "ms", json_number(1e3 * time));
        cJSON_AddItemToObject(
            row, "gflops", json_number(2e-9 * node->operations * (double)s->site.samples / time));
        cJSON_AddItemToObject(row, "sgemm_gflops", json_number(rate));
        cJSON_AddItemToArray(rows, row);
        free(times[pass].items);
    }
    free(products.items);
}

static bool same_work(const gr_node *a, const gr_node *b) {
    return a->kind == b->kind && gr_shape_equal(&a->in, &b->in) &&
           gr_shape_equal(&a->out, &b->out) && a->operations == b->operations;
}

gr_status bench_kernels(const bench_options *options, cJSON *result, gr_error *error) {
    bench_subject subject;
    GR_TRY(bench_pin(options->cores[0], error));
    gr_network *network = NULL;
    gr_real *parameters = NULL;
    bench_product *product = NULL;
    gr_status status = bench_subject_open(options, &subject, error);
    if (status == GR_OK)
        status = gr_plan_network(&subject.setup.plan, subject.setup.dataset, &network, error);
    if (status == GR_OK) {
        parameters = array(network->parameter_count);
        if (!parameters) status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for parameters");
    }
    if (status == GR_OK) {
        const int64_t lanes = gr_integer(subject.setup.plan.training, GR_TRAINING_BATCH_SIZE);
        cJSON *rows = cJSON_AddArrayToObject(result, "kernels");
        product = bench_product_create();
        const bench_share share = bench_share_begin();
        for (int i = 0; status == GR_OK && i < network->node_count; i++) {
            const gr_node *node = &network->nodes[i];
            bool done = node->operations == 0;
            for (int j = 0; j < i && !done; j++) done = same_work(node, &network->nodes[j]);
            if (done) continue;
            stand s;
            status = stand_create(network, node, parameters, lanes, &s, error);
            if (status != GR_OK) break;
            measure(&s, product, options->seconds, rows);
            stand_clear(&s);
        }
        cJSON_AddItemToObject(result, "core_share", json_number(bench_share_end(&share)));
    }
    free(parameters);
    bench_product_free(product);
    gr_network_free(network);
    bench_subject_close(&subject);
    return status;
}
