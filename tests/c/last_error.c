/* The text of a failed call is that of the thread's own last one: it names the argument, it stays while calls
 * succeed, and other threads do not change it. */
#include "check.h"

#include <pthread.h>

enum { THREADS = 8, ROUNDS = 2000 };

static chat_server *server;

static int last_is(const char *expected) { return strcmp(chat_last_error_message(), expected) == 0; }

static int last_begins(const char *expected) {
  return strncmp(chat_last_error_message(), expected, strlen(expected)) == 0;
}

static void *fail_again_and_again(void *number) {
  CHECK(last_is("")); /* No call of this thread has failed. */
  uint32_t kind = 100 + (uint32_t)(uintptr_t)number;
  char expected[80];
  snprintf(expected, sizeof expected, "kind: %u is neither CHAT_TEXT nor CHAT_BINARY", kind);
  for (int i = 0; i < ROUNDS; i++) {
    CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_broadcast(server, kind, DATA("x")));
    CHECK(last_is(expected));
    const char *text = chat_last_error_message();
    CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("x")));
    CHECK(chat_last_error_message() == text && last_is(expected));
  }
  return NULL;
}

int main(void) {
  begin();
  CHECK(last_is(""));
  server = start_with_queue();
  CHECK(last_is(""));

  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_publish(server, "", 0, CHAT_TEXT, DATA("x"), NULL));
  CHECK(last_begins("room: it is empty"));
  char identity[257] = "";
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_set_identity(server, 1, identity, sizeof identity));
  CHECK(last_is("identity: 257 bytes are too many: 256 are allowed"));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_server_join(server, 1, TEXT("ab\xff")));
  CHECK(last_is("room: the text is not UTF-8, from byte 2 on"));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_join(NULL, 1, TEXT("r")));
  CHECK(last_is("server: it is NULL"));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_join(server, 1, TEXT("r")));
  CHECK(last_begins("client: there is no such client"));
  chat_message batch[2] = {{"r", 1, DATA("x"), CHAT_TEXT, 0}, {"", 0, DATA("x"), CHAT_TEXT, 0}};
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT,
               chat_server_publish_batch(server, batch, sizeof *batch, 2, NULL, NULL));
  CHECK(last_begins("messages[1].room: it is empty"));

  /* A failed start has the same text twice. */
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_workers(config, 1000));
  chat_server *none = NULL;
  chat_error *error = NULL;
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_start(config, &none, &error));
  CHECK(last_is(chat_error_message(error)) && last_begins("workers: "));
  chat_error_free(error);
  chat_config_free(config);
  CHECK(last_begins("workers: "));

  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    CHECK(pthread_create(&threads[i], NULL, fail_again_and_again, (void *)i) == 0);
  }
  for (size_t i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(last_begins("workers: "));

  CHECK_OK(chat_server_stop(server, 0));
  CHECK_STATUS(CHAT_ERR_STOPPED, chat_server_broadcast(server, CHAT_TEXT, DATA("x")));
  CHECK(last_is("the server has stopped"));
  chat_server_free(server);
  return 0;
}
