/* A host that closes its standard streams, before the start or after it, gets none of libchat's sockets in their
 * place: what it prints goes to no client, and what it opens there again closes nothing of libchat's. */
#include "ws.h"

#include <fcntl.h>
#include <sys/wait.h>

static ws alice, bob;

static void close_streams(void) {
  for (int fd = 0; fd < 3; fd++) close(fd);
}

/* What a daemon does. */
static void reopen_streams(void) {
  int null = open("/dev/null", O_RDWR);
  CHECK(null >= 0);
  for (int fd = 0; fd < 3; fd++) CHECK(dup2(null, fd) == fd);
  if (null > 2) close(null);
}

static void check_streams(void) {
  for (int fd = 0; fd < 3; fd++) CHECK(fcntl(fd, F_GETFD) < 0);
}

static void check_works(chat_server *server) {
  CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("works")));
  ws_expect(&alice, WS_TEXT, "works");
}

/* A connected socket that has a number of its own. */
static int client_socket(const chat_server *server) {
  int low = ws_socket(server, 0);
  int fd = fcntl(low, F_DUPFD_CLOEXEC, 100);
  CHECK(fd >= 100);
  close(low);
  return fd;
}

static void run(int is_closed_before) {
  if (is_closed_before) close_streams();
  chat_server *server = start_with_queue();
  if (is_closed_before) {
    check_streams();
    reopen_streams();
  }
  ws_connect(&alice, server, "/", "");
  int waiting = client_socket(server);
  close_streams();
  /* A handshake and a client whose sockets the library accepts while 0 to 2 are free. */
  bob.fd = waiting;
  feed events = {.server = server};
  feed_until(&events, CHAT_EVENT_CONNECTED);
  for (int i = 0; i < 5; i++) {
    int other = client_socket(server);
    const char head[] = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    bob.fd = other;
    ws_write(&bob, head, sizeof head - 1);
    char byte;
    CHECK(ws_try_read(&bob, &byte, 1));
    check_streams();
    close(other);
  }
  CHECK(write(1, "printed", 7) < 0 && write(2, "printed", 7) < 0);
  check_works(server);
  reopen_streams();
  check_works(server);
  CHECK_OK(chat_server_request_stop(server));
  CHECK(ws_await_close(&alice) == 1001);
  CHECK_OK(chat_server_stop(server, 5000));
  feed_free(&events);
  chat_server_free(server);
  close(waiting);
}

int main(void) {
  begin();
  for (int is_closed_before = 0; is_closed_before < 2; is_closed_before++) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      run(is_closed_before);
      exit(0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  }
  return 0;
}
