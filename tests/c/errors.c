/* What start cannot do is said with a status, a text, and the operating system's number. */
#include "ws.h"

static chat_server *const UNTOUCHED = (chat_server *)-1;

/* Starts what must fail, and returns its error. */
static chat_error *fail(chat_config *config, chat_status expected) {
  chat_server *server = UNTOUCHED;
  chat_error *error = NULL;
  CHECK_STATUS(expected, chat_server_start(config, &server, NULL));
  CHECK_STATUS(expected, chat_server_start(config, &server, &error));
  CHECK(server == UNTOUCHED);
  CHECK(error && chat_error_status(error) == expected);
  chat_config_free(config);
  return error;
}

int main(void) {
  begin();
  chat_server *server = start(local_config());
  char addr[CHAT_ADDR_SIZE];
  size_t len;
  CHECK_OK(chat_server_local_addr(server, 0, addr, sizeof addr, &len));

  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, addr, len));
  chat_error *error = fail(config, CHAT_ERR_ADDRESS_IN_USE);
  CHECK(chat_error_os_code(error) == EADDRINUSE);
  CHECK(strstr(chat_error_message(error), addr));
  chat_error_free(error);
  chat_server_free(server);

  /* 192.0.2.0/24 is nobody's (RFC 5737). */
  config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, TEXT("192.0.2.1:0")));
  error = fail(config, CHAT_ERR_ADDRESS_UNAVAILABLE);
  CHECK(chat_error_os_code(error) == EADDRNOTAVAIL);
  chat_error_free(error);

  /* All options that are out of their limits are named at once. */
  config = local_config();
  CHECK_OK(chat_config_add_listen(config, TEXT("localhost")));
  CHECK_OK(chat_config_add_origin(config, TEXT("example\0org")));
  CHECK_OK(chat_config_set_workers(config, 257));
  CHECK_OK(chat_config_set_busy_poll(config, 1001));
  CHECK_OK(chat_config_set_max_message_size(config, SIZE_MAX));
  CHECK_OK(chat_config_set_outbox_size(config, 1));
  CHECK_OK(chat_config_set_history_age(config, UINT64_MAX));
  CHECK_OK(chat_config_set_tcp_keepalive(config, 1500));
  error = fail(config, CHAT_ERR_INVALID_ARGUMENT);
  CHECK(chat_error_os_code(error) == 0);
  const char *named[] = {"listen",           "origin",      "workers",     "busy_poll",
                         "max_message_size", "outbox_size", "history_age", "tcp_keepalive"};
  for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
    CHECK(strstr(chat_error_message(error), named[i]));
  }
  chat_error_free(error);

  /* A missing config is most likely a library of another version. */
  error = NULL;
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_start(NULL, &server, &error));
  CHECK(chat_error_status(error) == CHAT_ERR_NULL_ARGUMENT);
  CHECK(strstr(chat_error_message(error), "chat_config_new"));
  CHECK(strstr(chat_error_message(error), "header"));
  chat_error_free(error);
  return 0;
}
