/* How many events wait for a handler: as many as the option says, and 65,536 if it says 0 or nothing. */
#include "handler.h"

#include <stdatomic.h>

enum { DEFAULT_SIZE = 65536, BEYOND = 100 };

static ws alice;
static atomic_int has_entered, may_go;

static void handle(void *user_data, const chat_event *const *events, size_t count) {
  has_entered = 1;
  while (!may_go) sched_yield();
  count_events(user_data, events, count);
}

/* Says more than fits while the handler waits with the first event, that of the client's coming. */
static void check(chat_config *config, int size) {
  state state = STATE;
  has_entered = may_go = 0;
  CHECK_OK(chat_config_set_event_handler(config, handle, &state, NULL));
  CHECK_OK(chat_server_start(config, &state.server, NULL));
  chat_config_free(config);
  ws_connect(&alice, state.server, "/?echo=false", "");
  while (!has_entered) sched_yield();
  for (int i = 0; i < size + BEYOND; i++) ws_say(&alice, "x");
  chat_stats stats;
  do CHECK_OK(chat_server_stats(state.server, &stats, sizeof stats));
  while (stats.messages_received < (uint64_t)(size + BEYOND));
  may_go = 1;
  CHECK_OK(chat_server_request_stop(state.server));
  CHECK(ws_await_close(&alice) == 1001);
  CHECK_OK(chat_server_stop(state.server, 30000));
  CHECK_OK(chat_server_stats(state.server, &stats, sizeof stats));
  CHECK(stats.events_dropped == BEYOND && state.messages == size);
  chat_server_free(state.server);
}

int main(void) {
  begin();
  check(local_config(), DEFAULT_SIZE);

  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 0));
  check(config, DEFAULT_SIZE);

  config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 10));
  check(config, 10);
  return 0;
}
