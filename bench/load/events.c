// The events form of libchat: server-sent events, to clients that only listen.
//
// A message is found by its place, as the server writes it: an id, one line of data, a blank line. Only what does not
// look like that is read line by line. An event that tells of an end or a gap makes the figure void.
#define _GNU_SOURCE
#include "load.h"

#include <ctype.h>
#include <string.h>

#define STARTS(text, len, with) ((len) >= sizeof(with) - 1 && memcmp((text), (with), sizeof(with) - 1) == 0)

static const char ID[] = "id: ";
static const char DATA[] = "\ndata: ";
static const char END[] = "\n\n";

static bool has_line_end(const uint8_t *text) {
  uint64_t word;
  memcpy(&word, text, 8);
  word ^= 0x0a0a0a0a0a0a0a0au;
  return ((word - 0x0101010101010101u) & ~word & 0x8080808080808080u) != 0;
}

// Tells whether a line of this length begins there. It may be read to its end, and is longer than a word.
static bool is_line(const uint8_t *text, size_t len) {
  if (len < 8 || text[len] != '\n' || has_line_end(text + len - 8)) return false;
  for (size_t i = 0; i + 8 < len; i += 8)
    if (has_line_end(text + i)) return false;
  return true;
}

// Takes a message whose text has the length that is asked for. Returns its length, 0 if it is none or not whole.
static size_t message(struct clients *clients, struct client *client, const uint8_t *bytes, size_t len, uint64_t now) {
  const size_t id = sizeof ID - 1, data = sizeof DATA - 1, end = sizeof END - 1;
  // Nearly every id is as long as the one before. The processor takes that for granted while it is checked, and is at the
  // next message meanwhile: how many messages a server joins depends on how soon the generator is back.
  static size_t id_len = 1;
  size_t size = (size_t)clients->options->size;
  if (len < id + data + size + end || memcmp(bytes, ID, id) != 0) return 0;
  const uint8_t *begin = bytes + id;
  size_t longest = len - id - data - size - end;
  if (id_len > longest || !is_line(begin, id_len)) {
    const uint8_t *found = memchr(begin, '\n', longest + 1);
    if (found == NULL || found == begin) return 0;
    id_len = (size_t)(found - begin);
  }
  const uint8_t *stop = begin + id_len, *payload = stop + data;
  if (memcmp(stop, DATA, data) != 0) return 0;
  if (memcmp(payload + size, END, end) != 0) return 0;
  size_t used = (size_t)(payload - bytes) + size + end;
  clients->report->frame_bytes += used;
  if (clients->on_position != NULL) clients->on_position(clients, client, begin, id_len);
  clients->on_message(clients, client, payload, size, now);
  return used;
}

// Takes the lines up to a blank one: a position, a comment or a ping. Returns their length, 0 if they are not whole.
static size_t other(struct clients *clients, struct client *client, const uint8_t *bytes, size_t len) {
  const uint8_t *end = memmem(bytes, len, END, sizeof END - 1);
  if (end == NULL) return 0;
  const size_t id = sizeof ID - 1;
  bool is_ping = false, has_data = false;
  for (const uint8_t *line = bytes; line < end;) {
    const uint8_t *stop = memchr(line, '\n', (size_t)(end + 1 - line));
    size_t left = (size_t)(stop - line);
    if (STARTS(line, left, ID) && left > id) {
      if (clients->on_position != NULL) clients->on_position(clients, client, line + id, left - id);
    } else if (STARTS(line, left, "data:")) {
      has_data = true;
    } else if (left == 11 && STARTS(line, left, "event: ping")) {
      is_ping = true;
    } else if (!STARTS(line, left, "retry: ") && line[0] != ':') {
      // Its first letters: no quotation mark may get into a reason.
      size_t letters = 0;
      while (letters < left && (isalpha(line[letters]) || line[letters] == ':' || line[letters] == ' ')) letters++;
      report_void(clients->report, "a line that nobody asked for: %.*s", (int)letters, (const char *)line);
    }
    line = stop + 1;
  }
  if (has_data && !is_ping) report_void(clients->report, "a message without an id, or not of the length asked for");
  return (size_t)(end - bytes) + sizeof END - 1;
}

size_t events_take(struct clients *clients, struct client *client, const uint8_t *bytes, size_t len, uint64_t now) {
  size_t used = 0;
  while (client->fd >= 0) {
    size_t taken = message(clients, client, bytes + used, len - used, now);
    if (taken == 0) taken = other(clients, client, bytes + used, len - used);
    if (taken == 0) break;
    used += taken;
  }
  return used;
}
