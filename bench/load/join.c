// A room that fills: clients come at an even pace, a publisher sends meanwhile, and some clients watch who is there.
//
// Each client must get every message from where it has entered, and each watcher what the wire promises of members: a
// list while they are few, their count alone when they are many.
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull
// Half of the time that is between two counts: the generator may have been late for the first.
#define SOON_NS (SECOND_NS / 2)
// A client that has not entered yet.
#define OUTSIDE UINT32_MAX
// How much later than its time the last client may be in the room.
#define LATE_MS 1000
// How long what is left may take.
#define PATIENCE_NS (20 * SECOND_NS)

static struct {
  int subscribers; // behind them: the publisher
  int started;
  uint32_t published;
  uint64_t begin, next_message, end; // end: of the messages
  uint64_t deliveries;
  struct told *told;
} run;

static struct client *publisher(struct clients *clients) { return &clients->all[run.subscribers]; }

static int number_of(const struct clients *clients, const struct client *client) {
  return (int)(client - clients->all);
}

static void path(const struct clients *clients, const struct client *client, char *out, size_t size) {
  int number = number_of(clients, client);
  const char *query = number == run.subscribers              ? ""
                      : number < clients->options->watchers ? "?format=json&members=true"
                                                            : "?format=json";
  snprintf(out, size, "/rooms/large%s", query);
}

// The room has the publisher's messages alone, so an offset says how many were sent before.
static void on_entered(struct clients *clients, struct client *client, const uint8_t *text, size_t len) {
  const uint8_t *dash = memchr(text, '-', len);
  if (dash == NULL || *client->expected != OUTSIDE) {
    report_void(clients->report, "a client entered without an offset, or twice");
    return;
  }
  *client->expected = (uint32_t)strtoul((const char *)dash + 1, NULL, 10);
}

static void on_message(struct clients *clients, struct client *client, const uint8_t *payload, size_t len,
                       uint64_t now) {
  if (len != (size_t)clients->options->size) {
    report_void(clients->report, "a message of %zu bytes", len);
    return;
  }
  struct stamp stamp = wire_stamp(payload);
  if (stamp.publisher != 0 || stamp.sequence != *client->expected) {
    report_void(clients->report, "message %u of publisher %u came where %u was due", stamp.sequence, stamp.publisher,
                *client->expected);
    return;
  }
  ++*client->expected;
  if (client == publisher(clients)) return;
  run.deliveries++;
  histogram_add(&clients->report->latency, now - stamp.time_ns);
}

static void on_members(struct clients *clients, struct client *client, const uint8_t *text, size_t len,
                       uint64_t now) {
  int number = number_of(clients, client);
  if (number >= clients->options->watchers) {
    report_void(clients->report, "a client was told of members that did not ask for them");
    return;
  }
  struct told *told = &run.told[number];
  int before = told->count;
  bool is_soon = before > MOST_LISTED && now - told->time_ns < SOON_NS;
  told_add(clients, told, text, len, now);
  if (told->count < before || told->count > run.started + 1 || told->has_left)
    report_void(clients->report, "a watcher was told of %d members behind %d, or of one that left", told->count,
                before);
  if (is_soon) report_void(clients->report, "a watcher was told of %d members right behind %d", told->count, before);
}

static void publish(struct clients *clients) {
  static uint8_t frame[STAMP_SIZE + 14 + 65536];
  struct stamp stamp = {.publisher = 0, .sequence = run.published++, .time_ns = now_ns()};
  client_send(clients, publisher(clients), frame, wire_message(frame, &stamp, (size_t)clients->options->size));
}

// Does what is due. Between reads, so that the pace is even.
static void on_pause(struct clients *clients) {
  const struct options *options = clients->options;
  uint64_t now = now_ns();
  double part = options->ramp > 0 ? (double)(now - run.begin) / (options->ramp * 1e9) : 1;
  while (run.started < run.subscribers && run.started < part * run.subscribers && !is_void(clients))
    client_start(clients, &clients->all[run.started++]);
  if (now >= run.end) return;
  if (options->rate > 0) {
    for (; now >= run.next_message; run.next_message += (uint64_t)(1e9 / options->rate)) publish(clients);
  } else {
    while (run.published - *publisher(clients)->expected < (uint32_t)options->window) publish(clients);
  }
}

static bool is_settled(const struct clients *clients) {
  for (int i = 0; i <= run.subscribers; i++)
    if (*clients->all[i].expected != run.published) return false;
  for (int i = 0; i < clients->options->watchers; i++)
    if (run.told[i].count != run.subscribers + 1) return false;
  return true;
}

static void settle(struct clients *clients) {
  uint64_t deadline = now_ns() + PATIENCE_NS;
  while (!is_void(clients) && !is_settled(clients)) {
    uint64_t pause = now_ns() + 5000000;
    while (now_ns() < pause && !is_void(clients)) clients_turn(clients, pause);
    if (now_ns() > deadline) report_void(clients->report, "the last messages did not come, or no count of all members");
  }
}

static bool prepare(struct clients *clients) {
  const struct options *options = clients->options;
  int total = options->subscribers + 1;
  run.subscribers = options->subscribers;
  run.told = calloc((size_t)options->watchers + 1, sizeof *run.told);
  uint32_t *expected = calloc((size_t)total, sizeof *expected);
  if (run.told == NULL || expected == NULL) {
    report_void(clients->report, "no memory");
    return false;
  }
  if (!clients_init(clients, total)) return false;
  for (int i = 0; i < total; i++) {
    clients->all[i].expected = expected + i;
    clients->all[i].form = i == options->subscribers ? PLAIN : JSON;
    expected[i] = i == options->subscribers ? 0 : OUTSIDE;
  }
  client_start(clients, publisher(clients));
  uint64_t deadline = now_ns() + 5 * SECOND_NS;
  while (publisher(clients)->phase != OPEN && !is_void(clients)) {
    clients_turn(clients, deadline);
    if (now_ns() > deadline) report_void(clients->report, "the publisher did not connect");
  }
  return !is_void(clients);
}

void run_join(const struct options *options, struct report *report) {
  struct clients clients = {.options = options, .report = report, .on_message = on_message, .on_entered = on_entered,
                            .on_members = on_members, .path = path};
  prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
  if (options->watchers > options->subscribers) report_void(report, "more watchers than subscribers");
  if (is_void(&clients) || !prepare(&clients)) return;
  clients.is_spinning = true;
  report->start = report->connected = report->begin = usage_of(options->pid);
  report->self_begin = usage_of(getpid());
  run.begin = run.next_message = now_ns();
  run.end = run.begin + (uint64_t)((options->ramp + options->seconds) * 1e9);
  clients.on_pause = on_pause;
  while (now_ns() < run.end && !is_void(&clients)) {
    clients_turn(&clients, run.end);
    if (report->joined_ms == 0 && clients.upgraded == run.subscribers + 1)
      report->joined_ms = (double)(now_ns() - run.begin) / 1e6;
  }
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
  report->seconds = (double)(now_ns() - run.begin) / 1e9;
  report->connect_seconds = report->joined_ms / 1e3;
  report->connections = (uint64_t)run.subscribers;
  report->messages = run.published;
  report->deliveries = run.deliveries;
  if (report->joined_ms == 0 || report->joined_ms > options->ramp * 1e3 + LATE_MS)
    report_void(report, "%d of %d clients came in time", clients.upgraded - 1, run.subscribers);
  settle(&clients);
  told_report(report, run.told, options->watchers);
}
