/* A thread of the host that is cancelled inside a call ends after the call, which holds nothing for ever. */
#include "ws.h"

#include <pthread.h>
#include <stdatomic.h>

static chat_server *server;
static atomic_int has_begun, has_stopped;

/* Waits for a client that does not leave. */
static void *stop(void *unused) {
  (void)unused;
  has_begun = 1;
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_stop(server, 1000));
  has_stopped = 1;
  for (;;) pthread_testcancel();
}

/* Writes to the descriptor that wakes a shard, again and again. */
static void *broadcast(void *unused) {
  (void)unused;
  for (;;) {
    has_begun = 1;
    CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("x")));
    pthread_testcancel();
  }
}

static void *wait_for_events(void *unused) {
  (void)unused;
  has_begun = 1;
  chat_events *events;
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_next_events(server, 100, &events));
  for (;;) pthread_testcancel();
}

/* Cancels a thread that is in a call, or between two. */
static void cancel(void *(*body)(void *)) {
  pthread_t thread;
  void *result;
  has_begun = 0;
  CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
  while (!has_begun) sched_yield();
  CHECK(pthread_cancel(thread) == 0);
  CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
}

int main(void) {
  begin();
  server = start_with_queue();
  static ws client;
  ws_connect(&client, server, "/", "");
  feed events = {.server = server};
  feed_until(&events, CHAT_EVENT_CONNECTED);
  feed_free(&events);
  for (int i = 0; i < 100; i++) cancel(broadcast);
  cancel(wait_for_events);
  CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("last")));
  do {
    CHECK(ws_recv(&client) == WS_TEXT);
  } while (!text_is(client.data, client.len, "last"));
  cancel(stop);
  CHECK(has_stopped);
  CHECK_OK(chat_server_stop(server, 0));
  chat_server_free(server);
  return 0;
}
