/* A server that is freed inside its handler, and one that is freed while its handler uses it. */
#include "handler.h"

static ws alice;

static void free_server(void *user_data, const chat_event *const *events, size_t count) {
  state *state = user_data;
  for (size_t i = 0; i < count; i++) {
    if (state->server == NULL) {
      if (i == 0) add(state, &state->after_free);
    } else if (events[i]->type == CHAT_EVENT_MESSAGE) {
      chat_server_free(state->server);
      state->server = NULL;
    }
  }
}

static void use_server(void *user_data, const chat_event *const *events, size_t count) {
  state *state = user_data;
  count_events(user_data, events, count);
  for (size_t i = 0; i < count; i++) {
    if (events[i]->type != CHAT_EVENT_MESSAGE) continue;
    /* Runs on while the main thread frees the server. */
    chat_status status;
    do {
      status = chat_server_broadcast(state->server, CHAT_BINARY, DATA("x"));
    } while (status == CHAT_OK || status == CHAT_ERR_QUEUE_FULL);
    CHECK_STATUS(CHAT_ERR_STOPPED, status);
  }
}

int main(void) {
  begin();
  state state = STATE;
  start_with_handler(&state, free_server);
  char addr[CHAT_ADDR_SIZE];
  size_t len;
  CHECK_OK(chat_server_local_addr(state.server, 0, addr, sizeof addr, &len));
  ws_connect(&alice, state.server, "/", "");
  ws_say(&alice, "free");
  /* It ends after the handler: the client is cut, then the handler is dropped without a call. */
  while (ws_recv(&alice) != WS_GONE) continue;
  close(alice.fd);
  await(&state, &state.dropped, 1);
  CHECK(state.after_free == 0 && state.dropped == 1);

  struct state user = STATE;
  start_with_handler(&user, use_server);
  ws_connect(&alice, user.server, "/", "");
  ws_say(&alice, "use");
  ws_expect(&alice, WS_TEXT, "use");
  ws_expect(&alice, WS_BINARY, "x");
  chat_server_free(user.server);
  CHECK(user.messages == 1 && user.stopped == 1 && user.dropped == 1);
  close(alice.fd);
  return 0;
}
