/* How commands show what is wrong with a spec. */
#ifndef SERVER_COMMAND_PROBLEMS_H
#define SERVER_COMMAND_PROBLEMS_H

#include "server/json.h"

/* One problem a line on stderr: "gradreg run: spec /model/layers/0/type: …". Control characters of
 * what is shown, which may be a stranger's, become '?'. */
void command_print_problems(const char *command, const problems *found);
/* The same for a single error. */
void command_print_error(const char *command, const gr_error *error);

#endif
