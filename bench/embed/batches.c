// A host that publishes to many rooms in turn, in batches: what it costs libchat to deliver them.
//
// usage: batches --workers N --subscribers N --rooms N --joins N --bridges N --size BYTES --batch N --seconds N
// Publishes the next batch when every reader has the last, which a client of the generator says: so each reader
// gets one batch at a time, however fast libchat is.
#define _GNU_SOURCE
#include "rooms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void publish(struct rooms *rooms, chat_message *messages, uint8_t *payloads, int batch) {
  for (int i = 0; i < batch; i++) {
    int room = i % rooms->layout.rooms;
    uint8_t *payload = payloads + (size_t)i * rooms->size;
    rooms_write(rooms, room, 0, payload);
    messages[i] = (chat_message){.room = rooms->names[room], .room_len = strlen(rooms->names[room]),
                                 .kind = CHAT_TEXT, .data = payload, .data_len = rooms->size};
  }
  host_check(chat_server_publish_batch(rooms->host->server, messages, sizeof *messages, (size_t)batch, NULL, NULL),
             "chat_server_publish_batch");
}

int main(int argc, char **argv) {
  int batch = (int)host_number(argc, argv, "batch");
  double seconds = host_number(argc, argv, "seconds");
  struct host host;
  struct rooms rooms;
  host_start(&host, argc, argv);
  rooms_init(&rooms, &host, argc, argv);
  chat_message *messages = calloc((size_t)batch, sizeof *messages);
  uint8_t *payloads = calloc((size_t)batch, rooms.size);
  if (messages == NULL || payloads == NULL) return 1;
  rooms_begin(&rooms);
  rooms_pause();
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  for (uint64_t count = 1; now_ns() < end; count++) {
    publish(&rooms, messages, payloads, batch);
    host_await_messages(&host, count);
  }
  rooms_finish(&rooms);
  host_end(&host);
  rooms_free(&rooms);
  free(messages);
  free(payloads);
  return 0;
}
