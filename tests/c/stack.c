/* A handler may use megabytes of its stack, whatever the environment says: run with RUST_MIN_STACK=1. */
#include "handler.h"

enum { LARGE = 6 << 20 };

static void use_much(void *user_data, const chat_event *const *events, size_t count) {
  volatile char large[LARGE];
  for (size_t i = 0; i < sizeof large; i += 4096) large[i] = (char)i;
  CHECK(large[4096] == 0);
  count_events(user_data, events, count);
}

int main(void) {
  begin();
  CHECK(strcmp(getenv("RUST_MIN_STACK"), "1") == 0);
  state state = STATE;
  start_with_handler(&state, use_much);
  static ws client;
  ws_connect(&client, state.server, "/", "");
  await(&state, &state.connected, 1);
  ws_say(&client, "salut");
  ws_expect(&client, WS_TEXT, "salut");
  await(&state, &state.messages, 1);
  ws_leave(&client, 1000);
  CHECK_OK(chat_server_stop(state.server, 5000));
  chat_server_free(state.server);
  CHECK(state.dropped == 1);
  return 0;
}
