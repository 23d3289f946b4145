/* The one status type: every function that can fail returns a gr_status and describes the failure
 * in the gr_error that its caller passes. */
#ifndef GRADREG_STATUS_H
#define GRADREG_STATUS_H

#include <stdarg.h>

typedef enum gr_status {
    GR_OK = 0,
    GR_INVALID,   /* what the caller asked for cannot be: the message names the place and the remedy
                   */
    GR_NOT_FOUND, /* a file, data set or record is not there */
    GR_CONFLICT,  /* the state of the thing does not allow it */
    GR_TOO_LARGE, /* over a stated limit */
    GR_TOO_MANY,  /* over a limit of how many at once: later it may be possible */
    GR_CORRUPT,   /* a file or record is not what it claims to be */
    GR_IO,        /* the operating system refused; the message holds its reason */
    GR_NO_SPACE,  /* the disk is full: nothing was stored, and later it may be possible */
    GR_OUT_OF_MEMORY, /* an allocation failed */
    GR_DIVERGED,      /* training met a NaN or an infinite loss: an outcome, not a malfunction */
    GR_INTERNAL       /* a defect of this program */
} gr_status;

enum { GR_MESSAGE_SIZE = 512, GR_PLACE_SIZE = 256 };

/* What went wrong, for a person. `place` is a JSON Pointer relative to the thing that was passed
 * ("/layers/3/kernel"), or empty where there is no such place. Owned by the caller, fixed size:
 * filling it allocates nothing. */
typedef struct gr_error {
    gr_status status;
    char place[GR_PLACE_SIZE];
    char message[GR_MESSAGE_SIZE];
} gr_error;

/* Fills `error` (which may be NULL) and returns `status`: `return gr_fail(error, GR_INVALID, "…",
 * …);` */
gr_status gr_fail(gr_error *error, gr_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As gr_fail, with the place of the failure. */
gr_status gr_fail_at(gr_error *error, gr_status status, const char *place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts `prefix` (formatted) in front of error->place: a caller adds the part of the path it knows.
 */
void gr_error_prefix_place(gr_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "invalid", "not found", …: for logs and exit messages. */
const char *gr_status_name(gr_status status);

/* Forwards a failure to the caller. */
#define GR_TRY(expression)                                \
    do {                                                  \
        gr_status gr_try_status = (expression);           \
        if (gr_try_status != GR_OK) return gr_try_status; \
    } while (0)

/* Jumps to the single cleanup label of a function that has a `gr_status status`. */
#define GR_TRY_OR(label, expression)     \
    do {                                 \
        status = (expression);           \
        if (status != GR_OK) goto label; \
    } while (0)

#endif
