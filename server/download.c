#include "server/download.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

enum { CONNECT_SECONDS = 8, STALLED_SECONDS = 30 };

typedef struct transfer {
    FILE *file;
    const char *name; /* for progress */
    int64_t done, maximum;
    bool too_large, write_failed;
    int write_reason;
    const download_progress *progress;
} transfer;

static size_t write_bytes(char *bytes, size_t one, size_t count, void *context) {
    transfer *at = context;
    (void)one;
    if ((int64_t)count > at->maximum - at->done) {
        at->too_large = true;
        return 0;
    }
    size_t written = fwrite(bytes, 1, count, at->file);
    if (written < count) {
        at->write_failed = true;
        at->write_reason = errno;
    }
    at->done += (int64_t)written;
    return written;
}

static int report(void *context, curl_off_t total, curl_off_t now, curl_off_t unused_total,
                  curl_off_t unused_now) {
    transfer *at = context;
    (void)unused_total, (void)unused_now;
    if (at->progress && at->progress->report)
        at->progress->report(at->progress->context, at->name, at->done,
                             total > 0 ? at->done - now + total : 0);
    return 0;
}

/* One transfer, appending to the file behind its first `start` bytes. */
static CURLcode transfer_once(const char *url, transfer *at, int64_t start, long *response,
                              char reason[CURL_ERROR_SIZE]) {
    CURL *curl = curl_easy_init();
    if (!curl) return CURLE_OUT_OF_MEMORY;
    reason[0] = 0;
    at->done = start;
    at->too_large = at->write_failed = false;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALLED_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "gradreg/" GRADREG_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, at);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, report);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, at);
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)start);
    CURLcode result = curl_easy_perform(curl);
    *response = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, response);
    if (!reason[0]) snprintf(reason, CURL_ERROR_SIZE, "%s", curl_easy_strerror(result));
    curl_easy_cleanup(curl);
    return result;
}

gr_status download(const char *url, const char *path, int64_t maximum_bytes,
                   const download_progress *progress, int *resumed, gr_error *error) {
    const char *slash = strrchr(url, '/');
    transfer at = {.name = slash ? slash + 1 : url, .maximum = maximum_bytes, .progress = progress};
    at.file = fopen(path, "abe");
    if (!at.file) return gr_fail(error, GR_IO, "%s cannot be written: %s", path, strerror(errno));
    fseeko(at.file, 0, SEEK_END);
    int64_t start = ftello(at.file);
    if (start < 0 || start >= maximum_bytes) start = 0;
    if (resumed) *resumed = start > 0;

    long response = 0;
    char reason[CURL_ERROR_SIZE];
    if (start == 0 && ftruncate(fileno(at.file), 0) != 0) { /* seen by the first write */
    }
    CURLcode result = transfer_once(url, &at, start, &response, reason);
    /* The server cannot go on in the middle, or what we have is not a part of its file: from the
     * start. */
    if (start > 0 && (result == CURLE_RANGE_ERROR || result == CURLE_BAD_DOWNLOAD_RESUME ||
                      result == CURLE_FILE_COULDNT_READ_FILE || response == 416)) {
        if (resumed) *resumed = 0;
        fflush(at.file);
        if (ftruncate(fileno(at.file), 0) == 0)
            result = transfer_once(url, &at, 0, &response, reason);
    }
    if (fclose(at.file) != 0 && !at.write_failed) {
        at.write_failed = true;
        at.write_reason = errno;
    }
    if (at.too_large) {
        unlink(path); /* not a part of what was wanted */
        return gr_fail(error, GR_TOO_LARGE, "%s: more than the %lld bytes that it may have", url,
                       (long long)maximum_bytes);
    }
    if (at.write_failed)
        return gr_fail(error, GR_IO, "%s cannot be written: %s", path, strerror(at.write_reason));
    if (result == CURLE_OK) return GR_OK;
    if (at.done == 0) unlink(path);
    bool absent = response == 404 || response == 403 || response == 410 ||
                  (result == CURLE_FILE_COULDNT_READ_FILE && response == 0);
    return gr_fail(error, absent ? GR_NOT_FOUND : GR_IO, "%s: %s", url, reason);
}
