/* Where things lie: one rule for all commands. */
#ifndef SERVER_PATHS_H
#define SERVER_PATHS_H

#include "gradreg/status.h"

/* The data directory: `option` (the value of --data-dir) where given, else the environment's
 * GRADREG_DATA_DIR, else "data" in the current folder. Empty texts count as not given. Borrowed. */
const char *paths_data_directory(const char *option);

/* "<directory>/<name>", owned by the caller (free); NULL without memory. The data sets' folder is
 * paths_join(paths_data_directory(option), PATHS_DATASETS). */
char *paths_join(const char *directory, const char *name);
#define PATHS_DATASETS "datasets"

/* What the process makes from here on is readable for its owner alone, whatever its umask allows.
 * For commands that make a data directory. */
void paths_keep_private(void);

/* Makes a folder and those above it that are missing. GR_IO with the reason. */
gr_status paths_make_directories(const char *path, gr_error *error);

#endif
