/* Prints every event, and sends every message back to its sender alone. Ctrl-C ends it.
 *
 *   events [ADDRESS:PORT]
 */
#define _POSIX_C_SOURCE 200809L /* sigset_t, sigwait */
#include <inttypes.h>
#include <libchat.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The texts of events have a length and are not NUL-terminated. */
#define TEXT(event, field) (int)(event)->field##_len, (event)->field

static void print_headers(const chat_event *event) {
  for (size_t i = 0; i < event->header_count; i++) {
    const char *name, *value;
    size_t name_len, value_len;
    if (chat_event_header_at(event, i, &name, &name_len, &value, &value_len) != CHAT_OK) return;
    printf("  %.*s: %.*s\n", (int)name_len, name, (int)value_len, value);
  }
}

static void on_message(chat_server *server, const chat_event *event) {
  const char *data = (const char *)event->data;
  char position[CHAT_POSITION_SIZE];
  if (chat_position_format(&event->position, position, sizeof position, NULL) != CHAT_OK) return;
  if (event->kind == CHAT_TEXT) {
    printf("message %s in %.*s of %" PRIu64 ": %.*s\n", position, TEXT(event, room),
           event->client, (int)event->data_len, data);
  } else {
    printf("message %s in %.*s of %" PRIu64 ": %zu bytes\n", position, TEXT(event, room),
           event->client, event->data_len);
  }
  chat_status status =
      chat_server_send(server, event->client, event->kind, event->data, event->data_len);
  /* The client may have left in the meantime. */
  if (status != CHAT_OK) printf("not sent back: %s\n", chat_status_message(status));
}

static void on_event(chat_server *server, const chat_event *event) {
  switch (event->type) {
    case CHAT_EVENT_CONNECTED:
      printf("connected %" PRIu64 " from %.*s to %.*s, path %.*s, query %.*s\n", event->client,
             TEXT(event, addr), TEXT(event, room), TEXT(event, path), TEXT(event, query));
      print_headers(event);
      break;
    case CHAT_EVENT_MESSAGE:
      on_message(server, event);
      break;
    case CHAT_EVENT_DISCONNECTED:
      printf("disconnected %" PRIu64 ": %d %.*s\n", event->client, event->code,
             TEXT(event, reason));
      break;
    case CHAT_EVENT_MESSAGES_DROPPED:
      printf("%" PRIu64 " is slow: %" PRIu64 " messages dropped\n", event->client, event->count);
      break;
    case CHAT_EVENT_EVENTS_DROPPED:
      printf("%" PRIu64 " events dropped\n", event->count);
      break;
    case CHAT_EVENT_ACCEPT_FAILED:
      printf("%.*s cannot accept: %.*s\n", TEXT(event, addr), TEXT(event, reason));
      break;
    case CHAT_EVENT_STOPPED:
      puts("stopped");
      break;
    default:
      printf("event %" PRIu32 "\n", event->type); /* an event of a later version */
  }
}

/* Runs on a thread of libchat. `user_data` points to where chat_server_start wrote the server. */
static void on_events(void *user_data, const chat_event *const *events, size_t count) {
  chat_server *server = *(chat_server **)user_data;
  for (size_t i = 0; i < count; i++) on_event(server, events[i]);
  fflush(stdout);
}

int main(int argc, char **argv) {
  const char *listen = argc > 1 ? argv[1] : "127.0.0.1:9001";
  sigset_t stop;
  int signal = 0;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, NULL);

  static chat_server *server = NULL;
  chat_error *error = NULL;
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  chat_status status = chat_config_add_listen(config, listen, strlen(listen));
  if (status == CHAT_OK) status = chat_config_set_echo(config, 0);
  if (status == CHAT_OK) status = chat_config_set_event_handler(config, on_events, &server, NULL);
  if (status == CHAT_OK) status = chat_server_start(config, &server, &error);
  chat_config_free(config);
  if (status != CHAT_OK) {
    fprintf(stderr, "events: %s\n", error ? chat_error_message(error) : chat_status_message(status));
    chat_error_free(error);
    return 1;
  }

  char addr[CHAT_ADDR_SIZE];
  status = chat_server_local_addr(server, 0, addr, sizeof addr, NULL);
  if (status == CHAT_OK) printf("listening on ws://%s/\n", addr);
  fflush(stdout);

  sigwait(&stop, &signal);
  status = chat_server_stop(server, 5000);
  if (status != CHAT_OK) fprintf(stderr, "events: %s\n", chat_status_message(status));
  chat_server_free(server);
  return 0;
}
