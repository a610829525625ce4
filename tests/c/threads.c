/* Every function from eight threads at once, up to the stop and beyond. */
#include "ws.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8, MESSAGES = 200 };

static ws alice;
static chat_client_id alice_id;
static atomic_int published;

static void *use(void *argument) {
  chat_server *server = argument;
  chat_status status = CHAT_OK;
  for (int i = 0; status == CHAT_OK; i++) {
    chat_position position = {0, 0};
    char addr[CHAT_ADDR_SIZE];
    chat_stats stats;
    status = chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("x"), &position);
    if (status == CHAT_OK) {
      CHECK(position.offset > 0);
      published++;
    }
    CHECK_OK(chat_server_local_addr(server, 0, addr, sizeof addr, NULL));
    CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_disconnect(server, 0, 1000, NULL, 0));
    if (i == MESSAGES) break;
  }
  CHECK_OK(status);
  return NULL;
}

static void *stop(void *server) {
  CHECK_OK(chat_server_stop(server, 10000));
  CHECK_STATUS(CHAT_ERR_STOPPED, chat_server_broadcast(server, CHAT_TEXT, DATA("late")));
  return NULL;
}

static void on_all_threads(void *(*function)(void *), chat_server *server, pthread_t *threads) {
  for (int i = 0; i < THREADS; i++) {
    CHECK(pthread_create(&threads[i], NULL, function, server) == 0);
  }
}

int main(void) {
  begin();
  chat_server *server = start_with_queue();
  feed events = {.server = server};
  ws_connect(&alice, server, "/", "");
  alice_id = feed_until(&events, CHAT_EVENT_CONNECTED)->client;
  CHECK(alice_id != 0);
  pthread_t threads[THREADS];
  on_all_threads(use, server, threads);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  int expected = published;
  CHECK(expected == THREADS * (MESSAGES + 1));

  on_all_threads(stop, server, threads);
  int received = 0;
  while (ws_recv(&alice) == WS_TEXT) received++;
  CHECK(received == expected);
  ws_send(&alice, WS_CLOSE, alice.data, 2);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  close(alice.fd);
  feed_until(&events, CHAT_EVENT_STOPPED);
  feed_free(&events);
  chat_server_free(server);
  return 0;
}
