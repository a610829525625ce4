/* A stop and a free give the handler the events that are left, however slow it was; a handler that returns
 * at once, because the host has raised a flag behind `user_data`, drops them. */
#include "handler.h"

#include <stdatomic.h>

enum { MESSAGES = 300 };

typedef struct host {
  state state;
  int is_freed; /* rather than stopped first */
  atomic_int has_entered, may_go, drops_events;
} host;

static ws alice;

/* Waits in its first call until the host lets it go. */
static void handle(void *user_data, const chat_event *const *events, size_t count) {
  host *host = user_data;
  host->has_entered = 1;
  while (!host->may_go) sched_yield();
  if (!host->drops_events) count_events(&host->state, events, count);
}

/* Lets the handler go when the server ends, as its client sees. */
static void *let_go(void *user_data) {
  host *host = user_data;
  for (int opcode; (opcode = ws_recv(&alice)) != WS_GONE;) {
    if (opcode == WS_CLOSE && !host->is_freed) ws_send(&alice, WS_CLOSE, alice.data, 2);
  }
  CHECK(host->state.messages == 0);
  host->may_go = 1;
  return NULL;
}

/* Ends a server whose handler is behind by all events of a client. */
static void end(host *host) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_handler(config, handle, host, NULL));
  CHECK_OK(chat_server_start(config, &host->state.server, NULL));
  chat_config_free(config);
  ws_connect(&alice, host->state.server, "/", "");
  while (!host->has_entered) sched_yield();
  for (int i = 0; i < MESSAGES; i++) ws_say(&alice, "x");
  for (int i = 0; i < MESSAGES; i++) ws_expect(&alice, WS_TEXT, "x");
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, let_go, host) == 0);
  if (!host->is_freed) CHECK_OK(chat_server_stop(host->state.server, 30000));
  chat_server_free(host->state.server);
  CHECK(host->may_go);
  CHECK(pthread_join(thread, NULL) == 0);
  close(alice.fd);
}

int main(void) {
  begin();
  for (int is_freed = 0; is_freed < 2; is_freed++) {
    host told = {.state = STATE, .is_freed = is_freed};
    end(&told);
    CHECK(told.state.connected == 1 && told.state.messages == MESSAGES);
    CHECK(told.state.disconnected == 1 && told.state.stopped == 1);

    host silent = {.state = STATE, .is_freed = is_freed, .drops_events = 1};
    end(&silent);
    CHECK(silent.state.connected == 0 && silent.state.messages == 0 && silent.state.stopped == 0);
  }
  return 0;
}
