/* The shared library, given as the first argument, is loaded, used and let go again and again; no thread
 * and no descriptor stays behind. */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <libchat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void *library;

/* C has no conversion from an object pointer to a function pointer; POSIX does it this way. */
static void find(const char *name, void *function) {
  void *symbol = dlsym(library, name);
  if (!symbol) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  memcpy(function, &symbol, sizeof symbol);
}

static int entries(const char *folder) {
  DIR *dir = opendir(folder);
  int count = 0;
  while (dir && readdir(dir)) count++;
  if (dir) closedir(dir);
  return count;
}

/* A program that asks whether all is well, and is answered. */
static int asks(const char *addr) {
  const char *request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const char *colon = strrchr(addr, ':');
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  to.sin_port = htons((uint16_t)atoi(colon ? colon + 1 : "0"));
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  char answer[16] = "";
  int is_well = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
                send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) &&
                recv(fd, answer, 12, MSG_WAITALL) == 12 && strcmp(answer, "HTTP/1.1 200") == 0;
  close(fd);
  return is_well;
}

static chat_status once(void) {
  chat_config *(*config_new)(uint32_t);
  void (*config_free)(chat_config *);
  chat_status (*add_listen)(chat_config *, const char *, size_t);
  chat_status (*start)(const chat_config *, chat_server **, chat_error **);
  chat_status (*stop)(chat_server *, uint32_t);
  void (*server_free)(chat_server *);
  chat_status (*local_addr)(const chat_server *, size_t, char *, size_t, size_t *);
  find("chat_config_new", &config_new);
  find("chat_config_free", &config_free);
  find("chat_config_add_listen", &add_listen);
  find("chat_server_start", &start);
  find("chat_server_stop", &stop);
  find("chat_server_free", &server_free);
  find("chat_server_local_addr", &local_addr);
  chat_server *server = NULL;
  chat_config *config = config_new(CHAT_ABI_VERSION);
  chat_status status = add_listen(config, "127.0.0.1:0", 11);
  if (status == CHAT_OK) status = start(config, &server, NULL);
  config_free(config);
  char addr[CHAT_ADDR_SIZE];
  if (status == CHAT_OK) status = local_addr(server, 0, addr, sizeof addr, NULL);
  if (status == CHAT_OK && !asks(addr)) status = CHAT_ERR_IO;
  if (status == CHAT_OK) status = stop(server, 1000);
  server_free(server);
  return status;
}

int main(int argc, char **argv) {
  alarm(60);
  int descriptors = 0;
  for (int i = 0; i < 20; i++) {
    library = dlopen(argc > 1 ? argv[1] : "libchat.so", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    chat_status status = once();
    if (status != CHAT_OK || dlclose(library) != 0) {
      fprintf(stderr, "round %d: status %d\n", i, (int)status);
      return 1;
    }
    if (i == 0) descriptors = entries("/proc/self/fd");
  }
  if (entries("/proc/self/fd") > descriptors) {
    fprintf(stderr, "descriptors stay behind\n");
    return 1;
  }
  /* A thread that was joined is in its folder for a moment longer; the alarm ends the wait. */
  while (entries("/proc/self/task") > 2 + 1) usleep(1000);
  return 0;
}
