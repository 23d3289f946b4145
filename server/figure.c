#include "server/figure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INK "#222222"
#define FAINT "#e4e4e4"
#define FRAME "#888888"

struct figure {
    char *text;
    size_t size;
    FILE *out;
    int clips;
};

/* -- text
 * ---------------------------------------------------------------------------------------------- */

/* Characters of XML 1.0 only. */
static void put_escaped(FILE *out, const char *text) {
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte == '&')
            fputs("&amp;", out);
        else if (byte == '<')
            fputs("&lt;", out);
        else if (byte == '>')
            fputs("&gt;", out);
        else if (byte == '"')
            fputs("&quot;", out);
        else if (byte >= 0x20 && byte != 0x7F)
            fputc(byte, out);
    }
}

/* A length of at most two decimals, the shortest that says so. */
static void put_length(FILE *out, double value) {
    char text[48];
    snprintf(text, sizeof text, "%.2f", value);
    size_t end = strlen(text);
    while (text[end - 1] == '0') end--;
    if (text[end - 1] == '.') end--;
    text[end] = 0;
    fputs(strcmp(text, "-0") == 0 ? "0" : text, out);
}

static void put_attribute(FILE *out, const char *name, double value) {
    fprintf(out, " %s=\"", name);
    put_length(out, value);
    fputc('"', out);
}

double figure_text_width(const char *text, double size) {
    double width = 0;
    for (; *text; text++) {
        if (((unsigned char)*text & 0xC0) == 0x80) continue; /* the rest of a character */
        width += strchr("iljtf.,:;' ()|-", *text) ? 0.33 : strchr("MWmw%", *text) ? 0.85 : 0.57;
    }
    return width * size;
}

figure *figure_create(double width, double height, const char *description) {
    figure *of = calloc(1, sizeof *of);
    if (of) of->out = open_memstream(&of->text, &of->size);
    if (!of || !of->out) {
        free(of);
        return NULL;
    }
    fputs("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", of->out);
    put_length(of->out, width);
    fputc(' ', of->out);
    put_length(of->out, height);
    fputc('"', of->out);
    put_attribute(of->out, "width", width);
    put_attribute(of->out, "height", height);
    fputs(" font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\" role=\"img\">\n<title>",
          of->out);
    put_escaped(of->out, description);
    fputs("</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", of->out);
    return of;
}

char *figure_finish(figure *of) {
    if (!of) return NULL;
    fputs("</svg>\n", of->out);
    const bool failed = ferror(of->out) != 0;
    const bool closed = fclose(of->out) == 0;
    char *text = of->text;
    free(of);
    if (!failed && closed) return text;
    free(text);
    return NULL;
}

/* -- scales
 * -------------------------------------------------------------------------------------------- */

static double position(const figure_scale *scale, double value) {
    return scale->logarithmic ? log10(value) : value;
}

double figure_place(const figure_scale *scale, double value) {
    if (!isfinite(value) || (scale->logarithmic && value <= 0)) return NAN;
    const double low = position(scale, scale->low), high = position(scale, scale->high);
    return scale->begin +
           (position(scale, value) - low) / (high - low) * (scale->end - scale->begin);
}

void figure_widen(figure_scale *scale, double share) {
    const double low = position(scale, scale->low), high = position(scale, scale->high);
    double more = (high - low) * share;
    if (!(high > low)) more = scale->logarithmic ? 0.5 : low != 0 ? 0.05 * fabs(low) : 1;
    scale->low = scale->logarithmic ? pow(10, low - more) : low - more;
    scale->high = scale->logarithmic ? pow(10, high + more) : high + more;
}

static size_t add_tick(const figure_scale *scale, double value, double *ticks, size_t count) {
    const double slack = 1e-9 * fabs(scale->high - scale->low);
    const bool inside = scale->logarithmic
                            ? value >= scale->low * (1 - 1e-9) && value <= scale->high * (1 + 1e-9)
                            : value >= scale->low - slack && value <= scale->high + slack;
    if (!inside || count == FIGURE_MAXIMUM_TICKS) return count;
    ticks[count] = value;
    return count + 1;
}

static size_t logarithmic_ticks(const figure_scale *scale, int wanted, double *ticks) {
    static const double steps[] = {1, 2, 5};
    const int low = (int)floor(log10(scale->low)), high = (int)ceil(log10(scale->high));
    const double decades = log10(scale->high) - log10(scale->low);
    const int every = decades > wanted ? (int)ceil(decades / wanted) : 1;
    const int inner = decades * 3 <= wanted + 1 ? 3 : 1;
    size_t count = 0;
    for (int power = low; power <= high; power++)
        for (int i = 0; i < inner; i++)
            if (power % every == 0)
                count = add_tick(scale, steps[i] * pow(10, power), ticks, count);
    return count;
}

size_t figure_ticks(const figure_scale *scale, int wanted, double ticks[FIGURE_MAXIMUM_TICKS]) {
    if (!(scale->high > scale->low) || !isfinite(scale->high - scale->low) || wanted < 1) return 0;
    if (scale->logarithmic) return scale->low > 0 ? logarithmic_ticks(scale, wanted, ticks) : 0;
    const double rough = (scale->high - scale->low) / wanted;
    const double power = pow(10, floor(log10(rough)));
    const double share = rough / power;
    const double step = (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10) * power;
    size_t count = 0;
    for (double i = ceil(scale->low / step - 1e-9); i * step <= scale->high + 1e-9 * step; i++) {
        if (count == FIGURE_MAXIMUM_TICKS) break;
        count = add_tick(scale, i * step, ticks, count);
    }
    return count;
}

/* -- colours
 * ------------------------------------------------------------------------------------------- */

const char *figure_colour(size_t index) {
    static const char *const colours[] = {"#000000", "#0072b2", "#d55e00", "#009e73",
                                          "#cc79a7", "#e69f00", "#56b4e9", "#7f6a00"};
    return colours[index % (sizeof colours / sizeof *colours)];
}

const char *figure_gradient(double share, figure_colour_text out) {
    static const unsigned char stops[][3] = {{68, 1, 84},    {71, 44, 122},  {59, 81, 139},
                                             {44, 113, 142}, {33, 144, 141}, {39, 173, 129},
                                             {92, 200, 99},  {170, 220, 50}, {253, 231, 37}};
    enum { LAST = sizeof stops / sizeof *stops - 1 };
    const double at = fmin(fmax(isnan(share) ? 0 : share, 0), 1) * LAST;
    const int below = at >= LAST ? LAST - 1 : (int)at;
    int mixed[3];
    for (int i = 0; i < 3; i++)
        mixed[i] =
            (int)lround(stops[below][i] + (at - below) * (stops[below + 1][i] - stops[below][i]));
    snprintf(out, sizeof(figure_colour_text), "#%02x%02x%02x", (unsigned)mixed[0] & 255u,
             (unsigned)mixed[1] & 255u, (unsigned)mixed[2] & 255u);
    return out;
}

/* -- marks
 * --------------------------------------------------------------------------------------------- */

static bool visible(const figure_point *point) {
    return isfinite(point->x) && isfinite(point->y);
}

static void put_points(FILE *out, const figure_point *points, size_t count, bool backwards) {
    for (size_t i = 0; i < count; i++) {
        const figure_point *one = &points[backwards ? count - 1 - i : i];
        put_length(out, one->x);
        fputc(',', out);
        put_length(out, one->y);
        fputc(' ', out);
    }
}

void figure_line(figure *of, const figure_point *points, size_t count, const char *colour,
                 double width, const char *dashes) {
    for (size_t begin = 0, end; of && begin < count; begin = end + 1) {
        for (end = begin; end < count && visible(&points[end]);) end++;
        if (end - begin < 2) continue;
        fputs("<polyline points=\"", of->out);
        put_points(of->out, points + begin, end - begin, false);
        fprintf(of->out, "\" fill=\"none\" stroke=\"%s\" stroke-linejoin=\"round\"", colour);
        put_attribute(of->out, "stroke-width", width);
        if (dashes) fprintf(of->out, " stroke-dasharray=\"%s\"", dashes);
        fputs("/>\n", of->out);
    }
}

void figure_band(figure *of, const figure_point *upper, const figure_point *lower, size_t count,
                 const char *colour) {
    for (size_t begin = 0, end; of && begin < count; begin = end + 1) {
        for (end = begin; end < count && visible(&upper[end]) && visible(&lower[end]);) end++;
        if (end - begin < 2) continue;
        fputs("<polygon points=\"", of->out);
        put_points(of->out, upper + begin, end - begin, false);
        put_points(of->out, lower + begin, end - begin, true);
        fprintf(of->out, "\" fill=\"%s\" fill-opacity=\"0.15\"/>\n", colour);
    }
}

void figure_dot(figure *of, double x, double y, double radius, const char *colour, double opacity) {
    if (!of || !isfinite(x) || !isfinite(y)) return;
    fputs("<circle", of->out);
    put_attribute(of->out, "cx", x);
    put_attribute(of->out, "cy", y);
    put_attribute(of->out, "r", radius);
    fprintf(of->out, " fill=\"%s\"", colour);
    if (opacity < 1) put_attribute(of->out, "fill-opacity", opacity);
    fputs("/>\n", of->out);
}

void figure_box(figure *of, double left, double top, double width, double height,
                const char *colour) {
    if (!of || !isfinite(left + top + width + height)) return;
    fputs("<rect", of->out);
    put_attribute(of->out, "x", left);
    put_attribute(of->out, "y", top);
    put_attribute(of->out, "width", width);
    put_attribute(of->out, "height", height);
    fprintf(of->out, " fill=\"%s\"/>\n", colour);
}

static void put_text(figure *of, double x, double y, figure_anchor anchor, double size,
                     const char *colour, bool turned, const char *text) {
    static const char *const anchors[] = {"start", "middle", "end"};
    if (!of || !isfinite(x) || !isfinite(y)) return;
    fputs("<text", of->out);
    put_attribute(of->out, "x", x);
    put_attribute(of->out, "y", y);
    put_attribute(of->out, "font-size", size);
    fprintf(of->out, " text-anchor=\"%s\" fill=\"%s\"", anchors[anchor], colour);
    if (turned) fprintf(of->out, " transform=\"rotate(-90 %.2f %.2f)\"", x, y);
    fputc('>', of->out);
    put_escaped(of->out, text);
    fputs("</text>\n", of->out);
}

void figure_text(figure *of, double x, double y, figure_anchor anchor, double size,
                 const char *colour, const char *text) {
    put_text(of, x, y, anchor, size, colour, false, text);
}

/* -- panels
 * -------------------------------------------------------------------------------------------- */

static void draw_x_axis(figure *of, const figure_panel *panel) {
    double made[FIGURE_MAXIMUM_TICKS];
    const double bottom = panel->top + panel->height;
    const double *ticks = panel->x_ticks ? panel->x_ticks : made;
    const size_t count = panel->x_ticks
                             ? panel->x_tick_count
                             : figure_ticks(&panel->x, (int)fmax(2, panel->width / 70), made);
    for (size_t i = 0; i < count && !panel->no_x_ticks; i++) {
        char text[32];
        const double x = figure_place(&panel->x, ticks[i]);
        snprintf(text, sizeof text, "%.6g", fabs(ticks[i]) < 1e-12 ? 0 : ticks[i]);
        if (!panel->no_grid)
            figure_line(of, (const figure_point[]){{x, panel->top}, {x, bottom}}, 2, FAINT, 1,
                        NULL);
        figure_line(of, (const figure_point[]){{x, bottom}, {x, bottom + 4}}, 2, FRAME, 1, NULL);
        figure_text(of, x, bottom + 16, FIGURE_MIDDLE, 11, INK, text);
    }
    if (panel->x_label)
        figure_text(of, panel->left + panel->width / 2, bottom + (panel->no_x_ticks ? 18 : 34),
                    FIGURE_MIDDLE, 12, INK, panel->x_label);
}

static void draw_y_axis(figure *of, const figure_panel *panel) {
    double ticks[FIGURE_MAXIMUM_TICKS], widest = 0;
    const size_t count =
        panel->no_y_ticks ? 0 : figure_ticks(&panel->y, (int)fmax(2, panel->height / 40), ticks);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        const double y = figure_place(&panel->y, ticks[i]), right = panel->left + panel->width;
        snprintf(text, sizeof text, "%.6g", fabs(ticks[i]) < 1e-12 ? 0 : ticks[i]);
        widest = fmax(widest, figure_text_width(text, 11));
        if (!panel->no_grid)
            figure_line(of, (const figure_point[]){{panel->left, y}, {right, y}}, 2, FAINT, 1,
                        NULL);
        figure_line(of, (const figure_point[]){{panel->left - 4, y}, {panel->left, y}}, 2, FRAME, 1,
                    NULL);
        figure_text(of, panel->left - 7, y + 4, FIGURE_END, 11, INK, text);
    }
    if (panel->y_label)
        put_text(of, panel->left - widest - 16, panel->top + panel->height / 2, FIGURE_MIDDLE, 12,
                 INK, true, panel->y_label);
}

void figure_panel_begin(figure *of, figure_panel *panel) {
    panel->x.begin = panel->left;
    panel->x.end = panel->left + panel->width;
    panel->y.begin = panel->top + panel->height; /* upwards */
    panel->y.end = panel->top;
    if (!of) return;
    draw_x_axis(of, panel);
    draw_y_axis(of, panel);
    if (panel->title)
        figure_text(of, panel->left + panel->width / 2, panel->top - 8, FIGURE_MIDDLE, 12, INK,
                    panel->title);
    fprintf(of->out,
            "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"none\" "
            "stroke=\"" FRAME "\"/>\n",
            panel->left, panel->top, panel->width, panel->height);
    of->clips++;
    fprintf(of->out,
            "<clipPath id=\"panel%d\"><rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
            "height=\"%.2f\"/></clipPath>\n<g clip-path=\"url(#panel%d)\">\n",
            of->clips, panel->left, panel->top, panel->width, panel->height, of->clips);
}

void figure_panel_end(figure *of) {
    if (of) fputs("</g>\n", of->out);
}
