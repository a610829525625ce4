/* Any number of servers in one process, and nothing shared among them. */
#include "ws.h"

enum { SERVERS = 64 };

static ws clients[SERVERS];

int main(void) {
  begin();
  /* What the first server of a program makes for all. */
  chat_server_free(start_with_queue());
  int descriptors = entries("/proc/self/fd"), threads = 2 + 1; /* ".", ".." and this one */
  chat_server *servers[SERVERS];
  chat_client_id id = 0;
  feed feeds[SERVERS] = {{0}};
  for (int i = 0; i < SERVERS; i++) {
    servers[i] = start_with_queue();
    feeds[i].server = servers[i];
    ws_connect(&clients[i], servers[i], "/", "");
    chat_client_id own = feed_until(&feeds[i], CHAT_EVENT_CONNECTED)->client;
    /* Each server counts for itself: the id of another server's client is that of one of its own. */
    if (i == 0) id = own;
    CHECK(own == id);
  }
  for (int i = 0; i < SERVERS; i++) {
    char text[16];
    int len = snprintf(text, sizeof text, "server %d", i);
    CHECK_OK(chat_server_broadcast(servers[i], CHAT_TEXT, (uint8_t *)text, (size_t)len));
    ws_expect(&clients[i], WS_TEXT, text);
    CHECK_OK(chat_server_send(servers[i], id, CHAT_TEXT, DATA("to one")));
    ws_expect(&clients[i], WS_TEXT, "to one");
    ws_say(&clients[i], text);
    ws_expect(&clients[i], WS_TEXT, text);
    const chat_event *event = feed_next(&feeds[i]);
    CHECK(event->type == CHAT_EVENT_MESSAGE && text_is(event->data, event->data_len, text));
  }
  /* One ends, and the others do not notice. */
  for (int i = 0; i < SERVERS; i++) {
    chat_stats stats;
    CHECK_OK(chat_server_stats(servers[i], &stats, sizeof stats));
    CHECK(stats.connections == 1 && stats.messages_received == 1);
    CHECK_OK(chat_server_request_stop(servers[i]));
    CHECK(ws_await_close(&clients[i]) == 1001);
    CHECK_OK(chat_server_stop(servers[i], 5000));
    feed_free(&feeds[i]);
    chat_server_free(servers[i]);
  }
  CHECK(entries("/proc/self/fd") <= descriptors);
  await_entries("/proc/self/task", threads);
  return 0;
}
