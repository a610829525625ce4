// A storm: clients of a room are cut at once, miss messages, and come back at once with the position that they had.
//
// A client of a small room is timed before it, and while it lasts. With nobody cut the same messages reach everybody
// live.
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull
// How long a client may take to have everything.
#define PATIENCE_NS (20 * SECOND_NS)
// The small room is timed for at least this long, with and without a storm.
#define WINDOW_NS (SECOND_NS / 10)
// What the server has left behind of a storm is let go of before the next.
#define CALM_NS (SECOND_NS / 5)
// An epoch of 13 digits, an offset of 20.
#define POSITION_SIZE 40

static struct {
  int subscribers; // behind them: the room's publisher, the small room's client, and one that listens there
  uint32_t published;
  int whole; // clients of the room that have all that was published
  uint64_t deliveries;
  char (*positions)[POSITION_SIZE]; // the last that each subscriber was told
} run;

static struct client *publisher(struct clients *clients) { return &clients->all[run.subscribers]; }

static struct client *aside(struct clients *clients) { return &clients->all[run.subscribers + 1]; }

static void path(const struct clients *clients, const struct client *client, char *out, size_t size) {
  int number = (int)(client - clients->all);
  if (number > run.subscribers) {
    snprintf(out, size, "/rooms/small");
  } else if (number == run.subscribers) {
    snprintf(out, size, "/rooms/large");
  } else if (client->form == EVENTS) {
    snprintf(out, size, "/rooms/large");
  } else if (run.positions[number][0] == '\0') {
    snprintf(out, size, "/rooms/large?format=json");
  } else {
    snprintf(out, size, "/rooms/large?format=json&since=%s", run.positions[number]);
  }
}

static const char *last_id(const struct clients *clients, const struct client *client) {
  return run.positions[client - clients->all];
}

static void on_position(struct clients *clients, struct client *client, const uint8_t *text, size_t len) {
  if (len >= POSITION_SIZE) {
    report_void(clients->report, "a position of %zu bytes", len);
    return;
  }
  char *position = run.positions[client - clients->all];
  memcpy(position, text, len);
  position[len] = '\0';
}

static void on_message(struct clients *clients, struct client *client, const uint8_t *payload, size_t len,
                       uint64_t now) {
  // The small room's messages are only stamps.
  bool is_small = client - clients->all > run.subscribers;
  if (len != (is_small ? STAMP_SIZE : (size_t)clients->options->size)) {
    report_void(clients->report, "a message of %zu bytes", len);
    return;
  }
  struct stamp stamp = wire_stamp(payload);
  if (client == aside(clients)) {
    aside_message(clients, &stamp, now);
    return;
  }
  if (stamp.publisher != (is_small ? ASIDE : 0) || stamp.sequence != *client->expected) {
    report_void(clients->report, "message %u of publisher %u came where %u was due", stamp.sequence, stamp.publisher,
                *client->expected);
    return;
  }
  ++*client->expected;
  if (is_small) return;
  if (client != publisher(clients)) run.deliveries++;
  if (*client->expected == run.published) run.whole++;
}

static void publish(struct clients *clients, int count) {
  static uint8_t frame[STAMP_SIZE + 14 + 65536];
  run.whole = 0;
  run.published += (uint32_t)count;
  clients->report->messages += (uint64_t)count;
  for (int i = count; i > 0; i--) {
    struct stamp stamp = {.publisher = 0, .sequence = run.published - (uint32_t)i, .time_ns = now_ns()};
    client_send(clients, publisher(clients), frame, wire_message(frame, &stamp, (size_t)clients->options->size));
  }
}

static void hold(struct clients *clients, uint64_t ns) {
  uint64_t end = now_ns() + ns;
  while (now_ns() < end && !is_void(clients)) clients_turn(clients, end);
}

static void await_publisher(struct clients *clients) {
  uint64_t deadline = now_ns() + PATIENCE_NS;
  while (*publisher(clients)->expected != run.published && !is_void(clients)) {
    clients_turn(clients, now_ns() + SECOND_NS / 100);
    if (now_ns() > deadline) report_void(clients->report, "the publisher's messages did not come back");
  }
}

static void await_whole(struct clients *clients) {
  uint64_t deadline = now_ns() + PATIENCE_NS;
  while (run.whole < run.subscribers + 1 && !is_void(clients)) {
    clients_turn(clients, now_ns() + SECOND_NS / 100);
    if (now_ns() > deadline)
      report_void(clients->report, "only %d of %d clients have everything", run.whole, run.subscribers + 1);
  }
}

static void end_aside(struct clients *clients) {
  uint64_t deadline = now_ns() + PATIENCE_NS;
  aside_stop();
  while (!aside_is_over() && !is_void(clients)) {
    clients_turn(clients, now_ns() + SECOND_NS / 100);
    if (now_ns() > deadline) report_void(clients->report, "the small room's message did not come back");
  }
}

// What the small room's client waits while nothing else happens.
static void time_quiet(struct clients *clients) {
  struct histogram *latency = &clients->report->latency;
  aside_start(clients, aside(clients));
  hold(clients, SECOND_NS);
  end_aside(clients);
  clients->report->quiet_p99_us = histogram_percentile(latency, 0.99);
  *latency = (struct histogram){0};
}

static void storm(struct clients *clients) {
  const struct options *options = clients->options;
  uint64_t window = now_ns() + WINDOW_NS;
  aside_start(clients, aside(clients));
  for (int i = 0; i < options->cut && !is_void(clients); i++) {
    client_close(clients, &clients->all[i]);
    clients->on_pause(clients);
  }
  publish(clients, options->messages);
  // The last one is back, so all are stored.
  await_publisher(clients);
  uint64_t time = now_ns();
  for (int i = 0; i < options->cut && !is_void(clients); i++) {
    client_start(clients, &clients->all[i]);
    clients->on_pause(clients);
  }
  await_whole(clients);
  double ms = (double)(now_ns() - time) / 1e6;
  if (ms > clients->report->whole_ms) clients->report->whole_ms = ms;
  clients->report->storms++;
  while (now_ns() < window && !is_void(clients)) clients_turn(clients, window);
  end_aside(clients);
  // What is live follows what was missed, and nothing comes twice.
  publish(clients, 1);
  await_whole(clients);
  hold(clients, CALM_NS);
}

static bool prepare(struct clients *clients) {
  const struct options *options = clients->options;
  int total = options->subscribers + 3;
  run.subscribers = options->subscribers;
  run.positions = calloc((size_t)options->subscribers + 1, sizeof *run.positions);
  uint32_t *expected = calloc((size_t)total, sizeof *expected);
  if (run.positions == NULL || expected == NULL) {
    report_void(clients->report, "no memory");
    return false;
  }
  if (!clients_init(clients, total)) return false;
  for (int i = 0; i < total; i++) {
    clients->all[i].expected = expected + i;
    clients->all[i].form = i >= options->subscribers ? PLAIN : options->form == EVENTS ? EVENTS : JSON;
  }
  return clients_connect(clients);
}

void run_storm(const struct options *options, struct report *report) {
  struct clients clients = {
    .options = options, .report = report, .on_message = on_message, .on_position = on_position,
    .path = path, .last_id = last_id};
  prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
  report->start = usage_of(options->pid);
  uint64_t time = now_ns();
  if (options->messages == 0) report_void(report, "a storm needs messages");
  if (is_void(&clients) || !prepare(&clients)) return;
  report->connections = (uint64_t)clients.count;
  report->connect_seconds = (double)(now_ns() - time) / 1e9;
  // Everybody has read up to a position.
  publish(&clients, 10);
  await_whole(&clients);
  hold(&clients, SECOND_NS);
  clients.is_spinning = true;
  time_quiet(&clients);
  if (!reset_peak(options->pid)) report_void(report, "the peak of the server cannot be noted anew");
  report->connected = report->begin = usage_of(options->pid);
  report->self_begin = usage_of(getpid());
  run.deliveries = report->reads = report->frame_bytes = report->messages = 0;
  time = now_ns();
  do {
    storm(&clients);
  } while (now_ns() < time + (uint64_t)(options->seconds * 1e9) && !is_void(&clients));
  report->seconds = (double)(now_ns() - time) / 1e9;
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
  report->deliveries = run.deliveries;
}
