/* No memory is left for a small allocation: the process is aborted, as `malloc` in most programs of Rust has
 * it, and one line on standard error says why. */
#include "check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { ROOM = 16 << 20 };

/* How much memory the process has mapped, in bytes. */
static rlim_t mapped(void) {
  unsigned long pages;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file && fscanf(file, "%lu", &pages) == 1);
  fclose(file);
  return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void use_up_all_memory(void) {
  const struct rlimit no_core = {0, 0};
  const struct rlimit limit = {mapped() + ROOM, mapped() + ROOM};
  chat_config *config = local_config();
  alarm(20);
  CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0 && setrlimit(RLIMIT_AS, &limit) == 0);
  for (;;) CHECK_OK(chat_config_add_listen(config, TEXT("127.0.0.1:0")));
}

int main(void) {
  begin();
  int said[2];
  CHECK(pipe(said) == 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    dup2(said[1], STDERR_FILENO);
    use_up_all_memory();
  }
  close(said[1]);
  char text[256] = {0};
  size_t len = 0;
  for (ssize_t got; len < sizeof text - 1 && (got = read(said[0], text + len, sizeof text - 1 - len)) > 0;) {
    len += (size_t)got;
  }
  int status = 0;
  CHECK(waitpid(pid, &status, 0) == pid);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  CHECK(strncmp(text, "memory allocation of ", 21) == 0);
  return 0;
}
