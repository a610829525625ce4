/**
 * libchat: a WebSocket chat and broadcast server inside your program.
 *
 * A program (the host) starts a server, clients connect to it by WebSocket, and what one client
 * of a room sends goes to every client of that room. A first program, linked with
 * `-lchat -lm -ldl -lpthread`:
 *
 * ```c
 * #include <libchat.h>
 * #include <stdio.h>
 *
 * int main(void) {
 *   chat_config *config = chat_config_new(CHAT_ABI_VERSION); // listens on 127.0.0.1:9001
 *   chat_server *server = NULL;
 *   chat_error *error = NULL;
 *   chat_status status = chat_server_start(config, &server, &error);
 *   chat_config_free(config);
 *   if (status != CHAT_OK) {
 *     fprintf(stderr, "%s\n", chat_error_message(error));
 *     chat_error_free(error);
 *     return 1;
 *   }
 *   puts("chat at ws://127.0.0.1:9001/ - Enter stops it");
 *   getchar();
 *   chat_server_stop(server, 5000);
 *   chat_server_free(server);
 *   return 0;
 * }
 * ```
 *
 * Results. Every function that can fail returns a chat_status: CHAT_OK, which is 0, or a negative
 * CHAT_ERR_... Outputs are written only on success, and a chat_error only on failure; those of one
 * call are different objects. Besides the statuses that a function lists, any may return
 * CHAT_ERR_NULL_ARGUMENT (a pointer is NULL that must not be), CHAT_ERR_PANIC (a bug in libchat,
 * which ends with the call and not with the host), and those of a server CHAT_ERR_FORKED. Numbers
 * of kinds, policies and events are uint32_t: one that is unknown is CHAT_ERR_INVALID_ARGUMENT,
 * never undefined behaviour.
 *
 * Bytes. Texts and messages are a pointer and a length in bytes; NUL is allowed inside, and NULL
 * with length 0 is empty. They are copied before a function returns. Texts are UTF-8, else
 * CHAT_ERR_INVALID_UTF8; addresses, origins, rooms, reasons, identities and header names have at
 * most 65,535 bytes, else CHAT_ERR_TOO_LARGE. What the library hands out is not NUL-terminated
 * unless its comment says so, and the pointers to its texts and messages are never NULL: print it
 * with `printf("%.*s", (int)len, text)`.
 *
 * Ownership. What a `_new`, `_start` or `_next_events` made, the host frees with the `_free` of the
 * same noun, which takes NULL too. Clients are numbers (chat_client_id), never pointers: a call
 * about one that has left is CHAT_ERR_NOT_FOUND.
 *
 * Threads. Which calls may be made from which thread, and which of them wait:
 *
 * | call                              | from which thread                    | waits             |
 * |-----------------------------------|--------------------------------------|-------------------|
 * | chat_version_, abi_, status_...   | any                                  | no                |
 * | chat_config_...                   | one at a time for each config        | no                |
 * | chat_server_start                 | any; the config is only read         | no                |
 * | chat_server_broadcast             | any, also in a handler               | if too much is to |
 * | chat_server_publish, _batch       | any, also in a handler               | be delivered: up  |
 * | chat_server_send, join, leave,    | any, also in a handler               | to publish_timeout|
 * | set_echo, set_identity            |                                      |                   |
 * | chat_server_disconnect, accept,   | any, also in a handler               | no                |
 * | reject, allow, allow_changed,     |                                      |                   |
 * | refuse                            |                                      |                   |
 * | chat_server_local_addr, stats     | any, also in a handler               | no                |
 * | chat_server_request_stop          | any, also in a handler               | no                |
 * | chat_server_next_events           | any; one thread keeps them in order  | up to its time    |
 * | chat_server_stop                  | any, not in a handler                | up to its time,   |
 * |                                   |                                      | and for a handler |
 * | chat_server_free                  | any, also in a handler; the last one | for the handler   |
 * | chat_events_, event_, error_...   | one at a time for each object        | no                |
 *
 * An event handler runs on one thread of its server: in order, never twice at once (servers that share a
 * config call its handler each on its own). It may block, which delays events and never clients. It
 * is not called before chat_server_start has written its server, nor after chat_server_stop or
 * chat_server_free has returned. It must return by itself: no longjmp, no C++ exception.
 * A log handler is another thing, in which no function about a server may be called: see
 * chat_config_set_log_handler.
 *
 * The host. Any number of servers may run in one process; nothing is shared among them. The library
 * sets no signal handler, reads no environment variable, writes to no standard stream. Its threads
 * block all signals: they are the host's. After fork, the child may only exec or exit: there every
 * call about a server returns CHAT_ERR_FORKED.
 *
 * Versions. Symbols, statuses, events and fields at the end of chat_event and chat_stats are added,
 * never changed, as long as CHAT_ABI_VERSION stays the same.
 *
 * Generated from src/ffi by cbindgen: not to be edited by hand.
 */

#ifndef LIBCHAT_H
#define LIBCHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Stands before every function: a host may define it, to __declspec(dllimport) as an example. */
#ifndef CHAT_API
#define CHAT_API
#endif

/** Marks results that must not be thrown away. */
#ifndef CHAT_MUST_USE
#if defined(__GNUC__)
#define CHAT_MUST_USE __attribute__((warn_unused_result))
#else
#define CHAT_MUST_USE
#endif
#endif

/**
 * The version of this header as text.
 */
#define CHAT_VERSION_STRING "0.1.0"

/**
 * The version of this header: the first number changes when hosts must be changed.
 */
#define CHAT_VERSION_MAJOR 0

/**
 * The version of this header: the second number changes when something is added.
 */
#define CHAT_VERSION_MINOR 1

/**
 * The version of this header: the third number changes when something is repaired.
 */
#define CHAT_VERSION_PATCH 0

/**
 * The version of this header in one number that can be compared: `0xMMmmpp`.
 */
#define CHAT_VERSION_NUMBER (((CHAT_VERSION_MAJOR << 16) | (CHAT_VERSION_MINOR << 8)) | CHAT_VERSION_PATCH)

/**
 * The binary interface that this header describes. A library with another one does not fit.
 */
#define CHAT_ABI_VERSION 1

/**
 * Enough room for any address that chat_server_local_addr tells, in bytes.
 */
#define CHAT_ADDR_SIZE 64

/**
 * The time for chat_server_next_events that never ends.
 */
#define CHAT_WAIT_FOREVER UINT32_MAX

/**
 * What became of a call: 0 is success, errors are negative. Numbers are never used again, and
 * further ones may come.
 *
 * Functions: chat_status_name, chat_status_message.
 */
enum chat_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done.
   */
  CHAT_OK = 0,
  /**
   * An argument or an option has a value that is not allowed.
   */
  CHAT_ERR_INVALID_ARGUMENT = -1,
  /**
   * A pointer is NULL that must not be.
   */
  CHAT_ERR_NULL_ARGUMENT = -2,
  /**
   * A text is not UTF-8. Send it as CHAT_BINARY.
   */
  CHAT_ERR_INVALID_UTF8 = -3,
  /**
   * A message or text is longer than its limit, or a buffer shorter than what it is for.
   */
  CHAT_ERR_TOO_LARGE = -4,
  /**
   * There is no such client, decision, header or listener. A client may just have left.
   */
  CHAT_ERR_NOT_FOUND = -5,
  /**
   * The server is stopping or has stopped.
   */
  CHAT_ERR_STOPPED = -6,
  /**
   * The time given was not enough.
   */
  CHAT_ERR_TIMED_OUT = -7,
  /**
   * Too much is waiting to be delivered. Nothing was done: publish again later.
   */
  CHAT_ERR_QUEUE_FULL = -8,
  /**
   * The call would wait for the handler that it was made from; in a log handler that is every
   * call about a server.
   */
  CHAT_ERR_IN_HANDLER = -9,
  /**
   * The server belongs to another process, of which this one is a fork.
   */
  CHAT_ERR_FORKED = -10,
  /**
   * The server was configured without what the call needs.
   */
  CHAT_ERR_UNSUPPORTED = -11,
  /**
   * The client is in as many rooms as it may be.
   */
  CHAT_ERR_TOO_MANY_ROOMS = -12,
  /**
   * The port is in use.
   */
  CHAT_ERR_ADDRESS_IN_USE = -20,
  /**
   * The address is not one of this machine.
   */
  CHAT_ERR_ADDRESS_UNAVAILABLE = -21,
  /**
   * The operating system does not allow it, such as a port below 1024.
   */
  CHAT_ERR_PERMISSION_DENIED = -22,
  /**
   * The operating system has no thread, descriptor or memory left.
   */
  CHAT_ERR_RESOURCE_LIMIT = -23,
  /**
   * Another error of the operating system.
   */
  CHAT_ERR_IO = -24,
  /**
   * A bug in libchat. The call had no effect or only a part of it.
   */
  CHAT_ERR_PANIC = -99,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_status chat_status;
#else
typedef int32_t chat_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a chat_event says has happened. The events of one client come in the order CONNECT_REQUEST (if
 * the host decides on connections), CONNECTED, any number of MESSAGE_REQUEST, MESSAGE, JOINED,
 * LEFT and MESSAGES_DROPPED, DISCONNECTED. JOINED comes before CONNECTED for what the host says before it
 * accepts the client, and a client that is not admitted has no CONNECTED.
 *
 * Further ones may come: a host passes over those that it does not know.
 */
enum chat_event_type
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A client asks to be connected, and waits for chat_server_accept or chat_server_reject
   * (chat_config_set_admission_timeout): client, room (the one that it asks for), addr, path,
   * query, headers.
   */
  CHAT_EVENT_CONNECT_REQUEST = 1,
  /**
   * A client has connected and is in its room: client, identity, room, addr, path, query, headers.
   */
  CHAT_EVENT_CONNECTED = 2,
  /**
   * A client published a message, which is on its way to the room: client, identity, room, offset,
   * kind, data. Of a client that is in no room, the room is empty and the offset 0: it speaks to
   * the host alone.
   */
  CHAT_EVENT_MESSAGE = 3,
  /**
   * The host has put a client into a room (chat_server_join): client, identity, room.
   */
  CHAT_EVENT_JOINED = 4,
  /**
   * The host has taken a client out of a room (chat_server_leave): client, identity, room.
   */
  CHAT_EVENT_LEFT = 5,
  /**
   * A client has left, or was not admitted, and is in no room any more: client, identity, code,
   * reason.
   */
  CHAT_EVENT_DISCONNECTED = 6,
  /**
   * Message events were dropped here, because the host did not take events in time: count.
   */
  CHAT_EVENT_EVENTS_DROPPED = 7,
  /**
   * The server has stopped. The last event.
   */
  CHAT_EVENT_STOPPED = 8,
  /**
   * The oldest messages that waited for a slow consumer were dropped: client, count.
   */
  CHAT_EVENT_MESSAGES_DROPPED = 9,
  /**
   * A listener could not accept connections, for want of descriptors as a rule, and goes on
   * trying: addr (the listener's), reason (the operating system's words). Reported once for each
   * run of failures.
   */
  CHAT_EVENT_ACCEPT_FAILED = 10,
  /**
   * A client sent a message, which waits for chat_server_allow, chat_server_allow_changed or
   * chat_server_refuse (chat_config_set_review_timeout): client, identity, room, decision, kind,
   * data. If it is published, CHAT_EVENT_MESSAGE follows.
   */
  CHAT_EVENT_MESSAGE_REQUEST = 11,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_event_type chat_event_type;
#else
typedef uint32_t chat_event_type;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Whether a message is text or bytes.
 */
enum chat_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * UTF-8 text.
   */
  CHAT_TEXT = 1,
  /**
   * Bytes of any value.
   */
  CHAT_BINARY = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_kind chat_kind;
#else
typedef uint32_t chat_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How much a log line matters, for chat_config_set_log_handler. A handler for one level gets the
 * lines of all levels above it in this list, too.
 */
enum chat_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Something is broken, and the server goes on without it: a thread or a handler panicked.
   */
  CHAT_LOG_ERROR = 1,
  /**
   * Something is lost or refused that need not be: connections that cannot be accepted, events
   * that the host does not take, limits that are reached, clients that were cut at the stop.
   */
  CHAT_LOG_WARN = 2,
  /**
   * The server's life and slow consumers: a few lines a day, at most one a second of each sort.
   */
  CHAT_LOG_INFO = 3,
  /**
   * Every client that comes, goes or is refused: as many lines as clients make.
   */
  CHAT_LOG_DEBUG = 4,
  /**
   * Nothing more today.
   */
  CHAT_LOG_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_log_level chat_log_level;
#else
typedef uint32_t chat_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What becomes of a client or a message that the host has not decided on in time: for
 * chat_config_set_overdue.
 */
enum chat_overdue
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * As if the host had rejected the client, with HTTP 503, or refused the message.
   */
  CHAT_OVERDUE_REFUSE = 1,
  /**
   * As if the host had accepted the client or allowed the message.
   */
  CHAT_OVERDUE_ALLOW = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_overdue chat_overdue;
#else
typedef uint32_t chat_overdue;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What becomes of a client that does not take what it is sent, once its outbox is full: for
 * chat_config_set_slow_consumer.
 */
enum chat_slow_consumer
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Its connection is closed with code 1013 and a reason that says so.
   */
  CHAT_SLOW_CONSUMER_DISCONNECT = 1,
  /**
   * The oldest whole messages that wait for it are dropped, and the host is told how many by
   * CHAT_EVENT_MESSAGES_DROPPED.
   */
  CHAT_SLOW_CONSUMER_DROP_OLDEST = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_slow_consumer chat_slow_consumer;
#else
typedef uint32_t chat_slow_consumer;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a server is to be: every option starts with its default, which is safe on the open internet.
 *
 * The setters keep what they are given. chat_server_start checks all options at once and names
 * those that are out of their limits, so a setter fails only for what it cannot keep.
 *
 * A config belongs to one thread at a time. It may be freed as soon as its servers are started,
 * or start further ones.
 *
 * Functions: chat_config_new, chat_config_free, chat_config_add_listen, chat_config_add_origin,
 * chat_config_set_... for each option, chat_config_set_event_handler,
 * chat_config_set_log_handler, chat_server_start.
 */
typedef struct chat_config chat_config;

/**
 * Why a call failed: its status, a text for people, and the operating system's error number.
 *
 * The host owns it and frees it with chat_error_free. One thread at a time.
 *
 * Functions: chat_error_status, chat_error_os_code, chat_error_message, chat_error_free.
 */
typedef struct chat_error chat_error;

/**
 * A batch of events that was pulled, in order.
 *
 * The host owns it and frees it with chat_events_free. One thread at a time.
 *
 * Functions: chat_server_next_events, chat_events_len, chat_events_get, chat_events_free.
 */
typedef struct chat_events chat_events;

/**
 * The headers of a client's request, which chat_event_header and chat_event_header_at read.
 */
typedef struct chat_headers chat_headers;

/**
 * A running server.
 *
 * Every function of it may be called from any thread at any time; chat_server_free must be the
 * last, after all others have returned.
 *
 * Functions: chat_server_start, chat_server_local_addr, chat_server_broadcast, chat_server_publish,
 * chat_server_publish_batch, chat_server_send, chat_server_disconnect, chat_server_accept,
 * chat_server_reject, chat_server_join, chat_server_leave, chat_server_set_echo,
 * chat_server_set_identity, chat_server_allow, chat_server_allow_changed, chat_server_refuse,
 * chat_server_stats, chat_server_next_events, chat_server_request_stop, chat_server_stop,
 * chat_server_free.
 */
typedef struct chat_server chat_server;

/**
 * The name of one client's connection: never 0, never used twice by a server.
 */
typedef uint64_t chat_client_id;

/**
 * The name of one decision on a client's message: never 0, never used twice by a server.
 */
typedef uint64_t chat_decision_id;

/**
 * Something that happened on a server.
 *
 * The library owns it and all that it points to: valid until the handler returns, or until the
 * chat_events that it is from is freed. Fields that do not belong to the event's type are 0 or
 * empty; texts are never NULL, and not NUL-terminated. Further fields may be added at the end, so
 * a host must not make arrays of this struct.
 *
 * Functions: chat_event_header, chat_event_header_at.
 */
typedef struct {
  /**
   * What happened: a CHAT_EVENT_... value.
   */
  uint32_t type;
  /**
   * MESSAGE, MESSAGE_REQUEST: CHAT_TEXT or CHAT_BINARY.
   */
  uint32_t kind;
  /**
   * The client, in all events of one.
   */
  chat_client_id client;
  /**
   * MESSAGE: its place in the room's order, 1 for the first.
   */
  uint64_t offset;
  /**
   * EVENTS_DROPPED, MESSAGES_DROPPED: how many.
   */
  uint64_t count;
  /**
   * CONNECT_REQUEST, CONNECTED, MESSAGE, MESSAGE_REQUEST, JOINED, LEFT: the room.
   */
  const char *room;
  /**
   * The length of `room` in bytes.
   */
  size_t room_len;
  /**
   * MESSAGE, MESSAGE_REQUEST: the payload, which is UTF-8 if `kind` is CHAT_TEXT.
   */
  const uint8_t *data;
  /**
   * The length of `data` in bytes.
   */
  size_t data_len;
  /**
   * CONNECT_REQUEST, CONNECTED: the client's address and port. ACCEPT_FAILED: the listener's.
   */
  const char *addr;
  /**
   * The length of `addr` in bytes.
   */
  size_t addr_len;
  /**
   * CONNECT_REQUEST, CONNECTED: the path as the client sent it, percent-encoded, without the query.
   */
  const char *path;
  /**
   * The length of `path` in bytes.
   */
  size_t path_len;
  /**
   * CONNECT_REQUEST, CONNECTED: the query as the client sent it, without the question mark.
   */
  const char *query;
  /**
   * The length of `query` in bytes.
   */
  size_t query_len;
  /**
   * CONNECT_REQUEST, CONNECTED: the headers, for chat_event_header; NULL in other events.
   */
  const chat_headers *headers;
  /**
   * CONNECT_REQUEST, CONNECTED: how many headers there are.
   */
  size_t header_count;
  /**
   * DISCONNECTED: the close frame's reason, or what ended the connection. ACCEPT_FAILED: what the
   * operating system said.
   */
  const char *reason;
  /**
   * The length of `reason` in bytes.
   */
  size_t reason_len;
  /**
   * DISCONNECTED: the close code, the client's own or the one that it was closed with; 1005 if
   * its close frame held none, 1006 if the connection ended without one.
   */
  uint16_t code;
  /**
   * CONNECTED, MESSAGE, MESSAGE_REQUEST, JOINED, LEFT, DISCONNECTED: what the host calls the
   * client (chat_server_set_identity); empty if it has not said.
   */
  const char *identity;
  /**
   * The length of `identity` in bytes.
   */
  size_t identity_len;
  /**
   * MESSAGE_REQUEST: the decision's name.
   */
  chat_decision_id decision;
} chat_event;

/**
 * Is called with events: `events` points to `count` of them, in order, at least one. They are valid
 * until it returns. See the threads at the top of this file for what it may do.
 */
typedef void (*chat_event_fn)(void *user_data, const chat_event *const *events, size_t count);

/**
 * Is called when libchat will not use `user_data` again.
 */
typedef void (*chat_drop_fn)(void *user_data);

/**
 * What a server has counted since its start. Further counters may be added at the end.
 *
 * Each is right, and they may be of slightly different moments. Functions: chat_server_stats.
 */
typedef struct {
  /**
   * Clients that are connected now.
   */
  uint64_t connections;
  /**
   * Handshakes that are under way now.
   */
  uint64_t handshakes;
  /**
   * Rooms that exist now: with subscribers or with history.
   */
  uint64_t rooms;
  /**
   * Clients that have been connected.
   */
  uint64_t connections_accepted;
  /**
   * Handshakes that were refused, with an HTTP status or by cutting the connection.
   */
  uint64_t connections_refused;
  /**
   * Times that accepting a connection failed, for want of descriptors as a rule.
   */
  uint64_t accept_failures;
  /**
   * Messages that clients sent.
   */
  uint64_t messages_received;
  /**
   * Messages that clients or the host published to rooms, and broadcasts of the host.
   */
  uint64_t messages_published;
  /**
   * Messages handed to sockets or outboxes, counted for each client.
   */
  uint64_t messages_delivered;
  /**
   * Bytes of frames handed to sockets or outboxes.
   */
  uint64_t bytes_delivered;
  /**
   * Messages dropped for slow consumers.
   */
  uint64_t messages_dropped;
  /**
   * Clients that were closed as slow consumers.
   */
  uint64_t slow_consumers;
  /**
   * Clients that were cut because they did not answer a ping.
   */
  uint64_t ping_timeouts;
  /**
   * Clients that were closed because they broke the protocol or a limit.
   */
  uint64_t protocol_errors;
  /**
   * Message events that were dropped because the host did not take them.
   */
  uint64_t events_dropped;
  /**
   * Clients that the host rejected.
   */
  uint64_t admissions_rejected;
  /**
   * Clients that the host did not decide on in time, whatever became of them (the option overdue).
   */
  uint64_t admissions_timed_out;
  /**
   * Messages of clients that were not published: the host refused them or did not decide in time,
   * or the server stopped.
   */
  uint64_t messages_refused;
  /**
   * Messages that the host did not decide on in time, whatever became of them (the option overdue).
   */
  uint64_t reviews_timed_out;
} chat_stats;

/**
 * One message for chat_server_publish_batch. Set all of it to zero first: further fields may be
 * added at the end, and zero is what they had been before.
 */
typedef struct {
  /**
   * The room's name.
   */
  const char *room;
  /**
   * The length of `room` in bytes.
   */
  size_t room_len;
  /**
   * The payload, which must be UTF-8 if `kind` is CHAT_TEXT.
   */
  const uint8_t *data;
  /**
   * The length of `data` in bytes.
   */
  size_t data_len;
  /**
   * CHAT_TEXT or CHAT_BINARY.
   */
  uint32_t kind;
  /**
   * Must be 0: room for what a later header may add.
   */
  uint32_t reserved;
} chat_message;

/**
 * Is called with a line: its CHAT_LOG_... level, and its text, which is valid until this returns.
 * See chat_config_set_log_handler for what it may do.
 */
typedef void (*chat_log_fn)(void *user_data, uint32_t level, const char *text, size_t text_len);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is loaded, as CHAT_VERSION_NUMBER. Never fails.
 */
CHAT_API uint32_t chat_version_number(void);

/**
 * The version of the library that is loaded, such as "0.1.0": NUL-terminated, the library's own,
 * not to be freed. Never fails.
 */
CHAT_API const char *chat_version_string(void);

/**
 * The binary interface of the library that is loaded, as CHAT_ABI_VERSION. Never fails.
 */
CHAT_API uint32_t chat_abi_version(void);

/**
 * The name of a status, such as "CHAT_ERR_STOPPED": NUL-terminated, the library's own, not to be
 * freed. An unknown number is "CHAT_ERR_UNKNOWN". Never fails.
 */
CHAT_API const char *chat_status_name(int32_t status);

/**
 * What a status means, in words for people: NUL-terminated, the library's own, not to be freed.
 * Never fails.
 */
CHAT_API const char *chat_status_message(int32_t status);

/**
 * The status that the failed call returned; CHAT_ERR_NULL_ARGUMENT if `error` is NULL.
 */
CHAT_API chat_status chat_error_status(const chat_error *error);

/**
 * The operating system's error number (errno), such as EADDRINUSE; 0 if it had no part in it or
 * `error` is NULL.
 */
CHAT_API int32_t chat_error_os_code(const chat_error *error);

/**
 * What went wrong and what to do next, in words: for people, not to be parsed. NUL-terminated, and
 * valid until the error is freed; an empty text if `error` is NULL.
 */
CHAT_API const char *chat_error_message(const chat_error *error);

/**
 * Frees an error. NULL is allowed.
 */
CHAT_API void chat_error_free(chat_error *error);

/**
 * Makes a config in which every option has its default. Pass CHAT_ABI_VERSION.
 *
 * Returns NULL if the header that the host was compiled with does not fit the library. The host
 * frees it with chat_config_free.
 */
CHAT_API CHAT_MUST_USE chat_config *chat_config_new(uint32_t abi_version);

/**
 * Frees a config. Servers that were started from it run on. NULL is allowed.
 */
CHAT_API void chat_config_free(chat_config *config);

/**
 * Adds an address to listen on: an IP address and a port, such as `127.0.0.1:9001` or
 * `[::1]:9001`. Port 0 takes a free one, which chat_server_local_addr tells.
 *
 * Default: `127.0.0.1:9001`, which the first address replaces. Statuses: CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE.
 */
CHAT_API chat_status chat_config_add_listen(chat_config *config, const char *addr, size_t addr_len);

/**
 * Adds an origin whose pages may connect, such as `https://example.org`, or `*` for every origin.
 * Others are answered with HTTP 403.
 *
 * Default: none, so that programs (which send no `Origin` header) and pages from the server's own
 * host may connect; these two always may. Statuses: CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE.
 */
CHAT_API
chat_status chat_config_add_origin(chat_config *config,
                                   const char *origin,
                                   size_t origin_len);

/**
 * Sets how many worker threads share the connections. Default: 0, which is one for each core, four
 * at the most. At most 256.
 */
CHAT_API chat_status chat_config_set_workers(chat_config *config, uint32_t threads);

/**
 * Sets how long a worker looks for its next event before it sleeps (busy polling), in microseconds.
 * Where that comes within this time as a rule, a sleep and a wake-up are saved, which are much of a
 * short round trip, and the worker may use a whole core. Where it does not, the worker sleeps at once,
 * but for one time in a thousand. If there are more workers than cores, none looks. 0: none looks, which
 * leaves the most processor time to the rest of the program. Default: 15. At most 1,000.
 */
CHAT_API
chat_status chat_config_set_busy_poll(chat_config *config,
                                      uint32_t time_us);

/**
 * Sets whether a sender receives its own message. A client overrides it for itself with
 * `?echo=false` or `?echo=true`. Default: true.
 */
CHAT_API chat_status chat_config_set_echo(chat_config *config, bool echo);

/**
 * Sets how many clients may be connected at once. One more is answered with HTTP 503.
 * Default: 65,536. From 1 to 100,000,000.
 */
CHAT_API chat_status chat_config_set_max_connections(chat_config *config, uint32_t count);

/**
 * Sets how many rooms one client may be in at once, the room that it asks for included
 * (chat_server_join). Default: 1,000. From 1 to 1,000,000.
 */
CHAT_API chat_status chat_config_set_max_rooms_per_client(chat_config *config, uint32_t rooms);

/**
 * Sets how many connections may be in their handshake at once. One more is answered with HTTP 503.
 * Default: 1,024. From 1 to 1,000,000.
 */
CHAT_API chat_status chat_config_set_max_handshakes(chat_config *config, uint32_t count);

/**
 * Sets how long a handshake may take in total, in milliseconds. Then it is answered with HTTP 408
 * and closed. Default: 5,000. From 10 to 86,400,000 (1 day).
 */
CHAT_API chat_status chat_config_set_handshake_timeout(chat_config *config, uint32_t timeout_ms);

/**
 * Sets how long the head of a handshake may be, in bytes. A longer one is answered with HTTP 431, and
 * so is one with more than 100 headers. Default: 16 KiB. From 8 KiB to 1 MiB.
 */
CHAT_API
chat_status chat_config_set_handshake_size(chat_config *config,
                                           size_t bytes);

/**
 * Lets the host decide on each client that asks to be connected, and sets how long it may take, in
 * milliseconds: it gets CHAT_EVENT_CONNECT_REQUEST, and answers with chat_server_accept or
 * chat_server_reject. A client that it has not answered in this time is counted in
 * `admissions_timed_out`, and refused with HTTP 503 unless chat_config_set_overdue says otherwise. Nobody
 * else waits meanwhile.
 *
 * Default: 0, which is: every client is accepted. From 10 ms to 1 day, or 0. It needs an event handler
 * or chat_config_set_event_queue.
 */
CHAT_API
chat_status chat_config_set_admission_timeout(chat_config *config,
                                              uint32_t timeout_ms);

/**
 * Lets the host decide on each message of a client before it is published, and sets how long it
 * may take, in milliseconds: it gets CHAT_EVENT_MESSAGE_REQUEST, and answers with
 * chat_server_allow, chat_server_allow_changed or chat_server_refuse. What it has not decided on
 * in this time is counted in `reviews_timed_out`, and refused unless chat_config_set_overdue says
 * otherwise. A client's messages keep their order; others' go on. While 64 messages or 1 MiB of a
 * client are undecided, it is not read.
 *
 * Default: 0, which is: every message is published. From 10 ms to 1 day, or 0. It needs an event
 * handler or chat_config_set_event_queue.
 */
CHAT_API chat_status chat_config_set_review_timeout(chat_config *config, uint32_t timeout_ms);

/**
 * Sets what becomes of a client or a message that the host has not decided on in time: a CHAT_OVERDUE_...
 * value. Default: CHAT_OVERDUE_REFUSE, so that nobody is let in because the host is slow. Statuses:
 * CHAT_ERR_INVALID_ARGUMENT for an unknown value.
 */
CHAT_API
chat_status chat_config_set_overdue(chat_config *config,
                                    uint32_t outcome);

/**
 * Sets how long a message may be, in bytes of payload. A client that sends a longer one is closed
 * with code 1009. Default: 1 MiB. From 1 byte to 1 GiB.
 */
CHAT_API chat_status chat_config_set_max_message_size(chat_config *config, size_t bytes);

/**
 * Sets how many bytes may wait for one client that does not take them. Then it is a slow consumer.
 * What waits counts with what keeping it costs: about 130 bytes for each write. Default: 4 MiB, a burst
 * of 10,000 chat messages. At least `max_message_size` + 4 KiB, at most 64 GiB.
 */
CHAT_API
chat_status chat_config_set_outbox_size(chat_config *config,
                                        size_t bytes);

/**
 * Sets how long the oldest byte may wait for a client that does not take it, in milliseconds. Then
 * the client is a slow consumer. Default: 5,000. From 10 to 86,400,000 (1 day).
 */
CHAT_API chat_status chat_config_set_outbox_age(chat_config *config, uint32_t age_ms);

/**
 * Sets what becomes of a slow consumer: a CHAT_SLOW_CONSUMER_... value. Default:
 * CHAT_SLOW_CONSUMER_DISCONNECT. Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown value.
 */
CHAT_API chat_status chat_config_set_slow_consumer(chat_config *config, uint32_t policy);

/**
 * Sets how often a client is pinged, in milliseconds; 0: never. Default: 25,000, kind to phones.
 * From 10 to 86,400,000 (1 day), or 0.
 */
CHAT_API chat_status chat_config_set_ping_interval(chat_config *config, uint32_t interval_ms);

/**
 * Sets how long a client may take to answer a ping, in milliseconds (any bytes are an answer). Then
 * its connection is cut: at most ping interval + ping timeout after its last byte. With
 * CHAT_SLOW_CONSUMER_DISCONNECT, data that its machine does not acknowledge for the longer of this time
 * and the outbox's age, and 1 s, cuts it too. Default: 10,000. From 10 to 86,400,000 (1 day).
 */
CHAT_API
chat_status chat_config_set_ping_timeout(chat_config *config,
                                         uint32_t timeout_ms);

/**
 * Sets after how long without traffic TCP keep-alives pass, and how often, in milliseconds; 0: none.
 * Default: 15,000. Whole seconds from 1,000 to 32,400,000 (9 hours), or 0.
 */
CHAT_API
chat_status chat_config_set_tcp_keepalive(chat_config *config,
                                          uint32_t idle_ms);

/**
 * Sets how many messages a room keeps for clients that ask with `?history=N`; 0: none.
 * Default: 100. At most 1,000,000.
 */
CHAT_API chat_status chat_config_set_history_messages(chat_config *config, uint32_t count);

/**
 * Sets how many bytes of messages a room keeps; a client gets as many as half of its outbox holds.
 * Default: 1 MiB. At most 64 GiB.
 */
CHAT_API chat_status chat_config_set_history_size(chat_config *config, size_t bytes);

/**
 * Sets how long a room keeps a message, in milliseconds. Default: 3,600,000 (1 hour). From 10 to
 * 864,000,000,000 (10,000 days).
 */
CHAT_API chat_status chat_config_set_history_age(chat_config *config, uint64_t age_ms);

/**
 * Sets how many bytes of messages all rooms together keep. Beyond it the rooms that have been
 * without subscribers for longest forget theirs first, then large ones their oldest. Default: 64 MiB.
 * At most 1 TiB.
 */
CHAT_API
chat_status chat_config_set_history_total(chat_config *config,
                                          size_t bytes);

/**
 * Sets how long chat_server_broadcast, _publish, _publish_batch (all of it), _send, _join, _leave,
 * _set_echo and _set_identity wait while more is to be delivered than the server may keep, in
 * milliseconds. Then they return CHAT_ERR_QUEUE_FULL; 0: at once. Default: 5,000. At most
 * 86,400,000 (1 day).
 */
CHAT_API chat_status chat_config_set_publish_timeout(chat_config *config, uint32_t timeout_ms);

/**
 * Sets how many events wait for the host; 0: events are not collected at all.
 *
 * When they are as many, or their messages and requests hold 64 MiB, message events are dropped and
 * counted; a message that is to be decided on is refused then.
 * Connects and disconnects are never dropped: while the queue is full, further clients are answered
 * with HTTP 503. Default: 0, or 65,536 if there is a handler. At most 16,777,216.
 */
CHAT_API chat_status chat_config_set_event_queue(chat_config *config, uint32_t events);

/**
 * Sets the function that is called with what happens, in order, in batches. Without one, events are
 * pulled with chat_server_next_events.
 *
 * `user_data` is handed back with each call and never looked at. `drop`, which may be NULL, is
 * called with it exactly once, when no call follows any more: when the config is freed and every
 * server started from it has stopped, when another handler takes its place, or at once if this
 * function fails. It may run on any thread, and must not use the config. Default: none. Statuses:
 * those of every function.
 */
CHAT_API
chat_status chat_config_set_event_handler(chat_config *config,
                                          chat_event_fn handler,
                                          void *user_data,
                                          chat_drop_fn drop);

/**
 * Starts a server with a copy of the config. It listens when this returns, on threads of its own.
 *
 * On success `*out` is the server, which the host frees with chat_server_free. On failure `*error`
 * says why, if `error` is not NULL; the host frees it with chat_error_free. An event handler is not
 * called before `*out` is written, so it may read the server from there.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT, with a text that names every option that is out of its
 * limits; CHAT_ERR_ADDRESS_IN_USE, CHAT_ERR_ADDRESS_UNAVAILABLE, CHAT_ERR_PERMISSION_DENIED,
 * CHAT_ERR_RESOURCE_LIMIT, CHAT_ERR_IO.
 */
CHAT_API
chat_status chat_server_start(const chat_config *config,
                              chat_server **out,
                              chat_error **error);

/**
 * Tells the address and port that a listener has, as text with a NUL behind it. Listeners are
 * counted from 0 in the order in which they were added to the config.
 *
 * `buf` holds `cap` bytes, for which CHAT_ADDR_SIZE is always enough. `*len`, if `len` is not NULL,
 * is the length without the NUL. Works after the stop too. Statuses: CHAT_ERR_NOT_FOUND if there is
 * no listener with this index, CHAT_ERR_TOO_LARGE if the buffer is too short.
 */
CHAT_API
chat_status chat_server_local_addr(const chat_server *server,
                                   size_t index,
                                   char *buf,
                                   size_t cap,
                                   size_t *len);

/**
 * Reads the counters, also after the stop. Pass `sizeof(chat_stats)` as `out_size`: the struct is
 * filled as far as both sides know it, and zeroed beyond.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT if `out_size` is 0 or more than 4,096.
 */
CHAT_API chat_status chat_server_stats(const chat_server *server, chat_stats *out, size_t out_size);

/**
 * Takes all events that wait, or waits up to `timeout_ms` milliseconds for one; CHAT_WAIT_FOREVER
 * waits without end. CHAT_EVENT_STOPPED is the last, and wakes whoever waits.
 *
 * `*out` is the batch, of one event at least, which the host frees with chat_events_free.
 * Statuses: CHAT_ERR_TIMED_OUT, CHAT_ERR_STOPPED once CHAT_EVENT_STOPPED has been taken,
 * CHAT_ERR_UNSUPPORTED if no events are collected (chat_config_set_event_queue) or a handler has
 * them.
 */
CHAT_API
chat_status chat_server_next_events(chat_server *server,
                                    uint32_t timeout_ms,
                                    chat_events **out);

/**
 * Begins to stop as chat_server_stop does, with 10 s for the clients, and returns at once. For
 * handlers; to wait for the end call chat_server_stop, which can shorten the time.
 */
CHAT_API chat_status chat_server_request_stop(chat_server *server);

/**
 * Stops a server: takes no new connection, delivers what was accepted before, closes every client
 * with code 1001, and waits up to `drain_ms` milliseconds for them before it cuts them.
 *
 * When it returns, the ports are free and no handler runs any more. So it waits, beyond its time,
 * for a handler that runs and gets the events that are left: do not hold a lock that the handler
 * wants. The handle stays until chat_server_free. Stopping again is allowed. Statuses: CHAT_ERR_TIMED_OUT if clients had to be
 * cut (the server has stopped all the same), CHAT_ERR_IN_HANDLER inside a handler of this server
 * (nothing is done: use chat_server_request_stop).
 */
CHAT_API
chat_status chat_server_stop(chat_server *server,
                             uint32_t drain_ms);

/**
 * Frees a server, and stops it at once if it still runs (chat_server_stop drains). NULL is allowed.
 *
 * It must be the last call: no other may be under way in the host's threads, or follow. A handler
 * may use the server until it has returned, and is not called after that.
 *
 * Inside a handler of this server, the handler is not called again, and what is left of the server
 * ends after it has returned: `drop` of the handler tells when. In a fork of the server's process
 * this does nothing.
 */
CHAT_API void chat_server_free(chat_server *server);

/**
 * Delivers a message to every client of this server, whatever its room. `kind` is CHAT_TEXT or
 * CHAT_BINARY.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown kind, CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_broadcast(chat_server *server,
                                  uint32_t kind,
                                  const uint8_t *data,
                                  size_t data_len);

/**
 * Publishes a message to a room: it gets its place in the room's order, goes to every client in it,
 * and into its history. A room is 1 to 128 bytes of UTF-8 without control characters; that of the
 * path `/` is `lobby`. `kind` is CHAT_TEXT or CHAT_BINARY.
 *
 * `*offset`, if `offset` is not NULL, is the message's place in the room's order: 1 for the first. A
 * room that has neither clients nor history is forgotten; its offsets begin again.
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room has or an unknown kind,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_publish(chat_server *server,
                                const char *room,
                                size_t room_len,
                                uint32_t kind,
                                const uint8_t *data,
                                size_t data_len,
                                uint64_t *offset);

/**
 * Publishes `count` messages, in their order, as chat_server_publish does each. It costs less than as
 * many calls, above all if the messages of one room follow each other: up to 256 of those have
 * places in the room's order one behind the other, with no other publisher's between.
 *
 * `messages` is an array, and `stride` is `sizeof(chat_message)`, by which the library knows which
 * fields the host's has. NULL with a `count` of 0 is allowed. `*published`, if `published` is not NULL,
 * is how many messages were published, the first so many: it is written on failure too.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a stride that is no size of the struct or a `reserved` that
 * is not 0; those of chat_server_publish for any message, except for
 * CHAT_ERR_QUEUE_FULL and CHAT_ERR_STOPPED before any message is published. These two can come in
 * between. All of the batch waits for at most one publish_timeout.
 */
CHAT_API
chat_status chat_server_publish_batch(chat_server *server,
                                      const chat_message *messages,
                                      size_t stride,
                                      size_t count,
                                      size_t *published);

/**
 * Sends a message to one client. `kind` is CHAT_TEXT or CHAT_BINARY.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_send(chat_server *server,
                             chat_client_id client,
                             uint32_t kind,
                             const uint8_t *data,
                             size_t data_len);

/**
 * Closes a client's connection, after what it was sent before. A client that waits for admission is
 * rejected with HTTP 403 and the reason. With a close code of 1000 to 1003,
 * 1007 to 1013 or 3000 to 4999 and a reason of at most 123 bytes, which may be empty.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for another code, CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_disconnect(chat_server *server,
                                   chat_client_id client,
                                   uint16_t code,
                                   const char *reason,
                                   size_t reason_len);

/**
 * Lets a client be connected that a CHAT_EVENT_CONNECT_REQUEST told of
 * (chat_config_set_admission_timeout). It gets what is published to its room from here on. From any
 * thread, also in a handler. What else the answer says is said before: chat_server_set_identity,
 * chat_server_join and chat_server_leave (also of the room that it asks for), chat_server_set_echo,
 * chat_server_send.
 *
 * Statuses: CHAT_ERR_NOT_FOUND if the client has left, was decided on before, or the time is over;
 * CHAT_ERR_STOPPED.
 */
CHAT_API chat_status chat_server_accept(chat_server *server, chat_client_id client);

/**
 * Refuses a client that a CHAT_EVENT_CONNECT_REQUEST told of: its request is answered with
 * `http_status`, 400 to 599, and a text of at most 1,024 bytes, which may be empty. From any thread,
 * also in a handler.
 *
 * Statuses: CHAT_ERR_NOT_FOUND if the client has left, was decided on before, or the time is over;
 * CHAT_ERR_INVALID_ARGUMENT for another status, CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE,
 * CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_reject(chat_server *server,
                               chat_client_id client,
                               uint16_t http_status,
                               const char *reason,
                               size_t reason_len);

/**
 * Puts a client into a room, beside those that it is in: it receives what is published to the room from
 * here on. It speaks to the room that it joined first of those that it is in. The host gets
 * CHAT_EVENT_JOINED, unless the client is in the room already.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for a name that no room has,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_TOO_MANY_ROOMS if it is in as many rooms as it may
 * be (chat_config_set_max_rooms_per_client), CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_join(chat_server *server,
                             chat_client_id client,
                             const char *room,
                             size_t room_len);

/**
 * Takes a client out of a room: it receives nothing that is published to the room from here on. A client
 * that is in no room any more speaks to the host alone. The host gets CHAT_EVENT_LEFT, unless the client
 * is not in the room.
 *
 * Statuses: as of chat_server_join.
 */
CHAT_API
chat_status chat_server_leave(chat_server *server,
                              chat_client_id client,
                              const char *room,
                              size_t room_len);

/**
 * Sets what the host calls a client, such as the name of its user: all later events of the client carry
 * it. At most 256 bytes of UTF-8; clients do not see it.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL,
 * CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_set_identity(chat_server *server,
                                     chat_client_id client,
                                     const char *identity,
                                     size_t identity_len);

/**
 * Sets whether a client receives its own messages, whatever the option or its query said.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
 */
CHAT_API chat_status chat_server_set_echo(chat_server *server, chat_client_id client, bool echo);

/**
 * Lets a message be published that a CHAT_EVENT_MESSAGE_REQUEST told of
 * (chat_config_set_review_timeout), from any thread, also in a handler. It goes to the event's room, when
 * what the same client sent before is decided; if the host has taken the client out of that room since,
 * or the server stops before, it is counted in `messages_refused`. A client that leaves meanwhile stays
 * in its rooms, and its CHAT_EVENT_DISCONNECTED waits, until its messages are decided.
 *
 * Statuses: CHAT_ERR_NOT_FOUND if it was decided before or the time is over, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_allow(chat_server *server,
                              chat_decision_id decision);

/**
 * Does what chat_server_allow does, with another message in the place of the client's. `kind` is
 * CHAT_TEXT or CHAT_BINARY.
 *
 * Statuses: as of chat_server_allow; CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, with which the message is still to be decided on.
 */
CHAT_API
chat_status chat_server_allow_changed(chat_server *server,
                                      chat_decision_id decision,
                                      uint32_t kind,
                                      const uint8_t *data,
                                      size_t data_len);

/**
 * Lets a message not be published that a CHAT_EVENT_MESSAGE_REQUEST told of. Its sender is not told:
 * say so with chat_server_send.
 *
 * Statuses: as of chat_server_allow.
 */
CHAT_API
chat_status chat_server_refuse(chat_server *server,
                               chat_decision_id decision);

/**
 * How many events a batch holds; 0 if `events` is NULL.
 */
CHAT_API size_t chat_events_len(const chat_events *events);

/**
 * An event of a batch, counted from 0: valid until the batch is freed, not to be freed by itself.
 * NULL if there is none with this index or `events` is NULL.
 */
CHAT_API const chat_event *chat_events_get(const chat_events *events, size_t index);

/**
 * Frees a batch, and with it all that its events point to. NULL is allowed.
 */
CHAT_API void chat_events_free(chat_events *events);

/**
 * Finds a header of the client's request in a CONNECT_REQUEST or CONNECTED event: its first value,
 * under a name that is compared without regard to case. `event` is the pointer that the library
 * handed out.
 *
 * The value is bytes, which HTTP does not promise to be UTF-8; it is valid as long as the event.
 * Statuses: CHAT_ERR_NOT_FOUND if the client sent none or the event is another; those of texts.
 */
CHAT_API
chat_status chat_event_header(const chat_event *event,
                              const char *name,
                              size_t name_len,
                              const char **value,
                              size_t *value_len);

/**
 * Reads a header of the client's request by its index, from 0 to the event's `header_count` - 1, in
 * the order in which they were sent, names in lower case.
 *
 * Outputs that are not wanted may be NULL. Statuses: CHAT_ERR_NOT_FOUND if there are not as many.
 */
CHAT_API
chat_status chat_event_header_at(const chat_event *event,
                                 size_t index,
                                 const char **name,
                                 size_t *name_len,
                                 const char **value,
                                 size_t *value_len);

/**
 * Sets the function that gets the log lines of the servers that are started with this config, those
 * of a CHAT_LOG_... level up to `max_level`. Without one the library writes no line anywhere.
 *
 * A line is UTF-8, `message key=value key="a value"`, without line breaks or other control
 * characters, and has at most 1,024 bytes; one that was cut ends with `...`. Its words may change
 * with every version.
 *
 * The handler is called on the server's threads and in the host's calls of chat_server_start,
 * chat_server_stop and chat_server_free: before chat_server_start returns, after chat_server_stop
 * has, and by several threads at once. What it waits for, clients wait for too: it should put
 * the line aside, and must not wait for a thread that is in a call of libchat. It must return by
 * itself: no longjmp, no C++ exception. Inside, functions about a server return
 * CHAT_ERR_IN_HANDLER, chat_server_start too, and chat_server_free does nothing.
 *
 * `user_data` is handed back with each call and never looked at. `drop`, which may be NULL, is
 * called with it exactly once, when no call follows any more: when the config is freed and every
 * server started from it is freed, when another handler takes its place, or at once if this
 * function fails. It may run on any thread, and must not call libchat. Default: none. Statuses:
 * CHAT_ERR_INVALID_ARGUMENT for an unknown level.
 */
CHAT_API
chat_status chat_config_set_log_handler(chat_config *config,
                                        uint32_t max_level,
                                        chat_log_fn handler,
                                        void *user_data,
                                        chat_drop_fn drop);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LIBCHAT_H */
