// One write for each message and socket; the frame is encoded once.
#include "server.h"

static void on_message(struct room *room, const uint8_t *frame, size_t len) {
  for (int i = 0; i < room->count; i++) server_write(room->members[i], frame, len);
}

static void on_turn_end(void) {}

int main(int argc, char **argv) {
  server_run(argc, argv, on_message, on_turn_end);
  return 1;
}
