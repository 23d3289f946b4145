/* SHA-256 of texts. */
#ifndef SERVER_DIGEST_H
#define SERVER_DIGEST_H

#include <stddef.h>

enum { DIGEST_SIZE = 65 }; /* of the hex text, with its NUL */

typedef struct digest_part {
    const void *bytes;
    size_t length;
} digest_part;

/* Of the parts, each preceded by its length: no two lists of parts have the same bytes. */
void digest_parts(const digest_part *parts, size_t count, char hex[DIGEST_SIZE]);
/* HMAC-SHA-256 of `bytes`, one after the other. */
void digest_hmac(const void *key, size_t key_length, const digest_part *parts, size_t count,
                 char hex[DIGEST_SIZE]);

#endif
