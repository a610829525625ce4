/* A fault in a host's handler reaches the host's own signal handler, as a crash reporter needs it: libchat's threads
 * block all signals but those that a fault raises. */
#include "handler.h"

#include <signal.h>

static volatile int *nowhere;

static void report(int signal) {
  (void)signal;
  _exit(0);
}

static void fault(void *user_data, const chat_event *const *events, size_t count) {
  (void)user_data, (void)events, (void)count;
  *nowhere = 1;
}

int main(void) {
  begin();
  struct sigaction action = {.sa_handler = report};
  CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
  state state = STATE;
  start_with_handler(&state, fault);
  static ws client;
  ws_connect(&client, state.server, "/", "");
  for (;;) pause();
}
