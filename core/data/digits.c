/* The generated data set `digits`: ten classes of pen strokes, each sample with its own
 * wobble of the stroke's points, slant, rotation, size, place, thickness, ink, a stray mark now and
 * then, and noise. It needs no download, and any sample is a function of (set, number) alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/dataset_content.h"
#include "core/data/dataset_options.h"
#include "core/random.h"

enum {
    SIDE = 28,
    PIXELS = SIDE * SIDE,
    CLASSES = 10,
    TRAINING = 60000,
    TEST = 10000,
    POOL = 50000,
    MAXIMUM_POINTS = 12, /* control points of a stroke */
    PIECES = 3,          /* straight pieces between two control points */
    SEED = 28            /* of the one fixed set; a changed value is another data set */
};

/* -- the shapes: strokes through control points in a box x, y in [-1, 1], y downwards
 * --------------------- */

struct point {
    float x, y;
};

struct stroke {
    int count;
    bool curved; /* smooth through its points; else straight from point to point */
    struct point points[MAXIMUM_POINTS];
};

struct glyph {
    int digit, count;
    struct stroke strokes[3];
};

/* Several ways to write a digit stand next to each other; glyph_range finds them. */
static const struct glyph glyphs[] = {
    {0,
     1,
     {{9,
       true,
       {{0.1f, -0.95f},
        {-0.5f, -0.7f},
        {-0.65f, 0},
        {-0.45f, 0.75f},
        {0.05f, 0.95f},
        {0.5f, 0.7f},
        {0.65f, 0},
        {0.5f, -0.7f},
        {0, -0.95f}}}}},
    {1, 1, {{2, false, {{0.05f, -0.95f}, {-0.05f, 0.95f}}}}},
    {1, 1, {{3, false, {{-0.4f, -0.55f}, {0.05f, -0.95f}, {0.05f, 0.95f}}}}},
    {2,
     1,
     {{8,
       true,
       {{-0.55f, -0.55f},
        {-0.3f, -0.9f},
        {0.25f, -0.9f},
        {0.5f, -0.45f},
        {0.2f, 0.1f},
        {-0.55f, 0.85f},
        {0, 0.85f},
        {0.6f, 0.85f}}}}},
    {3,
     1,
     {{9,
       true,
       {{-0.5f, -0.75f},
        {0, -0.95f},
        {0.45f, -0.65f},
        {0.3f, -0.2f},
        {-0.1f, -0.05f},
        {0.4f, 0.15f},
        {0.5f, 0.6f},
        {0.05f, 0.95f},
        {-0.55f, 0.75f}}}}},
    {4,
     2,
     {{3, false, {{-0.15f, -0.95f}, {-0.6f, 0.25f}, {0.65f, 0.25f}}},
      {2, false, {{0.3f, -0.45f}, {0.2f, 0.95f}}}}},
    {4,
     2,
     {{4, true, {{-0.5f, -0.85f}, {-0.55f, -0.1f}, {0, 0.1f}, {0.45f, -0.1f}}},
      {2, false, {{0.45f, -0.9f}, {0.4f, 0.95f}}}}},
    {5,
     2,
     {{2, false, {{0.5f, -0.9f}, {-0.4f, -0.9f}}},
      {7,
       true,
       {{-0.4f, -0.9f},
        {-0.45f, -0.2f},
        {0.1f, -0.3f},
        {0.5f, 0.1f},
        {0.45f, 0.65f},
        {0, 0.95f},
        {-0.5f, 0.75f}}}}},
    {6,
     1,
     {{9,
       true,
       {{0.4f, -0.9f},
        {-0.2f, -0.5f},
        {-0.5f, 0.2f},
        {-0.4f, 0.75f},
        {0.05f, 0.95f},
        {0.5f, 0.65f},
        {0.35f, 0.15f},
        {-0.1f, 0.1f},
        {-0.45f, 0.45f}}}}},
    {7, 1, {{3, false, {{-0.55f, -0.85f}, {0.55f, -0.85f}, {-0.1f, 0.95f}}}}},
    {7,
     2,
     {{3, false, {{-0.55f, -0.85f}, {0.55f, -0.85f}, {-0.1f, 0.95f}}},
      {2, false, {{-0.25f, 0.05f}, {0.5f, 0}}}}},
    {8,
     1,
     {{11,
       true,
       {{0.35f, -0.75f},
        {-0.1f, -0.95f},
        {-0.45f, -0.6f},
        {-0.1f, -0.1f},
        {0.4f, 0.35f},
        {0.35f, 0.85f},
        {-0.1f, 0.95f},
        {-0.5f, 0.6f},
        {-0.2f, 0.1f},
        {0.35f, -0.35f},
        {0.4f, -0.75f}}}}},
    {9,
     1,
     {{9,
       true,
       {{0.45f, -0.5f},
        {0.2f, -0.9f},
        {-0.3f, -0.85f},
        {-0.5f, -0.45f},
        {-0.2f, -0.05f},
        {0.3f, -0.15f},
        {0.45f, -0.55f},
        {0.4f, 0.2f},
        {0.2f, 0.95f}}}}},
    {9,
     2,
     {{7,
       true,
       {{0.45f, -0.5f},
        {0.2f, -0.9f},
        {-0.3f, -0.85f},
        {-0.5f, -0.45f},
        {-0.2f, -0.05f},
        {0.3f, -0.15f},
        {0.45f, -0.5f}}},
      {4, true, {{0.45f, -0.5f}, {0.5f, 0.3f}, {0.2f, 0.9f}, {-0.45f, 0.75f}}}}},
};
enum { GLYPHS = sizeof glyphs / sizeof glyphs[0] };

/* -- drawing
 * ---------------------------------------------------------------------------------------------- */

struct pen {
    float radius;           /* pixels */
    float a, b, c, d, x, y; /* (x, y) of the box to pixels: [a b; c d]·p + (x, y) */
};

/* Inks every pixel near the piece from p to q (in pixels): full within the radius, fading over one
 * pixel. */
static void draw_piece(float *ink, float radius, struct point p, struct point q) {
    float reach = radius + 1;
    int left = (int)floorf(fminf(p.x, q.x) - reach), right = (int)ceilf(fmaxf(p.x, q.x) + reach);
    int top = (int)floorf(fminf(p.y, q.y) - reach), bottom = (int)ceilf(fmaxf(p.y, q.y) + reach);
    if (left < 0) left = 0;
    if (top < 0) top = 0;
    if (right > SIDE - 1) right = SIDE - 1;
    if (bottom > SIDE - 1) bottom = SIDE - 1;
    float ux = q.x - p.x, uy = q.y - p.y, inverse = 1 / (ux * ux + uy * uy + 1e-6f);
    /* Without branches, so that compilers make vectors of a row: most pixels are near enough. */
    for (int row = top; row <= bottom; row++) {
        float *pixels = &ink[row * SIDE];
        float y = (float)row - p.y;
        for (int column = left; column <= right; column++) {
            float vx = (float)column - p.x, vy = y;
            float along = (vx * ux + vy * uy) * inverse;
            along = along < 0 ? 0 : along;
            along = along > 1 ? 1 : along;
            vx -= along * ux;
            vy -= along * uy;
            float value = radius + 0.5f - sqrtf(vx * vx + vy * vy);
            value = value > 1 ? 1 : value;
            pixels[column] = value > pixels[column] ? value : pixels[column];
        }
    }
}

static struct point to_pixels(const struct pen *pen, struct point p) {
    return (struct point){pen->a * p.x + pen->b * p.y + pen->x,
                          pen->c * p.x + pen->d * p.y + pen->y};
}

/* The point at t in [0, 1] between p1 and p2 of a Catmull-Rom spline. */
static struct point spline(const struct point *p0, const struct point *p1, const struct point *p2,
                           const struct point *p3, float t) {
    float t2 = t * t, t3 = t2 * t;
    float w0 = -0.5f * t3 + t2 - 0.5f * t, w1 = 1.5f * t3 - 2.5f * t2 + 1;
    float w2 = -1.5f * t3 + 2 * t2 + 0.5f * t, w3 = 0.5f * t3 - 0.5f * t2;
    return (struct point){w0 * p0->x + w1 * p1->x + w2 * p2->x + w3 * p3->x,
                          w0 * p0->y + w1 * p1->y + w2 * p2->y + w3 * p3->y};
}

static void draw_stroke(float *ink, const struct pen *pen, bool curved, int count,
                        const struct point *points) {
    for (int i = 0; i + 1 < count; i++) {
        const struct point *p0 = &points[i > 0 ? i - 1 : 0], *p1 = &points[i], *p2 = &points[i + 1];
        const struct point *p3 = &points[i + 2 < count ? i + 2 : i + 1];
        int pieces = curved ? PIECES : 1;
        struct point from = to_pixels(pen, *p1);
        for (int piece = 1; piece <= pieces; piece++) {
            struct point to =
                to_pixels(pen, curved ? spline(p0, p1, p2, p3, (float)piece / PIECES) : *p2);
            draw_piece(ink, pen->radius, from, to);
            from = to;
        }
    }
}

/* -- samples
 * ---------------------------------------------------------------------------------------------- */

/* The random numbers of one sample, taken in order; a word gives four bytes. */
struct draws {
    const gr_random *random;
    uint32_t sample, block;
    int used;
    uint32_t words[4];
};

static uint32_t next_word(struct draws *draws) {
    if (draws->used == 4) {
        gr_random_words(draws->random, draws->sample, draws->block++, draws->words);
        draws->used = 0;
    }
    return draws->words[draws->used++];
}

/* Uniform on [-1, 1). */
static float next_uniform(struct draws *draws) {
    return (float)(next_word(draws) >> 8) * 0x1p-23f - 1;
}

/* About normal with deviation 1: the sum of four uniform numbers of 8 bits, so at most ±3.5. */
static float next_normal(struct draws *draws) {
    uint32_t word = next_word(draws);
    uint32_t sum = (word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24);
    return ((float)sum - 510) * (1 / 147.8f);
}

static const struct glyph *next_glyph(struct draws *draws, int digit) {
    int first = 0, count = 0;
    while (glyphs[first].digit != digit) first++;
    while (first + count < GLYPHS && glyphs[first + count].digit == digit) count++;
    return &glyphs[first + (int)(next_word(draws) >> 8) % count];
}

static struct pen next_pen(struct draws *draws) {
    float angle = 0.16f * next_normal(draws), slant = 0.18f * next_normal(draws);
    float width = 7.5f + 1.2f * next_normal(draws), height = 9.0f + 0.9f * next_normal(draws);
    /* sin and cos to the fourth order: exact enough, and the same with every libm. */
    float square = angle * angle, cosine = 1 - square / 2 + square * square / 24;
    float sine = angle * (1 - square / 6);
    struct pen pen = {.radius = 0.95f + 0.45f * next_uniform(draws)};
    pen.a = cosine * width;
    pen.b = (cosine * -slant - sine) * height;
    pen.c = sine * width;
    pen.d = (cosine + sine * -slant) * height;
    pen.x = 13.5f + 1.3f * next_normal(draws);
    pen.y = 13.5f + 1.3f * next_normal(draws);
    return pen;
}

static void draw_sample(const gr_random *random, uint32_t sample, int digit, uint8_t *pixels) {
    struct draws draws = {.random = random, .sample = sample, .used = 4};
    float ink[PIXELS] = {0};
    const struct glyph *glyph = next_glyph(&draws, digit);
    struct pen pen = next_pen(&draws);
    for (int i = 0; i < glyph->count; i++) {
        const struct stroke *stroke = &glyph->strokes[i];
        struct point points[MAXIMUM_POINTS];
        for (int j = 0; j < stroke->count; j++) {
            points[j].x = stroke->points[j].x + 0.09f * next_normal(&draws);
            points[j].y = stroke->points[j].y + 0.09f * next_normal(&draws);
        }
        draw_stroke(ink, &pen, stroke->curved, stroke->count, points);
    }
    if (next_uniform(&draws) < -0.4f) { /* a stray mark on three in ten */
        float place[4];
        for (int i = 0; i < 4; i++) place[i] = next_uniform(&draws);
        struct point mark[2];
        mark[0] = (struct point){1.2f * place[0], 1.2f * place[1]};
        mark[1] = (struct point){mark[0].x + 0.4f * place[2], mark[0].y + 0.4f * place[3]};
        draw_stroke(ink, &pen, false, 2, mark);
    }
    float strength = 205 + 50 * next_uniform(&draws);
    float noise = 6 + 14 * (0.5f + 0.5f * next_uniform(&draws));
    /* Two pixels a word: the sum of two bytes is noise enough (triangular, deviation 1). Loops of
     * one kind of work each, which compilers make vectors of. */
    uint32_t words[PIXELS / 2];
    int32_t triangular[PIXELS];
    for (int i = 0; i < PIXELS / 2; i++) words[i] = next_word(&draws);
    for (int i = 0; i < PIXELS / 2; i++) {
        triangular[2 * i] = (int32_t)((words[i] & 255) + (words[i] >> 8 & 255));
        triangular[2 * i + 1] = (int32_t)((words[i] >> 16 & 255) + (words[i] >> 24));
    }
    for (int i = 0; i < PIXELS; i++) {
        float value = strength * ink[i] + noise * (((float)triangular[i] - 255) * (1 / 104.5f));
        value = value < 0 ? 0 : value > 255 ? 255 : value;
        pixels[i] = (uint8_t)(int32_t)value;
    }
}

static gr_status draw_samples(uint32_t stream, int64_t count, gr_samples *samples,
                              gr_error *error) {
    samples->pixels = malloc((size_t)count * PIXELS);
    samples->labels = malloc((size_t)count);
    if (!samples->pixels || !samples->labels)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the data set digits");
    samples->count = count;
    const gr_random random = gr_random_source(SEED, GR_PURPOSE_GENERATED_DATA, stream, 0);
    const gr_random classes = gr_random_source(SEED, GR_PURPOSE_GENERATED_DATA, stream, 1);
    for (int64_t i = 0; i < count; i++) {
        int digit = (int)gr_random_below(&classes, (uint32_t)i, 0, CLASSES);
        samples->labels[i] = (uint8_t)digit;
        draw_sample(&random, (uint32_t)i, digit, samples->pixels + i * PIXELS);
    }
    return GR_OK;
}

gr_status gr_digits_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                         gr_error *error) {
    (void)settings;
    (void)directory;
    dataset->information.input_shape = (gr_shape){.rank = 3, .size = {1, SIDE, SIDE}};
    dataset->information.classes = CLASSES;
    dataset->information.default_validation_size = 10000;
    dataset->training_pool = POOL;
    snprintf(dataset->information.description, sizeof dataset->information.description,
             "60,000 + 10,000 generated digits");
    GR_TRY(draw_samples(0, TRAINING, &dataset->training, error));
    return draw_samples(1, TEST, &dataset->test, error);
}

static const gr_option options[] = {GR_DATASET_SHARED_OPTIONS("global", "10,000")};

const gr_kind gr_digits_kind = {
    .name = "digits",
    .help = "generated pen strokes, 28x28, in the sizes of mnist; needs no download",
    .options = options,
    .option_count = GR_DATASET_OPTION_COUNT,
};
