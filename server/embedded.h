/* Files that the binary carries (cmake/Embed.cmake). Each is followed by a NUL that is not part of
 * it. */
#ifndef SERVER_EMBEDDED_H
#define SERVER_EMBEDDED_H

struct embedded_file {
    const char *path; /* relative to its folder; NULL ends the list */
    const unsigned char *begin, *end;
};

extern const struct embedded_file embedded_migrations[]; /* migrations/, by name */
extern const struct embedded_file embedded_openapi[];    /* server/openapi.json alone */
extern const struct embedded_file embedded_studies[];    /* examples/paper/, studies/ in it */
extern const struct embedded_file embedded_web[];        /* web/ and its copied library */

#endif
