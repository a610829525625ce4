// Connections: starting them, reading what comes, writing what they send.
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// Handshakes under way at once: enough to keep a server busy, few enough for any bound and backlog.
#define UPGRADES 128
#define READY 1024
// How many clients are read between two pauses.
#define BETWEEN 8
// More than a server writes at once, so that one read takes all that is there.
#define READ_SIZE (512 * 1024)

static uint8_t buffer[READ_SIZE + 1024 * 1024];

bool is_void(const struct clients *clients) { return clients->report->void_because[0] != '\0'; }

// The form of a client, among clients of these forms.
static enum form form_of(enum form all, int number) {
  if (all == MIXED) return number % 2 == 1 ? JSON : PLAIN;
  if (all == FORMS) return (enum form)(number % 3);
  return all;
}

bool clients_init(struct clients *clients, int count) {
  clients->count = count;
  clients->all = calloc((size_t)count, sizeof *clients->all);
  clients->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (clients->all == NULL || clients->epoll < 0) {
    report_void(clients->report, "no memory, or no epoll");
    return false;
  }
  for (int i = 0; i < count; i++) {
    clients->all[i].fd = -1;
    clients->all[i].publisher = -1;
    clients->all[i].phase = GONE;
    clients->all[i].form = form_of(clients->options->form, i);
  }
  return true;
}

static void watch(struct clients *clients, struct client *client, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = client};
  if (epoll_ctl(clients->epoll, operation, client->fd, &event) < 0)
    report_void(clients->report, "epoll_ctl: errno %d", errno);
}

bool client_start(struct clients *clients, struct client *client) {
  static uint32_t started;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    report_void(clients->report, "socket: errno %d", errno);
    return false;
  }
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // One address has 28,000 ports at a time, and a closed one is not free for a minute.
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  struct timeval timeout = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + started++ % 200)};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)clients->options->port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char request[384];
  size_t len = handshake_request(clients, client, request, sizeof request);
  // Connecting waits for the kernel alone: the server need not have accepted yet.
  if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
      connect(fd, (struct sockaddr *)&to, sizeof to) < 0 || send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) {
    report_void(clients->report, "connecting: errno %d", errno);
    close(fd);
    return false;
  }
  client->fd = fd;
  client->phase = UPGRADING;
  client->tail_len = client->out_len = 0;
  watch(clients, client, EPOLL_CTL_ADD, EPOLLIN);
  return true;
}

void client_leave(struct clients *clients, struct client *client) {
  static const uint8_t normal[2] = {0x03, 0xe8};
  uint8_t frame[16];
  client->phase = CLOSING;
  client_send(clients, client, frame, wire_control(frame, 0x8, normal, sizeof normal));
}

void client_close(struct clients *clients, struct client *client) {
  if (client->fd < 0) return;
  if (client->phase == UPGRADING) report_void(clients->report, "closed in the handshake");
  close(client->fd);
  client->fd = -1;
  client->phase = GONE;
}

bool clients_connect(struct clients *clients) {
  uint64_t deadline = now_ns() + 60 * 1000000000ull;
  int started = 0;
  while (clients->upgraded < clients->count && !is_void(clients)) {
    while (started < clients->count && started - clients->upgraded < UPGRADES)
      if (!client_start(clients, &clients->all[started++])) return false;
    clients_turn(clients, now_ns() + 100000000ull);
    if (now_ns() > deadline) report_void(clients->report, "%d of %d connected", clients->upgraded, clients->count);
  }
  return !is_void(clients);
}

void clients_check_form(struct clients *clients) {
  int count = clients->count, listeners = 0;
  for (int i = 0; i < count; i++) listeners += clients->all[i].publisher < 0;
  // Counted apart from what each client is: a third is a third.
  const int objects[FORMS + 1] = {[JSON] = count, [MIXED] = count / 2, [FORMS] = (count + 1) / 3};
  const int events[FORMS + 1] = {[EVENTS] = listeners, [FORMS] = count / 3};
  enum form form = clients->options->form;
  if (clients->welcomed != objects[form])
    report_void(clients->report, "%d clients in the JSON form", clients->welcomed);
  if (clients->streams != events[form]) report_void(clients->report, "%d clients in the events form", clients->streams);
}

static void keep(struct clients *clients, uint8_t **slot, uint32_t *len, const uint8_t *bytes, size_t count) {
  uint8_t *grown = realloc(*slot, *len + count);
  if (grown == NULL) {
    report_void(clients->report, "no memory");
    return;
  }
  memcpy(grown + *len, bytes, count);
  *slot = grown;
  *len += (uint32_t)count;
}

void client_send(struct clients *clients, struct client *client, const uint8_t *bytes, size_t len) {
  ssize_t sent = 0;
  if (client->out_len == 0) {
    sent = send(client->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)len) return;
    if (sent < 0 && errno != EAGAIN) {
      report_void(clients->report, "sending: errno %d", errno);
      return;
    }
    if (sent < 0) sent = 0;
    watch(clients, client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  }
  keep(clients, &client->out, &client->out_len, bytes + sent, len - (size_t)sent);
}

static void flush(struct clients *clients, struct client *client) {
  ssize_t sent = send(client->fd, client->out, client->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) {
    if (errno != EAGAIN) report_void(clients->report, "sending: errno %d", errno);
    return;
  }
  client->out_len -= (uint32_t)sent;
  memmove(client->out, client->out + sent, client->out_len);
  if (client->out_len == 0) watch(clients, client, EPOLL_CTL_MOD, EPOLLIN);
}

static size_t open_stream(struct clients *clients, struct client *client, const uint8_t *bytes, size_t len) {
  size_t head = handshake_answer(clients, client, bytes, len);
  if (head == 0) return 0;
  client->phase = OPEN;
  clients->upgraded++;
  if (clients->options->is_centrifuge) {
    uint8_t hello[128];
    client_send(clients, client, hello, centrifuge_hello(hello));
  }
  if (clients->on_read != NULL) clients->on_read(clients, client);
  return head;
}

static void control(struct clients *clients, struct client *client, uint8_t first, const uint8_t *payload, size_t len) {
  uint8_t answer[160];
  if (first == 0x89) {
    client_send(clients, client, answer, wire_control(answer, 0xa, payload, len));
  } else if (first == 0x88 && client->phase != CLOSING) {
    int code = len >= 2 ? payload[0] << 8 | payload[1] : 0;
    if (clients->closing_code != 0 && code == clients->closing_code) {
      client_leave(clients, client);
      return;
    }
    clients->report->closed++;
    report_void(clients->report, "a client was closed with code %d", code);
  } else if (first != 0x8a && first != 0x88) {
    report_void(clients->report, "a frame that begins with byte %02x", first);
  }
}

// Takes whole frames or events. Returns how many bytes they were.
static size_t take(struct clients *clients, struct client *client, const uint8_t *bytes, size_t len, uint64_t now) {
  size_t used = client->phase == UPGRADING ? open_stream(clients, client, bytes, len) : 0;
  if (client->phase == UPGRADING) return 0;
  if (client->form == EVENTS) return used + events_take(clients, client, bytes + used, len - used, now);
  while (client->fd >= 0) {
    uint8_t first;
    size_t payload;
    int head = wire_head(bytes + used, len - used, &first, &payload);
    if (head < 0 || (head > 0 && payload > 1024 * 1024 - 64)) {
      report_void(clients->report, "a frame that breaks the protocol");
      break;
    }
    if (head == 0 || len - used < (size_t)head + payload) break;
    const uint8_t *data = bytes + used + head;
    if (first == 0x81) clients->report->frame_bytes += (uint64_t)head + payload;
    if (first == 0x81 && client->form == JSON) {
      json_frame(clients, client, data, payload, now);
    } else if (first == 0x81 && clients->options->is_centrifuge) {
      centrifuge_frame(clients, client, data, payload, now);
    } else if (first == 0x81) {
      clients->on_message(clients, client, data, payload, now);
    } else {
      control(clients, client, first, data, payload);
    }
    used += (size_t)head + payload;
  }
  return used;
}

void client_read(struct clients *clients, struct client *client) {
  if (client->tail_len > 0) memcpy(buffer, client->tail, client->tail_len);
  ssize_t got = recv(client->fd, buffer + client->tail_len, READ_SIZE, MSG_DONTWAIT);
  if (got <= 0) {
    if (got < 0 && errno == EAGAIN) return;
    if (client->phase == OPEN) {
      clients->report->closed++;
      report_void(clients->report, "a connection ended: errno %d", got < 0 ? errno : 0);
    }
    client_close(clients, client);
    if (clients->on_gone != NULL) clients->on_gone(clients, client);
    return;
  }
  clients->report->reads++;
  size_t len = client->tail_len + (size_t)got;
  size_t used = take(clients, client, buffer, len, now_ns());
  client->tail_len = 0;
  if (len - used > sizeof buffer - READ_SIZE) {
    report_void(clients->report, "%zu bytes that are no whole message", len - used);
    return;
  }
  if (used < len) keep(clients, &client->tail, &client->tail_len, buffer + used, len - used);
  if (client->phase == OPEN && clients->on_read != NULL) clients->on_read(clients, client);
}

void clients_turn(struct clients *clients, uint64_t deadline) {
  static struct epoll_event events[READY];
  uint64_t now = now_ns(), left = deadline > now && !clients->is_spinning ? deadline - now : 0;
  struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
  int count = epoll_pwait2(clients->epoll, events, READY, &timeout, NULL);
  for (int i = 0; i < count && !is_void(clients); i++) {
    struct client *client = events[i].data.ptr;
    if (events[i].events & EPOLLOUT) flush(clients, client);
    if (events[i].events & ~(uint32_t)EPOLLOUT) client_read(clients, client);
    if (i % BETWEEN == 0 && clients->on_pause != NULL) clients->on_pause(clients);
  }
  if (clients->on_pause != NULL) clients->on_pause(clients);
}
