/* The host's say in what a client gets of a room's past, and in the name under which others see it. */
#include "ws.h"

#include <pthread.h>

static ws ana, eve;
static chat_position at[10]; /* where the messages of the room `a` are */

/* Reads an object of the JSON form, which has these parts. */
static void told(ws *ws, const char *type, const char *part) {
  CHECK(ws_recv(ws) == WS_TEXT);
  char begin[64];
  snprintf(begin, sizeof begin, "{\"type\":\"%s\"", type);
  if (strncmp((char *)ws->data, begin, strlen(begin)) != 0 || !strstr((char *)ws->data, part)) {
    fprintf(stderr, "%s instead of %s, %s\n", (char *)ws->data, type, part);
    _exit(1);
  }
}

/* Reads what a client is told that enters the room `a`: the messages from a number on, up to ten. */
static void enters(ws *ws, const char *how, int first) {
  told(ws, "entered", how);
  for (; first < 10; first++) {
    char text[32];
    snprintf(text, sizeof text, "\"text\":\"%d\"", first);
    told(ws, "message", text);
  }
  told(ws, "live", "\"room\":\"a\"");
}

static chat_client_id connected(chat_server *server, feed *events, ws *ws, const char *path) {
  ws_connect(ws, server, path, "");
  chat_client_id client = feed_until(events, CHAT_EVENT_CONNECTED)->client;
  told(ws, "welcome", "");
  told(ws, "entered", "");
  told(ws, "live", "");
  return client;
}

static void gives_the_past(chat_server *server, feed *events) {
  const chat_position none = {0, 0}, other = {1, 1};
  const struct { int said; uint64_t past; const chat_position *since; const char *how; int first; } cases[] = {
    {-1, 0, NULL, "\"room\":\"a\"", 10},
    {-1, 3, NULL, "\"room\":\"a\"", 7},
    {-1, 11, NULL, "\"room\":\"a\"", 0},
    {-1, UINT64_MAX - 1, NULL, "\"room\":\"a\"", 0},
    {-1, CHAT_PAST_ALL, NULL, "\"room\":\"a\"", 0},
    {-1, CHAT_PAST_ALL, &at[6], "\"recovered\":true", 7},
    {-1, 2, &at[6], "\"recovered\":false,\"reason\":\"trimmed\"", 8},
    {-1, CHAT_PAST_ALL, &other, "\"recovered\":false,\"reason\":\"epoch\"", 0},
    {3, CHAT_PAST_ALL, NULL, "\"recovered\":true", 4},
    {3, CHAT_PAST_ALL, &none, "\"recovered\":true", 4},
    {3, CHAT_PAST_ALL, &at[6], "\"recovered\":true", 7},
    {3, 0, NULL, "\"recovered\":false,\"reason\":\"trimmed\"", 10},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char path[128] = "/?format=json", position[CHAT_POSITION_SIZE];
    if (cases[i].said >= 0) {
      CHECK_OK(chat_position_format(&at[cases[i].said], position, sizeof position, NULL));
      snprintf(path, sizeof path, "/?format=json&since.a=%s", position);
    }
    chat_client_id client = connected(server, events, &ana, path);
    CHECK_OK(chat_server_join_with_past(server, client, TEXT("a"), cases[i].past, cases[i].since));
    CHECK_OK(chat_server_send(server, client, CHAT_TEXT, DATA("after it")));
    enters(&ana, cases[i].how, cases[i].first);
    told(&ana, "direct", "after it");
    CHECK(feed_until(events, CHAT_EVENT_JOINED)->client == client);
    ws_leave(&ana, 1000);
  }
}

static void names_clients(chat_server *server, feed *events) {
  connected(server, events, &ana, "/?format=json");
  chat_client_id client = connected(server, events, &eve, "/?format=json&name=eve");
  ws_say(&eve, "{\"text\":\"hi\"}");
  told(&ana, "message", "\"name\":\"eve\",\"claimed\":true");
  CHECK_OK(chat_server_set_name(server, client, TEXT("ben")));
  ws_say(&eve, "{\"text\":\"hi\"}");
  told(&ana, "message", "\"name\":\"ben\",\"time\":");
  CHECK_OK(chat_server_set_name(server, client, NULL, 0));
  ws_say(&eve, "{\"text\":\"hi\"}");
  told(&ana, "message", "");
  CHECK(!strstr((char *)ana.data, "name") && !strstr((char *)ana.data, "claimed"));
  ws_leave(&ana, 1000);
  ws_leave(&eve, 1000);
}

static void *connect_eve(void *server) {
  ws_connect(&eve, server, "/rooms/a?format=json&history=5", "");
  return NULL;
}

static void bounds_the_past(chat_server *server, feed *events) {
  const struct { uint64_t past; int first; } cases[] = {{0, 10}, {2, 8}, {7, 5}, {CHAT_PAST_ALL, 5}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pthread_t connecting;
    CHECK(pthread_create(&connecting, NULL, connect_eve, server) == 0);
    chat_client_id client = feed_until(events, CHAT_EVENT_CONNECT_REQUEST)->client;
    CHECK_OK(chat_server_accept_with_past(server, client, cases[i].past));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_accept_with_past(server, client, cases[i].past));
    CHECK(pthread_join(connecting, NULL) == 0);
    told(&eve, "welcome", "");
    enters(&eve, "\"room\":\"a\"", cases[i].first);
    ws_leave(&eve, 1000);
  }
}

static void publish(chat_server *server) {
  for (int number = 0; number < 10; number++) {
    uint8_t digit = (uint8_t)('0' + number);
    CHECK_OK(chat_server_publish(server, TEXT("a"), CHAT_TEXT, &digit, 1, &at[number]));
  }
}

int main(void) {
  begin();
  chat_server *server = start_with_queue();
  feed events = {.server = server};
  publish(server);
  gives_the_past(server, &events);
  names_clients(server, &events);
  feed_free(&events);
  chat_server_free(server);

  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_admission_timeout(config, 30000));
  server = start(config);
  feed more = {.server = server};
  publish(server);
  bounds_the_past(server, &more);
  feed_free(&more);
  chat_server_free(server);
  return 0;
}
