// Clients in one or several rooms follow what the host publishes, broadcasts and sends to them.
//
// The host says when each sequence begins and when it has ended, so that none can be lost or doubled unseen:
// neither at its begin nor at its end, and none of a room that a client is not in.
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Stand for the next sequence number: of a room that the client is not in, before the begin, after the end.
#define FOREIGN UINT32_MAX
#define AWAITED (UINT32_MAX - 1)
#define ENDED (UINT32_MAX - 2)
// How long the host may take beyond the time that it publishes.
#define PATIENCE_NS (60 * 1000000000ull)
#define THREADS "libchat-"

static struct {
  struct layout layout;
  uint64_t to_begin; // sequences of rooms that have not begun, of all clients
  uint64_t open;     // sequences that have not ended
  uint64_t got, first_ns, last_ns;
  uint64_t step, due; // deliveries of a batch; after how many the host is to publish the next
  struct client *aside, *control;
} run;

// Behind the rooms come what is sent to the client alone, and what is broadcast.
static uint32_t *sequence_of(struct client *client, uint32_t publisher) {
  if (publisher < (uint32_t)run.layout.rooms) return &client->expected[publisher];
  if (publisher == SENT || publisher == ALL) return &client->expected[(uint32_t)run.layout.rooms + publisher - SENT];
  return NULL;
}

static void begin(struct clients *clients, uint32_t *expected, uint32_t publisher) {
  if (*expected != AWAITED) {
    report_void(clients->report, "publisher %u began for a client that does not await it", publisher);
    return;
  }
  *expected = 0;
  if (publisher == SENT || publisher == ALL) {
    run.open++;
  } else {
    run.to_begin--;
  }
}

// Everybody has the batch: the host waits for this, so that it is never ahead of the slowest reader.
static void ask_for_next(struct clients *clients) {
  uint8_t frame[32];
  run.due += run.step;
  client_send(clients, run.control, frame, wire_text(frame, (const uint8_t *)"next", 4));
}

static void on_message(struct clients *clients, struct client *client, const uint8_t *payload, size_t len,
                       uint64_t now) {
  struct stamp stamp = {0};
  if (len >= STAMP_SIZE) stamp = wire_stamp(payload);
  if (len >= STAMP_SIZE && stamp.publisher == ASIDE) {
    aside_message(clients, &stamp, now);
    return;
  }
  uint32_t publisher = stamp.publisher & ~(BEGINS | ENDS), *expected = sequence_of(client, publisher);
  if (len != (size_t)clients->options->size || expected == NULL) {
    report_void(clients->report, "a message of %zu bytes, publisher %u", len, publisher);
    return;
  }
  if (stamp.publisher & BEGINS) {
    begin(clients, expected, publisher);
    return;
  }
  if (stamp.sequence != *expected) {
    report_void(clients->report, "message %u of publisher %u came where %u was due", stamp.sequence, publisher,
                *expected);
    return;
  }
  run.last_ns = now;
  if (stamp.publisher & ENDS) {
    *expected = ENDED;
    run.open--;
    return;
  }
  if (run.first_ns == 0) run.first_ns = stamp.time_ns;
  *expected = stamp.sequence + 1;
  if (++run.got == run.due) ask_for_next(clients);
}

static void path(const struct clients *clients, const struct client *client, char *out, size_t size) {
  int number = (int)(client - clients->all);
  if (client == run.aside) {
    snprintf(out, size, "/rooms/small?client=%d", number);
  } else if (client == run.control) {
    snprintf(out, size, "/rooms/control?echo=false");
  } else {
    snprintf(out, size, "/rooms/r%d?client=%d", layout_first(&run.layout, number), number);
  }
}

static bool prepare(struct clients *clients) {
  const struct options *options = clients->options;
  run.layout = (struct layout){options->subscribers, options->rooms, options->joins, options->bridges};
  int total = options->subscribers + options->aside + (options->batch > 0 ? 1 : 0), sequences = options->rooms + 2;
  if (!clients_init(clients, total)) return false;
  if (options->aside > 0) run.aside = &clients->all[options->subscribers];
  if (options->batch > 0) run.control = &clients->all[total - 1];
  for (int i = 0; i < total; i++) {
    uint32_t *expected = clients->all[i].expected = calloc((size_t)sequences, sizeof *expected);
    if (expected == NULL) {
      report_void(clients->report, "no memory");
      return false;
    }
    for (int room = 0; room < options->rooms; room++) {
      bool is_member = i < options->subscribers && layout_has(&run.layout, i, room);
      expected[room] = is_member ? AWAITED : FOREIGN;
      if (is_member) run.to_begin++;
    }
    expected[options->rooms] = expected[options->rooms + 1] = AWAITED;
  }
  run.open = run.to_begin;
  run.step = run.due = run.to_begin * (uint64_t)(options->batch / options->rooms);
  return clients_connect(clients);
}

static void await_begin(struct clients *clients) {
  uint64_t deadline = now_ns() + 30 * 1000000000ull;
  while (run.to_begin > 0 && !is_void(clients)) {
    clients_turn(clients, now_ns() + 100000000ull);
    if (now_ns() > deadline)
      report_void(clients->report, "%llu sequences did not begin", (unsigned long long)run.to_begin);
  }
}

static void await_end(struct clients *clients, uint64_t deadline) {
  bool is_timed = run.aside == NULL;
  while ((run.open > 0 || !aside_is_over()) && !is_void(clients)) {
    clients_turn(clients, now_ns() + 100000000ull);
    // The small room's client is timed for as long as others are written to.
    if (!is_timed && run.first_ns > 0) {
      is_timed = true;
      aside_start(clients, run.aside);
    }
    if (run.open == 0) aside_stop();
    if (now_ns() > deadline)
      report_void(clients->report, "%llu sequences did not end", (unsigned long long)run.open);
  }
  uint64_t until = now_ns() + 30000000ull;
  while (now_ns() < until && !is_void(clients)) clients_turn(clients, until);
}

void run_follow(const struct options *options, struct report *report) {
  struct clients clients = {.options = options, .report = report, .on_message = on_message, .path = path};
  report->start = usage_of_threads(options->pid, THREADS);
  uint64_t time = now_ns();
  if (!prepare(&clients)) return;
  report->connections = (uint64_t)clients.count;
  report->connect_seconds = (double)(now_ns() - time) / 1e9;
  await_begin(&clients);
  if (is_void(&clients)) return;
  // The host waits for a moment between the begin and the first message.
  clients.is_spinning = true;
  report->reads = 0;
  report->connected = report->begin = usage_of_threads(options->pid, THREADS);
  report->self_begin = usage_of(getpid());
  await_end(&clients, now_ns() + (uint64_t)(options->seconds * 1e9) + PATIENCE_NS);
  report->end = usage_of_threads(options->pid, THREADS);
  report->self_end = usage_of(getpid());
  report->seconds = run.last_ns > run.first_ns ? (double)(run.last_ns - run.first_ns) / 1e9 : 0;
  report->deliveries = run.got;
}
