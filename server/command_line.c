#include "server/command_line.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>

enum { MOST_OPTIONS = 15, FIRST_OPTION = 256 }; /* no letter is that large */

int command_line(int argc, char **argv, const char *usage, const command_option *options,
                 int fewest, int most, command_operands *operands) {
    struct option known[MOST_OPTIONS + 2] = {{"help", no_argument, NULL, 'h'}};
    int count = 0;
    for (; options[count].name; count++) {
        assert(count < MOST_OPTIONS);
        known[count + 1] = (struct option){options[count].name,
                                           options[count].text ? required_argument : no_argument,
                                           NULL, FIRST_OPTION + count};
    }
    optind = 0; /* GNU: a new list of arguments */
    for (int found; (found = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (found < FIRST_OPTION) {
            fputs(usage, found == 'h' ? stdout : stderr);
            return found == 'h' ? 0 : 2;
        }
        const command_option *option = &options[found - FIRST_OPTION];
        if (option->text)
            *option->text = optarg;
        else
            *option->given = true;
    }
    *operands = (command_operands){argv + optind, argc - optind};
    if (operands->count >= fewest && operands->count <= most) return -1;
    fputs(usage, stderr);
    return 2;
}
