/* A disk that forgets, half of it: preloaded into a program (LD_PRELOAD), this library writes down
 * everything that the program does to files and folders below a folder, in order and with the
 * bytes, and when it asked for what to be synced. The other half, power_loss.py, works out from
 * that what a disk may hold after its power was lost at the moment when the program was killed.
 *
 *   POWER_LOSS_ROOT          the folder, an absolute path; nothing else is looked at
 *   POWER_LOSS_LOG           the file that is written to, outside of it
 *   POWER_LOSS_MICROSECONDS  how long each sync takes, so that a kill can come while it is under
 * way POWER_LOSS_SKIP          syncs that do nothing, to see tests fail: all, database, files,
 * folders
 *
 * A record is written before what it tells of is done, and taken back (FAILED) where that failed;
 * both under one lock, so a kill leaves at most the last record untrue. A sync is recorded after it
 * was done: it covers what had been recorded when it began. Real syncs are left out: the page cache
 * outlives the program.
 *
 * Not seen: stdio (its calls do not leave libc) and writes to mapped memory. The reader notices: it
 * compares the folder with what the records make of it. SQLite maps its -shm file, which is rebuilt
 * after a crash and left out here. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096, PATH_SIZE = 4096 };

typedef enum operation {
    OPEN = 'O',     /* path; offset: 1 it is made where it is missing, 2 and emptied; handle */
    WRITE = 'W',    /* handle, offset, bytes */
    TRUNCATE = 'T', /* handle, offset: the new size */
    SYNC = 'S',     /* handle, offset: the number of records when it began */
    RENAME = 'R',   /* path, bytes: the new path */
    UNLINK = 'U',   /* path */
    MKDIR = 'D',    /* path */
    RMDIR = 'X',    /* path */
    FAILED = 'F'    /* the record before did not come true */
} operation;

typedef struct header { /* as power_loss.py reads it: <IIQII */
    uint32_t operation, handle;
    uint64_t offset;
    uint32_t path_length, byte_count; /* which follow it */
} header;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char root[PATH_SIZE];
static size_t root_length; /* 0: not told to look at anything */
static int log_file = -1;
static useconds_t sync_time;
static const char *skipped = "";
static uint64_t records;
static uint32_t handles;
static struct {
    uint32_t handle; /* 0: not looked at */
    bool folder, database;
} open_files[DESCRIPTORS];

static void begin(void) {
    const char *folder = getenv("POWER_LOSS_ROOT"), *log = getenv("POWER_LOSS_LOG");
    const char *time = getenv("POWER_LOSS_MICROSECONDS"), *skip = getenv("POWER_LOSS_SKIP");
    if (!folder || !log) return;
    int file =
        (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* Out of the way of the program's own numbers. */
    log_file = file < 0 ? -1 : fcntl(file, F_DUPFD_CLOEXEC, 900);
    if (log_file < 0 || strlen(folder) >= sizeof root) {
        fprintf(stderr, "power_loss: %s: %s\n", log, strerror(errno));
        abort();
    }
    syscall(SYS_close, file);
    if (time) sync_time = (useconds_t)atoi(time);
    if (skip) skipped = skip;
    strcpy(root, folder);
    root_length = strlen(root);
}

/* The function that this library's own stands before. */
#define REAL(name, type, ...)         \
    static type (*real)(__VA_ARGS__); \
    pthread_once(&once, begin);       \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, name)

static void record(operation what, uint32_t handle, uint64_t offset, const char *path,
                   const void *bytes, size_t count) {
    header head = {(uint32_t)what, handle, offset, path ? (uint32_t)strlen(path) : 0,
                   (uint32_t)count};
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)path, head.path_length}, {(void *)bytes, count}};
    size_t whole = sizeof head + head.path_length + count;
    int kept = errno;
    if (syscall(SYS_writev, log_file, parts, 3) != (long)whole) {
        static const char text[] = "power_loss: the log cannot be written\n";
        syscall(SYS_write, STDERR_FILENO, text, sizeof text - 1);
        abort();
    }
    errno = kept;
    records++;
}

/* The path below the root that `name` in the open folder `at` stands for, in `path`; false: it is
 * not for us. */
static bool is_ours(int at, const char *name, char path[PATH_SIZE]) {
    if (!root_length || !name) return false;
    int length;
    if (name[0] != '/' && at != AT_FDCWD) {
        char link[64], folder[PATH_SIZE];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t got = readlink(link, folder, sizeof folder - 1);
        if (got < 0) return false;
        folder[got] = 0;
        length = snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    } else {
        length = snprintf(path, PATH_SIZE, "%s", name);
    }
    if (length >= PATH_SIZE || strncmp(path, root, root_length) != 0 || path[root_length] != '/')
        return false;
    return length < 4 || strcmp(path + length - 4, "-shm") != 0;
}

static bool is_tracked(int file) {
    return file >= 0 && file < DESCRIPTORS && open_files[file].handle != 0;
}

/* -- opening, closing
 * --------------------------------------------------------------------------------------------- */

static void remember(int file, uint32_t handle, bool folder, const char *path) {
    if (file < 0 || file >= DESCRIPTORS) return;
    open_files[file].handle = handle;
    open_files[file].folder = folder;
    open_files[file].database = path && strstr(path, ".db") != NULL;
}

static int open_at(int at, const char *name, int flags, mode_t mode) {
    REAL("openat", int, int, const char *, int, ...);
    char path[PATH_SIZE];
    if (!is_ours(at, name, path)) {
        int file = real(at, name, flags, mode);
        pthread_mutex_lock(&lock);
        remember(file, 0, false, NULL);
        pthread_mutex_unlock(&lock);
        return file;
    }
    pthread_mutex_lock(&lock);
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    const uint32_t handle = ++handles;
    const uint64_t changes = (flags & O_CREAT ? 1 : 0) | (flags & O_TRUNC ? 2 : 0);
    if (writes) record(OPEN, handle, changes, path, NULL, 0);
    int file = real(at, name, flags, mode);
    struct stat about;
    const bool folder = file >= 0 && fstat(file, &about) == 0 && S_ISDIR(about.st_mode);
    if (writes && file < 0) record(FAILED, 0, 0, NULL, NULL, 0);
    if (!writes && folder) record(OPEN, handle, 0, path, NULL, 0);
    if (file >= DESCRIPTORS) abort();
    remember(file, writes || folder ? handle : 0, folder, path);
    pthread_mutex_unlock(&lock);
    return file;
}

#define MODE_ARGUMENT(flags)                        \
    mode_t mode = 0;                                \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {        \
        va_list arguments;                          \
        va_start(arguments, flags);                 \
        mode = (mode_t)va_arg(arguments, unsigned); \
        va_end(arguments);                          \
    }

int open(const char *name, int flags, ...) {
    MODE_ARGUMENT(flags)
    return open_at(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) {
    MODE_ARGUMENT(flags)
    return open_at(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}
int openat(int at, const char *name, int flags, ...) {
    MODE_ARGUMENT(flags)
    return open_at(at, name, flags, mode);
}
int openat64(int at, const char *name, int flags, ...) {
    MODE_ARGUMENT(flags)
    return open_at(at, name, flags | O_LARGEFILE, mode);
}

int close(int file) {
    REAL("close", int, int);
    pthread_mutex_lock(&lock);
    remember(file, 0, false, NULL);
    int result = real(file);
    pthread_mutex_unlock(&lock);
    return result;
}

/* -- content
 * ----------------------------------------------------------------------------------------------------
 */

static ssize_t write_at(int file, const void *bytes, size_t count, off64_t offset, bool moves) {
    REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
    record(WRITE, open_files[file].handle, (uint64_t)offset, NULL, bytes, count);
    ssize_t done = real(file, bytes, count, offset);
    if (done != (ssize_t)count) {
        record(FAILED, 0, 0, NULL, NULL, 0);
        if (done > 0)
            record(WRITE, open_files[file].handle, (uint64_t)offset, NULL, bytes, (size_t)done);
    }
    if (moves && done > 0) lseek64(file, offset + done, SEEK_SET);
    return done;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
    pthread_mutex_lock(&lock);
    ssize_t done = is_tracked(file) ? write_at(file, bytes, count, offset, false) : -2;
    pthread_mutex_unlock(&lock);
    return done != -2 ? done : real(file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    return pwrite64(file, bytes, count, offset);
}

ssize_t write(int file, const void *bytes, size_t count) {
    REAL("write", ssize_t, int, const void *, size_t);
    pthread_mutex_lock(&lock);
    ssize_t done = -2;
    if (is_tracked(file)) {
        const bool appends = fcntl(file, F_GETFL) & O_APPEND;
        done = write_at(file, bytes, count, lseek64(file, 0, appends ? SEEK_END : SEEK_CUR), true);
    }
    pthread_mutex_unlock(&lock);
    return done != -2 ? done : real(file, bytes, count);
}

int ftruncate64(int file, off64_t size) {
    REAL("ftruncate64", int, int, off64_t);
    pthread_mutex_lock(&lock);
    const bool tracked = is_tracked(file);
    if (tracked) record(TRUNCATE, open_files[file].handle, (uint64_t)size, NULL, NULL, 0);
    int result = real(file, size);
    if (tracked && result != 0) record(FAILED, 0, 0, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int file, off_t size) {
    return ftruncate64(file, size);
}

static bool is_skipped(int file) {
    return strcmp(skipped, "all") == 0 ||
           strcmp(skipped, open_files[file].folder     ? "folders"
                           : open_files[file].database ? "database"
                                                       : "files") == 0;
}

static int sync_tracked(int file) {
    pthread_mutex_lock(&lock);
    const uint32_t handle = open_files[file].handle;
    const uint64_t begun = records;
    const bool skip = is_skipped(file);
    pthread_mutex_unlock(&lock);
    if (sync_time) usleep(sync_time);
    if (skip) return 0;
    pthread_mutex_lock(&lock);
    record(SYNC, handle, begun, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int file) {
    REAL("fsync", int, int);
    return is_tracked(file) ? sync_tracked(file) : real(file);
}

int fdatasync(int file) {
    REAL("fdatasync", int, int);
    return is_tracked(file) ? sync_tracked(file) : real(file);
}

/* -- names
 * ------------------------------------------------------------------------------------------------------
 */

/* Does `call`, recorded under the lock where `path` is ours. */
#define NAMED(ours, what, path, bytes, count, call)                   \
    pthread_mutex_lock(&lock);                                        \
    const bool recorded = ours;                                       \
    if (recorded) record(what, 0, 0, path, bytes, count);             \
    int result = call;                                                \
    if (recorded && result != 0) record(FAILED, 0, 0, NULL, NULL, 0); \
    pthread_mutex_unlock(&lock);                                      \
    return result

static int rename_at(int from_at, const char *from, int to_at, const char *to) {
    REAL("renameat", int, int, const char *, int, const char *);
    char old[PATH_SIZE], new[PATH_SIZE];
    /* Into or out of the folder: not done by what is tested; the comparison would show it. */
    NAMED(is_ours(from_at, from, old) && is_ours(to_at, to, new), RENAME, old, new, strlen(new),
          real(from_at, from, to_at, to));
}

int rename(const char *from, const char *to) {
    return rename_at(AT_FDCWD, from, AT_FDCWD, to);
}
int renameat(int from_at, const char *from, int to_at, const char *to) {
    return rename_at(from_at, from, to_at, to);
}

int unlinkat(int at, const char *name, int flags) {
    REAL("unlinkat", int, int, const char *, int);
    char path[PATH_SIZE];
    NAMED(is_ours(at, name, path), flags & AT_REMOVEDIR ? RMDIR : UNLINK, path, NULL, 0,
          real(at, name, flags));
}

int unlink(const char *name) {
    return unlinkat(AT_FDCWD, name, 0);
}
int rmdir(const char *name) {
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int mkdirat(int at, const char *name, mode_t mode) {
    REAL("mkdirat", int, int, const char *, mode_t);
    char path[PATH_SIZE];
    NAMED(is_ours(at, name, path), MKDIR, path, NULL, 0, real(at, name, mode));
}

int mkdir(const char *name, mode_t mode) {
    return mkdirat(AT_FDCWD, name, mode);
}
