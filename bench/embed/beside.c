// A host that keeps calling about single clients: what its calls cost a room that has nothing to do with them.
//
// usage: beside --workers N --subscribers N --sends PER_SECOND --joins PER_SECOND --disconnects PER_SECOND
// Begins when all subscribers are connected, and ends when they have left or after five minutes.
#define _GNU_SOURCE
#include "host.h"

#include <stdio.h>
#include <stdlib.h>

#define TICK_NS 1000000
#define SIDE_ROOMS 100

struct sequence {
  chat_client_id client; // one that comes back begins anew
  uint32_t next;
};

static struct sequence *sequences;

// A client may leave at any time: that is no failure.
static void check(chat_status status, const char *call) {
  if (status != CHAT_ERR_NOT_FOUND) host_check(status, call);
}

static void send_one(struct host *host, uint64_t count) {
  int number = (int)(count % (uint64_t)host->capacity);
  chat_client_id client = host_client(host, number);
  if (client == 0) return;
  struct sequence *sequence = &sequences[number];
  if (sequence->client != client) *sequence = (struct sequence){.client = client};
  uint8_t payload[STAMP_SIZE];
  struct stamp stamp = {.publisher = SENT, .sequence = sequence->next++, .time_ns = now_ns()};
  wire_payload(payload, &stamp, sizeof payload);
  check(chat_server_send(host->server, client, CHAT_TEXT, payload, sizeof payload), "chat_server_send");
}

static void join_one(struct host *host, uint64_t count) {
  chat_client_id client = host_client(host, (int)(count * 7 % (uint64_t)host->capacity));
  if (client == 0) return;
  char room[32];
  int len = snprintf(room, sizeof room, "side-%d", (int)(count % SIDE_ROOMS));
  check(chat_server_join(host->server, client, room, (size_t)len), "chat_server_join");
}

static void disconnect_one(struct host *host, uint64_t count) {
  chat_client_id client = host_client(host, (int)(count * 11 % (uint64_t)host->capacity));
  if (client == 0) return;
  check(chat_server_disconnect(host->server, client, COME_BACK, "again", 5), "chat_server_disconnect");
}

struct call {
  void (*make)(struct host *, uint64_t count);
  double rate; // a second
  uint64_t made;
};

int main(int argc, char **argv) {
  struct call calls[] = {
    {send_one, host_number(argc, argv, "sends"), 0},
    {join_one, host_number(argc, argv, "joins"), 0},
    {disconnect_one, host_number(argc, argv, "disconnects"), 0},
  };
  struct host host;
  host_start(&host, argc, argv);
  sequences = calloc((size_t)host.capacity, sizeof *sequences);
  if (sequences == NULL) return 1;
  host_await_all(&host);
  uint64_t start = now_ns(), tick = start;
  while (tick - start < 300 * 1000000000ull) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
      while ((double)calls[i].made < calls[i].rate * (double)(tick - start) / 1e9)
        calls[i].make(&host, calls[i].made++);
    tick += TICK_NS;
    host_sleep_until(tick);
    pthread_mutex_lock(&host.mutex);
    bool is_over = host.connected == 0;
    pthread_mutex_unlock(&host.mutex);
    if (is_over) break;
  }
  host_end(&host);
  free(sequences);
  return 0;
}
