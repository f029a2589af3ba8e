#pragma once

// What Swift cannot import from the C library: variadic functions, unions and feature-gated calls.
// No logic: each function is one call.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/// accept4 with SOCK_NONBLOCK | SOCK_CLOEXEC.
static inline int shim_accept(int listener) { return accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC); }
