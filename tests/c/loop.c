/* Start, clients, traffic, stop, as often as the first argument says (10 times if there is none), with a
 * queue, with handlers, and with decisions in turn. Under valgrind it shows leaks, and by itself threads,
 * descriptors and memory that stay behind.
 *
 *   SLOW=1 valgrind --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite,indirect \
 *     target/tmp/programs/tests-c-loop-c 100
 *
 * (Rust's standard library keeps 48 bytes of the main thread in a way that valgrind calls possibly
 * lost.) */
#include "handler.h"

enum { CLIENTS = 3 };

static ws clients[CLIENTS];

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

static void ignore_line(void *user_data, uint32_t level, const char *text, size_t text_len) {
  (void)user_data, (void)level, (void)text, (void)text_len;
}

/* A server that tells its handlers, with a client that talks. */
static void with_handlers(void) {
  state state = STATE;
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_handler(config, count_events, &state, count_drop));
  CHECK_OK(chat_config_set_log_handler(config, CHAT_LOG_DEBUG, ignore_line, NULL, NULL));
  CHECK_OK(chat_server_start(config, &state.server, NULL));
  chat_config_free(config);
  ws_connect(&clients[0], state.server, "/", "");
  ws_say(&clients[0], "to all");
  ws_expect(&clients[0], WS_TEXT, "to all");
  await(&state, &state.messages, 1);
  chat_server_free(state.server);
  CHECK(state.stopped == 1 && state.dropped == 1);
  close(clients[0].fd);
}

/* A client that waits for the host; whoever is decided on last, the stop decides on. */
static void *be_admitted(void *server) {
  ws_connect(&clients[0], server, "/", "");
  ws_say(&clients[0], "may I");
  return NULL;
}

static void with_decisions(void) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_admission_timeout(config, 60000));
  CHECK_OK(chat_config_set_review_timeout(config, 60000));
  chat_server *server = start(config);
  feed events = {.server = server};
  pthread_t client;
  CHECK(pthread_create(&client, NULL, be_admitted, server) == 0);
  chat_client_id id = feed_until(&events, CHAT_EVENT_CONNECT_REQUEST)->client;
  CHECK_OK(chat_server_set_identity(server, id, TEXT("someone")));
  CHECK_OK(chat_server_join(server, id, TEXT("aside")));
  CHECK_OK(chat_server_accept(server, id));
  pthread_join(client, NULL);
  CHECK_OK(chat_server_allow(server, feed_until(&events, CHAT_EVENT_MESSAGE_REQUEST)->decision));
  ws_expect(&clients[0], WS_TEXT, "may I");
  ws_say(&clients[0], "nobody decides");
  feed_until(&events, CHAT_EVENT_MESSAGE_REQUEST);
  feed_free(&events);
  chat_server_free(server);
  close(clients[0].fd);
}

static void with_a_queue(int how) {
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

static void once(int how) {
  switch (how % 4) {
    case 2: with_handlers(); break;
    case 3: with_decisions(); break;
    default: with_a_queue(how); break;
  }
}

int main(int argc, char **argv) {
  begin();
  mallopt(M_ARENA_MAX, 1); /* or each thread's own arena would count, which stays for the next thread */
  int times = argc > 1 ? atoi(argv[1]) : 10;
  int before = times > 200 ? 100 : 4; /* by then the allocator's caches are full */
  for (int i = 0; i < before; i++) once(i);
  int descriptors = entries("/proc/self/fd");
  int threads = 2 + 1; /* ".", ".." and this one */
  size_t memory = in_use();
  for (int i = before; i < times; i++) once(i);
  CHECK(entries("/proc/self/fd") <= descriptors);
  await_entries("/proc/self/task", threads);
  /* A server is 200 KB. Sanitizers and valgrind keep what was freed, and count for themselves. */
  if (!getenv("SLOW") && in_use() > memory + 64 * 1024) {
    fprintf(stderr, "%zu bytes in use, and %zu before\n", in_use(), memory);
    return 1;
  }
  printf("%d times\n", times);
  return 0;
}
