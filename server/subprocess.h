/* Another program, run to its end without a shell. */
#ifndef SERVER_SUBPROCESS_H
#define SERVER_SUBPROCESS_H

#include "gradreg/status.h"

/* Runs argv[0] (found by PATH) in `directory`, without input, its output and errors written to the
 * file `log` there. argv ends with NULL. GR_NOT_FOUND where there is no such program; GR_IO where
 * it fails: the message quotes the log's first line that is not blank. */
gr_status subprocess_run(const char *directory, const char *const *argv, const char *log,
                         gr_error *error);

#endif
