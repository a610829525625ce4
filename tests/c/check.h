/* What the C tests share: checks that end the program, a server on a free port, events one by one.
 * Included first: it asks for POSIX. */
#ifndef CHECK_H
#define CHECK_H

#define _DEFAULT_SOURCE
#include <dirent.h>
#include <libchat.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);         \
      _exit(1);                                                               \
    }                                                                         \
  } while (0)

#define CHECK_STATUS(expected, call)                                          \
  do {                                                                        \
    chat_status got_ = (call);                                                \
    if (got_ != (expected)) {                                                 \
      fprintf(stderr, "%s:%d: %s is %s, not %s\n", __FILE__, __LINE__, #call, \
              chat_status_name(got_), #expected);                             \
      _exit(1);                                                               \
    }                                                                         \
  } while (0)

#define CHECK_OK(call) CHECK_STATUS(CHAT_OK, call)

/* A string literal as the two arguments that libchat takes for a text, or for data. */
#define TEXT(literal) literal, sizeof(literal) - 1
#define DATA(literal) (const uint8_t *)literal, sizeof(literal) - 1

/* No test waits for ever. Under valgrind all takes longer. */
static inline void begin(void) { alarm(getenv("SLOW") ? 600 : 60); }

/* Bytes that the program has allocated and not given back. */
static inline size_t in_use(void) { return mallinfo2().uordblks + mallinfo2().hblkhd; }

/* How many entries a folder has: of /proc/self/fd and /proc/self/task, descriptors and threads. */
static inline int entries(const char *folder) {
  DIR *dir = opendir(folder);
  CHECK(dir);
  int count = 0;
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

/* Waits until a folder has no more entries than that: a thread that was joined is in its folder for a moment
 * longer, and the alarm ends the wait. */
static inline void await_entries(const char *folder, int most) {
  while (entries(folder) > most) usleep(1000);
}

/* A config for a free port of this machine. */
static inline chat_config *local_config(void) {
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK(config);
  CHECK_OK(chat_config_add_listen(config, TEXT("127.0.0.1:0")));
  return config;
}

/* Starts a server, and frees the config. */
static inline chat_server *start(chat_config *config) {
  chat_server *server = NULL;
  chat_error *error = NULL;
  if (chat_server_start(config, &server, &error) != CHAT_OK) {
    fprintf(stderr, "start: %s\n", chat_error_message(error));
    _exit(1);
  }
  chat_config_free(config);
  return server;
}

/* A server whose events are pulled. */
static inline chat_server *start_with_queue(void) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 10000));
  return start(config);
}

static inline int text_is(const void *text, size_t len, const char *expected) {
  return len == strlen(expected) && memcmp(text, expected, len) == 0;
}

/* Pulled events, one after the other. */
typedef struct feed {
  chat_server *server;
  chat_events *batch;
  size_t next;
} feed;

/* The next event, which is valid until the one after it is asked for. */
static inline const chat_event *feed_next(feed *feed) {
  if (feed->next == chat_events_len(feed->batch)) {
    chat_events_free(feed->batch);
    feed->batch = NULL;
    feed->next = 0;
    CHECK_OK(chat_server_next_events(feed->server, CHAT_WAIT_FOREVER, &feed->batch));
    CHECK(chat_events_len(feed->batch) > 0);
  }
  return chat_events_get(feed->batch, feed->next++);
}

/* Passes over events until one of a type. */
static inline const chat_event *feed_until(feed *feed, uint32_t type) {
  const chat_event *event = feed_next(feed);
  while (event->type != type) event = feed_next(feed);
  return event;
}

static inline void feed_free(feed *feed) {
  chat_events_free(feed->batch);
  feed->batch = NULL;
}

#endif
