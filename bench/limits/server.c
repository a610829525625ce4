#define _GNU_SOURCE
#include "server.h"

#include "accept_key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FDS 65536
#define MAX_ROOMS 65536
#define MAX_MESSAGE (128 * 1024)
#define MAX_BACKLOG (64 * 1024 * 1024)
#define EVENTS 1024
#define READ_SIZE (256 * 1024)

struct connection {
  struct room *room; // NULL before the upgrade
  int place;         // in the room's members
  uint32_t tail_len, out_len;
  uint8_t *tail; // half a frame
  uint8_t *out;  // what the socket did not take
};

static struct connection connections[MAX_FDS];
static struct room rooms[MAX_ROOMS];
static int epoll;
static uint8_t buffer[READ_SIZE + MAX_MESSAGE];
static void (*message_handler)(struct room *, const uint8_t *, size_t);

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(epoll, operation, fd, &event) < 0) die("epoll_ctl");
}

static void keep(uint8_t **slot, uint32_t *len, const uint8_t *bytes, size_t count) {
  *slot = realloc(*slot, *len + count);
  if (*slot == NULL) die("realloc");
  memcpy(*slot + *len, bytes, count);
  *len += (uint32_t)count;
}

void server_write(int fd, const uint8_t *bytes, size_t len) {
  struct connection *connection = &connections[fd];
  ssize_t sent = 0;
  if (connection->out_len == 0) {
    sent = send(fd, bytes, len, MSG_NOSIGNAL);
    if (sent == (ssize_t)len) return;
    if (sent < 0 && errno != EAGAIN) return; // reading finds the end
    if (sent < 0) sent = 0;
    watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  }
  // Who never reads is cut off at some point, so that it ends.
  if (connection->out_len + len > MAX_BACKLOG) {
    shutdown(fd, SHUT_RDWR);
    return;
  }
  keep(&connection->out, &connection->out_len, bytes + sent, len - (size_t)sent);
}

static void drain(int fd) {
  struct connection *connection = &connections[fd];
  ssize_t sent = send(fd, connection->out, connection->out_len, MSG_NOSIGNAL);
  if (sent < 0) return;
  connection->out_len -= (uint32_t)sent;
  memmove(connection->out, connection->out + sent, connection->out_len);
  if (connection->out_len > 0) return;
  free(connection->out);
  connection->out = NULL;
  watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}

static void join(int fd, struct room *room) {
  if (room->count == room->capacity) {
    room->capacity = room->capacity == 0 ? 8 : 2 * room->capacity;
    room->members = realloc(room->members, (size_t)room->capacity * sizeof *room->members);
    if (room->members == NULL) die("realloc");
  }
  connections[fd].room = room;
  connections[fd].place = room->count;
  room->members[room->count++] = fd;
}

static void leave(int fd) {
  struct connection *connection = &connections[fd];
  struct room *room = connection->room;
  if (room != NULL) {
    int last = room->members[--room->count];
    room->members[connection->place] = last;
    connections[last].place = connection->place;
  }
  free(connection->tail);
  free(connection->out);
  *connection = (struct connection){0};
  close(fd);
}

// "/" is room 0, "/rooms/rN" is room N + 1.
static size_t upgrade(int fd, const uint8_t *bytes, size_t len) {
  static const char KEY[] = "Sec-WebSocket-Key: ";
  const uint8_t *end = memmem(bytes, len, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  size_t head = (size_t)(end + 4 - bytes);
  const char *key = memmem(bytes, head, KEY, sizeof KEY - 1);
  if (key == NULL || memcmp(bytes, "GET /", 5) != 0) return SIZE_MAX;
  char answer[200], accept[29];
  accept_key(key + sizeof KEY - 1, accept);
  int n = snprintf(answer, sizeof answer,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n",
                   accept);
  unsigned long number = 0;
  if (memcmp(bytes, "GET /rooms/r", 12) == 0) number = 1 + strtoul((const char *)bytes + 12, NULL, 10);
  join(fd, &rooms[number % MAX_ROOMS]);
  server_write(fd, (const uint8_t *)answer, (size_t)n);
  return head;
}

// Takes one frame, unmasked in place and with a server's head in front of its payload. Returns its
// length, 0 if it is not whole, SIZE_MAX if the connection is over.
static size_t take_frame(int fd, uint8_t *bytes, size_t len) {
  if (len < 6) return 0;
  size_t head = 2, payload = bytes[1] & 0x7f;
  if (payload == 126) {
    head = 4;
    payload = (size_t)bytes[2] << 8 | bytes[3];
  } else if (payload == 127) {
    if (len < 14) return 0;
    head = 10;
    payload = 0;
    for (int i = 0; i < 8; i++) payload = payload << 8 | bytes[2 + i];
  }
  if (!(bytes[1] & 0x80) || payload > MAX_MESSAGE - 14) return SIZE_MAX;
  if (len < head + 4 + payload) return 0;
  uint32_t mask;
  memcpy(&mask, bytes + head, 4);
  uint64_t wide = mask | (uint64_t)mask << 32;
  uint8_t *data = bytes + head + 4;
  size_t i = 0;
  for (uint64_t word; i + 8 <= payload; i += 8) {
    memcpy(&word, data + i, 8);
    word ^= wide;
    memcpy(data + i, &word, 8);
  }
  for (; i < payload; i++) data[i] ^= bytes[head + (i & 3)];
  // The head moves over the key, and loses the mask bit.
  uint8_t *frame = bytes + 4;
  memmove(frame, bytes, head);
  frame[1] &= 0x7f;
  switch (frame[0]) {
  case 0x81:
  case 0x82: message_handler(connections[fd].room, frame, head + payload); break;
  case 0x89:
    frame[0] = 0x8a;
    server_write(fd, frame, head + payload);
    break;
  case 0x88: server_write(fd, frame, head + payload); return SIZE_MAX;
  case 0x8a: break;
  default: return SIZE_MAX; // fragments: no client of the benchmark sends them
  }
  return head + 4 + payload;
}

static void read_some(int fd) {
  struct connection *connection = &connections[fd];
  if (connection->tail_len > 0) memcpy(buffer, connection->tail, connection->tail_len);
  ssize_t got = recv(fd, buffer + connection->tail_len, READ_SIZE, 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) leave(fd);
    return;
  }
  size_t len = connection->tail_len + (size_t)got, used = 0;
  for (;;) {
    size_t n = connection->room == NULL ? upgrade(fd, buffer + used, len - used)
                                        : take_frame(fd, buffer + used, len - used);
    if (n == 0) break;
    if (n == SIZE_MAX) {
      leave(fd);
      return;
    }
    used += n;
  }
  connection->tail_len = 0;
  if (used < len) {
    keep(&connection->tail, &connection->tail_len, buffer + used, len - used);
  } else if (connection->tail != NULL) {
    free(connection->tail);
    connection->tail = NULL;
  }
}

static void accept_some(int listener) {
  for (int i = 0; i < 32; i++) {
    // TCP_NODELAY is the listener's.
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (fd >= MAX_FDS) {
      close(fd);
      return;
    }
    watch(fd, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof addr;
  if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 4096) < 0) die("listen");
  getsockname(fd, (struct sockaddr *)&addr, &len);
  printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
  fflush(stdout);
  return fd;
}

void server_run(int argc, char **argv, void (*on_message)(struct room *, const uint8_t *frame, size_t len),
                void (*on_turn_end)(void)) {
  static struct epoll_event events[EVENTS];
  int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0);
  message_handler = on_message;
  epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        accept_some(fd);
        continue;
      }
      if (events[i].events & EPOLLOUT && connections[fd].out_len > 0) drain(fd);
      if (events[i].events & ~(uint32_t)EPOLLOUT) read_some(fd);
    }
    on_turn_end();
  }
}
