// What a client asks for, and what the server is to answer: the upgrade, or a stream of events.
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <string.h>

#define HAS(bytes, len, part) (memmem((bytes), (len), (part), sizeof(part) - 1) != NULL)

size_t handshake_request(const struct clients *clients, const struct client *client, char *out, size_t size) {
  char path[160] = "/";
  if (clients->options->is_centrifuge) snprintf(path, sizeof path, "/connection/websocket");
  if (clients->options->rooms > 1) snprintf(path, sizeof path, "/rooms/r%d", client->room);
  if (client->form == JSON) strcat(path, "?format=json");
  if (clients->path != NULL) clients->path(clients, client, path, sizeof path);
  if (client->form != EVENTS)
    return (size_t)snprintf(out, size,
                            "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                            path);
  char last[64] = "";
  const char *id = clients->last_id != NULL ? clients->last_id(clients, client) : "";
  if (id[0] != '\0') snprintf(last, sizeof last, "Last-Event-ID: %s\r\n", id);
  return (size_t)snprintf(out, size,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n%s\r\n", path, last);
}

// The answer to the fixed key of the request; RFC 6455, 1.3 computes it.
static bool is_upgrade(const uint8_t *bytes, size_t len) {
  return memcmp(bytes, "HTTP/1.1 101", 12) == 0 && HAS(bytes, len, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static bool is_stream(const uint8_t *bytes, size_t len) {
  return memcmp(bytes, "HTTP/1.1 200", 12) == 0 && HAS(bytes, len, "\r\nContent-Type: text/event-stream") &&
         !HAS(bytes, len, "\r\nTransfer-Encoding:");
}

size_t handshake_answer(struct clients *clients, const struct client *client, const uint8_t *bytes, size_t len) {
  const uint8_t *end = memmem(bytes, len, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  size_t head = (size_t)(end + 4 - bytes);
  bool is_events = client->form == EVENTS;
  if (head < 16 || !(is_events ? is_stream(bytes, head) : is_upgrade(bytes, head))) {
    report_void(clients->report, "%s refused: %.12s", is_events ? "events were" : "the upgrade was", (const char *)bytes);
    return 0;
  }
  if (is_events) clients->streams++;
  return head;
}
