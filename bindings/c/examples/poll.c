/* A single-threaded program around poll() that also runs a chat. A client connects with a name
 * (ws://127.0.0.1:9001/?name=ana), and the program announces it. Ctrl-C ends it.
 *
 *   poll [ADDRESS:PORT]
 *
 * libchat calls its handler on a thread of its own. Here the handler passes each batch to the loop
 * through a pipe, and waits until the loop has handled it: that delays events, never clients. */
#define _POSIX_C_SOURCE 200809L /* sigaction */
#include <inttypes.h>
#include <libchat.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct batch {
  const chat_event *const *events;
  size_t count;
};

/* Batches go to the loop; a byte for each handled batch comes back. Signals have their own pipe. */
static int batches[2], done[2], signals[2];

static void on_signal(int number) {
  char byte = (char)number;
  ssize_t written = write(signals[1], &byte, 1);
  (void)written;
}

/* Runs on libchat's thread. The loop may use what `events` points to until this returns. */
static void on_events(void *user_data, const chat_event *const *events, size_t count) {
  struct batch batch = {events, count};
  char byte;
  (void)user_data;
  if (write(batches[1], &batch, sizeof batch) != sizeof batch || read(done[0], &byte, 1) != 1)
    perror("the pipe to the loop");
}

/* Finds the name in the query; returns false if it has no name of 1 to 32 small letters. */
static bool find_name(const chat_event *event, const char **name, size_t *len) {
  if (chat_event_query(event, "name", 4, name, len) != CHAT_OK) return false;
  for (size_t i = 0; i < *len; i++)
    if ((*name)[i] < 'a' || (*name)[i] > 'z') return false;
  return *len >= 1 && *len <= 32;
}

static void announce(chat_server *server, const chat_event *event, const char *what) {
  char text[64];
  int len = snprintf(text, sizeof text, "%.*s %s", (int)event->identity_len, event->identity, what);
  chat_server_broadcast(server, CHAT_TEXT, (const uint8_t *)text, (size_t)len);
  puts(text);
}

/* Runs on the loop's thread. Returns whether the server still runs. The statuses are not checked: a
 * client may have left before the decision on it, which gives CHAT_ERR_NOT_FOUND. */
static bool on_event(chat_server *server, const chat_event *event) {
  static const char why[] = "say who you are: ?name=ana";
  const char *name;
  size_t len;
  switch (event->type) {
    case CHAT_EVENT_CONNECT_REQUEST:
      if (find_name(event, &name, &len)) {
        chat_server_set_identity(server, event->client, name, len);
        chat_server_accept(server, event->client);
      } else {
        chat_server_reject(server, event->client, 401, why, sizeof why - 1, NULL, 0);
      }
      break;
    case CHAT_EVENT_CONNECTED:
      announce(server, event, "has come");
      break;
    case CHAT_EVENT_DISCONNECTED:
      if (event->identity_len > 0) announce(server, event, "has left");
      break;
    case CHAT_EVENT_STOPPED:
      return false;
    default:
      break;
  }
  return true;
}

static void loop(chat_server *server) {
  struct pollfd ready[2] = {{.fd = batches[0], .events = POLLIN}, {.fd = signals[0], .events = POLLIN}};
  for (bool runs = true; runs;) {
    if (poll(ready, 2, -1) < 0) continue; /* a signal */
    if (ready[1].revents != 0) {
      char byte;
      if (read(signals[0], &byte, 1) != 1) return;
      /* Not chat_server_stop: it waits for the handler, which waits for this loop. */
      chat_server_request_stop(server);
    }
    if (ready[0].revents != 0) {
      struct batch batch;
      if (read(batches[0], &batch, sizeof batch) != sizeof batch) return;
      for (size_t i = 0; i < batch.count; i++) runs = on_event(server, batch.events[i]) && runs;
      fflush(stdout);
      if (write(done[1], "", 1) != 1) return;
    }
  }
}

int main(int argc, char **argv) {
  const char *listen = argc > 1 ? argv[1] : "127.0.0.1:9001";
  if (pipe(batches) != 0 || pipe(done) != 0 || pipe(signals) != 0) {
    perror("pipe");
    return 1;
  }
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  if (config == NULL) {
    fputs("the library does not fit the header\n", stderr);
    return 1;
  }
  chat_config_add_listen(config, listen, strlen(listen));
  chat_config_set_admission_timeout(config, 5000);
  chat_config_set_event_handler(config, on_events, NULL, NULL);
  chat_server *server = NULL;
  chat_error *error = NULL;
  chat_status status = chat_server_start(config, &server, &error);
  chat_config_free(config);
  if (status != CHAT_OK) {
    fprintf(stderr, "%s\n", chat_error_message(error));
    chat_error_free(error);
    return 1;
  }
  char addr[CHAT_ADDR_SIZE];
  chat_server_local_addr(server, 0, addr, sizeof addr, NULL);
  printf("listening on ws://%s/\n", addr);
  fflush(stdout);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  loop(server);
  chat_server_free(server);
  return 0;
}
