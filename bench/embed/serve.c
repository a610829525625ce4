// A host that takes every event and does nothing with it: what events cost.
#define _GNU_SOURCE
#include <libchat.h>

#include <stdio.h>
#include <unistd.h>

static void on_events(void *user_data, const chat_event *const *events, size_t count) {
  (void)user_data, (void)events, (void)count;
}

int main(void) {
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  chat_server *server = NULL;
  chat_error *error = NULL;
  if (chat_config_add_listen(config, "127.0.0.1:0", 11) != CHAT_OK || chat_config_set_workers(config, 1) != CHAT_OK ||
      chat_config_set_event_handler(config, on_events, NULL, NULL) != CHAT_OK ||
      chat_server_start(config, &server, &error) != CHAT_OK) {
    fprintf(stderr, "%s\n", chat_error_message(error));
    return 1;
  }
  chat_config_free(config);
  char addr[CHAT_ADDR_SIZE];
  size_t len;
  if (chat_server_local_addr(server, 0, addr, sizeof addr, &len) != CHAT_OK) return 1;
  printf("listening on %.*s\n", (int)len, addr);
  fflush(stdout);
  // Until it is killed.
  for (;;) pause();
}
