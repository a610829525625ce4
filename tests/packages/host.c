/* A program of somebody else's, which finds libchat where it is installed: starts, serves, stops. */
#include <libchat.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  if (chat_version_number() != CHAT_VERSION_NUMBER) return 1;
  if (strcmp(chat_version_string(), CHAT_VERSION_STRING) != 0) return 2;
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  chat_server *server = NULL;
  chat_error *error = NULL;
  if (chat_config_add_listen(config, "127.0.0.1:0", 11) != CHAT_OK) return 3;
  chat_status status = chat_server_start(config, &server, &error);
  chat_config_free(config);
  if (status != CHAT_OK) {
    fprintf(stderr, "%s\n", chat_error_message(error));
    chat_error_free(error);
    return 4;
  }
  status = chat_server_publish(server, "lobby", 5, CHAT_TEXT, (const uint8_t *)"hello", 5, NULL);
  if (status != CHAT_OK || chat_server_stop(server, 1000) != CHAT_OK) return 5;
  chat_server_free(server);
  puts("served");
  return 0;
}
