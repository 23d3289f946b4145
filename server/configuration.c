#include "server/configuration.h"

#include <ctype.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/files.h"
#include "server/json.h"
#include "server/nearest.h"

enum { LARGEST_FILE = 1024 * 1024, LARGEST_NAME = 64 };

typedef enum value_kind { KIND_TEXT, KIND_NUMBER, KIND_TRUTH, KIND_CHOICE, KIND_LIST } value_kind;

/* One key. The flag is its name with "-" for "_", the variable GRADREG_ and its name in capitals.
 */
static const struct key {
    const char *name;
    value_kind kind;
    const char *otherwise; /* the default; NULL: not set */
    int64_t minimum, maximum;
    const char *choices; /* "text|json" */
    const char *help;
} keys[CONFIGURATION_KEY_COUNT] = {
    [CONFIGURATION_LISTEN] = {"listen", KIND_TEXT, "127.0.0.1:8080", 0, 0, NULL,
                              "address and port; port 0 takes a free one"},
    [CONFIGURATION_DATA_DIR] = {"data_dir", KIND_TEXT, "data", 0, 0, NULL,
                                "experiments, results and data sets"},
    [CONFIGURATION_WORKERS] = {"workers", KIND_NUMBER, "processors", 1, 256, NULL,
                               "experiments trained at once"},
    [CONFIGURATION_HOST_NAMES] = {"host_names", KIND_LIST, NULL, 0, 0, NULL,
                                  "further names that clients call this server by"},
    [CONFIGURATION_REQUIRE_TOKEN] = {"require_token", KIND_TRUTH, "false", 0, 1, NULL,
                                     "access tokens on loopback too; elsewhere always"},
    [CONFIGURATION_TLS_CERTIFICATE] = {"tls_certificate", KIND_TEXT, NULL, 0, 0, NULL,
                                       "PEM file: the certificate and those that signed it"},
    [CONFIGURATION_TLS_KEY] = {"tls_key", KIND_TEXT, NULL, 0, 0, NULL,
                               "PEM file: the certificate's private key"},
    [CONFIGURATION_TLS_PROXY] = {"tls_proxy", KIND_TRUTH, "false", 0, 1, NULL,
                                 "a proxy in front speaks https to browsers"},
    [CONFIGURATION_LOG_FORMAT] = {"log_format", KIND_CHOICE, "text", 0, 0, "text|json",
                                  "of the log on standard error"},
    [CONFIGURATION_LOG_LEVEL] = {"log_level", KIND_CHOICE, "info", 0, 0, "debug|info|warning|error",
                                 "what is logged, and what is graver"},
    [CONFIGURATION_BODY_LIMIT] = {"body_limit", KIND_NUMBER, "1048576", 1024, 67108864, NULL,
                                  "bytes of one request's body"},
    [CONFIGURATION_UPLOAD_LIMIT] = {"upload_limit", KIND_NUMBER, "536870912", 0, 536870912, NULL,
                                    "bytes of one data file that is sent"},
    [CONFIGURATION_REQUEST_SECONDS] = {"request_seconds", KIND_NUMBER, "30", 1, 3600, NULL,
                                       "for one request to arrive"},
    [CONFIGURATION_CONNECTIONS] = {"connections", KIND_NUMBER, "512", 8, 100000, NULL, "at once"},
    [CONFIGURATION_CONNECTIONS_PER_ADDRESS] = {"connections_per_address", KIND_NUMBER, "64", 1,
                                               100000, NULL, "at once; not for loopback"},
    [CONFIGURATION_EVENT_STREAMS] = {"event_streams", KIND_NUMBER, "256", 1, 100000, NULL,
                                     "at once"},
    [CONFIGURATION_QUEUE_LIMIT] = {"queue_limit", KIND_NUMBER, "100000", 1, 1000000000, NULL,
                                   "experiments that one token may have queued"},
    [CONFIGURATION_MEMORY_LIMIT] = {"memory_limit", KIND_NUMBER, "0", 0, 1000000000000000, NULL,
                                    "bytes of one training; 0: what the machine has"},
    [CONFIGURATION_WEBHOOK_HOSTS] = {"webhook_hosts", KIND_LIST, NULL, 0, 0, NULL,
                                     "hosts that may be told of an experiment's end"},
    [CONFIGURATION_WEBHOOK_SECRET_FILE] = {"webhook_secret_file", KIND_TEXT, NULL, 0, 0, NULL,
                                           "file with the secret that signs webhooks"},
    [CONFIGURATION_KEEP_EXPERIMENTS] = {"keep_experiments", KIND_NUMBER, "0", 0, 1000000000, NULL,
                                        "ended ones; older ones go to the trash; 0: all"},
    [CONFIGURATION_KEEP_CHECKPOINTS_DAYS] = {"keep_checkpoints_days", KIND_NUMBER, "0", 0, 36500,
                                             NULL, "of what did not succeed; 0: for ever"},
    [CONFIGURATION_KEEP_TRASH_DAYS] = {"keep_trash_days", KIND_NUMBER, "0", 0, 36500, NULL,
                                       "then it is purged; 0: for ever"},
};

static const char *const origins[] = {"default", "file", "environment", "flag"};

/* -- names
 * --------------------------------------------------------------------------------------------- */
static void flag_name(const char *key, char flag[LARGEST_NAME]) {
    size_t i = 0;
    for (; key[i] && i + 1 < LARGEST_NAME; i++) flag[i] = key[i] == '_' ? '-' : key[i];
    flag[i] = 0;
}

static void variable_name(const char *key, char variable[LARGEST_NAME]) {
    int length = snprintf(variable, LARGEST_NAME, "GRADREG_%s", key);
    for (int i = 0; i < length; i++) variable[i] = (char)toupper((unsigned char)variable[i]);
}

static int find_key(const char *name) {
    char flag[LARGEST_NAME];
    for (int i = 0; i < CONFIGURATION_KEY_COUNT; i++) {
        flag_name(keys[i].name, flag);
        if (strcmp(name, keys[i].name) == 0 || strcmp(name, flag) == 0) return i;
    }
    return -1;
}

static gr_status unknown(const char *place, const char *name, bool flags, gr_error *error) {
    char flag_names[CONFIGURATION_KEY_COUNT][LARGEST_NAME];
    const char *names[CONFIGURATION_KEY_COUNT + 3];
    size_t count = 0;
    for (int i = 0; i < CONFIGURATION_KEY_COUNT; i++) names[count++] = keys[i].name;
    if (flags)
        for (count = 0; count < CONFIGURATION_KEY_COUNT; count++) {
            flag_name(keys[count].name, flag_names[count]);
            names[count] = flag_names[count];
        }
    if (flags) names[count++] = "config", names[count++] = "check", names[count++] = "help";
    const char *nearest = nearest_name(name, names, count);
    return gr_fail(error, GR_INVALID, "%s: there is no %s \"%s%.60s\"%s%s%s%s", place,
                   flags ? "option" : "key", flags ? "--" : "", name,
                   nearest ? "; did you mean \"" : "; gradreg serve --help lists them",
                   nearest && flags ? "--" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* -- values
 * -------------------------------------------------------------------------------------------- */
static int processor_count(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > 256 ? 256 : count;
}

static void value_clear(struct configuration_value *value) {
    free(value->text);
    for (char **item = value->list; item && *item; item++) free(*item);
    free(value->list);
    *value = (struct configuration_value){0};
}

static gr_status out_of_memory(gr_error *error) {
    return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
}

static gr_status split_list(const char *text, char ***list, gr_error *error) {
    size_t count = 0, room = 2;
    for (const char *c = text; *c; c++) room += *c == ',';
    *list = calloc(room, sizeof **list);
    if (*list == NULL) return out_of_memory(error);
    while (*text) {
        text += strspn(text, ", ");
        size_t length = strcspn(text, ", ");
        if (length == 0) break;
        (*list)[count] = strndup(text, length);
        if ((*list)[count++] == NULL) return out_of_memory(error);
        text += length;
    }
    return GR_OK;
}

static bool is_choice(const char *text, const char *choices) {
    size_t length = strlen(text);
    for (;; choices++) {
        size_t each = strcspn(choices, "|");
        if (each == length && strncmp(text, choices, length) == 0) return true;
        choices += each;
        if (*choices == 0) return false;
    }
}

/* Checks and takes a value's text. `place` says where it came from. */
static gr_status take(configuration *self, int index, const char *text, configuration_origin origin,
                      const char *place, gr_error *error) {
    const struct key *key = &keys[index];
    struct configuration_value *value = &self->values[index];
    int64_t number = 0;
    if (key->kind == KIND_TEXT && *text == 0)
        return gr_fail(error, GR_INVALID, "%s: %s may not be empty", place, key->name);
    if (key->kind == KIND_NUMBER) {
        char *end;
        number = strtoll(text, &end, 10);
        if (end == text || *end || !isdigit((unsigned char)*text) || strlen(text) > 18 ||
            number < key->minimum || number > key->maximum)
            return gr_fail(error, GR_INVALID,
                           "%s: %s must be a whole number from %lld to %lld, not \"%.40s\"", place,
                           key->name, (long long)key->minimum, (long long)key->maximum, text);
    }
    if (key->kind == KIND_TRUTH) {
        number = strcmp(text, "true") == 0;
        if (!number && strcmp(text, "false") != 0)
            return gr_fail(error, GR_INVALID, "%s: %s must be true or false, not \"%.40s\"", place,
                           key->name, text);
    }
    if (key->kind == KIND_CHOICE && !is_choice(text, key->choices))
        return gr_fail(error, GR_INVALID, "%s: %s must be one of %s, not \"%.40s\"", place,
                       key->name, key->choices, text);
    value_clear(value);
    value->text = strdup(text);
    value->number = number;
    value->origin = origin;
    if (value->text == NULL) return out_of_memory(error);
    return key->kind == KIND_LIST ? split_list(text, &value->list, error) : GR_OK;
}

static gr_status take_defaults(configuration *self, gr_error *error) {
    char count[16];
    snprintf(count, sizeof count, "%d", processor_count());
    for (int i = 0; i < CONFIGURATION_KEY_COUNT; i++) {
        const char *text = i == CONFIGURATION_WORKERS ? count : keys[i].otherwise;
        if (text == NULL && keys[i].kind == KIND_LIST) text = "";
        if (text) GR_TRY(take(self, i, text, ORIGIN_DEFAULT, "default", error));
    }
    return GR_OK;
}

/* -- the file
 * ------------------------------------------------------------------------------------------ */
static gr_status wrong_type(const char *place, int index, const char *wanted, gr_error *error) {
    return gr_fail(error, GR_INVALID, "%s: %s must be %s", place, keys[index].name, wanted);
}

/* A list of texts as the environment would have it. */
static gr_status join_list(const cJSON *list, const char *place, int index, char **joined,
                           gr_error *error) {
    const cJSON *item;
    *joined = strdup("");
    cJSON_ArrayForEach(item, list) {
        const char *text = cJSON_GetStringValue(item);
        char *longer = NULL;
        if (text == NULL || *text == 0 || strpbrk(text, ", ")) {
            free(*joined);
            return wrong_type(place, index, "a list of texts without commas and blanks", error);
        }
        if (*joined == NULL || asprintf(&longer, "%s%s%s", *joined, **joined ? "," : "", text) < 0)
            longer = NULL;
        free(*joined);
        *joined = longer;
    }
    return *joined ? GR_OK : out_of_memory(error);
}

static gr_status take_member(configuration *self, int index, const cJSON *member, const char *place,
                             gr_error *error) {
    char number[32];
    char *joined = NULL;
    const char *text = NULL;
    switch (keys[index].kind) {
    case KIND_NUMBER:
        if (!cJSON_IsNumber(member) || member->valuedouble != (double)(int64_t)member->valuedouble)
            return wrong_type(place, index, "a whole number", error);
        snprintf(number, sizeof number, "%lld", (long long)member->valuedouble);
        text = number;
        break;
    case KIND_TRUTH:
        if (!cJSON_IsBool(member)) return wrong_type(place, index, "true or false", error);
        text = cJSON_IsTrue(member) ? "true" : "false";
        break;
    case KIND_LIST:
        if (!cJSON_IsArray(member)) return wrong_type(place, index, "a list of texts", error);
        GR_TRY(join_list(member, place, index, &joined, error));
        text = joined;
        break;
    default:
        text = cJSON_GetStringValue(member);
        if (text == NULL) return wrong_type(place, index, "a text", error);
    }
    gr_status status = take(self, index, text, ORIGIN_FILE, place, error);
    free(joined);
    return status;
}

static gr_status take_document(configuration *self, const cJSON *document, gr_error *error) {
    const cJSON *member;
    bool seen[CONFIGURATION_KEY_COUNT] = {0};
    if (!cJSON_IsObject(document))
        return gr_fail(error, GR_INVALID, "%.200s must hold one JSON object", self->file);
    cJSON_ArrayForEach(member, document) {
        int index = find_key(member->string);
        if (index < 0 || strcmp(member->string, keys[index].name) != 0)
            return unknown(self->file, member->string, false, error);
        if (seen[index])
            return gr_fail(error, GR_INVALID, "%.200s: %s is there twice", self->file,
                           member->string);
        seen[index] = true;
        GR_TRY(take_member(self, index, member, self->file, error));
    }
    return GR_OK;
}

static gr_status take_file(configuration *self, gr_error *error) {
    void *text;
    size_t length;
    cJSON *document;
    gr_error inner = {0};
    gr_status status = file_read(self->file, LARGEST_FILE, &text, &length, &inner);
    if (status != GR_OK)
        return gr_fail(error, status, "the configuration file: %.400s", inner.message);
    status = json_parse(text, length, &document, &inner);
    free(text);
    if (status != GR_OK)
        return gr_fail(error, GR_INVALID, "%.200s: %.300s", self->file, inner.message);
    status = take_document(self, document, error);
    cJSON_Delete(document);
    return status;
}

/* -- environment and flags
 * ----------------------------------------------------------------------------- */
/* A variable that is almost a key's is refused: its writer would wait for its effect in vain.
 * Others of ours are read elsewhere (docs/development.md). */
static gr_status check_environment(gr_error *error) {
    static const char prefix[] = "GRADREG_", *const others[] = {"CONFIG",  "SERVER",
                                                                "TOKEN",   "CA_FILE",
                                                                "KERNELS", "DATA_MIRROR"};
    const char *names[CONFIGURATION_KEY_COUNT];
    for (int i = 0; i < CONFIGURATION_KEY_COUNT; i++) names[i] = keys[i].name;
    for (char **one = environ; *one; one++) {
        char name[LARGEST_NAME], variable[LARGEST_NAME];
        if (strncmp(*one, prefix, strlen(prefix)) != 0) continue;
        const char *own = *one + strlen(prefix);
        const size_t length = strcspn(own, "=");
        if (length >= sizeof name) continue;
        snprintf(name, sizeof name, "%.*s", (int)length, own);
        bool is_known = false;
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            is_known = is_known || strcmp(name, others[i]) == 0;
        const char *nearest = is_known ? NULL : nearest_name(name, names, CONFIGURATION_KEY_COUNT);
        if (!nearest) continue;
        variable_name(nearest, variable);
        if (strcmp(variable + strlen(prefix), name) != 0)
            return gr_fail(error, GR_INVALID,
                           "the environment's GRADREG_%s is no key; did you mean %s?", name,
                           variable);
    }
    return GR_OK;
}

static gr_status take_environment(configuration *self, gr_error *error) {
    char variable[LARGEST_NAME];
    GR_TRY(check_environment(error));
    for (int i = 0; i < CONFIGURATION_KEY_COUNT; i++) {
        variable_name(keys[i].name, variable);
        const char *text = getenv(variable);
        if (text && *text) GR_TRY(take(self, i, text, ORIGIN_ENVIRONMENT, variable, error));
    }
    return GR_OK;
}

static gr_status set_file(configuration *self, const char *path, gr_error *error) {
    free(self->file);
    self->file = strdup(path);
    return self->file ? GR_OK : out_of_memory(error);
}

/* Goes through the flags: once for --config, --check and --help (`values` false), and, when file
 * and environment have been read, for the values. */
static gr_status take_flags(configuration *self, int argc, char **argv, bool values,
                            gr_error *error) {
    for (int i = 1; i < argc; i++) {
        char name[LARGEST_NAME], place[LARGEST_NAME + 2];
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            self->help = true;
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0)
            return gr_fail(error, GR_INVALID, "unexpected argument \"%.80s\"", argv[i]);
        const char *equals = strchr(argv[i], '=');
        size_t length = equals ? (size_t)(equals - argv[i]) - 2 : strlen(argv[i]) - 2;
        snprintf(name, sizeof name, "%.*s", length < LARGEST_NAME ? (int)length : 0, argv[i] + 2);
        snprintf(place, sizeof place, "--%s", name);
        if (strcmp(name, "check") == 0 && !equals) {
            self->check = true;
            continue;
        }
        const bool is_file = strcmp(name, "config") == 0;
        const int index = strchr(name, '_') ? -1 : find_key(name);
        if (!is_file && index < 0) return unknown("the command line", name, true, error);
        /* "--require-token" alone says true. */
        const bool bare = !is_file && keys[index].kind == KIND_TRUTH && !equals;
        const char *text = equals ? equals + 1 : bare ? "true" : argv[++i];
        if (text == NULL) return gr_fail(error, GR_INVALID, "%s wants a value", place);
        if (is_file && !values) GR_TRY(set_file(self, text, error));
        if (!is_file && values) GR_TRY(take(self, index, text, ORIGIN_FLAG, place, error));
    }
    return GR_OK;
}

gr_status configuration_read(configuration *self, int argc, char **argv, gr_error *error) {
    *self = (configuration){0};
    const char *named = getenv("GRADREG_CONFIG");
    if (named && *named) GR_TRY(set_file(self, named, error));
    GR_TRY(take_flags(self, argc, argv, false, error));
    if (self->help) return GR_OK;
    GR_TRY(take_defaults(self, error));
    if (self->file) GR_TRY(take_file(self, error));
    GR_TRY(take_environment(self, error));
    GR_TRY(take_flags(self, argc, argv, true, error));
    const bool certificate = configuration_text(self, CONFIGURATION_TLS_CERTIFICATE) != NULL;
    if (certificate != (configuration_text(self, CONFIGURATION_TLS_KEY) != NULL))
        return gr_fail(error, GR_INVALID, "tls_certificate and tls_key go together: %s is missing",
                       certificate ? "tls_key" : "tls_certificate");
    return GR_OK;
}

void configuration_clear(configuration *self) {
    for (int i = 0; i < CONFIGURATION_KEY_COUNT; i++) value_clear(&self->values[i]);
    free(self->file);
    *self = (configuration){0};
}

/* -- reading
 * ------------------------------------------------------------------------------------------- */
const char *configuration_text(const configuration *self, configuration_key key) {
    return self->values[key].text;
}

int64_t configuration_number(const configuration *self, configuration_key key) {
    return self->values[key].number;
}

bool configuration_truth(const configuration *self, configuration_key key) {
    return self->values[key].number != 0;
}

const char *const *configuration_list(const configuration *self, configuration_key key) {
    return (const char *const *)self->values[key].list;
}

void configuration_print(const configuration *self, FILE *file) {
    char variable[LARGEST_NAME], flag[LARGEST_NAME];
    for (int i = 0; i < CONFIGURATION_KEY_COUNT; i++) {
        const struct configuration_value *value = &self->values[i];
        const char *where = "";
        flag_name(keys[i].name, flag);
        variable_name(keys[i].name, variable);
        if (value->origin == ORIGIN_FILE) where = self->file;
        if (value->origin == ORIGIN_ENVIRONMENT) where = variable;
        if (value->origin == ORIGIN_FLAG) where = flag;
        fprintf(file, "%-24s %-28s %s%s%s\n", keys[i].name,
                value->text && *value->text ? value->text : "(none)", origins[value->origin],
                *where ? value->origin == ORIGIN_FLAG ? " --" : " " : "", where);
    }
}

void configuration_print_flags(FILE *file) {
    for (int i = 0; i < CONFIGURATION_KEY_COUNT; i++) {
        char flag[LARGEST_NAME], form[2 * LARGEST_NAME];
        static const char *const forms[] = {" TEXT", " N", "", " ", " A,B"};
        flag_name(keys[i].name, flag);
        snprintf(form, sizeof form, "--%s%s%s", flag, forms[keys[i].kind],
                 keys[i].choices ? keys[i].choices : "");
        fprintf(file, "  %-29s %s", form, keys[i].help);
        if (keys[i].otherwise && strcmp(keys[i].otherwise, "false") != 0)
            fprintf(file, " (%s)",
                    i == CONFIGURATION_WORKERS ? "one for each processor" : keys[i].otherwise);
        fputc('\n', file);
    }
}
