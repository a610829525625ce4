// A small room beside a large one: how long the small room's client waits for its own message.
//
// Meanwhile clients come to the large room and go (--churn), and the host sends to its subscribers and
// disconnects some, which come back (--sends, --disconnects).
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

// Sequences that a subscriber follows: the large room's messages, and what the host sends to it alone.
enum { LARGE, DIRECT, SEQUENCES };
// A client that has just come may not know which message is its first.
#define ANY UINT32_MAX
// Places for clients that come and go, for each that comes in a second.
#define PLACES 4

static struct {
  int subscribers; // behind them: the large room's publisher, the small room's client, the places
  uint32_t published;
  int unheard; // subscribers that have not received a message yet
  uint64_t next_message, next_arrival;
  struct client **free;
  int free_count;
  bool is_over; // nobody comes back any more
  uint64_t deliveries, sent;
} run;

static int number_of(const struct clients *clients, const struct client *client) {
  return (int)(client - clients->all);
}

static bool passes(const struct clients *clients, const struct client *client) {
  return number_of(clients, client) > run.subscribers + 1;
}

static void path(const struct clients *clients, const struct client *client, char *out, size_t size) {
  int number = number_of(clients, client);
  const char *room = number == run.subscribers + 1 ? "small" : "large";
  // The host knows subscribers by their numbers, and leaves everyone else alone.
  if (number < run.subscribers) {
    snprintf(out, size, "/rooms/%s?client=%d", room, number);
  } else {
    snprintf(out, size, "/rooms/%s", room);
  }
}

static void arrive(struct clients *clients, struct client *client) {
  client->expected[LARGE] = ANY;
  client->expected[DIRECT] = 0;
  client_start(clients, client);
}

static void on_message(struct clients *clients, struct client *client, const uint8_t *payload, size_t len,
                       uint64_t now) {
  if (len != STAMP_SIZE) {
    report_void(clients->report, "a message of %zu bytes", len);
    return;
  }
  struct stamp stamp = wire_stamp(payload);
  if (number_of(clients, client) == run.subscribers + 1) {
    aside_message(clients, &stamp, now);
    return;
  }
  if (stamp.publisher != 0 && stamp.publisher != SENT) {
    report_void(clients->report, "a message of another room: publisher %u", stamp.publisher);
    return;
  }
  uint32_t *expected = &client->expected[stamp.publisher == 0 ? LARGE : DIRECT];
  if (stamp.sequence != *expected && *expected != ANY) {
    report_void(clients->report, "message %u of publisher %u came where %u was due", stamp.sequence, stamp.publisher,
                *expected);
    return;
  }
  // A subscriber has heard when the large room's messages reach it for the first time.
  if (stamp.publisher == 0 && client->probes == 0) {
    client->probes = 1;
    if (number_of(clients, client) < run.subscribers) run.unheard--;
  }
  *expected = stamp.sequence + 1;
  run.deliveries++;
  if (stamp.publisher == SENT) run.sent++;
}

// The upgrade is done: a client that only passes says goodbye.
static void on_read(struct clients *clients, struct client *client) {
  if (passes(clients, client) && client->phase == OPEN) client_leave(clients, client);
}

static void on_gone(struct clients *clients, struct client *client) {
  clients->report->passed++;
  if (passes(clients, client)) {
    run.free[run.free_count++] = client;
  } else if (!run.is_over) {
    arrive(clients, client);
  }
}

static void publish(struct clients *clients) {
  uint8_t frame[STAMP_SIZE + 14];
  struct stamp stamp = {.publisher = 0, .sequence = run.published++, .time_ns = now_ns()};
  client_send(clients, &clients->all[run.subscribers], frame, wire_message(frame, &stamp, STAMP_SIZE));
}

static void pass(struct clients *clients) {
  if (run.free_count == 0) {
    report_void(clients->report, "the server cannot keep up with those that come and go");
    return;
  }
  arrive(clients, run.free[--run.free_count]);
}

// Publishes to the large room, and lets clients come if `churn` is not 0. Ends early if all have heard.
static void pace(struct clients *clients, uint64_t until, double churn) {
  bool is_warming = run.unheard > 0;
  run.next_arrival = now_ns();
  while (!is_void(clients) && !(is_warming && run.unheard == 0)) {
    uint64_t now = now_ns();
    if (now >= until) break;
    if (now >= run.next_message) {
      publish(clients);
      run.next_message += (uint64_t)(1e9 / clients->options->rate);
    }
    if (churn > 0 && now >= run.next_arrival) {
      pass(clients);
      run.next_arrival += (uint64_t)(1e9 / churn);
    }
    clients_turn(clients, until);
  }
}

static bool is_settled(const struct clients *clients) {
  if (!aside_is_over()) return false;
  for (int i = 0; i <= run.subscribers; i++) {
    const struct client *client = &clients->all[i];
    if (client->phase == OPEN && client->expected[LARGE] != run.published && client->expected[LARGE] != ANY)
      return false;
  }
  for (int i = run.subscribers + 2; i < run.subscribers + 2 + (int)(clients->options->churn * PLACES); i++)
    if (clients->all[i].phase != GONE) return false;
  return true;
}

static void settle(struct clients *clients) {
  run.is_over = true;
  aside_stop();
  uint64_t deadline = now_ns() + 15 * 1000000000ull;
  while (!is_void(clients) && !is_settled(clients)) {
    uint64_t pause = now_ns() + 5000000;
    while (now_ns() < pause && !is_void(clients)) clients_turn(clients, pause);
    if (now_ns() > deadline) report_void(clients->report, "the last messages did not come");
  }
}

// What was to happen beside the small room must have happened, or its times mean nothing.
static void check(struct clients *clients) {
  const struct options *options = clients->options;
  double coming = (options->churn + options->disconnects) * options->seconds;
  if (clients->report->passed < coming / 2)
    report_void(clients->report, "only %d clients came and went", clients->report->passed);
  if ((double)run.sent < options->sends * options->seconds / 2)
    report_void(clients->report, "the host sent only %llu messages", (unsigned long long)run.sent);
}

static bool prepare(struct clients *clients) {
  const struct options *options = clients->options;
  int places = (int)(options->churn * PLACES), total = options->subscribers + 2 + places;
  run.subscribers = run.unheard = options->subscribers;
  if (!clients_init(clients, total)) return false;
  run.free = calloc((size_t)places + 1, sizeof *run.free);
  uint32_t *expected = calloc((size_t)total * SEQUENCES, sizeof *expected);
  if (run.free == NULL || expected == NULL) {
    report_void(clients->report, "no memory");
    return false;
  }
  for (int i = 0; i < total; i++) {
    clients->all[i].expected = expected + i * SEQUENCES;
    clients->all[i].expected[LARGE] = ANY;
    if (i > options->subscribers + 1) run.free[run.free_count++] = &clients->all[i];
  }
  // The places are empty until somebody comes.
  clients->count = options->subscribers + 2;
  return clients_connect(clients);
}

void run_beside(const struct options *options, struct report *report) {
  struct clients clients = {.options = options, .report = report, .on_message = on_message, .on_read = on_read,
                            .on_gone = on_gone, .path = path, .closing_code = COME_BACK};
  prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
  report->start = usage_of(options->pid);
  uint64_t time = now_ns();
  if (options->rate <= 0 || options->size != STAMP_SIZE) report_void(report, "beside needs a rate, and 32 bytes");
  if (is_void(&clients) || !prepare(&clients)) return;
  report->connections = (uint64_t)clients.count;
  report->connect_seconds = (double)(now_ns() - time) / 1e9;
  report->connected = usage_of(options->pid);
  clients.is_spinning = true;
  run.next_message = now_ns();
  pace(&clients, now_ns() + 20 * 1000000000ull, 0);
  if (run.unheard > 0) report_void(report, "%d subscribers were not reached", run.unheard);
  run.deliveries = run.sent = report->reads = 0;
  report->passed = 0;
  report->begin = usage_of(options->pid);
  report->self_begin = usage_of(getpid());
  time = now_ns();
  uint32_t before = run.published;
  aside_start(&clients, &clients.all[options->subscribers + 1]);
  pace(&clients, time + (uint64_t)(options->seconds * 1e9), options->churn);
  report->seconds = (double)(now_ns() - time) / 1e9;
  check(&clients);
  settle(&clients);
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
  report->messages = run.published - before;
  report->deliveries = run.deliveries;
}
