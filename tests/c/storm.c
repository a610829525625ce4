/* A host with a timer that fires every millisecond, in a handler that interrupts system calls: nothing is
 * lost, nothing fails that would not fail otherwise, and every signal is the host's. */
#include "ws.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { MESSAGES = 10000, TICKS = 100 };

static ws client;
static pthread_t host;
static volatile sig_atomic_t ticks, elsewhere;

static void tick(int signal) {
  (void)signal;
  ticks++;
  if (!pthread_equal(pthread_self(), host)) elsewhere = 1;
}

static timer_t start_storm(void) {
  struct sigaction action = {.sa_handler = tick}; /* no SA_RESTART */
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  timer_t timer;
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  struct itimerspec every = {.it_value = {0, 1000000}, .it_interval = {0, 1000000}};
  CHECK(timer_settime(timer, 0, &every, NULL) == 0);
  return timer;
}

/* Numbered messages, by each of the ways that a host has. */
static void say(chat_server *server, chat_client_id id, int number) {
  char text[16];
  size_t len = (size_t)snprintf(text, sizeof text, "%d", number);
  const uint8_t *data = (const uint8_t *)text;
  switch (number % 3) {
    case 0: CHECK_OK(chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, data, len, NULL)); break;
    case 1: CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, data, len)); break;
    default: CHECK_OK(chat_server_send(server, id, CHAT_TEXT, data, len)); break;
  }
}

/* A wait is not cut short by signals, nor does it fail. */
static void wait_in_full(chat_server *server) {
  struct timespec before, after;
  chat_events *none = NULL;
  clock_gettime(CLOCK_MONOTONIC, &before);
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_next_events(server, 20, &none));
  clock_gettime(CLOCK_MONOTONIC, &after);
  long ms = (long)(after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
  CHECK(ms >= 19);
}

int main(void) {
  begin();
  host = pthread_self();
  timer_t timer = start_storm();
  chat_server *server = start_with_queue();
  feed events = {.server = server};
  ws_connect(&client, server, "/", "");
  chat_client_id id = feed_until(&events, CHAT_EVENT_CONNECTED)->client;
  for (int i = 0; i < MESSAGES; i++) {
    say(server, id, i);
    if (i % 1000 == 0) wait_in_full(server);
  }
  for (int i = 0; i < MESSAGES; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    ws_expect(&client, WS_TEXT, text);
  }
  for (int i = 0; i < 1000; i++) {
    ws_say(&client, "echo");
    feed_until(&events, CHAT_EVENT_MESSAGE);
    ws_expect(&client, WS_TEXT, "echo");
  }
  while (ticks < TICKS) wait_in_full(server);
  CHECK_OK(chat_server_request_stop(server));
  CHECK(ws_await_close(&client) == 1001);
  CHECK_OK(chat_server_stop(server, 30000));
  feed_until(&events, CHAT_EVENT_STOPPED);
  feed_free(&events);
  chat_server_free(server);
  CHECK(timer_delete(timer) == 0);
  CHECK(ticks >= TICKS && !elsewhere);
  return 0;
}
