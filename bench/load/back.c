// Clients with identities that are cut at once and come back at once: their places are kept, so nobody may be told that
// they have left.
//
// Watchers are in the rooms all the time. A client in a room of its own asks the host what it was told.
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull
#define PATIENCE_NS (20 * SECOND_NS)
// Handshakes under way at once: no more than the server has begun at a time.
#define UPGRADES 1000
// Longer than the watchers wait for a count.
#define CALM_NS (3 * SECOND_NS / 2)

static struct {
  int subscribers; // behind them: the watchers, and the client that asks
  int outside;     // rooms that clients are still to enter
  uint32_t answers, left;
  int connected, entered; // in the last answer
  bool is_complete;       // all are there: nobody comes or leaves any more, but comes back
  struct told *told;
} run;

static struct client *asking(struct clients *clients) {
  return &clients->all[run.subscribers + clients->options->watchers];
}

static int number_of(const struct clients *clients, const struct client *client) {
  return (int)(client - clients->all);
}

static void path(const struct clients *clients, const struct client *client, char *out, size_t size) {
  int number = number_of(clients, client), room = number % clients->options->rooms;
  if (number == run.subscribers + clients->options->watchers) {
    snprintf(out, size, "/rooms/asking");
  } else if (number >= run.subscribers) {
    snprintf(out, size, "/rooms/r%d?format=json&members=true&id=user-%d", room, number);
  } else {
    snprintf(out, size, "/rooms/r%d?format=json&id=user-%d", room, number);
  }
}

static void on_entered(struct clients *clients, struct client *client, const uint8_t *text, size_t len) {
  (void)clients, (void)client, (void)text, (void)len;
  run.outside--;
}

static void on_members(struct clients *clients, struct client *client, const uint8_t *text, size_t len,
                       uint64_t now) {
  const struct options *options = clients->options;
  int watcher = number_of(clients, client) - run.subscribers;
  if (watcher < 0 || !options->has_members) {
    report_void(clients->report, "a client was told of members that did not ask for them");
    return;
  }
  struct told *told = &run.told[watcher];
  told_add(clients, told, text, len, now);
  if (told->has_left) report_void(clients->report, "a watcher was told that somebody has left");
  int all = (options->subscribers + options->watchers) / options->rooms;
  if (run.is_complete && (told->count != all || told->has_joined))
    report_void(clients->report, "a watcher was told of %d members of %d, or that one came", told->count, all);
}

// The host's answer, and the echo of the question.
static void on_message(struct clients *clients, struct client *client, const uint8_t *payload, size_t len,
                       uint64_t now) {
  (void)now;
  if (client != asking(clients) || len != STAMP_SIZE) {
    report_void(clients->report, "a message that nobody sent");
    return;
  }
  struct stamp stamp = wire_stamp(payload);
  if (stamp.publisher != SENT) return;
  run.answers++;
  run.left = stamp.sequence;
  run.connected = (int)(uint32_t)stamp.time_ns;
  run.entered = (int)(stamp.time_ns >> 32);
  if (run.left != 0) report_void(clients->report, "the host was told that %u have left", run.left);
}

static void hold(struct clients *clients, uint64_t ns) {
  uint64_t end = now_ns() + ns;
  while (now_ns() < end && !is_void(clients)) clients_turn(clients, end);
}

static void ask(struct clients *clients) {
  uint8_t frame[STAMP_SIZE + 14];
  struct stamp stamp = {.publisher = ASKED, .time_ns = now_ns()};
  uint32_t answers = run.answers;
  uint64_t deadline = now_ns() + PATIENCE_NS;
  client_send(clients, asking(clients), frame, wire_message(frame, &stamp, STAMP_SIZE));
  while (run.answers == answers && !is_void(clients)) {
    clients_turn(clients, deadline);
    if (now_ns() > deadline) report_void(clients->report, "the host does not answer");
  }
}

// The host has been told that nobody but those that were not cut is connected.
static void await_cut(struct clients *clients) {
  uint64_t deadline = now_ns() + PATIENCE_NS;
  int left = clients->count - clients->options->cut;
  for (ask(clients); run.connected != left && !is_void(clients); ask(clients)) {
    hold(clients, SECOND_NS / 1000);
    if (now_ns() > deadline) report_void(clients->report, "%d clients did not leave", run.connected - left);
  }
}

static void connect_cut(struct clients *clients) {
  int started = 0, cut = clients->options->cut, before = clients->upgraded;
  uint64_t deadline = now_ns() + PATIENCE_NS;
  while (run.outside > 0 && !is_void(clients)) {
    while (started < cut && started - (clients->upgraded - before) < UPGRADES && !is_void(clients))
      client_start(clients, &clients->all[started++]);
    clients_turn(clients, now_ns() + SECOND_NS / 100);
    if (now_ns() > deadline) report_void(clients->report, "clients are outside of %d rooms", run.outside);
  }
}

static void storm(struct clients *clients) {
  const struct options *options = clients->options;
  uint64_t cut = now_ns();
  for (int i = 0; i < options->cut; i++) client_close(clients, &clients->all[i]);
  await_cut(clients);
  run.outside = options->cut * options->joins;
  uint64_t time = now_ns();
  connect_cut(clients);
  double ms = (double)(now_ns() - time) / 1e6;
  if (ms > clients->report->whole_ms) clients->report->whole_ms = ms;
  clients->report->storms++;
  if (now_ns() - cut > (uint64_t)options->grace * 1000000u)
    report_void(clients->report, "clients were away for longer than the host has their places kept");
  hold(clients, CALM_NS);
  ask(clients);
}

// Everybody has come back in each storm, and the watchers of small rooms were told so.
static void check(struct clients *clients) {
  const struct options *options = clients->options;
  int of_room = options->subscribers / options->rooms, cut = options->cut / options->rooms;
  // The host counts an identity once for each of its rooms, and the client that asks.
  int entered = options->has_members ? options->subscribers * options->joins + options->watchers + 1 : 0;
  if (run.entered != entered)
    report_void(clients->report, "the host was told that %d entered, not %d", run.entered, entered);
  for (int i = 0; i < options->watchers && options->has_members && of_room < MOST_LISTED; i++)
    if (run.told[i].returned != (uint32_t)(cut * clients->report->storms))
      report_void(clients->report, "a watcher was told that %u came back", run.told[i].returned);
}

static bool prepare(struct clients *clients) {
  const struct options *options = clients->options;
  int total = options->subscribers + options->watchers + 1;
  run.subscribers = options->subscribers;
  run.outside = options->subscribers * options->joins + options->watchers;
  run.told = calloc((size_t)options->watchers + 1, sizeof *run.told);
  if (run.told == NULL) {
    report_void(clients->report, "no memory");
    return false;
  }
  if (!clients_init(clients, total)) return false;
  for (int i = 0; i < total - 1; i++) clients->all[i].form = JSON;
  if (!clients_connect(clients)) return false;
  uint64_t deadline = now_ns() + PATIENCE_NS;
  while (run.outside > 0 && !is_void(clients)) {
    clients_turn(clients, now_ns() + SECOND_NS / 100);
    if (now_ns() > deadline) report_void(clients->report, "clients are outside of %d rooms", run.outside);
  }
  return !is_void(clients);
}

void run_back(const struct options *options, struct report *report) {
  struct clients clients = {.options = options, .report = report, .on_message = on_message, .on_entered = on_entered,
                            .on_members = on_members, .path = path};
  prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
  report->start = usage_of(options->pid);
  uint64_t time = now_ns();
  if (options->subscribers % options->rooms != 0 || options->cut % options->rooms != 0 ||
      options->watchers % options->rooms != 0)
    report_void(report, "there are not as many clients in each room");
  if (is_void(&clients) || !prepare(&clients)) return;
  report->connections = (uint64_t)clients.count;
  report->connect_seconds = (double)(now_ns() - time) / 1e9;
  hold(&clients, CALM_NS);
  run.is_complete = true;
  ask(&clients);
  clients.is_spinning = true;
  report->connected = report->begin = usage_of(options->pid);
  report->self_begin = usage_of(getpid());
  time = now_ns();
  if (options->cut > 0) {
    do {
      storm(&clients);
    } while (now_ns() < time + (uint64_t)(options->seconds * 1e9) && !is_void(&clients));
    // What the host is told late, it would be told now.
    hold(&clients, (uint64_t)options->grace * 1000000u);
    ask(&clients);
  }
  report->seconds = (double)(now_ns() - time) / 1e9;
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
  check(&clients);
  told_report(report, run.told, options->watchers);
}
