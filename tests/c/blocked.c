/* A handler that waits for long holds up events, and no client's messages. */
#include "handler.h"

#include <pthread.h>

static ws alice, bob;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void handle(void *user_data, const chat_event *const *events, size_t count) {
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  for (size_t i = 0; i < count; i++) count_event(user_data, events[i]);
}

int main(void) {
  begin();
  state state = STATE;
  start_with_handler(&state, handle);
  pthread_mutex_lock(&gate);
  ws_connect(&alice, state.server, "/", "");
  ws_connect(&bob, state.server, "/?history=0", "");
  /* Who has seen its own message is in the room. */
  ws_say(&bob, "bob");
  ws_expect(&bob, WS_TEXT, "bob");
  ws_expect(&alice, WS_TEXT, "bob");
  for (int i = 0; i < 1000; i++) {
    ws_say(&alice, "go on");
    ws_expect(&bob, WS_TEXT, "go on");
    ws_expect(&alice, WS_TEXT, "go on");
  }
  CHECK(count(&state, &state.connected) == 0);
  pthread_mutex_unlock(&gate);
  await(&state, &state.messages, 1001);
  chat_server_free(state.server);
  return 0;
}
