/* The host decides who is connected and what is said, in its own time; what it does not decide is refused
 * and counted. It puts clients into rooms and takes them out. */
#include "ws.h"

#include <pthread.h>

static ws alice, bob, carol;

typedef struct attempt {
  ws *ws;
  chat_server *server;
  const char *path;
  char answer[64]; /* the first line */
  pthread_t thread;
} attempt;

/* Asks to be connected, and waits for the answer's first line. */
static void *ask(void *argument) {
  attempt *attempt = argument;
  attempt->ws->fd = ws_socket(attempt->server, 0);
  char head[512];
  int len = snprintf(head, sizeof head,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Cookie: session=1\r\n\r\n", attempt->path);
  ws_write(attempt->ws, head, (size_t)len);
  size_t got = 0;
  do {
    CHECK(got < sizeof head - 1 && ws_try_read(attempt->ws, head + got, 1));
    head[++got] = 0;
  } while (got < 4 || strcmp(head + got - 4, "\r\n\r\n") != 0);
  snprintf(attempt->answer, sizeof attempt->answer, "%.*s", (int)strcspn(head, "\r"), head);
  return NULL;
}

static void begin_to_ask(attempt *attempt, ws *ws, chat_server *server, const char *path) {
  attempt->ws = ws;
  attempt->server = server;
  attempt->path = path;
  CHECK(pthread_create(&attempt->thread, NULL, ask, attempt) == 0);
}

static void is_answered(attempt *attempt, const char *status) {
  CHECK(pthread_join(attempt->thread, NULL) == 0);
  CHECK(strncmp(attempt->answer + strlen("HTTP/1.1 "), status, strlen(status)) == 0);
}

static chat_client_id requested(feed *events, const char *path) {
  const chat_event *event = feed_until(events, CHAT_EVENT_CONNECT_REQUEST);
  const char *value;
  size_t len;
  CHECK(event->client != 0 && text_is(event->path, event->path_len, path));
  CHECK(event->addr_len > 10 && memcmp(event->addr, "127.0.0.1:", 10) == 0);
  CHECK_OK(chat_event_header(event, TEXT("cookie"), &value, &len));
  CHECK(text_is(value, len, "session=1"));
  return event->client;
}

static void decide_who_comes_in(chat_server *server, feed *events) {
  attempt first, second, third;
  begin_to_ask(&first, &alice, server, "/");
  chat_client_id alice_id = requested(events, "/");
  begin_to_ask(&second, &bob, server, "/rooms/private");
  chat_client_id bob_id = requested(events, "/rooms/private");

  /* Who came later may be decided on first, and once. */
  CHECK_OK(chat_server_reject(server, bob_id, 401, TEXT("sign in first"), NULL, 0));
  is_answered(&second, "401");
  close(bob.fd);
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_accept(server, bob_id));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_reject(server, bob_id, 403, NULL, 0, NULL, 0));

  /* An identity, a room more, no echo, and a word that is the first that the client hears. */
  CHECK_OK(chat_server_set_identity(server, alice_id, TEXT("alice")));
  CHECK_OK(chat_server_set_echo(server, alice_id, 0));
  CHECK_OK(chat_server_join(server, alice_id, TEXT("news")));
  CHECK_OK(chat_server_send(server, alice_id, CHAT_TEXT, DATA("welcome")));
  CHECK_OK(chat_server_accept(server, alice_id));
  is_answered(&first, "101");
  ws_expect(&alice, WS_TEXT, "welcome");
  const chat_event *event = feed_until(events, CHAT_EVENT_CONNECTED);
  CHECK(event->client == alice_id && text_is(event->identity, event->identity_len, "alice"));
  CHECK_OK(chat_server_publish(server, TEXT("news"), CHAT_TEXT, DATA("news"), NULL));
  CHECK_OK(chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("lobby"), NULL));
  ws_expect(&alice, WS_TEXT, "news");
  ws_expect(&alice, WS_TEXT, "lobby");

  /* Nobody decides. */
  begin_to_ask(&third, &carol, server, "/");
  requested(events, "/");
  is_answered(&third, "503");
  close(carol.fd);
  chat_stats stats;
  /* A place is free when the socket is closed. */
  do CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  while (stats.connections != 1);
  CHECK(stats.admissions_timed_out == 1 && stats.admissions_rejected == 1);

  CHECK_OK(chat_server_leave(server, alice_id, TEXT("news")));
  event = feed_until(events, CHAT_EVENT_LEFT);
  CHECK(event->client == alice_id && text_is(event->room, event->room_len, "news"));
  CHECK_OK(chat_server_publish(server, TEXT("news"), CHAT_TEXT, DATA("not for her"), NULL));
  CHECK_OK(chat_server_join(server, alice_id, TEXT("more")));
  event = feed_until(events, CHAT_EVENT_JOINED);
  CHECK(event->client == alice_id && text_is(event->room, event->room_len, "more"));
  CHECK_OK(chat_server_publish(server, TEXT("more"), CHAT_TEXT, DATA("for her"), NULL));
  ws_expect(&alice, WS_TEXT, "for her");
  ws_leave(&alice, 1000);
  CHECK(feed_until(events, CHAT_EVENT_DISCONNECTED)->client == alice_id);
}

static chat_decision_id said(feed *events, const char *text) {
  const chat_event *event = feed_until(events, CHAT_EVENT_MESSAGE_REQUEST);
  CHECK(event->decision != 0 && event->kind == CHAT_TEXT && text_is(event->data, event->data_len, text));
  CHECK(text_is(event->room, event->room_len, "lobby"));
  return event->decision;
}

static void decide_what_is_said(chat_server *server, feed *events) {
  ws_connect(&alice, server, "/", "");
  ws_connect(&bob, server, "/", "");
  ws_say(&alice, "one");
  ws_say(&alice, "two");
  ws_say(&alice, "three");
  chat_decision_id one = said(events, "one"), two = said(events, "two"), three = said(events, "three");

  /* The order is the client's, whatever that of the decisions. */
  CHECK_OK(chat_server_allow(server, three));
  CHECK_OK(chat_server_refuse(server, two));
  CHECK_OK(chat_server_allow_changed(server, one, CHAT_BINARY, DATA("o\0e")));
  CHECK(ws_recv(&bob) == WS_BINARY && bob.len == 3 && memcmp(bob.data, "o\0e", 3) == 0);
  ws_expect(&bob, WS_TEXT, "three");
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_allow(server, one));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_refuse(server, three));

  /* Nobody decides: it is refused in time, and the next one is not. */
  ws_say(&alice, "late");
  chat_decision_id late = said(events, "late");
  chat_stats stats;
  do CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  while (stats.messages_refused < 2);
  CHECK(stats.reviews_timed_out == 1);
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_allow(server, late));
  ws_say(&alice, "again");
  CHECK_OK(chat_server_allow(server, said(events, "again")));
  ws_expect(&bob, WS_TEXT, "again");
  close(alice.fd);
  close(bob.fd);
}

/* A host that lets in and through what it does not decide on. */
static void decide_by_the_clock(void) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_admission_timeout(config, 20));
  CHECK_OK(chat_config_set_review_timeout(config, 20));
  CHECK_OK(chat_config_set_overdue(config, CHAT_OVERDUE_ALLOW));
  chat_server *server = start(config);
  ws_connect(&alice, server, "/", "");
  ws_say(&alice, "anyone?");
  ws_expect(&alice, WS_TEXT, "anyone?");
  CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("everyone")));
  ws_expect(&alice, WS_TEXT, "everyone");
  chat_stats stats;
  CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  CHECK(stats.admissions_timed_out == 1 && stats.reviews_timed_out == 1);
  CHECK(stats.messages_refused == 0 && stats.connections_refused == 0);
  chat_server_free(server);
  close(alice.fd);
}

int main(void) {
  begin();
  const uint32_t in_time = getenv("SLOW") ? 10000 : 1000;
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_admission_timeout(config, in_time));
  chat_server *server = start(config);
  feed events = {.server = server};
  decide_who_comes_in(server, &events);
  feed_free(&events);
  chat_server_free(server);

  config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_review_timeout(config, in_time));
  server = start(config);
  feed more = {.server = server};
  decide_what_is_said(server, &more);
  feed_free(&more);
  chat_server_free(server);
  decide_by_the_clock();
  return 0;
}
