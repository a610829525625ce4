/* A stop with clients that are stuck ends within its time and 50 ms, and the port is free when it
 * returns. Scheduling is not ours: of several tries the best counts, and none may take a second longer. */
#include "ws.h"

#include <fcntl.h>
#include <time.h>

enum { DRAIN_MS = 200, MORE_MS = 50, TRIES = 10 };

static ws deaf, silent;

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Publishes until the server has more for the client than its socket takes. */
static void fill(chat_server *server) {
  static uint8_t data[60000];
  for (int i = 0; i < 200; i++) {
    CHECK_OK(chat_server_publish(server, TEXT("deaf"), CHAT_BINARY, data, sizeof data, NULL));
  }
}

static double one_stop(void) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_outbox_size(config, 64u << 20));
  chat_server *server = start(config);
  char addr[CHAT_ADDR_SIZE];
  size_t len;
  CHECK_OK(chat_server_local_addr(server, 0, addr, sizeof addr, &len));
  ws_connect(&deaf, server, "/rooms/deaf", "");
  ws_connect(&silent, server, "/", "");
  int half = ws_socket(server, 0); /* a handshake that never ends */
  CHECK(send(half, "GET / HTTP/1.1\r\n", 16, MSG_NOSIGNAL) == 16);
  fill(server);
  double start_ms = now_ms();
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_stop(server, DRAIN_MS));
  double took = now_ms() - start_ms;

  config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, addr, len));
  chat_server *heir = start(config);
  CHECK_OK(chat_server_stop(heir, 1000));
  chat_server_free(heir);
  chat_server_free(server);
  close(deaf.fd);
  close(silent.fd);
  close(half);
  return took;
}

int main(void) {
  begin();
  double best = 1e9;
  for (int i = 0; i < TRIES && best > DRAIN_MS + MORE_MS; i++) {
    double took = one_stop();
    CHECK(took >= DRAIN_MS && (getenv("SLOW") || took < DRAIN_MS + 1000));
    if (took < best) best = took;
  }
  CHECK(getenv("SLOW") || best <= DRAIN_MS + MORE_MS);
  return 0;
}
