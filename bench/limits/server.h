// The least that a WebSocket chat server can do, shared by limit1.c and limitB.c, which differ in
// how they write. No pings, no bounds, no policy, nothing for a host: not a server to use, but the
// distance to it is what a server's features cost.
#ifndef SERVER_H
#define SERVER_H

#include <stddef.h>
#include <stdint.h>

struct room {
  int *members; // descriptors
  int count, capacity;
  uint8_t *pending; // limitB: frames of this turn
  size_t pending_len;
};

// Writes to a client; what its socket does not take is kept, in order.
void server_write(int fd, const uint8_t *bytes, size_t len);

// Serves 127.0.0.1 until the process is killed. Prints the port. Calls `on_message` with each
// message, framed for clients, and `on_turn_end` when all sockets that were ready have been read.
void server_run(int argc, char **argv, void (*on_message)(struct room *, const uint8_t *frame, size_t len),
                void (*on_turn_end)(void));

#endif
