/* The safetensors file format: named arrays with a JSON header. */
#ifndef SERVER_SAFETENSORS_H
#define SERVER_SAFETENSORS_H

#include <stddef.h>

#include "gradreg/arrays.h"

/* Reads a whole file or buffer. Survives any content: GR_CORRUPT names the tensor and what is wrong
 * with it (header over 8 MiB, overflowing sizes, overlapping, out-of-order or missing ranges,
 * unknown types, shape and length that differ). Metadata, where wanted, is the "__metadata__"
 * object's JSON text, owned by the caller (free). */
gr_status safetensors_read_file(const char *path, gr_arrays *arrays, char **metadata,
                                gr_error *error);
gr_status safetensors_parse(const void *bytes, size_t count, gr_arrays *arrays, char **metadata,
                            gr_error *error);

/* `metadata_json`: an object of strings, or NULL. The bytes are owned by the caller (free);
 * deterministic. */
gr_status safetensors_format(const gr_arrays *arrays, const char *metadata_json, void **bytes,
                             size_t *count, gr_error *error);
/* Writes to a temporary name in the same folder, fsyncs, renames, fsyncs the folder: the path holds
 * the whole new file or the old one. */
gr_status safetensors_write_file(const char *path, const gr_arrays *arrays,
                                 const char *metadata_json, gr_error *error);

#endif
