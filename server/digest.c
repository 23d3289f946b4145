#include "server/digest.h"

#include <stdint.h>
#include <stdio.h>

#include <nettle/hmac.h>
#include <nettle/sha2.h>

static void write_hex(const uint8_t digest[SHA256_DIGEST_SIZE], char hex[DIGEST_SIZE]) {
    for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void digest_parts(const digest_part *parts, size_t count, char hex[DIGEST_SIZE]) {
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    for (size_t i = 0; i < count; i++) {
        char length[32];
        int size = snprintf(length, sizeof length, "%zu:", parts[i].length);
        sha256_update(&context, (size_t)size, (const uint8_t *)length);
        sha256_update(&context, parts[i].length, parts[i].bytes);
    }
    sha256_digest(&context, sizeof digest, digest);
    write_hex(digest, hex);
}

void digest_hmac(const void *key, size_t key_length, const digest_part *parts, size_t count,
                 char hex[DIGEST_SIZE]) {
    struct hmac_sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    hmac_sha256_set_key(&context, key_length, key);
    for (size_t i = 0; i < count; i++)
        hmac_sha256_update(&context, parts[i].length, parts[i].bytes);
    hmac_sha256_digest(&context, sizeof digest, digest);
    write_hex(digest, hex);
}
