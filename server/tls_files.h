/* The server's certificate and key, read and checked before they are used. */
#ifndef SERVER_TLS_FILES_H
#define SERVER_TLS_FILES_H

#include <stdint.h>

#include "gradreg/status.h"

typedef struct tls_files {
    char *certificate, *key; /* PEM texts, owned */
    char subject[256];       /* "CN=gpu1.example" */
    int64_t expires_at;      /* milliseconds since 1970 */
} tls_files;

/* GR_INVALID where one is no PEM file, where the key is not the certificate's, where the
 * certificate is not valid now, or where others than its owner and group may read the key. */
gr_status tls_files_read(const char *certificate, const char *key, tls_files *result,
                         gr_error *error);
void tls_files_clear(tls_files *files);

#endif
