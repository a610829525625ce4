// One client in a room of its own, with one message in flight: what it waits is what others cost it.
#define _GNU_SOURCE
#include "load.h"

static struct {
  struct client *client;
  bool is_stopping, is_over;
} aside = {.is_over = true};

static void send_next(struct clients *clients) {
  static uint8_t frame[STAMP_SIZE + 14];
  struct stamp stamp = {.publisher = ASIDE, .sequence = aside.client->next, .time_ns = now_ns()};
  client_send(clients, aside.client, frame, wire_message(frame, &stamp, STAMP_SIZE));
}

void aside_start(struct clients *clients, struct client *client) {
  aside.client = clients->urgent = client;
  aside.is_stopping = aside.is_over = false;
  send_next(clients);
}

void aside_message(struct clients *clients, const struct stamp *stamp, uint64_t now) {
  if (aside.is_over || stamp->publisher != ASIDE || stamp->sequence != aside.client->next) {
    report_void(clients->report, "message %u of publisher %u came to the small room", stamp->sequence, stamp->publisher);
    return;
  }
  aside.client->next++;
  histogram_add(&clients->report->latency, now - stamp->time_ns);
  aside.is_over = aside.is_stopping;
  if (!aside.is_over) send_next(clients);
}

void aside_stop(void) { aside.is_stopping = true; }

bool aside_is_over(void) { return aside.is_over; }
