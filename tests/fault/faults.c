#include "tests/fault/faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <sqlite3.h>

#include "server/json.h"

static atomic_int armed; /* the kind that fails; 0: none */
static atomic_long calls, failures;
static long first_failure;
static bool all_after;
static const char *_Atomic function;
static atomic_bool *_Atomic stopped;

static bool fails(fault_kind kind, const char *name) {
    if (atomic_load(&armed) != (int)kind) return false;
    const long number = atomic_fetch_add(&calls, 1) + 1;
    if (number != first_failure && !(all_after && number > first_failure)) return false;
    if (atomic_fetch_add(&failures, 1) == 0) atomic_store(&function, name);
    atomic_bool *stop = atomic_load(&stopped);
    if (stop) atomic_store(stop, true);
    return true;
}

void faults_arm(fault_kind kind, long number, bool all) {
    atomic_store(&calls, 0);
    atomic_store(&failures, 0);
    atomic_store(&function, "nothing");
    first_failure = number;
    all_after = all;
    atomic_store(&armed, (int)kind);
}

void faults_stop(atomic_bool *stop) {
    atomic_store(&stopped, stop);
}

long faults_disarm(void) {
    atomic_store(&armed, 0);
    atomic_store(&stopped, NULL);
    return atomic_load(&failures);
}

bool faults_happened(void) {
    return atomic_load(&failures) > 0;
}

const char *faults_function(void) {
    return atomic_load(&function);
}

/* -- allocations: ours
 * ------------------------------------------------------------------------------------------ */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
FILE *__real_open_memstream(char **text, size_t *size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
FILE *__wrap_open_memstream(char **text, size_t *size);

void *__wrap_malloc(size_t size) {
    return fails(FAULT_MEMORY, "malloc") ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails(FAULT_MEMORY, "calloc") ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size) {
    return fails(FAULT_MEMORY, "realloc") ? NULL : __real_realloc(old, size);
}
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size) {
    return fails(FAULT_MEMORY, "posix_memalign") ? ENOMEM
                                                 : __real_posix_memalign(memory, alignment, size);
}

char *__wrap_strdup(const char *text) {
    return fails(FAULT_MEMORY, "strdup") ? NULL : __real_strdup(text);
}
char *__wrap_strndup(const char *text, size_t size) {
    return fails(FAULT_MEMORY, "strndup") ? NULL : __real_strndup(text, size);
}
int __wrap_asprintf(char **text, const char *format, ...) {
    if (fails(FAULT_MEMORY, "asprintf")) {
        *text = (char *)1; /* undefined after a failure: whoever frees it must crash */
        return -1;
    }
    va_list arguments;
    va_start(arguments, format);
    const int length = vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}
FILE *__wrap_open_memstream(char **text, size_t *size) {
    return fails(FAULT_MEMORY, "open_memstream") ? NULL : __real_open_memstream(text, size);
}

/* -- allocations: SQLite's and cJSON's
 * ----------------------------------------------------------------------- */
static sqlite3_mem_methods sqlite_own;

static void *sqlite_malloc(int size) {
    return fails(FAULT_MEMORY, "sqlite malloc") ? NULL : sqlite_own.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size) {
    return fails(FAULT_MEMORY, "sqlite realloc") ? NULL : sqlite_own.xRealloc(old, size);
}

void faults_install(void) {
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_own);
    sqlite3_mem_methods methods = sqlite_own;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
    json_watch_memory(); /* its allocations come from our objects then */
}

/* -- files
 * -------------------------------------------------------------------------------------------------------
 */
/* The next definition of the function that we stand in front of. */
#define NEXT(type, name)                          \
    static type *_Atomic next;                    \
    type *call = atomic_load(&next);              \
    if (!call) {                                  \
        *(void **)&call = dlsym(RTLD_NEXT, name); \
        atomic_store(&next, call);                \
    }

#define FAIL(name, code)            \
    if (fails(FAULT_FILES, name)) { \
        errno = code;               \
        return -1;                  \
    }

typedef int open_function(const char *, int, ...);

static int opens(open_function *call, const char *path, int flags, mode_t mode) {
    FAIL("open", EMFILE)
    return call(path, flags, mode);
}

#define MODE                              \
    mode_t mode = 0;                      \
    if (flags & (O_CREAT | O_TMPFILE)) {  \
        va_list arguments;                \
        va_start(arguments, flags);       \
        mode = va_arg(arguments, mode_t); \
        va_end(arguments);                \
    }

int open(const char *path, int flags, ...) {
    NEXT(open_function, "open")
    MODE return opens(call, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    NEXT(open_function, "open64")
    MODE return opens(call, path, flags, mode);
}

ssize_t write(int file, const void *bytes, size_t count) {
    typedef ssize_t function_type(int, const void *, size_t);
    NEXT(function_type, "write")
    FAIL("write", ENOSPC)
    return call(file, bytes, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t where) {
    typedef ssize_t function_type(int, const void *, size_t, off_t);
    NEXT(function_type, "pwrite64")
    FAIL("pwrite", ENOSPC)
    return call(file, bytes, count, where);
}

ssize_t read(int file, void *bytes, size_t count) {
    typedef ssize_t function_type(int, void *, size_t);
    NEXT(function_type, "read")
    FAIL("read", EIO)
    return call(file, bytes, count);
}

ssize_t pread64(int file, void *bytes, size_t count, off_t where) {
    typedef ssize_t function_type(int, void *, size_t, off_t);
    NEXT(function_type, "pread64")
    FAIL("pread", EIO)
    return call(file, bytes, count, where);
}

int fsync(int file) {
    typedef int function_type(int);
    NEXT(function_type, "fsync")
    FAIL("fsync", EIO)
    return call(file);
}

int fdatasync(int file) {
    typedef int function_type(int);
    NEXT(function_type, "fdatasync")
    FAIL("fdatasync", EIO)
    return call(file);
}

int ftruncate64(int file, off_t length) {
    typedef int function_type(int, off_t);
    NEXT(function_type, "ftruncate64")
    FAIL("ftruncate", ENOSPC)
    return call(file, length);
}

int rename(const char *from, const char *to) {
    typedef int function_type(const char *, const char *);
    NEXT(function_type, "rename")
    FAIL("rename", EIO)
    return call(from, to);
}

int mkdir(const char *path, mode_t mode) {
    typedef int function_type(const char *, mode_t);
    NEXT(function_type, "mkdir")
    FAIL("mkdir", ENOSPC)
    return call(path, mode);
}

DIR *opendir(const char *path) {
    typedef DIR *function_type(const char *);
    NEXT(function_type, "opendir")
    if (fails(FAULT_FILES, "opendir")) {
        errno = EMFILE;
        return NULL;
    }
    return call(path);
}
