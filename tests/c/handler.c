/* Events by handler: in order, and every call but stop is allowed inside, in its order too. */
#include "handler.h"

enum { NUMBERED = 300 };

static ws alice;

/* Numbered messages by all ways, and the end behind them. */
static void count_and_close(chat_server *server, const chat_event *event) {
  for (int i = 0; i < NUMBERED; i++) {
    char text[16];
    size_t len = (size_t)snprintf(text, sizeof text, "%d", i);
    const uint8_t *data = (const uint8_t *)text;
    switch (i % 3) {
      case 0:
        CHECK_OK(chat_server_publish(server, event->room, event->room_len, CHAT_TEXT, data, len, NULL));
        break;
      case 1: CHECK_OK(chat_server_send(server, event->client, CHAT_TEXT, data, len)); break;
      default: CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, data, len)); break;
    }
  }
  CHECK_OK(chat_server_disconnect(server, event->client, 4000, TEXT("enough")));
}

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
  if (text_is(event->data, event->data_len, "count")) count_and_close(state->server, event);
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
  ws_say(&alice, "count");
  ws_expect(&alice, WS_TEXT, "count");
  for (int i = 0; i < NUMBERED; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    ws_expect(&alice, WS_TEXT, text);
  }
  CHECK(ws_await_close(&alice) == 4000);
  await(&state, &state.disconnected, 1);

  ws_connect(&alice, state.server, "/", "");
  await(&state, &state.connected, 2);
  ws_say(&alice, "stop");
  CHECK(ws_await_close(&alice) == 1001);

  /* When stop has returned, everything was told and no handler runs. */
  CHECK_OK(chat_server_stop(state.server, 5000));
  CHECK(state.messages == 3 && state.disconnected == 2 && state.stopped == 1);
  CHECK(count(&state, &state.dropped) <= 1);
  chat_server_free(state.server);
  CHECK(state.dropped == 1);
  return 0;
}
