/* What a name means, and what was probably meant where it means nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/filter_internal.h"
#include "server/metric_names.h"
#include "server/nearest.h"

static const struct {
    const char *name;
    filter_type type;
} members[] = {[MEMBER_ID] = {"id", TYPE_NUMBER},
               [MEMBER_NAME] = {"name", TYPE_TEXT},
               [MEMBER_STATE] = {"state", TYPE_STATE},
               [MEMBER_PRIORITY] = {"priority", TYPE_NUMBER},
               [MEMBER_ATTEMPT] = {"attempt", TYPE_NUMBER},
               [MEMBER_SWEEP] = {"sweep", TYPE_NUMBER},
               [MEMBER_ARM] = {"arm", TYPE_NUMBER},
               [MEMBER_CREATED_AT] = {"created_at", TYPE_TIME},
               [MEMBER_STARTED_AT] = {"started_at", TYPE_TIME},
               [MEMBER_FINISHED_AT] = {"finished_at", TYPE_TIME},
               [MEMBER_ELAPSED_SECONDS] = {"elapsed_seconds", TYPE_NUMBER}};

enum { MAXIMUM_LISTED = 24 }; /* names that a message lists */

gr_status filter_unknown(filter_problem *problem, const segment *where, const char *what,
                         const char *const *names, size_t count) {
    char list[400] = "";
    const char *nearest = nearest_name(where->text, names, count);
    if (nearest)
        return filter_fail(problem, where->column, "there is no %s \"%s\"; did you mean \"%s\"?",
                           what, where->text, nearest);
    for (size_t i = 0, used = 0; i < count && i < MAXIMUM_LISTED; i++) {
        const int more = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
        if (more < 0 || used + (size_t)more >= sizeof list - 8 || i + 1 == MAXIMUM_LISTED) {
            snprintf(list + used, sizeof list - used, ", …");
            break;
        }
        used += (size_t)more;
    }
    return filter_fail(problem, where->column, "there is no %s \"%s\"%s%s", what, where->text,
                       *list ? "; there are: " : "", list);
}

gr_status filter_name_append(filter_field *field, const segment *part, filter_problem *problem) {
    const size_t length = strlen(field->name);
    const int more = snprintf(field->name + length, sizeof field->name - length, ".%s", part->text);
    if (more >= 0 && (size_t)more < sizeof field->name - length) return GR_OK;
    return filter_fail(problem, part->column, "no name is longer than %zu bytes",
                       sizeof field->name - 1);
}

/* All segments from `first` on, joined by dots. */
static gr_status append_rest(const token *word, size_t first, filter_field *field,
                             filter_problem *problem) {
    for (size_t i = first; i < word->segment_count; i++)
        GR_TRY(filter_name_append(field, &word->segments[i], problem));
    return GR_OK;
}

static bool is_among(const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static gr_status resolve_metric(const token *word, const filter_vocabulary *vocabulary,
                                filter_field *field, filter_problem *problem) {
    const bool best = word->segment_count > 2 && strcmp(word->segments[1].text, "best") == 0;
    const char *name = field->name + (best ? strlen("metrics.best.") : strlen("metrics."));
    field->is_metric = true;
    field->type = TYPE_NUMBER;
    GR_TRY(append_rest(word, 1, field, problem));
    if (is_among(name, usual_metrics, usual_metric_count) ||
        is_among(name, vocabulary->metrics, vocabulary->metric_count) ||
        strncmp(name, "penalty.", 8) == 0)
        return GR_OK;
    const size_t count = usual_metric_count + vocabulary->metric_count;
    const char **names = malloc((count + 1) * sizeof *names);
    if (!names) return GR_OUT_OF_MEMORY;
    for (size_t i = 0; i < usual_metric_count; i++) names[i] = usual_metrics[i];
    size_t used = usual_metric_count;
    for (size_t i = 0; i < vocabulary->metric_count; i++)
        if (!is_among(vocabulary->metrics[i], usual_metrics, usual_metric_count))
            names[used++] = vocabulary->metrics[i];
    segment where = {.column = word->segments[best ? 2 : 1].column};
    /* A longer one is no metric's name, and is shown up to there. */
    size_t length = strlen(name);
    if (length >= sizeof where.text) length = sizeof where.text - 1;
    while (length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80) length--;
    memcpy(where.text, name, length);
    const gr_status status = filter_unknown(problem, &where, "metric", names, used);
    free(names);
    return status;
}

gr_status filter_resolve(const token *word, const filter_vocabulary *vocabulary,
                         filter_field *field, filter_problem *problem) {
    enum { MEMBERS = sizeof members / sizeof *members };
    static const char *const groups[] = {"params", "tags", "metrics"};
    const char *names[MEMBERS + 3];
    const segment *first = &word->segments[0];
    *field = (filter_field){.member = MEMBER_FACT};
    snprintf(field->name, sizeof field->name, "%s", first->text);
    for (size_t i = 0; i < MEMBERS; i++) {
        names[i] = members[i].name;
        if (strcmp(first->text, members[i].name) != 0) continue;
        field->member = (filter_member)i;
        field->type = members[i].type;
        if (word->segment_count == 1) return GR_OK;
        return filter_fail(problem, word->segments[1].column, "%s has no parts", first->text);
    }
    for (size_t i = 0; i < 3; i++) {
        names[MEMBERS + i] = groups[i];
        if (strcmp(first->text, groups[i]) != 0) continue;
        if (word->segment_count == 1)
            return filter_fail(problem, first->column, "%s is no value: expected %s", groups[i],
                               i == 0   ? "a path, such as params.optimizer.learning_rate"
                               : i == 1 ? "a tag's name, such as tags.paper"
                                        : "a metric, such as metrics.test_accuracy or "
                                          "metrics.best.test_accuracy");
        if (i == 0) return filter_resolve_parameter(word, field, problem);
        if (i == 2) return resolve_metric(word, vocabulary, field, problem);
        field->type = TYPE_TEXT;
        return append_rest(word, 1, field, problem);
    }
    return filter_unknown(problem, first, "field", names, MEMBERS + 3);
}

/* -- times
 * ------------------------------------------------------------------------------------------ */

/* Exactly `count` digits of a number in minimum … maximum; moves *text behind them. */
static bool digits(const char **text, int count, int minimum, int maximum, int *value) {
    *value = 0;
    for (int i = 0; i < count; i++, ++*text) {
        if (**text < '0' || **text > '9') return false;
        *value = 10 * *value + (**text - '0');
    }
    return *value >= minimum && *value <= maximum;
}

static bool character(const char **text, const char *allowed) {
    if (**text == 0 || strchr(allowed, **text) == NULL) return false;
    ++*text;
    return true;
}

bool filter_time(const char *text, double *milliseconds) {
    struct tm at = {0};
    int year, month, hour, minute, second, fraction = 0, offset = 0;
    if (!digits(&text, 4, 1970, 9999, &year) || !character(&text, "-") ||
        !digits(&text, 2, 1, 12, &month) || !character(&text, "-") ||
        !digits(&text, 2, 1, 31, &at.tm_mday))
        return false;
    const int day = at.tm_mday;
    at.tm_year = year - 1900;
    at.tm_mon = month - 1;
    if (*text) {
        if (!character(&text, "Tt ") || !digits(&text, 2, 0, 23, &hour) || !character(&text, ":") ||
            !digits(&text, 2, 0, 59, &minute))
            return false;
        second = 0;
        if (character(&text, ":") && !digits(&text, 2, 0, 60, &second)) return false;
        if (character(&text, ".")) {
            int scale = 100;
            if (*text < '0' || *text > '9') return false;
            for (; *text >= '0' && *text <= '9'; text++, scale /= 10)
                fraction += scale * (*text - '0');
        }
        if (*text == '+' || *text == '-') {
            int hours, minutes;
            const int sign = *text++ == '-' ? 1 : -1; /* towards UTC */
            if (!digits(&text, 2, 0, 23, &hours) || !character(&text, ":") ||
                !digits(&text, 2, 0, 59, &minutes))
                return false;
            offset = sign * (60 * hours + minutes);
        } else {
            character(&text, "Zz");
        }
        if (*text) return false;
        at.tm_hour = hour;
        at.tm_min = minute;
        at.tm_sec = second;
    }
    /* timegm carries over what there is not: the 30th of February, and the second 60. */
    struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    timegm(&date);
    if (date.tm_mday != day) return false;
    const time_t seconds = timegm(&at);
    *milliseconds = ((double)seconds + 60.0 * offset) * 1000 + fraction;
    return true;
}
