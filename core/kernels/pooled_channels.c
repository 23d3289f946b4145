/* Convolutions before max-pooling, for the ordinary pass and for few probes: a vector holds
 * channels of one pixel, and each lane of the passes has an image [row][column][channel] for each
 * such vector. What a winner reads, or what its adjoint goes to, are then the vectors of a square
 * of pixels, whichever pixel of its window it is. */
#include "core/kernels/pooled_images.h"

enum {
    OUTPUTS = 8,  /* of a tangent at once: they share the weights that are loaded */
    TOGETHER = 2, /* lanes whose picks are one list: long lists, and images that the first cache
                     holds with the sums */
};

/* A picked pixel that counts: its adjoint, and where it reads. */
typedef struct pick {
    gr_real delta;
    int32_t offset;
} pick;

/* What lies where in the scratch. */
typedef struct areas {
    int64_t vectors;                  /* of a pixel's channels */
    int64_t row, plane, image_stride; /* reals: of a row and of all rows of such a vector, and
                                         of all vectors */
    int64_t filter, weights_plane;    /* reals: of a vector of a filter's weights, and of all
                                         filters' */
    int64_t features, pooled_stride;
    gr_real *image;   /* [lane][vector][row][column][channel of the vector], with the padding */
    gr_real *weights; /* [vector][filter][row of taps][column of taps][channel of the vector]; for
                         adjoints with window - 1 zeros before and behind the taps of an axis */
    gr_real *sums;    /* of the weights' gradient, without such zeros: of a chunk */
    gr_real *totals;  /* … and of all: sums of sums keep more digits than long ones */
    gr_real *pooled;  /* [lane][feature] */
    pick *picks;      /* [lane][feature] */
    int32_t *place;   /* of each pick in `pooled` */
    int32_t *first;   /* [lane][channel + 1] */
    window_lists lists;
    int32_t *corner; /* [window] */
} areas;

/* margin: zeros before and behind the taps of an axis of the weights. */
static areas areas_of(const gr_convolution_shape *c, int64_t margin, gr_real *scratch) {
    const int64_t rows = c->in_rows + 2 * c->padding, columns = c->in_columns + 2 * c->padding;
    const int64_t wide = c->kernel + 2 * margin;
    const int64_t windows = c->pooled_rows * c->pooled_columns;
    areas a = {.image = scratch};
    a.features = c->out_channels * windows;
    a.pooled_stride = (a.features + L - 1) / L * L;
    a.vectors = (c->in_channels + L - 1) / L;
    a.row = columns * L;
    a.plane = rows * a.row;
    a.image_stride = a.vectors * a.plane;
    a.filter = wide * wide * L;
    a.weights_plane = c->out_channels * a.filter;
    a.weights = a.image + L * a.image_stride;
    a.sums = a.weights + a.vectors * a.weights_plane;
    a.totals = a.sums + a.vectors * c->out_channels * c->kernel * c->kernel * L;
    a.pooled = a.totals + (a.totals - a.sums);
    a.lists = lists_of(c, a.pooled + L * a.pooled_stride);
    a.picks = (pick *)(void *)(a.lists.found + L * windows * blocks_of(c));
    a.first = (int32_t *)(a.picks + L * (a.features + 1));
    a.place = a.first + L * (c->out_channels + 1);
    a.corner = a.place + L * (a.features + 1);
    return a;
}

/* The picks of TOGETHER lanes each in the order of their channels: all whose adjoint is not zero,
 * or where `by_kept` says so, those where `kept` (NULL: all) is positive,
 * with their places. */
INLINE void list_picks(const gr_convolution_shape *c, const chunk *part, const int32_t *winner,
                       const gr_real *d_pooled, bool by_kept, const gr_real *kept, const areas *a) {
    const int64_t channels = c->out_channels + 1, most = TOGETHER * (a->features + 1);
    const int64_t windows = c->pooled_rows * c->pooled_columns;
    const integers dropped = same_index(INT32_MIN);
    const window_steps steps = steps_of(c->window, L, a->row);
    const integers in_image[TOGETHER] = {same_index(0), same_index((int32_t)a->image_stride)};
    int32_t found[L] = {0};
    winner += part->first_sample;
    if (kept) kept += part->first_sample;
    for (int64_t f = 0; f < a->features; f += windows) {
        for (int64_t j = 0; j < part->count; j += TOGETHER)
            a->first[j * channels + f / windows] = found[j / TOGETHER];
        for (int64_t w = 0; w < windows; w += L) {
            const int64_t here = windows - w < L ? windows - w : L;
            vector delta[L], offset[L];
            FOR_EACH (i, L) {
                delta[i] = offset[i] = (vector){0};
                if (i >= here) continue;
                const int64_t at = f + w + i;
                integers o = distance(&steps, winner + at * part->samples, part->count) +
                             same_index(a->corner[w + i]);
                if (d_pooled) delta[i] = load(d_pooled + at * part->lanes + part->first);
                if (!by_kept)
                    o |= (integers)(delta[i] == (vector){0}) & dropped;
                else if (kept)
                    o |= ~(integers)(load(kept + at * part->samples) > (vector){0}) & dropped;
                offset[i] = (vector)o;
            }
            if (d_pooled) transpose(delta);
            transpose(offset);
            for (int64_t j = 0; j < part->count; j++) {
                gr_real d[L];
                int32_t o[L];
                store(d, delta[j]);
                store_indices(o, L, (integers)offset[j] + in_image[j % TOGETHER]);
                int32_t n = found[j / TOGETHER];
                pick *picks = a->picks + j / TOGETHER * most;
                int32_t *place = a->place + j / TOGETHER * most;
                const int32_t first = (int32_t)(j * a->pooled_stride + f + w);
                for (int32_t i = 0; i < here; i++) { /* no branch on what cannot be foreseen */
                    picks[n] = (pick){d[i], o[i]};
                    if (by_kept) place[n] = first + i;
                    n += o[i] >= 0;
                }
                found[j / TOGETHER] = n;
            }
        }
    }
    for (int64_t j = 0; j < part->count; j += TOGETHER)
        a->first[j * channels + c->out_channels] = found[j / TOGETHER];
}

/* -- between [feature][lane] and [lane][vector of channels][pixel][channel] -- */

#define FOR_EACH_PIXEL(c, a)                                                         \
    for (int64_t y_ = 0; y_ < (c)->in_rows; y_++)                                    \
        for (int64_t x_ = 0, at = (y_ + (c)->padding) * (a)->row + (c)->padding * L, \
                     f = y_ * (c)->in_columns;                                       \
             x_ < (c)->in_columns; x_++, f++, at += L)

static void read_image(const gr_convolution_shape *c, const chunk *part, const gr_real *in,
                       const areas *a) {
    const int64_t plane = c->in_rows * c->in_columns * part->lanes;
    in += part->first;
    FOR_EACH_PIXEL(c, a) {
        const gr_real *from = in + f * part->lanes;
        gr_real *to = a->image + at;
        if (part->count <= FEW) {
            for (int64_t j = 0; j < part->count; j++)
                for (int64_t k = 0; k < c->in_channels; k++)
                    to[j * a->image_stride + k / L * a->plane + k % L] = from[k * plane + j];
            continue;
        }
        for (int64_t k = 0; k < c->in_channels; k += L, to += a->plane) {
            vector v[L];
            FOR_EACH (i, L)
                v[i] = k + i < c->in_channels ? load(from + (k + i) * plane) : (vector){0};
            transpose(v);
            for (int64_t j = 0; j < part->count; j++) store(to + j * a->image_stride, v[j]);
        }
    }
}

static void write_image(const gr_convolution_shape *c, const chunk *part, const areas *a,
                        gr_real *out) {
    const int64_t plane = c->in_rows * c->in_columns * part->lanes;
    out += part->first;
    FOR_EACH_PIXEL(c, a) {
        const gr_real *from = a->image + at;
        gr_real *to = out + f * part->lanes;
        if (part->count <= FEW) {
            for (int64_t k = 0; k < c->in_channels; k++)
                for (int64_t j = 0; j < part->count; j++)
                    to[k * plane + j] = from[j * a->image_stride + k / L * a->plane + k % L];
            continue;
        }
        for (int64_t k = 0; k < c->in_channels; k += L, from += a->plane) {
            vector v[L];
            FOR_EACH (j, L) v[j] = j < part->count ? load(from + j * a->image_stride) : (vector){0};
            transpose(v);
            FOR_EACH (i, L)
                if (k + i < c->in_channels) store_lanes(to + (k + i) * plane, part->count, v[i]);
        }
    }
}

static void write_pooled(const chunk *part, const areas *a, gr_real *pooled) {
    pooled += part->first;
    for (int64_t f = 0; f < a->features; f += L) {
        vector v[L];
        FOR_EACH (j, L)
            v[j] = j < part->count ? load(a->pooled + j * a->pooled_stride + f) : (vector){0};
        transpose(v);
        for (int64_t i = 0; i < L && f + i < a->features; i++)
            store_lanes(pooled + (f + i) * part->lanes, part->count, v[i]);
    }
}

/* margin: as in areas_of. */
static void arrange_weights(const gr_convolution_shape *c, const gr_real *weights, int64_t margin,
                            const areas *a) {
    const int64_t area = c->kernel * c->kernel, wide = c->kernel + 2 * margin;
    memset(a->weights, 0, (size_t)(a->vectors * a->weights_plane) * sizeof *weights);
    for (int64_t f = 0; f < c->out_channels; f++)
        for (int64_t k = 0; k < c->in_channels; k++, weights += area) {
            gr_real *to = a->weights + k / L * a->weights_plane + f * a->filter + k % L +
                          margin * (wide + 1) * L;
            for (int64_t y = 0; y < c->kernel; y++)
                for (int64_t x = 0; x < c->kernel; x++)
                    to[(y * wide + x) * L] = weights[y * c->kernel + x];
        }
}

/* -- gradients and tangents: each pick reads its taps
 * ------------------------------------------------ */

/* sums[R][K][channel] += Σ of adjoint times input: R rows of taps at once. */
INLINE void add_taps(const int K, const int R, const pick *p, const pick *end, const gr_real *image,
                     int64_t row, gr_real *sums) {
    vector sum[5 * 5]; /* R·K at most */
    FOR_EACH (i, R * K) sum[i] = load(sums + i * L);
    for (; p < end; p++) {
        const vector d = broadcast(p->delta);
        const gr_real *t = fixed(image + p->offset);
        FOR_EACH (r, R) {
            FOR_EACH (x, K) sum[r * K + x] += d * load(t + x * L);
            t = fixed(t + row);
        }
    }
    FOR_EACH (i, R * K) store(sums + i * L, sum[i]);
}

#if defined(GR_KERNEL_SET_avx512)
enum { ROWS_OF_5 = 5 }; /* as many sums as there are registers for */
#else
enum { ROWS_OF_5 = 2 };
#endif

/* All taps of a filter and a vector of channels. K: the kernel's size. */
INLINE void accumulate_filter(const int K, const areas *a, const pick *p, const pick *end,
                              const gr_real *image, gr_real *sums) {
    const int rows = K == 5 ? ROWS_OF_5 : K;
    int64_t y = 0;
    for (; y + rows <= K; y += rows)
        add_taps(K, rows, p, end, image + y * a->row, a->row, sums + y * K * L);
    for (; y < K; y++) add_taps(K, 1, p, end, image + y * a->row, a->row, sums + y * K * L);
}

/* N picks of a filter at once, of which `count` are there. */
INLINE void push_some(const int K, const int N, const areas *a, const pick *p, const int32_t *place,
                      int64_t count, const gr_real *image, const gr_real *weights) {
    int64_t offset[OUTPUTS];
    vector sum[OUTPUTS];
    FOR_EACH (i, N) {
        offset[i] = p[i < count ? i : 0].offset;
        sum[i] = (vector){0};
    }
    for (int64_t v = 0; v < a->vectors; v++, image += a->plane, weights += a->weights_plane)
        for (int y = 0; y < K; y++) {
            const gr_real *at[OUTPUTS];
            FOR_EACH (i, N) at[i] = fixed(image + y * a->row + offset[i]);
            FOR_EACH (x, K) {
                const vector w = load_once(weights + (y * K + x) * L);
                FOR_EACH (i, N) sum[i] += w * load(at[i] + x * L);
            }
        }
    FOR_EACH (i, N)
        if (i < count) a->pooled[place[i]] = sum_of(sum[i]);
}

INLINE void push_filter(const int K, const areas *a, const pick *p, const int32_t *place,
                        int64_t count, const gr_real *image, const gr_real *weights) {
    int64_t i = 0;
    for (; count - i > OUTPUTS / 2; i += OUTPUTS)
        push_some(K, OUTPUTS, a, p + i, place + i, count - i, image, weights);
    if (i < count) push_some(K, OUTPUTS / 2, a, p + i, place + i, count - i, image, weights);
}

/* K: the kernel's size. One vector of channels after another: its image stays in the first cache.
 */
INLINE void accumulate_picks(const int K, const gr_convolution_shape *c, const areas *a,
                             const pick *picks, const int32_t *first, const gr_real *image) {
    gr_real *sums = a->sums;
    for (int64_t v = 0; v < a->vectors; v++, image += a->plane)
        for (int64_t f = 0; f < c->out_channels; f++, sums += K * K * L)
            accumulate_filter(K, a, picks + first[f], picks + first[f + 1], image, sums);
}

INLINE void push_picks(const int K, const gr_convolution_shape *c, const areas *a,
                       const pick *picks, const int32_t *places, const int32_t *first,
                       const gr_real *image) {
    for (int64_t f = 0; f < c->out_channels; f++)
        push_filter(K, a, picks + first[f], places + first[f], first[f + 1] - first[f], image,
                    a->weights + f * a->filter);
}

static void read_picks(const gr_convolution_shape *c, const chunk *part, const areas *a,
                       bool gradients, bool tangents) {
    if (tangents) memset(a->pooled, 0, (size_t)(L * a->pooled_stride) * sizeof *a->pooled);
    for (int64_t j = 0; j < part->count; j += TOGETHER) {
        const pick *picks = a->picks + j * (a->features + 1);
        const int32_t *places = a->place + j * (a->features + 1);
        const int32_t *first = a->first + j * (c->out_channels + 1);
        const gr_real *image = a->image + j * a->image_stride;
        if (c->kernel == 5) {
            if (gradients) accumulate_picks(5, c, a, picks, first, image);
            if (tangents) push_picks(5, c, a, picks, places, first, image);
        } else {
            if (gradients) accumulate_picks(3, c, a, picks, first, image);
            if (tangents) push_picks(3, c, a, picks, places, first, image);
        }
    }
}

static void add_sums(int64_t count, gr_real *sums, gr_real *totals) {
    for (int64_t i = 0; i < count; i += L) {
        store(totals + i, load(totals + i) + load(sums + i));
        store(sums + i, (vector){0});
    }
}

void KERNEL(pooled_accumulate_by_channels)(const gr_convolution_shape *c, const gr_real *weights,
                                           int64_t probes, int64_t samples, const int32_t *winner,
                                           const gr_real *kept, const gr_real *d_pooled,
                                           const gr_real *t_in, gr_real *t_pooled,
                                           gr_real *d_weights, gr_real *scratch) {
    const areas a = areas_of(c, 0, scratch);
    const int64_t all = a.vectors * a.weights_plane;
    if (t_pooled) arrange_weights(c, weights, 0, &a);
    memset(a.sums, 0, (size_t)(2 * all) * sizeof *a.sums); /* and the totals */
    memset(a.image, 0, (size_t)(L * a.image_stride) * sizeof *a.image);
    find_corners(c, L, a.row, a.corner);
    FOR_EACH_CHUNK (part, L, probes, samples) {
        read_image(c, &part, t_in, &a);
        if (!t_pooled) {
            list_picks(c, &part, winner, d_pooled, false, NULL, &a);
            read_picks(c, &part, &a, true, false);
        } else {
            list_picks(c, &part, winner, d_pooled, true, kept, &a);
            read_picks(c, &part, &a, true, true);
            write_pooled(&part, &a, t_pooled);
        }
        add_sums(all, a.sums, a.totals);
    }
    for (int64_t i = 0, f = 0; f < c->out_channels; f++)
        for (int64_t k = 0; k < c->in_channels; k++) {
            const gr_real *totals = a.totals + k / L * a.weights_plane + f * a.filter + k % L;
            for (int64_t tap = 0; tap < c->kernel * c->kernel; tap++, i++)
                d_weights[i] += totals[tap * L];
        }
}

void KERNEL(pooled_tangent_by_channels)(const gr_convolution_shape *c, const gr_real *weights,
                                        int64_t probes, int64_t samples, const int32_t *winner,
                                        const gr_real *kept, const gr_real *t_in, gr_real *t_pooled,
                                        gr_real *scratch) {
    const areas a = areas_of(c, 0, scratch);
    arrange_weights(c, weights, 0, &a);
    memset(a.image, 0, (size_t)(L * a.image_stride) * sizeof *a.image);
    find_corners(c, L, a.row, a.corner);
    FOR_EACH_CHUNK (part, L, probes, samples) {
        list_picks(c, &part, winner, NULL, true, kept, &a);
        read_image(c, &part, t_in, &a);
        read_picks(c, &part, &a, false, true);
        write_pooled(&part, &a, t_pooled);
    }
}

/* -- the adjoint of the input: of a window, all filters' picks go to one square of pixels
 * ------------ */

/* image += Σ over the filters of adjoint times weight: W pixels of R rows of a window's square. */
INLINE void add_square(const int R, const int W, const gr_real *delta, const int32_t *offset,
                       int64_t filters, const gr_real *weights, int64_t weights_row, gr_real *image,
                       int64_t row) {
    vector sum[2][7]; /* R and W at most */
    FOR_EACH (r, R)
        FOR_EACH (x, W) sum[r][x] = load(image + r * row + x * L);
    for (int64_t f = 0; f < filters; f++) {
        const vector d = broadcast(delta[f]);
        const gr_real *w = fixed(weights + offset[f]);
        FOR_EACH (r, R) {
            FOR_EACH (x, W) sum[r][x] += d * load(w + x * L);
            w = fixed(w + weights_row);
        }
    }
    FOR_EACH (r, R)
        FOR_EACH (x, W) store(image + r * row + x * L, sum[r][x]);
}

/* Lane j; W: a square's pixels to a side. Few rows and few filters of all windows at a time, so
 * that their weights stay in the first cache. */
INLINE void add_squares(const int W, const gr_convolution_shape *c, const areas *a, int64_t j) {
    const int R = W > 6 ? 1 : 2;
    const int64_t weights_row = (W + c->window - 1) * L;
    const int64_t windows = c->pooled_rows * c->pooled_columns, blocks = blocks_of(c);
    const window_lists *lists = &a->lists;
    for (int64_t f = 0; f < c->out_channels; f += FILTERS)
        for (int64_t v = 0; v < a->vectors; v++)
            for (int64_t y = 0; y < W; y += R) {
                const gr_real *weights =
                    a->weights + v * a->weights_plane + f * a->filter + y * weights_row;
                const gr_real *delta = lists->delta + j * windows * lists->filters + f;
                const int32_t *offset = lists->offset + j * windows * lists->filters + f;
                const int32_t *found = lists->found + j * windows * blocks + f / FILTERS;
                gr_real *to = a->image + j * a->image_stride + v * a->plane + y * a->row;
                for (int64_t w = 0; w < windows;
                     w++, delta += lists->filters, offset += lists->filters, found += blocks)
                    if (y + R <= W)
                        add_square(R, W, delta, offset, *found, weights, weights_row,
                                   to + a->corner[w], a->row);
                    else
                        add_square(1, W, delta, offset, *found, weights, weights_row,
                                   to + a->corner[w], a->row);
            }
}

void KERNEL(pooled_backward_by_channels)(const gr_convolution_shape *c, const gr_real *weights,
                                         int64_t probes, int64_t samples, const int32_t *winner,
                                         const gr_real *d_pooled, gr_real *d_in, gr_real *scratch) {
    const int64_t margin = c->window - 1, wide = c->kernel + 2 * margin;
    const areas a = areas_of(c, margin, scratch);
    const window_steps steps = steps_of(c->window, -L, -wide * L);
    arrange_weights(c, weights, margin, &a);
    find_corners(c, L, a.row, a.corner);
    FOR_EACH_CHUNK (part, L, probes, samples) {
        list_windows(c, &part, winner, d_pooled, &steps, a.filter, margin * (wide + 1) * L,
                     &a.lists);
        memset(a.image, 0, (size_t)(part.count * a.image_stride) * sizeof *a.image);
        for (int64_t j = 0; j < part.count; j++) {
            const int64_t side = c->kernel + c->window - 1;
            if (side == 3) add_squares(3, c, &a, j);
            if (side == 4) add_squares(4, c, &a, j);
            if (side == 5) add_squares(5, c, &a, j);
            if (side == 6) add_squares(6, c, &a, j);
            if (side == 7) add_squares(7, c, &a, j);
        }
        write_image(c, &part, &a, d_in);
    }
}
