/* What a process does to the files of one folder, in order, written down as it happens.
 *
 * Preloaded (LD_PRELOAD) into a process under test. CRASH_ROOT names the folder, CRASH_LOG the
 * record. Each entry is a header and its bytes: see `Header` here and `read_log` in disk.py.
 * Memory-mapped files are not seen: SQLite's -shm is one, and is made anew after any crash.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct __attribute__((packed)) Header {
    char op; /* c create, w write, t truncate, s sync, r rename, d delete, m make folder */
    uint16_t path, other; /* lengths of two names, without the root */
    uint64_t offset;
    uint32_t length;
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_length;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("CRASH_ROOT"), *log = getenv("CRASH_LOG");
    if (!folder || !log || !realpath(folder, root)) return;
    root_length = strlen(root);
    log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static const char *inside(const char *path, char *whole) {
    if (log_fd < 0 || !path) return NULL;
    if (path[0] != '/') {
        if (!getcwd(whole, PATH_MAX) || strlen(whole) + strlen(path) + 2 > PATH_MAX) return NULL;
        strcat(strcat(whole, "/"), path);
        path = whole;
    }
    if (strncmp(path, root, root_length) || path[root_length] != '/') return NULL;
    return path + root_length + 1;
}

static const char *name_of(int fd, char *whole) {
    char link[64];
    if (log_fd < 0 || fd == log_fd) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, whole, PATH_MAX - 1);
    if (length < 0) return NULL;
    whole[length] = 0;
    if (!strcmp(whole, root)) return "";
    return inside(whole, whole);
}

static void note(char op, const char *path, const char *other, uint64_t offset, const void *data,
                 size_t length) {
    struct Header header = {op, strlen(path), other ? strlen(other) : 0, offset, data ? length : 0};
    struct iovec parts[] = {{&header, sizeof header},
                            {(void *)path, header.path},
                            {(void *)other, header.other},
                            {(void *)data, header.length}};
    ssize_t size = sizeof header + header.path + header.other + header.length;
    if (writev(log_fd, parts, 4) != size) abort(); /* a record with a hole proves nothing */
}

static int open_noted(int folder, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    const char *name = folder == AT_FDCWD || path[0] == '/' ? inside(path, whole) : NULL;
    struct stat before;
    pthread_mutex_lock(&turn);
    int is_new = name && (flags & O_CREAT) && lstat(path, &before);
    int fd = REAL(openat)(folder, path, flags, mode), error = errno;
    if (fd >= 0 && is_new) note('c', name, NULL, 0, NULL, 0);
    if (fd >= 0 && name && !is_new && (flags & O_TRUNC)) note('t', name, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return fd;
}

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) { MODE return open_noted(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return open_noted(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE return open_noted(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE return open_noted(folder, path, flags, mode); }

ssize_t write(int fd, const void *data, size_t length) {
    char whole[PATH_MAX];
    const char *name = name_of(fd, whole);
    if (!name) return REAL(write)(fd, data, length);
    pthread_mutex_lock(&turn);
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    off_t offset = lseek(fd, 0, appends ? SEEK_END : SEEK_CUR);
    ssize_t done = REAL(write)(fd, data, length);
    int error = errno;
    if (done > 0) note('w', name, NULL, offset, data, done);
    pthread_mutex_unlock(&turn);
    errno = error;
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    char whole[PATH_MAX];
    const char *name = name_of(fd, whole);
    pthread_mutex_lock(&turn);
    ssize_t done = REAL(pwrite64)(fd, data, length, offset);
    int error = errno;
    if (name && done > 0) note('w', name, NULL, offset, data, done);
    pthread_mutex_unlock(&turn);
    errno = error;
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return pwrite64(fd, data, length, offset);
}

int ftruncate64(int fd, off64_t length) {
    char whole[PATH_MAX];
    const char *name = name_of(fd, whole);
    pthread_mutex_lock(&turn);
    int result = REAL(ftruncate64)(fd, length), error = errno;
    if (name && !result) note('t', name, NULL, length, NULL, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int synced(int fd, int (*how)(int)) {
    char whole[PATH_MAX];
    const char *name = name_of(fd, whole);
    pthread_mutex_lock(&turn);
    int result = how(fd), error = errno;
    if (name && !result) note('s', name, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

int rename(const char *from, const char *to) {
    char one[PATH_MAX], two[PATH_MAX];
    const char *old = inside(from, one), *fresh = inside(to, two);
    pthread_mutex_lock(&turn);
    int result = REAL(rename)(from, to), error = errno;
    if (!result && old && fresh) note('r', old, fresh, 0, NULL, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

int unlink(const char *path) {
    char whole[PATH_MAX];
    const char *name = inside(path, whole);
    pthread_mutex_lock(&turn);
    int result = REAL(unlink)(path), error = errno;
    if (!result && name) note('d', name, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

int mkdir(const char *path, mode_t mode) {
    char whole[PATH_MAX];
    const char *name = inside(path, whole);
    pthread_mutex_lock(&turn);
    int result = REAL(mkdir)(path, mode), error = errno;
    if (!result && name) note('m', name, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}
