/* A host with nothing left: ports, descriptors, memory, privileges. A start says what is missing, leaves
 * nothing behind, and does no harm to the server that runs. */
#include "handler.h"

#include <sys/resource.h>
#include <sys/wait.h>

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
  chat_stats stats;
  do CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  while (stats.connections > 0);
}

static void on_a_used_port(const chat_server *server) {
  char addr[CHAT_ADDR_SIZE];
  size_t len;
  CHECK_OK(chat_server_local_addr(server, 0, addr, sizeof addr, &len));
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, addr, len));
  fails(config, CHAT_ERR_ADDRESS_IN_USE, "choose another");
  int threads = entries("/proc/self/task");
  /* The server that runs opens a descriptor or two and takes some memory at its own time, once; what a
   * failed start left behind would be there after each of the rounds. */
  for (int round = 0, is_clean = 0; !is_clean; round++) {
    CHECK(round < 5);
    int descriptors = entries("/proc/self/fd");
    size_t memory = in_use();
    for (int i = 0; i < 1000; i++) fails(config, CHAT_ERR_ADDRESS_IN_USE, addr);
    await_entries("/proc/self/task", threads);
    is_clean = entries("/proc/self/fd") <= descriptors && (getenv("SLOW") || in_use() <= memory);
  }
  chat_config_free(config);
}

/* Starts under a limit of the process. Returns whether the server came up, and ends it; if not, the error
 * says what to do, and nothing is left behind. */
static int starts_with(int resource, rlim_t limit) {
  struct rlimit before, now;
  CHECK(getrlimit(resource, &before) == 0);
  now = before;
  now.rlim_cur = limit;
  static state state = STATE;
  chat_config *config = local_config();
  CHECK_OK(chat_config_add_listen(config, TEXT("127.0.0.1:0")));
  CHECK_OK(chat_config_set_workers(config, 3));
  CHECK_OK(chat_config_set_event_handler(config, count_events, &state, NULL));
  int descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
  CHECK(setrlimit(resource, &now) == 0);
  chat_server *server = NULL;
  chat_error *error = NULL;
  chat_status status = chat_server_start(config, &server, &error);
  CHECK(setrlimit(resource, &before) == 0);
  chat_config_free(config);
  if (status == CHAT_OK) {
    chat_server_free(server);
    return 1;
  }
  CHECK_STATUS(CHAT_ERR_RESOURCE_LIMIT, status);
  CHECK(server == NULL && strstr(chat_error_message(error), "raise the limits"));
  chat_error_free(error);
  CHECK(entries("/proc/self/fd") <= descriptors);
  await_entries("/proc/self/task", threads);
  return 0;
}

/* With 0, 1, 2 … descriptors left a start fails each time, until it has what it needs. */
static void without_descriptors(void) {
  int next = dup(0);
  CHECK(next > 0 && close(next) == 0);
  rlim_t left = 0;
  while (!starts_with(RLIMIT_NOFILE, (rlim_t)next + left)) CHECK(++left < 100);
  CHECK(left >= 2 + 3); /* listeners, and at least one for each worker */
}

/* In a process of its own: what the C library keeps of threads that have ended helps the next try. */
static void in_a_child(void (*test)(void)) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(30);
    test();
    exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* How many threads a user has, those of other processes included. */
static rlim_t threads_of(uid_t user) {
  rlim_t count = 0;
  DIR *processes = opendir("/proc");
  CHECK(processes);
  for (struct dirent *process; (process = readdir(processes));) {
    char path[300], line[200];
    snprintf(path, sizeof path, "/proc/%s/status", process->d_name);
    FILE *status = atoi(process->d_name) > 0 ? fopen(path, "r") : NULL;
    unsigned uid = 0, threads = 0;
    while (status && fgets(line, sizeof line, status)) {
      sscanf(line, "Uid: %u", &uid);
      if (sscanf(line, "Threads: %u", &threads) == 1 && uid == user) count += threads;
    }
    if (status) fclose(status);
  }
  closedir(processes);
  return count;
}

/* A user who may have no more threads, some of those that are wanted, and all. */
static void without_threads(void) {
  const uid_t user = 65533;
  if (geteuid() == 0) CHECK(setgid(user) == 0 && setuid(user) == 0);
  rlim_t more = 0;
  while (!starts_with(RLIMIT_NPROC, threads_of(geteuid()) + more)) CHECK(++more < 100);
  CHECK(more >= 4 || geteuid() != user); /* workers, and the handler's */
}

static size_t address_space(void) {
  size_t pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file && fscanf(file, "%zu", &pages) == 1);
  fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Memory for some of the threads' stacks, and for none. (Where there is none for a few bytes, a program
 * in Rust ends, as most do.) */
static void without_memory(void) {
  CHECK(!starts_with(RLIMIT_AS, (rlim_t)(address_space() + (1u << 20))));
  CHECK(!starts_with(RLIMIT_AS, (rlim_t)(address_space() + (5u << 20))));
}

enum { LONG = 64 << 20 };

/* A frame that claims a long payload, and the first of it. */
static void begin_long(const chat_server *server, ws *ws) {
  uint8_t header[14] = {0x82, 0xff, 0, 0, 0, 0, LONG >> 24};
  ws_connect(ws, server, "/", "");
  ws_write(ws, header, sizeof header);
}

/* Whether a close frame has the code 1013. */
static int is_told_to_try_again(const ws *ws) { return (ws->data[0] << 8 | ws->data[1]) == 1013; }

/* A server that has memory for a little: long messages of the host and of a client fail, each by itself, and the rest
 * goes on. */
static void without_memory_while_it_runs(void) {
  static ws sender, fragments;
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_max_message_size(config, LONG));
  CHECK_OK(chat_config_set_workers(config, 1));
  chat_server *server = start(config);
  uint8_t *data = calloc(1, LONG);
  CHECK(data);
  is_unharmed(server);
  ws_connect(&sender, server, "/", "");
  ws_connect(&fragments, server, "/", "");
  struct rlimit before, now;
  CHECK(getrlimit(RLIMIT_AS, &before) == 0);
  now = before;
  now.rlim_cur = address_space() + (8u << 20);
  CHECK(setrlimit(RLIMIT_AS, &now) == 0);
  for (int i = 0; i < 10; i++) {
    const chat_message message = {"lobby", 5, data, LONG, CHAT_BINARY, 0};
    size_t published = 1;
    CHECK_STATUS(CHAT_ERR_RESOURCE_LIMIT,
                 chat_server_publish(server, TEXT("lobby"), CHAT_BINARY, data, LONG, NULL));
    CHECK_STATUS(CHAT_ERR_RESOURCE_LIMIT, chat_server_broadcast(server, CHAT_BINARY, data, LONG));
    CHECK_STATUS(CHAT_ERR_RESOURCE_LIMIT,
                 chat_server_publish_batch(server, &message, sizeof message, 1, &published, NULL));
    CHECK(published == 0);
    begin_long(server, &client);
    CHECK(ws_recv(&client) == WS_CLOSE && is_told_to_try_again(&client));
    close(client.fd);
    CHECK_OK(chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("short"), NULL));
    ws_expect(&sender, WS_TEXT, "short");
  }
  /* A message in fragments, up to where there is memory. */
  static uint8_t fragment[14 + 60000] = {0x02, 0xfe, 60000 >> 8, 60000 & 0xff};
  int opcode = WS_TEXT;
  for (size_t sent = 0; sent < LONG && opcode == WS_TEXT; sent += 60000) {
    if (send(fragments.fd, fragment, 8 + 60000, MSG_NOSIGNAL) < 0) break;
    fragment[0] = 0;
    struct pollfd ready = {.fd = fragments.fd, .events = POLLIN};
    if (poll(&ready, 1, 0) == 1) opcode = ws_recv(&fragments);
  }
  while (opcode == WS_TEXT) opcode = ws_recv(&fragments);
  CHECK(opcode == WS_CLOSE && is_told_to_try_again(&fragments));
  CHECK(setrlimit(RLIMIT_AS, &before) == 0);
  CHECK_OK(chat_server_publish(server, TEXT("other"), CHAT_BINARY, data, LONG, NULL));
  ws_say(&sender, "still there");
  ws_expect(&sender, WS_TEXT, "still there");
  chat_server_free(server);
  free(data);
}

/* The first port that needs no privilege; 0 where none does, as in many containers. */
static int first_free_port(void) {
  int port = 1024;
  FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
  if (file && fscanf(file, "%d", &port) != 1) port = 1024;
  if (file) fclose(file);
  return port;
}

/* In a child, for its rights do not come back. */
static void without_privileges(void) {
  if (geteuid() == 0) CHECK(setuid(65534) == 0);
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, TEXT("127.0.0.1:1")));
  fails(config, CHAT_ERR_PERMISSION_DENIED, "privilege");
  chat_config_free(config);
}

/* An address of documentation's (RFC 5737), which no machine has. */
static void on_a_foreign_address(void) {
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, TEXT("192.0.2.1:0")));
  fails(config, CHAT_ERR_ADDRESS_UNAVAILABLE, "choose an address of this machine");
  chat_config_free(config);
}

int main(void) {
  begin();
  if (first_free_port() > 1) {
    in_a_child(without_privileges);
  } else {
    puts("every port is free for all here: not tried without privileges");
  }
  /* Valgrind and sanitizers need descriptors, threads and memory of their own. */
  int is_bare = getenv("SLOW") == NULL;
  if (is_bare) in_a_child(without_threads);
  if (is_bare) in_a_child(without_memory);
  if (is_bare) in_a_child(without_memory_while_it_runs);
  chat_server *server = start(local_config());
  on_a_foreign_address();
  on_a_used_port(server);
  is_unharmed(server);
  if (is_bare) without_descriptors();
  is_unharmed(server);
  chat_server_free(server);
  return 0;
}
