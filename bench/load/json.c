// The JSON form of libchat: objects of messages, and those that the server sends beside them.
//
// The load knows which fields come in which order, so that it looks for them by their place and not through a JSON
// parser. An object that it does not know makes the figure void.
#define _GNU_SOURCE
#include "load.h"

#include <string.h>

#define STARTS(text, len, with) ((len) >= sizeof(with) - 1 && memcmp((text), (with), sizeof(with) - 1) == 0)

static const char BEFORE[] = "{\"text\":\"";
static const char TYPE[] = "{\"type\":\"";
static const char MESSAGE[] = "message\"";
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

typedef void on_position(struct clients *, struct client *, const uint8_t *, size_t);

static void position(struct clients *clients, struct client *client, const uint8_t *text, size_t len,
                     on_position *then) {
  const uint8_t *end = text + len, *begin = memmem(text, len, POSITION, sizeof POSITION - 1);
  if (begin != NULL) begin += sizeof POSITION - 1;
  const uint8_t *quote = begin == NULL ? NULL : memchr(begin, '"', (size_t)(end - begin));
  if (quote == NULL) {
    report_void(clients->report, "an object without a position");
    return;
  }
  then(clients, client, begin, (size_t)(quote - begin));
}

// The text is the last field. Little more is looked at than of a plain message: how many of these a server joins
// depends on how soon the generator is back.
static void message(struct clients *clients, struct client *client, const uint8_t *text, size_t len, uint64_t now) {
  size_t behind = sizeof BEHIND - 1, before = sizeof TEXT - 1, size = (size_t)clients->options->size;
  const uint8_t *payload = text + len - behind - size;
  if (len < sizeof TYPE + sizeof MESSAGE + before + size + behind || memcmp(payload - before, TEXT, before) != 0 ||
      memcmp(payload + size, BEHIND, behind) != 0) {
    report_void(clients->report, "an object of %zu bytes without a text of %zu", len, size);
    return;
  }
  if (clients->on_position != NULL) position(clients, client, text, len, clients->on_position);
  clients->on_message(clients, client, payload, size, now);
}

// What the client is told of where it stands in a room.
static void entered(struct clients *clients, struct client *client, const uint8_t *text, size_t len) {
  static const char refused[] = "\"recovered\":false";
  if (memmem(text, len, refused, sizeof refused - 1) != NULL) {
    report_void(clients->report, "a client could not recover");
    return;
  }
  if (clients->on_position != NULL) position(clients, client, text, len, clients->on_position);
  if (clients->on_entered != NULL) position(clients, client, text, len, clients->on_entered);
}

void json_frame(struct clients *clients, struct client *client, const uint8_t *text, size_t len, uint64_t now) {
  size_t type = sizeof TYPE - 1;
  if (len > type && STARTS(text + type, len - type, MESSAGE)) {
    message(clients, client, text, len, now);
  } else if (STARTS(text, len, "{\"type\":\"entered\",")) {
    entered(clients, client, text, len);
  } else if (STARTS(text, len, "{\"type\":\"welcome\",")) {
    clients->welcomed++;
  } else if (clients->on_members != NULL && STARTS(text, len, "{\"type\":\"members\",")) {
    clients->on_members(clients, client, text, len, now);
  } else if (!STARTS(text, len, "{\"type\":\"live\",") && !STARTS(text, len, "{\"type\":\"ping\"}")) {
    // Its first letters: no quotation mark may get into a reason.
    size_t letters = 0;
    while (type + letters < len && text[type + letters] >= 'a' && text[type + letters] <= 'z') letters++;
    report_void(clients->report, "an object that nobody asked for: %.*s", (int)letters, (const char *)text + type);
  }
}
