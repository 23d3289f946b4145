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
 * command may go on. Otherwise its exit status: 0 for --help, with the usage printed; or that of
 * command_refuse, where an option is unknown, lacks its argument or takes none, or there are not
 * `fewest` to `most` operands. */
int command_line(int argc, char **argv, const char *usage, const command_option *options,
                 int fewest, int most, command_operands *operands);

/* Says what is wrong with the call, and the usage as far as its first empty line, on standard
 * error; returns 2, the exit status. The usage begins with "usage: gradreg" and the command's name.
 */
int command_refuse(const char *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
