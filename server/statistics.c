#include "server/statistics.h"

#include <stdlib.h>
#include <string.h>

void statistics_create(statistics *self) {
    memset(self, 0, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
}

void statistics_destroy(statistics *self) {
    pthread_mutex_destroy(&self->lock);
}

/* Methods as texts that live for ever: one that a client made up must not become a label. */
static const char *known_method(const char *method) {
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(method, known[i]) == 0) return known[i];
    return "other";
}

static statistics_row *find_row(statistics *self, const char *method, const char *route) {
    for (int i = 0; i < self->count; i++)
        if (self->rows[i].method == method && strcmp(self->rows[i].route, route) == 0)
            return &self->rows[i];
    if (self->count == STATISTICS_ROUTES) return NULL;
    statistics_row *new = &self->rows[self->count++];
    new->method = method;
    new->route = route;
    return new;
}

void statistics_add(statistics *self, const http_record *record) {
    pthread_mutex_lock(&self->lock);
    statistics_row *row = find_row(self, known_method(record->method), record->route);
    for (int i = 0; row && i < STATISTICS_STATUSES; i++)
        if (row->statuses[i].count == 0 || row->statuses[i].status == record->status) {
            row->statuses[i].status = record->status;
            row->statuses[i].count++;
            row->bytes += record->bytes;
            if (!record->stream) histogram_add(&row->seconds, record->seconds);
            break;
        }
    pthread_mutex_unlock(&self->lock);
}

statistics_row *statistics_copy(statistics *self, int *count) {
    pthread_mutex_lock(&self->lock);
    *count = self->count;
    statistics_row *copy = malloc((size_t)(self->count + 1) * sizeof *copy);
    if (copy) memcpy(copy, self->rows, (size_t)self->count * sizeof *copy);
    pthread_mutex_unlock(&self->lock);
    return copy;
}
