/* Data sets, loaded once and shared read-only by all trainings of the process. */
#ifndef SERVER_DATA_CACHE_H
#define SERVER_DATA_CACHE_H

#include "gradreg/dataset.h"

typedef struct data_cache data_cache;

/* The data sets are in the folder `datasets` of this directory. NULL without memory. */
data_cache *data_cache_create(const char *data_directory);
void data_cache_free(data_cache *cache);

/* The loaded data set and the SHA-256 (hex) of its content. Loads it on first use; concurrent
 * callers wait for the one that loads. The pointer stays valid until the cache is freed. Errors as
 * gr_dataset_load. */
gr_status data_cache_get(data_cache *cache, const gr_settings *dataset_settings,
                         const gr_dataset **dataset, char hash[65], gr_error *error);
/* The same for a look that leaves nothing behind: what is not in the cache is loaded for the caller
 * alone, who frees it (*owned, gr_dataset_free); else *owned is NULL. */
gr_status data_cache_look(data_cache *cache, const gr_settings *dataset_settings,
                          const gr_dataset **dataset, gr_dataset **owned, char hash[65],
                          gr_error *error);

#endif
