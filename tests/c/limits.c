/* A host with nothing left: ports, descriptors, memory, privileges. A start says what is missing, leaves
 * nothing behind, and does no harm to the server that runs. */
#include "ws.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int entries(const char *folder) {
  DIR *dir = opendir(folder);
  CHECK(dir);
  int count = 0;
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

/* Starts what must fail; the text says what to do. */
static void fails(chat_config *config, chat_status expected, const char *advice) {
  chat_server *server = NULL;
  chat_error *error = NULL;
  CHECK_STATUS(expected, chat_server_start(config, &server, &error));
  CHECK(server == NULL && strstr(chat_error_message(error), advice));
  chat_error_free(error);
}

static ws client;

static void is_unharmed(const chat_server *server) {
  ws_connect(&client, server, "/", "");
  ws_say(&client, "still there");
  ws_expect(&client, WS_TEXT, "still there");
  close(client.fd);
}

static void on_a_used_port(const chat_server *server) {
  char addr[CHAT_ADDR_SIZE];
  size_t len;
  CHECK_OK(chat_server_local_addr(server, 0, addr, sizeof addr, &len));
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, addr, len));
  fails(config, CHAT_ERR_ADDRESS_IN_USE, "choose another");
  int descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
  for (int i = 0; i < 1000; i++) fails(config, CHAT_ERR_ADDRESS_IN_USE, addr);
  /* Of a thousand nothing: the server that runs opens a descriptor or two at its own time. */
  CHECK(entries("/proc/self/fd") < descriptors + 10);
  CHECK(entries("/proc/self/task") == threads);
  chat_config_free(config);
}

static void with_limit(int resource, rlim_t limit) {
  struct rlimit before, now;
  CHECK(getrlimit(resource, &before) == 0);
  now = before;
  now.rlim_cur = limit;
  chat_config *config = local_config();
  CHECK(setrlimit(resource, &now) == 0);
  chat_server *server = NULL;
  chat_error *error = NULL;
  chat_status status = chat_server_start(config, &server, &error);
  CHECK(setrlimit(resource, &before) == 0);
  CHECK_STATUS(CHAT_ERR_RESOURCE_LIMIT, status);
  CHECK(strstr(chat_error_message(error), "raise the limits"));
  chat_error_free(error);
  chat_config_free(config);
}

static size_t address_space(void) {
  size_t pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file && fscanf(file, "%zu", &pages) == 1);
  fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* In a process of its own, for its rights do not come back. */
static void without_privileges(void) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(1);
    chat_config *config = chat_config_new(CHAT_ABI_VERSION);
    CHECK_OK(chat_config_add_listen(config, TEXT("127.0.0.1:1")));
    fails(config, CHAT_ERR_PERMISSION_DENIED, "privilege");
    chat_config_free(config);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* What is behind the bytes of a message is not looked at, nor are bytes over the limit. */
static void with_a_guarded_page(chat_server *server) {
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  uint8_t *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED && mprotect(pages + size, size, PROT_NONE) == 0);
  memset(pages, 'x', size);
  const uint8_t *last = pages + size - 10;
  const char *room = (const char *)last;
  const size_t over = (size_t)2 << 20;
  CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, last, 10));
  CHECK_OK(chat_server_publish(server, room, 10, CHAT_TEXT, last, 10, NULL));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_broadcast(server, CHAT_TEXT, last, over));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_publish(server, room, over, CHAT_TEXT, last, 10, NULL));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_publish(server, room, 10, CHAT_BINARY, last, over, NULL));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_allow_changed(server, 1, CHAT_TEXT, last, over));
  chat_message message = {.room = room, .room_len = 10, .kind = CHAT_TEXT, .data = last, .data_len = over};
  size_t published;
  CHECK_STATUS(CHAT_ERR_TOO_LARGE,
               chat_server_publish_batch(server, &message, sizeof message, 1, &published));
  /* The one struct ends where the page does, whatever the stride is. */
  message.data_len = 1;
  chat_message *at = (chat_message *)(void *)(pages + size - sizeof message);
  memcpy(at, &message, sizeof message);
  at->room = "room", at->room_len = 4, at->data = pages;
  CHECK_OK(chat_server_publish_batch(server, at, 2 * sizeof *at, 1, &published));
  munmap(pages, 2 * size);
}

int main(void) {
  begin();
  without_privileges();
  chat_server *server = start(local_config());
  with_a_guarded_page(server);
  on_a_used_port(server);
  is_unharmed(server);
  /* Before any thread has ended: the C library keeps the memory of those that did. */
  with_limit(RLIMIT_AS, (rlim_t)(address_space() + (1u << 20)));
  int next = dup(0);
  CHECK(next > 0 && close(next) == 0);
  with_limit(RLIMIT_NOFILE, (rlim_t)next + 1); /* one descriptor is left */
  is_unharmed(server);
  chat_server_free(server);
  return 0;
}
