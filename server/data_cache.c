/* Data sets by their key, each with the lock's help loaded by one thread while the others wait for
 * it. A failed load leaves nothing: the next caller tries again, so that a data set that was
 * fetched meanwhile is found. */
#include "server/data_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include <nettle/sha2.h>

#include "server/paths.h"
#include "server/user_files.h"

enum { KEY_SIZE = GR_DATASET_KEY_SIZE + 512 };

typedef struct entry {
    char key[KEY_SIZE];
    gr_dataset *dataset; /* NULL while it is being loaded */
    char hash[65];
    struct entry *next;
} entry;

struct data_cache {
    char *directory;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a load has ended, well or not */
    entry *entries;
};

data_cache *data_cache_create(const char *data_directory) {
    data_cache *cache = calloc(1, sizeof *cache);
    if (!cache) return NULL;
    cache->directory = paths_join(data_directory, PATHS_DATASETS);
    if (!cache->directory) {
        free(cache);
        return NULL;
    }
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    return cache;
}

void data_cache_free(data_cache *cache) {
    if (!cache) return;
    for (entry *at = cache->entries; at;) {
        entry *next = at->next;
        gr_dataset_free(at->dataset);
        free(at);
        at = next;
    }
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache->directory);
    free(cache);
}

static void consume(void *context, const void *bytes, size_t count) {
    sha256_update(context, count, bytes);
}

static void hash_content(const gr_dataset *dataset, char hash[65]) {
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    gr_dataset_content(dataset, consume, &context);
    sha256_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hash + 2 * i, 3, "%02x", digest[i]);
}

/* The settings, and which files they name: a user's file that was replaced is another data set. */
static void make_key(const data_cache *cache, const gr_settings *settings, char key[KEY_SIZE]) {
    gr_dataset_key(settings, key);
    size_t used = strlen(key);
    for (size_t i = 0; user_file_options[i] && user_file_kind(settings->kind); i++) {
        const int option = gr_kind_option(settings->kind, user_file_options[i]);
        char *path;
        struct stat about;
        if (option < 0 || settings->values[option].type != GR_STRING ||
            asprintf(&path, "%s/user/%s", cache->directory, gr_string(settings, option)) < 0)
            continue;
        if (stat(path, &about) == 0)
            used += (size_t)snprintf(
                key + used, KEY_SIZE - used, " %llx.%llx.%llx.%lx",
                (unsigned long long)about.st_ino, (unsigned long long)about.st_size,
                (unsigned long long)about.st_mtim.tv_sec, (unsigned long)about.st_mtim.tv_nsec);
        else /* nothing that was loaded is it */
            used += (size_t)snprintf(key + used, KEY_SIZE - used, " gone");
        free(path);
    }
}

/* With the lock held. */
static entry *find(const data_cache *cache, const char *key) {
    for (entry *at = cache->entries; at; at = at->next)
        if (strcmp(at->key, key) == 0) return at;
    return NULL;
}

/* With the lock held. */
static void drop(data_cache *cache, entry *unwanted) {
    entry **link = &cache->entries;
    while (*link != unwanted) link = &(*link)->next;
    *link = unwanted->next;
    free(unwanted);
}

gr_status data_cache_get(data_cache *cache, const gr_settings *dataset_settings,
                         const gr_dataset **dataset, char hash[65], gr_error *error) {
    char key[KEY_SIZE];
    make_key(cache, dataset_settings, key);
    gr_status status = GR_OK;
    pthread_mutex_lock(&cache->lock);
    entry *found;
    while ((found = find(cache, key)) && !found->dataset)
        pthread_cond_wait(&cache->changed, &cache->lock);
    if (!found) {
        found = calloc(1, sizeof *found);
        if (!found) {
            pthread_mutex_unlock(&cache->lock);
            return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a data set");
        }
        memcpy(found->key, key, sizeof key);
        found->next = cache->entries;
        cache->entries = found;
        pthread_mutex_unlock(&cache->lock);

        gr_dataset *loaded;
        status = gr_dataset_load(dataset_settings, cache->directory, &loaded, error);
        if (status == GR_OK) hash_content(loaded, found->hash);

        pthread_mutex_lock(&cache->lock);
        if (status == GR_OK)
            found->dataset = loaded;
        else
            drop(cache, found);
        pthread_cond_broadcast(&cache->changed);
    }
    if (status == GR_OK) {
        *dataset = found->dataset;
        memcpy(hash, found->hash, sizeof found->hash);
    }
    pthread_mutex_unlock(&cache->lock);
    return status;
}

gr_status data_cache_look(data_cache *cache, const gr_settings *dataset_settings,
                          const gr_dataset **dataset, gr_dataset **owned, char hash[65],
                          gr_error *error) {
    char key[KEY_SIZE];
    make_key(cache, dataset_settings, key);
    *owned = NULL;
    pthread_mutex_lock(&cache->lock);
    const entry *found = find(cache, key);
    const bool there = found && found->dataset;
    if (there) {
        *dataset = found->dataset;
        memcpy(hash, found->hash, sizeof found->hash);
    }
    pthread_mutex_unlock(&cache->lock);
    if (there) return GR_OK;
    GR_TRY(gr_dataset_load(dataset_settings, cache->directory, owned, error));
    hash_content(*owned, hash);
    *dataset = *owned;
    return GR_OK;
}
