/* Signals are the host's: its handlers and masks stay, libchat's threads take none, and a reset
 * connection does not kill a host that leaves SIGPIPE alone. */
#include "ws.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>

enum { SIGNALS = 32, RESETS = 50 };

static ws client;
static pthread_t host;
static volatile sig_atomic_t taken_by_host;

static void take(int signal) {
  (void)signal;
  taken_by_host = pthread_equal(pthread_self(), host);
}

static void dispositions(struct sigaction *actions) {
  for (int i = 1; i < SIGNALS; i++) CHECK(sigaction(i, NULL, &actions[i]) == 0);
}

/* Every thread but this one is libchat's by its name, and blocks all that can be blocked. */
static int check_threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  CHECK(tasks);
  int threads = 0;
  for (struct dirent *task; (task = readdir(tasks));) {
    if (task->d_name[0] == '.' || atoi(task->d_name) == getpid()) continue;
    char path[300], line[200];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
    FILE *status = fopen(path, "r");
    CHECK(status);
    unsigned long long blocked = 0;
    while (fgets(line, sizeof line, status)) {
      if (strncmp(line, "Name:", 5) == 0) CHECK(strncmp(line + 6, "libchat-", 8) == 0);
      sscanf(line, "SigBlk: %llx", &blocked);
    }
    fclose(status);
    for (int i = 1; i < SIGNALS; i++) {
      if (i != SIGKILL && i != SIGSTOP) CHECK(blocked >> (i - 1) & 1);
    }
    threads++;
  }
  closedir(tasks);
  return threads;
}

int main(void) {
  begin();
  host = pthread_self();
  struct sigaction before[SIGNALS], after[SIGNALS], action = {.sa_handler = take};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  sigset_t mask_before, mask_after;
  sigemptyset(&mask_before);
  sigaddset(&mask_before, SIGUSR2);
  CHECK(sigprocmask(SIG_SETMASK, &mask_before, NULL) == 0);
  dispositions(before);
  CHECK(before[SIGPIPE].sa_handler == SIG_DFL);

  chat_server *server = start_with_queue();
  feed events = {.server = server};
  CHECK(check_threads() > 0);

  /* Clients that vanish with a reset while they are written to. */
  for (int i = 0; i < RESETS; i++) {
    ws_connect(&client, server, "/", "");
    feed_until(&events, CHAT_EVENT_CONNECTED);
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    CHECK(setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("before")));
    close(client.fd);
    CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("after")));
    CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, DATA("and again")));
    feed_until(&events, CHAT_EVENT_DISCONNECTED);
  }

  /* A signal to the process reaches the host's thread. */
  CHECK(kill(getpid(), SIGUSR1) == 0);
  CHECK(taken_by_host);

  CHECK(check_threads() > 0);
  CHECK_OK(chat_server_stop(server, 1000));
  feed_free(&events);
  chat_server_free(server);
  dispositions(after);
  for (int i = 1; i < SIGNALS; i++) {
    CHECK(before[i].sa_handler == after[i].sa_handler && before[i].sa_flags == after[i].sa_flags);
  }
  CHECK(sigprocmask(SIG_SETMASK, NULL, &mask_after) == 0);
  for (int i = 1; i < SIGNALS; i++) {
    CHECK(sigismember(&mask_before, i) == sigismember(&mask_after, i));
  }
  return 0;
}
