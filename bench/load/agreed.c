// Which client is in which room: the hosts in ../embed put them there, the generator checks what comes.
#define _GNU_SOURCE
#include "load.h"

// Clients whose number divided by the count of rooms differs take different steps from room to room, so that
// few clients share all of their rooms. Each room has as many clients as any other.
static int nth(const struct layout *layout, int client, int n) {
  int step = 2 * (client / layout->rooms) + 1;
  return (client + n * step) % layout->rooms;
}

int layout_first(const struct layout *layout, int client) { return nth(layout, client, 0); }

bool layout_has(const struct layout *layout, int client, int room) {
  if (client < layout->bridges) return true;
  for (int n = 0; n < layout->joins; n++)
    if (nth(layout, client, n) == room) return true;
  return false;
}
