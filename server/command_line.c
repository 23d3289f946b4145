#include "server/command_line.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/nearest.h"

enum { MOST_OPTIONS = 15, FIRST_OPTION = 256 }; /* no letter is that large */

int command_refuse(const char *usage, const char *format, ...) {
    const char *name = usage + strlen("usage: ");
    const size_t length = strlen("gradreg ") + strcspn(name + strlen("gradreg "), " \n");
    const char *rest = strstr(usage, "\n\n");
    const size_t synopsis = rest ? (size_t)(rest + 1 - usage) : strlen(usage);
    fprintf(stderr, "%.*s: ", (int)length, name);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n%.*s", (int)synopsis, usage);
    return 2;
}

/* A long option that getopt does not take; `known` are those that there are. */
static int refuse_option(const char *usage, const char *text, const struct option *known,
                         size_t count) {
    const char *names[MOST_OPTIONS + 1], *name = text + strlen("--");
    const size_t length = strcspn(name, "=");
    int begun = 0; /* options that begin so */
    for (size_t i = 0; i < count; i++) {
        names[i] = known[i].name;
        if (strncmp(known[i].name, name, length) != 0) continue;
        if (!known[i].name[length])
            return command_refuse(usage, "--%s takes no value", known[i].name);
        begun++;
    }
    if (begun > 1) return command_refuse(usage, "\"%s\" is short for more than one option", text);
    const char *nearest = nearest_name(name, names, count);
    if (nearest)
        return command_refuse(usage, "there is no option \"%s\"; did you mean \"--%s\"?", text,
                              nearest);
    return command_refuse(usage, "there is no option \"%s\"", text);
}

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
    opterr = 0;
    for (int found; (found = getopt_long(argc, argv, ":h", known, NULL)) != -1;) {
        if (found == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (found == ':') return command_refuse(usage, "%s needs a value", argv[optind - 1]);
        if (found < FIRST_OPTION && optopt > 0 && optopt < FIRST_OPTION)
            return command_refuse(usage, "there is no option \"-%c\"", optopt);
        if (found < FIRST_OPTION)
            return refuse_option(usage, argv[optind - 1], known, (size_t)count + 1);
        const command_option *option = &options[found - FIRST_OPTION];
        if (option->text)
            *option->text = optarg;
        else
            *option->given = true;
    }
    *operands = (command_operands){argv + optind, argc - optind};
    if (operands->count < fewest) return command_refuse(usage, "an argument is missing");
    if (operands->count > most)
        return command_refuse(usage, "unexpected argument \"%s\"", operands->items[most]);
    return -1;
}
