/* In a fork every call on the server says so and returns; the parent does not notice. No descriptor of
 * libchat's is there for the program that a child becomes. A child may start servers of its own. */
#include "handler.h"

#include <fcntl.h>
#include <sys/wait.h>

enum { MOST_DESCRIPTORS = 256 };

static ws alice;
static int was_open[MOST_DESCRIPTORS];

static void note_open(void) {
  for (int fd = 0; fd < MOST_DESCRIPTORS; fd++) was_open[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* Those that the server has opened are closed on exec. */
static void check_close_on_exec(void) {
  int opened = 0;
  for (int fd = 0; fd < MOST_DESCRIPTORS; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || was_open[fd]) continue;
    CHECK(flags & FD_CLOEXEC);
    opened++;
  }
  CHECK(opened > 2);
}

static void child(chat_server *server, chat_client_id client) {
  char addr[CHAT_ADDR_SIZE];
  chat_stats stats;
  chat_events *events = NULL;
  chat_position position;
#define FORKED(call) CHECK_STATUS(CHAT_ERR_FORKED, call)
  FORKED(chat_server_local_addr(server, 0, addr, sizeof addr, NULL));
  FORKED(chat_server_broadcast(server, CHAT_TEXT, DATA("x")));
  FORKED(chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("x"), NULL));
  FORKED(chat_server_position(server, TEXT("lobby"), &position));
  const chat_message message = {"lobby", 5, (const uint8_t *)"x", 1, CHAT_TEXT, 0};
  FORKED(chat_server_publish_batch(server, &message, sizeof message, 1, NULL, NULL));
  FORKED(chat_server_publish_with(server, TEXT("lobby"), CHAT_TEXT, DATA("x"), NULL, NULL, NULL));
  FORKED(chat_server_publish_to(server, NULL, 0, CHAT_TEXT, DATA("x"), NULL, NULL, NULL, NULL));
  FORKED(chat_server_send(server, client, CHAT_TEXT, DATA("x")));
  FORKED(chat_server_accept(server, client));
  FORKED(chat_server_reject(server, client, 403, NULL, 0, NULL, 0));
  FORKED(chat_server_join(server, client, TEXT("room")));
  FORKED(chat_server_leave(server, client, TEXT("room")));
  FORKED(chat_server_set_echo(server, client, 1));
  FORKED(chat_server_set_identity(server, client, TEXT("name")));
  FORKED(chat_server_send_to_identity(server, TEXT("name"), CHAT_TEXT, DATA("x"), NULL));
  FORKED(chat_server_disconnect_identity(server, TEXT("name"), 1000, NULL, 0, NULL));
  FORKED(chat_server_join_identity(server, TEXT("name"), TEXT("room"), NULL));
  FORKED(chat_server_leave_identity(server, TEXT("name"), TEXT("room"), NULL));
  FORKED(chat_server_identity_clients(server, TEXT("name"), NULL, 0, &(size_t){0}));
  FORKED(chat_server_set_subprotocol(server, client, TEXT("name")));
  FORKED(chat_server_allow(server, 1));
  FORKED(chat_server_allow_changed(server, 1, CHAT_TEXT, DATA("x")));
  FORKED(chat_server_refuse(server, 1));
  FORKED(chat_server_refuse_with(server, 1, NULL, 0));
  FORKED(chat_server_disconnect(server, client, 1000, NULL, 0));
  FORKED(chat_server_stats(server, &stats, sizeof stats));
  FORKED(chat_server_next_events(server, CHAT_WAIT_FOREVER, &events));
  FORKED(chat_server_request_stop(server));
  FORKED(chat_server_wait(server, CHAT_WAIT_FOREVER));
  FORKED(chat_server_stop(server, UINT32_MAX));
  chat_server_free(server);
}

/* A server of the child's own, from a config that the parent made, serves beside the parent's. In a fork of
 * the child it is as foreign as the parent's is in the child. */
static void start_anew(const chat_config *config, state *state, int generations) {
  chat_server *of_parent = state->server;
  CHECK_OK(chat_server_start(config, &state->server, NULL));
  if (of_parent) FORKED(chat_server_broadcast(of_parent, CHAT_TEXT, DATA("x")));
  int connected = count(state, &state->connected) + 1;
  ws_connect(&alice, state->server, "/", "");
  /* After this the handler's thread holds no lock, which a fork would copy. */
  await(state, &state->connected, connected);
  if (generations > 0) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      alarm(20);
      FORKED(chat_server_broadcast(state->server, CHAT_TEXT, DATA("x")));
      start_anew(config, state, generations - 1);
      exit(0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  }
  ws_say(&alice, "a child's");
  ws_expect(&alice, WS_TEXT, "a child's");
  int before = count(state, &state->stopped);
  CHECK_OK(chat_server_request_stop(state->server));
  CHECK(ws_await_close(&alice) == 1001);
  CHECK_OK(chat_server_stop(state->server, 5000));
  CHECK(state->messages == 1 && state->stopped == before + 1);
  chat_server_free(state->server);
}

static void ignore_line(void *user_data, uint32_t level, const char *text, size_t text_len) {
  (void)user_data, (void)level, (void)text, (void)text_len;
}

/* Children of a process with a running server, and grandchildren of it. */
static void with_servers_of_their_own(void) {
  state state = STATE;
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_handler(config, count_events, &state, NULL));
  CHECK_OK(chat_config_set_log_handler(config, CHAT_LOG_DEBUG, ignore_line, NULL, NULL));
  start_anew(config, &state, 2);
  chat_config_free(config);
}

/* A child that ends as any program does, with a server that has a handler. */
static void with_a_handler(void) {
  state state = STATE;
  start_with_handler(&state, count_events);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(20);
    FORKED(chat_server_stop(state.server, 0));
    chat_server_free(state.server);
    exit(0);
  }
  int status = -1;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  chat_server_free(state.server);
  CHECK(state.stopped == 1 && state.dropped == 1);
}

/* A child that lives on has a copy of every descriptor. The parent's stop frees the port and ends the connections all
 * the same: that of a client, that of a handshake, and one that is not accepted yet. */
static void with_a_child_that_stays(void) {
  static ws client;
  chat_server *server = start_with_queue();
  char addr[CHAT_ADDR_SIZE];
  CHECK_OK(chat_server_local_addr(server, 0, addr, sizeof addr, NULL));
  feed events = {.server = server};
  ws_connect(&client, server, "/", "");
  feed_until(&events, CHAT_EVENT_CONNECTED);
  feed_free(&events);
  int silent = ws_socket(server, 0), half = ws_socket(server, 0);
  CHECK(send(half, "GET / HTTP/1.1\r\n", 16, MSG_NOSIGNAL) == 16);
  chat_stats stats;
  do {
    CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  } while (stats.handshakes < 2);
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(60);
    char byte;
    close(pipes[1]);
    _exit((int)read(pipes[0], &byte, 1));
  }
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_stop(server, 0));
  chat_server_free(server);
  char byte;
  while (recv(client.fd, &byte, 1, 0) > 0) continue;
  while (recv(silent, &byte, 1, 0) > 0) continue;
  while (recv(half, &byte, 1, 0) > 0) continue;
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, addr, strlen(addr)));
  server = start(config);
  ws_connect(&client, server, "/", "");
  chat_server_free(server);
  close(pipes[1]);
  int status = -1;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void) {
  begin();
  note_open();
  chat_server *server = start_with_queue();
  feed events = {.server = server};
  ws_connect(&alice, server, "/", "");
  chat_client_id id = feed_until(&events, CHAT_EVENT_CONNECTED)->client;

  check_close_on_exec();

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
  with_a_handler();
  with_servers_of_their_own();
  with_a_child_that_stays();
  return 0;
}
