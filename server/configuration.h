/* The server's configuration: one table of keys, each from a flag, the environment, a JSON file or
 * its default, in this order. */
#ifndef SERVER_CONFIGURATION_H
#define SERVER_CONFIGURATION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "gradreg/status.h"

typedef enum configuration_key {
    CONFIGURATION_LISTEN,
    CONFIGURATION_DATA_DIR,
    CONFIGURATION_WORKERS,
    CONFIGURATION_HOST_NAMES,
    CONFIGURATION_REQUIRE_TOKEN,
    CONFIGURATION_TLS_CERTIFICATE,
    CONFIGURATION_TLS_KEY,
    CONFIGURATION_TLS_PROXY,
    CONFIGURATION_LOG_FORMAT,
    CONFIGURATION_LOG_LEVEL,
    CONFIGURATION_BODY_LIMIT,
    CONFIGURATION_UPLOAD_LIMIT,
    CONFIGURATION_REQUEST_SECONDS,
    CONFIGURATION_CONNECTIONS,
    CONFIGURATION_CONNECTIONS_PER_ADDRESS,
    CONFIGURATION_EVENT_STREAMS,
    CONFIGURATION_QUEUE_LIMIT,
    CONFIGURATION_MEMORY_LIMIT,
    CONFIGURATION_WEBHOOK_HOSTS,
    CONFIGURATION_WEBHOOK_SECRET_FILE,
    CONFIGURATION_KEEP_EXPERIMENTS,
    CONFIGURATION_KEEP_CHECKPOINTS_DAYS,
    CONFIGURATION_KEEP_TRASH_DAYS,
    CONFIGURATION_KEY_COUNT
} configuration_key;

typedef enum configuration_origin {
    ORIGIN_DEFAULT,
    ORIGIN_FILE,
    ORIGIN_ENVIRONMENT,
    ORIGIN_FLAG
} configuration_origin;

typedef struct configuration {
    struct configuration_value {
        char *text;     /* as it would be written in the environment; NULL: not set */
        int64_t number; /* of a number, or 0 or 1 of a truth value */
        char **list;    /* of a list, ended by NULL */
        configuration_origin origin;
    } values[CONFIGURATION_KEY_COUNT];
    char *file; /* the configuration file; NULL: none */
    bool check, help;
} configuration;

/* Reads argv (argv[0] is the command's name), the environment and the file that one of them names.
 * GR_INVALID names the place (flag, variable, or file and key) and the remedy. Cleared by the
 * caller, also on failure. */
gr_status configuration_read(configuration *self, int argc, char **argv, gr_error *error);
void configuration_clear(configuration *self);

const char *configuration_text(const configuration *self, configuration_key key);
int64_t configuration_number(const configuration *self, configuration_key key);
bool configuration_truth(const configuration *self, configuration_key key);
const char *const *configuration_list(const configuration *self, configuration_key key);

/* A table of all keys: value, origin, what it is. */
void configuration_print(const configuration *self, FILE *file);
/* The flags with their help, for --help. */
void configuration_print_flags(FILE *file);

#endif
