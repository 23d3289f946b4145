/* CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from the files of their official binary archives. Files
 * may hold fewer records than the official ones, and of CIFAR-10's five training files any may be
 * missing but one: parts of the data are useful too, and the description says what was found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/cifar_records.h"
#include "core/data/dataset_options.h"
#include "core/data/file_content.h"
#include "core/data/text.h"

enum { FILES = 5, LEAST_TRAINING = 5 /* so that there is a holdout */ };

/* What is in an archive. */
struct archive {
    const char *set;             /* the data set's name, and its folder's */
    const char *training[FILES]; /* NULL at the end */
    const char *test;
    const char *names; /* one class name a line; may be missing */
    gr_cifar_format training_format, test_format;
};

static gr_status append(const char *directory, const struct archive *archive, const char *file,
                        const gr_cifar_format *format, gr_samples *samples, gr_error *error) {
    char *path;
    if (asprintf(&path, "%s/%s/%s", directory, archive->set, file) < 0)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
    const size_t record = (size_t)format->label_bytes + GR_CIFAR_PIXELS;
    uint8_t *bytes = NULL;
    size_t count;
    gr_status status = gr_file_content(path, true, record * ((size_t)format->maximum_records + 1),
                                       &bytes, &count, error);
    if (status == GR_TOO_LARGE) /* no limit of ours, but what such a file can be */
        status = gr_fail(error, GR_CORRUPT, "%s: holds more than the %d records that are possible",
                         gr_path_shown(path), format->maximum_records);
    if (status == GR_OK) status = gr_cifar_append(path, bytes, count, format, samples, error);
    free(bytes);
    free(path);
    return status;
}

static gr_status missing(const char *directory, const struct archive *archive, const char *file,
                         gr_error *error) {
    return gr_fail(error, GR_NOT_FOUND,
                   "the data set %s is not there: %s/%s has no %s; \"gradreg data fetch %s\" gets "
                   "it",
                   archive->set, directory, archive->set, file, archive->set);
}

/* One name a line; more or fewer than there are classes is a damaged file. */
static gr_status read_names(const char *directory, const struct archive *archive,
                            gr_dataset *dataset, gr_error *error) {
    enum { MOST_BYTES = 64 * 1024 };
    const int64_t classes = dataset->information.classes;
    char *path;
    uint8_t *bytes;
    size_t count;
    if (asprintf(&path, "%s/%s/%s", directory, archive->set, archive->names) < 0)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
    gr_status status = gr_file_content(path, true, MOST_BYTES, &bytes, &count, error);
    if (status != GR_OK) {
        free(path);
        return status == GR_NOT_FOUND ? GR_OK : status;
    }
    int64_t found = 0;
    dataset->class_names = calloc((size_t)classes, sizeof *dataset->class_names);
    if (!dataset->class_names) status = GR_OUT_OF_MEMORY;
    char *rest = (char *)bytes;
    for (char *line; status == GR_OK && (line = strsep(&rest, "\r\n"));) {
        if (!*line) continue;
        if (!gr_text_printable(line, strlen(line))) {
            status = gr_fail(error, GR_CORRUPT, "%s: line %lld is no printable UTF-8",
                             gr_path_shown(path), (long long)found + 1);
            break;
        }
        if (found < classes && !(dataset->class_names[found] = strdup(line)))
            status = GR_OUT_OF_MEMORY;
        found++;
    }
    if (status == GR_OUT_OF_MEMORY)
        gr_fail(error, GR_OUT_OF_MEMORY, "no memory for names of classes");
    else if (status == GR_OK && found != classes)
        status = gr_fail(error, GR_CORRUPT, "%s: holds %lld names where there are %lld classes",
                         gr_path_shown(path), (long long)found, (long long)classes);
    free(bytes);
    free(path);
    return status;
}

static gr_status load(const char *directory, const struct archive *archive, gr_dataset *dataset,
                      gr_error *error) {
    const gr_cifar_format *format = &archive->training_format;
    int found = 0, possible = 0;
    dataset->information.input_shape = (gr_shape){.rank = 3, .size = {3, 32, 32}};
    dataset->information.classes = format->classes[format->used];
    for (; possible < FILES && archive->training[possible]; possible++) {
        gr_status status = append(directory, archive, archive->training[possible], format,
                                  &dataset->training, error);
        if (status != GR_OK && status != GR_NOT_FOUND) return status;
        found += status == GR_OK;
    }
    if (found == 0) return missing(directory, archive, archive->training[0], error);
    gr_status status =
        append(directory, archive, archive->test, &archive->test_format, &dataset->test, error);
    if (status == GR_NOT_FOUND) return missing(directory, archive, archive->test, error);
    if (status != GR_OK) return status;
    const int64_t count = dataset->training.count;
    if (count < LEAST_TRAINING)
        return gr_fail(error, GR_CORRUPT,
                       "%s/%s: holds %lld training images where at least %d are needed", directory,
                       archive->set, (long long)count, LEAST_TRAINING);
    dataset->training_pool = count - gr_dataset_holdout(count);
    dataset->information.default_validation_size = gr_dataset_holdout(count);
    if (dataset->information.default_validation_size > dataset->test.count)
        dataset->information.default_validation_size = dataset->test.count;
    snprintf(dataset->information.description, sizeof dataset->information.description,
             "%lld + %lld pictures, from %d of %d training files; the last %lld training pictures "
             "are the holdout",
             (long long)count, (long long)dataset->test.count, found, possible,
             (long long)gr_dataset_holdout(count));
    return read_names(directory, archive, dataset, error);
}

gr_status gr_cifar10_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                          gr_error *error) {
    static const struct archive archive = {
        .set = "cifar10",
        .training = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                     "data_batch_5.bin"},
        .test = "test_batch.bin",
        .names = "batches.meta.txt",
        .training_format = {.label_bytes = 1, .classes = {10}, .maximum_records = 10000},
        .test_format = {.label_bytes = 1, .classes = {10}, .maximum_records = 10000},
    };
    (void)settings;
    return load(directory, &archive, dataset, error);
}

enum { LABELS = GR_DATASET_OPTION_COUNT, CIFAR100_OPTION_COUNT };
enum { LABELS_FINE, LABELS_COARSE };

gr_status gr_cifar100_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                           gr_error *error) {
    const bool coarse = gr_choice(settings, LABELS) == LABELS_COARSE;
    const gr_cifar_format format = {.label_bytes = 2,
                                    .classes = {20, 100}, /* the coarse one stands first */
                                    .used = coarse ? 0 : 1};
    struct archive archive = {
        .set = "cifar100",
        .training = {"train.bin"},
        .test = "test.bin",
        .names = coarse ? "coarse_label_names.txt" : "fine_label_names.txt",
        .training_format = format,
        .test_format = format,
    };
    archive.training_format.maximum_records = 50000;
    archive.test_format.maximum_records = 10000;
    return load(directory, &archive, dataset, error);
}

#define VALIDATION "the holdout, which is 10,000 or, where there are fewer files, a fifth"

static const gr_option cifar10_options[] = {GR_DATASET_SHARED_OPTIONS("per_channel", VALIDATION)};

const gr_kind gr_cifar10_kind = {
    .name = "cifar10",
    .help = "colour pictures of ten classes, 32x32: 50,000 for training and 10,000 for testing "
            "(Krizhevsky 2009); \"gradreg data fetch cifar10\" gets the files",
    .options = cifar10_options,
    .option_count = GR_DATASET_OPTION_COUNT,
};

static const char *const label_choices[] = {"fine", "coarse", NULL};
static const gr_option cifar100_options[CIFAR100_OPTION_COUNT] = {
    GR_DATASET_SHARED_OPTIONS("per_channel", VALIDATION),
    [LABELS] = {.name = "labels",
                .help = "fine: 100 classes; coarse: the 20 superclasses",
                .accepts = GR_ACCEPT(GR_CHOICE),
                .choices = label_choices,
                .default_json = "\"fine\""},
};

const gr_kind gr_cifar100_kind = {
    .name = "cifar100",
    .help = "colour pictures of 100 classes, 32x32: 50,000 for training and 10,000 for testing "
            "(Krizhevsky 2009); \"gradreg data fetch cifar100\" gets the files",
    .options = cifar100_options,
    .option_count = CIFAR100_OPTION_COUNT,
};
