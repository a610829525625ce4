/* Calls that fail or wait when a test wants it, by a file whose name is in the environment. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int is_shard(void) {
  char name[16] = "";
  prctl(PR_GET_NAME, name);
  return strncmp(name, "libchat-", 8) == 0;
}

/* Fails on the threads of the server from the time on at which the file BREAK_EPOLL exists: the program waits with
 * it too. */
int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout, const sigset_t *mask) {
  const char *file = getenv("BREAK_EPOLL");
  if (file && is_shard() && access(file, F_OK) == 0) {
    errno = EBADF;
    return -1;
  }
  return (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout, mask, 8);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
  return epoll_pwait(epoll, events, most, timeout, NULL);
}

/* Fails once on a thread of the server, and removes the file BREAK_CLOCK: std panics then. */
int clock_gettime(clockid_t clock, struct timespec *time) {
  const char *file = getenv("BREAK_CLOCK");
  if (clock == CLOCK_MONOTONIC && file && is_shard() && unlink(file) == 0) {
    errno = EINVAL;
    return -1;
  }
  return (int)syscall(SYS_clock_gettime, clock, time);
}

/* Makes the file HOLD_LISTEN, and waits until it is removed. */
int listen(int socket, int backlog) {
  const char *file = getenv("HOLD_LISTEN");
  if (file) {
    close(open(file, O_CREAT | O_WRONLY, 0600));
    while (access(file, F_OK) == 0) usleep(1000);
  }
  return (int)syscall(SYS_listen, socket, backlog);
}
