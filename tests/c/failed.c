/* A server ends when one of its threads cannot go on. A host that takes no events learns it from wait and from stop.
 * This program's own epoll_wait and epoll_ctl, which the library calls, fail when they are told to. */
#include "ws.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

static atomic_int is_broken, refuses_listeners;

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
  if (is_broken) {
    errno = EBADF;
    return -1;
  }
  return (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout, NULL, 8);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  int is_listener = 0;
  socklen_t len = sizeof is_listener;
  getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listener, &len);
  if (refuses_listeners && is_listener) {
    errno = ENOSPC;
    return -1;
  }
  return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

/* A server that nobody can reach does not go on as if all were well. */
static void with_a_listener_that_cannot_be_watched(void) {
  refuses_listeners = 1;
  chat_server *server = start(local_config());
  CHECK_STATUS(CHAT_ERR_FAILED, chat_server_wait(server, CHAT_WAIT_FOREVER));
  CHECK(strstr(chat_last_error_message(), "thread libchat-0: its listener cannot be watched: No space left"));
  refuses_listeners = 0;
  chat_server_free(server);
}

static void *wait_for_the_end(void *server) {
  CHECK_STATUS(CHAT_ERR_FAILED, chat_server_wait(server, CHAT_WAIT_FOREVER));
  return NULL;
}

int main(void) {
  begin();
  chat_server *server = start(local_config());
  char addr[CHAT_ADDR_SIZE];
  CHECK_OK(chat_server_local_addr(server, 0, addr, sizeof addr, NULL));
  ws client;
  ws_connect(&client, server, "/", "");
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_wait(server, 0));
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_wait(server, 10));
  pthread_t waiting;
  CHECK(pthread_create(&waiting, NULL, wait_for_the_end, server) == 0);
  is_broken = 1;
  /* Wakes the shards from their last epoll_wait that worked. */
  CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("x")));
  CHECK(pthread_join(waiting, NULL) == 0);
  is_broken = 0;
  CHECK_STATUS(CHAT_ERR_STOPPED, chat_server_broadcast(server, CHAT_TEXT, DATA("x")));
  for (int i = 0; i < 2; i++) {
    CHECK_STATUS(CHAT_ERR_FAILED, chat_server_wait(server, 0));
    CHECK(strstr(chat_last_error_message(), ": its event loop failed: Bad file descriptor"));
    CHECK_STATUS(CHAT_ERR_FAILED, chat_server_stop(server, 0));
    CHECK(strstr(chat_last_error_message(), ": its event loop failed: Bad file descriptor"));
  }
  /* The client is at its end, and the port is free. */
  char byte;
  while (read(client.fd, &byte, 1) > 0) continue;
  close(client.fd);
  chat_server_free(server);
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, addr, strlen(addr)));
  server = start(config);
  CHECK_OK(chat_server_stop(server, 1000));
  CHECK_OK(chat_server_wait(server, 0));
  chat_server_free(server);
  with_a_listener_that_cannot_be_watched();
  return 0;
}
