/* Start, clients, traffic, stop, as often as the first argument says (10 times if there is none):
 * under valgrind it shows leaks, and by itself threads and descriptors that stay behind.
 *
 *   SLOW=1 valgrind --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite,indirect \
 *     target/tmp/programs/tests-c-loop-c 100
 *
 * (Rust's standard library keeps 48 bytes of the main thread in a way that valgrind calls possibly
 * lost.) */
#include "ws.h"

#include <dirent.h>

enum { CLIENTS = 3 };

static ws clients[CLIENTS];

static int entries(const char *path) {
  DIR *folder = opendir(path);
  CHECK(folder);
  int count = 0;
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

static void traffic(chat_server *server, feed *events) {
  for (int i = 0; i < CLIENTS; i++) {
    ws_connect(&clients[i], server, i == 2 ? "/rooms/other" : "/?history=5", "");
    feed_until(events, CHAT_EVENT_CONNECTED);
  }
  char text[2000];
  memset(text, 'x', sizeof text);
  for (int i = 0; i < 10; i++) {
    ws_send(&clients[0], i % 2 ? WS_TEXT : WS_BINARY, text, (size_t)(i * 200));
    CHECK(ws_recv(&clients[0]) == (i % 2 ? WS_TEXT : WS_BINARY));
    CHECK(ws_recv(&clients[1]) == (i % 2 ? WS_TEXT : WS_BINARY));
    CHECK_OK(chat_server_publish(server, TEXT("other"), CHAT_TEXT, DATA("from the host"), NULL));
    ws_expect(&clients[2], WS_TEXT, "from the host");
  }
  ws_leave(&clients[0], 1000);
  feed_until(events, CHAT_EVENT_DISCONNECTED);
}

static void once(int how) {
  chat_server *server = start_with_queue();
  feed events = {.server = server};
  traffic(server, &events);
  if (how % 2 == 0) {
    CHECK_OK(chat_server_request_stop(server));
    CHECK(ws_await_close(&clients[1]) == 1001);
    CHECK(ws_await_close(&clients[2]) == 1001);
    CHECK_OK(chat_server_stop(server, 60000));
    feed_until(&events, CHAT_EVENT_STOPPED);
    chat_server_free(server);
  } else {
    chat_server_free(server);
    close(clients[1].fd);
    close(clients[2].fd);
  }
  feed_free(&events);
}

int main(int argc, char **argv) {
  begin();
  int times = argc > 1 ? atoi(argv[1]) : 10;
  once(0);
  int descriptors = entries("/proc/self/fd");
  int threads = entries("/proc/self/task");
  for (int i = 1; i < times; i++) once(i);
  CHECK(entries("/proc/self/fd") == descriptors);
  CHECK(entries("/proc/self/task") == threads);
  printf("%d times\n", times);
  return 0;
}
