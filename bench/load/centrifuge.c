// The part of Centrifuge's client protocol, in JSON, that a load needs: connect, subscribe, publish.
//
// A frame holds one or more JSON objects, one a line. The load knows what it sends, so that it looks
// for the payloads by their key and not through a JSON parser.
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <string.h>

static const char HELLO[] = "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"lobby\"}}";
static const char BEFORE[] = "{\"id\":3,\"publish\":{\"channel\":\"lobby\",\"data\":\"";
static const char BEHIND[] = "\"}}";
static const char KEY[] = "\"data\":\"";
static const char ERROR[] = "\"error\":";

size_t centrifuge_hello(uint8_t *out) { return wire_text(out, (const uint8_t *)HELLO, sizeof HELLO - 1); }

size_t centrifuge_message(uint8_t *out, const struct stamp *stamp, size_t size) {
  uint8_t text[sizeof BEFORE + 65536 + sizeof BEHIND];
  size_t before = sizeof BEFORE - 1, behind = sizeof BEHIND - 1;
  memcpy(text, BEFORE, before);
  wire_payload(text + before, stamp, size);
  memcpy(text + before + size, BEHIND, behind);
  return wire_text(out, text, before + size + behind);
}

void centrifuge_frame(struct clients *clients, struct client *client, const uint8_t *text, size_t len, uint64_t now) {
  uint8_t answer[32];
  const uint8_t *end = text + len;
  while (text < end) {
    const uint8_t *stop = memchr(text, '\n', (size_t)(end - text));
    if (stop == NULL) stop = end;
    size_t line = (size_t)(stop - text);
    const uint8_t *data = memmem(text, line, KEY, sizeof KEY - 1);
    if (data != NULL) {
      data += sizeof KEY - 1;
      const uint8_t *quote = memchr(data, '"', (size_t)(stop - data));
      if (quote == NULL) quote = stop;
      clients->on_message(clients, client, data, (size_t)(quote - data), now);
    } else if (line == 2) {
      client_send(clients, client, answer, wire_text(answer, (const uint8_t *)"{}", 2));
    } else if (memmem(text, line, ERROR, sizeof ERROR - 1) != NULL) {
      report_void(clients->report, "an error of the server: %.*s", (int)(line < 150 ? line : 150), (const char *)text);
    }
    text = stop + 1;
  }
}
