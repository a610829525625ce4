// Rooms in which publishers speak and everybody checks every message.
//
// With one room: fan-out, all talking, paced, round trip, stalled readers; with many: rooms.
#define _GNU_SOURCE
#include "load.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

// How long the last messages may take to arrive.
#define DRAIN_NS (15 * 1000000000ull)
// How far a paced server may stay behind.
#define PACED_WINDOW 100000

static struct {
  bool is_probing, is_publishing;
  // Publishers of which messages came back in the bytes at hand.
  struct client **due;
  int due_count;
  uint64_t *messages; // published, for each room
  uint64_t probes_missing, expected, got;
  uint8_t *batch;
} run;

static size_t message(const struct options *options, const struct client *from, uint8_t *out,
                      const struct stamp *stamp) {
  size_t size = (size_t)options->size;
  if (from->form == JSON) return json_message(out, stamp, size);
  return options->is_centrifuge ? centrifuge_message(out, stamp, size) : wire_message(out, stamp, size);
}

static void publish(struct clients *clients, struct client *client, int count) {
  const struct options *options = clients->options;
  struct stamp stamp = {
    .publisher = (uint32_t)(client->room * options->publishers + client->publisher),
    .time_ns = now_ns(),
  };
  size_t len = 0;
  for (int i = 0; i < count; i++) {
    stamp.sequence = client->next++;
    len += message(options, client, run.batch + len, &stamp);
  }
  client->in_flight += count;
  run.messages[client->room] += (uint64_t)count;
  client_send(clients, client, run.batch, len);
}

static void on_probe(struct clients *clients, struct client *client, const struct stamp *stamp) {
  if (client->probes > 0 && client->probes != stamp->sequence) {
    report_void(clients->report, "a probe was lost or came twice");
  } else if (client->probes == 0) {
    run.probes_missing--;
  }
  client->probes = stamp->sequence + 1;
}

static void on_message(struct clients *clients, struct client *client, const uint8_t *payload, size_t len,
                       uint64_t now) {
  const struct options *options = clients->options;
  if (len != (size_t)options->size) {
    report_void(clients->report, "a message of %zu bytes", len);
    return;
  }
  struct stamp stamp = wire_stamp(payload);
  if (stamp.publisher & PROBE) {
    on_probe(clients, client, &stamp);
    return;
  }
  uint32_t number = stamp.publisher - (uint32_t)(client->room * options->publishers);
  if (number >= (uint32_t)options->publishers) {
    report_void(clients->report, "a message of another room: publisher %u", stamp.publisher);
    return;
  }
  if (stamp.sequence != client->expected[number]) {
    report_void(clients->report, "message %u of publisher %u came where %u was due", stamp.sequence,
                stamp.publisher, client->expected[number]);
    return;
  }
  client->expected[number]++;
  client->order = (client->order ^ ((uint64_t)stamp.publisher << 32 | stamp.sequence)) * 0x9e3779b97f4a7c15u;
  run.got++;
  histogram_add(&clients->report->latency, now - stamp.time_ns);
  struct client *publisher = &clients->all[number * (uint32_t)options->rooms + (uint32_t)client->room];
  bool is_back = options->is_fair ? window_received(publisher->window, stamp.sequence) : (int)number == client->publisher;
  if (is_back && publisher->arrived++ == 0) run.due[run.due_count++] = publisher;
}

static void on_read(struct clients *clients, struct client *client) {
  (void)client;
  while (run.due_count > 0) {
    struct client *publisher = run.due[--run.due_count];
    int count = publisher->arrived;
    publisher->arrived = 0;
    publisher->in_flight -= count;
    if (!run.is_publishing || clients->options->rate > 0) continue;
    // A program writes each message by itself: how many a server joins is its own doing.
    int at_once = clients->options->is_fair ? 1 : count;
    for (int left = count; left > 0; left -= at_once) publish(clients, publisher, at_once);
  }
}

// A server answers the upgrade before the client is in its room, so that the first messages could
// pass it by: probes go out until everybody has seen one.
static void await_rooms(struct clients *clients) {
  const struct options *options = clients->options;
  uint8_t frame[STAMP_SIZE + 14 + 65536 + OVERHEAD];
  uint64_t deadline = now_ns() + 20 * 1000000000ull;
  uint32_t sent = 0;
  run.probes_missing = (uint64_t)clients->count;
  while (run.probes_missing > 0 && !is_void(clients)) {
    struct stamp stamp = {.publisher = PROBE, .sequence = sent++};
    for (int i = 0; i < clients->count; i++) {
      struct client *client = &clients->all[i];
      if (client->publisher == 0) client_send(clients, client, frame, message(options, client, frame, &stamp));
    }
    uint64_t pause = now_ns() + 200000000ull;
    while (run.probes_missing > 0 && now_ns() < pause && !is_void(clients)) clients_turn(clients, pause);
    if (now_ns() > deadline) report_void(clients->report, "not everybody came into the room");
  }
  // The last probes must be out of the way.
  for (bool is_done = false; !is_done && !is_void(clients);) {
    is_done = true;
    for (int i = 0; i < clients->count; i++) is_done = is_done && clients->all[i].probes == sent;
    if (!is_done) clients_turn(clients, now_ns() + 10000000ull);
    if (now_ns() > deadline) report_void(clients->report, "not everybody saw the last probe");
  }
}

// Publishers come first: they hear of their messages early, and the server never waits for them.
// `speakers` of each room are publishers themselves.
static bool assign(struct clients *clients, int speakers) {
  const struct options *options = clients->options;
  for (int i = 0; i < clients->count; i++) {
    struct client *client = &clients->all[i];
    int place = i / options->rooms;
    client->room = i % options->rooms;
    client->publisher = place < speakers ? place : -1;
    if (client->publisher >= 0 && client->form == EVENTS) client->form = PLAIN;
    client->expected = calloc((size_t)options->publishers, sizeof *client->expected);
    if (client->expected == NULL) return false;
    if (options->is_fair && client->publisher >= 0) {
      int readers = options->publishers + options->subscribers - (client->room == 0 ? options->stalled : 0);
      client->window = window_new(options->window, readers);
      if (client->window == NULL) return false;
    }
  }
  run.due = calloc((size_t)clients->count, sizeof *run.due);
  run.messages = calloc((size_t)options->rooms, sizeof *run.messages);
  run.batch = malloc((size_t)options->window * ((size_t)options->size + 14 + OVERHEAD));
  return run.messages != NULL && run.batch != NULL && run.due != NULL;
}

static void stall(struct clients *clients) {
  for (int i = 0; i < clients->options->stalled; i++) {
    struct client *client = &clients->all[clients->count - 1 - i];
    client->phase = STALLED;
    epoll_ctl(clients->epoll, EPOLL_CTL_DEL, client->fd, NULL);
  }
}

static void speak(struct clients *clients) {
  const struct options *options = clients->options;
  uint64_t start = now_ns(), end = start + (uint64_t)(options->seconds * 1e9);
  run.is_publishing = true;
  if (options->rate == 0)
    for (int i = 0; i < clients->count; i++)
      if (clients->all[i].publisher >= 0) publish(clients, &clients->all[i], options->window);
  for (uint64_t turn = 0; !is_void(clients);) {
    uint64_t now = now_ns(), due = end;
    if (now >= end) break;
    if (options->rate > 0) {
      due = start + (uint64_t)((double)turn * 1e9 / options->rate);
      if (now >= due) {
        for (int i = 0; i < clients->count; i++) {
          if (clients->all[i].publisher < 0) continue;
          publish(clients, &clients->all[i], 1);
          if (clients->all[i].in_flight > PACED_WINDOW) report_void(clients->report, "the server cannot keep up");
        }
        turn++;
        continue;
      }
    }
    clients_turn(clients, due < end ? due : end);
  }
  run.is_publishing = false;
}

static void drain(struct clients *clients, uint64_t timeout_ns) {
  const struct options *options = clients->options;
  for (int room = 0; room < options->rooms; room++) {
    uint64_t listening = (uint64_t)(clients->count / options->rooms);
    if (room == 0) listening -= (uint64_t)options->stalled;
    run.expected += run.messages[room] * listening;
    clients->report->messages += run.messages[room];
  }
  uint64_t deadline = now_ns() + timeout_ns;
  while (run.got < run.expected && !is_void(clients)) {
    clients_turn(clients, now_ns() + 100000000ull);
    if (now_ns() > deadline)
      report_void(clients->report, "%llu of %llu deliveries came", (unsigned long long)run.got,
                  (unsigned long long)run.expected);
  }
}

// Nothing may come after the last message, and all of a room must have seen one order.
static void check_end(struct clients *clients) {
  uint64_t until = now_ns() + 30000000ull;
  while (now_ns() < until && !is_void(clients)) clients_turn(clients, until);
  if (run.got != run.expected) report_void(clients->report, "a message came twice");
  for (int i = 0; i < clients->count; i++) {
    struct client *client = &clients->all[i];
    // The first of a room is its first publisher.
    if (client->phase == OPEN && client->order != clients->all[client->room].order)
      report_void(clients->report, "two clients of a room saw different orders");
    if (client->phase == STALLED) {
      struct pollfd state = {.fd = client->fd, .events = POLLRDHUP};
      if (poll(&state, 1, 0) == 1) clients->report->stalled_closed++;
    }
  }
}

void run_traffic(const struct options *options, struct report *report) {
  struct clients clients = {.options = options, .report = report, .on_message = on_message, .on_read = on_read};
  // Paced messages leave when they are due.
  prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
  report->start = usage_of(options->pid);
  uint64_t time = now_ns();
  if (!clients_init(&clients, options->rooms * (options->publishers + options->subscribers))) return;
  if (!assign(&clients, options->publishers)) report_void(report, "no memory");
  if (!clients_connect(&clients)) return;
  report->connections = (uint64_t)clients.count;
  report->connect_seconds = (double)(now_ns() - time) / 1e9;
  await_rooms(&clients);
  report->connected = usage_of(options->pid);
  clients.is_spinning = true;
  report->reads = report->frame_bytes = 0;
  stall(&clients);
  report->begin = usage_of(options->pid);
  report->self_begin = usage_of(getpid());
  time = now_ns();
  speak(&clients);
  drain(&clients, DRAIN_NS);
  report->seconds = (double)(now_ns() - time) / 1e9;
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
  report->deliveries = run.got;
  if (!is_void(&clients)) check_end(&clients);
  clients_check_form(&clients);
}

// The host publishes as soon as it counts all connections.
void run_listen(const struct options *options, struct report *report) {
  struct clients clients = {.options = options, .report = report, .on_message = on_message, .on_read = on_read};
  report->start = usage_of(options->pid);
  uint64_t time = now_ns();
  if (!clients_init(&clients, options->rooms * options->subscribers)) return;
  if (!assign(&clients, 0)) report_void(report, "no memory");
  for (int room = 0; room < options->rooms; room++)
    run.messages[room] = (uint64_t)options->messages * (uint64_t)options->publishers;
  if (!clients_connect(&clients)) return;
  report->connections = (uint64_t)clients.count;
  report->connect_seconds = (double)(now_ns() - time) / 1e9;
  report->connected = report->begin = usage_of(options->pid);
  clients.is_spinning = true;
  report->reads = report->frame_bytes = 0;
  report->self_begin = usage_of(getpid());
  time = now_ns();
  drain(&clients, (uint64_t)(options->seconds * 1e9));
  report->seconds = (double)(now_ns() - time) / 1e9;
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
  report->deliveries = run.got;
  if (!is_void(&clients)) check_end(&clients);
}
