/* MNIST (LeCun, Cortes, Burges) and Fashion-MNIST (Xiao, Rasul, Vollgraf), which has the same form,
 * from their four official IDX files, each plain or gzipped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/dataset_content.h"
#include "core/data/dataset_options.h"
#include "core/data/idx.h"

enum { SIDE = 28, CLASSES = 10, TRAINING = 60000, TEST = 10000, POOL = 50000 };

/* The file `name` in the folder of the data set `set`, or the one with ".gz" where the plain one is
 * not there.
 */
static gr_status read_file(const char *directory, const char *set, const char *name,
                           int64_t maximum_bytes, char **path, gr_idx *idx, gr_error *error) {
    static const char *const endings[] = {"", ".gz"};
    gr_status status = GR_OK;
    for (int i = 0; i < 2; i++) {
        free(*path);
        *path = NULL;
        if (asprintf(path, "%s/%s/%s%s", directory, set, name, endings[i]) < 0) {
            *path = NULL;
            return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
        }
        status = gr_idx_read(*path, maximum_bytes, idx, error);
        if (status != GR_NOT_FOUND) return status;
    }
    return gr_fail(error, GR_NOT_FOUND,
                   "the data set %s is not there: %s/%s has no %s (nor %s.gz); "
                   "\"gradreg data fetch %s\" gets it",
                   set, directory, set, name, name, set);
}

static gr_status check_shape(const char *path, const char *set, const gr_shape *shape,
                             const gr_shape *wanted, gr_error *error) {
    char is[128], should[128];
    if (gr_shape_equal(shape, wanted)) return GR_OK;
    return gr_fail(error, GR_CORRUPT, "%s: holds %s bytes where this file of %s holds %s", path,
                   gr_shape_text(shape, is), set, gr_shape_text(wanted, should));
}

static gr_status load_samples(const char *directory, const char *set, const char *prefix,
                              int64_t count, gr_samples *samples, gr_error *error) {
    const gr_shape image_shape = {.rank = 3, .size = {count, SIDE, SIDE}};
    const gr_shape label_shape = {.rank = 1, .size = {count}};
    gr_idx images = {0}, labels = {0};
    char *path = NULL;
    char name[64];
    gr_status status;

    snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
    GR_TRY_OR(cleanup, read_file(directory, set, name, gr_shape_elements(&image_shape), &path,
                                 &images, error));
    GR_TRY_OR(cleanup, check_shape(path, set, &images.shape, &image_shape, error));
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
    GR_TRY_OR(cleanup, read_file(directory, set, name, gr_shape_elements(&label_shape), &path,
                                 &labels, error));
    GR_TRY_OR(cleanup, check_shape(path, set, &labels.shape, &label_shape, error));
    for (int64_t i = 0; i < count; i++)
        if (labels.bytes[i] >= CLASSES) {
            status = gr_fail(error, GR_CORRUPT, "%s: label %lld is %d where 0 to %d are possible",
                             path, (long long)i, labels.bytes[i], CLASSES - 1);
            goto cleanup;
        }
    *samples = (gr_samples){.count = count, .pixels = images.bytes, .labels = labels.bytes};
    images.bytes = labels.bytes = NULL;
cleanup:
    free(path);
    gr_idx_clear(&images);
    gr_idx_clear(&labels);
    return status;
}

static gr_status load(const char *directory, const char *set, gr_dataset *dataset,
                      gr_error *error) {
    dataset->information.input_shape = (gr_shape){.rank = 3, .size = {1, SIDE, SIDE}};
    dataset->information.classes = CLASSES;
    dataset->information.default_validation_size = 10000;
    dataset->training_pool = POOL;
    GR_TRY(load_samples(directory, set, "t10k", TEST, &dataset->test, error));
    return load_samples(directory, set, "train", TRAINING, &dataset->training, error);
}

static const gr_option options[] = {GR_DATASET_SHARED_OPTIONS("global", "10,000")};

gr_status gr_mnist_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                        gr_error *error) {
    (void)settings;
    snprintf(dataset->information.description, sizeof dataset->information.description,
             "60,000 + 10,000 handwritten digits");
    return load(directory, "mnist", dataset, error);
}

const gr_kind gr_mnist_kind = {
    .name = "mnist",
    .help = "handwritten digits, 28x28: 60,000 for training and 10,000 for testing (LeCun et al. "
            "1998); \"gradreg data fetch mnist\" gets the files",
    .options = options,
    .option_count = GR_DATASET_OPTION_COUNT,
};

gr_status gr_fashion_mnist_load(const gr_settings *settings, const char *directory,
                                gr_dataset *dataset, gr_error *error) {
    static const char *const names[CLASSES] = {"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                               "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                               "Bag",         "Ankle boot"};
    (void)settings;
    dataset->information.class_names = names;
    snprintf(dataset->information.description, sizeof dataset->information.description,
             "60,000 + 10,000 pictures of clothes");
    return load(directory, "fashion-mnist", dataset, error);
}

const gr_kind gr_fashion_mnist_kind = {
    .name = "fashion-mnist",
    .help = "pictures of clothes in the form of mnist (Xiao et al. 2017); \"gradreg data fetch "
            "fashion-mnist\" gets the files",
    .options = options,
    .option_count = GR_DATASET_OPTION_COUNT,
};
