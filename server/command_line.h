/* What a command is called with: options, --help, and operands. */
#ifndef SERVER_COMMAND_LINE_H
#define SERVER_COMMAND_LINE_H

#include <stdbool.h>

typedef struct command_option {
    const char *name;  /* without its dashes */
    const char **text; /* gets the option's argument (borrowed from argv), … */
    bool *given;       /* … or, where it takes none, true */
} command_option;

typedef struct command_operands {
    char **items; /* borrowed from argv */
    int count;
} command_operands;

/* Reads `options`, a list that ends with one without a name, of which there are at most 15. -1: the
 * command may go on. Otherwise its exit status, with the usage printed: 0 for --help, 2 where an
 * option is unknown or lacks its argument, or there are not `fewest` to `most` operands. */
int command_line(int argc, char **argv, const char *usage, const command_option *options,
                 int fewest, int most, command_operands *operands);

#endif
