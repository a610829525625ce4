/* A handler that takes ten seconds holds up events, and no client's messages; nor does it hold up a stop
 * for longer than it takes itself. */
#include "handler.h"

#include <pthread.h>
#include <time.h>

enum { HELD_S = 10 };

static ws alice, bob;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void handle(void *user_data, const chat_event *const *events, size_t count) {
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  for (size_t i = 0; i < count; i++) count_event(user_data, events[i]);
}

static void *stop_at_once(void *server) {
  chat_status status = chat_server_stop(server, 0);
  CHECK(status == CHAT_OK || status == CHAT_ERR_TIMED_OUT);
  return NULL;
}

int main(void) {
  begin();
  state state = STATE;
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 10000000)); /* all that is said in that time */
  CHECK_OK(chat_config_set_event_handler(config, handle, &state, count_drop));
  CHECK_OK(chat_server_start(config, &state.server, NULL));
  chat_config_free(config);
  pthread_mutex_lock(&gate);
  ws_connect(&alice, state.server, "/", "");
  ws_connect(&bob, state.server, "/?history=0", "");
  /* Who has seen its own message is in the room. */
  ws_say(&bob, "bob");
  ws_expect(&bob, WS_TEXT, "bob");
  ws_expect(&alice, WS_TEXT, "bob");
  int said = 1;
  for (time_t end = time(NULL) + HELD_S; time(NULL) <= end; said++) {
    ws_say(&alice, "go on");
    ws_expect(&bob, WS_TEXT, "go on");
    ws_expect(&alice, WS_TEXT, "go on");
  }
  CHECK(count(&state, &state.connected) == 0);
  pthread_mutex_unlock(&gate);
  await(&state, &state.messages, said);

  /* The handler has had everything, and is held again when the clients end. */
  pthread_mutex_lock(&gate);
  pthread_t stopping;
  CHECK(pthread_create(&stopping, NULL, stop_at_once, state.server) == 0);
  while (ws_recv(&alice) != WS_GONE) continue;
  while (ws_recv(&bob) != WS_GONE) continue;
  CHECK(count(&state, &state.stopped) == 0);
  pthread_mutex_unlock(&gate);
  pthread_join(stopping, NULL);
  CHECK(state.stopped == 1 && state.disconnected == 2);
  chat_server_free(state.server);
  return 0;
}
