// Publishes from inside the process, through the C ABI: what a call costs the host.
//
// usage: publish THREADS SUBSCRIBERS MESSAGES SIZE BATCH KEYS
// Prints where it listens, waits for its subscribers, publishes MESSAGES from each thread, BATCH of
// them in a call, each with a key of its own if KEYS is 1, prints a line of JSON, and ends when the subscribers have left.
#define _GNU_SOURCE
#include "../load/load.h"
#include <libchat.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 64
#define MAX_BATCH 1024

struct publisher {
  chat_server *server;
  uint32_t number;
  int messages, batch;
  bool has_keys;
  size_t size;
  pthread_barrier_t *start;
  uint64_t wall_ns, cpu_ns;
  chat_status status;
};

static uint64_t cpu_now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void *publish(void *argument) {
  struct publisher *self = argument;
  uint8_t *payloads = malloc(self->size * (size_t)self->batch);
  if (payloads == NULL) abort();
  chat_message messages[MAX_BATCH] = {0};
  struct stamp stamp = {.publisher = self->number, .time_ns = now_ns()};
  for (int i = 0; i < self->batch; i++) {
    uint8_t *payload = payloads + (size_t)i * self->size;
    wire_payload(payload, &stamp, self->size);
    messages[i] = (chat_message){.room = "lobby", .room_len = 5, .kind = CHAT_TEXT, .data = payload, .data_len = self->size};
  }
  char key[16];
  wire_number((uint8_t *)key, self->number);
  chat_publish_options with_key = {.size = sizeof with_key, .key = key, .key_len = sizeof key};
  pthread_barrier_wait(self->start);
  uint64_t wall = now_ns(), cpu = cpu_now_ns();
  for (int sent = 0; sent < self->messages && self->status == CHAT_OK; sent += self->batch) {
    // Only the sequence number changes, so that next to nothing but the call is measured.
    for (int i = 0; i < self->batch; i++) wire_number(payloads + (size_t)i * self->size + 8, (uint32_t)(sent + i));
    if (self->has_keys) {
      memcpy(key + 8, payloads + 8, 8);
      self->status = chat_server_publish_with(self->server, "lobby", 5, CHAT_TEXT, payloads, self->size, &with_key, NULL, NULL);
    } else if (self->batch == 1) {
      self->status = chat_server_publish(self->server, "lobby", 5, CHAT_TEXT, payloads, self->size, NULL);
    } else {
      self->status = chat_server_publish_batch(self->server, messages, sizeof *messages, (size_t)self->batch, NULL, NULL);
    }
  }
  self->cpu_ns = cpu_now_ns() - cpu;
  self->wall_ns = now_ns() - wall;
  free(payloads);
  return NULL;
}

// Waits until the server has so many clients; false if it has not within a minute.
static bool await_clients(chat_server *server, uint64_t count) {
  for (int i = 0; i < 6000; i++) {
    chat_stats stats;
    if (chat_server_stats(server, &stats, sizeof stats) != CHAT_OK) return false;
    if (stats.connections == count) return true;
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  return false;
}

static chat_server *start(void) {
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  chat_server *server = NULL;
  chat_error *error = NULL;
  if (chat_config_add_listen(config, "127.0.0.1:0", 11) != CHAT_OK || chat_config_set_workers(config, 1) != CHAT_OK ||
      // A host that waits is measured as well: it waits for as long as the run lasts.
      chat_config_set_publish_timeout(config, 60000) != CHAT_OK ||
      chat_server_start(config, &server, &error) != CHAT_OK) {
    fprintf(stderr, "%s\n", chat_error_message(error));
    exit(1);
  }
  chat_config_free(config);
  char addr[CHAT_ADDR_SIZE];
  size_t len;
  if (chat_server_local_addr(server, 0, addr, sizeof addr, &len) != CHAT_OK) exit(1);
  printf("listening on %.*s\n", (int)len, addr);
  fflush(stdout);
  return server;
}

int main(int argc, char **argv) {
  int numbers[6] = {0};
  for (int i = 0; i < 6 && argc == 7; i++) numbers[i] = atoi(argv[i + 1]);
  int threads = numbers[0], subscribers = numbers[1], messages = numbers[2], size = numbers[3], batch = numbers[4], keys = numbers[5];
  if (threads < 1 || threads > MAX_THREADS || subscribers < 0 || messages < 1 || size < STAMP_SIZE || batch < 1 ||
      batch > MAX_BATCH || messages % batch != 0 || keys < 0 || keys > 1 || (keys == 1 && batch > 1)) {
    fputs("usage: publish THREADS SUBSCRIBERS MESSAGES SIZE BATCH KEYS; BATCH divides MESSAGES, and is 1 if KEYS is\n", stderr);
    return 2;
  }
  chat_server *server = start();
  if (!await_clients(server, (uint64_t)subscribers)) return 1;
  // A client is counted a moment before it is in its room.
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  struct publisher publishers[MAX_THREADS] = {0};
  pthread_t handles[MAX_THREADS];
  for (int i = 0; i < threads; i++) {
    publishers[i] = (struct publisher){server, (uint32_t)i, messages, batch, keys == 1, (size_t)size, &barrier, 0, 0, CHAT_OK};
    if (pthread_create(&handles[i], NULL, publish, &publishers[i]) != 0) return 1;
  }
  double wall = 0, cpu = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(handles[i], NULL);
    if (publishers[i].status != CHAT_OK) {
      fprintf(stderr, "%s\n", chat_status_message(publishers[i].status));
      return 1;
    }
    wall += (double)publishers[i].wall_ns / messages / threads;
    cpu += (double)publishers[i].cpu_ns / messages / threads;
  }
  printf("{\"wall_ns_per_message\":%.1f,\"cpu_ns_per_message\":%.1f,\"allocations_per_message\":0}\n", wall, cpu);
  fflush(stdout);
  bool is_over = subscribers == 0 || await_clients(server, 0);
  chat_server_stop(server, 5000);
  chat_server_free(server);
  return is_over ? 0 : 1;
}
