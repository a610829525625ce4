// Rooms with numbers: their members, their names, and the sequence of each.
#define _GNU_SOURCE
#include "rooms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_NS 300000000ull

static void join_all(struct rooms *rooms) {
  for (int number = 0; number < rooms->layout.clients; number++) {
    chat_client_id client = host_client(rooms->host, number);
    for (int room = 0; room < rooms->layout.rooms; room++) {
      if (room == layout_first(&rooms->layout, number) || !layout_has(&rooms->layout, number, room)) continue;
      const char *name = rooms->names[room];
      host_check(chat_server_join(rooms->host->server, client, name, strlen(name)), "chat_server_join");
    }
  }
}

void rooms_init(struct rooms *rooms, struct host *host, int argc, char **argv) {
  *rooms = (struct rooms){.host = host, .size = (size_t)host_number(argc, argv, "size")};
  rooms->layout = (struct layout){
    .clients = (int)host_number(argc, argv, "subscribers"),
    .rooms = (int)host_number(argc, argv, "rooms"),
    .joins = (int)host_number(argc, argv, "joins"),
    .bridges = (int)host_number(argc, argv, "bridges"),
  };
  size_t count = (size_t)rooms->layout.rooms;
  rooms->next = calloc(count, sizeof *rooms->next);
  rooms->names = calloc(count, sizeof *rooms->names);
  rooms->payload = calloc(1, rooms->size);
  if (count == 0 || rooms->size < STAMP_SIZE || rooms->next == NULL || rooms->names == NULL || rooms->payload == NULL)
    exit(1);
  for (size_t i = 0; i < count; i++) snprintf(rooms->names[i], sizeof rooms->names[i], "r%u", (unsigned)i % 100000);
  host_await_all(host);
  join_all(rooms);
}

void rooms_write(struct rooms *rooms, int room, uint32_t flag, uint8_t *payload) {
  struct stamp stamp = {.publisher = (uint32_t)room | flag, .sequence = rooms->next[room], .time_ns = now_ns()};
  wire_payload(payload, &stamp, rooms->size);
  if (flag == 0) rooms->next[room]++;
}

static void publish(struct rooms *rooms, int room, uint32_t flag) {
  rooms_write(rooms, room, flag, rooms->payload);
  const char *name = rooms->names[room];
  host_check(chat_server_publish(rooms->host->server, name, strlen(name), CHAT_TEXT, rooms->payload, rooms->size, NULL),
             "chat_server_publish");
}

void rooms_publish(struct rooms *rooms, int room) { publish(rooms, room, 0); }

void rooms_begin(struct rooms *rooms) {
  for (int room = 0; room < rooms->layout.rooms; room++) publish(rooms, room, BEGINS);
}

void rooms_pause(void) { host_sleep_until(now_ns() + PAUSE_NS); }

void rooms_finish(struct rooms *rooms) {
  for (int room = 0; room < rooms->layout.rooms; room++) publish(rooms, room, ENDS);
}

void rooms_free(struct rooms *rooms) {
  free(rooms->next);
  free(rooms->names);
  free(rooms->payload);
}
