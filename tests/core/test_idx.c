/* The IDX reader against files that are not what they claim to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "core/data/idx.h"

enum { LIMIT = 1000, SMALL = 4 + 2 * 4 + 6 };

/* Two by three bytes. */
static const uint8_t small[SMALL] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};

static size_t pack(const uint8_t *bytes, size_t count, uint8_t *packed, size_t room) {
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)bytes;
    stream.avail_in = (uInt)count;
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t size = room - stream.avail_out;
    deflateEnd(&stream);
    return size;
}

static void expect_small(const void *bytes, size_t count) {
    gr_idx idx;
    gr_error error = {0};
    assert_int_equal(gr_idx_parse("small", bytes, count, LIMIT, &idx, &error), GR_OK);
    assert_int_equal(idx.shape.rank, 2);
    assert_int_equal(idx.shape.size[0], 2);
    assert_int_equal(idx.shape.size[1], 3);
    assert_memory_equal(idx.bytes, small + 12, 6);
    gr_idx_clear(&idx);
}

/* Refused as corrupt, by a message that has the file's name and `part` in it. */
static void expect_corrupt(const void *bytes, size_t count, const char *part) {
    gr_idx idx;
    gr_error error = {0};
    /* Exactly as much memory as there is content: a sanitizer sees a read beyond. */
    uint8_t *copy = malloc(count + (count == 0));
    if (count) memcpy(copy, bytes, count);
    assert_int_equal(gr_idx_parse("some/file", copy, count, LIMIT, &idx, &error), GR_CORRUPT);
    free(copy);
    assert_null(idx.bytes);
    assert_int_equal(error.status, GR_CORRUPT);
    if (!strstr(error.message, "some/file") || !strstr(error.message, part))
        fail_msg("\"%s\" lacks the file's name or \"%s\"", error.message, part);
}

static void test_valid(void **state) {
    (void)state;
    uint8_t packed[256];
    expect_small(small, SMALL);
    expect_small(packed, pack(small, SMALL, packed, sizeof packed));
    /* Two gzip members in a row are one file. */
    size_t first = pack(small, 7, packed, sizeof packed);
    size_t second = pack(small + 7, SMALL - 7, packed + first, sizeof packed - first);
    expect_small(packed, first + second);
}

static void test_every_truncation(void **state) {
    (void)state;
    uint8_t packed[256];
    size_t size = pack(small, SMALL, packed, sizeof packed);
    for (size_t count = 0; count < SMALL; count++) expect_corrupt(small, count, "truncated");
    for (size_t count = 0; count < size; count++) expect_corrupt(packed, count, "truncated");
}

static void test_malformed_headers(void **state) {
    (void)state;
    static const struct {
        const char *what, *message;
        uint8_t bytes[48];
        size_t count;
    } cases[] = {
        {"text", "no IDX file", "hello, world", 12},
        {"second byte", "no IDX file", {0, 1, 8, 1, 0, 0, 0, 1, 7}, 9},
        {"floats", "32-bit floats", {0, 0, 0x0d, 1, 0, 0, 0, 1, 0, 0, 0, 0}, 12},
        {"no type", "no known type", {0, 0, 0x77, 1, 0, 0, 0, 1, 7}, 9},
        {"rank 0", "0 dimensions", {0, 0, 8, 0, 7}, 5},
        {"rank 255", "255 dimensions", {0, 0, 8, 255, 0, 0, 0, 1}, 8},
        {"size 0", "dimension 2 has size 0", {0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 0}, 12},
        {"one element too few", "only 2 follow", {0, 0, 8, 1, 0, 0, 0, 3, 1, 2}, 10},
        {"one element too many", "more data", {0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3, 4}, 12},
        {"over the limit", "1000 bytes", {0, 0, 8, 1, 0, 0, 3, 233}, 8},
        {"2^32 - 1", "dimension 1 has size 4294967295", {0, 0, 8, 1, 255, 255, 255, 255, 1}, 9},
        {"2^60", "dimension 1", {0, 0, 8, 3, 0, 16, 0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 1}, 17},
        {"a product of 2^64",
         "dimension 5",
         {0, 0, 8, 8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0,
          0, 1, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0},
         36},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t packed[256];
        print_message("%s\n", cases[i].what);
        expect_corrupt(cases[i].bytes, cases[i].count, cases[i].message);
        size_t size = pack(cases[i].bytes, cases[i].count, packed, sizeof packed);
        expect_corrupt(packed, size, cases[i].message);
    }
}

static void test_damaged_gzip(void **state) {
    (void)state;
    uint8_t packed[256];
    size_t size = pack(small, SMALL, packed, sizeof packed);
    packed[size - 6] ^= 1; /* the checksum */
    expect_corrupt(packed, size, "damaged");
    packed[size - 6] ^= 1;
    memset(packed + size, 'x', 3);
    expect_corrupt(packed, size + 3, "follow");
    /* Any one bit flipped: refused, or (a flag or a bit that nothing depends on) read right. */
    for (size_t bit = 0; bit < 8 * size; bit++) {
        gr_idx idx;
        uint8_t *copy = malloc(size);
        memcpy(copy, packed, size);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (gr_idx_parse("flipped", copy, size, LIMIT, &idx, NULL) == GR_OK)
            assert_memory_equal(idx.bytes, small + 12, 6);
        gr_idx_clear(&idx);
        free(copy);
    }
}

/* A few bytes that promise a lot must not be believed: the address space would not hold it. */
static void test_memory_follows_content(void **state) {
    (void)state;
    const uint8_t header[] = {0, 0, 8, 4,   255, 255, 0, 0,  0, 255, 255,
                              0, 0, 0, 255, 0,   0,   0, 16, 0, 1};
    gr_idx idx;
    gr_error error = {0};
    assert_int_equal(gr_idx_parse("liar", header, sizeof header, INT64_MAX, &idx, &error),
                     GR_CORRUPT);
    assert_non_null(strstr(error.message, "dimension 3"));
    const uint8_t possible[] = {0, 0, 8, 2, 0, 16, 0, 0, 0, 16, 0, 0, 1}; /* 2^40 */
    assert_int_equal(gr_idx_parse("liar", possible, sizeof possible, INT64_MAX, &idx, &error),
                     GR_CORRUPT);
    assert_non_null(strstr(error.message, "only 1 follow"));
}

static void test_files(void **state) {
    (void)state;
    char folder[] = "/tmp/gradreg-idx-XXXXXX", path[64];
    gr_idx idx;
    gr_error error = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(gr_idx_read(path, LIMIT, &idx, &error), GR_NOT_FOUND);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(gr_idx_read(folder, LIMIT, &idx, &error), GR_CORRUPT);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not hang */
    assert_int_equal(gr_idx_read(path, LIMIT, &idx, &error), GR_CORRUPT);
    unlink(path);
    /* Larger than the reader's buffers, plain and packed. */
    enum { LARGE = 3000000 };
    uint8_t *bytes = malloc(8 + LARGE), *packed = malloc(LARGE);
    const uint8_t header[8] = {
        0, 0, 8, 1, LARGE >> 24, LARGE >> 16 & 255, LARGE >> 8 & 255, LARGE & 255};
    memcpy(bytes, header, 8);
    for (int i = 0; i < LARGE; i++) bytes[8 + i] = (uint8_t)(i % 251);
    for (int gzipped = 0; gzipped < 2; gzipped++) {
        FILE *file = fopen(path, "wb");
        const uint8_t *content = gzipped ? packed : bytes;
        size_t size = gzipped ? pack(bytes, 8 + LARGE, packed, LARGE) : 8 + LARGE;
        assert_int_equal(fwrite(content, 1, size, file), size);
        fclose(file);
        assert_int_equal(gr_idx_read(path, LARGE, &idx, &error), GR_OK);
        assert_memory_equal(idx.bytes, bytes + 8, LARGE);
        gr_idx_clear(&idx);
        assert_int_equal(gr_idx_read(path, LARGE - 1, &idx, &error), GR_CORRUPT);
        assert_int_equal(truncate(path, (off_t)size - 1), 0);
        assert_int_equal(gr_idx_read(path, LARGE, &idx, &error), GR_CORRUPT);
        assert_non_null(strstr(error.message, path));
    }
    free(bytes);
    free(packed);
    unlink(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_damaged_gzip),
        cmocka_unit_test(test_memory_follows_content),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
