/* A lobby with private rooms, for people who sign in with a token. Ctrl-C ends it.
 *
 *   lobby [ADDRESS:PORT]
 *
 * A client connects with `Authorization: Bearer TOKEN`, or from a browser with `?token=TOKEN`:
 * ws://127.0.0.1:9001/?format=json&token=ana-secret. It says `/open NAME` to enter a private room of
 * its own, `/invite IDENTITY NAME` to put somebody into it, and in a room `/who` or `/leave`. None of
 * this is published: it is refused, and the reason of `refused` is the answer. */
#define _POSIX_C_SOURCE 200809L /* sigset_t, sigwait */
#include <libchat.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A real program has no such table: it checks the token's signature, or asks its database. */
static const struct user { const char *token, *identity, *name; } users[] = {
  {"ana-secret", "ana", "Ana"}, {"ben-secret", "ben", "Ben"}, {"dan-secret", "dan", "Dan"}};

static chat_server *server;

static int is(const char *text, size_t len, const char *other) {
  return len == strlen(other) && memcmp(text, other, len) == 0;
}

static void check(chat_status status) { /* A client may have left, and the server may stop. */
  if (status != CHAT_OK && status != CHAT_ERR_NOT_FOUND && status != CHAT_ERR_STOPPED)
    fprintf(stderr, "lobby: %s\n", chat_last_error_message());
}

static void admit(chat_client_id client, const chat_event *event) {
  const struct user *user = users, *end = users + sizeof users / sizeof *users;
  const char *token = "", *why = "sign in: Authorization: Bearer TOKEN, or ?token=TOKEN";
  size_t len = 0;
  if (chat_event_bearer(event, &token, &len) != CHAT_OK)
    chat_event_query(event, "token", 5, &token, &len);
  while (user < end && !is(token, len, user->token)) user++;
  int is_lobby = is(event->room, event->room_len, "lobby") && event->form == CHAT_FORM_JSON;
  if (user == end || !is_lobby) {
    if (user < end) why = "connect to / with ?format=json; people invite you to their rooms";
    check(chat_server_reject(server, client, user < end ? 403 : 401, why, strlen(why), NULL, 0));
    return;
  }
  chat_status status = chat_server_set_identity(server, client, user->identity, strlen(user->identity));
  if (status == CHAT_OK) status = chat_server_set_name(server, client, user->name, strlen(user->name));
  check(status == CHAT_OK ? chat_server_accept(server, client) : status);
}

/* Puts all connections of a person into a room, with all that was said there. */
static void enter(const char *person, const char *room, char *answer, size_t size) {
  chat_client_id clients[32];
  size_t count = 0;
  chat_status status = chat_server_identity_clients(server, person, strlen(person), clients, 32, &count);
  for (size_t i = 0; i < count && status == CHAT_OK; i++)
    status = chat_server_join_with_past(server, clients[i], room, strlen(room), CHAT_PAST_ALL, NULL);
  const char *what = status != CHAT_OK ? chat_last_error_message() : count ? "is in" : "cannot come to";
  snprintf(answer, size, "%s %s %s", person, what, room);
}

/* Publishes a message, or does what it commands. */
static void review(const chat_event *event) {
  char said[128], me[33], person[33], name[33], room[66], end;
  char answer[256] = "say /open NAME, /invite IDENTITY NAME, /who or /leave";
  snprintf(said, sizeof said, "%.*s", (int)event->data_len, (const char *)event->data);
  snprintf(me, sizeof me, "%.*s", (int)event->identity_len, event->identity);
  int opens = sscanf(said, "/open %32[a-z0-9]%c", name, &end) == 1;
  if (opens || sscanf(said, "/invite %32[a-z] %32[a-z0-9]%c", person, name, &end) == 2) {
    snprintf(room, sizeof room, "%s/%s", me, name); /* The name says whose room it is. */
    enter(opens ? me : person, room, answer, sizeof answer);
  } else if (strcmp(said, "/who") == 0) {
    chat_members *members = NULL;
    check(chat_server_members(server, event->room, event->room_len, &members));
    for (size_t i = 0, len = 0; i < chat_members_len(members) && len < sizeof answer; i++) {
      const chat_member *it = chat_members_get(members, i);
      len += (size_t)snprintf(answer + len, sizeof answer - len, "%.*s ", (int)it->name_len, it->name);
    }
    chat_members_free(members);
  } else if (strcmp(said, "/leave") == 0 && !is(event->room, event->room_len, "lobby")) {
    check(chat_server_leave_identity(server, me, strlen(me), event->room, event->room_len, NULL));
    snprintf(answer, sizeof answer, "%s has left %.*s", me, (int)event->room_len, event->room);
  }
  if (said[0] == '/') check(chat_server_refuse_with(server, event->decision, answer, strlen(answer)));
  else check(chat_server_allow(server, event->decision));
}

static void on_events(void *user_data, const chat_event *const *events, size_t count) {
  (void)user_data;
  for (size_t i = 0; i < count; i++) {
    if (events[i]->type == CHAT_EVENT_CONNECT_REQUEST) admit(events[i]->client, events[i]);
    if (events[i]->type == CHAT_EVENT_MESSAGE_REQUEST) review(events[i]);
  }
}

int main(int argc, char **argv) {
  const char *listen = argc > 1 ? argv[1] : "127.0.0.1:9001";
  char addr[CHAT_ADDR_SIZE] = "";
  sigset_t stop;
  int signal = 0;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, NULL);
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  chat_config_add_listen(config, listen, strlen(listen));
  chat_config_set_admission_timeout(config, 5000);
  chat_config_set_review_timeout(config, 5000);
  chat_config_set_members(config, CHAT_MEMBERS_HOST);
  chat_config_set_max_rooms_per_client(config, 16);
  chat_config_set_event_handler(config, on_events, NULL, NULL);
  chat_status status = chat_server_start(config, &server, NULL);
  chat_config_free(config);
  if (status == CHAT_OK) status = chat_server_local_addr(server, 0, addr, sizeof addr, NULL);
  if (status != CHAT_OK) return check(status), 1;
  printf("listening on ws://%s/\n", addr);
  fflush(stdout);
  sigwait(&stop, &signal);
  check(chat_server_stop(server, 5000));
  chat_server_free(server);
  return 0;
}
