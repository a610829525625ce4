// A host that gives each client the identity that it says of itself, and counts what it is told of members.
//
// usage: members --workers N --members off|clients --grace MS --joins N
// A message of a client that has no identity asks for the counts. Ends when it is killed.
#define _GNU_SOURCE
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
  chat_server *server;
  int joins; // rooms of each client that has an identity and does not watch
  int connected, entered, left;
} host;

// A client may be gone already: that is no failure.
static void check(chat_status status, const char *call) {
  if (status != CHAT_ERR_NOT_FOUND) host_check(status, call);
}

static void admit(const chat_event *event) {
  const char *id, *watches;
  size_t len, watches_len;
  if (chat_event_query(event, "id", 2, &id, &len) == CHAT_OK) {
    check(chat_server_set_identity(host.server, event->client, id, len), "chat_server_set_identity");
    bool is_watching = chat_event_query(event, "members", 7, &watches, &watches_len) == CHAT_OK;
    for (int i = 1; i < host.joins && !is_watching; i++) {
      char room[32];
      int room_len = snprintf(room, sizeof room, "side-%d", i);
      check(chat_server_join(host.server, event->client, room, (size_t)room_len), "chat_server_join");
    }
  }
  check(chat_server_accept(host.server, event->client), "chat_server_accept");
}

static void answer(const chat_event *event) {
  uint8_t payload[STAMP_SIZE];
  struct stamp stamp = {
    .publisher = SENT, .sequence = (uint32_t)host.left, .time_ns = ANSWER(host.connected, host.entered)};
  wire_payload(payload, &stamp, sizeof payload);
  check(chat_server_send(host.server, event->client, CHAT_TEXT, payload, sizeof payload), "chat_server_send");
}

// One thread calls it.
static void on_events(void *user_data, const chat_event *const *events, size_t count) {
  (void)user_data;
  for (size_t i = 0; i < count; i++) {
    switch (events[i]->type) {
    case CHAT_EVENT_CONNECT_REQUEST: admit(events[i]); break;
    case CHAT_EVENT_CONNECTED: host.connected++; break;
    case CHAT_EVENT_DISCONNECTED: host.connected--; break;
    case CHAT_EVENT_MEMBER_ENTERED: host.entered++; break;
    case CHAT_EVENT_MEMBER_LEFT:
    case CHAT_EVENT_ROOM_VACATED: host.left++; break;
    case CHAT_EVENT_MESSAGE: answer(events[i]); break;
    default: break;
    }
  }
}

int main(int argc, char **argv) {
  host.joins = (int)host_number(argc, argv, "joins");
  chat_config *config = host_config(argc, argv);
  host_check(chat_config_set_admission_timeout(config, 20000), "chat_config_set_admission_timeout");
  host_check(chat_config_set_event_handler(config, on_events, NULL, NULL), "chat_config_set_event_handler");
  if (strcmp(host_text(argc, argv, "members", "off"), "clients") == 0) {
    host_check(chat_config_set_members(config, CHAT_MEMBERS_CLIENTS), "chat_config_set_members");
    host_check(chat_config_set_member_grace(config, (uint32_t)host_number(argc, argv, "grace")),
               "chat_config_set_member_grace");
    host_check(chat_config_set_occupancy(config, 1), "chat_config_set_occupancy");
  }
  host_serve(config, &host.server);
  for (;;) pause();
}
