/* A chat server at ws://127.0.0.1:9001/. Every client receives what one client sends. Ctrl-C ends it.
 *
 *   chat [ADDRESS:PORT]
 */
#define _POSIX_C_SOURCE 200809L /* sigset_t, sigwait */
#include <libchat.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int fail(chat_status status, chat_error *error) {
  fprintf(stderr, "chat: %s\n", error ? chat_error_message(error) : chat_status_message(status));
  chat_error_free(error);
  return 1;
}

int main(int argc, char **argv) {
  const char *listen = argc > 1 ? argv[1] : "127.0.0.1:9001";

  /* libchat leaves signals to the host, which waits for them below. */
  sigset_t stop;
  int signal = 0;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, NULL);

  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  chat_server *server = NULL;
  chat_error *error = NULL;
  chat_status status = chat_config_add_listen(config, listen, strlen(listen));
  if (status == CHAT_OK) status = chat_server_start(config, &server, &error);
  chat_config_free(config);
  if (status != CHAT_OK) return fail(status, error);

  char addr[CHAT_ADDR_SIZE];
  status = chat_server_local_addr(server, 0, addr, sizeof addr, NULL);
  if (status == CHAT_OK) printf("listening on ws://%s/\n", addr);
  fflush(stdout);

  sigwait(&stop, &signal);

  /* Delivers what was sent, then closes every client with a close frame. */
  status = chat_server_stop(server, 5000);
  if (status == CHAT_ERR_TIMED_OUT) fputs("chat: some connections were aborted\n", stderr);
  chat_server_free(server);
  return 0;
}
