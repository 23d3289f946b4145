#include "core/data/idx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    INPUT_SIZE = 64 * 1024,
    FIRST_ALLOCATION = 1024 * 1024,
    UNSIGNED_BYTE = 0x08,
    GZIP_WINDOW = 15 + 16 /* inflateInit2: the largest window, a gzip header required */
};

/* -- a stream of unpacked bytes
 * ------------------------------------------------------------------------ */

/* Where bytes come from: an open file, or what is left of a block of memory. `input` holds bytes
 * that have been read but not used yet. */
typedef struct source {
    const char *name;
    int file; /* -1: memory */
    const uint8_t *memory;
    size_t memory_left;
    uint8_t input[INPUT_SIZE];
    size_t input_count, input_used;
    bool gzip;
    bool member_ended; /* gzip: the last member was read to its checksum */
    z_stream stream;
} source;

/* Where a path does not fit a message, its end says more than its beginning. */
static const char *shown(const char *name) {
    const size_t longest = 240;
    size_t length = strlen(name);
    return length > longest ? name + (length - longest) : name;
}

/* Makes sure that there is unused input, unless the file ends. */
static gr_status refill(source *from, gr_error *error) {
    if (from->input_used < from->input_count) return GR_OK;
    from->input_used = from->input_count = 0;
    if (from->file < 0) {
        from->input_count = from->memory_left < INPUT_SIZE ? from->memory_left : INPUT_SIZE;
        if (from->input_count) memcpy(from->input, from->memory, from->input_count);
        from->memory += from->input_count;
        from->memory_left -= from->input_count;
        return GR_OK;
    }
    ssize_t count;
    do count = read(from->file, from->input, INPUT_SIZE);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return gr_fail(error, GR_IO, "%s: cannot be read: %s", shown(from->name), strerror(errno));
    from->input_count = (size_t)count;
    return GR_OK;
}

static gr_status read_plain(source *from, uint8_t *to, size_t wanted, size_t *got,
                            gr_error *error) {
    for (*got = 0; *got < wanted;) {
        GR_TRY(refill(from, error));
        size_t count = from->input_count - from->input_used;
        if (count == 0) break;
        if (count > wanted - *got) count = wanted - *got;
        memcpy(to + *got, from->input + from->input_used, count);
        from->input_used += count;
        *got += count;
    }
    return GR_OK;
}

static gr_status read_gzip(source *from, uint8_t *to, size_t wanted, size_t *got, gr_error *error) {
    for (*got = 0; *got < wanted;) {
        GR_TRY(refill(from, error));
        size_t available = from->input_count - from->input_used;
        if (from->member_ended) {
            if (available == 0) break;
            /* A gzip file may be several members in a row. */
            if (from->input[from->input_used] != 0x1f)
                return gr_fail(error, GR_CORRUPT, "%s: other bytes follow the gzip data",
                               shown(from->name));
            inflateReset(&from->stream);
            from->member_ended = false;
        }
        if (available == 0)
            return gr_fail(error, GR_CORRUPT, "%s: truncated: the gzip data ends in the middle",
                           shown(from->name));
        size_t room = wanted - *got;
        if (room > INPUT_SIZE) room = INPUT_SIZE; /* fits zlib's unsigned counts */
        from->stream.next_in = from->input + from->input_used;
        from->stream.avail_in = (uInt)available;
        from->stream.next_out = to + *got;
        from->stream.avail_out = (uInt)room;
        int result = inflate(&from->stream, Z_NO_FLUSH);
        from->input_used = from->input_count - from->stream.avail_in;
        *got += room - from->stream.avail_out;
        if (result == Z_STREAM_END)
            from->member_ended = true;
        else if (result == Z_MEM_ERROR)
            return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory to unpack", shown(from->name));
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return gr_fail(error, GR_CORRUPT, "%s: the gzip data is damaged (%s)",
                           shown(from->name),
                           from->stream.msg ? from->stream.msg : "not readable by zlib");
    }
    return GR_OK;
}

/* Reads until `wanted` bytes are there or the content ends. */
static gr_status read_bytes(source *from, uint8_t *to, size_t wanted, size_t *got,
                            gr_error *error) {
    return from->gzip ? read_gzip(from, to, wanted, got, error)
                      : read_plain(from, to, wanted, got, error);
}

/* -- the format
 * ------------------------------------------------------------------------------------------ */

static const char *type_name(unsigned type) {
    switch (type) {
    case 0x09:
        return "signed bytes";
    case 0x0b:
        return "16-bit integers";
    case 0x0c:
        return "32-bit integers";
    case 0x0d:
        return "32-bit floats";
    case 0x0e:
        return "64-bit floats";
    default:
        return "no known type";
    }
}

/* Magic number and sizes. The product of the sizes is at most maximum_bytes afterwards. */
static gr_status read_header(source *from, int64_t maximum_bytes, gr_shape *shape,
                             gr_error *error) {
    const char *name = shown(from->name);
    uint8_t header[4];
    size_t got;
    GR_TRY(read_bytes(from, header, sizeof header, &got, error));
    if (got < sizeof header)
        return gr_fail(error, GR_CORRUPT, "%s: truncated: %zu bytes are too few for an IDX header",
                       name, got);
    if (header[0] != 0 || header[1] != 0)
        return gr_fail(error, GR_CORRUPT,
                       "%s: no IDX file: it begins with %02x %02x %02x %02x instead of 00 00", name,
                       header[0], header[1], header[2], header[3]);
    if (header[2] != UNSIGNED_BYTE)
        return gr_fail(error, GR_CORRUPT,
                       "%s: element type 0x%02x (%s) where unsigned bytes (0x08) are needed", name,
                       header[2], type_name(header[2]));
    int rank = header[3];
    if (rank < 1 || rank > GR_MAXIMUM_RANK)
        return gr_fail(error, GR_CORRUPT, "%s: %d dimensions where 1 to %d are possible", name,
                       rank, GR_MAXIMUM_RANK);
    *shape = (gr_shape){.rank = rank};
    int64_t elements = 1;
    for (int i = 0; i < rank; i++) {
        uint8_t size[4];
        GR_TRY(read_bytes(from, size, sizeof size, &got, error));
        if (got < sizeof size)
            return gr_fail(error, GR_CORRUPT,
                           "%s: truncated: the header ends before the size of dimension %d of %d",
                           name, i + 1, rank);
        uint32_t value =
            (uint32_t)size[0] << 24 | (uint32_t)size[1] << 16 | (uint32_t)size[2] << 8 | size[3];
        if (value == 0)
            return gr_fail(error, GR_CORRUPT, "%s: dimension %d has size 0", name, i + 1);
        if (value > maximum_bytes / elements)
            return gr_fail(error, GR_CORRUPT,
                           "%s: dimension %d has size %u, which makes more than the %lld bytes "
                           "that such a file may hold",
                           name, i + 1, value, (long long)maximum_bytes);
        shape->size[i] = value;
        elements *= value;
    }
    return GR_OK;
}

/* Elements, until all that were declared are there; the allocation follows what was really read. */
static gr_status read_elements(source *from, gr_idx *idx, gr_error *error) {
    size_t declared = (size_t)gr_shape_elements(&idx->shape), capacity = 0, count = 0;
    while (count < declared) {
        capacity = capacity ? 2 * capacity : FIRST_ALLOCATION;
        if (capacity > declared) capacity = declared;
        uint8_t *bytes = realloc(idx->bytes, capacity);
        if (!bytes)
            return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for %zu bytes",
                           shown(from->name), capacity);
        idx->bytes = bytes;
        size_t got;
        GR_TRY(read_bytes(from, bytes + count, capacity - count, &got, error));
        count += got;
        if (count < capacity) {
            char shape[128];
            return gr_fail(error, GR_CORRUPT,
                           "%s: truncated: its header declares %s, %zu bytes, but only %zu follow",
                           shown(from->name), gr_shape_text(&idx->shape, shape), declared, count);
        }
    }
    /* One byte more would be one too many; for gzip this also checks the sum at the end. */
    uint8_t beyond;
    size_t got;
    GR_TRY(read_bytes(from, &beyond, 1, &got, error));
    if (got) {
        char shape[128];
        return gr_fail(error, GR_CORRUPT, "%s: more data than its header declares (%s, %zu bytes)",
                       shown(from->name), gr_shape_text(&idx->shape, shape), declared);
    }
    return GR_OK;
}

static gr_status read_source(source *from, int64_t maximum_bytes, gr_idx *idx, gr_error *error) {
    GR_TRY(refill(from, error));
    from->gzip = from->input_count >= 2 && from->input[0] == 0x1f && from->input[1] == 0x8b;
    if (from->gzip && inflateInit2(&from->stream, GZIP_WINDOW) != Z_OK)
        return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory to unpack", shown(from->name));
    gr_status status;
    GR_TRY_OR(cleanup, read_header(from, maximum_bytes, &idx->shape, error));
    GR_TRY_OR(cleanup, read_elements(from, idx, error));
cleanup:
    if (from->gzip) inflateEnd(&from->stream);
    if (status != GR_OK) gr_idx_clear(idx);
    return status;
}

gr_status gr_idx_parse(const char *name, const void *content, size_t count, int64_t maximum_bytes,
                       gr_idx *idx, gr_error *error) {
    *idx = (gr_idx){0};
    source *from = calloc(1, sizeof *from);
    if (!from) return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory to read", shown(name));
    from->name = name;
    from->file = -1;
    from->memory = content;
    from->memory_left = count;
    gr_status status = read_source(from, maximum_bytes, idx, error);
    free(from);
    return status;
}

gr_status gr_idx_read(const char *path, int64_t maximum_bytes, gr_idx *idx, gr_error *error) {
    *idx = (gr_idx){0};
    /* Not blocking: a FIFO of this name must not hang the program. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return gr_fail(error, errno == ENOENT || errno == ENOTDIR ? GR_NOT_FOUND : GR_IO,
                       "%s: cannot be opened: %s", shown(path), strerror(errno));
    struct stat information;
    gr_status status;
    source *from = NULL;
    if (fstat(file, &information) != 0 || !S_ISREG(information.st_mode)) {
        status = gr_fail(error, GR_CORRUPT, "%s: is not a regular file", shown(path));
    } else if (!(from = calloc(1, sizeof *from))) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory to read", shown(path));
    } else {
        from->name = path;
        from->file = file;
        status = read_source(from, maximum_bytes, idx, error);
    }
    free(from);
    close(file);
    return status;
}

void gr_idx_clear(gr_idx *idx) {
    free(idx->bytes);
    *idx = (gr_idx){0};
}
