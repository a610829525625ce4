/* Signals are the host's: its handlers and masks stay, libchat's threads take none, and a reset
 * connection does not kill a host that leaves SIGPIPE alone. */
#include "ws.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

enum { SIGNALS = 65, RESETS = 1000 };

static ws client;
static pthread_t host;
static volatile sig_atomic_t taken_by_host;

static void take(int signal) {
  (void)signal;
  taken_by_host = pthread_equal(pthread_self(), host);
}

/* Whether a signal is the C library's own, or may be valgrind's, which no program may touch. */
static int is_internal(int signal) { return signal >= 32 && (signal < SIGRTMIN || getenv("SLOW")); }

/* Valgrind lets through what an instruction can raise while it runs a thread's code, whatever that thread
 * blocks: its status tells the thread's own mask when it sleeps. */
static int is_under_valgrind(void) {
  const char *preloaded = getenv("LD_PRELOAD");
  return preloaded && strstr(preloaded, "vgpreload");
}

static void dispositions(struct sigaction *actions) {
  for (int i = 1; i < SIGNALS; i++) CHECK(is_internal(i) || sigaction(i, NULL, &actions[i]) == 0);
}

/* Nothing has changed for the host: no handler, no flag, no signal of a thread's mask. */
static void check_unchanged(const struct sigaction *before, const sigset_t *mask_before) {
  static struct sigaction after[SIGNALS];
  sigset_t mask;
  dispositions(after);
  CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
  for (int i = 1; i < SIGNALS; i++) {
    if (is_internal(i)) continue;
    CHECK(before[i].sa_handler == after[i].sa_handler && before[i].sa_flags == after[i].sa_flags);
    CHECK(sigismember(mask_before, i) == sigismember(&mask, i));
  }
}

/* Another thread of the host, with a mask of its own, starts and stops a server. */
static void *with_another_mask(void *before) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGHUP);
  CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
  chat_server *server = start_with_queue();
  check_unchanged(before, &mask);
  CHECK_OK(chat_server_stop(server, 1000));
  chat_server_free(server);
  check_unchanged(before, &mask);
  return NULL;
}

/* What a thread blocks, as a bit for each signal. It is libchat's by its name. */
static unsigned long long blocked_by(const char *thread) {
  char path[300], line[200];
  snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
  FILE *status = fopen(path, "r");
  CHECK(status);
  unsigned long long blocked = 0;
  while (fgets(line, sizeof line, status)) {
    if (strncmp(line, "Name:", 5) == 0) CHECK(strncmp(line + 6, "libchat-", 8) == 0);
    sscanf(line, "SigBlk: %llx", &blocked);
  }
  fclose(status);
  return blocked;
}

/* Whether a fault raises a signal: the host's handler gets it, on whatever thread. */
static int is_fault(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGTRAP ||
         signal == SIGSYS;
}

/* Every thread but this one is libchat's, and blocks all that can be blocked but faults. */
static int check_threads(void) {
  unsigned long long all = 0, faults = 0;
  for (int i = 1; i < SIGNALS; i++) {
    if (i != SIGKILL && i != SIGSTOP && !is_internal(i) && !is_fault(i)) all |= 1ull << (i - 1);
    if (is_fault(i)) faults |= 1ull << (i - 1);
  }
  DIR *tasks = opendir("/proc/self/task");
  CHECK(tasks);
  int threads = 0;
  for (struct dirent *task; (task = readdir(tasks));) {
    if (task->d_name[0] == '.' || atoi(task->d_name) == getpid()) continue;
    int looks = 1;
    while ((blocked_by(task->d_name) & all) != all) {
      CHECK(is_under_valgrind() && looks++ < 100000);
      sched_yield();
    }
    CHECK((blocked_by(task->d_name) & faults) == 0 || is_under_valgrind());
    threads++;
  }
  closedir(tasks);
  return threads;
}

int main(void) {
  begin();
  host = pthread_self();
  static struct sigaction before[SIGNALS];
  struct sigaction action = {.sa_handler = take};
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  sigset_t mask_before;
  sigemptyset(&mask_before);
  sigaddset(&mask_before, SIGUSR2);
  CHECK(sigprocmask(SIG_SETMASK, &mask_before, NULL) == 0);
  dispositions(before);
  CHECK(before[SIGPIPE].sa_handler == SIG_DFL);

  chat_server *server = start_with_queue();
  check_unchanged(before, &mask_before);
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
  check_unchanged(before, &mask_before);
  pthread_t other;
  CHECK(pthread_create(&other, NULL, with_another_mask, before) == 0 && pthread_join(other, NULL) == 0);
  return 0;
}
