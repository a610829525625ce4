/* A handler's `drop` is called exactly once, after the last call, whatever becomes of the config. */
#include "handler.h"

static ws alice;

int main(void) {
  begin();

  /* The setter fails. */
  state refused = STATE;
  chat_config *config = local_config();
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT,
               chat_config_set_event_handler(config, NULL, &refused, count_drop));
  CHECK(refused.dropped == 1);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT,
               chat_config_set_event_handler(NULL, count_events, &refused, count_drop));
  CHECK(refused.dropped == 2);

  /* Another takes its place; no server is ever started. */
  state replaced = STATE, unused = STATE;
  CHECK_OK(chat_config_set_event_handler(config, count_events, &replaced, count_drop));
  CHECK_OK(chat_config_set_event_handler(config, count_events, NULL, NULL));
  CHECK(replaced.dropped == 1);
  CHECK_OK(chat_config_set_event_handler(config, count_events, &unused, count_drop));
  CHECK(unused.dropped == 0);
  chat_config_free(config);
  CHECK(unused.dropped == 1 && replaced.dropped == 1);

  /* The start fails, and may be tried again: with the config it goes. */
  state failed = STATE;
  config = local_config();
  CHECK_OK(chat_config_set_event_handler(config, count_events, &failed, count_drop));
  CHECK_OK(chat_config_add_listen(config, TEXT("192.0.2.1:0")));
  for (int i = 0; i < 3; i++) {
    chat_server *server = NULL;
    CHECK_STATUS(CHAT_ERR_ADDRESS_UNAVAILABLE, chat_server_start(config, &server, NULL));
  }
  CHECK(failed.dropped == 0);
  chat_config_free(config);
  CHECK(failed.dropped == 1 && failed.stopped == 0);

  /* Two servers share one handler; the config goes first. */
  state shared = STATE;
  chat_server *first = NULL, *second = NULL;
  config = local_config();
  CHECK_OK(chat_config_set_event_handler(config, count_events, &shared, count_drop));
  CHECK_OK(chat_server_start(config, &first, NULL));
  CHECK_OK(chat_server_start(config, &second, NULL));
  chat_config_free(config);
  ws_connect(&alice, second, "/", "");
  await(&shared, &shared.connected, 1);
  chat_server_free(first);
  CHECK(count(&shared, &shared.dropped) == 0);
  chat_server_free(second);
  CHECK(shared.dropped == 1 && shared.stopped == 2);
  CHECK(shared.connected == 1 && shared.disconnected == 1);
  close(alice.fd);

  /* The server goes first. */
  state kept = STATE;
  config = local_config();
  CHECK_OK(chat_config_set_event_handler(config, count_events, &kept, count_drop));
  CHECK_OK(chat_server_start(config, &first, NULL));
  chat_server_free(first);
  CHECK(kept.dropped == 0 && kept.stopped == 1);
  chat_config_free(config);
  CHECK(kept.dropped == 1);
  return 0;
}
