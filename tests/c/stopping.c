/* Eight threads publish while one stops, again and again: each call is OK or STOPPED, and each message
 * that was taken reaches each reader exactly once before its close frame. A thread that waits for
 * events is woken by the stop.
 *
 *   stopping [ROUNDS]
 */
#include "ws.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8, READERS = 2 };

static ws readers[READERS];
static atomic_int begun, published;

static void *publish(void *argument) {
  chat_server *server = argument;
  begun++;
  for (;;) {
    chat_status status = chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("x"), NULL);
    if (status == CHAT_ERR_STOPPED) return NULL;
    CHECK_OK(status);
    published++;
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
  CHECK_OK(chat_server_stop(server, 30000));
  return NULL;
}

static void await_clients(chat_server *server, uint64_t count) {
  chat_stats stats;
  do CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  while (stats.connections_accepted < count);
}

static void one_round(void) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  chat_server *server = start(config);
  for (int i = 0; i < READERS; i++) ws_connect(&readers[i], server, "/", "");
  await_clients(server, READERS);
  pthread_t threads[THREADS], waiting, stopping;
  begun = published = 0;
  CHECK(pthread_create(&waiting, NULL, wait_for_events, server) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, publish, server) == 0);
  while (begun < THREADS) sched_yield();
  CHECK(pthread_create(&stopping, NULL, stop, server) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  int expected = published;
  for (int i = 0; i < READERS; i++) {
    int received = 0, opcode;
    while ((opcode = ws_recv(&readers[i])) == WS_TEXT) received++;
    CHECK(opcode == WS_CLOSE);
    CHECK(received == expected);
    ws_send(&readers[i], WS_CLOSE, readers[i].data, 2);
  }
  pthread_join(stopping, NULL);
  pthread_join(waiting, NULL);
  for (int i = 0; i < READERS; i++) close(readers[i].fd);
  chat_server_free(server);
}

int main(int argc, char **argv) {
  begin();
  int rounds = argc > 1 ? atoi(argv[1]) : 20;
  for (int i = 0; i < rounds; i++) one_round();
  return 0;
}
