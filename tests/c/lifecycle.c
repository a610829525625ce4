/* A server starts, carries messages every way, and stops with everything delivered. */
#include "ws.h"

static ws alice, bob;

/* All that acts on a server says that it has stopped. */
static void is_stopped(chat_server *server, chat_client_id client) {
  const chat_message message = {"lobby", 5, (const uint8_t *)"x", 1, CHAT_TEXT, 0};
  size_t published = 77;
#define STOPPED(call) CHECK_STATUS(CHAT_ERR_STOPPED, call)
  STOPPED(chat_server_publish_batch(server, &message, sizeof message, 1, &published, NULL));
  CHECK(published == 0);
  const chat_room_name room = {"lobby", 5};
  STOPPED(chat_server_publish_with(server, TEXT("lobby"), CHAT_TEXT, DATA("x"), NULL, NULL, NULL));
  published = 77;
  STOPPED(chat_server_publish_to(server, &room, 1, CHAT_TEXT, DATA("x"), NULL, &published, NULL, NULL));
  CHECK(published == 0);
  chat_position position;
  STOPPED(chat_server_position(server, TEXT("room"), &position));
  STOPPED(chat_server_send(server, client, CHAT_TEXT, DATA("late")));
  STOPPED(chat_server_disconnect(server, client, 1000, NULL, 0));
  STOPPED(chat_server_accept(server, client));
  STOPPED(chat_server_reject(server, client, 403, NULL, 0, NULL, 0));
  STOPPED(chat_server_join(server, client, TEXT("room")));
  STOPPED(chat_server_leave(server, client, TEXT("room")));
  STOPPED(chat_server_set_echo(server, client, 1));
  STOPPED(chat_server_set_identity(server, client, TEXT("name")));
  STOPPED(chat_server_send_to_identity(server, TEXT("name"), CHAT_TEXT, DATA("late"), NULL));
  STOPPED(chat_server_disconnect_identity(server, TEXT("name"), 1000, NULL, 0, NULL));
  STOPPED(chat_server_join_identity(server, TEXT("name"), TEXT("room"), NULL));
  STOPPED(chat_server_leave_identity(server, TEXT("name"), TEXT("room"), NULL));
  STOPPED(chat_server_identity_clients(server, TEXT("name"), NULL, 0, &(size_t){0}));
  STOPPED(chat_server_set_subprotocol(server, client, TEXT("name")));
  STOPPED(chat_server_allow(server, 1));
  STOPPED(chat_server_allow_changed(server, 1, CHAT_TEXT, DATA("x")));
  STOPPED(chat_server_refuse(server, 1));
  STOPPED(chat_server_refuse_with(server, 1, NULL, 0));
}

int main(void) {
  begin();
  chat_config *config = local_config();
  CHECK_OK(chat_config_add_listen(config, TEXT("127.0.0.1:0")));
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  chat_server *server = start(config);

  /* Each listener has its address. */
  char first[CHAT_ADDR_SIZE], second[CHAT_ADDR_SIZE];
  size_t len = 0;
  CHECK_OK(chat_server_local_addr(server, 0, first, sizeof first, &len));
  CHECK(len == strlen(first) && strncmp(first, "127.0.0.1:", 10) == 0);
  CHECK_OK(chat_server_local_addr(server, 1, second, sizeof second, NULL));
  CHECK(strcmp(first, second) != 0 && strcmp(first, "127.0.0.1:0") != 0);
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_local_addr(server, 2, first, sizeof first, NULL));

  feed events = {.server = server};
  ws_connect(&alice, server, "/", "");
  chat_client_id alice_id = feed_until(&events, CHAT_EVENT_CONNECTED)->client;
  ws_connect(&bob, server, "/", "");
  chat_client_id bob_id = feed_until(&events, CHAT_EVENT_CONNECTED)->client;
  CHECK(alice_id != 0 && bob_id != 0 && alice_id != bob_id);

  /* A client's message goes to the room, its sender included. */
  ws_say(&alice, "salut");
  ws_expect(&alice, WS_TEXT, "salut");
  ws_expect(&bob, WS_TEXT, "salut");

  /* The host's goes to a room, to everyone, to one. */
  chat_position position = {0, 0};
  CHECK_OK(chat_server_publish(server, TEXT("lobby"), CHAT_BINARY, DATA("bytes"), &position));
  CHECK(position.offset == 2);
  ws_expect(&alice, WS_BINARY, "bytes");
  ws_expect(&bob, WS_BINARY, "bytes");
  CHECK_OK(chat_server_publish(server, TEXT("elsewhere"), CHAT_TEXT, DATA("x"), NULL));
  CHECK_OK(chat_server_send(server, alice_id, CHAT_TEXT, DATA("for you")));
  CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, NULL, 0));
  ws_expect(&alice, WS_TEXT, "for you");
  ws_expect(&alice, WS_TEXT, "");
  ws_expect(&bob, WS_TEXT, "");

  /* The host closes a client after what it was sent. */
  CHECK_OK(chat_server_send(server, alice_id, CHAT_TEXT, DATA("last")));
  CHECK_OK(chat_server_disconnect(server, alice_id, 4000, TEXT("bye")));
  ws_expect(&alice, WS_TEXT, "last");
  CHECK(ws_await_close(&alice) == 4000);
  CHECK(text_is(alice.data + 2, alice.len - 2, "bye"));
  CHECK(feed_until(&events, CHAT_EVENT_DISCONNECTED)->client == alice_id);
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_send(server, alice_id, CHAT_TEXT, DATA("late")));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_disconnect(server, alice_id, 1000, NULL, 0));

  chat_stats stats;
  /* A connection counts until its socket is closed, which is after the event. */
  do CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  while (stats.connections != 1);
  CHECK(stats.connections_accepted == 2);
  CHECK(stats.messages_received == 1 && stats.events_dropped == 0);

  /* What was accepted before the stop arrives before the close frame. */
  CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("accepted")));
  CHECK_OK(chat_server_request_stop(server));
  ws_expect(&bob, WS_TEXT, "accepted");
  CHECK(ws_await_close(&bob) == 1001);
  CHECK_OK(chat_server_stop(server, 5000));
  CHECK_OK(chat_server_stop(server, 5000));
  feed_until(&events, CHAT_EVENT_STOPPED);
  chat_events *none = NULL;
  CHECK_STATUS(CHAT_ERR_STOPPED, chat_server_next_events(server, CHAT_WAIT_FOREVER, &none));
  CHECK(none == NULL);
  CHECK_STATUS(CHAT_ERR_STOPPED, chat_server_broadcast(server, CHAT_TEXT, DATA("late")));
  CHECK_STATUS(CHAT_ERR_STOPPED,
               chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("late"), NULL));
  CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  CHECK(stats.connections == 0);
  CHECK_OK(chat_server_request_stop(server));
  is_stopped(server, bob_id);

  /* The port is free when stop has returned. */
  CHECK_OK(chat_server_local_addr(server, 0, first, sizeof first, &len));
  config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, first, len));
  chat_server *heir = start(config);
  feed_free(&events);
  chat_server_free(server);

  /* A client that does not answer the close frame is cut at the deadline. */
  ws_connect(&alice, heir, "/", "");
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_stop(heir, 50));
  CHECK_STATUS(CHAT_ERR_STOPPED, chat_server_broadcast(heir, CHAT_TEXT, DATA("late")));
  chat_server_free(heir);
  close(alice.fd);

  /* A server can be freed while it runs. */
  server = start(local_config());
  ws_connect(&alice, server, "/", "");
  chat_server_free(server);
  close(alice.fd);
  return 0;
}
