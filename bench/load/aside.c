// One client in a room of its own, with one message in flight: what it waits is what others cost it.
//
// It is read after every few others, so that its times are the server's and not those of the generator, and it
// sends at a bounded rate: otherwise its messages are so many while nothing else happens that the thousandth
// that is slowest says nothing of what happens beside it.
#define _GNU_SOURCE
#include "load.h"

#define INTERVAL_NS 500000

static struct {
  struct client *client;
  uint64_t due; // when the next message may be sent
  bool is_in_flight, is_stopping;
} aside;

static void send_next(struct clients *clients, uint64_t now) {
  uint8_t frame[STAMP_SIZE + 14];
  struct stamp stamp = {.publisher = ASIDE, .sequence = aside.client->next, .time_ns = now};
  aside.due = now + INTERVAL_NS;
  aside.is_in_flight = true;
  client_send(clients, aside.client, frame, wire_message(frame, &stamp, STAMP_SIZE));
}

static void on_pause(struct clients *clients) {
  if (aside.client->fd < 0) return;
  if (aside.is_in_flight) {
    client_read(clients, aside.client);
  } else if (!aside.is_stopping && now_ns() >= aside.due) {
    send_next(clients, now_ns());
  }
}

void aside_start(struct clients *clients, struct client *client) {
  aside.client = client;
  aside.is_stopping = false;
  clients->on_pause = on_pause;
  send_next(clients, now_ns());
}

void aside_message(struct clients *clients, const struct stamp *stamp, uint64_t now) {
  if (!aside.is_in_flight || stamp->publisher != ASIDE || stamp->sequence != aside.client->next) {
    report_void(clients->report, "message %u of publisher %u came to the small room", stamp->sequence,
                stamp->publisher);
    return;
  }
  aside.client->next++;
  aside.is_in_flight = false;
  histogram_add(&clients->report->latency, now - stamp->time_ns);
}

void aside_stop(void) { aside.is_stopping = true; }

bool aside_is_over(void) { return !aside.is_in_flight; }
