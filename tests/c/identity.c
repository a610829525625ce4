/* What the host does by identity concerns all clients that have it, and says how many they are. */
#include "ws.h"

static chat_client_id connect_as(ws *ws, chat_server *server, feed *events, const char *identity) {
  ws_connect(ws, server, "/", "");
  chat_client_id client = feed_until(events, CHAT_EVENT_CONNECTED)->client;
  CHECK_OK(chat_server_set_identity(server, client, identity, strlen(identity)));
  return client;
}

int main(void) {
  begin();
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_workers(config, 2));
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_max_rooms_per_client(config, 2));
  chat_server *server = start(config);
  feed events = {.server = server};
  static ws peers[5];
  chat_client_id ids[5];
  for (size_t i = 0; i < 5; i++) {
    ids[i] = connect_as(&peers[i], server, &events, i < 4 ? "ana" : "bob");
  }

  size_t reached = 77;
  CHECK_OK(chat_server_send_to_identity(server, TEXT("ana"), CHAT_TEXT, DATA("to ana"), &reached));
  CHECK(reached == 4);
  CHECK_OK(chat_server_join_identity(server, TEXT("ana"), TEXT("tea"), &reached));
  CHECK(reached == 4);
  CHECK_OK(chat_server_publish(server, TEXT("tea"), CHAT_TEXT, DATA("tea"), NULL));
  CHECK_STATUS(CHAT_ERR_TOO_MANY_ROOMS, chat_server_join_identity(server, TEXT("ana"), TEXT("third"), &reached));
  CHECK_OK(chat_server_leave_identity(server, TEXT("ana"), TEXT("lobby"), &reached));
  CHECK(reached == 4);
  CHECK_OK(chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("lobby"), NULL));

  /* An array that is too short is not written to, and its host is told how long it must be. */
  chat_client_id found[8] = {77};
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_identity_clients(server, TEXT("ana"), NULL, 0, &reached));
  CHECK(reached == 4);
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_identity_clients(server, TEXT("ana"), found, 3, &reached));
  CHECK(reached == 4 && found[0] == 77);
  CHECK_OK(chat_server_identity_clients(server, TEXT("ana"), found, 4, &reached));
  CHECK(reached == 4 && found[4] == 0);
  for (size_t i = 0; i < 4; i++) {
    size_t times = 0;
    for (size_t at = 0; at < 4; at++) times += found[at] == ids[i];
    CHECK(times == 1);
  }

  CHECK_OK(chat_server_disconnect_identity(server, TEXT("ana"), 4000, TEXT("enough"), &reached));
  CHECK(reached == 4);
  CHECK_OK(chat_server_identity_clients(server, TEXT("ana"), found, 8, &reached));
  CHECK(reached == 0);
  for (size_t i = 0; i < 4; i++) {
    ws_expect(&peers[i], WS_TEXT, "to ana");
    ws_expect(&peers[i], WS_TEXT, "tea");
    CHECK(ws_await_close(&peers[i]) == 4000);
  }
  ws_expect(&peers[4], WS_TEXT, "lobby");
  ws_leave(&peers[4], 1000);
  feed_free(&events);
  chat_server_free(server);
  return 0;
}
