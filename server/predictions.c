#include "server/predictions.h"
#include "server/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INTEGER_SIZE = 21, /* characters of a number and the comma or line end behind it, at most */
    REAL_SIZE = 24,
    TITLE_SIZE = 32 /* of one column */
};

struct predictions {
    gr_predictor *predictor;
    char **class_names; /* owned, as CSV fields; NULL: they have none */
    int64_t classes;    /* 0: a regression */
    int64_t outputs;
    bool probabilities, begun;
    size_t size;
    char *text; /* [size] */
};

static const char *const part_names[] = {
    [GR_PART_TRAINING] = "train", [GR_PART_VALIDATION] = "validation", [GR_PART_TEST] = "test"};

gr_status predictions_part(const char *name, gr_part *part, gr_error *error) {
    *part = GR_PART_TEST;
    if (!name) return GR_OK;
    for (int i = 0; i < (int)(sizeof part_names / sizeof *part_names); i++)
        if (strcmp(name, part_names[i]) == 0) {
            *part = (gr_part)i;
            return GR_OK;
        }
    return gr_fail(error, GR_INVALID, "split must be train, validation or test");
}

const char *predictions_part_name(gr_part part) {
    return part_names[part];
}

/* -- names of classes
 * -------------------------------------------------------------------------------- */

/* A text as a CSV field, owned by the caller; NULL without memory. */
static char *field(const char *text) {
    char *quoted = NULL;
    size_t size;
    FILE *out = open_memstream(&quoted, &size);
    if (!out) return NULL;
    csv_put_text(out, text);
    if (fclose(out) == 0) return quoted;
    free(quoted);
    return NULL;
}

static gr_status take_names(predictions *of, const char *const *names, size_t *longest,
                            gr_error *error) {
    *longest = 0;
    if (!names) return GR_OK;
    of->class_names = calloc((size_t)of->classes, sizeof *of->class_names);
    if (!of->class_names) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for predictions");
    for (int64_t k = 0; k < of->classes; k++) {
        of->class_names[k] = field(names[k]);
        if (!of->class_names[k])
            return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for predictions");
        if (strlen(of->class_names[k]) > *longest) *longest = strlen(of->class_names[k]);
    }
    return GR_OK;
}

/* -- creation
 * ---------------------------------------------------------------------------------------- */

void predictions_free(predictions *of) {
    if (!of) return;
    for (int64_t k = 0; of->class_names && k < of->classes; k++) free(of->class_names[k]);
    free(of->class_names);
    gr_predictor_free(of->predictor);
    free(of->text);
    free(of);
}

static gr_status create(predictions *of, const gr_plan *plan, const gr_dataset *dataset,
                        const gr_arrays *model, gr_part part, gr_error *error) {
    const gr_dataset_information *about = gr_dataset_describe(dataset);
    size_t longest;
    GR_TRY(gr_predictor_create(plan, dataset, model, part, &of->predictor, error));
    of->classes = about->classes;
    of->outputs = gr_predictor_outputs(of->predictor);
    of->probabilities = gr_predictor_has_probabilities(of->predictor);
    GR_TRY(take_names(of, about->class_names, &longest, error));
    const size_t columns = 2 * (size_t)of->outputs;
    const size_t row = 4 * INTEGER_SIZE + 2 * (longest + 1) + columns * REAL_SIZE + 1;
    const size_t header = (6 + columns) * TITLE_SIZE;
    of->size = row * (size_t)gr_predictor_block(of->predictor);
    if (of->size < header) of->size = header;
    of->text = malloc(of->size);
    if (!of->text) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for predictions");
    return GR_OK;
}

gr_status predictions_create(const gr_plan *plan, const gr_dataset *dataset, const gr_arrays *model,
                             gr_part part, predictions **result, gr_error *error) {
    predictions *of = calloc(1, sizeof *of);
    if (!of) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for predictions");
    const gr_status status = create(of, plan, dataset, model, part, error);
    if (status != GR_OK)
        predictions_free(of);
    else
        *result = of;
    return status;
}

/* -- lines
 * ------------------------------------------------------------------------------------------- */

/* What is written goes to *to, which it moves on; each field ends in a comma. */

static void write_text(char **to, const char *text) {
    const size_t length = strlen(text);
    memcpy(*to, text, length);
    (*to)[length] = ',';
    *to += length + 1;
}

static void write_integer(char **to, int64_t value) {
    *to += sprintf(*to, "%lld,", (long long)value);
}

static void write_real(char **to, gr_real value) {
    if (isfinite(value))
        *to += sprintf(*to, "%.9g,", (double)value);
    else
        write_text(to, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

/* The last comma becomes the line's end. */
static void end_line(char **to) {
    (*to)[-1] = '\n';
}

static void write_titles(char **to, const char *name, int64_t count) {
    for (int64_t k = 0; k < count; k++) *to += sprintf(*to, "%s.%lld,", name, (long long)k);
}

static void write_header(const predictions *of, char **to) {
    write_text(to, "index");
    if (of->classes) {
        write_text(to, "label,predicted,correct");
        if (of->class_names) write_text(to, "label_name,predicted_name");
        if (of->probabilities) write_titles(to, "probability", of->outputs);
        write_titles(to, "logit", of->outputs);
    } else if (of->outputs == 1) {
        write_text(to, "target,prediction");
    } else {
        write_titles(to, "target", of->outputs);
        write_titles(to, "prediction", of->outputs);
    }
    end_line(to);
}

/* values: [outputs][count] */
static void write_reals(const predictions *of, const gr_real *values, int64_t count, int64_t sample,
                        char **to) {
    for (int64_t k = 0; k < of->outputs; k++) write_real(to, values[k * count + sample]);
}

static void write_sample(const predictions *of, const gr_predictions *block, int64_t sample,
                         char **to) {
    write_integer(to, block->places[sample]);
    if (block->labels) {
        const int32_t label = block->labels[sample], predicted = block->classes[sample];
        write_integer(to, label);
        write_integer(to, predicted);
        write_integer(to, label == predicted);
        if (of->class_names) {
            write_text(to, of->class_names[label]);
            write_text(to, of->class_names[predicted]);
        }
        if (block->p) write_reals(of, block->p, block->count, sample, to);
    } else {
        write_reals(of, block->targets, block->count, sample, to);
    }
    write_reals(of, block->outputs, block->count, sample, to);
    end_line(to);
}

bool predictions_next(predictions *of, const char **text, size_t *length) {
    char *to = of->text;
    gr_predictions block;
    if (!of->begun) {
        of->begun = true;
        write_header(of, &to);
    } else if (gr_predictor_next(of->predictor, &block)) {
        for (int64_t sample = 0; sample < block.count; sample++)
            write_sample(of, &block, sample, &to);
    } else {
        return false;
    }
    *text = of->text;
    *length = (size_t)(to - of->text);
    return true;
}
