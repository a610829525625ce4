/* A shard that is held up applies nothing: its inbox fills, and then every call waits for publish_timeout, says that
 * it is full, and has done nothing. */
#include "ws.h"

#include <pthread.h>
#include <time.h>

enum { WAIT_MS = 400, INBOX = 16384, TRIES = 10 };

/* Holds the shard's thread in the log handler while it is closed. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int is_held, is_let_go;

static ws ana;

static void hold(void *user_data, uint32_t level, const char *text, size_t text_len) {
  (void)user_data, (void)level;
  const char requested[] = "page requested";
  if (text_len < sizeof requested - 1 || memcmp(text, requested, sizeof requested - 1) != 0) return;
  pthread_mutex_lock(&lock);
  is_held = 1;
  pthread_cond_broadcast(&changed);
  while (!is_let_go) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

/* A request for a page that is not there, which the shard logs. */
static int hold_shard(const chat_server *server) {
  int fd = ws_socket(server, 0);
  const char request[] = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
  CHECK(send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == sizeof request - 1);
  pthread_mutex_lock(&lock);
  while (!is_held) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  return fd;
}

static void let_go(void) {
  pthread_mutex_lock(&lock);
  is_let_go = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* A call that waits for its time, and not much longer. Scheduling is not ours: of several tries the best counts. */
#define IS_FULL(call)                                                            \
  do {                                                                           \
    double best = 1e9;                                                           \
    for (int i = 0; i < TRIES && best >= WAIT_MS * 1.5; i++) {                   \
      double begun = now_ms();                                                   \
      CHECK_STATUS(CHAT_ERR_QUEUE_FULL, call);                                   \
      double took = now_ms() - begun;                                            \
      CHECK(took >= WAIT_MS);                                                    \
      if (took < best) best = took;                                              \
    }                                                                            \
    CHECK(getenv("SLOW") || best < WAIT_MS * 1.5);                               \
  } while (0)

int main(void) {
  begin();
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_workers(config, 1));
  CHECK_OK(chat_config_set_event_queue(config, 100));
  CHECK_OK(chat_config_set_publish_timeout(config, WAIT_MS));
  CHECK_OK(chat_config_set_log_handler(config, CHAT_LOG_DEBUG, hold, NULL, NULL));
  chat_server *server = start(config);
  feed feed = {.server = server};
  ws_connect(&ana, server, "/", "");
  chat_client_id client = feed_until(&feed, CHAT_EVENT_CONNECTED)->client;
  CHECK_OK(chat_server_set_identity(server, client, TEXT("known")));
  int refused = hold_shard(server);

  chat_stats before, after;
  for (int i = 0; i < INBOX; i++) CHECK_OK(chat_server_send(server, client, CHAT_TEXT, NULL, 0));
  CHECK_OK(chat_server_stats(server, &before, sizeof before));
  chat_position position = {7, 7};
  chat_message batch[600];
  for (int i = 0; i < 600; i++) {
    batch[i] = (chat_message){.kind = CHAT_TEXT, .data = (const uint8_t *)"x", .data_len = 1};
    batch[i].room = i < 300 ? "new" : "newer";
    batch[i].room_len = strlen(batch[i].room);
  }
  size_t published = 7;
  IS_FULL(chat_server_publish(server, TEXT("new"), CHAT_TEXT, DATA("x"), &position));
  IS_FULL(chat_server_publish_batch(server, batch, sizeof *batch, 600, &published, NULL));
  const chat_publish_options with_key = {.size = sizeof with_key, .key = "k", .key_len = 1};
  const chat_room_name rooms[2] = {{"new", 3}, {"newer", 5}};
  uint32_t duplicates[2];
  IS_FULL(chat_server_publish_with(server, TEXT("new"), CHAT_TEXT, DATA("k"), &with_key, NULL, NULL));
  published = 7;
  IS_FULL(chat_server_publish_to(server, rooms, 2, CHAT_TEXT, DATA("k"), &with_key, &published, NULL,
                                 NULL));
  IS_FULL(chat_server_broadcast(server, CHAT_TEXT, DATA("x")));
  IS_FULL(chat_server_send(server, client, CHAT_TEXT, DATA("x")));
  IS_FULL(chat_server_join(server, client, TEXT("new")));
  IS_FULL(chat_server_leave(server, client, TEXT("lobby")));
  IS_FULL(chat_server_set_echo(server, client, 0));
  IS_FULL(chat_server_set_identity(server, client, TEXT("ana")));
  CHECK(published == 0);
  published = 7;
  IS_FULL(chat_server_send_to_identity(server, TEXT("known"), CHAT_TEXT, DATA("x"), &published));
  IS_FULL(chat_server_join_identity(server, TEXT("known"), TEXT("new"), &published));
  IS_FULL(chat_server_leave_identity(server, TEXT("known"), TEXT("lobby"), &published));
  CHECK(published == 7);
  CHECK_OK(chat_server_stats(server, &after, sizeof after));
  CHECK(memcmp(&before, &after, sizeof before) == 0);

  let_go();
  for (int i = 0; i < INBOX; i++) ws_expect(&ana, WS_TEXT, "");
  ws_say(&ana, "nothing before this");
  ws_expect(&ana, WS_TEXT, "nothing before this");
  const chat_event *event = feed_next(&feed);
  CHECK(event->type == CHAT_EVENT_MESSAGE && event->position.offset == 1);
  CHECK(text_is(event->identity, event->identity_len, "known"));
  CHECK(text_is(event->room, event->room_len, "lobby"));
  CHECK_OK(chat_server_publish(server, TEXT("new"), CHAT_TEXT, DATA("x"), &position));
  CHECK(position.offset == 1);
  CHECK_OK(chat_server_publish_batch(server, batch, sizeof *batch, 600, &published, NULL));
  CHECK(published == 600);
  CHECK_OK(chat_server_stats(server, &after, sizeof after));
  CHECK(after.messages_published == 602);
  /* What was full has taken no key: the host's own retry publishes, once. */
  CHECK_OK(chat_server_publish_to(server, rooms, 2, CHAT_TEXT, DATA("k"), &with_key, NULL, NULL,
                                  duplicates));
  CHECK(duplicates[0] == 0 && duplicates[1] == 0);
  CHECK_OK(chat_server_publish_to(server, rooms, 2, CHAT_TEXT, DATA("k"), &with_key, NULL, NULL,
                                  duplicates));
  CHECK(duplicates[0] == 1 && duplicates[1] == 1);
  CHECK_OK(chat_server_stats(server, &after, sizeof after));
  CHECK(after.messages_published == 604 && after.duplicates == 2);
  feed_free(&feed);
  chat_server_free(server);
  close(refused);
  close(ana.fd);
  return 0;
}
