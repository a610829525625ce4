// What a watcher is told of the members of its room. Fields are looked for by their names, as the server writes them:
// no name of a member has a quotation mark.
#define _GNU_SOURCE
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define FIND(text, len, part) memmem((text), (len), (part), sizeof(part) - 1)

static const char COUNT[] = "\"count\":";
static const char WAS[] = "\"was\":\"";

static size_t head_of(size_t len) { return len < 126 ? 2 : len <= 0xffff ? 4 : 10; }

void told_add(struct clients *clients, struct told *told, const uint8_t *text, size_t len, uint64_t now) {
  const uint8_t *end = text + len, *count = FIND(text, len, COUNT);
  if (count == NULL) {
    report_void(clients->report, "members without their count");
    return;
  }
  told->bytes += head_of(len) + len;
  told->objects++;
  // The frame's end is no digit.
  told->count = atoi((const char *)count + sizeof COUNT - 1);
  told->has_list = FIND(text, len, "\"list\":[") != NULL;
  told->has_joined = FIND(text, len, "\"joined\":[") != NULL;
  told->has_left = FIND(text, len, "\"left\":[") != NULL;
  for (const uint8_t *was = text; (was = FIND(was, (size_t)(end - was), WAS)) != NULL; was += sizeof WAS - 1)
    told->returned++;
  told->time_ns = now;
  if (told->count > MOST_LISTED && (told->has_list || told->has_joined || told->has_left))
    report_void(clients->report, "a watcher was told of each of %d members", told->count);
}

void told_report(struct report *report, const struct told *told, int watchers) {
  for (int i = 0; i < watchers; i++) {
    if (told[i].bytes <= report->told_bytes) continue;
    report->told_bytes = told[i].bytes;
    report->told_objects = told[i].objects;
  }
}
