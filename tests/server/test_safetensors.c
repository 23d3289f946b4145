/* The safetensors format: hostile headers, every truncation, round trip, and files whole or not at
 * all. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/files.h"
#include "server/json.h"
#include "server/safetensors.h"

/* A file of this header and so many bytes of data, in memory of its exact size. */
static char *make_file(const char *header, size_t data_bytes, size_t *count) {
    const uint64_t length = strlen(header);
    *count = 8 + length + data_bytes;
    char *file = malloc(*count);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, length);
    memset(file + 8 + length, 7, data_bytes);
    return file;
}

static const struct hostile {
    const char *header;
    size_t data_bytes;
    const char *message;
} hostile[] = {
    {"", 0, "not JSON"},
    {"[]", 0, "not an object"},
    {"{", 0, "not JSON: line 1, column 2"},
    {"{}", 4, "the tensors end at 0, but the file has 4"},
    {"{\"w\":1}", 0, "tensor \"w\": is not an object"},
    {"{\"w\":{}}", 0, "tensor \"w\": has no \"dtype\""},
    {"{\"w\":{\"dtype\":5,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "no \"dtype\""},
    {"{\"w\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
     "tensor \"w\": the type \"F16\" is not known"},
    {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no \"shape\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "\"data_offsets\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "\"data_offsets\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "\"data_offsets\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[\"0\",4]}}", 4, "\"data_offsets\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "\"data_offsets\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,1e300]}}", 4, "\"data_offsets\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "before it begins"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "but the file has 4"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "needs 4 bytes"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "bad \"shape\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "bad \"shape\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[null],\"data_offsets\":[0,4]}}", 4, "bad \"shape\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]}}", 4, "no \"shape\""},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
     "more than 8 dimensions"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     "too large"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1125899906842624,1125899906842624,0],\"data_offsets\":"
     "[0,0]}}",
     0, "too large"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[0,1125899906842624,1125899906842624],\"data_offsets\":"
     "[0,0]}}",
     0, "too large"},
    {"{\"w\":{\"dtype\":\"U8\",\"shape\":[9007199254740991],\"data_offsets\":[0,9007199254740991]}"
     "}",
     4, "but the file has 4"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"v\":{\"dtype\":\"F32\","
     "\"shape\":[1],\"data_offsets\":[0,4]}}",
     4, "begins at 0, but the data before it ends at 4"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"v\":{\"dtype\":\"F32\","
     "\"shape\":[1],\"data_offsets\":[2,6]}}",
     6, "tensor \"v\": its data begins at 2"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"v\":{\"dtype\":\"F32\","
     "\"shape\":[1],\"data_offsets\":[8,12]}}",
     12, "tensor \"v\": its data begins at 8"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "begins at 4"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "file has 8"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"w\":{\"dtype\":\"F32\","
     "\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "tensor \"w\": is there twice"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"dtype\":\"F32\"}}", 4,
     "twice"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4,
     "the format does not have"},
    {"{\"__metadata__\":[]}", 0, "object of strings"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "object of strings"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "object of strings"},
    {"{\"a\\u001b[2Jb\":1}", 0, "tensor \"a?[2Jb\""},
};

static void hostile_headers_are_refused_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        size_t count;
        char *file = make_file(hostile[i].header, hostile[i].data_bytes, &count), *metadata;
        gr_arrays arrays;
        gr_error error = {0};
        assert_int_equal(safetensors_parse(file, count, &arrays, &metadata, &error), GR_CORRUPT);
        if (!strstr(error.message, hostile[i].message))
            fail_msg("case %zu: \"%s\" does not hold \"%s\"", i, error.message, hostile[i].message);
        assert_int_equal(arrays.count, 0);
        assert_null(metadata);
        free(file);
    }
}

static void lying_header_lengths_are_refused(void **state) {
    (void)state;
    const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, INT64_MAX, 1u << 24, 3, 2000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char file[10];
        memcpy(file, &lengths[i], 8);
        memcpy(file + 8, "{}", 2);
        gr_arrays arrays;
        gr_error error = {0};
        assert_int_equal(safetensors_parse(file, sizeof file, &arrays, NULL, &error), GR_CORRUPT);
        assert_non_null(strstr(error.message, "claims"));
    }
}

static void too_many_tensors_are_refused(void **state) {
    (void)state;
    const size_t tensors = 20000;
    char *header = malloc(tensors * 100), *to = stpcpy(header, "{");
    for (size_t i = 0; i < tensors; i++)
        to += sprintf(to, "%s\"t%zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                      i ? "," : "", i);
    stpcpy(to, "}");
    size_t count;
    char *file = make_file(header, 0, &count);
    gr_arrays arrays;
    gr_error error = {0};
    assert_int_equal(safetensors_parse(file, count, &arrays, NULL, &error), GR_CORRUPT);
    assert_non_null(strstr(error.message, "20000 tensors"));
    free(file);
    free(header);
}

/* -- round trip
 * ------------------------------------------------------------------------------------- */

static void add(gr_arrays *arrays, const char *name, gr_element_type type, gr_shape shape) {
    void *data;
    gr_error error;
    assert_int_equal(gr_arrays_add(arrays, name, type, &shape, &data, &error), GR_OK);
    const size_t bytes = (size_t)gr_shape_elements(&shape) * gr_element_size(type);
    for (size_t i = 0; i < bytes; i++) ((unsigned char *)data)[i] = (unsigned char)(i * 37 + 11);
}

static gr_arrays example(void) {
    gr_arrays arrays = {0};
    add(&arrays, "bytes", GR_U8, (gr_shape){1, {3}});
    add(&arrays, "0.weight", GR_F32, (gr_shape){4, {2, 3, 1, 1}});
    add(&arrays, "scalar", GR_F64, (gr_shape){0, {0}});
    add(&arrays, "empty", GR_F32, (gr_shape){2, {0, 5}});
    add(&arrays, "labels \xC3\xA9\"", GR_I64, (gr_shape){1, {5}});
    add(&arrays, "u", GR_U64, (gr_shape){1, {1}});
    add(&arrays, "i", GR_I32, (gr_shape){1, {1}});
    return arrays;
}

static void assert_same(const gr_arrays *a, const gr_arrays *b) {
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->items[i].name, b->items[i].name);
        assert_int_equal(a->items[i].type, b->items[i].type);
        assert_true(gr_shape_equal(&a->items[i].shape, &b->items[i].shape));
        assert_memory_equal(a->items[i].data, b->items[i].data,
                            (size_t)gr_shape_elements(&a->items[i].shape) *
                                gr_element_size(a->items[i].type));
    }
}

static void arrays_survive(void **state) {
    (void)state;
    gr_arrays arrays = example(), back;
    const char *metadata = "{\"format\":\"pt\",\"spec\":\"{\\\"a\\\":1}\"}";
    void *bytes, *again;
    size_t count, again_count;
    char *found;
    gr_error error = {0};
    assert_int_equal(safetensors_format(&arrays, metadata, &bytes, &count, &error), GR_OK);
    uint64_t header;
    memcpy(&header, bytes, 8);
    assert_int_equal(header % 8, 0);
    if (safetensors_parse(bytes, count, &back, &found, &error) != GR_OK)
        fail_msg("%s", error.message);
    assert_same(&arrays, &back);
    assert_string_equal(found, metadata);
    /* Deterministic, and a fixed point. */
    assert_int_equal(safetensors_format(&back, found, &again, &again_count, &error), GR_OK);
    assert_int_equal(again_count, count);
    assert_memory_equal(bytes, again, count);
    free(again);
    free(found);
    free(bytes);
    gr_arrays_clear(&back);
    /* Without arrays, without metadata. */
    gr_arrays none = {0};
    assert_int_equal(safetensors_format(&none, NULL, &bytes, &count, &error), GR_OK);
    assert_int_equal(safetensors_parse(bytes, count, &back, &found, &error), GR_OK);
    assert_null(found);
    assert_int_equal(back.count, 0);
    free(bytes);
    const char *const bad[] = {"[]", "{\"a\":1}", "{", ""};
    for (int i = 0; i < 4; i++)
        assert_int_equal(safetensors_format(&arrays, bad[i], &bytes, &count, &error), GR_INVALID);
    gr_arrays_clear(&arrays);
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    gr_arrays arrays = example(), back;
    void *bytes;
    size_t count;
    gr_error error = {0};
    assert_int_equal(safetensors_format(&arrays, "{\"a\":\"b\"}", &bytes, &count, &error), GR_OK);
    for (size_t length = 0; length < count; length++) {
        char *cut = malloc(length + (length == 0));
        memcpy(cut, bytes, length);
        assert_int_equal(safetensors_parse(cut, length, &back, NULL, &error), GR_CORRUPT);
        assert_int_equal(back.count, 0);
        free(cut);
    }
    free(bytes);
    gr_arrays_clear(&arrays);
}

/* Any byte of the header changed: an error or arrays, never anything else. */
static void every_changed_byte_is_survived(void **state) {
    (void)state;
    gr_arrays arrays = example(), back;
    void *bytes;
    size_t count;
    gr_error error = {0};
    assert_int_equal(safetensors_format(&arrays, NULL, &bytes, &count, &error), GR_OK);
    const char values[] = "0\"{}[],:9-e\xFF";
    for (size_t i = 0; i < count; i++) {
        for (size_t v = 0; v < sizeof values; v++) {
            char *changed = malloc(count);
            memcpy(changed, bytes, count);
            changed[i] = values[v];
            const gr_status status = safetensors_parse(changed, count, &back, NULL, &error);
            if (status != GR_OK && status != GR_CORRUPT)
                fail_msg("byte %zu, value %zu: %s", i, v, error.message);
            gr_arrays_clear(&back);
            free(changed);
        }
    }
    free(bytes);
    gr_arrays_clear(&arrays);
}

/* -- files
 * ---------------------------------------------------------------------------------------------- */

static size_t files_in(const char *folder) {
    DIR *directory = opendir(folder);
    size_t count = 0;
    while (readdir(directory)) count++;
    closedir(directory);
    return count - 2;
}

static void files_are_whole(void **state) {
    (void)state;
    char folder[] = "/tmp/gradreg-test-XXXXXX", path[64], *metadata;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.safetensors", folder);
    gr_arrays arrays = example(), back;
    gr_error error = {0};
    assert_int_equal(safetensors_write_file(path, &arrays, "{\"v\":\"1\"}", &error), GR_OK);
    assert_int_equal(safetensors_write_file(path, &arrays, "{\"v\":\"2\"}", &error), GR_OK);
    assert_int_equal(files_in(folder), 1);
    assert_int_equal(safetensors_read_file(path, &back, &metadata, &error), GR_OK);
    assert_same(&arrays, &back);
    assert_string_equal(metadata, "{\"v\":\"2\"}");
    free(metadata);
    gr_arrays_clear(&back);
    /* What is no file is neither read nor replaced. */
    assert_int_equal(safetensors_read_file(folder, &back, NULL, &error), GR_INVALID);
    assert_int_equal(safetensors_read_file("/dev/null", &back, NULL, &error), GR_INVALID);
    assert_int_equal(safetensors_write_file(folder, &arrays, NULL, &error), GR_INVALID);
    assert_int_equal(safetensors_write_file("/dev/null", &arrays, NULL, &error), GR_INVALID);
    assert_int_equal(safetensors_write_file("", &arrays, NULL, &error), GR_INVALID);
    struct stat about;
    assert_int_equal(stat("/dev/null", &about), 0);
    assert_true(S_ISCHR(about.st_mode));
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(safetensors_read_file(path, &back, NULL, &error), GR_INVALID);
    unlink(path);
    snprintf(path, sizeof path, "%s/none/m.safetensors", folder);
    assert_int_equal(safetensors_write_file(path, &arrays, NULL, &error), GR_NOT_FOUND);
    assert_int_equal(safetensors_read_file(path, &back, NULL, &error), GR_NOT_FOUND);
    assert_non_null(strstr(error.message, path));
    gr_arrays_clear(&arrays);
    snprintf(path, sizeof path, "%s/m.safetensors", folder);
    void *bytes;
    size_t count;
    assert_int_equal(file_read(path, 10, &bytes, &count, &error), GR_TOO_LARGE);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

/* A full disk: what was there stays, and nothing else. */
static void full_disks_lose_nothing(void **state) {
    (void)state;
    gr_error error = {0};
    char folder[] = "/tmp/gradreg-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m", folder);
    assert_int_equal(file_replace(path, "old", 3, &error), GR_OK);
    /* A limit on the size of files stands for the disk: it needs no rights. */
    struct rlimit before, small = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    static const char large[100000];
    assert_int_equal(file_replace(path, large, sizeof large, &error), GR_NO_SPACE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(files_in(folder), 1);
    void *bytes;
    size_t count;
    assert_int_equal(file_read(path, 100, &bytes, &count, &error), GR_OK);
    assert_memory_equal(bytes, "old", 4);
    free(bytes);
    unlink(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_headers_are_refused_by_name),
        cmocka_unit_test(lying_header_lengths_are_refused),
        cmocka_unit_test(too_many_tensors_are_refused),
        cmocka_unit_test(arrays_survive),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_changed_byte_is_survived),
        cmocka_unit_test(files_are_whole),
        cmocka_unit_test(full_disks_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
