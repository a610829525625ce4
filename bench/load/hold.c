// Connections that say nothing: what they cost in memory, and in time when pings pass.
#define _GNU_SOURCE
#include "load.h"

#include <unistd.h>

static void on_message(struct clients *clients, struct client *client, const uint8_t *payload, size_t len,
                       uint64_t now) {
  (void)client, (void)payload, (void)len, (void)now;
  report_void(clients->report, "a message that nobody sent");
}

static void hold(struct clients *clients, double seconds) {
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  while (now_ns() < end && !is_void(clients)) clients_turn(clients, end);
}

void run_idle(const struct options *options, struct report *report) {
  struct clients clients = {.options = options, .report = report, .on_message = on_message};
  report->start = usage_of(options->pid);
  uint64_t time = now_ns();
  if (!clients_init(&clients, options->subscribers) || !clients_connect(&clients)) return;
  report->connections = (uint64_t)clients.count;
  report->connect_seconds = (double)(now_ns() - time) / 1e9;
  // What handshakes left behind is let go of before the connections are counted as idle.
  hold(&clients, 1);
  clients_check_form(&clients);
  report->connected = report->begin = usage_of(options->pid);
  report->self_begin = usage_of(getpid());
  time = now_ns();
  hold(&clients, options->seconds);
  report->seconds = (double)(now_ns() - time) / 1e9;
  report->end = usage_of(options->pid);
  report->self_end = usage_of(getpid());
}
