#include "server/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/files.h"
#include "server/json.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

enum {
    LENGTH_BYTES = 8, /* before the header: its length */
    ALIGNMENT = 8,    /* of the data: the header is padded with spaces */
    MAXIMUM_HEADER = 8 << 20,
    MAXIMUM_TENSORS = 16384,
    QUOTED_SIZE = 64
};
static const size_t maximum_file = (size_t)1 << 40;
static const int64_t largest_integer = 9007199254740991; /* 2^53 - 1 */

static const struct {
    const char *name;
    gr_element_type type;
} types[] = {{"F32", GR_F32}, {"F64", GR_F64}, {"I64", GR_I64},
             {"U64", GR_U64}, {"U8", GR_U8},   {"I32", GR_I32}};
enum { TYPE_COUNT = sizeof types / sizeof *types };

/* -- reading
 * ------------------------------------------------------------------------------------------ */

struct tensor {
    const char *name; /* borrowed from the header */
    gr_element_type type;
    gr_shape shape;
    size_t begin, end; /* of its data, from the end of the header */
};

/* A name from a file, fit for a message. */
static const char *printable(const char *name, char text[QUOTED_SIZE]) {
    size_t length = 0;
    for (; name[length] && length < QUOTED_SIZE - 1; length++)
        text[length] = name[length] >= 0x20 && name[length] < 0x7F ? name[length] : '?';
    text[length] = '\0';
    return text;
}

__attribute__((format(printf, 3, 4))) static gr_status corrupt(gr_error *error, const char *tensor,
                                                               const char *format, ...) {
    char name[QUOTED_SIZE], message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return gr_fail(error, GR_CORRUPT, "tensor \"%s\": %s", printable(tensor, name), message);
}

/* A whole number in 0 … 2^53 - 1. */
static bool whole(const cJSON *item, int64_t *value) {
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
        item->valuedouble > (double)largest_integer)
        return false;
    *value = (int64_t)item->valuedouble;
    return (double)*value == item->valuedouble;
}

static gr_status read_type(const cJSON *entry, struct tensor *tensor, gr_error *error) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    if (!cJSON_IsString(item)) return corrupt(error, tensor->name, "has no \"dtype\"");
    for (int i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(types[i].name, item->valuestring) != 0) continue;
        tensor->type = types[i].type;
        return GR_OK;
    }
    char name[QUOTED_SIZE];
    return corrupt(error, tensor->name,
                   "the type \"%s\" is not known here: F32, F64, I32, I64, U8 and U64 are",
                   printable(item->valuestring, name));
}

static gr_status read_shape(const cJSON *entry, struct tensor *tensor, size_t *bytes,
                            gr_error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    if (!cJSON_IsArray(list)) return corrupt(error, tensor->name, "has no \"shape\"");
    *bytes = gr_element_size(tensor->type);
    /* An empty tensor may have any other sizes: their product alone must not overflow. */
    size_t product = *bytes;
    for (const cJSON *item = list->child; item; item = item->next) {
        int64_t size;
        if (tensor->shape.rank == GR_MAXIMUM_RANK)
            return corrupt(error, tensor->name, "has more than %d dimensions", GR_MAXIMUM_RANK);
        if (!whole(item, &size)) return corrupt(error, tensor->name, "has a bad \"shape\"");
        tensor->shape.size[tensor->shape.rank++] = size;
        if (__builtin_mul_overflow(*bytes, (size_t)size, bytes) ||
            (size > 0 && __builtin_mul_overflow(product, (size_t)size, &product)) ||
            product > INT64_MAX)
            return corrupt(error, tensor->name, "its sizes are too large");
    }
    return GR_OK;
}

static gr_status read_range(const cJSON *entry, struct tensor *tensor, size_t bytes,
                            size_t data_bytes, gr_error *error) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    int64_t begin, end;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != 2 || !whole(list->child, &begin) ||
        !whole(list->child->next, &end))
        return corrupt(error, tensor->name, "\"data_offsets\" are not two whole numbers");
    if (begin > end)
        return corrupt(error, tensor->name, "its data ends at %lld, before it begins at %lld",
                       (long long)end, (long long)begin);
    if ((uint64_t)end > data_bytes)
        return corrupt(error, tensor->name,
                       "its data ends at %lld, but the file has %zu bytes of data", (long long)end,
                       data_bytes);
    tensor->begin = (size_t)begin;
    tensor->end = (size_t)end;
    char shape[128];
    if (tensor->end - tensor->begin != bytes)
        return corrupt(error, tensor->name, "its shape %s needs %zu bytes, but it has %zu",
                       gr_shape_text(&tensor->shape, shape), bytes, tensor->end - tensor->begin);
    return GR_OK;
}

static gr_status read_entry(const cJSON *entry, size_t data_bytes, struct tensor *tensor,
                            gr_error *error) {
    size_t bytes = 0;
    *tensor = (struct tensor){.name = entry->string};
    if (!cJSON_IsObject(entry)) return corrupt(error, tensor->name, "is not an object");
    int members = 0;
    for (const cJSON *member = entry->child; member; member = member->next, members++)
        if (strcmp(member->string, "dtype") != 0 && strcmp(member->string, "shape") != 0 &&
            strcmp(member->string, "data_offsets") != 0)
            return corrupt(error, tensor->name, "has a member that the format does not have");
    GR_TRY(read_type(entry, tensor, error));
    GR_TRY(read_shape(entry, tensor, &bytes, error));
    GR_TRY(read_range(entry, tensor, bytes, data_bytes, error));
    if (members != 3) return corrupt(error, tensor->name, "has a member twice");
    return GR_OK;
}

static int by_range(const void *a, const void *b) {
    const struct tensor *const *x = a, *const *y = b;
    if ((*x)->begin != (*y)->begin) return (*x)->begin < (*y)->begin ? -1 : 1;
    return (*x)->end < (*y)->end ? -1 : (*x)->end > (*y)->end;
}

/* The tensors' data must cover the file: neither holes nor overlaps, in any order. */
static gr_status check_cover(const struct tensor *tensors, size_t count, size_t data_bytes,
                             gr_error *error) {
    const struct tensor **sorted = calloc(count + 1, sizeof(struct tensor *));
    if (!sorted) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %zu tensors", count);
    for (size_t i = 0; i < count; i++) sorted[i] = &tensors[i];
    qsort(sorted, count, sizeof *sorted, by_range);
    gr_status status = GR_OK;
    size_t position = 0;
    for (size_t i = 0; i < count && status == GR_OK; i++) {
        if (sorted[i]->begin != position)
            status = corrupt(error, sorted[i]->name,
                             "its data begins at %zu, but the data before it ends at %zu",
                             sorted[i]->begin, position);
        position = sorted[i]->end;
    }
    if (status == GR_OK && position != data_bytes)
        status =
            gr_fail(error, GR_CORRUPT, "the tensors end at %zu, but the file has %zu bytes of data",
                    position, data_bytes);
    free(sorted);
    return status;
}

static bool is_metadata(const cJSON *entry) {
    return strcmp(entry->string, "__metadata__") == 0;
}

/* True where every member of an object is a string. */
static bool has_only_strings(const cJSON *object) {
    if (!cJSON_IsObject(object)) return false;
    for (const cJSON *member = object->child; member; member = member->next)
        if (!cJSON_IsString(member)) return false;
    return true;
}

static gr_status read_header(const cJSON *header, const unsigned char *data, size_t data_bytes,
                             gr_arrays *arrays, gr_error *error) {
    if (!cJSON_IsObject(header)) return gr_fail(error, GR_CORRUPT, "the header is not an object");
    size_t entries = 0, count = 0;
    for (const cJSON *entry = header->child; entry; entry = entry->next) entries++;
    if (entries > MAXIMUM_TENSORS)
        return gr_fail(error, GR_CORRUPT, "the file has %zu tensors; at most %d are allowed",
                       entries, MAXIMUM_TENSORS);
    struct tensor *tensors = calloc(entries + 1, sizeof *tensors);
    if (!tensors) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %zu tensors", entries);
    gr_status status = GR_OK;
    bool metadata = false;
    for (const cJSON *entry = header->child; entry && status == GR_OK; entry = entry->next) {
        if (!is_metadata(entry)) {
            status = read_entry(entry, data_bytes, &tensors[count++], error);
        } else {
            if (metadata || !has_only_strings(entry))
                status =
                    gr_fail(error, GR_CORRUPT, "\"__metadata__\" is not one object of strings");
            metadata = true;
        }
    }
    if (status == GR_OK) status = check_cover(tensors, count, data_bytes, error);
    for (size_t i = 0; i < count && status == GR_OK; i++) {
        void *to;
        status =
            gr_arrays_add(arrays, tensors[i].name, tensors[i].type, &tensors[i].shape, &to, error);
        if (status == GR_INVALID) status = corrupt(error, tensors[i].name, "is there twice");
        if (status == GR_OK && tensors[i].end > tensors[i].begin)
            memcpy(to, data + tensors[i].begin, tensors[i].end - tensors[i].begin);
    }
    free(tensors);
    return status;
}

gr_status safetensors_parse(const void *bytes, size_t count, gr_arrays *arrays, char **metadata,
                            gr_error *error) {
    *arrays = (gr_arrays){0};
    if (metadata) *metadata = NULL;
    if (count < LENGTH_BYTES)
        return gr_fail(error, GR_CORRUPT, "%zu bytes are too few for a safetensors file", count);
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    if (length > MAXIMUM_HEADER)
        return gr_fail(
            error, GR_CORRUPT,
            "the header claims %llu bytes; at most %d are allowed: is this a safetensors "
            "file?",
            (unsigned long long)length, MAXIMUM_HEADER);
    if (length > count - LENGTH_BYTES)
        return gr_fail(error, GR_CORRUPT,
                       "the header claims %llu bytes, but only %zu follow: the file is cut",
                       (unsigned long long)length, count - LENGTH_BYTES);
    const char *text = (const char *)bytes + LENGTH_BYTES;
    cJSON *header;
    gr_error inner = {0};
    gr_status status = json_parse(text, (size_t)length, &header, &inner);
    if (status != GR_OK)
        return gr_fail(error, status == GR_INVALID ? GR_CORRUPT : status,
                       "the header is not JSON: %s", inner.message);
    status = read_header(header, (const unsigned char *)text + length,
                         count - LENGTH_BYTES - (size_t)length, arrays, error);
    const cJSON *about = cJSON_GetObjectItemCaseSensitive(header, "__metadata__");
    if (status == GR_OK && metadata && about) {
        *metadata = json_text(about);
        if (!*metadata) status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the metadata");
    }
    cJSON_Delete(header);
    if (status != GR_OK) gr_arrays_clear(arrays);
    return status;
}

gr_status safetensors_read_file(const char *path, gr_arrays *arrays, char **metadata,
                                gr_error *error) {
    void *bytes;
    size_t count;
    *arrays = (gr_arrays){0};
    if (metadata) *metadata = NULL;
    GR_TRY(file_read(path, maximum_file, &bytes, &count, error));
    gr_error inner = {0};
    const gr_status status = safetensors_parse(bytes, count, arrays, metadata, &inner);
    free(bytes);
    if (status != GR_OK) return gr_fail(error, status, "%s: %s", path, inner.message);
    return GR_OK;
}

/* -- writing
 * ------------------------------------------------------------------------------------------- */

static size_t array_bytes(const gr_array *array) {
    return (size_t)gr_shape_elements(&array->shape) * gr_element_size(array->type);
}

/* The offset of each array's data. Wider elements come first, so that all are aligned; returns the
 * total. */
static size_t place_data(const gr_arrays *arrays, size_t *offsets) {
    size_t total = 0;
    for (size_t width = 8; width > 0; width /= 2) {
        for (size_t i = 0; i < arrays->count; i++) {
            if (gr_element_size(arrays->items[i].type) != width) continue;
            offsets[i] = total;
            total += array_bytes(&arrays->items[i]);
        }
    }
    return total;
}

static bool add_entry(cJSON *header, const gr_array *array, size_t offset) {
    cJSON *entry = cJSON_AddObjectToObject(header, array->name);
    const char *type = NULL;
    for (int i = 0; i < TYPE_COUNT; i++)
        if (types[i].type == array->type) type = types[i].name;
    if (!entry || !cJSON_AddStringToObject(entry, "dtype", type)) return false;
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    for (int i = 0; i < array->shape.rank; i++)
        if (!shape || !cJSON_AddItemToArray(shape, json_integer(array->shape.size[i])))
            return false;
    cJSON *range = cJSON_AddArrayToObject(entry, "data_offsets");
    return range && cJSON_AddItemToArray(range, json_integer((int64_t)offset)) &&
           cJSON_AddItemToArray(range, json_integer((int64_t)(offset + array_bytes(array))));
}

static gr_status header_text(const gr_arrays *arrays, const char *metadata_json,
                             const size_t *offsets, char **text, gr_error *error) {
    *text = NULL;
    cJSON *header = cJSON_CreateObject();
    bool good = header;
    if (good && metadata_json) {
        cJSON *metadata = NULL;
        gr_error inner = {0};
        const gr_status status =
            json_parse(metadata_json, strlen(metadata_json), &metadata, &inner);
        if (status != GR_OK || !has_only_strings(metadata)) {
            cJSON_Delete(metadata);
            cJSON_Delete(header);
            return gr_fail(error, GR_INVALID, "the metadata is not an object of strings: %s",
                           inner.message);
        }
        good = cJSON_AddItemToObject(header, "__metadata__", metadata);
        if (!good) cJSON_Delete(metadata);
    }
    for (size_t i = 0; i < arrays->count && good; i++)
        good = add_entry(header, &arrays->items[i], offsets[i]);
    *text = good ? json_text(header) : NULL;
    cJSON_Delete(header);
    if (!*text) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a header");
    return GR_OK;
}

gr_status safetensors_format(const gr_arrays *arrays, const char *metadata_json, void **bytes,
                             size_t *count, gr_error *error) {
    *bytes = NULL;
    size_t *offsets = calloc(arrays->count + 1, sizeof *offsets);
    if (!offsets) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a header");
    const size_t total = place_data(arrays, offsets);
    char *header;
    const gr_status status = header_text(arrays, metadata_json, offsets, &header, error);
    if (status != GR_OK) {
        free(offsets);
        return status;
    }
    const size_t used = strlen(header);
    const size_t length = (used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *count = LENGTH_BYTES + length + total;
    char *to = malloc(*count);
    if (to) {
        const uint64_t stored = length;
        memcpy(to, &stored, LENGTH_BYTES);
        memcpy(to + LENGTH_BYTES, header, used);
        memset(to + LENGTH_BYTES + used, ' ', length - used);
        for (size_t i = 0; i < arrays->count; i++)
            memcpy(to + LENGTH_BYTES + length + offsets[i], arrays->items[i].data,
                   array_bytes(&arrays->items[i]));
    }
    free(header);
    free(offsets);
    if (!to) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %zu bytes", *count);
    *bytes = to;
    return GR_OK;
}

gr_status safetensors_write_file(const char *path, const gr_arrays *arrays,
                                 const char *metadata_json, gr_error *error) {
    void *bytes;
    size_t count;
    GR_TRY(safetensors_format(arrays, metadata_json, &bytes, &count, error));
    const gr_status status = file_replace(path, bytes, count, error);
    free(bytes);
    return status;
}
