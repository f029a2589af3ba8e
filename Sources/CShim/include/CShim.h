#pragma once

// What Swift cannot import from the C library: variadic functions, unions and calls that need _GNU_SOURCE.
// No logic: each function is one call.

#include <semaphore.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/// 1 when the descriptor is a listening socket (SO_ACCEPTCONN), else 0.
int shim_is_listening(int descriptor);

/// accept4 with SOCK_NONBLOCK | SOCK_CLOEXEC.
int shim_accept(int listener);

/// The file system's magic number (statfs(2)), or 0.
uint32_t shim_filesystem_type(const char *path);

/// The calling thread's name, at most 15 bytes.
void shim_name_thread(const char *name);

/// sem_clockwait with CLOCK_MONOTONIC: until a time that no setting of the clock moves. 0 when it was posted, otherwise errno tells.
int shim_wait_until(sem_t *semaphore, const struct timespec *deadline);

/// No core file, no ptrace by others, /proc/self owned by root. 0 when done.
int shim_forbid_dumps(void);

/// Threads share that many heaps at most (mallopt(3), M_ARENA_MAX).
void shim_limit_heaps(int count);

/// No core files; as many descriptors as the hard limit lets. 0 when done.
int shim_raise_limits(void);

/// Exchanges two names in one step (renameat2 with RENAME_EXCHANGE). 0 when done, otherwise errno tells.
int shim_exchange(const char *left, const char *right);

/// Renames, but never over a file that is there (renameat2 with RENAME_NOREPLACE). 0 when done, otherwise errno tells.
int shim_rename_new(const char *old_name, const char *new_name);

/// Orphans below this process become its children. 0 when done.
int shim_adopt_orphans(void);

/// pipe2 with O_CLOEXEC.
int shim_pipe(int ends[2]);

/// epoll_event holds a union, which Swift sees as opaque bytes.
int shim_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data);
uint64_t shim_epoll_data(const struct epoll_event *event);
uint32_t shim_epoll_events(const struct epoll_event *event);

/// The uid of the process at the other end of a unix socket (SO_PEERCRED), or -1.
int64_t shim_peer_uid(int descriptor);

/// The number of bytes that wait, as recv with MSG_PEEK | MSG_DONTWAIT tells; they stay.
long shim_peek(int descriptor, void *buffer, unsigned long size);

/// send with MSG_NOSIGNAL | MSG_DONTWAIT.
long shim_send(int descriptor, const void *bytes, unsigned long size);

/// execvpe: another program, looked for in PATH, in the place of this one. Returns only when that fails.
int shim_execute(const char *file, char *const arguments[], char *const environment[]);

/// posix_spawn's flag that gives the child a session of its own (POSIX_SPAWN_SETSID).
short shim_spawn_session(void);
