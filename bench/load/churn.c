// Connections that come, say goodbye and go: a fixed number at a time, each replaced by a new one.
#define _GNU_SOURCE
#include "load.h"

#include <unistd.h>

static bool is_over;

static void on_message(struct clients *clients, struct client *client, const uint8_t *payload, size_t len,
                       uint64_t now) {
  (void)client, (void)payload, (void)len, (void)now;
  report_void(clients->report, "a message that nobody sent");
}

// The upgrade is done.
static void on_read(struct clients *clients, struct client *client) {
  if (client->phase == OPEN) client_leave(clients, client);
}

// The server has answered, and ended the stream.
static void on_gone(struct clients *clients, struct client *client) {
  clients->report->connections++;
  if (!is_over) client_start(clients, client);
}

void run_churn(const struct options *options, struct report *report) {
  struct clients clients = {
    .options = options, .report = report, .on_message = on_message, .on_read = on_read, .on_gone = on_gone};
  if (!clients_init(&clients, options->subscribers)) return;
  report->start = report->connected = report->begin = usage_of(options->pid);
  report->self_begin = usage_of(getpid());
  uint64_t time = now_ns(), end = time + (uint64_t)(options->seconds * 1e9);
  for (int i = 0; i < clients.count; i++) client_start(&clients, &clients.all[i]);
  while (now_ns() < end && !is_void(&clients)) clients_turn(&clients, end);
  is_over = true;
  uint64_t deadline = now_ns() + 10 * 1000000000ull;
  for (bool is_done = false; !is_done && !is_void(&clients);) {
    is_done = true;
    for (int i = 0; i < clients.count; i++) is_done = is_done && clients.all[i].phase == GONE;
    if (!is_done) clients_turn(&clients, now_ns() + 10000000ull);
    if (now_ns() > deadline) report_void(report, "a connection did not end");
  }
  report->seconds = (double)(now_ns() - time) / 1e9;
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
}
