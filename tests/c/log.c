/* Lines of the log reach the host's handler, each server's its own, and nobody can break them. */
#include "ws.h"

#include <pthread.h>

typedef struct lines {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  chat_server *server;
  char text[64 * 1024];
  size_t len;
  uint32_t worst; /* the most detailed level that came */
  int count, dropped;
} lines;

#define LINES {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static ws alice;

static void keep(void *user_data, uint32_t level, const char *text, size_t text_len) {
  lines *lines = user_data;
  CHECK(level >= CHAT_LOG_ERROR && level <= CHAT_LOG_TRACE);
  CHECK(text_len > 0 && text_len <= 1024);
  for (size_t i = 0; i < text_len; i++) CHECK((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
  pthread_mutex_lock(&lines->lock);
  CHECK(lines->dropped == 0);
  CHECK(lines->len + text_len + 2 <= sizeof lines->text);
  memcpy(lines->text + lines->len, text, text_len);
  lines->len += text_len;
  lines->text[lines->len++] = '\n';
  lines->text[lines->len] = 0;
  if (level > lines->worst) lines->worst = level;
  lines->count++;
  pthread_cond_broadcast(&lines->changed);
  pthread_mutex_unlock(&lines->lock);
}

static void count_drop(void *user_data) {
  lines *lines = user_data;
  pthread_mutex_lock(&lines->lock);
  lines->dropped++;
  pthread_mutex_unlock(&lines->lock);
}

static int has(lines *lines, const char *part) {
  pthread_mutex_lock(&lines->lock);
  int found = strstr(lines->text, part) != NULL;
  pthread_mutex_unlock(&lines->lock);
  return found;
}

static void await_line(lines *lines, const char *part) {
  pthread_mutex_lock(&lines->lock);
  while (!strstr(lines->text, part)) pthread_cond_wait(&lines->changed, &lines->lock);
  pthread_mutex_unlock(&lines->lock);
}

static chat_server *start_logging(lines *lines, uint32_t level) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_log_handler(config, level, keep, lines, count_drop));
  return start(config);
}

static void arguments(void) {
  static lines lines = LINES;
  chat_config *config = local_config();
  const uint32_t unknown[] = {0, 6, UINT32_MAX};
  for (int i = 0; i < 3; i++) {
    CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT,
                 chat_config_set_log_handler(config, unknown[i], keep, &lines, count_drop));
    CHECK(lines.dropped == 1);
    lines.dropped = 0;
  }
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT,
               chat_config_set_log_handler(NULL, CHAT_LOG_INFO, keep, &lines, count_drop));
  CHECK(lines.dropped == 1);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT,
               chat_config_set_log_handler(config, CHAT_LOG_INFO, NULL, &lines, count_drop));
  CHECK(lines.dropped == 2);
  lines.dropped = 0;
  CHECK_OK(chat_config_set_log_handler(config, CHAT_LOG_INFO, keep, &lines, count_drop));
  CHECK_OK(chat_config_set_log_handler(config, CHAT_LOG_TRACE, keep, NULL, NULL));
  CHECK(lines.dropped == 1);
  chat_config_free(config);
  CHECK(lines.dropped == 1 && lines.count == 0);
}

/* What a server has to say comes, at its level, from its threads and from the host's. */
static void life(void) {
  static lines lines = LINES, silent = LINES;
  chat_server *server = start_logging(&lines, CHAT_LOG_DEBUG);
  CHECK(has(&lines, "listening addrs=[127.0.0.1:"));
  chat_server *other = start_logging(&silent, CHAT_LOG_WARN);
  ws_connect(&alice, server, "/", "");
  await_line(&lines, "connected client=");
  /* A reason is the client's own, and cannot make a line of its own. */
  ws_send(&alice, WS_CLOSE, TEXT("\x03\xe8" "bye\nstopped connections_accepted=7"));
  CHECK(ws_await_close(&alice) == 1000);
  await_line(&lines, "reason=\"bye\\nstopped connections_accepted=7\"");
  close(alice.fd);
  CHECK(lines.worst == CHAT_LOG_DEBUG);
  CHECK_OK(chat_server_stop(server, 5000));
  CHECK(has(&lines, "\nstopped connections_accepted=1\n"));
  CHECK(lines.dropped == 0);
  chat_server_free(server);
  CHECK(lines.dropped == 1);
  chat_server_free(other);
  CHECK(silent.dropped == 1 && silent.count == 0);
}

static int refused;

/* On whatever thread it runs, no call can wait for what waits for the handler. */
static void call_inside(void *user_data, uint32_t level, const char *text, size_t text_len) {
  (void)level, (void)text, (void)text_len;
  lines *lines = user_data;
  if (!lines->server) return; /* not written yet */
  chat_stats stats;
  CHECK_STATUS(CHAT_ERR_IN_HANDLER, chat_server_stats(lines->server, &stats, sizeof stats));
  CHECK_STATUS(CHAT_ERR_IN_HANDLER, chat_server_stop(lines->server, 0));
  CHECK_STATUS(CHAT_ERR_IN_HANDLER, chat_server_request_stop(lines->server));
  CHECK_STATUS(CHAT_ERR_IN_HANDLER, chat_server_wait(lines->server, CHAT_WAIT_FOREVER));
  CHECK_STATUS(CHAT_ERR_IN_HANDLER,
               chat_server_broadcast(lines->server, CHAT_TEXT, DATA("no")));
  chat_server_free(lines->server);
  chat_config *config = local_config();
  chat_server *another = NULL;
  CHECK_STATUS(CHAT_ERR_IN_HANDLER, chat_server_start(config, &another, NULL));
  chat_config_free(config);
  __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
}

static void inside(void) {
  static lines lines = LINES;
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_log_handler(config, CHAT_LOG_INFO, call_inside, &lines, count_drop));
  CHECK_OK(chat_server_start(config, &lines.server, NULL));
  chat_config_free(config);
  CHECK_OK(chat_server_stop(lines.server, 5000));
  CHECK(__atomic_load_n(&refused, __ATOMIC_RELAXED) >= 2);
  chat_server_free(lines.server);
  CHECK(lines.dropped == 1);
}

int main(void) {
  begin();
  arguments();
  life();
  inside();
  return 0;
}
