/* Events by pulling: each with all that is known, and STOPPED wakes whoever waits. */
#include "ws.h"

#include <pthread.h>

static ws alice;

static void connected(const chat_event *event) {
  CHECK(event->client != 0);
  CHECK(text_is(event->room, event->room_len, "caf\xc3\xa9"));
  CHECK(text_is(event->path, event->path_len, "/rooms/caf%C3%A9"));
  CHECK(text_is(event->query, event->query_len, "echo=false&name=al"));
  CHECK(event->addr_len > 10 && memcmp(event->addr, "127.0.0.1:", 10) == 0);
  /* What is not this event's is empty, and never NULL. */
  CHECK(event->data && event->data_len == 0 && event->reason && event->reason_len == 0);
  CHECK(event->position.offset == 0 && event->count == 0 && event->code == 0 && event->kind == 0);

  const char *value = NULL, *name = NULL;
  size_t len = 0, name_len = 0;
  CHECK_OK(chat_event_header(event, TEXT("x-Token"), &value, &len));
  CHECK(text_is(value, len, "secret\xff"));
  CHECK_OK(chat_event_header(event, TEXT("X-Empty"), &value, &len));
  CHECK(value && len == 0);
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_header(event, TEXT("x-none"), &value, &len));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_header(event, NULL, 0, &value, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_event_header(event, NULL, 1, &value, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_event_header(event, TEXT("host"), NULL, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_event_header(event, TEXT("host"), &value, NULL));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_event_header(event, "", SIZE_MAX, &value, &len));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_event_header(event, TEXT("\xff"), &value, &len));

  CHECK(event->header_count >= 7);
  CHECK_OK(chat_event_header_at(event, 0, &name, &name_len, &value, &len));
  CHECK(text_is(name, name_len, "host") && text_is(value, len, "localhost"));
  CHECK_OK(chat_event_header_at(event, event->header_count - 1, NULL, NULL, NULL, NULL));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND,
               chat_event_header_at(event, event->header_count, &name, &name_len, &value, &len));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND,
               chat_event_header_at(event, SIZE_MAX, &name, &name_len, &value, &len));

  /* A copy of the struct serves as well while the batch lives. */
  chat_event copy = *event;
  CHECK_OK(chat_event_header(&copy, TEXT("host"), &value, &len));
}

/* A NUL is a byte like others, in what the host says too. */
static void with_nul(chat_server *server, chat_client_id id) {
  for (uint32_t kind = CHAT_TEXT; kind <= CHAT_BINARY; kind++) {
    CHECK_OK(chat_server_send(server, id, kind, DATA("a\0b")));
    CHECK_OK(chat_server_broadcast(server, kind, DATA("\0")));
    CHECK(ws_recv(&alice) == (kind == CHAT_TEXT ? WS_TEXT : WS_BINARY));
    CHECK(alice.len == 3 && memcmp(alice.data, "a\0b", 3) == 0);
    CHECK(ws_recv(&alice) == (kind == CHAT_TEXT ? WS_TEXT : WS_BINARY));
    CHECK(alice.len == 1 && alice.data[0] == 0);
  }
}

static void *pull_to_the_end(void *server) {
  feed events = {.server = server};
  feed_until(&events, CHAT_EVENT_STOPPED);
  CHECK(events.next == chat_events_len(events.batch));
  feed_free(&events);
  return NULL;
}

int main(void) {
  begin();
  chat_server *server = start_with_queue();
  feed events = {.server = server};

  ws_connect(&alice, server, "/rooms/caf%C3%A9?echo=false&name=al",
             "X-Token: secret\xff\r\nX-Empty:\r\n");
  const chat_event *event = feed_next(&events);
  CHECK(event->type == CHAT_EVENT_CONNECTED);
  chat_client_id id = event->client;
  connected(event);

  ws_say(&alice, "salut");
  event = feed_next(&events);
  CHECK(event->type == CHAT_EVENT_MESSAGE && event->kind == CHAT_TEXT && event->client == id);
  CHECK(text_is(event->room, event->room_len, "caf\xc3\xa9"));
  CHECK(text_is(event->data, event->data_len, "salut") && event->position.offset == 1);
  CHECK(event->headers == NULL && event->header_count == 0);
  const char *value;
  size_t len;
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_event_header(event, TEXT("host"), &value, &len));

  ws_send(&alice, WS_BINARY, "\0\xff", 2);
  event = feed_next(&events);
  CHECK(event->type == CHAT_EVENT_MESSAGE && event->kind == CHAT_BINARY && event->position.offset == 2);
  CHECK(event->data_len == 2 && memcmp(event->data, "\0\xff", 2) == 0);

  with_nul(server, id);

  ws_leave(&alice, 4321);
  event = feed_next(&events);
  CHECK(event->type == CHAT_EVENT_DISCONNECTED && event->client == id && event->code == 4321);
  CHECK(chat_events_get(events.batch, chat_events_len(events.batch)) == NULL);
  CHECK(chat_events_get(events.batch, SIZE_MAX) == NULL);
  feed_free(&events);

  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, pull_to_the_end, server) == 0);
  CHECK_OK(chat_server_stop(server, 1000));
  CHECK(pthread_join(thread, NULL) == 0);
  chat_events *batch = NULL;
  CHECK_STATUS(CHAT_ERR_STOPPED, chat_server_next_events(server, 0, &batch));
  chat_server_free(server);

  /* Events that nobody asked for are not collected. */
  server = start(local_config());
  CHECK_STATUS(CHAT_ERR_UNSUPPORTED, chat_server_next_events(server, 0, &batch));
  chat_server_free(server);
  return 0;
}
