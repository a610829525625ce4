// The JSON form of libchat: objects of messages, and those that the server sends beside them.
//
// The load knows which fields come in which order, so that it looks for them by their place and not through a JSON
// parser. An object that it does not know makes the figure void.
#define _GNU_SOURCE
#include "load.h"

#include <string.h>

#define STARTS(text, len, with) ((len) >= sizeof(with) - 1 && memcmp((text), (with), sizeof(with) - 1) == 0)

static const char BEFORE[] = "{\"text\":\"";
static const char MESSAGE[] = "{\"type\":\"message\",\"room\":\"";
static const char POSITION[] = "\",\"position\":\"";
static const char TEXT[] = "\"text\":\"";
static const char BEHIND[] = "\"}";

size_t json_message(uint8_t *out, const struct stamp *stamp, size_t size) {
  uint8_t text[sizeof BEFORE + 65536 + sizeof BEHIND];
  size_t before = sizeof BEFORE - 1, behind = sizeof BEHIND - 1;
  memcpy(text, BEFORE, before);
  wire_payload(text + before, stamp, size);
  memcpy(text + before + size, BEHIND, behind);
  return wire_text(out, text, before + size + behind);
}

static void position(struct clients *clients, struct client *client, const uint8_t *text, size_t len) {
  const uint8_t *end = memchr(text, '"', len);
  if (clients->on_position != NULL && end != NULL) clients->on_position(clients, client, text, (size_t)(end - text));
}

static void message(struct clients *clients, struct client *client, const uint8_t *text, size_t len, uint64_t now) {
  size_t behind = sizeof BEHIND - 1, before = sizeof TEXT - 1, size = (size_t)clients->options->size;
  const uint8_t *room = text + sizeof MESSAGE - 1, *end = text + len;
  const uint8_t *rest = memchr(room, '"', (size_t)(end - room));
  if (rest == NULL || !STARTS(rest, (size_t)(end - rest), POSITION)) {
    report_void(clients->report, "a message without a position");
    return;
  }
  rest += sizeof POSITION - 1;
  // The text is the last field.
  const uint8_t *payload = end - behind - size;
  if ((size_t)(end - rest) < before + size + behind || memcmp(payload - before, TEXT, before) != 0 ||
      memcmp(payload + size, BEHIND, behind) != 0) {
    report_void(clients->report, "an object of %zu bytes without a text of %zu", len, size);
    return;
  }
  position(clients, client, rest, (size_t)(end - rest));
  clients->on_message(clients, client, payload, size, now);
}

// What the client is told of where it stands in a room.
static void entered(struct clients *clients, struct client *client, const uint8_t *text, size_t len) {
  static const char refused[] = "\"recovered\":false";
  if (memmem(text, len, refused, sizeof refused - 1) != NULL) {
    report_void(clients->report, "a client could not recover");
    return;
  }
  const uint8_t *found = memmem(text, len, POSITION, sizeof POSITION - 1);
  if (found == NULL) return;
  found += sizeof POSITION - 1;
  position(clients, client, found, len - (size_t)(found - text));
}

void json_frame(struct clients *clients, struct client *client, const uint8_t *text, size_t len, uint64_t now) {
  if (STARTS(text, len, MESSAGE)) {
    message(clients, client, text, len, now);
  } else if (STARTS(text, len, "{\"type\":\"entered\",")) {
    entered(clients, client, text, len);
  } else if (!STARTS(text, len, "{\"type\":\"welcome\",") && !STARTS(text, len, "{\"type\":\"live\",") &&
             !STARTS(text, len, "{\"type\":\"ping\"}")) {
    // Its first letters: no quotation mark may get into a reason.
    size_t from = sizeof "{\"type\":\"" - 1, letters = 0;
    while (from + letters < len && text[from + letters] >= 'a' && text[from + letters] <= 'z') letters++;
    report_void(clients->report, "an object that nobody asked for: %.*s", (int)letters, (const char *)text + from);
  }
}
