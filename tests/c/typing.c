/* Signals: from a client to the others and to the host, from the host to a room and to one client. */
#include "ws.h"

static ws ana, ben;

/* Reads an object of the JSON form, which begins and ends in this way. */
static void told(ws *ws, const char *begin, const char *end) {
  CHECK(ws_recv(ws) == WS_TEXT);
  const char *text = (char *)ws->data;
  size_t len = ws->len;
  if (strncmp(text, begin, strlen(begin)) != 0 || len < strlen(end) ||
      memcmp(text + len - strlen(end), end, strlen(end)) != 0) {
    fprintf(stderr, "%.*s instead of %s...%s\n", (int)len, text, begin, end);
    _exit(1);
  }
}

static chat_client_id connected(feed *events, ws *ws) {
  ws_connect(ws, events->server, "/rooms/a?format=json", "");
  chat_client_id client = feed_until(events, CHAT_EVENT_CONNECTED)->client;
  told(ws, "{\"type\":\"welcome\"", "}");
  told(ws, "{\"type\":\"entered\"", "}");
  told(ws, "{\"type\":\"live\"", "}");
  return client;
}

static void signalled(feed *events, chat_client_id client, uint32_t kind, const char *data) {
  const chat_event *event = feed_until(events, CHAT_EVENT_SIGNAL);
  CHECK(event->client == client && event->kind == kind);
  CHECK(text_is(event->room, event->room_len, "a"));
  CHECK(text_is(event->identity, event->identity_len, "user 7"));
  CHECK(text_is(event->data, event->data_len, data));
  CHECK(event->position.epoch == 0 && event->position.offset == 0);
}

int main(void) {
  begin();
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_signal_rate(config, 2));
  chat_server *server = start(config);
  feed events = {.server = server};
  chat_client_id client = connected(&events, &ana);
  connected(&events, &ben);
  CHECK_OK(chat_server_set_identity(server, client, TEXT("user 7")));

  ws_say(&ana, "{\"type\":\"signal\",\"text\":\"typing\"}");
  told(&ben, "{\"type\":\"signal\",\"room\":\"a\",\"client\":\"", ",\"text\":\"typing\"}");
  signalled(&events, client, CHAT_TEXT, "typing");
  ws_say(&ana, "{\"type\":\"signal\",\"to\":\"host\",\"base64\":\"c3RvcA==\"}");
  signalled(&events, client, CHAT_BINARY, "stop");

  CHECK_OK(chat_server_signal(server, TEXT("a"), CHAT_TEXT, DATA("all")));
  CHECK_OK(chat_server_signal_client(server, client, CHAT_BINARY, DATA("one")));
  CHECK_OK(chat_server_signal(server, TEXT("nobody is here"), CHAT_TEXT, DATA("all")));
  told(&ana, "{\"type\":\"signal\",\"room\":\"a\",\"text\":\"all\"}", "}");
  told(&ben, "{\"type\":\"signal\",\"room\":\"a\",\"text\":\"all\"}", "}");
  told(&ana, "{\"type\":\"signal\",\"base64\":\"b25l\"}", "}");

  /* Two in a second, and at once what may come in two. */
  for (int i = 0; i < 100; i++) ws_say(&ana, "{\"type\":\"signal\",\"text\":\"flood\"}");
  ws_say(&ana, "{\"text\":\"end\"}");
  told(&ana, "{\"type\":\"message\"", ",\"text\":\"end\"}");
  chat_stats stats;
  CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  CHECK(stats.signals_received == 102 && stats.signals_dropped >= 80);

  const uint8_t longer[4097] = {0};
  CHECK_STATUS(CHAT_ERR_TOO_LARGE,
               chat_server_signal(server, TEXT("a"), CHAT_BINARY, longer, sizeof longer));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE,
               chat_server_signal_client(server, client, CHAT_BINARY, longer, sizeof longer));
  feed_free(&events);
  chat_server_free(server);
  return 0;
}
