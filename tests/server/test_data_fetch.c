/* Fetching: what is not the official file is refused and leaves nothing; downloads go on where they
 * stopped. No test here leaves this machine. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <nettle/sha2.h>
#include <zlib.h>

#include "server/data_fetch.h"
#include "server/data_files.h"
#include "server/paths.h"
#include "server/subprocess.h"

static char folder[] = "/tmp/gradreg-fetch-XXXXXX";

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    const char *const argv[] = {"rm", "-rf", folder, NULL};
    return subprocess_run("/tmp", argv, "/dev/null", NULL) == GR_OK ? 0 : -1;
}

/* "<folder>/<name>" in one of a few rotating buffers. */
static const char *in_folder(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

/* -- one file
 * ------------------------------------------------------------------------------------------------
 */

enum { SIZE = 300000 };

static data_file sample_file(uint8_t *bytes, char sum[65]) {
    struct sha256_ctx context;
    uint8_t digest[32];
    for (int i = 0; i < SIZE; i++) bytes[i] = (uint8_t)((unsigned)i * (unsigned)i >> 7);
    sha256_init(&context);
    sha256_update(&context, SIZE, bytes);
    sha256_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(sum + 2 * i, 3, "%02x", digest[i]);
    return (data_file){"sample", NULL, SIZE, sum, NULL};
}

static void write_gzip(const char *path, const void *bytes, unsigned count) {
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzwrite(file, bytes, count), (int)count);
    gzclose(file);
}

static void test_install(void **state) {
    (void)state;
    static uint8_t bytes[SIZE + 1];
    char sum[65];
    const data_file file = sample_file(bytes, sum);
    const char *source = in_folder("source"), *target = in_folder("sample");
    gr_error error = {0};
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_NOT_FOUND);
    write_file(source, bytes, SIZE);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_OK);
    assert_true(data_file_right(folder, &file));
    unlink(target);
    write_gzip(source, bytes, SIZE);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_OK);
    assert_true(data_file_right(folder, &file));

    /* What is wrong neither replaces what is there nor leaves anything. */
    assert_int_equal(truncate(source, 200), 0);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_CORRUPT);
    write_file(source, bytes, SIZE - 1);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_CORRUPT);
    write_gzip(source, bytes, SIZE + 1);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_CORRUPT);
    bytes[1000] ^= 1;
    write_file(source, bytes, SIZE);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_CORRUPT);
    assert_non_null(strstr(error.message, sum));
    assert_true(data_file_right(folder, &file));
    assert_false(exists(in_folder(".sample.new")));
    write_file(target, bytes, SIZE);
    assert_false(data_file_right(folder, &file));
    unlink(source);
    unlink(target);
}

/* Without a known sum: size and first bytes count. */
static void test_install_without_sum(void **state) {
    (void)state;
    static uint8_t bytes[SIZE];
    char sum[65];
    sample_file(bytes, sum);
    bytes[0] = 0xab, bytes[1] = 0xcd;
    const data_file file = {"sample", NULL, SIZE, NULL, "abcd"};
    const char *source = in_folder("source"), *target = in_folder("sample");
    gr_error error = {0};
    write_gzip(source, bytes, SIZE);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_OK);
    assert_true(data_file_right(folder, &file));
    write_file(source, bytes, SIZE - 1);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_CORRUPT);
    bytes[1] = 0;
    write_file(source, bytes, SIZE);
    assert_int_equal(data_file_install(folder, &file, source, &error), GR_CORRUPT);
    assert_non_null(strstr(error.message, "begins with ab00"));
    write_file(target, bytes, SIZE);
    assert_false(data_file_right(folder, &file));
    unlink(source);
    unlink(target);
}

/* -- downloads (by file URLs)
 * -------------------------------------------------------------------------------- */

static void expect_download(const char *url, const char *path, const void *bytes, size_t count,
                            int resumes) {
    gr_error error = {0};
    int resumed = -1;
    if (download(url, path, SIZE, NULL, &resumed, &error) != GR_OK) fail_msg("%s", error.message);
    assert_int_equal(resumed, resumes);
    struct stat information;
    assert_int_equal(stat(path, &information), 0);
    assert_int_equal(information.st_size, count);
    char *content = malloc(count);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(content, 1, count, file), count);
    assert_memory_equal(content, bytes, count);
    fclose(file);
    free(content);
}

static void test_download(void **state) {
    (void)state;
    static uint8_t bytes[SIZE];
    char sum[65], url[300];
    sample_file(bytes, sum);
    const char *source = in_folder("source"), *part = in_folder("part");
    snprintf(url, sizeof url, "file://%s", source);
    gr_error error = {0};
    assert_int_equal(download(url, part, SIZE, NULL, NULL, &error), GR_NOT_FOUND);
    assert_false(exists(part));
    write_file(source, bytes, SIZE);
    expect_download(url, part, bytes, SIZE, 0);
    assert_int_equal(truncate(part, 1234), 0);
    expect_download(url, part, bytes, SIZE, 1);
    /* It really goes on: what is there is not fetched again. */
    write_file(part, "XY", 2);
    bytes[0] = 'X', bytes[1] = 'Y';
    expect_download(url, part, bytes, SIZE, 1);
    unlink(part);
    assert_int_equal(download(url, part, SIZE - 1, NULL, NULL, &error), GR_TOO_LARGE);
    assert_false(exists(part));
    assert_int_equal(download("http://127.0.0.1:1/x", part, SIZE, NULL, NULL, &error), GR_IO);
    assert_int_equal(download("scp://127.0.0.1/x", part, SIZE, NULL, NULL, &error), GR_IO);
    assert_int_equal(download(url, in_folder("no/such/folder"), SIZE, NULL, NULL, &error), GR_IO);
    assert_false(exists(part));
    unlink(source);
}

/* -- the whole
 * -----------------------------------------------------------------------------------------------
 */

static void test_wrong_files_are_refused(void **state) {
    (void)state;
    gr_error error = {0};
    const char *from = in_folder("from"), *data = in_folder("data");
    const char *directory = in_folder("data/datasets/mnist");
    const data_fetch_options options = {.data_directory = data, .from = from};
    assert_int_equal(mkdir(from, 0700), 0);
    assert_int_equal(data_fetch("mnist", &options, &error), GR_NOT_FOUND);
    assert_non_null(strstr(error.message, "train-images-idx3-ubyte"));
    assert_false(exists(directory));
    write_file(in_folder("from/train-images-idx3-ubyte"), "no images", 9);
    assert_int_equal(data_fetch("mnist", &options, &error), GR_CORRUPT);
    assert_non_null(strstr(error.message, "from/train-images-idx3-ubyte"));
    assert_false(exists(in_folder("data/datasets/mnist")));
    assert_false(data_fetch_present("mnist", in_folder("data")));
    assert_int_equal(data_fetch("nonsense", &options, &error), GR_NOT_FOUND);
}

/* What every other data set's fetch refuses. */
static void test_other_sources(void **state) {
    (void)state;
    gr_error error = {0};
    const char *from = in_folder("others");
    const data_fetch_options options = {.data_directory = in_folder("data"), .from = from};
    assert_int_equal(mkdir(from, 0700), 0);
    assert_int_equal(data_fetch("fashion-mnist", &options, &error), GR_NOT_FOUND);
    assert_int_equal(data_fetch("cifar10", &options, &error), GR_NOT_FOUND);
    assert_non_null(strstr(error.message, "cifar-10-binary.tar.gz"));
    write_file(in_folder("others/cifar-10-binary.tar.gz"), "no archive", 10);
    assert_int_equal(data_fetch("cifar10", &options, &error), GR_CORRUPT);
    assert_non_null(strstr(error.message, "SHA-256"));
    write_file(in_folder("others/train.bin"), "no records", 10);
    assert_int_equal(data_fetch("cifar100", &options, &error), GR_CORRUPT);
    assert_non_null(strstr(error.message, "153700000"));
    /* MNIST's files have the sizes of Fashion-MNIST's. */
    assert_int_equal(truncate(in_folder("others/train.bin"), 0), 0);
    static uint8_t labels[60008] = {0, 0, 8, 1, 0, 0, 0xea, 0x60, 5, 0, 4, 1, 9};
    const data_source *source = data_source_find("fashion-mnist");
    write_file(in_folder("others/train-labels-idx1-ubyte"), labels, sizeof labels);
    assert_int_equal(data_file_install(folder, &source->files[1],
                                       in_folder("others/train-labels-idx1-ubyte"), &error),
                     GR_CORRUPT);
    assert_non_null(strstr(error.message, "begins with 000008010000ea6005000401"));
    assert_false(exists(in_folder("data/datasets/cifar10")));
}

static void test_sum_of_a_file(void **state) {
    (void)state;
    write_file(in_folder("abc"), "abc", 3);
    assert_true(data_file_has_sum(
        in_folder("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    write_file(in_folder("abc"), "abd", 3);
    assert_false(data_file_has_sum(
        in_folder("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_false(data_file_has_sum(in_folder("nothing"), "ba"));
}

static void test_one_fetch_at_a_time(void **state) {
    (void)state;
    gr_error error = {0};
    const char *data = in_folder("locked"), *directory = in_folder("locked/datasets/mnist");
    const data_fetch_options options = {.data_directory = data, .from = "/nowhere"};
    assert_int_equal(paths_make_directories(directory, &error), GR_OK);
    int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_int_equal(data_fetch("mnist", &options, &error), GR_CONFLICT);
    close(lock);
    assert_int_equal(data_fetch("mnist", &options, &error), GR_NOT_FOUND);
}

static void test_data_directory_that_cannot_be(void **state) {
    (void)state;
    gr_error error = {0};
    write_file(in_folder("file"), "", 0);
    const data_fetch_options options = {.data_directory = in_folder("file"), .from = "/nowhere"};
    assert_int_equal(data_fetch("mnist", &options, &error), GR_IO);
    assert_non_null(strstr(error.message, "file"));
}

static void test_subprocess(void **state) {
    (void)state;
    gr_error error = {0};
    const char *const missing[] = {"no-such-program-here", NULL};
    assert_int_equal(subprocess_run(folder, missing, "log", &error), GR_NOT_FOUND);
    const char *const failing[] = {"ls", "no-such-file", NULL};
    assert_int_equal(subprocess_run(folder, failing, "log", &error), GR_IO);
    assert_non_null(strstr(error.message, "no-such-file"));
    const char *const fine[] = {"touch", "touched; rm *", NULL};
    assert_int_equal(subprocess_run(folder, fine, "log", &error), GR_OK);
    assert_true(exists(in_folder("touched; rm *"))); /* no shell saw it */
}

static void test_data_directory_rule(void **state) {
    (void)state;
    unsetenv("GRADREG_DATA_DIR");
    assert_string_equal(paths_data_directory(NULL), "data");
    setenv("GRADREG_DATA_DIR", "/elsewhere", 1);
    assert_string_equal(paths_data_directory(NULL), "/elsewhere");
    assert_string_equal(paths_data_directory("here"), "here");
    unsetenv("GRADREG_DATA_DIR");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_install),
        cmocka_unit_test(test_install_without_sum),
        cmocka_unit_test(test_other_sources),
        cmocka_unit_test(test_sum_of_a_file),
        cmocka_unit_test(test_download),
        cmocka_unit_test(test_wrong_files_are_refused),
        cmocka_unit_test(test_one_fetch_at_a_time),
        cmocka_unit_test(test_data_directory_that_cannot_be),
        cmocka_unit_test(test_subprocess),
        cmocka_unit_test(test_data_directory_rule),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
