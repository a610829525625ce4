/* What a host reads of a request, and the subprotocol that it chooses. What it reads lives as long as the event. */
#include "ws.h"

static ws peer;

static void ask(chat_server *server) {
  peer.fd = ws_socket(server, 0);
  const char *head =
    "GET /rooms/tea?token=a+b%2Fc%C3%A9&token=2&plain=x&bad=%FF HTTP/1.1\r\nHost: localhost\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v2, v1\r\n"
    "Cookie: a=1; sid=\"x y\"\r\nCookie: b=2\r\nAuthorization: bearer abc.def\r\n\r\n";
  ws_write(&peer, head, strlen(head));
}

/* Whether the answer to the request has a line. */
static void is_answered(const char *line) {
  char head[1024];
  size_t got = 0;
  do {
    CHECK(got < sizeof head - 1 && ws_try_read(&peer, head + got, 1));
    head[++got] = 0;
  } while (got < 4 || strcmp(head + got - 4, "\r\n\r\n") != 0);
  CHECK(strncmp(head, "HTTP/1.1 101 ", 13) == 0 && strstr(head, line));
}

static void read_of(const chat_event *event) {
  const char *text = NULL, *again = NULL, *plain = NULL;
  size_t len = 0, plain_len = 0;
  CHECK_OK(chat_event_query(event, TEXT("token"), &text, &len));
  CHECK(text_is(text, len, "a b/c\xC3\xA9"));
  CHECK_OK(chat_event_query(event, TEXT("plain"), &plain, &plain_len));
  CHECK_OK(chat_event_query(event, TEXT("token"), &again, &len));
  CHECK(again == text && text_is(text, len, "a b/c\xC3\xA9") && text_is(plain, plain_len, "x"));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_query(event, TEXT("bad"), &text, &len));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_query(event, TEXT("Token"), &text, &len));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_query(event, NULL, 0, &text, &len));
  CHECK_OK(chat_event_cookie(event, TEXT("sid"), &text, &len));
  CHECK(text_is(text, len, "\"x y\""));
  CHECK_OK(chat_event_cookie(event, TEXT("b"), &text, &len));
  CHECK(text_is(text, len, "2"));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_cookie(event, TEXT("c"), &text, &len));
  CHECK_OK(chat_event_bearer(event, &text, &len));
  CHECK(text_is(text, len, "abc.def"));
#define NONE(call) CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, call)
  NONE(chat_event_query(event, TEXT("token"), NULL, &len));
  NONE(chat_event_query(event, TEXT("token"), &text, NULL));
  NONE(chat_event_query(event, NULL, 1, &text, &len));
  NONE(chat_event_cookie(event, TEXT("b"), NULL, &len));
  NONE(chat_event_cookie(event, TEXT("b"), &text, NULL));
  NONE(chat_event_bearer(event, NULL, &len));
  NONE(chat_event_bearer(event, &text, NULL));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_event_query(event, TEXT("\xff"), &text, &len));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_event_cookie(event, "", SIZE_MAX, &text, &len));
}

int main(void) {
  begin();
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_admission_timeout(config, 30000));
  chat_server *server = start(config);
  feed events = {.server = server};
  ask(server);
  const chat_event *event = feed_until(&events, CHAT_EVENT_CONNECT_REQUEST);
  read_of(event);
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_set_subprotocol(server, event->client, TEXT("v3")));
  CHECK(strstr(chat_last_error_message(), "name: the client does not offer it"));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_set_subprotocol(server, event->client, NULL, 0));
  CHECK_OK(chat_server_set_subprotocol(server, event->client, TEXT("v1")));
  CHECK_OK(chat_server_accept(server, event->client));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_set_subprotocol(server, event->client, TEXT("v1")));
  is_answered("\r\nSec-WebSocket-Protocol: v1\r\n");
  read_of(feed_until(&events, CHAT_EVENT_CONNECTED));

  /* Other events have no request. */
  ws_leave(&peer, 1000);
  event = feed_until(&events, CHAT_EVENT_DISCONNECTED);
  const char *text = NULL;
  size_t len = 0;
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_query(event, TEXT("token"), &text, &len));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_cookie(event, TEXT("sid"), &text, &len));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_bearer(event, &text, &len));
  CHECK(text == NULL && len == 0);
  feed_free(&events);
  chat_server_free(server);
  return 0;
}
