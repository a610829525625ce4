// Requests for a page on connections that are kept: each connection has a fixed number in flight.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#define REQUEST_SIZE (sizeof(REQUEST) - 1)
#define READY 1024
// More than the answers to all that one connection has in flight.
#define SPACE (64 * 1024)

struct asker {
  int fd, in_flight;
  uint64_t asked; // when the requests in flight were sent
  size_t len;     // of what came of an answer that is not whole
  char bytes[SPACE];
};

// Returns the length of the answer that the bytes begin with, 0 if it is not whole, -1 if it is not as promised.
static long answer(const char *bytes, size_t len) {
  const char *end = memmem(bytes, len, "\r\n\r\n", 4);
  if (end == NULL) return len < SPACE ? 0 : -1;
  if (memcmp(bytes, "HTTP/1.1 200 ", 13) != 0) return -1;
  for (const char *line = bytes; line < end; line++) {
    line = memchr(line, '\n', (size_t)(end + 2 - line));
    if (line == NULL) return -1;
    if (strncasecmp(line + 1, "content-length: ", 16) != 0) continue;
    long whole = end + 4 - bytes + atol(line + 17);
    return whole > SPACE ? -1 : (size_t)whole <= len ? whole : 0;
  }
  return -1;
}

static void ask(struct report *report, struct asker *asker, int count) {
  static char all[REQUEST_SIZE * MOST_REQUESTS];
  if (all[0] == '\0')
    for (size_t i = 0; i < MOST_REQUESTS; i++) memcpy(all + i * REQUEST_SIZE, REQUEST, REQUEST_SIZE);
  size_t len = (size_t)count * REQUEST_SIZE;
  asker->asked = now_ns();
  asker->in_flight += count;
  // The server has answered everything before: the socket is empty, and takes it.
  if (send(asker->fd, all, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
    report_void(report, "sending: errno %d", errno);
}

// Takes whole answers, and counts them if it is time.
static void take(struct report *report, struct asker *asker, bool counts) {
  ssize_t got = recv(asker->fd, asker->bytes + asker->len, SPACE - asker->len, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    report->closed++;
    report_void(report, "a connection ended: errno %d", got < 0 ? errno : 0);
    return;
  }
  report->reads += counts;
  asker->len += (size_t)got;
  size_t used = 0;
  uint64_t took = now_ns() - asker->asked;
  for (long len; used < asker->len && (len = answer(asker->bytes + used, asker->len - used)) != 0;) {
    if (len < 0 || asker->in_flight-- == 0) {
      report_void(report, "no answer to a request: %.12s", asker->bytes + used);
      return;
    }
    used += (size_t)len;
    if (!counts) continue;
    report->deliveries++;
    report->frame_bytes += (uint64_t)len;
    histogram_add(&report->latency, took);
  }
  asker->len -= used;
  memmove(asker->bytes, asker->bytes + used, asker->len);
}

static bool start(const struct options *options, struct report *report, struct asker *asker, int epoll) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options->port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = asker};
  int on = 1;
  asker->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool is_open = asker->fd >= 0 && setsockopt(asker->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                 connect(asker->fd, (struct sockaddr *)&to, sizeof to) == 0 &&
                 epoll_ctl(epoll, EPOLL_CTL_ADD, asker->fd, &event) == 0;
  if (!is_open) report_void(report, "connecting: errno %d", errno);
  return is_open;
}

// Asks until `end`, and counts if it is time. It does not sleep: to wake it would be work of the server.
static void ask_until(const struct options *options, struct report *report, int epoll, uint64_t end, bool counts) {
  static struct epoll_event events[READY];
  while (now_ns() < end && report->void_because[0] == '\0') {
    int count = epoll_wait(epoll, events, READY, 0);
    for (int i = 0; i < count; i++) {
      struct asker *asker = events[i].data.ptr;
      take(report, asker, counts);
      if (asker->in_flight == 0) ask(report, asker, options->window);
    }
  }
}

void run_requests(const struct options *options, struct report *report) {
  struct asker *askers = calloc((size_t)options->subscribers, sizeof *askers);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (askers == NULL || epoll < 0 || options->window > MOST_REQUESTS) {
    report_void(report, "no memory, no epoll, or more than %d requests in flight", MOST_REQUESTS);
    return;
  }
  for (int i = 0; i < options->subscribers; i++) {
    if (!start(options, report, &askers[i], epoll)) return;
    ask(report, &askers[i], options->window);
  }
  // Until every connection is kept.
  ask_until(options, report, epoll, now_ns() + 200000000u, false);
  report->start = report->connected = report->begin = usage_of(options->pid);
  report->self_begin = usage_of(getpid());
  uint64_t time = now_ns();
  ask_until(options, report, epoll, time + (uint64_t)(options->seconds * 1e9), true);
  report->seconds = (double)(now_ns() - time) / 1e9;
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
  if (report->deliveries == 0) report_void(report, "nothing was answered");
}
