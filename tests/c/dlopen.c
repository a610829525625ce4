/* The shared library, given as the first argument, is loaded, used and let go again and again. */
#define _DEFAULT_SOURCE
#include <dlfcn.h>
#include <libchat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static chat_status once(void) {
  chat_config *(*config_new)(uint32_t);
  void (*config_free)(chat_config *);
  chat_status (*add_listen)(chat_config *, const char *, size_t);
  chat_status (*start)(const chat_config *, chat_server **, chat_error **);
  chat_status (*stop)(chat_server *, uint32_t);
  void (*server_free)(chat_server *);
  find("chat_config_new", &config_new);
  find("chat_config_free", &config_free);
  find("chat_config_add_listen", &add_listen);
  find("chat_server_start", &start);
  find("chat_server_stop", &stop);
  find("chat_server_free", &server_free);
  chat_server *server = NULL;
  chat_config *config = config_new(CHAT_ABI_VERSION);
  chat_status status = add_listen(config, "127.0.0.1:0", 11);
  if (status == CHAT_OK) status = start(config, &server, NULL);
  config_free(config);
  if (status == CHAT_OK) status = stop(server, 1000);
  server_free(server);
  return status;
}

int main(int argc, char **argv) {
  alarm(60);
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
  }
  return 0;
}
