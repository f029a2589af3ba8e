// The yardstick: a FastCGI responder that does nothing, in cofferd's own thread model. Two or more threads, each with an
// epoll set of its own; libfcgi parses; the answer is framed here and leaves in one send. GET /echo/N answers N bytes;
// a body is read and dropped.
//
//   cc -O2 -pthread -o echo echo.c -lfcgi && ./echo SOCKET THREADS
#define _GNU_SOURCE
#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAXIMUM_BODY = 1 << 16, RECORD_LIMIT = 65528 };

static int listener;

static size_t put_header(uint8_t *at, int type, int id, size_t content, size_t padding) {
  const uint8_t header[8] = {1, type, id >> 8, id, content >> 8, content, padding, 0};
  memcpy(at, header, sizeof header);
  return sizeof header;
}

static size_t put_output(uint8_t *at, int id, const char *text, size_t length) {
  size_t written = 0;
  while (length > 0) {
    size_t count = length < RECORD_LIMIT ? length : RECORD_LIMIT;
    size_t padding = (8 - count % 8) % 8;
    written += put_header(at + written, 6, id, count, padding);
    memcpy(at + written, text, count);
    memset(at + written + count, 0, padding);
    written += count + padding;
    text += count;
    length -= count;
  }
  return written;
}

static void answer(FCGX_Request *request, char *body, uint8_t *frame) {
  const char *uri = FCGX_GetParam("REQUEST_URI", request->envp);
  const char *number = uri ? strrchr(uri, '/') : NULL;
  long size = number ? strtol(number + 1, NULL, 10) : 0;
  if (size < 0 || size > MAXIMUM_BODY) size = 0;
  char sink[16384];
  while (FCGX_GetStr(sink, sizeof sink, request->in) > 0) {}
  char head[256];
  int length = snprintf(head, sizeof head,
                        "Status: 200 OK\r\nContent-Type: application/json\r\nContent-Length: %ld\r\n"
                        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Request-Id: 0123456789abcdef\r\n\r\n",
                        size);
  size_t count = put_output(frame, request->requestId, head, length);
  count += put_output(frame + count, request->requestId, body, size);
  count += put_header(frame + count, 6, request->requestId, 0, 0);
  count += put_header(frame + count, 3, request->requestId, 8, 0);
  memset(frame + count, 0, 8);
  count += 8;
  for (size_t sent = 0; sent < count;) {
    ssize_t result = send(request->ipcFd, frame + sent, count - sent, MSG_NOSIGNAL);
    if (result < 0 && errno == EINTR) continue;
    if (result <= 0) break;
    sent += result;
  }
}

static void *serve(void *unused) {
  (void)unused;
  char *body = malloc(MAXIMUM_BODY);
  uint8_t *frame = malloc(MAXIMUM_BODY + 4096);
  memset(body, 'x', MAXIMUM_BODY);
  FCGX_Request request;
  FCGX_InitRequest(&request, -1, 0);
  int set = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listener};
  epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
  struct epoll_event events[128];
  for (;;) {
    int count = epoll_wait(set, events, 128, -1);
    for (int index = 0; index < count; index++) {
      int descriptor = events[index].data.fd;
      if (descriptor == listener) {
        int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (accepted < 0) continue;
        struct epoll_event added = {.events = EPOLLIN, .data.fd = accepted};
        epoll_ctl(set, EPOLL_CTL_ADD, accepted, &added);
        continue;
      }
      request.ipcFd = descriptor;
      request.keepConnection = 1;
      request.detached = 1;
      // A failure closes the descriptor, which takes it out of the set.
      if (FCGX_Accept_r(&request) != 0) continue;
      answer(&request, body, frame);
      FCGX_Free(&request, 0);
    }
  }
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 3) return 64;
  signal(SIGPIPE, SIG_IGN);
  setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1);
  FCGX_Init();
  signal(SIGTERM, SIG_DFL);  // libfcgi's own handler only sets a flag
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(arguments[1]) >= sizeof address.sun_path) return 64;
  strcpy(address.sun_path, arguments[1]);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) return 71;
  int threads = atoi(arguments[2]);
  pthread_t thread;
  for (int index = 1; index < threads; index++) pthread_create(&thread, NULL, serve, NULL);
  serve(NULL);
}
