// Rooms with numbers, of which the generator knows who is in them.
#ifndef ROOMS_H
#define ROOMS_H

#include "host.h"

struct rooms {
  struct host *host;
  struct layout layout;
  size_t size;     // bytes of a message
  uint32_t *next;  // sequence numbers, by room
  uint8_t *payload;
  char (*names)[16];
};

// Reads --rooms, --joins, --bridges and --size, waits for the host's clients, and puts them into their rooms.
void rooms_init(struct rooms *rooms, struct host *host, int argc, char **argv);
// The next message to a room, in `payload`; `flag` is BEGINS, ENDS or 0.
void rooms_write(struct rooms *rooms, int room, uint32_t flag, uint8_t *payload);
void rooms_publish(struct rooms *rooms, int room);
// Tells every client that the sequences of its rooms begin.
void rooms_begin(struct rooms *rooms);
// Gives the generator the time to read what libchat has used so far.
void rooms_pause(void);
// Tells every client that they have ended.
void rooms_finish(struct rooms *rooms);
void rooms_free(struct rooms *rooms);

#endif
