#define _GNU_SOURCE
#include "CShim.h"

#include <fcntl.h>
#include <malloc.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

int shim_is_listening(int descriptor) {
  int listens = 0;
  socklen_t size = sizeof listens;
  return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

int shim_wait_until(sem_t *semaphore, const struct timespec *deadline) { return sem_clockwait(semaphore, CLOCK_MONOTONIC, deadline); }

int shim_accept(int listener) { return accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC); }

uint32_t shim_filesystem_type(const char *path) {
  struct statfs facts;
  return statfs(path, &facts) == 0 ? (uint32_t)facts.f_type : 0;
}

void shim_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

int shim_forbid_dumps(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

void shim_limit_heaps(int count) { mallopt(M_ARENA_MAX, count); }

int shim_raise_limits(void) {
  struct rlimit none = {0, 0};
  struct rlimit files;
  if (setrlimit(RLIMIT_CORE, &none) != 0 || getrlimit(RLIMIT_NOFILE, &files) != 0) return -1;
  files.rlim_cur = files.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &files);
}

int shim_exchange(const char *left, const char *right) { return renameat2(AT_FDCWD, left, AT_FDCWD, right, RENAME_EXCHANGE); }

int shim_rename_new(const char *old_name, const char *new_name) {
  return renameat2(AT_FDCWD, old_name, AT_FDCWD, new_name, RENAME_NOREPLACE);
}

int shim_adopt_orphans(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int shim_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int shim_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  return epoll_ctl(epoll, operation, descriptor, &event);
}

uint64_t shim_epoll_data(const struct epoll_event *event) { return event->data.u64; }
uint32_t shim_epoll_events(const struct epoll_event *event) { return event->events; }

int64_t shim_peer_uid(int descriptor) {
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? (int64_t)credentials.uid : -1;
}

long shim_peek(int descriptor, void *buffer, unsigned long size) {
  return recv(descriptor, buffer, size, MSG_PEEK | MSG_DONTWAIT);
}

long shim_send(int descriptor, const void *bytes, unsigned long size) {
  return send(descriptor, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int shim_execute(const char *file, char *const arguments[], char *const environment[]) {
  return execvpe(file, arguments, environment);
}

short shim_spawn_session(void) { return POSIX_SPAWN_SETSID; }
