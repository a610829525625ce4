/* Eight threads publish, broadcast and send while one stops, again and again: each call is OK or STOPPED,
 * and each message that was taken reaches each reader exactly once, in its thread's order, before its
 * close frame. A thread that waits for events is woken by the stop.
 *
 *   stopping [ROUNDS]
 */
#include "ws.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8, READERS = 2 };

/* One thread of the host: how many of its messages were taken. */
typedef struct publisher {
  chat_server *server;
  int index;
  chat_client_id only; /* the one client that it sends to, or 0 */
  atomic_int taken;
  pthread_t thread;
} publisher;

static ws readers[READERS];
static publisher publishers[THREADS];
static atomic_int is_stopping;

static chat_status say(publisher *publisher) {
  char text[32];
  size_t len = (size_t)snprintf(text, sizeof text, "%d/%d", publisher->index, publisher->taken);
  const uint8_t *data = (const uint8_t *)text;
  if (publisher->only) return chat_server_send(publisher->server, publisher->only, CHAT_TEXT, data, len);
  if (publisher->index % 2) return chat_server_broadcast(publisher->server, CHAT_TEXT, data, len);
  return chat_server_publish(publisher->server, TEXT("lobby"), CHAT_TEXT, data, len, NULL);
}

static void *publish(void *argument) {
  publisher *publisher = argument;
  for (;;) {
    chat_status status = say(publisher);
    if (status == CHAT_ERR_STOPPED) return NULL;
    CHECK_OK(status);
    publisher->taken++;
    /* On with it when the stop is: what was said long before shows nothing. */
    while (!is_stopping) sched_yield();
  }
}

/* Takes events without end, up to the one that wakes it last. */
static void *wait_for_events(void *server) {
  chat_events *events;
  for (;;) {
    chat_status status = chat_server_next_events(server, CHAT_WAIT_FOREVER, &events);
    if (status == CHAT_ERR_STOPPED) return NULL;
    CHECK_OK(status);
    chat_events_free(events);
  }
}

static void *stop(void *server) {
  is_stopping = 1;
  CHECK_OK(chat_server_stop(server, 30000));
  return NULL;
}

/* Reads up to the close frame, and nothing may follow it. */
static void check_reader(ws *reader, int is_addressed) {
  int next[THREADS] = {0}, opcode;
  while ((opcode = ws_recv(reader)) == WS_TEXT) {
    int thread, number;
    CHECK(sscanf((char *)reader->data, "%d/%d", &thread, &number) == 2);
    CHECK(thread >= 0 && thread < THREADS && number == next[thread]);
    next[thread]++;
  }
  CHECK(opcode == WS_CLOSE);
  for (int i = 0; i < THREADS; i++) {
    CHECK(next[i] == (publishers[i].only && !is_addressed ? 0 : publishers[i].taken));
  }
  ws_send(reader, WS_CLOSE, reader->data, 2);
  CHECK(ws_recv(reader) == WS_GONE);
  close(reader->fd);
}

static void one_round(void) {
  chat_server *server = start_with_queue();
  feed events = {.server = server};
  chat_client_id first = 0;
  for (int i = 0; i < READERS; i++) {
    ws_connect(&readers[i], server, "/", "");
    chat_client_id id = feed_until(&events, CHAT_EVENT_CONNECTED)->client;
    if (i == 0) first = id;
  }
  feed_free(&events);
  pthread_t waiting, stopping;
  is_stopping = 0;
  CHECK(pthread_create(&waiting, NULL, wait_for_events, server) == 0);
  for (int i = 0; i < THREADS; i++) {
    publisher *publisher = &publishers[i];
    publisher->server = server;
    publisher->index = i;
    publisher->only = i == THREADS - 1 ? first : 0;
    publisher->taken = 0;
    CHECK(pthread_create(&publisher->thread, NULL, publish, publisher) == 0);
  }
  for (int i = 0; i < THREADS; i++) {
    while (publishers[i].taken == 0) sched_yield();
  }
  CHECK(pthread_create(&stopping, NULL, stop, server) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(publishers[i].thread, NULL);
  for (int i = 0; i < READERS; i++) check_reader(&readers[i], i == 0);
  pthread_join(stopping, NULL);
  pthread_join(waiting, NULL);
  chat_server_free(server);
}

int main(int argc, char **argv) {
  begin();
  int rounds = argc > 1 ? atoi(argv[1]) : 20;
  for (int i = 0; i < rounds; i++) one_round();
  return 0;
}
