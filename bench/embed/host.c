// A server whose clients have numbers: the generator says them in the query, the events bring the ids.
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *host_text(int argc, char **argv, const char *name, const char *otherwise) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) return argv[i + 1];
  return otherwise;
}

double host_number(int argc, char **argv, const char *name) {
  const char *text = host_text(argc, argv, name, NULL);
  char *end = NULL;
  double value = text == NULL ? 0 : strtod(text, &end);
  if (text == NULL || end == text || *end != '\0' || value < 0) {
    fprintf(stderr, "usage: --%s NUMBER is needed\n", name);
    exit(2);
  }
  return value;
}

void host_check(chat_status status, const char *call) {
  if (status == CHAT_OK) return;
  fprintf(stderr, "%s: %s\n", call, chat_status_message(status));
  exit(1);
}

// The number that a client says of itself; -1: none.
static int number_of(const struct host *host, const chat_event *event) {
  char query[32];
  int number = -1;
  if (event->query_len >= sizeof query) return -1;
  memcpy(query, event->query, event->query_len);
  query[event->query_len] = '\0';
  return sscanf(query, "client=%d", &number) == 1 && number >= 0 && number < host->capacity ? number : -1;
}

static void on_events(void *user_data, const chat_event *const *events, size_t count) {
  struct host *host = user_data;
  pthread_mutex_lock(&host->mutex);
  for (size_t i = 0; i < count; i++) {
    if (events[i]->type == CHAT_EVENT_MESSAGE) {
      host->messages++;
    } else if (events[i]->type == CHAT_EVENT_CONNECTED) {
      int number = number_of(host, events[i]);
      if (number < 0) continue;
      // One that comes back may be told of before its last connection's end is.
      if (host->ids[number] == 0) host->connected++;
      host->ids[number] = events[i]->client;
    } else if (events[i]->type == CHAT_EVENT_DISCONNECTED) {
      for (int number = 0; number < host->capacity; number++) {
        if (host->ids[number] != events[i]->client) continue;
        host->ids[number] = 0;
        host->connected--;
        break;
      }
    }
  }
  pthread_cond_broadcast(&host->changed);
  pthread_mutex_unlock(&host->mutex);
}

chat_config *host_config(int argc, char **argv) {
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  if (config == NULL) exit(1);
  host_check(chat_config_add_listen(config, "127.0.0.1:0", 11), "chat_config_add_listen");
  host_check(chat_config_set_workers(config, (uint32_t)host_number(argc, argv, "workers")), "chat_config_set_workers");
  return config;
}

void host_serve(chat_config *config, chat_server **server) {
  chat_error *error = NULL;
  if (chat_server_start(config, server, &error) != CHAT_OK) {
    fprintf(stderr, "%s\n", chat_error_message(error));
    exit(1);
  }
  chat_config_free(config);
  char addr[CHAT_ADDR_SIZE];
  size_t len;
  host_check(chat_server_local_addr(*server, 0, addr, sizeof addr, &len), "chat_server_local_addr");
  printf("listening on %.*s\n", (int)len, addr);
  fflush(stdout);
}

void host_start(struct host *host, int argc, char **argv) {
  int aside = atoi(host_text(argc, argv, "aside", "0"));
  *host = (struct host){.capacity = (int)host_number(argc, argv, "subscribers") + aside};
  pthread_mutex_init(&host->mutex, NULL);
  pthread_cond_init(&host->changed, NULL);
  host->ids = calloc((size_t)host->capacity, sizeof *host->ids);
  if (host->ids == NULL) exit(1);
  chat_config *config = host_config(argc, argv);
  // A host waits for as long as the run lasts.
  host_check(chat_config_set_publish_timeout(config, 60000), "chat_config_set_publish_timeout");
  host_check(chat_config_set_event_handler(config, on_events, host, NULL), "chat_config_set_event_handler");
  host_serve(config, &host->server);
}

static bool all_connected(const struct host *host, uint64_t count) {
  (void)count;
  return host->connected == host->capacity;
}

static bool none_connected(const struct host *host, uint64_t count) {
  (void)count;
  return host->connected == 0;
}

static bool has_messages(const struct host *host, uint64_t count) { return host->messages >= count; }

static void await(struct host *host, bool (*is_so)(const struct host *, uint64_t), uint64_t count) {
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += 60;
  int error = 0;
  pthread_mutex_lock(&host->mutex);
  while (!is_so(host, count) && error != ETIMEDOUT)
    error = pthread_cond_timedwait(&host->changed, &host->mutex, &deadline);
  bool is_reached = is_so(host, count);
  int connected = host->connected;
  pthread_mutex_unlock(&host->mutex);
  if (is_reached) return;
  fprintf(stderr, "the generator keeps the host waiting, with %d clients connected\n", connected);
  exit(1);
}

void host_await_all(struct host *host) { await(host, all_connected, 0); }

void host_await_none(struct host *host) { await(host, none_connected, 0); }

void host_await_messages(struct host *host, uint64_t count) { await(host, has_messages, count); }

chat_client_id host_client(struct host *host, int number) {
  pthread_mutex_lock(&host->mutex);
  chat_client_id id = host->ids[number];
  pthread_mutex_unlock(&host->mutex);
  return id;
}

void host_sleep_until(uint64_t time_ns) {
  struct timespec time = {.tv_sec = (time_t)(time_ns / 1000000000u), .tv_nsec = (long)(time_ns % 1000000000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) continue;
}

void host_end(struct host *host) {
  host_await_none(host);
  chat_server_stop(host->server, 5000);
  chat_server_free(host->server);
  free(host->ids);
}
