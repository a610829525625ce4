/* Publishing with a key, under a name, without history, to several rooms; refusing with a reason. */
#include "ws.h"

#include <pthread.h>

static ws ana, ben;

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

static chat_client_id connected(chat_server *server, feed *events, ws *ws) {
  ws_connect(ws, server, "/?format=json", "");
  chat_client_id client = feed_until(events, CHAT_EVENT_CONNECTED)->client;
  told(ws, "welcome", "");
  told(ws, "entered", "");
  told(ws, "live", "");
  return client;
}

enum { THREADS = 8, KEYS = 100 };

static chat_server *shared;
static chat_position at[THREADS][KEYS];
static uint32_t duplicates[THREADS][KEYS];

static void *publish_all(void *number) {
  size_t self = *(size_t *)number;
  for (int i = 0; i < KEYS; i++) {
    char key[16];
    chat_publish_options options = {.size = sizeof options, .key = key};
    options.key_len = (size_t)snprintf(key, sizeof key, "%d", i);
    CHECK_OK(chat_server_publish_with(shared, TEXT("threads"), CHAT_TEXT, DATA("x"), &options,
                                      &at[self][i], &duplicates[self][i]));
  }
  return NULL;
}

static void from_eight_threads(chat_server *server) {
  pthread_t threads[THREADS];
  size_t numbers[THREADS];
  shared = server;
  for (size_t i = 0; i < THREADS; i++) {
    numbers[i] = i;
    CHECK(pthread_create(&threads[i], NULL, publish_all, &numbers[i]) == 0);
  }
  for (size_t i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  for (int i = 0; i < KEYS; i++) {
    uint32_t first = 0;
    for (size_t thread = 0; thread < THREADS; thread++) {
      first += duplicates[thread][i] == 0;
      CHECK(at[thread][i].epoch == at[0][i].epoch && at[thread][i].offset == at[0][i].offset);
    }
    CHECK(first == 1);
  }
  chat_position top;
  CHECK_OK(chat_server_position(server, TEXT("threads"), &top));
  CHECK(top.offset == KEYS);
  chat_stats stats;
  CHECK_OK(chat_server_stats(server, &stats, sizeof stats));
  CHECK(stats.duplicates == (THREADS - 1) * KEYS && stats.keys_evicted == 0);
}

static void as_the_options_say(chat_server *server) {
  chat_publish_options options = {.size = sizeof options};
  chat_position one, two, none;
  options.name = "Support", options.name_len = 7;
  options.identity = "agent 7", options.identity_len = 7;
  options.key = "k", options.key_len = 1;
  CHECK_OK(chat_server_publish_with(server, TEXT("lobby"), CHAT_TEXT, DATA("hi"), &options, &one, NULL));
  told(&ana, "message", "\"name\":\"Support\",\"key\":\"k\",\"time\"");
  CHECK(!strstr((char *)ana.data, "client") && !strstr((char *)ana.data, "agent"));
  CHECK_STATUS(CHAT_ERR_KEY_REUSED, chat_server_publish_with(server, TEXT("lobby"), CHAT_TEXT,
                                                             DATA("other"), &options, NULL, NULL));
  chat_publish_options unstored = {.size = sizeof unstored, .without_history = 1};
  CHECK_OK(chat_server_publish_with(server, TEXT("lobby"), CHAT_TEXT, DATA("now"), &unstored, &none,
                                    NULL));
  CHECK(none.epoch == 0 && none.offset == 0);
  told(&ana, "message", "\"room\":\"lobby\",\"time\"");
  CHECK_OK(chat_server_publish(server, TEXT("lobby"), CHAT_TEXT, DATA("after"), &two));
  CHECK(two.offset == one.offset + 1);
  told(&ana, "message", "\"text\":\"after\"");

  const chat_room_name rooms[3] = {{"x", 1}, {"lobby", 5}, {"y", 1}};
  chat_position positions[3];
  uint32_t were_there[3];
  size_t published;
  CHECK_OK(chat_server_publish_to(server, rooms, 3, CHAT_TEXT, DATA("hi"), &options, &published,
                                  positions, were_there));
  CHECK(published == 3 && were_there[0] == 0 && were_there[1] == 1 && were_there[2] == 0);
  CHECK(positions[1].offset == one.offset && positions[0].offset == 1);
  CHECK(positions[0].epoch != positions[2].epoch);
  CHECK_STATUS(CHAT_ERR_KEY_REUSED,
               chat_server_publish_to(server, rooms, 3, CHAT_TEXT, DATA("other"), &options, &published,
                                      positions, were_there));
  CHECK(published == 0);
}

static void with_a_reason(void) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  CHECK_OK(chat_config_set_review_timeout(config, 60000));
  chat_server *server = start(config);
  feed events = {.server = server};
  chat_client_id ana_id = connected(server, &events, &ana);
  CHECK_OK(chat_server_set_identity(server, ana_id, TEXT("ana")));
  ws_say(&ana, "{\"id\":1,\"key\":\"k\",\"text\":\"rude\"}");
  chat_decision_id decision = feed_until(&events, CHAT_EVENT_MESSAGE_REQUEST)->decision;
  CHECK_OK(chat_server_refuse_with(server, decision, TEXT("be \"polite\"")));
  told(&ana, "refused", "\"code\":\"refused\",\"reason\":\"be \\\"polite\\\"\",\"retry\":false");
  ws_say(&ana, "{\"id\":2,\"key\":\"k\",\"text\":\"polite\"}");
  decision = feed_until(&events, CHAT_EVENT_MESSAGE_REQUEST)->decision;
  CHECK_OK(chat_server_refuse_with(server, decision, NULL, 0));
  told(&ana, "refused", "\"reason\":\"the host refused it\"");
  feed_free(&events);
  chat_server_free(server);
  close(ana.fd);
}

int main(void) {
  begin();
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_queue(config, 1000));
  chat_server *server = start(config);
  feed events = {.server = server};
  connected(server, &events, &ana);
  from_eight_threads(server);
  as_the_options_say(server);
  connected(server, &events, &ben);
  ws_say(&ben, "{\"id\":1,\"key\":\"mine\",\"text\":\"hi\"}");
  told(&ana, "message", "\"key\":\"mine\"");
  told(&ben, "message", "\"key\":\"mine\"");
  told(&ben, "sent", "\"id\":1");
  CHECK(!strstr((char *)ben.data, "duplicate"));
  ws_say(&ben, "{\"id\":2,\"key\":\"mine\",\"text\":\"hi\"}");
  told(&ben, "sent", "\"duplicate\":true");
  feed_free(&events);
  chat_server_free(server);
  close(ana.fd);
  close(ben.fd);
  with_a_reason();
  return 0;
}
