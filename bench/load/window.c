// The messages of a publisher that are in flight until the slowest subscriber has them.
//
// A subscriber receives a publisher's messages in order, so the message that reached everybody is always
// the oldest: a ring of one counter for each place in the window is enough.
#define _GNU_SOURCE
#include "load.h"

#include <stdlib.h>

struct window {
  uint32_t size, readers;
  uint32_t received[]; // by how many subscribers, for each message in flight
};

struct window *window_new(int size, int readers) {
  struct window *window = calloc(1, sizeof *window + (size_t)size * sizeof window->received[0]);
  if (window == NULL) return NULL;
  window->size = (uint32_t)size;
  window->readers = (uint32_t)readers;
  return window;
}

bool window_received(struct window *window, uint32_t sequence) {
  uint32_t *received = &window->received[sequence % window->size];
  if (++*received < window->readers) return false;
  *received = 0;
  return true;
}
