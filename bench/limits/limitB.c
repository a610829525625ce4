// One write for each turn and socket: everything that came in the turn, joined.
#include "server.h"

#include <stdlib.h>
#include <string.h>

// The same bound as a server with an outbox has to set itself.
#define MAX_JOINED (256 * 1024)
#define MAX_ROOMS 65536

static struct room *dirty[MAX_ROOMS];
static int dirty_count;

static void flush(struct room *room) {
  for (int i = 0; i < room->count; i++) server_write(room->members[i], room->pending, room->pending_len);
  room->pending_len = 0;
}

static void on_message(struct room *room, const uint8_t *frame, size_t len) {
  if (room->pending == NULL) room->pending = malloc(2 * MAX_JOINED);
  if (room->pending == NULL) abort();
  if (room->pending_len + len > MAX_JOINED) flush(room);
  if (room->pending_len == 0) {
    if (dirty_count == MAX_ROOMS) abort();
    dirty[dirty_count++] = room;
  }
  memcpy(room->pending + room->pending_len, frame, len);
  room->pending_len += len;
}

static void on_turn_end(void) {
  for (int i = 0; i < dirty_count; i++)
    if (dirty[i]->pending_len > 0) flush(dirty[i]);
  dirty_count = 0;
}

int main(int argc, char **argv) {
  server_run(argc, argv, on_message, on_turn_end);
  return 1;
}
