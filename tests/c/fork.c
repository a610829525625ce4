/* In a fork every call on the server says so and returns; the parent does not notice. */
#include "ws.h"

#include <sys/wait.h>

static ws alice;

static void child(chat_server *server, chat_client_id client) {
  char addr[CHAT_ADDR_SIZE];
  chat_stats stats;
  chat_events *events = NULL;
#define FORKED(call) CHECK_STATUS(CHAT_ERR_FORKED, call)
  FORKED(chat_server_local_addr(server, 0, addr, sizeof addr, NULL));
  FORKED(chat_server_broadcast(server, CHAT_TEXT, DATA("x")));
  FORKED(chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("x"), NULL));
  FORKED(chat_server_send(server, client, CHAT_TEXT, DATA("x")));
  FORKED(chat_server_disconnect(server, client, 1000, NULL, 0));
  FORKED(chat_server_stats(server, &stats, sizeof stats));
  FORKED(chat_server_next_events(server, CHAT_WAIT_FOREVER, &events));
  FORKED(chat_server_request_stop(server));
  FORKED(chat_server_stop(server, UINT32_MAX));
  chat_server_free(server);
}

int main(void) {
  begin();
  chat_server *server = start_with_queue();
  feed events = {.server = server};
  ws_connect(&alice, server, "/", "");
  chat_client_id id = feed_until(&events, CHAT_EVENT_CONNECTED)->client;

  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(20);
    child(server, id);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);

  CHECK_OK(chat_server_send(server, id, CHAT_TEXT, DATA("still here")));
  ws_expect(&alice, WS_TEXT, "still here");
  CHECK_OK(chat_server_request_stop(server));
  CHECK(ws_await_close(&alice) == 1001);
  CHECK_OK(chat_server_stop(server, 5000));
  feed_free(&events);
  chat_server_free(server);
  return 0;
}
