/* Convolutions before max-pooling by windows of two pixels, whose images have one channel or a few:
 * a row of a kernel's taps, all channels of neighbouring pixels, is a vector or two of the image
 * [row][column][channel], wherever it begins. What a winner reads, or what its adjoint goes to, are
 * then as many such rows as the kernel has. */
#include "core/kernels/pooled_images.h"

enum {
    TOGETHER = 4, /* vectors of lanes in a chunk: lines of the arrays of lanes are read once, and
                     the second-level cache holds the images */
    BLOCK = 64,   /* (window, lane) pairs at a time, each a bit */
    MOST_TAPS = 5 /* along one axis */
};

#define LANES (TOGETHER * L)

/* What lies where in the scratch. */
typedef struct areas {
    int64_t row, image_stride; /* reals of each */
    int64_t vectors, square;   /* of a row of taps, and of a row of a window's square */
    int64_t filter, shift;     /* reals: of a filter's weights; from a column of a window to the
                                  next, where each has weights of its own */
    gr_real *image;            /* [lane][row][column][channel], with the padding */
    gr_real *weights;          /* [filter][row of taps][vector]; for adjoints [column of a window]
                                  [filter][row of taps, window - 1 of zeros before and behind][…] */
    gr_real *sums;             /* [filter][row of taps][vector]: of the gradient of L lanes */
    gr_real *totals;           /* … and of all: sums of sums keep more digits than long ones */
    gr_real *delta, *value;    /* of a block: adjoints, tangents, */
    int32_t *offset;           /* and where they read */
    window_lists lists;
    int32_t *corner; /* [window] */
} areas;

static areas areas_of(const gr_convolution_shape *c, gr_real *scratch) {
    const int64_t rows = c->in_rows + 2 * c->padding, columns = c->in_columns + 2 * c->padding;
    const int64_t margin = c->window - 1, tall = c->kernel + 2 * margin;
    areas a = {.image = scratch, .row = columns * c->in_channels};
    a.vectors = gr_pooled_row_vectors(L, c, 0);
    a.square = gr_pooled_row_vectors(L, c, margin);
    /* Room for the vectors of the last row; an odd number of them in all: lanes do not compete for
     * the same lines of a cache. */
    a.image_stride = (((rows + margin) * a.row + a.square * L + L - 1) / L | 1) * L;
    a.filter = tall * a.square * L;
    a.shift = c->out_channels * a.filter;
    a.weights = a.image + LANES * a.image_stride;
    a.sums = a.weights + c->window * a.shift;
    a.totals = a.sums + c->out_channels * c->kernel * a.vectors * L;
    a.delta = a.totals + (a.totals - a.sums);
    a.value = a.delta + BLOCK;
    a.offset = (int32_t *)(void *)(a.value + BLOCK);
    a.lists = lists_of(c, a.value + 2 * BLOCK);
    a.corner = a.lists.found + L * c->pooled_rows * c->pooled_columns * blocks_of(c);
    return a;
}

/* Where the images of L lanes from `first` on are. */
INLINE integers images_of(const areas *a, int64_t first) {
    integers offset;
    for (int64_t j = 0; j < L; j++) offset[j] = (int32_t)((first + j) * a->image_stride);
    return offset;
}

/* -- between [feature][lane] and [lane][row][column][channel]
 * ------------------------------------------------ */

/* Runs its body for each vector of a row of the image, of reals from `first` on; where they do not
 * fill the last, it begins among those of the one before. */
#define FOR_EACH_PART(first, reals)                     \
    for (int64_t first = 0, next_ = 0; next_ < (reals); \
         next_ += L, first = next_ + L <= (reals) || (reals) < L ? next_ : (reals)-L)

/* Where a part's reals of row y are among the arrays of lanes; the last again where there are no
 * more. */
INLINE void find_lanes(const gr_convolution_shape *c, const chunk *part, int64_t y, int64_t r,
                       int64_t at[L]) {
    const int64_t channels = c->in_channels, reals = c->in_columns * channels;
    int64_t channel = r % channels, x = r / channels;
    FOR_EACH (i, L) {
        const int64_t feature = (channel * c->in_rows + y) * c->in_columns + x;
        at[i] = feature * part->lanes + part->first;
        if (r + i + 1 < reals && ++channel == channels) channel = 0, x++;
    }
}

static void read_image(const gr_convolution_shape *c, const chunk *part, const gr_real *in,
                       const areas *a) {
    const int64_t reals = c->in_columns * c->in_channels, stride = a->image_stride;
    for (int64_t y = 0; y < c->in_rows; y++)
        FOR_EACH_PART (r, reals) {
            gr_real *to = a->image + (y + c->padding) * a->row + c->padding * c->in_channels + r;
            int64_t from[L];
            find_lanes(c, part, y, r, from);
            for (int64_t j = 0; j < part->count; j += L, to += L * stride) {
                vector v[L];
                FOR_EACH (i, L) v[i] = load(in + from[i] + j);
                transpose(v);
                if (reals >= L && part->count - j >= L)
                    FOR_EACH (i, L) store(to + i * stride, v[i]);
                else
                    for (int64_t i = 0; i < L && j + i < part->count; i++)
                        store_lanes(to + i * stride, reals - r, v[i]);
            }
        }
}

static void write_image(const gr_convolution_shape *c, const chunk *part, const areas *a,
                        gr_real *out) {
    const int64_t reals = c->in_columns * c->in_channels, stride = a->image_stride;
    for (int64_t y = 0; y < c->in_rows; y++)
        FOR_EACH_PART (r, reals) {
            const gr_real *from =
                a->image + (y + c->padding) * a->row + c->padding * c->in_channels + r;
            int64_t to[L];
            find_lanes(c, part, y, r, to);
            for (int64_t j = 0; j < part->count; j += L, from += L * stride) {
                vector v[L];
                FOR_EACH (i, L) v[i] = j + i < part->count ? load(from + i * stride) : (vector){0};
                transpose(v);
                if (reals >= L && part->count - j >= L)
                    FOR_EACH (i, L) store(out + to[i] + j, v[i]);
                else
                    for (int64_t i = 0; i < L && r + i < reals; i++)
                        store_lanes(out + to[i] + j, part->count - j, v[i]);
            }
        }
}

/* A filter's taps in rows of whole vectors, `before` reals from the first on. */
static void arrange_row(const gr_convolution_shape *c, const gr_real *weights, int64_t filter,
                        int64_t y, int64_t before, gr_real *to) {
    const int64_t area = c->kernel * c->kernel;
    for (int64_t x = 0; x < c->kernel; x++)
        for (int64_t k = 0; k < c->in_channels; k++)
            to[before + x * c->in_channels + k] =
                weights[(filter * c->in_channels + k) * area + y * c->kernel + x];
}

/* -- gradients and tangents: each winner reads its rows of taps
 * ----------------------------------------------- */

/* (window, lane) pairs of a filter: bits of those whose adjoint is not 0, and of those whose
 * tangent is wanted. Their adjoints and where they read are in the areas. */
typedef struct pairs {
    uint64_t adjoints, tangents;
} pairs;

/* Those of `windows` windows, a BLOCK at most, and `count` lanes. What is `next` features further,
 * the next filter's, is fetched ahead: too far for the processor to see. */
INLINE pairs list_block(const chunk *part, int64_t count, int64_t windows, const int32_t *corner,
                        const int32_t *winner, const gr_real *d_pooled, bool tangents,
                        const gr_real *kept, integers image, const window_steps *steps,
                        int64_t next, const areas *a) {
    const uint64_t there = ~(uint64_t)0 >> (64 - (count < L ? count : L));
    pairs found = {0, 0};
    for (int64_t w = 0; w < windows; w++, winner += part->samples) {
        __builtin_prefetch(winner + next * part->samples);
        store_indices(a->offset + w * L, L,
                      image + same_index(corner[w]) + distance(steps, winner, count));
        if (d_pooled) {
            const vector d = load(d_pooled + w * part->lanes);
            __builtin_prefetch(d_pooled + (w + next) * part->lanes);
            store(a->delta + w * L, d);
            found.adjoints |= (not_zero(d) & there) << (w * L);
        }
        if (!tangents) continue;
        const vector v = kept ? load(kept + w * part->samples) : broadcast(1);
        if (kept) __builtin_prefetch(kept + (w + next) * part->samples);
        found.tangents |= (bits_of(greater(v, (vector){0})) & there) << (w * L);
    }
    return found;
}

/* sum[K][V] += d · what is read from t on. */
INLINE void add_rows(const int K, const int V, gr_real delta, const gr_real *t, int64_t row,
                     vector sum[]) {
    const vector d = broadcast(delta);
    FOR_EACH (r, K)
        FOR_EACH (v, V) sum[r * V + v] += d * load(t + r * row + v * L);
}

/* sums[K][V] += Σ of adjoint times what is read over the pairs with a bit. Where the sums are few,
 * two pairs at once, so that a sum is not waited for. */
INLINE void add_block(const int K, const int V, uint64_t bits, const areas *a, gr_real *sums) {
    vector sum[MOST_TAPS * 2], other[MOST_TAPS * 2]; /* K·V at most */
    const gr_real *image = a->image, *delta = a->delta;
    const int32_t *offset = a->offset;
    const int64_t row = a->row;
    FOR_EACH (i, K * V) sum[i] = load(sums + i * L);
    if (V == 1) {
        FOR_EACH (i, K) other[i] = (vector){0};
        while (bits & (bits - 1)) {
            const int first = __builtin_ctzll(bits);
            bits &= bits - 1;
            const int second = __builtin_ctzll(bits);
            bits &= bits - 1;
            add_rows(K, V, delta[first], fixed(image + offset[first]), row, sum);
            add_rows(K, V, delta[second], fixed(image + offset[second]), row, other);
        }
        FOR_EACH (i, K) sum[i] += other[i];
    }
    for (; bits; bits &= bits - 1) {
        const int pair = __builtin_ctzll(bits);
        add_rows(K, V, delta[pair], fixed(image + offset[pair]), row, sum);
    }
    FOR_EACH (i, K * V) store(sums + i * L, sum[i]);
}

/* a->value[pair] = tap[K][V] · what is read, 0 where the pair has no bit; L pairs at once. */
INLINE void push_block(const int K, const int V, const gr_real *weights, uint64_t bits,
                       const areas *a) {
    vector tap[MOST_TAPS * 2]; /* K·V at most */
    const gr_real *image = a->image;
    const int64_t row = a->row;
    FOR_EACH (i, K * V) tap[i] = load(weights + i * L);
    for (int64_t i = 0; i < BLOCK; i += L) store(a->value + i, (vector){0});
    while (bits) {
        int pair[L];
        vector sum[L];
        FOR_EACH (i, L) { /* where there are no more, the last again */
            pair[i] = bits ? __builtin_ctzll(bits) : pair[i ? i - 1 : 0];
            bits &= bits - 1;
            const gr_real *t = fixed(image + a->offset[pair[i]]);
            sum[i] = (vector){0};
            FOR_EACH (r, K)
                FOR_EACH (v, V) sum[i] += tap[r * V + v] * load(t + r * row + v * L);
        }
        const vector value = sums_of(sum);
        FOR_EACH (i, L) a->value[pair[i]] = value[i];
    }
}

/* Of one filter, a block of windows and `count` lanes, a vector's at most: gradients where there
 * are adjoints, tangents where there is a place for them. */
INLINE void read_block(const int K, const int V, const chunk *part, int64_t count, int64_t windows,
                       const int32_t *corner, const gr_real *weights, const int32_t *winner,
                       const gr_real *kept, const gr_real *d_pooled, gr_real *pooled,
                       integers image, const window_steps *steps, int64_t next, const areas *a,
                       gr_real *sums) {
    const pairs found = list_block(part, count, windows, corner, winner, d_pooled, pooled, kept,
                                   image, steps, next, a);
    if (d_pooled) add_block(K, V, found.adjoints, a, sums);
    if (!pooled) return;
    push_block(K, V, weights, found.tangents, a);
    for (int64_t w = 0; w < windows; w++)
        store_lanes(pooled + w * part->lanes, count, load(a->value + w * L));
}

/* Block by block, whose pixels stay in the first cache for all filters. */
INLINE void read_rows(const int K, const int V, const gr_convolution_shape *c, int64_t probes,
                      int64_t samples, const int32_t *winner, const gr_real *kept,
                      const gr_real *d_pooled, const gr_real *t_in, gr_real *t_pooled,
                      const areas *a) {
    const int64_t windows = c->pooled_rows * c->pooled_columns, filter = K * V * L;
    const window_steps steps = steps_of(c->window, c->in_channels, a->row);
    FOR_EACH_CHUNK (part, LANES, probes, samples) {
        read_image(c, &part, t_in, a);
        for (int64_t j = 0; j < part.count; j += L) {
            const integers image = images_of(a, j);
            for (int64_t w = 0; w < windows; w += BLOCK / L)
                for (int64_t f = 0; f < c->out_channels; f++) {
                    const int64_t here = windows - w < BLOCK / L ? windows - w : BLOCK / L;
                    const int64_t at = f * windows + w;
                    const int64_t sample = at * samples + part.first_sample + j;
                    const int64_t lane = at * part.lanes + part.first + j;
                    read_block(K, V, &part, part.count - j, here, a->corner + w,
                               a->weights + f * filter, winner + sample,
                               kept ? kept + sample : NULL, d_pooled ? d_pooled + lane : NULL,
                               t_pooled ? t_pooled + lane : NULL, image, &steps, windows, a,
                               a->sums + f * filter);
                }
            for (int64_t i = 0; d_pooled && i < c->out_channels * filter; i += L) {
                store(a->totals + i, load(a->totals + i) + load(a->sums + i));
                store(a->sums + i, (vector){0});
            }
        }
    }
}

void KERNEL(pooled_accumulate_by_rows)(const gr_convolution_shape *c, const gr_real *weights,
                                       int64_t probes, int64_t samples, const int32_t *winner,
                                       const gr_real *kept, const gr_real *d_pooled,
                                       const gr_real *t_in, gr_real *t_pooled, gr_real *d_weights,
                                       gr_real *scratch) {
    const areas a = areas_of(c, scratch);
    const int64_t row = a.vectors * L, all = c->out_channels * c->kernel * row;
    if (t_pooled) {
        memset(a.weights, 0, (size_t)all * sizeof *a.weights);
        for (int64_t f = 0; f < c->out_channels; f++)
            for (int64_t y = 0; y < c->kernel; y++)
                arrange_row(c, weights, f, y, 0, a.weights + (f * c->kernel + y) * row);
    }
    memset(a.sums, 0, (size_t)(2 * all) * sizeof *a.sums); /* and the totals */
    memset(a.image, 0, (size_t)(LANES * a.image_stride) * sizeof *a.image);
    find_corners(c, c->in_channels, a.row, a.corner);
    const bool two = a.vectors == 2;
    if (c->kernel == 5 && two)
        read_rows(5, 2, c, probes, samples, winner, kept, d_pooled, t_in, t_pooled, &a);
    if (c->kernel == 5 && !two)
        read_rows(5, 1, c, probes, samples, winner, kept, d_pooled, t_in, t_pooled, &a);
    if (c->kernel == 3 && two)
        read_rows(3, 2, c, probes, samples, winner, kept, d_pooled, t_in, t_pooled, &a);
    if (c->kernel == 3 && !two)
        read_rows(3, 1, c, probes, samples, winner, kept, d_pooled, t_in, t_pooled, &a);
    if (!d_pooled) return;
    const int64_t area = c->kernel * c->kernel;
    const gr_real *totals = a.totals;
    for (int64_t f = 0; f < c->out_channels; f++)
        for (int64_t y = 0; y < c->kernel; y++, totals += row)
            for (int64_t x = 0; x < c->kernel; x++)
                for (int64_t k = 0; k < c->in_channels; k++)
                    d_weights[(f * c->in_channels + k) * area + y * c->kernel + x] +=
                        totals[x * c->in_channels + k];
}

void KERNEL(pooled_tangent_by_rows)(const gr_convolution_shape *c, const gr_real *weights,
                                    int64_t probes, int64_t samples, const int32_t *winner,
                                    const gr_real *kept, const gr_real *t_in, gr_real *t_pooled,
                                    gr_real *scratch) {
    KERNEL(pooled_accumulate_by_rows)
    (c, weights, probes, samples, winner, kept, NULL, t_in, t_pooled, NULL, scratch);
}

/* -- the adjoint of the input: of a window, all filters' winners go to one square of pixels
 * ------------------- */

/* image += Σ over the filters of adjoint times weight: R rows of V vectors of a window's square. */
INLINE void add_square(const int R, const int V, int64_t filters, const gr_real *delta,
                       const int32_t *offset, const gr_real *weights, int64_t row, gr_real *image) {
    vector sum[6][3]; /* R and V at most */
    FOR_EACH (r, R)
        FOR_EACH (v, V) sum[r][v] = load(image + r * row + v * L);
    for (int64_t f = 0; f < filters; f++) {
        const vector d = broadcast(delta[f]);
        const gr_real *w = fixed(weights + offset[f]);
        FOR_EACH (r, R)
            FOR_EACH (v, V) sum[r][v] += d * load(w + (r * V + v) * L);
    }
    FOR_EACH (r, R)
        FOR_EACH (v, V) store(image + r * row + v * L, sum[r][v]);
}

/* A pair of lanes by turns, since a square overlaps with the lane's last, whose sums are still on
 * their way to the cache. S: a square's pixels to a side, R rows of it at once. */
INLINE void add_squares(const int S, const int V, const gr_convolution_shape *c, const areas *a,
                        int64_t first, int64_t lanes) {
    const int R = VECTOR_BYTES == 64 || V == 1 ? S : S / 2; /* as there are registers */
    const int64_t windows = c->pooled_rows * c->pooled_columns, blocks = blocks_of(c);
    const window_lists *lists = &a->lists;
    for (int64_t f = 0; f < c->out_channels; f += FILTERS)
        for (int64_t y = 0; y < S; y += R) {
            const gr_real *weights = a->weights + f * a->filter + y * V * L;
            for (int64_t w = 0; w < windows; w++)
                for (int64_t j = first; j < first + 2 && j < lanes; j++) {
                    const int64_t list = j * windows + w, at = list * lists->filters + f;
                    gr_real *to = a->image + j * a->image_stride + a->corner[w] + y * a->row;
                    add_square(R, V, lists->found[list * blocks + f / FILTERS], lists->delta + at,
                               lists->offset + at, weights, a->row, to);
                }
        }
}

INLINE void add_squares_of(const int S, const gr_convolution_shape *c, const areas *a,
                           int64_t first, int64_t lanes) {
    if (a->square == 1) add_squares(S, 1, c, a, first, lanes);
    if (a->square == 2) add_squares(S, 2, c, a, first, lanes);
    if (a->square == 3) add_squares(S, 3, c, a, first, lanes);
}

void KERNEL(pooled_backward_by_rows)(const gr_convolution_shape *c, const gr_real *weights,
                                     int64_t probes, int64_t samples, const int32_t *winner,
                                     const gr_real *d_pooled, gr_real *d_in, gr_real *scratch) {
    const areas a = areas_of(c, scratch);
    memset(a.weights, 0, (size_t)(c->window * a.shift) * sizeof *a.weights);
    for (int64_t x = 0; x < c->window; x++)
        for (int64_t f = 0; f < c->out_channels; f++)
            for (int64_t y = 0; y < c->kernel; y++)
                arrange_row(c, weights, f, y, x * c->in_channels,
                            a.weights + x * a.shift + f * a.filter +
                                (c->window - 1 + y) * a.square * L);
    find_corners(c, c->in_channels, a.row, a.corner);
    const int64_t row = a.square * L, side = c->kernel + c->window - 1;
    const window_steps steps = steps_of(c->window, a.shift, -row);
    FOR_EACH_CHUNK (part, L, probes, samples) {
        list_windows(c, &part, winner, d_pooled, &steps, a.filter, (c->window - 1) * row, &a.lists);
        memset(a.image, 0, (size_t)(part.count * a.image_stride) * sizeof *a.image);
        for (int64_t j = 0; j < part.count; j += 2) {
            if (side == 4) add_squares_of(4, c, &a, j, part.count);
            if (side == 6) add_squares_of(6, c, &a, j, part.count);
        }
        write_image(c, &part, &a, d_in);
    }
}
