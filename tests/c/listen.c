/* `[::]` is for both families. With ipv6_only, or beside an address of IPv4, it is for IPv6 alone. */
#include "ws.h"

static ws client;

static int can_connect(const char *ip, uint16_t port) {
  struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  int is_4 = inet_pton(AF_INET, ip, &to4.sin_addr) == 1;
  CHECK(is_4 || inet_pton(AF_INET6, ip, &to6.sin6_addr) == 1);
  int fd = socket(is_4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  int failed = is_4 ? connect(fd, (struct sockaddr *)&to4, sizeof to4)
                    : connect(fd, (struct sockaddr *)&to6, sizeof to6);
  CHECK(!failed || errno == ECONNREFUSED);
  close(fd);
  return !failed;
}

int main(void) {
  begin();
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, TEXT("[::]:0")));
  chat_server *both = start(config);
  char addr[CHAT_ADDR_SIZE];
  CHECK_OK(chat_server_local_addr(both, 0, addr, sizeof addr, NULL));
  uint16_t port = (uint16_t)atoi(strrchr(addr, ':') + 1);
  CHECK(can_connect("::1", port) && can_connect("127.0.0.1", port));
  chat_server_free(both);

  config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, TEXT("[::]:0")));
  CHECK(chat_config_set_ipv6_only(config, 2) == CHAT_ERR_INVALID_ARGUMENT);
  CHECK_OK(chat_config_set_ipv6_only(config, 1));
  chat_server *six = start(config);
  CHECK_OK(chat_server_local_addr(six, 0, addr, sizeof addr, NULL));
  port = (uint16_t)atoi(strrchr(addr, ':') + 1);
  CHECK(can_connect("::1", port) && !can_connect("127.0.0.1", port));

  int len = snprintf(addr, sizeof addr, "0.0.0.0:%d", port);
  config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, addr, (size_t)len));
  chat_server *four = start(config);
  ws_connect(&client, four, "/", "");
  ws_say(&client, "by IPv4");
  ws_expect(&client, WS_TEXT, "by IPv4");
  close(client.fd);
  CHECK(can_connect("::1", port));
  chat_server_free(six);
  CHECK(!can_connect("::1", port) && can_connect("127.0.0.1", port));
  chat_server_free(four);

  config = chat_config_new(CHAT_ABI_VERSION);
  CHECK_OK(chat_config_add_listen(config, addr, (size_t)len));
  int len6 = snprintf(addr, sizeof addr, "[::]:%d", port);
  CHECK_OK(chat_config_add_listen(config, addr, (size_t)len6));
  chat_server *beside = start(config);
  CHECK(can_connect("::1", port) && can_connect("127.0.0.1", port));
  chat_server_free(beside);
  return 0;
}
