/* Events by handler: in order, and every call but stop is allowed inside. */
#include "handler.h"

static ws alice;

static void on_message(state *state, const chat_event *event) {
  if (text_is(event->data, event->data_len, "ping")) {
    CHECK_OK(chat_server_publish(state->server, event->room, event->room_len, CHAT_TEXT,
                                 DATA("published"), NULL));
    CHECK_OK(chat_server_broadcast(state->server, CHAT_TEXT, DATA("broadcast")));
    CHECK_OK(chat_server_send(state->server, event->client, CHAT_TEXT, DATA("sent")));
    chat_stats stats;
    CHECK_OK(chat_server_stats(state->server, &stats, sizeof stats));
    CHECK(stats.connections == 1);
    chat_events *events = NULL;
    CHECK_STATUS(CHAT_ERR_UNSUPPORTED, chat_server_next_events(state->server, 0, &events));
  }
  if (text_is(event->data, event->data_len, "stop")) {
    CHECK_STATUS(CHAT_ERR_IN_HANDLER, chat_server_stop(state->server, 0));
    CHECK_OK(chat_server_request_stop(state->server));
  }
}

static void handle(void *user_data, const chat_event *const *events, size_t count) {
  state *state = user_data;
  CHECK(count > 0 && state->server);
  for (size_t i = 0; i < count; i++) {
    const chat_event *event = events[i];
    CHECK(state->stopped == 0);
    if (event->type == CHAT_EVENT_CONNECTED) {
      const char *value;
      size_t len;
      CHECK(state->messages == 0);
      CHECK_OK(chat_event_header(event, TEXT("host"), &value, &len));
      CHECK(text_is(value, len, "localhost"));
    }
    if (event->type == CHAT_EVENT_MESSAGE) on_message(state, event);
    count_event(state, event);
  }
}

int main(void) {
  begin();
  state state = STATE;
  start_with_handler(&state, handle);
  ws_connect(&alice, state.server, "/", "");
  await(&state, &state.connected, 1);
  ws_say(&alice, "ping");
  ws_expect(&alice, WS_TEXT, "ping");
  ws_expect(&alice, WS_TEXT, "published");
  ws_expect(&alice, WS_TEXT, "broadcast");
  ws_expect(&alice, WS_TEXT, "sent");
  ws_say(&alice, "stop");
  CHECK(ws_await_close(&alice) == 1001);

  /* When stop has returned, everything was told and no handler runs. */
  CHECK_OK(chat_server_stop(state.server, 5000));
  CHECK(state.messages == 2 && state.disconnected == 1 && state.stopped == 1);
  CHECK(count(&state, &state.dropped) <= 1);
  chat_server_free(state.server);
  CHECK(state.dropped == 1);
  return 0;
}
