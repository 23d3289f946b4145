#include "server/progress_bar.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAXIMUM_LINE = 1024, LABEL_COLUMNS = 28, MINIMUM_BAR = 10, MAXIMUM_BAR = 40 };

const char *progress_bar_time(double seconds, char out[24]) {
    if (!(seconds >= 0) || seconds > 1e9) return strcpy(out, "-");
    long long whole = (long long)(seconds + 0.5);
    if (whole >= 3600)
        snprintf(out, 24, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(out, 24, "%lld:%02lld", whole / 60, whole % 60);
    return out;
}

int progress_bar_columns(FILE *file) {
    struct winsize size;
    if (!isatty(fileno(file))) return 0;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col < 40 ? 40 : size.ws_col;
}

/* Copies whole UTF-8 characters, each taken as one column, and pads with spaces to `columns`. */
static void copy_label(const char *label, int columns, char *out, size_t size) {
    size_t length = 0;
    int used = 0;
    for (const char *c = label; *c; c++) {
        bool continues = ((unsigned char)*c & 0xC0) == 0x80;
        if (!continues && used == columns) break;
        if (length + 1 + (size_t)columns >= size) break;
        used += !continues;
        out[length++] = (unsigned char)*c < 0x20 || *c == 0x7F ? '?' : *c;
    }
    for (; used < columns && length + 1 < size; used++) out[length++] = ' ';
    out[length] = 0;
}

const char *progress_bar_line(const progress_bar *bar, int columns, char *out, size_t size) {
    char label[256], numbers[256], eta[24], drawing[MAXIMUM_BAR + 1];
    double fraction = bar->iterations > 0 ? (double)bar->iteration / (double)bar->iterations : 0;
    fraction = fmin(fmax(fraction, 0), 1);
    int used = snprintf(numbers, sizeof numbers, " %3d%% %lld/%lld", (int)(fraction * 100),
                        (long long)bar->iteration, (long long)bar->iterations);
    /* The parts in the order of their use; what no longer fits the line is left out. */
    char part[64];
    for (int i = 0; i < 5; i++) {
        *part = 0;
        if (i == 0 && bar->state) snprintf(part, sizeof part, " %.12s", bar->state);
        if (i == 1 && isfinite(bar->eta_seconds))
            snprintf(part, sizeof part, " ETA %s", progress_bar_time(bar->eta_seconds, eta));
        if (i == 2 && bar->iterations_per_second > 0)
            snprintf(part, sizeof part, " %.0f it/s", bar->iterations_per_second);
        if (i == 3 && !isnan(bar->loss)) snprintf(part, sizeof part, " loss %.4g", bar->loss);
        if (i == 4 && !isnan(bar->accuracy))
            snprintf(part, sizeof part, " val %.2f%%", bar->accuracy * 100);
        int length = (int)strlen(part);
        if (used + length + MINIMUM_BAR + 14 > columns) continue;
        memcpy(numbers + used, part, (size_t)length + 1);
        used += length;
    }
    int label_columns = columns - used - MINIMUM_BAR - 3;
    if (label_columns > LABEL_COLUMNS) label_columns = LABEL_COLUMNS;
    if (label_columns < 0) label_columns = 0;
    int width = columns - used - label_columns - 3;
    if (width > MAXIMUM_BAR) width = MAXIMUM_BAR;
    if (width < 1) width = 1;
    int full = (int)(fraction * width);
    for (int i = 0; i < width; i++) drawing[i] = i < full ? '#' : '.';
    drawing[width] = 0;
    copy_label(bar->label, label_columns, label, sizeof label);
    snprintf(out, size, "%s [%s]%s", label, drawing, numbers);
    return out;
}

void progress_bar_draw(FILE *terminal, const progress_bar *bars, size_t count, int *drawn) {
    char line[MAXIMUM_LINE];
    int columns = progress_bar_columns(terminal);
    if (columns == 0) return;
    if (columns > MAXIMUM_LINE / 4) columns = MAXIMUM_LINE / 4;
    if (*drawn > 0) fprintf(terminal, "\033[%dA", *drawn);
    for (size_t i = 0; i < count; i++)
        /* One column is left free: a full line would wrap on some terminals. */
        fprintf(terminal, "\r%s\033[K\n",
                progress_bar_line(&bars[i], columns - 1, line, sizeof line));
    *drawn = (int)count;
    fflush(terminal);
}
