/* NULL, nothing, far too much and unknown numbers: every parameter is safe, and the text of the error names it. */
#include "check.h"

#include <ctype.h>

#include <sys/mman.h>

/* More than there is, within what a length may be; and more than a length may be. */
#define HUGE_LEN ((size_t)1 << 40)
#define WRONG_LEN SIZE_MAX

#define BAD_UTF8 "\xff\xfe"

/* The header, in which the parameters have their names. */
static char header[1 << 20];

static void read_header(void) {
  FILE *file = fopen("include/libchat.h", "r");
  CHECK(file);
  size_t len = fread(header, 1, sizeof header - 1, file);
  CHECK(len > 0 && len < sizeof header - 1);
  fclose(file);
}

static int is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Whether the header has a setter of an option. */
static int is_option(const char *name, size_t len) {
  const char *kinds[] = {"set", "add"};
  for (int i = 0; i < 2; i++) {
    char setter[100];
    snprintf(setter, sizeof setter, "chat_config_%s_%.*s(", kinds[i], (int)len, name);
    if (strstr(header, setter)) return 1;
  }
  return 0;
}

static int is_publish_option(const char *text, size_t len) {
  static const char *const fields[] = {"size",     "identity", "name", "key", "without_history",
                                       "reserved", "room"};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (strlen(fields[i]) == len && strncmp(fields[i], text, len) == 0) return 1;
  }
  return 0;
}

/* Whether the text of the last error begins with the name of a parameter of the function that was called, and
 * says more behind it: `room: it is empty`, `messages[1].room: it is empty`; or with the name of an option, of a
 * failed start, or of a field of the options of a publication. */
static int names_a_parameter(const char *call) {
  const char *text = chat_last_error_message();
  size_t len = strcspn(text, ":[");
  size_t function = strcspn(call, "(");
  if (len == 0 || text[len] == 0 || strlen(strstr(text, ": ") ? strstr(text, ": ") : "") < 8) return 0;
  if (strncmp(call, "chat_server_start", function) == 0 && is_option(text, len)) return 1;
  if (strstr(call, "chat_server_publish_") == call && is_publish_option(text, len)) return 1;
  for (const char *at = header; (at = strstr(at, "chat_"));) {
    int is_declared = strncmp(at, call, function) == 0 && at[function] == '(' && !is_word(at[-1]);
    const char *end = at + strcspn(at, ")");
    for (const char *name = at + function; is_declared && name + len <= end; name++) {
      if (strncmp(name, text, len) == 0 && !is_word(name[-1]) && !is_word(name[len])) return 1;
    }
    at++;
  }
  return 0;
}

/* Each call that fails names what is wrong; a wait that is over has nothing wrong. */
#undef CHECK_STATUS
#define CHECK_STATUS(expected, call)                                                          \
  do {                                                                                        \
    chat_status got_ = (call);                                                                \
    if (got_ != (expected)) {                                                                 \
      fprintf(stderr, "%s:%d: %s is %s, not %s\n", __FILE__, __LINE__, #call,                 \
              chat_status_name(got_), #expected);                                             \
      _exit(1);                                                                               \
    }                                                                                         \
    if (got_ != CHAT_OK && got_ != CHAT_ERR_TIMED_OUT && !names_a_parameter(#call)) {         \
      fprintf(stderr, "%s:%d: %s: no parameter is named by \"%s\"\n", __FILE__, __LINE__,     \
              #call, chat_last_error_message());                                              \
      _exit(1);                                                                               \
    }                                                                                         \
  } while (0)

static void drop_counted(void *count) { ++*(int *)count; }
static void ignore_events(void *user_data, const chat_event *const *events, size_t count) {
  (void)user_data, (void)events, (void)count;
}

static void no_config(void) {
#define NO_CONFIG(call) CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, call)
  NO_CONFIG(chat_config_add_listen(NULL, TEXT("127.0.0.1:0")));
  NO_CONFIG(chat_config_add_origin(NULL, TEXT("*")));
  NO_CONFIG(chat_config_set_base_path(NULL, TEXT("/chat")));
  NO_CONFIG(chat_config_set_workers(NULL, 1));
  NO_CONFIG(chat_config_set_busy_poll(NULL, 1));
  NO_CONFIG(chat_config_set_echo(NULL, 1));
  NO_CONFIG(chat_config_set_ipv6_only(NULL, 1));
  NO_CONFIG(chat_config_set_max_connections(NULL, 1));
  NO_CONFIG(chat_config_set_max_handshakes(NULL, 1));
  NO_CONFIG(chat_config_set_max_rooms_per_client(NULL, 1));
  NO_CONFIG(chat_config_set_handshake_timeout(NULL, 1));
  NO_CONFIG(chat_config_set_handshake_size(NULL, 1));
  NO_CONFIG(chat_config_set_max_message_size(NULL, 1));
  NO_CONFIG(chat_config_set_outbox_size(NULL, 1));
  NO_CONFIG(chat_config_set_outbox_age(NULL, 1));
  NO_CONFIG(chat_config_set_slow_consumer(NULL, 1));
  NO_CONFIG(chat_config_set_ping_interval(NULL, 1));
  NO_CONFIG(chat_config_set_ping_timeout(NULL, 1));
  NO_CONFIG(chat_config_set_tcp_keepalive(NULL, 1));
  NO_CONFIG(chat_config_set_history_messages(NULL, 1));
  NO_CONFIG(chat_config_set_history_size(NULL, 1));
  NO_CONFIG(chat_config_set_history_age(NULL, 1));
  NO_CONFIG(chat_config_set_history_total(NULL, 1));
  NO_CONFIG(chat_config_set_publish_timeout(NULL, 1));
  NO_CONFIG(chat_config_set_admission_timeout(NULL, 1));
  NO_CONFIG(chat_config_set_review_timeout(NULL, 1));
  NO_CONFIG(chat_config_set_overdue(NULL, 1));
  NO_CONFIG(chat_config_set_event_queue(NULL, 1));
  NO_CONFIG(chat_config_set_signal_rate(NULL, 1));
  NO_CONFIG(chat_config_set_members(NULL, CHAT_MEMBERS_HOST));
  NO_CONFIG(chat_config_set_member_grace(NULL, 1));
  NO_CONFIG(chat_config_set_occupancy(NULL, 1));
  NO_CONFIG(chat_config_set_log_handler(NULL, CHAT_LOG_INFO, NULL, NULL, NULL));
  int dropped = 0;
  NO_CONFIG(chat_config_set_event_handler(NULL, ignore_events, &dropped, drop_counted));
  CHECK(dropped == 1);
  chat_config_free(NULL);
}

/* Setters keep what they can keep; start judges it. */
static void config_values(void) {
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  CHECK(chat_config_new(UINT32_MAX) == NULL);
  CHECK(names_a_parameter("chat_config_new"));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_config_add_listen(config, NULL, 1));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_config_add_listen(config, "", HUGE_LEN));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_config_add_listen(config, "", WRONG_LEN));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_config_add_listen(config, TEXT(BAD_UTF8)));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_config_add_origin(config, NULL, 1));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_config_add_origin(config, "", HUGE_LEN));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_config_add_origin(config, "", WRONG_LEN));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_config_add_origin(config, TEXT(BAD_UTF8)));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_config_set_base_path(config, NULL, 1));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_config_set_base_path(config, "", HUGE_LEN));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_config_set_base_path(config, "", WRONG_LEN));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_config_set_base_path(config, TEXT(BAD_UTF8)));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_slow_consumer(config, 0));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_slow_consumer(config, 3));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_slow_consumer(config, UINT32_MAX));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_overdue(config, 0));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_overdue(config, 3));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_overdue(config, UINT32_MAX));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_members(config, 0));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_members(config, 4));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_members(config, UINT32_MAX));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_config_set_occupancy(config, 2));
  CHECK_OK(chat_config_set_members(config, CHAT_MEMBERS_CLIENTS));
  CHECK_OK(chat_config_set_members(config, CHAT_MEMBERS_OFF));
  CHECK_OK(chat_config_set_overdue(config, CHAT_OVERDUE_ALLOW));
  CHECK_OK(chat_config_set_overdue(config, CHAT_OVERDUE_REFUSE));
  CHECK_OK(chat_config_set_slow_consumer(config, CHAT_SLOW_CONSUMER_DROP_OLDEST));
  CHECK_OK(chat_config_set_slow_consumer(config, CHAT_SLOW_CONSUMER_DISCONNECT));
  /* Empty is a value, of which start says what is wrong. */
  CHECK_OK(chat_config_add_listen(config, NULL, 0));
  CHECK_OK(chat_config_add_listen(config, "x", 0));
  CHECK_OK(chat_config_add_origin(config, NULL, 0));
  CHECK_OK(chat_config_add_origin(config, "x", 0));
  CHECK_OK(chat_config_set_base_path(config, "x", 1));
  CHECK_OK(chat_config_set_base_path(config, NULL, 0));
  int dropped = 0;
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT,
               chat_config_set_event_handler(config, NULL, &dropped, drop_counted));
  CHECK(dropped == 1);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_config_set_event_handler(config, NULL, NULL, NULL));

  const uint32_t numbers[] = {0, 1, UINT32_MAX};
  for (size_t i = 0; i < 3; i++) {
    uint32_t n = numbers[i];
    CHECK_OK(chat_config_set_workers(config, n));
    CHECK_OK(chat_config_set_busy_poll(config, n));
    CHECK_OK(chat_config_set_max_connections(config, n));
    CHECK_OK(chat_config_set_max_handshakes(config, n));
    CHECK_OK(chat_config_set_max_rooms_per_client(config, n));
    CHECK_OK(chat_config_set_handshake_timeout(config, n));
    CHECK_OK(chat_config_set_handshake_size(config, n ? SIZE_MAX : 0));
    CHECK_OK(chat_config_set_max_message_size(config, n ? SIZE_MAX : 0));
    CHECK_OK(chat_config_set_outbox_size(config, n ? SIZE_MAX : 0));
    CHECK_OK(chat_config_set_outbox_age(config, n));
    CHECK_OK(chat_config_set_ping_interval(config, n));
    CHECK_OK(chat_config_set_ping_timeout(config, n));
    CHECK_OK(chat_config_set_tcp_keepalive(config, n));
    CHECK_OK(chat_config_set_history_messages(config, n));
    CHECK_OK(chat_config_set_history_size(config, n ? SIZE_MAX : 0));
    CHECK_OK(chat_config_set_history_age(config, n ? UINT64_MAX : 0));
    CHECK_OK(chat_config_set_history_total(config, n ? SIZE_MAX : 0));
    CHECK_OK(chat_config_set_publish_timeout(config, n));
    CHECK_OK(chat_config_set_admission_timeout(config, n));
    CHECK_OK(chat_config_set_review_timeout(config, n));
    CHECK_OK(chat_config_set_event_queue(config, n));
    CHECK_OK(chat_config_set_signal_rate(config, n));
  }
  chat_server *server = NULL;
  chat_error *error = NULL;
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_start(config, &server, NULL));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_start(config, &server, &error));
  CHECK(strstr(chat_error_message(error), "listen") && strstr(chat_error_message(error), "origin"));
  chat_error_free(error);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_start(config, NULL, NULL));
  error = NULL;
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_start(config, NULL, &error));
  CHECK(chat_error_status(error) == CHAT_ERR_NULL_ARGUMENT);
  chat_error_free(error);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_start(NULL, &server, NULL));
  CHECK(server == NULL);
  chat_config_free(config);
}

static void no_objects(void) {
  CHECK(chat_error_status(NULL) == CHAT_ERR_NULL_ARGUMENT);
  CHECK(chat_error_os_code(NULL) == 0);
  CHECK(strcmp(chat_error_message(NULL), "") == 0);
  chat_error_free(NULL);
  CHECK(chat_events_len(NULL) == 0 && chat_events_get(NULL, 0) == NULL);
  chat_events_free(NULL);
  CHECK(chat_members_len(NULL) == 0 && chat_members_get(NULL, 0) == NULL);
  chat_members_free(NULL);
  const char *text = NULL, *name = NULL;
  size_t len = 0, name_len = 0;
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_event_header(NULL, TEXT("host"), &text, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_event_header_at(NULL, 0, &name, &name_len, &text, &len));

  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_event_query(NULL, TEXT("a"), &text, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_event_cookie(NULL, TEXT("a"), &text, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_event_bearer(NULL, &text, &len));

  char addr[CHAT_ADDR_SIZE];
  chat_stats stats;
  chat_events *events = NULL;
#define NO_SERVER(call) CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, call)
  NO_SERVER(chat_server_local_addr(NULL, 0, addr, sizeof addr, &len));
  NO_SERVER(chat_server_broadcast(NULL, CHAT_TEXT, DATA("x")));
  NO_SERVER(chat_server_publish(NULL, TEXT("r"), CHAT_TEXT, DATA("x"), NULL));
  NO_SERVER(chat_server_position(NULL, TEXT("r"), &(chat_position){0, 0}));
  chat_history *page = NULL;
  NO_SERVER(chat_server_history(NULL, TEXT("r"), CHAT_RANGE_LAST, NULL, 1, &page));
  NO_SERVER(chat_server_trim(NULL, TEXT("r"), &(chat_position){1, 1}));
  NO_SERVER(chat_server_forget(NULL, TEXT("r")));
  CHECK(chat_history_len(NULL) == 0 && chat_history_get(NULL, 0) == NULL);
  CHECK(chat_history_has_more(NULL) == 0 && chat_history_gap(NULL) == CHAT_GAP_NONE);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_history_position(NULL, &(chat_position){0, 0}));
  chat_history_free(NULL);
  NO_SERVER(chat_server_publish_batch(NULL, NULL, sizeof(chat_message), 0, NULL, NULL));
  NO_SERVER(chat_server_publish_with(NULL, TEXT("r"), CHAT_TEXT, DATA("x"), NULL, NULL, NULL));
  NO_SERVER(chat_server_publish_to(NULL, NULL, 0, CHAT_TEXT, DATA("x"), NULL, NULL, NULL, NULL));
  NO_SERVER(chat_server_send(NULL, 1, CHAT_TEXT, DATA("x")));
  NO_SERVER(chat_server_signal(NULL, TEXT("r"), CHAT_TEXT, DATA("x")));
  NO_SERVER(chat_server_signal_client(NULL, 1, CHAT_TEXT, DATA("x")));
  NO_SERVER(chat_server_disconnect(NULL, 1, 1000, NULL, 0));
  NO_SERVER(chat_server_accept(NULL, 1));
  NO_SERVER(chat_server_accept_with_past(NULL, 1, 1));
  NO_SERVER(chat_server_allow(NULL, 1));
  NO_SERVER(chat_server_allow_changed(NULL, 1, CHAT_TEXT, DATA("x")));
  NO_SERVER(chat_server_refuse(NULL, 1));
  NO_SERVER(chat_server_refuse_with(NULL, 1, TEXT("why")));
  NO_SERVER(chat_server_reject(NULL, 1, 403, NULL, 0, NULL, 0));
  NO_SERVER(chat_server_join(NULL, 1, TEXT("r")));
  NO_SERVER(chat_server_join_with_past(NULL, 1, TEXT("r"), 1, NULL));
  NO_SERVER(chat_server_leave(NULL, 1, TEXT("r")));
  NO_SERVER(chat_server_set_echo(NULL, 1, 1));
  NO_SERVER(chat_server_set_identity(NULL, 1, TEXT("i")));
  NO_SERVER(chat_server_set_name(NULL, 1, TEXT("n")));
  NO_SERVER(chat_server_set_subprotocol(NULL, 1, TEXT("n")));
  chat_client_id client;
  size_t count = 77;
  NO_SERVER(chat_server_send_to_identity(NULL, TEXT("i"), CHAT_TEXT, DATA("x"), &count));
  NO_SERVER(chat_server_disconnect_identity(NULL, TEXT("i"), 1000, NULL, 0, &count));
  NO_SERVER(chat_server_join_identity(NULL, TEXT("i"), TEXT("r"), &count));
  NO_SERVER(chat_server_leave_identity(NULL, TEXT("i"), TEXT("r"), &count));
  CHECK(count == 77);
  NO_SERVER(chat_server_identity_clients(NULL, TEXT("i"), &client, 1, &count));
  CHECK(count == 0);
  chat_members *members = NULL;
  NO_SERVER(chat_server_members(NULL, TEXT("r"), &members));
  NO_SERVER(chat_server_member_count(NULL, TEXT("r"), &len));
  NO_SERVER(chat_server_set_members(NULL, 1, 1));
  NO_SERVER(chat_server_stats(NULL, &stats, sizeof stats));
  NO_SERVER(chat_server_next_events(NULL, 0, &events));
  NO_SERVER(chat_server_request_stop(NULL));
  NO_SERVER(chat_server_wait(NULL, 0));
  NO_SERVER(chat_server_stop(NULL, 0));
  chat_server_free(NULL);
}

static void messages(chat_server *server) {
  const uint8_t byte = 'x';
#define MESSAGES(status, kind, data, len)                                                     \
  do {                                                                                        \
    CHECK_STATUS(status, chat_server_broadcast(server, kind, data, len));                     \
    CHECK_STATUS(status, chat_server_publish(server, TEXT("room"), kind, data, len, NULL));   \
    CHECK_STATUS(status, chat_server_signal(server, TEXT("room"), kind, data, len));          \
  } while (0)
  MESSAGES(CHAT_OK, CHAT_TEXT, NULL, 0);
  MESSAGES(CHAT_OK, CHAT_BINARY, &byte, 0);
  MESSAGES(CHAT_OK, CHAT_BINARY, (const uint8_t *)BAD_UTF8, 2);
  MESSAGES(CHAT_ERR_INVALID_UTF8, CHAT_TEXT, (const uint8_t *)BAD_UTF8, 2);
  MESSAGES(CHAT_ERR_INVALID_ARGUMENT, 0, &byte, 1);
  MESSAGES(CHAT_ERR_INVALID_ARGUMENT, 3, &byte, 1);
  MESSAGES(CHAT_ERR_INVALID_ARGUMENT, UINT32_MAX, &byte, 1);
  MESSAGES(CHAT_ERR_NULL_ARGUMENT, CHAT_TEXT, NULL, 1);
  MESSAGES(CHAT_ERR_TOO_LARGE, CHAT_TEXT, &byte, HUGE_LEN);
  MESSAGES(CHAT_ERR_TOO_LARGE, CHAT_TEXT, &byte, WRONG_LEN);

  chat_position position = {77, 77};
#define ROOM(status, ...)                                                                     \
  CHECK_STATUS(status, chat_server_publish(server, __VA_ARGS__, CHAT_TEXT, &byte, 1, &position)); \
  CHECK_STATUS(status, chat_server_signal(server, __VA_ARGS__, CHAT_TEXT, &byte, 1))
  ROOM(CHAT_ERR_INVALID_ARGUMENT, NULL, 0);
  ROOM(CHAT_ERR_INVALID_ARGUMENT, "room", 0);
  ROOM(CHAT_ERR_NULL_ARGUMENT, NULL, 1);
  ROOM(CHAT_ERR_INVALID_ARGUMENT, TEXT("a\nb"));
  ROOM(CHAT_ERR_INVALID_ARGUMENT, TEXT("a\0b"));
  ROOM(CHAT_ERR_INVALID_UTF8, TEXT(BAD_UTF8));
  char name[129];
  memset(name, 'r', sizeof name);
  ROOM(CHAT_ERR_INVALID_ARGUMENT, name, 129);
  ROOM(CHAT_ERR_TOO_LARGE, name, HUGE_LEN);
  ROOM(CHAT_ERR_TOO_LARGE, name, WRONG_LEN);
  CHECK(position.offset == 77);
  ROOM(CHAT_OK, name, 128);
  CHECK(position.offset == 1 && position.epoch != 0);
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_position(server, TEXT(".."), &position));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_server_position(server, TEXT(BAD_UTF8), &position));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_position(server, TEXT("room"), NULL));
  chat_position stands = {0, 0};
  CHECK_OK(chat_server_position(server, name, 128, &stands));
  CHECK(stands.epoch == position.epoch && stands.offset == 1);
}

static void histories(chat_server *server) {
  const chat_position none = {0, 0}, odd = {7, 7}, most = {UINT64_MAX, UINT64_MAX};
  chat_position last = none, at = none;
  for (int i = 0; i < 3; i++) {
    CHECK_OK(chat_server_publish(server, TEXT("past"), CHAT_TEXT, DATA("x"), &last));
  }
  chat_history *page = NULL;
#define PAGE(status, ...) CHECK_STATUS(status, chat_server_history(server, __VA_ARGS__, &page))
  PAGE(CHAT_ERR_INVALID_ARGUMENT, NULL, 0, CHAT_RANGE_LAST, NULL, 1);
  PAGE(CHAT_ERR_NULL_ARGUMENT, NULL, 1, CHAT_RANGE_LAST, NULL, 1);
  PAGE(CHAT_ERR_INVALID_UTF8, TEXT(BAD_UTF8), CHAT_RANGE_LAST, NULL, 1);
  PAGE(CHAT_ERR_TOO_LARGE, "past", HUGE_LEN, CHAT_RANGE_LAST, NULL, 1);
  PAGE(CHAT_ERR_TOO_LARGE, "past", WRONG_LEN, CHAT_RANGE_LAST, NULL, 1);
  PAGE(CHAT_ERR_INVALID_ARGUMENT, TEXT("past"), 3, &last, 1);
  PAGE(CHAT_ERR_INVALID_ARGUMENT, TEXT("past"), UINT32_MAX, NULL, 1);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT,
               chat_server_history(server, TEXT("past"), CHAT_RANGE_LAST, NULL, 1, NULL));
  CHECK(page == NULL);
  const struct { uint32_t range; const chat_position *position; size_t limit, len; uint32_t gap; } good[] = {
    {CHAT_RANGE_LAST, NULL, SIZE_MAX, 3, CHAT_GAP_NONE}, {CHAT_RANGE_LAST, &odd, 2, 2, CHAT_GAP_NONE},
    {CHAT_RANGE_AFTER, NULL, 2, 2, CHAT_GAP_NONE},       {CHAT_RANGE_AFTER, &none, 9, 3, CHAT_GAP_NONE},
    {CHAT_RANGE_AFTER, &odd, 9, 3, CHAT_GAP_EPOCH},      {CHAT_RANGE_AFTER, &most, 9, 3, CHAT_GAP_EPOCH},
    {CHAT_RANGE_AFTER, &last, 9, 0, CHAT_GAP_NONE},      {CHAT_RANGE_BEFORE, &last, 9, 2, CHAT_GAP_NONE},
    {CHAT_RANGE_BEFORE, &odd, 9, 0, CHAT_GAP_EPOCH},     {CHAT_RANGE_BEFORE, NULL, 9, 0, CHAT_GAP_NONE},
    {CHAT_RANGE_LAST, NULL, 0, 0, CHAT_GAP_NONE},
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    PAGE(CHAT_OK, TEXT("past"), good[i].range, good[i].position, good[i].limit);
    CHECK(chat_history_len(page) == good[i].len && chat_history_gap(page) == good[i].gap);
    CHECK(chat_history_get(page, good[i].len) == NULL && chat_history_get(page, SIZE_MAX) == NULL);
    for (size_t at_ = 0; at_ < good[i].len; at_++) {
      const chat_stored_message *message = chat_history_get(page, at_);
      CHECK(text_is(message->data, message->data_len, "x") && message->kind == CHAT_TEXT);
      CHECK(message->client == 0 && message->identity_len == 0 && message->name_len == 0);
      CHECK(message->identity && message->name && message->key && message->key_len == 0);
    }
    CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_history_position(page, NULL));
    CHECK_OK(chat_history_position(page, &at));
    CHECK(at.epoch == last.epoch && at.offset == 3);
    chat_history_free(page);
    page = NULL;
  }
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_trim(server, TEXT("past"), NULL));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_trim(server, TEXT("past"), &none));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_trim(server, TEXT("past"), &odd));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_trim(server, TEXT("past"), &(chat_position){last.epoch, 4}));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_trim(server, TEXT("."), &last));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_trim(server, "past", WRONG_LEN, &last));
  CHECK_OK(chat_server_trim(server, TEXT("past"), &(chat_position){last.epoch, 2}));
  PAGE(CHAT_OK, TEXT("past"), CHAT_RANGE_AFTER, &(chat_position){last.epoch, 1}, 9);
  CHECK(chat_history_len(page) == 1 && chat_history_gap(page) == CHAT_GAP_TRIMMED);
  /* What it holds lasts longer than the room's history. */
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_forget(server, NULL, 0));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_server_forget(server, TEXT(BAD_UTF8)));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_forget(server, "past", HUGE_LEN));
  CHECK_OK(chat_server_forget(server, TEXT("past")));
  CHECK(text_is(chat_history_get(page, 0)->data, 1, "x"));
  chat_history_free(page);
  CHECK_OK(chat_server_position(server, TEXT("past"), &at));
  CHECK(at.epoch != last.epoch && at.offset == 0);
}

static void positions(void) {
  const chat_position most = {UINT64_MAX, UINT64_MAX}, none = {0, 0};
  chat_position position = {7, 7};
  char text[CHAT_POSITION_SIZE];
  size_t len = 77;
  CHECK_OK(chat_position_format(&most, text, sizeof text, &len));
  CHECK(strcmp(text, "3w5e11264sgsf-18446744073709551615") == 0 && len == strlen(text));
  CHECK_OK(chat_position_parse(text, len, &position));
  CHECK(position.epoch == UINT64_MAX && position.offset == UINT64_MAX);
  CHECK_OK(chat_position_format(&none, text, sizeof text, NULL));
  CHECK(strcmp(text, "0-0") == 0);
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_position_format(&none, text, 3, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_position_format(&none, NULL, 40, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_position_format(NULL, text, sizeof text, &len));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_position_parse("1-1", 3, NULL));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_position_parse(NULL, 3, &position));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_position_parse(NULL, 0, &position));
  const char *bad[] = {"", "1", "A-1", "1-", "-1", "01-1", "1-1 ", "1-18446744073709551616"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_position_parse(bad[i], strlen(bad[i]), &position));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_position_parse(TEXT(BAD_UTF8), &position));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_position_parse("1-1", HUGE_LEN, &position));
  CHECK(position.epoch == UINT64_MAX && len == strlen("3w5e11264sgsf-18446744073709551615"));
}

static void publications(chat_server *server) {
  const chat_publish_options none = {.size = sizeof none};
  chat_publish_options options;
  chat_position position;
  uint32_t is_duplicate;
#define WITH(status, field_, value_)                                                          \
  do {                                                                                        \
    options = none;                                                                           \
    options.field_ = value_;                                                                  \
    position = (chat_position){77, 77};                                                       \
    is_duplicate = 77;                                                                        \
    CHECK_STATUS(status, chat_server_publish_with(server, TEXT("with"), CHAT_TEXT, DATA("x"), \
                                                  &options, &position, &is_duplicate));       \
    CHECK((position.epoch == 77) == (status != CHAT_OK));                                     \
    CHECK(is_duplicate == (status == CHAT_OK ? 0 : 77));                                      \
  } while (0)
  WITH(CHAT_OK, size, sizeof options);
  WITH(CHAT_OK, without_history, 1);
  WITH(CHAT_ERR_INVALID_ARGUMENT, size, 0);
  WITH(CHAT_ERR_INVALID_ARGUMENT, size, sizeof options - 8);
  WITH(CHAT_ERR_INVALID_ARGUMENT, size, sizeof options + 1);
  WITH(CHAT_ERR_INVALID_ARGUMENT, without_history, 2);
  WITH(CHAT_ERR_INVALID_ARGUMENT, reserved, 1);
  WITH(CHAT_ERR_NULL_ARGUMENT, identity_len, 1);
  WITH(CHAT_ERR_NULL_ARGUMENT, name_len, 1);
  WITH(CHAT_ERR_NULL_ARGUMENT, key_len, 1);
  WITH(CHAT_OK, identity, "");
  WITH(CHAT_ERR_INVALID_ARGUMENT, name, "");
  WITH(CHAT_ERR_INVALID_ARGUMENT, key, "");
#define WITH_TEXT(status, field_, length_, value_)                                            \
  do {                                                                                        \
    options = none;                                                                           \
    options.field_ = value_;                                                                  \
    options.field_##_len = length_;                                                           \
    CHECK_STATUS(status, chat_server_publish_with(server, TEXT("with"), CHAT_TEXT, DATA("x"), \
                                                  &options, NULL, NULL));                     \
  } while (0)
  static char long_text[300];
  memset(long_text, 'k', sizeof long_text);
  WITH_TEXT(CHAT_OK, key, 64, long_text);
  WITH_TEXT(CHAT_ERR_INVALID_ARGUMENT, key, 65, long_text);
  WITH_TEXT(CHAT_ERR_INVALID_ARGUMENT, key, 2, "a\n");
  WITH_TEXT(CHAT_ERR_INVALID_UTF8, key, 2, BAD_UTF8);
  WITH_TEXT(CHAT_ERR_TOO_LARGE, key, HUGE_LEN, long_text);
  WITH_TEXT(CHAT_OK, name, 128, long_text);
  WITH_TEXT(CHAT_ERR_INVALID_ARGUMENT, name, 129, long_text);
  WITH_TEXT(CHAT_ERR_INVALID_ARGUMENT, name, 1, "\n");
  WITH_TEXT(CHAT_OK, identity, 256, long_text);
  WITH_TEXT(CHAT_ERR_TOO_LARGE, identity, 257, long_text);
  WITH_TEXT(CHAT_ERR_INVALID_UTF8, identity, 2, BAD_UTF8);
  WITH_TEXT(CHAT_ERR_TOO_LARGE, identity, WRONG_LEN, long_text);
  CHECK_OK(chat_server_publish_with(server, TEXT("with"), CHAT_TEXT, DATA("x"), NULL, NULL, NULL));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT,
               chat_server_publish_with(server, TEXT("with"), 0, DATA("x"), NULL, NULL, NULL));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT,
               chat_server_publish_with(server, NULL, 1, CHAT_TEXT, DATA("x"), NULL, NULL, NULL));
  const chat_publish_options *odd = (const chat_publish_options *)((const char *)&none + 1);
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT,
               chat_server_publish_with(server, TEXT("with"), CHAT_TEXT, DATA("x"), odd, NULL, NULL));
  /* A struct of a later header. */
  struct { chat_publish_options options; uint64_t more[3]; } wide = {none, {1, 2, 3}};
  wide.options.size = sizeof wide;
  CHECK_OK(chat_server_publish_with(server, TEXT("with"), CHAT_TEXT, DATA("x"), &wide.options, NULL,
                                    NULL));

  const chat_room_name two[2] = {{"to", 2}, {"too", 3}};
  chat_position positions[2];
  uint32_t duplicates[2];
  size_t published;
#define TO(status, count_, ...)                                                               \
  do {                                                                                        \
    published = 77;                                                                           \
    positions[0] = positions[1] = (chat_position){77, 77};                                    \
    duplicates[0] = duplicates[1] = 77;                                                       \
    CHECK_STATUS(status, chat_server_publish_to(server, __VA_ARGS__, CHAT_TEXT, DATA("x"), NULL, \
                                                &published, positions, duplicates));          \
    CHECK(published == (count_));                                                             \
    for (size_t at = 0; at < 2; at++) {                                                       \
      CHECK((positions[at].epoch != 77) == (at < published));                                 \
      CHECK(duplicates[at] == (at < published ? 0 : 77));                                     \
    }                                                                                         \
  } while (0)
  TO(CHAT_OK, 2, two, 2);
  TO(CHAT_OK, 1, two, 1);
  TO(CHAT_OK, 0, two, 0);
  TO(CHAT_OK, 0, NULL, 0);
  TO(CHAT_ERR_NULL_ARGUMENT, 0, NULL, 1);
  TO(CHAT_ERR_TOO_LARGE, 0, two, SIZE_MAX);
  TO(CHAT_ERR_TOO_LARGE, 0, two, SIZE_MAX / sizeof *two);
  TO(CHAT_ERR_INVALID_ARGUMENT, 0, (const chat_room_name *)((const char *)two + 1), 1);
  chat_room_name wrong[2] = {two[0], {BAD_UTF8, 2}};
  TO(CHAT_ERR_INVALID_UTF8, 0, wrong, 2);
  wrong[1] = (chat_room_name){NULL, 1};
  TO(CHAT_ERR_NULL_ARGUMENT, 0, wrong, 2);
  wrong[1] = (chat_room_name){"x", HUGE_LEN};
  TO(CHAT_ERR_TOO_LARGE, 0, wrong, 2);
  wrong[1] = (chat_room_name){"..", 2};
  TO(CHAT_ERR_INVALID_ARGUMENT, 0, wrong, 2);
  CHECK_OK(chat_server_publish_to(server, two, 2, CHAT_TEXT, DATA("x"), NULL, NULL, NULL, NULL));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT,
               chat_server_publish_to(server, two, 2, CHAT_TEXT, DATA("x"), NULL, NULL,
                                      (chat_position *)((char *)positions + 1), NULL));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT,
               chat_server_publish_to(server, two, 2, CHAT_TEXT, DATA("x"), NULL, NULL, NULL,
                                      (uint32_t *)((char *)duplicates + 1)));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_refuse_with(server, 1, long_text, 257));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_server_refuse_with(server, 1, TEXT(BAD_UTF8)));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_refuse_with(server, 1, NULL, 1));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_refuse_with(server, 1, long_text, 256));
}

static void batches(chat_server *server) {
  const uint8_t byte = 'x';
  const chat_message good = {"batch", 5, &byte, 1, CHAT_TEXT, 0};
  chat_message two[2] = {good, good};
  const size_t stride = sizeof *two;
  size_t published;
  chat_position positions[2];
#define BATCH(status, count_, ...)                                                            \
  do {                                                                                        \
    published = 77;                                                                           \
    positions[0] = positions[1] = (chat_position){77, 77};                                    \
    CHECK_STATUS(status, chat_server_publish_batch(server, __VA_ARGS__, &published, positions)); \
    CHECK(published == (count_));                                                             \
    for (size_t at = 0; at < 2; at++) {                                                       \
      CHECK((positions[at].epoch != 77) == (at < published));                                 \
      CHECK(at == 0 || published < 2 || positions[1].offset == positions[0].offset + 1);      \
    }                                                                                         \
  } while (0)
  BATCH(CHAT_OK, 2, two, stride, 2);
  BATCH(CHAT_OK, 1, two, stride, 1);
  BATCH(CHAT_OK, 0, two, stride, 0);
  BATCH(CHAT_OK, 0, NULL, stride, 0);
  BATCH(CHAT_ERR_NULL_ARGUMENT, 0, NULL, stride, 1);
  BATCH(CHAT_ERR_INVALID_ARGUMENT, 0, two, stride - 1, 1);
  BATCH(CHAT_ERR_INVALID_ARGUMENT, 0, two, 0, 2);
  BATCH(CHAT_ERR_TOO_LARGE, 0, two, stride, SIZE_MAX);
  BATCH(CHAT_ERR_TOO_LARGE, 0, two, SIZE_MAX / 8 * 8, 2);
  BATCH(CHAT_ERR_INVALID_ARGUMENT, 0, (const chat_message *)((const char *)two + 1), stride, 1);
  CHECK_OK(chat_server_publish_batch(server, two, stride, 2, NULL, NULL));
  /* A struct of a later header, and of a host that has them in structs of its own. */
  struct { chat_message message; uint64_t more[3]; } wide[2] = {{good, {0}}, {good, {0}}};
  BATCH(CHAT_OK, 2, &wide[0].message, sizeof *wide, 2);
#define SECOND(status, field, value)                                                          \
  do {                                                                                        \
    two[1] = good;                                                                            \
    two[1].field = value;                                                                     \
    BATCH(status, 0, two, stride, 2);                                                         \
  } while (0)
  SECOND(CHAT_ERR_NULL_ARGUMENT, room, NULL);
  SECOND(CHAT_ERR_INVALID_ARGUMENT, room_len, 0);
  SECOND(CHAT_ERR_INVALID_UTF8, room, BAD_UTF8 "xxx");
  SECOND(CHAT_ERR_TOO_LARGE, room_len, HUGE_LEN);
  SECOND(CHAT_ERR_NULL_ARGUMENT, data, NULL);
  SECOND(CHAT_ERR_TOO_LARGE, data_len, HUGE_LEN);
  SECOND(CHAT_ERR_TOO_LARGE, data_len, WRONG_LEN);
  SECOND(CHAT_ERR_INVALID_UTF8, data, (const uint8_t *)BAD_UTF8);
  SECOND(CHAT_ERR_TOO_LARGE, room_len, WRONG_LEN);
  SECOND(CHAT_ERR_INVALID_ARGUMENT, kind, 0);
  SECOND(CHAT_ERR_INVALID_ARGUMENT, kind, 3);
  SECOND(CHAT_ERR_INVALID_ARGUMENT, reserved, 1);
  SECOND(CHAT_ERR_INVALID_ARGUMENT, kind, UINT32_MAX);
  chat_position position;
  CHECK_OK(chat_server_publish(server, TEXT("batch"), CHAT_TEXT, &byte, 1, &position));
  CHECK(position.offset == 2 + 1 + 2 + 2 + 1);
}

static void clients(chat_server *server) {
  const chat_client_id nobody[] = {0, 1, UINT64_MAX};
  for (size_t i = 0; i < 3; i++) {
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_send(server, nobody[i], CHAT_TEXT, DATA("x")));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND,
                 chat_server_signal_client(server, nobody[i], CHAT_TEXT, DATA("x")));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_disconnect(server, nobody[i], 1000, NULL, 0));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_accept(server, nobody[i]));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_allow(server, nobody[i]));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_allow_changed(server, nobody[i], CHAT_TEXT, DATA("x")));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_refuse(server, nobody[i]));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_reject(server, nobody[i], 403, NULL, 0, NULL, 0));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_join(server, nobody[i], TEXT("r")));
    const uint64_t pasts[] = {0, 1, UINT64_MAX - 1, CHAT_PAST_ALL};
    const chat_position none = {0, 0}, half = {0, 1}, most = {UINT64_MAX, UINT64_MAX};
    const chat_position *sinces[] = {NULL, &none, &half, &most};
    for (size_t at = 0; at < 4; at++) {
      CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_accept_with_past(server, nobody[i], pasts[at]));
      CHECK_STATUS(CHAT_ERR_NOT_FOUND,
                   chat_server_join_with_past(server, nobody[i], TEXT("r"), pasts[at], sinces[at]));
    }
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_leave(server, nobody[i], TEXT("r")));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_set_echo(server, nobody[i], 0));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_set_identity(server, nobody[i], NULL, 0));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_set_name(server, nobody[i], NULL, 0));
    CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_set_subprotocol(server, nobody[i], NULL, 0));
  }
  /* The message is judged before it is looked whom it is for. */
  const struct { chat_status status; uint32_t kind; const uint8_t *data; size_t len; } said[] = {
    {CHAT_ERR_NOT_FOUND, CHAT_TEXT, NULL, 0},
    {CHAT_ERR_NOT_FOUND, CHAT_BINARY, (const uint8_t *)"x", 0},
    {CHAT_ERR_NOT_FOUND, CHAT_BINARY, DATA(BAD_UTF8)},
    {CHAT_ERR_INVALID_UTF8, CHAT_TEXT, DATA(BAD_UTF8)},
    {CHAT_ERR_NULL_ARGUMENT, CHAT_TEXT, NULL, 1},
    {CHAT_ERR_TOO_LARGE, CHAT_TEXT, (const uint8_t *)"", HUGE_LEN},
    {CHAT_ERR_TOO_LARGE, CHAT_BINARY, (const uint8_t *)"", WRONG_LEN},
    {CHAT_ERR_INVALID_ARGUMENT, 0, DATA("x")},
    {CHAT_ERR_INVALID_ARGUMENT, 3, DATA("x")},
    {CHAT_ERR_INVALID_ARGUMENT, UINT32_MAX, DATA("x")},
  };
  for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
    CHECK_STATUS(said[i].status, chat_server_send(server, 1, said[i].kind, said[i].data, said[i].len));
    CHECK_STATUS(said[i].status,
                 chat_server_allow_changed(server, 1, said[i].kind, said[i].data, said[i].len));
  }
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_set_echo(server, 1, 2));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_reject(server, 1, 399, NULL, 0, NULL, 0));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_reject(server, 1, 205, NULL, 0, NULL, 0));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_reject(server, 1, 204, NULL, 0, NULL, 0));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_reject(server, 1, 403, NULL, 0, NULL, 1));
  chat_header headers[65] = {{"a", 1, "b", 1}};
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_reject(server, 1, 403, NULL, 0, headers, 2));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_reject(server, 1, 403, NULL, 0, headers, 65));
  headers[0].value = "b\r\nc: d", headers[0].value_len = 7;
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_reject(server, 1, 403, NULL, 0, headers, 1));
  headers[0].value = NULL;
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_reject(server, 1, 403, NULL, 0, headers, 1));
  headers[0].value = "\xff", headers[0].value_len = 1;
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_server_reject(server, 1, 403, NULL, 0, headers, 1));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_reject(server, 1, 600, NULL, 0, NULL, 0));
  char longer[1025];
  memset(longer, 'x', sizeof longer);
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_reject(server, 1, 403, longer, sizeof longer, NULL, 0));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_set_identity(server, 1, longer, 257));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_set_name(server, 1, longer, 128));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_set_name(server, 1, longer, 129));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_set_name(server, 1, TEXT("a\nb")));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_set_name(server, 1, TEXT("a\0b")));
  const struct { chat_status status; const char *text; size_t len; } bad[] = {
    {CHAT_ERR_NULL_ARGUMENT, NULL, 1},       {CHAT_ERR_INVALID_UTF8, TEXT(BAD_UTF8)},
    {CHAT_ERR_TOO_LARGE, "", HUGE_LEN},      {CHAT_ERR_TOO_LARGE, "", WRONG_LEN},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_STATUS(bad[i].status, chat_server_reject(server, 1, 403, bad[i].text, bad[i].len, NULL, 0));
    CHECK_STATUS(bad[i].status, chat_server_join(server, 1, bad[i].text, bad[i].len));
    CHECK_STATUS(bad[i].status, chat_server_join_with_past(server, 1, bad[i].text, bad[i].len, 1, NULL));
    CHECK_STATUS(bad[i].status, chat_server_leave(server, 1, bad[i].text, bad[i].len));
    CHECK_STATUS(bad[i].status, chat_server_set_identity(server, 1, bad[i].text, bad[i].len));
    CHECK_STATUS(bad[i].status, chat_server_set_name(server, 1, bad[i].text, bad[i].len));
    CHECK_STATUS(bad[i].status, chat_server_set_subprotocol(server, 1, bad[i].text, bad[i].len));
  }
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_join(server, 1, NULL, 0));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_join_with_past(server, 1, NULL, 0, 1, NULL));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_leave(server, 1, TEXT("a\nb")));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_disconnect(server, 1, 1000, NULL, 1));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8, chat_server_disconnect(server, 1, 1000, TEXT(BAD_UTF8)));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_disconnect(server, 1, 1000, "", HUGE_LEN));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_disconnect(server, 1, 1000, "", WRONG_LEN));
  const uint16_t codes[] = {0, 999, 1004, 1005, 1006, 1015, 2999, 5000, UINT16_MAX};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_disconnect(server, 1, codes[i], NULL, 0));
  }
}

/* Calls by an identity that nobody has. */
static void identities(chat_server *server) {
  size_t reached = 77;
  chat_client_id client = 77;
  CHECK_OK(chat_server_send_to_identity(server, TEXT("i"), CHAT_TEXT, DATA("x"), &reached));
  CHECK(reached == 0);
  CHECK_OK(chat_server_send_to_identity(server, NULL, 0, CHAT_TEXT, NULL, 0, NULL));
  CHECK_OK(chat_server_disconnect_identity(server, TEXT("i"), 1000, NULL, 0, NULL));
  CHECK_OK(chat_server_join_identity(server, TEXT("i"), TEXT("r"), NULL));
  CHECK_OK(chat_server_leave_identity(server, TEXT("i"), TEXT("r"), NULL));
  CHECK_OK(chat_server_identity_clients(server, TEXT("i"), &client, 1, &reached));
  CHECK_OK(chat_server_identity_clients(server, TEXT("i"), NULL, 0, &reached));
  CHECK(reached == 0 && client == 77);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_identity_clients(server, TEXT("i"), &client, 1, NULL));
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_identity_clients(server, TEXT("i"), NULL, 1, &reached));
  chat_client_id *odd = (chat_client_id *)(void *)((char *)&client + 1);
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_identity_clients(server, TEXT("i"), odd, 0, &reached));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT,
               chat_server_send_to_identity(server, TEXT("i"), 0, DATA("x"), &reached));
  CHECK_STATUS(CHAT_ERR_INVALID_UTF8,
               chat_server_send_to_identity(server, TEXT("i"), CHAT_TEXT, DATA(BAD_UTF8), &reached));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT,
               chat_server_disconnect_identity(server, TEXT("i"), 1006, NULL, 0, &reached));
  char longer[257];
  memset(longer, 'x', sizeof longer);
  const struct { chat_status status; const char *text; size_t len; } bad[] = {
    {CHAT_ERR_NULL_ARGUMENT, NULL, 1},  {CHAT_ERR_INVALID_UTF8, TEXT(BAD_UTF8)}, {CHAT_ERR_TOO_LARGE, "", HUGE_LEN},
    {CHAT_ERR_TOO_LARGE, "", WRONG_LEN}, {CHAT_ERR_TOO_LARGE, longer, sizeof longer},
  };
  reached = 77;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    const char *text = bad[i].text;
    size_t len = bad[i].len;
#define BAD(call) CHECK_STATUS(bad[i].status, call)
    BAD(chat_server_send_to_identity(server, text, len, CHAT_TEXT, DATA("x"), &reached));
    BAD(chat_server_disconnect_identity(server, text, len, 1000, NULL, 0, &reached));
    BAD(chat_server_join_identity(server, text, len, TEXT("r"), &reached));
    BAD(chat_server_leave_identity(server, text, len, TEXT("r"), &reached));
    CHECK(reached == 77);
    BAD(chat_server_identity_clients(server, text, len, &client, 1, &reached));
    CHECK(reached == 0);
    reached = 77;
    BAD(chat_server_disconnect_identity(server, TEXT("i"), 1000, text, len, &reached));
    if (text == longer) continue;
    BAD(chat_server_join_identity(server, TEXT("i"), text, len, &reached));
    BAD(chat_server_leave_identity(server, TEXT("i"), text, len, &reached));
  }
}

static void outputs(chat_server *server) {
  char addr[CHAT_ADDR_SIZE];
  size_t len = 0;
  CHECK_OK(chat_server_local_addr(server, 0, addr, SIZE_MAX, &len));
  char small[CHAT_ADDR_SIZE] = "untouched";
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_local_addr(server, 0, small, len, NULL));
  CHECK_STATUS(CHAT_ERR_TOO_LARGE, chat_server_local_addr(server, 0, small, 0, NULL));
  CHECK(strcmp(small, "untouched") == 0);
  CHECK_OK(chat_server_local_addr(server, 0, small, len + 1, NULL));
  CHECK(strcmp(small, addr) == 0);
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_local_addr(server, 0, NULL, 64, &len));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_local_addr(server, SIZE_MAX, addr, 64, &len));

  /* The counters are filled as far as the host's struct goes, and zeroed beyond the library's. */
  struct { chat_stats stats; uint64_t later[2]; } longer;
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_stats(server, NULL, sizeof longer.stats));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_stats(server, &longer.stats, 0));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_stats(server, &longer.stats, 4097));
  CHECK_STATUS(CHAT_ERR_INVALID_ARGUMENT, chat_server_stats(server, &longer.stats, SIZE_MAX));
  memset(&longer, 0xff, sizeof longer);
  CHECK_OK(chat_server_stats(server, &longer.stats, 8));
  CHECK(longer.stats.connections == 0 && longer.stats.handshakes == UINT64_MAX);
  CHECK_OK(chat_server_stats(server, &longer.stats, sizeof longer));
  CHECK(longer.stats.messages_published > 0 && longer.stats.events_dropped == 0);
  CHECK(longer.later[0] == 0 && longer.later[1] == 0);

  chat_events *events = NULL;
  CHECK_STATUS(CHAT_ERR_NULL_ARGUMENT, chat_server_next_events(server, 0, NULL));
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_next_events(server, 0, &events));
  CHECK_STATUS(CHAT_ERR_TIMED_OUT, chat_server_next_events(server, 1, &events));
  CHECK(events == NULL);
}

/* Bytes behind which memory ends: what a length is over its limit is not read, and no byte more than the
 * length says. */
static void with_a_guarded_page(chat_server *server) {
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  uint8_t *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED && mprotect(pages + size, size, PROT_NONE) == 0);
  memset(pages, 'x', size);
  const uint8_t *last = pages + size - 10;
  const char *text = (const char *)last;
  size_t published;
  CHECK_OK(chat_server_broadcast(server, CHAT_TEXT, last, 10));
  CHECK_OK(chat_server_publish(server, text, 10, CHAT_TEXT, last, 10, NULL));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_send(server, 1, CHAT_TEXT, last, 10));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_set_identity(server, 1, text, 10));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_set_name(server, 1, text, 10));
  CHECK_STATUS(CHAT_ERR_NOT_FOUND, chat_server_join_with_past(server, 1, text, 10, 1, NULL));

  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  chat_message message = {.room = text, .room_len = 10, .kind = CHAT_TEXT, .data = last};
  const size_t lengths[] = {(size_t)2 << 20, (size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    size_t len = lengths[i];
#define OVER(call) CHECK_STATUS(CHAT_ERR_TOO_LARGE, call)
    OVER(chat_server_broadcast(server, CHAT_TEXT, last, len));
    OVER(chat_server_publish(server, text, len, CHAT_TEXT, last, 10, NULL));
    OVER(chat_server_publish(server, text, 10, CHAT_BINARY, last, len, NULL));
    OVER(chat_server_send(server, 1, CHAT_TEXT, last, len));
    OVER(chat_server_allow_changed(server, 1, CHAT_TEXT, last, len));
    message.data_len = len;
    OVER(chat_server_publish_batch(server, &message, sizeof message, 1, &published, NULL));
    OVER(chat_server_disconnect(server, 1, 1000, text, len));
    OVER(chat_server_reject(server, 1, 403, text, len, NULL, 0));
    OVER(chat_server_join(server, 1, text, len));
    OVER(chat_server_join_with_past(server, 1, text, len, 1, NULL));
    OVER(chat_server_history(server, text, len, CHAT_RANGE_LAST, NULL, 1, &(chat_history *){NULL}));
    OVER(chat_server_trim(server, text, len, &(chat_position){1, 1}));
    OVER(chat_server_forget(server, text, len));
    OVER(chat_server_leave(server, 1, text, len));
    OVER(chat_server_set_identity(server, 1, text, len));
    OVER(chat_server_set_name(server, 1, text, len));
    OVER(chat_server_set_subprotocol(server, 1, text, len));
    OVER(chat_server_send_to_identity(server, text, len, CHAT_TEXT, last, 10, &published));
    OVER(chat_server_send_to_identity(server, text, 10, CHAT_TEXT, last, len, &published));
    OVER(chat_server_disconnect_identity(server, text, 10, 1000, text, len, &published));
    OVER(chat_server_join_identity(server, text, 10, text, len, &published));
    OVER(chat_server_leave_identity(server, text, 10, text, len, &published));
    OVER(chat_server_identity_clients(server, text, len, NULL, 0, &published));
    OVER(chat_config_add_listen(config, text, len));
    OVER(chat_config_add_origin(config, text, len));
    OVER(chat_config_set_base_path(config, text, len));
  }
  chat_config_free(config);
  /* The one struct ends where the page does, whatever the stride is. */
  message.data_len = 1;
  chat_message *at = (chat_message *)(void *)(pages + size - sizeof message);
  memcpy(at, &message, sizeof message);
  at->room = "room", at->room_len = 4, at->data = pages;
  CHECK_OK(chat_server_publish_batch(server, at, 2 * sizeof *at, 1, &published, NULL));
  munmap(pages, 2 * size);
}

int main(void) {
  begin();
  CHECK(strcmp(chat_last_error_message(), "") == 0);
  read_header();
  no_config();
  config_values();
  no_objects();
  chat_server *server = start_with_queue();
  messages(server);
  histories(server);
  positions();
  batches(server);
  publications(server);
  clients(server);
  identities(server);
  outputs(server);
  with_a_guarded_page(server);
  CHECK_OK(chat_server_stop(server, 0));
  chat_server_free(server);
  return 0;
}
