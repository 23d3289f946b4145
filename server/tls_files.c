#include "server/tls_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "server/files.h"
#include "server/json.h"

enum { LARGEST_PEM = 1024 * 1024 };

static gr_status read_pem(const char *key, const char *path, char **text, gr_error *error) {
    gr_error inner = {0};
    void *bytes;
    size_t count;
    gr_status status = file_read(path, LARGEST_PEM, &bytes, &count, &inner);
    if (status != GR_OK) return gr_fail(error, status, "%s: %.400s", key, inner.message);
    *text = bytes;
    return GR_OK;
}

static gr_status check_permissions(const char *path, gr_error *error) {
    struct stat about;
    if (stat(path, &about) != 0)
        return gr_fail(error, GR_IO, "tls_key: %.300s: %s", path, strerror(errno));
    if (about.st_mode & (S_IROTH | S_IWOTH))
        return gr_fail(error, GR_INVALID,
                       "tls_key: everybody on this machine may read %.300s; chmod o-rw it", path);
    return GR_OK;
}

static gr_status check_dates(const gnutls_datum_t *pem, const char *path, tls_files *result,
                             gr_error *error) {
    gnutls_x509_crt_t first;
    size_t size = sizeof result->subject;
    char text[32];
    if (gnutls_x509_crt_init(&first) != 0) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    int code = gnutls_x509_crt_import(first, pem, GNUTLS_X509_FMT_PEM);
    const time_t from = gnutls_x509_crt_get_activation_time(first);
    const time_t until = gnutls_x509_crt_get_expiration_time(first), now = time(NULL);
    if (code == 0 && gnutls_x509_crt_get_dn(first, result->subject, &size) != 0)
        result->subject[0] = 0;
    gnutls_x509_crt_deinit(first);
    if (code != 0)
        return gr_fail(error, GR_INVALID, "tls_certificate: %.300s: %s", path,
                       gnutls_strerror(code));
    result->expires_at = (int64_t)until * 1000;
    json_time((int64_t)(now < from ? from : until) * 1000, text);
    if (now < from)
        return gr_fail(error, GR_INVALID, "tls_certificate: %.300s is valid only from %s", path,
                       text);
    if (now >= until)
        return gr_fail(error, GR_INVALID, "tls_certificate: %.300s has expired on %s; renew it",
                       path, text);
    return GR_OK;
}

/* Loads the two as the server will: the key must be the certificate's. */
static gr_status check_pair(const gnutls_datum_t *certificate, const gnutls_datum_t *key,
                            const char *paths[2], gr_error *error) {
    gnutls_certificate_credentials_t credentials;
    if (gnutls_certificate_allocate_credentials(&credentials) != 0)
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    int code =
        gnutls_certificate_set_x509_key_mem(credentials, certificate, key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    if (code >= 0) return GR_OK;
    return gr_fail(error, GR_INVALID,
                   "tls_certificate %.150s and tls_key %.150s do not go together: %s", paths[0],
                   paths[1], gnutls_strerror(code));
}

gr_status tls_files_read(const char *certificate, const char *key, tls_files *result,
                         gr_error *error) {
    gr_status status;
    *result = (tls_files){0};
    GR_TRY_OR(failed, read_pem("tls_certificate", certificate, &result->certificate, error));
    GR_TRY_OR(failed, read_pem("tls_key", key, &result->key, error));
    GR_TRY_OR(failed, check_permissions(key, error));
    const gnutls_datum_t first = {(unsigned char *)result->certificate,
                                  (unsigned)strlen(result->certificate)};
    const gnutls_datum_t second = {(unsigned char *)result->key, (unsigned)strlen(result->key)};
    GR_TRY_OR(failed, check_dates(&first, certificate, result, error));
    GR_TRY_OR(failed, check_pair(&first, &second, (const char *[]){certificate, key}, error));
    return GR_OK;

failed:
    tls_files_clear(result);
    return status;
}

void tls_files_clear(tls_files *files) {
    free(files->certificate);
    if (files->key) explicit_bzero(files->key, strlen(files->key));
    free(files->key);
    *files = (tls_files){0};
}
