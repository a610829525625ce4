/* A host may end without a stop: from main, in a handler, while a thread waits for events, and with calls
 * that other code makes on the way out. It ends at once, with its own status. */
#include "handler.h"

#include <stdatomic.h>
#include <sys/wait.h>

enum { LEFT = 7 };

static ws client;
static chat_server *server;

static void *publish(void *argument) {
  (void)argument;
  for (;;) {
    if (chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("x"), NULL) != CHAT_OK) return NULL;
  }
}

static void *wait_for_events(void *begun) {
  atomic_store((atomic_int *)begun, 1);
  chat_events *events = NULL;
  while (chat_server_next_events(server, CHAT_WAIT_FOREVER, &events) == CHAT_OK) chat_events_free(events);
  return NULL;
}

static void in_background(void *(*function)(void *), void *argument) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, function, argument) == 0 && pthread_detach(thread) == 0);
}

static void with_traffic(void) {
  server = start(local_config());
  ws_connect(&client, server, "/", "");
  for (int i = 0; i < 4; i++) in_background(publish, NULL);
  for (int i = 0; i < 100; i++) ws_expect(&client, WS_TEXT, "x");
}

static void while_a_thread_waits(void) {
  static atomic_int begun;
  server = start_with_queue();
  in_background(wait_for_events, &begun);
  while (!begun) sched_yield();
}

static void leave(void *user_data, const chat_event *const *events, size_t count) {
  (void)user_data, (void)count;
  if (events[0]->type == CHAT_EVENT_CONNECTED) exit(LEFT);
}

static void in_a_handler(void) {
  static state state = STATE;
  start_with_handler(&state, leave);
  ws_connect(&client, state.server, "/", "");
  for (;;) pause();
}

static void stop_late(void) {
  chat_stats stats;
  CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  chat_status status = chat_server_stop(server, 100);
  CHECK(status == CHAT_OK || status == CHAT_ERR_TIMED_OUT);
  chat_server_free(server);
}

static void with_a_stop_on_the_way_out(void) {
  CHECK(atexit(stop_late) == 0);
  server = start_with_queue();
  ws_connect(&client, server, "/", "");
}

/* In a process of its own. */
static void ends(void (*host)(void)) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    begin();
    host();
    exit(LEFT);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == LEFT);
}

int main(void) {
  begin();
  ends(with_traffic);
  ends(while_a_thread_waits);
  ends(in_a_handler);
  ends(with_a_stop_on_the_way_out);
  return 0;
}
