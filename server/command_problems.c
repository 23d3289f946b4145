#include "server/command_problems.h"

#include <stdio.h>

static void print_line(const char *command, const char *pointer, const char *detail) {
    char line[GR_PLACE_SIZE + GR_MESSAGE_SIZE + 64];
    if (*pointer)
        snprintf(line, sizeof line, "spec %s: %s", pointer, detail);
    else
        snprintf(line, sizeof line, "%s", detail);
    for (unsigned char *p = (unsigned char *)line; *p; p++)
        if (*p < 0x20 || *p == 0x7F) *p = '?';
    fprintf(stderr, "gradreg %s: %s\n", command, line);
}

void command_print_problems(const char *command, const problems *found) {
    for (size_t i = 0; i < found->kept; i++)
        print_line(command, found->items[i].pointer, found->items[i].detail);
    if (found->count > found->kept)
        fprintf(stderr, "gradreg %s: and %zu more problems\n", command, found->count - found->kept);
}

void command_print_error(const char *command, const gr_error *error) {
    print_line(command, error->place, error->message);
}
