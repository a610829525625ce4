// A host that publishes, alone or in turn with another call: whether a mix of calls costs more than its parts.
//
// usage: calls --workers N --subscribers N --rooms N --joins N --bridges N --size BYTES --calls N --mix MIX
// MIX is publish (alone), broadcast, send, echo (chat_server_set_echo) or rooms (publish to each room in turn).
#define _GNU_SOURCE
#include "rooms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rooms rooms;
static uint32_t broadcasts;

static void broadcast(uint32_t flag) {
  struct stamp stamp = {.publisher = ALL | flag, .sequence = broadcasts, .time_ns = now_ns()};
  wire_payload(rooms.payload, &stamp, rooms.size);
  if (flag == 0) broadcasts++;
  host_check(chat_server_broadcast(rooms.host->server, CHAT_TEXT, rooms.payload, rooms.size), "chat_server_broadcast");
}

// The clients are sent to in turn, so how often a client was before follows from the count.
static void send_to(int number, uint32_t sequence, uint32_t flag) {
  struct stamp stamp = {.publisher = SENT | flag, .sequence = sequence, .time_ns = now_ns()};
  wire_payload(rooms.payload, &stamp, rooms.size);
  chat_client_id client = host_client(rooms.host, number);
  host_check(chat_server_send(rooms.host->server, client, CHAT_TEXT, rooms.payload, rooms.size), "chat_server_send");
}

static void begin_or_end(const char *mix, int calls, uint32_t flag) {
  int clients = rooms.layout.clients;
  if (strcmp(mix, "broadcast") == 0) broadcast(flag);
  if (strcmp(mix, "send") == 0)
    for (int i = 0; i < clients; i++) {
      int before = flag == BEGINS ? 0 : calls / clients + (i < calls % clients ? 1 : 0);
      send_to(i, (uint32_t)before, flag);
    }
}

static void call(const char *mix, int count) {
  int number = count % rooms.layout.clients;
  rooms_publish(&rooms, 0);
  if (strcmp(mix, "broadcast") == 0) broadcast(0);
  if (strcmp(mix, "send") == 0) send_to(number, (uint32_t)(count / rooms.layout.clients), 0);
  if (strcmp(mix, "echo") == 0)
    host_check(chat_server_set_echo(rooms.host->server, host_client(rooms.host, number), count % 2 == 0),
               "chat_server_set_echo");
  if (strcmp(mix, "rooms") == 0)
    for (int room = 1; room < rooms.layout.rooms; room++) rooms_publish(&rooms, room);
}

int main(int argc, char **argv) {
  const char *mix = host_text(argc, argv, "mix", "publish");
  int calls = (int)host_number(argc, argv, "calls");
  struct host host;
  host_start(&host, argc, argv);
  rooms_init(&rooms, &host, argc, argv);
  rooms_begin(&rooms);
  begin_or_end(mix, calls, BEGINS);
  rooms_pause();
  for (int i = 0; i < calls; i++) call(mix, i);
  begin_or_end(mix, calls, ENDS);
  rooms_finish(&rooms);
  host_end(&host);
  rooms_free(&rooms);
  return 0;
}
