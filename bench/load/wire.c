// RFC 6455 as a client speaks it, in as few instructions as will do.
#define _GNU_SOURCE
#include "load.h"

#include <string.h>

// Any key will do on loopback; not zero, so that the server has something to unmask.
static const uint8_t KEY[8] = {0x37, 0xfa, 0x21, 0x3d, 0x37, 0xfa, 0x21, 0x3d};

static size_t head(uint8_t *out, uint8_t first, size_t len) {
  size_t n = 2;
  out[0] = first;
  if (len < 126) {
    out[1] = 0x80 | (uint8_t)len;
  } else if (len <= 0xffff) {
    out[1] = 0x80 | 126;
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
    n = 4;
  } else {
    out[1] = 0x80 | 127;
    for (int i = 0; i < 8; i++) out[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    n = 10;
  }
  memcpy(out + n, KEY, 4);
  return n + 4;
}

static void mask(uint8_t *bytes, size_t len) {
  uint64_t key, word;
  memcpy(&key, KEY, 8);
  size_t i = 0;
  for (; i + 8 <= len; i += 8) {
    memcpy(&word, bytes + i, 8);
    word ^= key;
    memcpy(bytes + i, &word, 8);
  }
  for (; i < len; i++) bytes[i] ^= KEY[i & 3];
}

void wire_number(uint8_t *out, uint32_t value) {
  uint64_t word = value;
  word = (word | word << 16) & 0x0000ffff0000ffffu;
  word = (word | word << 8) & 0x00ff00ff00ff00ffu;
  word = (word | word << 4) & 0x0f0f0f0f0f0f0f0fu;
  word += 0x6161616161616161u;
  memcpy(out, &word, 8);
}

static uint32_t get32(const uint8_t *in) {
  uint64_t word;
  memcpy(&word, in, 8);
  word -= 0x6161616161616161u;
  word = (word | word >> 4) & 0x00ff00ff00ff00ffu;
  word = (word | word >> 8) & 0x0000ffff0000ffffu;
  return (uint32_t)(word | word >> 16);
}

void wire_payload(uint8_t *payload, const struct stamp *stamp, size_t size) {
  wire_number(payload, stamp->publisher);
  wire_number(payload + 8, stamp->sequence);
  wire_number(payload + 16, (uint32_t)stamp->time_ns);
  wire_number(payload + 24, (uint32_t)(stamp->time_ns >> 32));
  memset(payload + STAMP_SIZE, 'x', size - STAMP_SIZE);
}

size_t wire_message(uint8_t *out, const struct stamp *stamp, size_t size) {
  size_t n = head(out, 0x81, size);
  wire_payload(out + n, stamp, size);
  mask(out + n, size);
  return n + size;
}

size_t wire_text(uint8_t *out, const uint8_t *text, size_t len) {
  size_t n = head(out, 0x81, len);
  memcpy(out + n, text, len);
  mask(out + n, len);
  return n + len;
}

size_t wire_control(uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t len) {
  size_t n = head(out, 0x80 | opcode, len);
  if (len > 0) memcpy(out + n, payload, len);
  mask(out + n, len);
  return n + len;
}

int wire_head(const uint8_t *in, size_t available, uint8_t *first, size_t *payload) {
  if (available < 2) return 0;
  *first = in[0];
  size_t len = in[1];
  // A server's frames are not masked.
  if (len & 0x80) return -1;
  if (len < 126) {
    *payload = len;
    return 2;
  }
  if (len == 126) {
    if (available < 4) return 0;
    *payload = (size_t)in[2] << 8 | in[3];
    return 4;
  }
  if (available < 10) return 0;
  uint64_t long_len = 0;
  for (int i = 0; i < 8; i++) long_len = long_len << 8 | in[2 + i];
  *payload = (size_t)long_len;
  return 10;
}

struct stamp wire_stamp(const uint8_t *payload) {
  struct stamp stamp = {
    .publisher = get32(payload),
    .sequence = get32(payload + 8),
    .time_ns = get32(payload + 16) | (uint64_t)get32(payload + 24) << 32,
  };
  return stamp;
}
