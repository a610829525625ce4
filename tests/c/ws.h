/* A WebSocket client over a plain blocking socket: enough to talk to a server, byte by byte. */
#ifndef WS_H
#define WS_H

#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_GONE = -1 };

typedef struct ws {
  int fd;
  uint8_t data[70000];
  size_t len;
} ws;

static inline int ws_try_read(ws *ws, void *into, size_t len) {
  for (uint8_t *at = into; len > 0;) {
    ssize_t got = recv(ws->fd, at, len, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    at += got;
    len -= (size_t)got;
  }
  return 1;
}

static inline void ws_write(ws *ws, const void *from, size_t len) {
  for (const uint8_t *at = from; len > 0;) {
    ssize_t put = send(ws->fd, at, len, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    CHECK(put > 0);
    at += put;
    len -= (size_t)put;
  }
}

/* A socket connected to a listener of the server. */
static inline int ws_socket(const chat_server *server, size_t listener) {
  char addr[CHAT_ADDR_SIZE];
  CHECK_OK(chat_server_local_addr(server, listener, addr, sizeof addr, NULL));
  char *colon = strrchr(addr, ':');
  CHECK(colon);
  *colon = 0;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
  CHECK(inet_pton(AF_INET, addr, &to.sin_addr) == 1);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
    /* A signal came; the connection comes all the same. */
    struct pollfd connected = {.fd = fd, .events = POLLOUT};
    int error = errno, wrong;
    socklen_t len = sizeof wrong;
    CHECK(error == EINTR);
    while (poll(&connected, 1, -1) < 0) CHECK(errno == EINTR);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &wrong, &len) == 0 && wrong == 0);
  }
  return fd;
}

/* Connects to a path, with further header lines that each end with CRLF. */
static inline void ws_connect(ws *ws, const chat_server *server, const char *path,
                              const char *headers) {
  ws->fd = ws_socket(server, 0);
  char head[2048];
  int len = snprintf(head, sizeof head,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                     path, headers);
  CHECK(len > 0 && (size_t)len < sizeof head);
  ws_write(ws, head, (size_t)len);
  size_t got = 0;
  do {
    CHECK(got < sizeof head - 1 && ws_try_read(ws, head + got, 1));
    head[++got] = 0;
  } while (got < 4 || strcmp(head + got - 4, "\r\n\r\n") != 0);
  CHECK(strncmp(head, "HTTP/1.1 101", 12) == 0);
  CHECK(strstr(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

/* Sends one masked frame (RFC 6455, 5.3). */
static inline void ws_send(ws *ws, int opcode, const void *data, size_t len) {
  uint8_t frame[8 + 70000];
  const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
  size_t at = 0;
  CHECK(len < 65536);
  frame[at++] = (uint8_t)(0x80 | opcode);
  if (len < 126) {
    frame[at++] = (uint8_t)(0x80 | len);
  } else {
    frame[at++] = 0x80 | 126;
    frame[at++] = (uint8_t)(len >> 8);
    frame[at++] = (uint8_t)len;
  }
  for (int i = 0; i < 4; i++) frame[at++] = mask[i];
  for (size_t i = 0; i < len; i++) frame[at++] = ((const uint8_t *)data)[i] ^ mask[i % 4];
  ws_write(ws, frame, at);
}

static inline void ws_say(ws *ws, const char *text) { ws_send(ws, WS_TEXT, text, strlen(text)); }

/* Reads one frame into `data`, and answers pings on the way; WS_GONE at the end of the stream. */
static inline int ws_recv(ws *ws) {
  for (;;) {
    uint8_t head[2], longer[8];
    if (!ws_try_read(ws, head, 2)) return WS_GONE;
    CHECK((head[1] & 0x80) == 0);
    ws->len = head[1];
    size_t more = head[1] == 126 ? 2 : head[1] == 127 ? 8 : 0;
    if (!ws_try_read(ws, longer, more)) return WS_GONE;
    if (more > 0) ws->len = 0;
    for (size_t i = 0; i < more; i++) ws->len = ws->len << 8 | longer[i];
    CHECK(ws->len < sizeof ws->data);
    if (!ws_try_read(ws, ws->data, ws->len)) return WS_GONE;
    ws->data[ws->len] = 0;
    int opcode = head[0] & 0x0f;
    if (opcode != WS_PING) return opcode;
    ws_send(ws, WS_PONG, ws->data, ws->len);
  }
}

static inline void ws_expect(ws *ws, int opcode, const char *data) {
  int got = ws_recv(ws);
  if (got != opcode || !text_is(ws->data, ws->len, data)) {
    fprintf(stderr, "opcode %d, \"%s\" instead of %d, \"%s\"\n", got, (char *)ws->data, opcode, data);
    _exit(1);
  }
}

/* Reads up to the server's close frame, answers it, and reads up to the end. Returns the code; the
 * reason is in `data`, from its third byte. */
static inline uint16_t ws_await_close(ws *ws) {
  int opcode = ws_recv(ws);
  while (opcode != WS_CLOSE) {
    CHECK(opcode != WS_GONE);
    opcode = ws_recv(ws);
  }
  CHECK(ws->len >= 2);
  uint16_t code = (uint16_t)(ws->data[0] << 8 | ws->data[1]);
  ws_send(ws, WS_CLOSE, ws->data, 2);
  char end;
  CHECK(!ws_try_read(ws, &end, 1));
  close(ws->fd);
  return code;
}

/* Leaves with a close frame, and waits for the server's. */
static inline void ws_leave(ws *ws, uint16_t code) {
  uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
  ws_send(ws, WS_CLOSE, payload, 2);
  int opcode = ws_recv(ws);
  while (opcode != WS_CLOSE && opcode != WS_GONE) opcode = ws_recv(ws);
  CHECK(opcode == WS_CLOSE);
  close(ws->fd);
}

#endif
