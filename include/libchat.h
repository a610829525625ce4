/**
 * libchat: a WebSocket chat and broadcast server inside your program.
 *
 * A program, the host, starts a server. Clients connect to it by WebSocket and are in rooms. A
 * message that a client sends is published to its room, and delivered to every client in the room.
 * A first program, linked with `-lchat -lm -ldl -lpthread`:
 *
 * ```c
 * #define _POSIX_C_SOURCE 200809L // sigwait
 * #include <libchat.h>
 * #include <signal.h>
 * #include <stdio.h>
 *
 * int main(void) {
 *   sigset_t stop; // blocked in all threads, so that sigwait below gets them
 *   int signal;
 *   sigemptyset(&stop);
 *   sigaddset(&stop, SIGINT);
 *   sigaddset(&stop, SIGTERM);
 *   sigprocmask(SIG_BLOCK, &stop, NULL);
 *
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
 *   fprintf(stderr, "chat at ws://127.0.0.1:9001/ - Ctrl-C stops it\n");
 *   sigwait(&stop, &signal);
 *   chat_server_stop(server, 5000); // delivers what was sent; clients have 5 s to answer
 *   chat_server_free(server);
 *   return 0;
 * }
 * ```
 *
 * Clients. WebSocket clients, or clients of events (EventSource, curl), which only receive and are
 * in one room: `curl -N 'http://127.0.0.1:9001/?format=events'`. None needs a library of libchat's.
 * By the subprotocol `libchat.json`, or `?format=json`, a client speaks the JSON form: objects with
 * positions, senders and times, answers to what it sends, and exact recovery (docs/wire.md). A page
 * that offers subprotocols must have `libchat.json` among them, unless the host chooses another one
 * (chat_server_set_subprotocol): a browser closes a connection of whose subprotocols none is taken.
 * The log says so once. A page from another host or port needs chat_config_add_origin.
 *
 * Results. Every function that can fail returns a chat_status: CHAT_OK, which is 0, or a negative
 * CHAT_ERR_... value. Outputs are written only on success, unless a function says otherwise; a
 * chat_error is written only on failure. chat_last_error_message tells why the last call of a thread
 * failed, and names the argument. The outputs of one call must be different objects. In
 * addition to the statuses that it lists, a function may return CHAT_ERR_NULL_ARGUMENT (a pointer
 * that must not be NULL is NULL) and CHAT_ERR_PANIC (a bug in libchat: the call ends, the host
 * runs on). A function of a server may also return CHAT_ERR_FORKED, and inside a log handler
 * CHAT_ERR_IN_HANDLER. Kinds, policies, levels and events are passed as uint32_t: an unknown
 * number is CHAT_ERR_INVALID_ARGUMENT, never undefined behaviour.
 *
 * Bytes. A text or a message is a pointer and a length in bytes. NUL is allowed inside; NULL with
 * length 0 is empty. A function copies its texts and messages before it returns. Texts must be
 * UTF-8, else CHAT_ERR_INVALID_UTF8. Addresses, origins, rooms, reasons, identities, names and
 * headers have at most 65,535 bytes, else CHAT_ERR_TOO_LARGE. The pointers to texts and messages
 * that the library hands out are never NULL. These texts are not NUL-terminated unless their
 * comment says so: print them with `printf("%.*s", (int)len, text)`.
 *
 * Ownership. The host frees what a `_new`, `_start`, `_next_events`, `_history` or `_members`
 * function made, with the `_free` function of the same noun, which allows NULL. Clients are numbers
 * (chat_client_id), never pointers: a call for a client that has left returns CHAT_ERR_NOT_FOUND.
 *
 * Threads. The table says which thread may make a call, and for how long the call may wait. "A
 * handler" is an event handler.
 *
 * | call                              | thread                               | waits             |
 * |-----------------------------------|--------------------------------------|-------------------|
 * | chat_version_, abi_, status_...,  | any                                  | no                |
 * | position_..., last_error_message  |                                      |                   |
 * | chat_config_...                   | one at a time for each config        | no                |
 * | chat_server_start                 | any; the config is only read         | to look up names  |
 * | chat_server_broadcast             | any, also in a handler               | up to             |
 * | chat_server_publish, _batch,      | any, also in a handler               | publish_timeout,  |
 * | _with, _to                        |                                      |                   |
 * | chat_server_send, join,           | any, also in a handler               | if too much waits |
 * | join_with_past, leave, set_echo,  |                                      | to be delivered   |
 * | set_identity, set_name,           |                                      |                   |
 * | set_members, forget               |                                      |                   |
 * | chat_server_send_to_identity,     | any, also in a handler               |                   |
 * | join_identity, leave_identity     |                                      |                   |
 * | chat_server_disconnect, accept,   | any, also in a handler               | no                |
 * | accept_with_past, reject, allow,  |                                      |                   |
 * | allow_changed, refuse,            |                                      |                   |
 * | refuse_with, set_subprotocol      |                                      |                   |
 * | chat_server_local_addr, stats,    | any, also in a handler               | no                |
 * | position, identity_clients,       |                                      |                   |
 * | disconnect_identity               |                                      |                   |
 * | chat_server_request_stop          | any, also in a handler               | no                |
 * | chat_server_wait                  | any, also in a handler               | up to timeout_ms  |
 * | chat_server_next_events           | any; one thread gets them in order   | up to timeout_ms  |
 * | chat_server_stop                  | any, not in a handler                | up to drain_ms,   |
 * |                                   |                                      | and for a handler |
 * | chat_server_free                  | any, also in a handler; last of all  | for a handler     |
 * | chat_server_history, trim,        | any, also in a handler               | no                |
 * | members, member_count, signal,    |                                      |                   |
 * | signal_client                     |                                      |                   |
 * | chat_events_, event_, error_,     | one at a time for each object        | no                |
 * | history_...                       |                                      |                   |
 * | chat_members_...                  | any; chat_members_free last of all   | no                |
 *
 * A server calls its event handler on a thread of its own, in order, never twice at once. Servers
 * that were started from one config call the same handler independently of each other. The handler
 * may block: that delays events, never clients. It is not called before chat_server_start has
 * written the server to `*out`, nor after chat_server_stop or chat_server_free has returned. It
 * must return by itself: no longjmp, no C++ exception. A log handler differs: no function of a
 * server may be called in it (see chat_config_set_log_handler).
 *
 * The host. Any number of servers may run in one process, each independent of the others. The
 * library sets no signal handler, reads no environment variable and writes to no standard stream;
 * but a bug (CHAT_ERR_PANIC, CHAT_ERR_FAILED) makes Rust's standard library write to standard
 * error, and read RUST_BACKTRACE. A small allocation that fails writes a line there too, and
 * aborts the process. The library's threads block all signals, so that the host's threads receive
 * them, but those that a fault raises (SEGV, BUS, FPE, ILL, TRAP, SYS): a crash reporter of the
 * host sees a fault in a handler. A handler has 8 MiB of stack. No function is async-signal-safe:
 * a signal handler sets a flag, or writes to a pipe, and a thread of the host makes the call. A
 * thread that is cancelled (pthread_cancel, of the deferred type) in a call ends after the call.
 * The shared library is not unloaded once it is loaded. If the host closes descriptors 0 to 2, an
 * accepted socket gets another number at once, but has one of these for a moment: open /dev/null in
 * their place.
 *
 * Forks. In the child of a fork, every call of a server of the parent returns CHAT_ERR_FORKED. (The
 * first chat_server_start registers a function with pthread_atfork, which counts forks.) The child
 * may exec or exit. It may also start servers of its own, if no server of the parent was starting
 * or writing a log line at the moment of the fork: the child has copies of the locks, but not the
 * threads that release them.
 *
 * Linking. A static program with musl also needs the `libunwind.a` of Rust's target for musl.
 * Another Rust archive in the program must be built without LTO, as libchat.a is
 * (bindings/c/README.md).
 *
 * Versions. As long as CHAT_ABI_VERSION stays the same, symbols, statuses, events, and fields at
 * the end of chat_event, chat_member, chat_message, chat_publish_options and chat_stats may be added,
 * and nothing is changed.
 *
 * Generated from src/ffi by cbindgen. Do not edit.
 */

#ifndef LIBCHAT_H
#define LIBCHAT_H

#include <stddef.h>
#include <stdint.h>

/** Precedes every function. A host may define it, for example as __declspec(dllimport). */
#ifndef CHAT_API
#define CHAT_API
#endif

/** Marks results that must not be ignored. */
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
 * The first number of this header's version. It changes when hosts must be changed.
 */
#define CHAT_VERSION_MAJOR 0

/**
 * The second number of this header's version. It changes when something is added.
 */
#define CHAT_VERSION_MINOR 1

/**
 * The third number of this header's version. It changes when something is repaired.
 */
#define CHAT_VERSION_PATCH 0

/**
 * The version of this header as one number that can be compared: `0xMMmmpp`.
 */
#define CHAT_VERSION_NUMBER (((CHAT_VERSION_MAJOR << 16) | (CHAT_VERSION_MINOR << 8)) | CHAT_VERSION_PATCH)

/**
 * The binary interface (ABI) that this header describes. It does not fit a library with another
 * one: pass it to chat_config_new, which checks that.
 */
#define CHAT_ABI_VERSION 1

/**
 * The size of a buffer that holds any text of chat_position_format, in bytes.
 */
#define CHAT_POSITION_SIZE 40

/**
 * The size of a buffer that holds any address of chat_server_local_addr, in bytes.
 */
#define CHAT_ADDR_SIZE 64

/**
 * The timeout with which chat_server_next_events and chat_server_wait wait without end.
 */
#define CHAT_WAIT_FOREVER UINT32_MAX

/**
 * The number of messages with which chat_server_accept_with_past and chat_server_join_with_past
 * give all that a room keeps.
 */
#define CHAT_PAST_ALL UINT64_MAX

/**
 * The result of a call: 0 is success, errors are negative. A number is never reused. Later
 * versions may add statuses.
 *
 * Functions: chat_status_name, chat_status_message.
 */
enum chat_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Success.
   */
  CHAT_OK = 0,
  /**
   * An argument or an option has a value that is not allowed.
   */
  CHAT_ERR_INVALID_ARGUMENT = -1,
  /**
   * A pointer that must not be NULL is NULL.
   */
  CHAT_ERR_NULL_ARGUMENT = -2,
  /**
   * A text is not UTF-8. Send it as CHAT_BINARY.
   */
  CHAT_ERR_INVALID_UTF8 = -3,
  /**
   * A message or text is longer than its limit, or a buffer is too short.
   */
  CHAT_ERR_TOO_LARGE = -4,
  /**
   * There is no such client, decision, header or listener. A client may just have left; a
   * decision may have been made before, or its time is over.
   */
  CHAT_ERR_NOT_FOUND = -5,
  /**
   * The server is stopping or has stopped.
   */
  CHAT_ERR_STOPPED = -6,
  /**
   * The given time was not enough.
   */
  CHAT_ERR_TIMED_OUT = -7,
  /**
   * Too much waits to be delivered. Nothing was done: publish again later.
   */
  CHAT_ERR_QUEUE_FULL = -8,
  /**
   * The call was made inside the handler that it would wait for. Inside a log handler, every
   * function of a server returns this.
   */
  CHAT_ERR_IN_HANDLER = -9,
  /**
   * The server belongs to another process, and this process was forked from that one.
   */
  CHAT_ERR_FORKED = -10,
  /**
   * The server was started without the option that the call needs.
   */
  CHAT_ERR_UNSUPPORTED = -11,
  /**
   * The client is in as many rooms as it may be: one with events, else max_rooms_per_client. Let
   * it leave one first.
   */
  CHAT_ERR_TOO_MANY_ROOMS = -12,
  /**
   * A part of the server could not go on, so the server has stopped by itself.
   * chat_last_error_message and the log say which part, and why.
   */
  CHAT_ERR_FAILED = -13,
  /**
   * The key was used for another message. Nothing was published: publish each message with its own
   * key.
   */
  CHAT_ERR_KEY_REUSED = -14,
  /**
   * The port is in use.
   */
  CHAT_ERR_ADDRESS_IN_USE = -20,
  /**
   * The address does not belong to this machine.
   */
  CHAT_ERR_ADDRESS_UNAVAILABLE = -21,
  /**
   * The operating system does not permit it, for example a port below 1024.
   */
  CHAT_ERR_PERMISSION_DENIED = -22,
  /**
   * The operating system has no thread, descriptor or memory left.
   */
  CHAT_ERR_RESOURCE_LIMIT = -23,
  /**
   * The operating system reported another error.
   */
  CHAT_ERR_IO = -24,
  /**
   * A bug in libchat. The call had no effect, or only a part of it.
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
 * How a client receives messages.
 *
 * Later versions may add forms: a host must expect others.
 */
enum chat_event_form
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A WebSocket whose messages are the messages themselves.
   */
  CHAT_FORM_PLAIN = 1,
  /**
   * A WebSocket whose messages are objects.
   */
  CHAT_FORM_JSON = 2,
  /**
   * Server-sent events over HTTP, of the messages themselves or of objects. Such a client sends
   * nothing, and is in one room.
   */
  CHAT_FORM_EVENTS = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_event_form chat_event_form;
#else
typedef uint32_t chat_event_form;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a chat_event reports. The events of one client come in this order: CONNECT_REQUEST (if the
 * host decides on clients), CONNECTED, any number of MESSAGE_REQUEST, MESSAGE, SIGNAL, JOINED, LEFT
 * and MESSAGES_DROPPED, DISCONNECTED. If the host joins a client to rooms before it accepts it, those
 * JOINED come before CONNECTED. A client that is not admitted has no CONNECTED.
 *
 * Later versions may add events: a host must ignore those that it does not know.
 */
enum chat_event_type
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A client asks to be connected, and waits for chat_server_accept or chat_server_reject
   * (chat_config_set_admission_timeout). Fields: client, room (which it asks for), form, addr,
   * path, query, headers.
   */
  CHAT_EVENT_CONNECT_REQUEST = 1,
  /**
   * A client has connected and is in its room. Fields: client, identity, room, form, addr, path,
   * query, headers.
   */
  CHAT_EVENT_CONNECTED = 2,
  /**
   * A client published a message, which is being delivered to the room. Fields: client,
   * identity, room, position, kind, data. The message of a client in no room goes to the host
   * alone: then room is empty and there is no position.
   */
  CHAT_EVENT_MESSAGE = 3,
  /**
   * The host has put a client into a room (chat_server_join). Fields: client, identity, room.
   */
  CHAT_EVENT_JOINED = 4,
  /**
   * The host has taken a client out of a room (chat_server_leave). Fields: client, identity,
   * room.
   */
  CHAT_EVENT_LEFT = 5,
  /**
   * A client has disconnected, or was not admitted, and is in no room any more. Its socket may
   * stay open for some seconds, and counts as a connection until then: the server writes what
   * waits for the client and awaits its close frame. A client of events that leaves has the code
   * 1006. Fields: client, identity, code, reason.
   */
  CHAT_EVENT_DISCONNECTED = 6,
  /**
   * Message events were dropped at this point, because the host did not take events in time.
   * Fields: count.
   */
  CHAT_EVENT_EVENTS_DROPPED = 7,
  /**
   * The server has stopped. This is the last event.
   */
  CHAT_EVENT_STOPPED = 8,
  /**
   * The oldest messages that waited for a slow consumer were dropped. Fields: client, count.
   */
  CHAT_EVENT_MESSAGES_DROPPED = 9,
  /**
   * A listener could not accept connections, usually for lack of descriptors. It keeps trying.
   * Reported once for each run of failures. Fields: addr (of the listener), reason (the
   * operating system's text).
   */
  CHAT_EVENT_ACCEPT_FAILED = 10,
  /**
   * A client sent a message, which waits for chat_server_allow, chat_server_allow_changed or
   * chat_server_refuse (chat_config_set_review_timeout). Fields: client, identity, room,
   * decision, kind, data. If the message is published, CHAT_EVENT_MESSAGE follows.
   */
  CHAT_EVENT_MESSAGE_REQUEST = 11,
  /**
   * A client has signalled to the others in a room, or to the host alone
   * (chat_config_set_signal_rate). Fields: client, identity, room (empty if the client is in
   * none), kind, data. While half of the event queue is full, signals are dropped, and counted in
   * `signals_dropped`.
   */
  CHAT_EVENT_SIGNAL = 12,
  /**
   * Somebody has come to a room: the first client of an identity, or a client without one
   * (chat_config_set_members). A client enters its room before it counts as connected, so this
   * comes before its CONNECTED. Fields: client, identity, room.
   */
  CHAT_EVENT_MEMBER_ENTERED = 13,
  /**
   * Somebody is not in a room any more: no client of the identity is there, nor was for the
   * member grace, or a client without identity has left. Fields: client (the last one of the
   * identity), identity, room.
   */
  CHAT_EVENT_MEMBER_LEFT = 14,
  /**
   * A room has got its first client (chat_config_set_occupancy). Of each room, ROOM_OCCUPIED and
   * ROOM_VACATED take turns. Fields: room.
   */
  CHAT_EVENT_ROOM_OCCUPIED = 15,
  /**
   * A room has no client, and had none for the member grace. When the server stops, each room is
   * vacated before STOPPED. Fields: room.
   */
  CHAT_EVENT_ROOM_VACATED = 16,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_event_type chat_event_type;
#else
typedef uint32_t chat_event_type;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Why a page does not begin right after the position of CHAT_RANGE_AFTER, or, with
 * CHAT_RANGE_BEFORE, why the position is none of the room's. A client that comes back with the
 * position is told the same. Later versions may add values.
 */
enum chat_gap
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * There is no gap.
   */
  CHAT_GAP_NONE = 0,
  /**
   * The position is of another history: of another room, or of one that was forgotten.
   */
  CHAT_GAP_EPOCH = 1,
  /**
   * What comes next is not kept any more.
   */
  CHAT_GAP_TRIMMED = 2,
  /**
   * The room has not come that far.
   */
  CHAT_GAP_AHEAD = 3,
  /**
   * Rooms have no history.
   */
  CHAT_GAP_NO_HISTORY = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_gap chat_gap;
#else
typedef uint32_t chat_gap;
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
 * The level of a log line, for chat_config_set_log_handler. A handler for one level also gets the
 * lines of the levels above it in this list.
 */
enum chat_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Something is broken: for example a thread or a handler panicked.
   */
  CHAT_LOG_ERROR = 1,
  /**
   * Something is lost or refused that need not be: connections that cannot be accepted, events
   * that the host does not take, limits that are reached, connections that are aborted at the
   * stop.
   */
  CHAT_LOG_WARN = 2,
  /**
   * The start and stop of the server, and slow consumers: a few lines a day, and at most one
   * line a second of each sort.
   */
  CHAT_LOG_INFO = 3,
  /**
   * Every client that connects, disconnects or is refused: clients decide how many lines.
   */
  CHAT_LOG_DEBUG = 4,
  /**
   * No further lines in this version.
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
 * Who is told who is in a room: for chat_config_set_members.
 */
enum chat_members_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nobody: no members are kept.
   */
  CHAT_MEMBERS_OFF = 1,
  /**
   * The host, and the clients of the JSON form that the host allows it (chat_server_set_members)
   * and that ask for it with `?members=true`.
   */
  CHAT_MEMBERS_HOST = 2,
  /**
   * The host, and each client of the JSON form that asks for it, unless the host does not allow
   * it.
   */
  CHAT_MEMBERS_CLIENTS = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_members_mode chat_members_mode;
#else
typedef uint32_t chat_members_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What happens to a client or a message that the host does not decide on in time: for
 * chat_config_set_overdue.
 */
enum chat_overdue
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The client is rejected with HTTP 503, a client of events with 200 and the event `closing`;
   * the message is refused.
   */
  CHAT_OVERDUE_REFUSE = 1,
  /**
   * The client is accepted; the message is allowed.
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
 * Which messages of those that a room keeps: for chat_server_history.
 */
enum chat_range
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The last ones. The position is not used, and may be NULL.
   */
  CHAT_RANGE_LAST = 0,
  /**
   * The first ones after a position: what a client that has everything up to there lacks. With
   * both fields 0, or NULL, the oldest that are kept.
   */
  CHAT_RANGE_AFTER = 1,
  /**
   * The last ones before a position, without the message at the position. With both fields 0, or
   * NULL, none.
   */
  CHAT_RANGE_BEFORE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum chat_range chat_range;
#else
typedef uint32_t chat_range;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What happens to a client whose outbox is full because it does not read what it is sent: for
 * chat_config_set_slow_consumer.
 */
enum chat_slow_consumer
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The server closes its connection with code 1013 and a reason that says so.
   */
  CHAT_SLOW_CONSUMER_DISCONNECT = 1,
  /**
   * The server drops the oldest whole messages that wait for the client, and reports how many
   * with CHAT_EVENT_MESSAGES_DROPPED. A client of the JSON form is told too: in place of the
   * messages of a room it gets one object `dropped`. Nothing but messages is dropped of it: if
   * more than `outbox_size` of answers and the like waits for it, the server closes its
   * connection with code 1013.
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
 * The options of a server. Every option starts with its default. By default every queue, size
 * and time is bounded.
 *
 * The setters store their values. chat_server_start checks all options at once and names each one
 * that is out of its limits, so a setter fails only for a value that it cannot store.
 *
 * One thread at a time may use a config. It can start several servers, and may be freed as soon as
 * they are started.
 *
 * Functions: chat_config_new, chat_config_free, chat_config_add_listen, chat_config_add_origin,
 * chat_config_set_... for each option, chat_config_set_event_handler, chat_config_set_log_handler,
 * chat_server_start.
 */
typedef struct chat_config chat_config;

/**
 * Why a call failed: its status, a text for people, and the operating system's error number.
 *
 * The host owns it and frees it with chat_error_free. One thread at a time may use it.
 *
 * Functions: chat_error_status, chat_error_os_code, chat_error_message, chat_error_free.
 */
typedef struct chat_error chat_error;

/**
 * A batch of events, in order.
 *
 * The host owns it and frees it with chat_events_free. One thread at a time may use it.
 *
 * Functions: chat_server_next_events, chat_events_len, chat_events_get, chat_events_free.
 */
typedef struct chat_events chat_events;

/**
 * The headers of a client's request, for chat_event_header and chat_event_header_at.
 */
typedef struct chat_headers chat_headers;

/**
 * A page of the messages that a room keeps.
 *
 * The host owns it and frees it with chat_history_free. One thread at a time may use it.
 *
 * Functions: chat_server_history, chat_history_len, chat_history_get, chat_history_has_more,
 * chat_history_gap, chat_history_position, chat_history_free.
 */
typedef struct chat_history chat_history;

/**
 * The members of a room at one time, in the order of their clients' ids.
 *
 * The host owns it and frees it with chat_members_free. Several threads may read it at once.
 *
 * Functions: chat_server_members, chat_members_len, chat_members_get, chat_members_free.
 */
typedef struct chat_members chat_members;

/**
 * A running server.
 *
 * Any thread may call any function of a server at any time. chat_server_free must be the last
 * call, after all others have returned.
 *
 * Functions: chat_server_start, chat_server_local_addr, chat_server_broadcast,
 * chat_server_publish, chat_server_publish_batch, chat_server_publish_with,
 * chat_server_publish_to, chat_server_position, chat_server_history, chat_server_trim,
 * chat_server_forget, chat_server_members, chat_server_member_count, chat_server_set_members,
 * chat_server_signal, chat_server_signal_client, chat_server_send,
 * chat_server_disconnect, chat_server_accept, chat_server_accept_with_past, chat_server_reject,
 * chat_server_join, chat_server_join_with_past, chat_server_leave, chat_server_set_echo,
 * chat_server_set_identity, chat_server_set_name, chat_server_send_to_identity,
 * chat_server_disconnect_identity, chat_server_join_identity, chat_server_leave_identity,
 * chat_server_identity_clients, chat_server_set_subprotocol, chat_server_allow,
 * chat_server_allow_changed, chat_server_refuse, chat_server_refuse_with, chat_server_stats,
 * chat_server_next_events, chat_server_wait, chat_server_request_stop, chat_server_stop,
 * chat_server_free.
 */
typedef struct chat_server chat_server;

/**
 * The id of one client's connection: never 0, never used twice by a server. Clients of two servers
 * may have the same id.
 */
typedef uint64_t chat_client_id;

/**
 * The place of a message in a room's history: which history, and which message of it.
 *
 * A room with history has a random epoch of its own, which no other room has. It keeps the epoch
 * while it exists, and when it comes again after it was forgotten, unless that was too long ago. Two
 * positions of one epoch are of one room, and the larger offset is the later message. Both fields
 * are 0 where there is no position: what is published to a room without history, and the message
 * of a client in no room. This struct never grows.
 *
 * Functions: chat_position_format, chat_position_parse, chat_server_position,
 * chat_server_join_with_past.
 */
typedef struct {
  /**
   * Which history; 0 if there is no position.
   */
  uint64_t epoch;
  /**
   * Which message of it: 1 for the first that the room has stored, 0 for the place before it.
   */
  uint64_t offset;
} chat_position;

/**
 * The id of one decision on a client's message: never 0, never used twice by a server. Decisions of
 * two servers may have the same id.
 */
typedef uint64_t chat_decision_id;

/**
 * An event: something that happened on a server.
 *
 * The library owns the event and all that it points to. They are valid until the handler returns,
 * or until the chat_events that holds the event is freed. Fields that do not belong to the event's
 * type are 0 or empty. Texts are never NULL and are not NUL-terminated. Later versions may add
 * fields at the end, so a host must not make arrays of this struct.
 *
 * Functions: chat_event_header, chat_event_header_at, chat_event_query, chat_event_cookie,
 * chat_event_bearer.
 */
typedef struct {
  /**
   * The type of the event: a CHAT_EVENT_... value.
   */
  uint32_t type;
  /**
   * MESSAGE, MESSAGE_REQUEST, SIGNAL: CHAT_TEXT or CHAT_BINARY.
   */
  uint32_t kind;
  /**
   * The client, in every event about one client.
   */
  chat_client_id client;
  /**
   * MESSAGE: where the message is in the room's history; all 0 without a room, or without history.
   */
  chat_position position;
  /**
   * EVENTS_DROPPED, MESSAGES_DROPPED: how many.
   */
  uint64_t count;
  /**
   * CONNECT_REQUEST, CONNECTED, MESSAGE, MESSAGE_REQUEST, SIGNAL, JOINED, LEFT,
   * MEMBER_ENTERED, MEMBER_LEFT, ROOM_OCCUPIED, ROOM_VACATED: the room.
   */
  const char *room;
  /**
   * The length of `room` in bytes.
   */
  size_t room_len;
  /**
   * MESSAGE, MESSAGE_REQUEST, SIGNAL: the payload, which is UTF-8 if `kind` is CHAT_TEXT.
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
   * CONNECT_REQUEST, CONNECTED: the number of headers.
   */
  size_t header_count;
  /**
   * DISCONNECTED: the close frame's reason, or what ended the connection. ACCEPT_FAILED: the
   * operating system's text.
   */
  const char *reason;
  /**
   * The length of `reason` in bytes.
   */
  size_t reason_len;
  /**
   * DISCONNECTED: the close code, which is the client's own or the one that it was closed with;
   * 1005 if its close frame had no code, 1006 if the connection ended without a close frame.
   */
  uint16_t code;
  /**
   * CONNECTED, MESSAGE, MESSAGE_REQUEST, SIGNAL, JOINED, LEFT, DISCONNECTED,
   * MEMBER_ENTERED, MEMBER_LEFT: the client's identity (chat_server_set_identity); empty if the host has not set
   * one.
   */
  const char *identity;
  /**
   * The length of `identity` in bytes.
   */
  size_t identity_len;
  /**
   * MESSAGE_REQUEST: the id of the decision, for chat_server_allow, chat_server_allow_changed
   * and chat_server_refuse.
   */
  chat_decision_id decision;
  /**
   * CONNECT_REQUEST, CONNECTED: how the client receives messages: a CHAT_FORM_... value.
   */
  uint32_t form;
} chat_event;

/**
 * An event handler. `events` points to `count` events, in order, at least one; they are valid
 * until the handler returns. "Threads" at the top of this file says what a handler may do.
 */
typedef void (*chat_event_fn)(void *user_data, const chat_event *const *events, size_t count);

/**
 * A function that is called when the library will not use `user_data` again.
 */
typedef void (*chat_drop_fn)(void *user_data);

/**
 * What a server has counted since its start. Later versions may add counters at the end.
 *
 * Each counter is exact, but the counters may be of slightly different moments. Functions:
 * chat_server_stats.
 */
typedef struct {
  /**
   * Clients that are connected now.
   */
  uint64_t connections;
  /**
   * Handshakes that are in progress now.
   */
  uint64_t handshakes;
  /**
   * Rooms that exist now: with subscribers or with history.
   */
  uint64_t rooms;
  /**
   * Clients that have connected since the start.
   */
  uint64_t connections_accepted;
  /**
   * Clients that were refused, with an HTTP status or by aborting the connection: they asked for a
   * WebSocket or for events, or sent what is no request, or nothing.
   */
  uint64_t connections_refused;
  /**
   * Times that accepting a connection failed, usually for lack of descriptors.
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
   * Messages that were handed to sockets or outboxes, counted once for each client.
   */
  uint64_t messages_delivered;
  /**
   * Bytes of the frames of these messages.
   */
  uint64_t bytes_delivered;
  /**
   * Messages that were dropped for slow consumers.
   */
  uint64_t messages_dropped;
  /**
   * Clients that were closed as slow consumers.
   */
  uint64_t slow_consumers;
  /**
   * Clients whose connection was aborted because they did not answer a ping.
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
   * Clients that the host did not decide on in time, refused or not (chat_config_set_overdue).
   */
  uint64_t admissions_timed_out;
  /**
   * Messages of clients that were not published, because the host refused them or did not decide
   * in time, or because the server stopped.
   */
  uint64_t messages_refused;
  /**
   * Messages that the host did not decide on in time, refused or not (chat_config_set_overdue).
   */
  uint64_t reviews_timed_out;
  /**
   * Requests for a page, such as `GET /health`, that were answered, whatever the status.
   */
  uint64_t requests_answered;
  /**
   * Signals that clients sent, also those that were dropped; they are among the messages received.
   */
  uint64_t signals_received;
  /**
   * Signals of clients or the host that were dropped: beyond signal_rate, or because an inbox, the
   * event queue or what waits for a room's subscribers was full. One that several workers drop
   * counts for each.
   */
  uint64_t signals_dropped;
  /**
   * Publications with a known key, of clients or the host, which were not published again.
   */
  uint64_t duplicates;
  /**
   * Keys that were forgotten before their time, because too many were known.
   */
  uint64_t keys_evicted;
} chat_stats;

/**
 * One message for chat_server_publish_batch. Set the whole struct to zero first: later versions
 * may add fields at the end, and a field that is zero changes nothing.
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
   * Must be 0. A later header may use it.
   */
  uint32_t reserved;
} chat_message;

/**
 * How a message is published, for chat_server_publish_with and chat_server_publish_to. Set the
 * whole struct to zero first, and then `size`: later versions may add fields at the end, and a
 * field that is zero changes nothing.
 */
typedef struct {
  /**
   * `sizeof(chat_publish_options)`: it tells the library which fields the host's struct has.
   */
  size_t size;
  /**
   * On whose behalf the message is published: what the host calls a client
   * (chat_server_set_identity), at most 256 bytes; NULL for the host itself. Clients do not see
   * it. It is kept with the message, and the key is one of its keys.
   */
  const char *identity;
  /**
   * The length of `identity` in bytes.
   */
  size_t identity_len;
  /**
   * The name under which clients of the JSON form see the message: 1 to 128 bytes without control
   * characters; NULL for none. Such a message has no `client`.
   */
  const char *name;
  /**
   * The length of `name` in bytes.
   */
  size_t name_len;
  /**
   * A name of the message that the host chooses, so that the message is published once however
   * often the host tries: 1 to 64 bytes without control characters; NULL for none. Clients of the
   * JSON form see it. It is known for five minutes after the message was published, within its
   * room and the identity, which shares the keys of clients with that identity; without an identity
   * it is the host's own. A server knows the last 100,000 keys: `keys_evicted` of chat_stats
   * counts those that it has forgotten earlier.
   */
  const char *key;
  /**
   * The length of `key` in bytes.
   */
  size_t key_len;
  /**
   * 1 if the room's history does not get the message, else 0. It is delivered in the room's order
   * to the clients that are in the room now, has no position, and nobody recovers it.
   */
  uint32_t without_history;
  /**
   * Must be 0. A later header may use it.
   */
  uint32_t reserved;
} chat_publish_options;

/**
 * A room, for chat_server_publish_to. This struct never grows.
 */
typedef struct {
  /**
   * The room's name.
   */
  const char *name;
  /**
   * The length of `name` in bytes.
   */
  size_t name_len;
} chat_room_name;

/**
 * A message that a room keeps, and who published it. The library hands it out; later versions may
 * add fields at the end.
 */
typedef struct {
  /**
   * Where the message is in the room's history.
   */
  chat_position position;
  /**
   * The client that published it, which may have left; 0 for the host.
   */
  chat_client_id client;
  /**
   * When it was published, in milliseconds since 1970 by the system's clock. For display: the
   * clock may have been set back.
   */
  uint64_t time;
  /**
   * What the host called its publisher then; empty if nothing. Clients are not told.
   */
  const char *identity;
  /**
   * The length of `identity` in bytes.
   */
  size_t identity_len;
  /**
   * The name that clients of the JSON form see with it; empty if there is none.
   */
  const char *name;
  /**
   * The length of `name` in bytes.
   */
  size_t name_len;
  /**
   * Its key; empty if its publisher gave it none.
   */
  const char *key;
  /**
   * The length of `key` in bytes.
   */
  size_t key_len;
  /**
   * The payload.
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
   * 1 if the client itself said that `name` is its name.
   */
  uint32_t is_name_claimed;
} chat_stored_message;

/**
 * A header of the answer to a client that is rejected, for chat_server_reject.
 */
typedef struct {
  /**
   * The name: letters, digits and hyphens.
   */
  const char *name;
  /**
   * The length of `name` in bytes.
   */
  size_t name_len;
  /**
   * The value, without line breaks and other control characters.
   */
  const char *value;
  /**
   * The length of `value` in bytes.
   */
  size_t value_len;
} chat_header;

/**
 * A client in a room: one of a chat_members, which owns it and all that it points to. Texts are
 * never NULL and are not NUL-terminated. Later versions may add fields at the end, so a host must
 * not make arrays of this struct.
 */
typedef struct {
  /**
   * The client.
   */
  chat_client_id client;
  /**
   * The client's identity (chat_server_set_identity); empty if the host has not set one.
   */
  const char *identity;
  /**
   * The length of `identity` in bytes.
   */
  size_t identity_len;
  /**
   * What other clients are told that it is called (chat_server_set_name); empty if it has no
   * name.
   */
  const char *name;
  /**
   * The length of `name` in bytes.
   */
  size_t name_len;
  /**
   * 1 if only the client itself says that this is its name, else 0.
   */
  uint32_t is_name_claimed;
  /**
   * 1 if its connection has ended and its place waits for it to come back
   * (chat_config_set_member_grace), else 0.
   */
  uint32_t is_away;
} chat_member;

/**
 * A log handler. It gets the line's CHAT_LOG_... level, and its text, which is valid until the
 * handler returns. chat_config_set_log_handler says what a log handler may do.
 */
typedef void (*chat_log_fn)(void *user_data, uint32_t level, const char *text, size_t text_len);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the loaded library, in the form of CHAT_VERSION_NUMBER. Never fails.
 */
CHAT_API uint32_t chat_version_number(void);

/**
 * Returns the version of the loaded library as text, such as "0.1.0". The text is NUL-terminated
 * and belongs to the library: do not free it. Never fails.
 */
CHAT_API const char *chat_version_string(void);

/**
 * Returns the binary interface of the loaded library, in the form of CHAT_ABI_VERSION. Never
 * fails.
 */
CHAT_API uint32_t chat_abi_version(void);

/**
 * Returns the name of a status, such as "CHAT_ERR_STOPPED"; "CHAT_ERR_UNKNOWN" for an unknown
 * number. The text is NUL-terminated and belongs to the library: do not free it. Never fails.
 */
CHAT_API const char *chat_status_name(int32_t status);

/**
 * Returns what a status means, as text for people. The text is NUL-terminated and belongs to the
 * library: do not free it. Never fails.
 */
CHAT_API const char *chat_status_message(int32_t status);

/**
 * Returns the status of the failed call; CHAT_ERR_NULL_ARGUMENT if `error` is NULL.
 */
CHAT_API chat_status chat_error_status(const chat_error *error);

/**
 * Returns the operating system's error number (errno), such as EADDRINUSE; 0 if the operating
 * system reported no error, or if `error` is NULL.
 */
CHAT_API int32_t chat_error_os_code(const chat_error *error);

/**
 * Returns what went wrong and what to do next, as text for people: do not parse it. The text is
 * NUL-terminated and valid until the error is freed. It is empty if `error` is NULL.
 */
CHAT_API const char *chat_error_message(const chat_error *error);

/**
 * Frees an error. NULL is allowed.
 */
CHAT_API void chat_error_free(chat_error *error);

/**
 * Returns why the last call of libchat that failed on this thread failed, and what to do next, as text
 * for people: do not parse it. It names the argument that is wrong, as in `room: it is empty`. Empty
 * if no call of this thread has failed; never NULL.
 *
 * The text is NUL-terminated and belongs to the library: do not free it. It is valid until the
 * thread's next call of libchat that fails, or until the thread ends. A call that succeeds does not
 * change it. A call fails if it returns another status than CHAT_OK; chat_config_new fails if it
 * returns NULL. The calls of other threads do not count: get the text on the thread of the call.
 */
CHAT_API
const char *chat_last_error_message(void);

/**
 * Makes a config in which every option has its default. Pass CHAT_ABI_VERSION.
 *
 * The host owns the config and frees it with chat_config_free. Returns NULL if the header that the
 * host was compiled with does not fit the library.
 */
CHAT_API CHAT_MUST_USE chat_config *chat_config_new(uint32_t abi_version);

/**
 * Frees a config. Servers that were started from it keep running. NULL is allowed.
 */
CHAT_API void chat_config_free(chat_config *config);

/**
 * Adds an address to listen on, with its port. Port 0 takes a free port, which
 * chat_server_local_addr returns.
 *
 * - `127.0.0.1:9001` or `[::1]:9001`: an IP address. `0.0.0.0` is every address of IPv4. `[::]` is
 *   every address of IPv6 and of IPv4; of IPv6 alone if an address of IPv4 with the same port is
 *   added too, or with chat_config_set_ipv6_only.
 * - `:9001`: every address of IPv4 and of IPv6.
 * - `localhost:9001`: all addresses that a name has on this machine. chat_server_start looks the
 *   name up, and waits for the system's resolver.
 *
 * Default: `127.0.0.1:9001`; the first address that is added replaces it. Statuses:
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE.
 */
CHAT_API chat_status chat_config_add_listen(chat_config *config, const char *addr, size_t addr_len);

/**
 * Adds an origin whose pages may connect:
 *
 * - `https://app.example` or `https://app.example:8443`: pages of this scheme, host and port. The
 *   port of the scheme, as in `https://app.example:443`, may be left out.
 * - `*.app.example` as the host, behind the scheme: pages of all its subdomains, at any depth, and
 *   not of `app.example` itself.
 *   It admits every site that has a subdomain there: `*.com` admits nearly every site.
 * - `http://localhost:*`: pages of this host on every port.
 * - `file://` and `null`: pages that were opened from a file; browsers send the one or the other.
 *   `null` is also the origin of sandboxed frames, which every site can have.
 * - `app://localhost` and the like: pages of apps and extensions, as the browser sends it.
 * - `*`: every page.
 *
 * Programs, which send no `Origin` header, may always connect, and so may pages from the server's
 * own host and port: those whose origin names what the request's `Host` header names. A proxy in
 * front must pass this header on, with its port (nginx: `proxy_set_header Host $http_host`).
 *
 * Pages of other origins are answered with HTTP 403, and a text that says what to add. The log has
 * it too, at the level CHAT_LOG_INFO, at most once a second. chat_server_start refuses what is not
 * an origin, such as one with a path or a user name, and says why.
 *
 * Default: no origin, so that only programs and the server's own pages may connect. Statuses:
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE.
 */
CHAT_API
chat_status chat_config_add_origin(chat_config *config,
                                   const char *origin,
                                   size_t origin_len);

/**
 * Sets how many worker threads share the connections. Default: 0, which means one for each core,
 * and at most four. At most 256.
 */
CHAT_API chat_status chat_config_set_workers(chat_config *config, uint32_t threads);

/**
 * Sets how long a worker polls for its next event before it sleeps (busy polling), in
 * microseconds.
 *
 * Where the next event usually comes within this time, polling saves a sleep and a wake-up, which
 * are a large part of a short round trip; the worker may then use a whole core. Where it does not,
 * the worker sleeps at once, and polls once in about a thousand sleeps. If there are more workers
 * than cores, no worker polls. 0: no worker polls, which leaves the most processor time to the
 * rest of the program. Default: 15. At most 1,000.
 */
CHAT_API chat_status chat_config_set_busy_poll(chat_config *config, uint32_t time_us);

/**
 * Sets whether `[::]` is every address of IPv6 alone, so that another program can have the port
 * for IPv4. `ipv6_only` is 0 or 1. Default: 0, which lets it be every address of IPv4 too.
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for another number.
 */
CHAT_API chat_status chat_config_set_ipv6_only(chat_config *config, uint32_t ipv6_only);

/**
 * Sets whether a sender receives its own messages when they are published. A client overrides this
 * for itself with `?echo=false` or `?echo=true`, and the host with chat_server_set_echo. A client
 * that gets a room's past gets its own messages in it in any case. `echo` is 0 or 1. Default: 1.
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for another number.
 */
CHAT_API chat_status chat_config_set_echo(chat_config *config, uint32_t echo);

/**
 * Sets how many clients may be connected at once. A further client is answered with HTTP 503; a
 * client of events with 200 and the event `closing`, so that it comes back. Default: 65,536. From 1
 * to 100,000,000.
 */
CHAT_API chat_status chat_config_set_max_connections(chat_config *config, uint32_t count);

/**
 * Sets how many rooms one client may be in at once, the room that it asks for included
 * (chat_server_join). Default: 1,000. From 1 to 1,000,000.
 */
CHAT_API chat_status chat_config_set_max_rooms_per_client(chat_config *config, uint32_t rooms);

/**
 * Sets how many connections may be in their handshake at once. A further connection is answered
 * with HTTP 503, a client of events with 200 and the event `closing`; if nothing of a request has
 * come, it is closed without an answer. Requests for pages such as `/health` count
 * too. HTTP connections that are kept between requests do not: there may be half as many of them.
 * Default: 1,024. From 1 to 1,000,000.
 */
CHAT_API chat_status chat_config_set_max_handshakes(chat_config *config, uint32_t count);

/**
 * Sets how long a handshake may take in total, from the accepted connection to the upgrade, in
 * milliseconds. A handshake that takes longer is answered with HTTP 408 and closed; if nothing of
 * a request has come, it is closed without an answer. The same time holds for requests for pages
 * such as `/health`, and on an HTTP connection that is kept for the wait for each further request,
 * and for that request. Default: 5,000. From 10 to 86,400,000 (1 day).
 */
CHAT_API chat_status chat_config_set_handshake_timeout(chat_config *config, uint32_t timeout_ms);

/**
 * Sets how long the head of a handshake may be, in bytes. A longer head, or one with more than 100
 * headers, is answered with HTTP 431. Default: 16 KiB. From 8 KiB to 1 MiB.
 */
CHAT_API chat_status chat_config_set_handshake_size(chat_config *config, size_t bytes);

/**
 * Sets the path under which the server is served, for a proxy in front that passes it on as it is:
 * with `/chat`, clients connect to `/chat/` and `/chat/rooms/{room}`, and everything outside of it is
 * answered with HTTP 404. `/health` and `/ready` are answered with it and without. The `path` of an
 * event's request is as it came.
 *
 * Default: empty, which means `/`. It begins with a slash and does not end with one, has no `%`, and at
 * most 256 bytes; chat_server_start says what is wrong with another one. Statuses:
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE.
 */
CHAT_API
chat_status chat_config_set_base_path(chat_config *config,
                                      const char *path,
                                      size_t path_len);

/**
 * Sets how long the host may take to decide on a client that asks to be connected, in
 * milliseconds. 0: the host does not decide, and every client is accepted.
 *
 * With a time, each client waits for the host's decision. The host gets CHAT_EVENT_CONNECT_REQUEST
 * and calls chat_server_accept or chat_server_reject, from any thread. A client that it does not
 * decide on in time is counted in `admissions_timed_out`, and rejected with HTTP 503 (a client of
 * events with 200 and the event `closing`) unless chat_config_set_overdue says otherwise. No other
 * client waits.
 *
 * Default: 0. From 10 to 86,400,000 (1 day), or 0. A time needs an event handler or
 * chat_config_set_event_queue.
 */
CHAT_API chat_status chat_config_set_admission_timeout(chat_config *config, uint32_t timeout_ms);

/**
 * Sets how long the host may take to decide on a message of a client before it is published, in
 * milliseconds. 0: the host does not decide, and every message is published.
 *
 * With a time, each message waits for the host's decision. The host gets
 * CHAT_EVENT_MESSAGE_REQUEST and calls chat_server_allow, chat_server_allow_changed or
 * chat_server_refuse, from any thread. A message that it does not decide on in time is counted in
 * `reviews_timed_out`, and refused unless chat_config_set_overdue says otherwise. The messages of
 * one client keep their order; those of other clients do not wait for them. While 64 messages or 1
 * MiB of a client are undecided, the server does not read from that client. These bounds are soft:
 * of what one read of at most 64 KiB held, which can be 10,922 empty messages, every message is
 * asked about. A message that does not fit into the event queue is refused, whatever
 * chat_config_set_overdue says, and counted in `messages_refused` and `events_dropped`.
 *
 * Default: 0. From 10 to 86,400,000 (1 day), or 0. A time needs an event handler or
 * chat_config_set_event_queue.
 */
CHAT_API chat_status chat_config_set_review_timeout(chat_config *config, uint32_t timeout_ms);

/**
 * Sets what happens to a client or a message that the host does not decide on in time: a
 * CHAT_OVERDUE_... value. Default: CHAT_OVERDUE_REFUSE, so that a slow host lets nobody in.
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown value.
 */
CHAT_API chat_status chat_config_set_overdue(chat_config *config, uint32_t outcome);

/**
 * Sets how long a message may be, in bytes of payload. A client that sends a longer message is
 * closed with code 1009, or told `refused` if it uses the JSON form; a longer message of the host
 * is CHAT_ERR_TOO_LARGE. Default: 1 MiB, or what `outbox_size` holds if that is set and less: 3/4 of
 * (`outbox_size` - 4 KiB). From 1 byte to 1 GiB.
 */
CHAT_API
chat_status chat_config_set_max_message_size(chat_config *config,
                                             size_t bytes);

/**
 * Sets how many bytes may wait for one client that does not read them. Beyond this size the client
 * is a slow consumer. The memory that keeps the bytes counts too: about 130 bytes for each write.
 * Default: 4 MiB, a burst of 10,000 chat messages, or 4 times `max_message_size` if that is more.
 * At least 4/3 of `max_message_size` + 4 KiB, so that it holds a message in base64, at most 64 GiB.
 */
CHAT_API chat_status chat_config_set_outbox_size(chat_config *config, size_t bytes);

/**
 * Sets how long the oldest byte may wait for a client that does not read it, in milliseconds.
 * After this time the client is a slow consumer. Default: 5,000. From 10 to 86,400,000 (1 day).
 */
CHAT_API chat_status chat_config_set_outbox_age(chat_config *config, uint32_t age_ms);

/**
 * Sets what happens to a slow consumer: a CHAT_SLOW_CONSUMER_... value. Default:
 * CHAT_SLOW_CONSUMER_DISCONNECT. A client of events is always disconnected: it comes back, and
 * recovers. Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown value.
 */
CHAT_API chat_status chat_config_set_slow_consumer(chat_config *config, uint32_t policy);

/**
 * Sets how often the server pings a client, in milliseconds; 0: never; a client of events
 * gets the event `ping` every 25,000 then. Default: 25,000, which suits phones. From 10 to
 * 86,400,000 (1 day), or 0.
 */
CHAT_API chat_status chat_config_set_ping_interval(chat_config *config, uint32_t interval_ms);

/**
 * Sets how long a client may take to answer a ping, in milliseconds; any bytes are an answer. The
 * server aborts the connection of a client that does not answer: at most ping interval + ping
 * timeout after the client's last byte.
 *
 * With CHAT_SLOW_CONSUMER_DISCONNECT, a connection is also aborted when the client's machine does
 * not acknowledge data for 1 s more than the longer of ping timeout and outbox age. Default:
 * 10,000. From 10 to 86,400,000 (1 day).
 */
CHAT_API chat_status chat_config_set_ping_timeout(chat_config *config, uint32_t timeout_ms);

/**
 * Sets how long a connection may be without traffic until TCP keepalive probes are sent, and the
 * time between them, in milliseconds; 0: no probes. Default: 15,000. Whole seconds from 1,000 to
 * 32,400,000 (9 hours), or 0.
 */
CHAT_API chat_status chat_config_set_tcp_keepalive(chat_config *config, uint32_t idle_ms);

/**
 * Sets how long a call of the host waits while more waits to be delivered than the server may
 * keep, in milliseconds. After this time the call returns CHAT_ERR_QUEUE_FULL; with 0, at once. It
 * holds for chat_server_broadcast, _publish, _publish_batch (the whole batch), _publish_with,
 * _publish_to (all rooms together), _send, _join, _join_with_past, _leave, _set_echo, _set_identity,
 * _set_name, _set_members, _send_to_identity, _join_identity, _leave_identity and _forget. Default: 5,000. At most 86,400,000 (1 day).
 */
CHAT_API
chat_status chat_config_set_publish_timeout(chat_config *config,
                                            uint32_t timeout_ms);

/**
 * Sets how many events may wait for the host; 0: no events are collected, or, with an event
 * handler, as many as by default.
 *
 * When this many events wait, or when their messages and requests hold 64 MiB, message events are
 * dropped and counted, and a message that needs a decision is refused. Connects and disconnects
 * are never dropped: while the queue is full, further clients are answered with HTTP 503, clients
 * of events with 200 and the event `closing`. While 65,536 events more than this wait,
 * chat_server_join and chat_server_leave wait too, up to publish_timeout (in an event handler not
 * at all), and return CHAT_ERR_QUEUE_FULL. Default: 0, or 65,536 if there is a handler. At most
 * 16,777,216.
 */
CHAT_API chat_status chat_config_set_event_queue(chat_config *config, uint32_t events);

/**
 * Sets the function that is called with events, in order and in batches. Without a handler, the
 * host takes events with chat_server_next_events.
 *
 * `user_data` is passed to each call; the library never looks behind it. `drop`, which may be
 * NULL, is called with it exactly once, after the last call: when the config is freed and every
 * server that was started from it has stopped, when another handler replaces this one, or at once
 * if this function fails. `drop` may run on any thread, and must not use the config. Default: no
 * handler. Statuses: only those that every function may return.
 */
CHAT_API
chat_status chat_config_set_event_handler(chat_config *config,
                                          chat_event_fn handler,
                                          void *user_data,
                                          chat_drop_fn drop);

/**
 * Sets how many messages a room keeps: for clients that ask for the last ones (`?history=N`), that
 * come back (`?since=POSITION`), or that get them of the host (chat_server_join_with_past); 0:
 * none. Default: 1,000. At most 1,000,000.
 */
CHAT_API chat_status chat_config_set_history_messages(chat_config *config, uint32_t count);

/**
 * Sets how many bytes of messages a room keeps; 0: none. Each message counts with 128 bytes more,
 * for what keeps it, and a client that published it with about 90 bytes and its name, once for
 * messages of it that follow each other. A room always keeps its last message, also one that is longer than this.
 * Default: 4 MiB, or 4 times `max_message_size` if that is more. At most 64 GiB.
 */
CHAT_API
chat_status chat_config_set_history_size(chat_config *config,
                                         size_t bytes);

/**
 * Sets how long a room keeps a message, in milliseconds. Default: 3,600,000 (1 hour). From 10 to
 * 864,000,000,000 (10,000 days).
 */
CHAT_API chat_status chat_config_set_history_age(chat_config *config, uint64_t age_ms);

/**
 * Sets how many bytes of messages all rooms together keep. Beyond this size, the rooms that have
 * been without subscribers for longest lose their history first, and then large rooms lose their
 * oldest messages. 0: none. Default: 64 MiB, or what one room keeps if that is more:
 * `history_size`, and `max_message_size` + 4 KiB. At least `max_message_size` + 4 KiB, or 0. At
 * most 1 TiB.
 */
CHAT_API chat_status chat_config_set_history_total(chat_config *config, size_t bytes);

/**
 * Sets how many signals a client may send in a second: what others are told at once and nobody
 * stores, such as that somebody types, where a pointer is, or that a program may stop to write its
 * answer. 0: clients may send none, and are told `refused`, `forbidden`. The host may always signal
 * (chat_server_signal).
 *
 * What a client sends within two seconds may come at once. Signals beyond the rate are dropped and
 * counted in `signals_dropped`. They pass no review: every client that is connected may signal to
 * the rooms that it is in. Clients of the JSON form can send them, each of at most 4 KiB. The host
 * gets CHAT_EVENT_SIGNAL of each. Default: 0. At most 1,000,000.
 */
CHAT_API chat_status chat_config_set_signal_rate(chat_config *config, uint32_t per_second);

/**
 * Sets who is told who is in a room: a CHAT_MEMBERS_... value. The host gets
 * CHAT_EVENT_MEMBER_ENTERED and CHAT_EVENT_MEMBER_LEFT, and calls chat_server_members and
 * chat_server_member_count. A client of the JSON form that connects with `?members=true` is told
 * who is in its rooms, if it may know. Of a room with more than 200 members it is told the number
 * alone. It gets at most four objects a second of each room.
 *
 * Default: CHAT_MEMBERS_OFF. Another value needs an `outbox_size` of at least 128 KiB. Statuses:
 * CHAT_ERR_INVALID_ARGUMENT for an unknown value.
 */
CHAT_API chat_status chat_config_set_members(chat_config *config, uint32_t mode);

/**
 * Sets for how long the place of a client in a room is kept when its connection ends, in
 * milliseconds, so that one that comes back is not said to have left; 0: each leaves at once. It
 * holds for clients with an identity (chat_server_set_identity): another connection with the same
 * identity takes the place over. A client that the host disconnects or takes out of the room leaves
 * at once, and so does one that never was admitted. A room counts as occupied for the same time after
 * its last client has left (chat_config_set_occupancy). Default: 2,000. At most 60,000. Of
 * `max_connections` times 16 places and rooms that are kept so, the oldest are given up earlier.
 */
CHAT_API
chat_status chat_config_set_member_grace(chat_config *config,
                                         uint32_t grace_ms);

/**
 * Sets whether the host is told when a room gets its first client (CHAT_EVENT_ROOM_OCCUPIED), and
 * when it has had none for the member grace (CHAT_EVENT_ROOM_VACATED): 1 or 0. There is no event for
 * each client between. It does not need chat_config_set_members. Default: 0. Statuses:
 * CHAT_ERR_INVALID_ARGUMENT for another value.
 */
CHAT_API
chat_status chat_config_set_occupancy(chat_config *config,
                                      uint32_t occupancy);

/**
 * Writes a position as NUL-terminated text, EPOCH-OFFSET: the epoch in lower-case base 36, the
 * offset in decimal, such as `1kx9w4c-42`. No position is `0-0`.
 *
 * `buf` holds `cap` bytes; CHAT_POSITION_SIZE bytes are always enough. `*len`, if `len` is not NULL,
 * is the length without the NUL. Statuses: CHAT_ERR_TOO_LARGE if the buffer is too small.
 */
CHAT_API
chat_status chat_position_format(const chat_position *position,
                                 char *buf,
                                 size_t cap,
                                 size_t *len);

/**
 * Reads a position of the text that chat_position_format has written.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT if it is another text, CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE.
 */
CHAT_API
chat_status chat_position_parse(const char *text,
                                size_t text_len,
                                chat_position *position);

/**
 * Starts a server with a copy of the config. The server listens when this returns, and runs on its
 * own threads.
 *
 * On success, `*out` is the server: the host owns it and frees it with chat_server_free. On
 * failure, `*error` says why, if `error` is not NULL; the host frees it with chat_error_free. An
 * event handler is not called before `*out` is written, so it may read the server from there.
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
 * Writes the address and port of a listener as NUL-terminated text. Listeners are numbered from 0,
 * in the order in which they were added to the config.
 *
 * `buf` holds `cap` bytes; CHAT_ADDR_SIZE bytes are always enough. `*len`, if `len` is not NULL,
 * is the length without the NUL. It works after the stop too. Statuses: CHAT_ERR_NOT_FOUND if
 * there is no listener with this index, CHAT_ERR_TOO_LARGE if the buffer is too short.
 */
CHAT_API
chat_status chat_server_local_addr(const chat_server *server,
                                   size_t index,
                                   char *buf,
                                   size_t cap,
                                   size_t *len);

/**
 * Reads the counters; it works after the stop too. Pass `sizeof(chat_stats)` as `out_size`. The
 * library fills the counters that both sides know, and sets the rest of the struct to zero.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT if `out_size` is 0 or more than 4,096.
 */
CHAT_API chat_status chat_server_stats(const chat_server *server, chat_stats *out, size_t out_size);

/**
 * Takes the events that wait, the oldest first and at most 1,024, or waits for one, up to
 * `timeout_ms` milliseconds; CHAT_WAIT_FOREVER waits without end. CHAT_EVENT_STOPPED is the last
 * event, and ends every wait.
 *
 * `*out` is a batch of at least one event: the host owns it and frees it with chat_events_free.
 * Statuses: CHAT_ERR_TIMED_OUT; CHAT_ERR_STOPPED once CHAT_EVENT_STOPPED has been taken;
 * CHAT_ERR_UNSUPPORTED if no events are collected (chat_config_set_event_queue) or if a handler
 * gets them.
 */
CHAT_API
chat_status chat_server_next_events(chat_server *server,
                                    uint32_t timeout_ms,
                                    chat_events **out);

/**
 * Waits until a server has ended, up to `timeout_ms` milliseconds; CHAT_WAIT_FOREVER waits without
 * end. CHAT_OK: the server was stopped, its ports are free, its clients are gone. An event handler
 * may still get the events that are left. It works after the end too.
 *
 * A server ends when the host stops it. It also ends by itself, with CHAT_ERR_FAILED, when one of
 * its threads cannot go on, for example because of a bug in libchat: chat_last_error_message says
 * which, and why, and so does the log. So a host that takes no events learns here that the server is
 * gone. Statuses: CHAT_ERR_TIMED_OUT if the server still runs, CHAT_ERR_FAILED.
 */
CHAT_API
chat_status chat_server_wait(const chat_server *server,
                             uint32_t timeout_ms);

/**
 * Begins to stop a server as chat_server_stop does, with 5 s for the clients, and returns at
 * once. For handlers. To wait for the end, call chat_server_stop, which can also shorten the time.
 */
CHAT_API chat_status chat_server_request_stop(chat_server *server);

/**
 * Stops a server: it accepts no further connection, delivers every message that was published
 * before, closes every client with code 1001, and waits up to `drain_ms` milliseconds for their
 * answers. It aborts the connections that are left then. Event streams (CHAT_FORM_EVENTS) end one
 * after the other, a millisecond for each, over at most half of that time.
 *
 * When this returns, the ports are free and no handler runs. It therefore also waits, longer than
 * `drain_ms` if need be, until the event handler has returned and has got the events that are
 * left: do not hold a lock that the handler needs. A host that does not want them sets a flag
 * behind `user_data`, at which its handler returns. The handle stays valid until chat_server_free,
 * and the server may be stopped again. Statuses: CHAT_ERR_TIMED_OUT, once, if connections were
 * aborted, and CHAT_ERR_FAILED if the server had ended by itself (chat_server_wait): the server has
 * stopped all the same; CHAT_ERR_IN_HANDLER inside an event handler of this server (nothing is
 * done: call chat_server_request_stop).
 */
CHAT_API chat_status chat_server_stop(chat_server *server, uint32_t drain_ms);

/**
 * Frees a server. If it still runs, stops it at once, without a drain (chat_server_stop drains).
 * NULL is allowed.
 *
 * This must be the last call on the server: no other call may be running in a thread of the host,
 * and none may follow. As in chat_server_stop, this waits until the event handler has got the
 * events that are left. The handler may use the server until it returns, and is not called after
 * that.
 *
 * Inside an event handler of this server, the handler is not called again. The rest of the server
 * ends after the handler has returned; the handler's `drop` is called when it has ended. In a fork
 * of the server's process the call does nothing.
 */
CHAT_API void chat_server_free(chat_server *server);

/**
 * Broadcasts a message to every client of this server, whatever its rooms. The message is in no
 * room's order or history. The calls of one thread reach each client in the order in which they
 * were made. `kind` is CHAT_TEXT or CHAT_BINARY.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown kind, CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_RESOURCE_LIMIT, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_broadcast(chat_server *server,
                                  uint32_t kind,
                                  const uint8_t *data,
                                  size_t data_len);

/**
 * Publishes a message to a room: the message gets its place in the room's order, is delivered to
 * every client in the room, and is added to the room's history. The name of a room is 1 to 128
 * bytes of UTF-8 without control characters, and not `.` or `..`, which clients take for steps in a
 * path; the room of the path `/` is `lobby`. `kind` is CHAT_TEXT or CHAT_BINARY.
 *
 * `*position`, if `position` is not NULL, is where the message is in the room's history; both fields
 * are 0 if rooms have no history.
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have or an unknown kind,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_RESOURCE_LIMIT,
 * CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_publish(chat_server *server,
                                const char *room,
                                size_t room_len,
                                uint32_t kind,
                                const uint8_t *data,
                                size_t data_len,
                                chat_position *position);

/**
 * Tells where a room stands: the position of the last message that it has stored. What is published
 * later comes after it, and a client that connects with `?since=POSITION` gets all of that. Both
 * fields are 0 if rooms have no history.
 *
 * The room need not exist: it begins at this position, unless it comes into being more than a day
 * later, or 65,536 other rooms were forgotten meanwhile (16,384 if the room has never stored a
 * message). Statuses: CHAT_ERR_INVALID_ARGUMENT for a
 * name that no room can have, CHAT_ERR_INVALID_UTF8, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_position(chat_server *server,
                                 const char *room,
                                 size_t room_len,
                                 chat_position *position);

/**
 * Publishes `count` messages in their order, each as chat_server_publish does. This costs less
 * than as many calls, above all if messages to the same room follow each other: up to 256 of these
 * get consecutive offsets, and no message of another publisher comes between them.
 *
 * `messages` is an array. `stride` is `sizeof(chat_message)`: it tells the library which fields
 * the host's struct has. NULL with a `count` of 0 is allowed. `*published`, if `published` is not
 * NULL, is the number of messages that were published, from the first on. `positions`, if it is not
 * NULL, is an array of `count` positions: those of the messages that were published are written, in
 * their order. Both are written on failure too.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a stride that is no size of the struct or a `reserved`
 * that is not 0; for any of the messages, the statuses of chat_server_publish. On failure no
 * message was published, except with CHAT_ERR_QUEUE_FULL and CHAT_ERR_STOPPED, which can come
 * after some messages were. The whole batch waits for at most one publish_timeout.
 */
CHAT_API
chat_status chat_server_publish_batch(chat_server *server,
                                      const chat_message *messages,
                                      size_t stride,
                                      size_t count,
                                      size_t *published,
                                      chat_position *positions);

/**
 * Publishes a message to a room, as chat_server_publish does, and as `options` says; NULL is the
 * default. With a key that is known nothing is published, and the call succeeds: `*is_duplicate` is
 * 1, and `*position` is where the message is. So a host that does not know whether a call had an
 * effect makes it again. `position` and `is_duplicate` may be NULL.
 *
 * A client's message with the same identity and key that waits for review does not hold this call
 * up: the host's message is published, and the client's becomes the duplicate.
 *
 * Statuses: those of chat_server_publish; CHAT_ERR_INVALID_ARGUMENT for a key or a name that breaks
 * the rules, for a `size` that is no size of the struct and a `reserved` that is not 0;
 * CHAT_ERR_TOO_LARGE for an identity of more than 256 bytes; CHAT_ERR_KEY_REUSED if the key was used
 * for another message.
 */
CHAT_API
chat_status chat_server_publish_with(chat_server *server,
                                     const char *room,
                                     size_t room_len,
                                     uint32_t kind,
                                     const uint8_t *data,
                                     size_t data_len,
                                     const chat_publish_options *options,
                                     chat_position *position,
                                     uint32_t *is_duplicate);

/**
 * Publishes one message to `count` rooms, one after the other, as chat_server_publish_with does to
 * each. The payload is kept once for all of them. NULL with a `count` of 0 is allowed.
 *
 * `*published`, if `published` is not NULL, is the number of rooms that the message was published
 * to, from the first on. `positions` and `duplicates`, if they are not NULL, are arrays of `count`
 * elements: for each of these rooms the position of the message there, and 1 if it was there before,
 * else 0. All three are written on failure too.
 *
 * Statuses: those of chat_server_publish_with. On failure the message was published to no room,
 * except with CHAT_ERR_QUEUE_FULL, CHAT_ERR_KEY_REUSED and CHAT_ERR_STOPPED, which can come after
 * some rooms. With a key the host can make the same call again. The call waits for at most one
 * publish_timeout.
 */
CHAT_API
chat_status chat_server_publish_to(chat_server *server,
                                   const chat_room_name *rooms,
                                   size_t count,
                                   uint32_t kind,
                                   const uint8_t *data,
                                   size_t data_len,
                                   const chat_publish_options *options,
                                   size_t *published,
                                   chat_position *positions,
                                   uint32_t *duplicates);

/**
 * Reads a part of what a room keeps, up to `limit` messages, the oldest first: who said what, and
 * when. `range` is CHAT_RANGE_LAST, CHAT_RANGE_AFTER or CHAT_RANGE_BEFORE; `*position` is the
 * position of the latter two, and may be NULL for none. All is as it was at one moment, also
 * chat_history_position, from which a client or a later page goes on without a gap.
 *
 * To read all that a room keeps, begin with CHAT_RANGE_AFTER and NULL, and go on after the last
 * message while chat_history_has_more; or begin with CHAT_RANGE_LAST and go on before the first. A
 * page has at most what the room keeps (chat_config_set_history_messages and what follows it), and
 * at most 10,000 messages, and 16 MiB of payloads or one message. The payloads are shared with the
 * room: they stay in memory until the page is freed, and the room may forget them. A room that does
 * not exist keeps nothing.
 *
 * `*out` is the page: the host owns it and frees it with chat_history_free. Any thread may call
 * this, also in a handler.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have and an unknown range,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_history(chat_server *server,
                                const char *room,
                                size_t room_len,
                                uint32_t range,
                                const chat_position *position,
                                size_t limit,
                                chat_history **out);

/**
 * Returns how many messages a page holds; 0 if `history` is NULL.
 */
CHAT_API size_t chat_history_len(const chat_history *history);

/**
 * Returns a message of a page by its index, which counts from 0, the oldest. It belongs to the page,
 * and it and all that it points to are valid until the page is freed. Returns NULL if there is no
 * message with this index or `history` is NULL.
 */
CHAT_API
const chat_stored_message *chat_history_get(const chat_history *history,
                                            size_t index);

/**
 * Returns 1 if the room keeps more messages in the direction of the range: later ones with
 * CHAT_RANGE_AFTER, else earlier ones. Returns 0 if not, or if `history` is NULL.
 */
CHAT_API uint32_t chat_history_has_more(const chat_history *history);

/**
 * Returns the CHAT_GAP_... of a page; CHAT_GAP_NONE if `history` is NULL. After a gap a page of
 * CHAT_RANGE_AFTER begins with the oldest message that the room keeps.
 */
CHAT_API uint32_t chat_history_gap(const chat_history *history);

/**
 * Writes where the room stood when the page was read: the position of its last message, in the page
 * or not. Both fields are 0 if rooms have no history.
 */
CHAT_API chat_status chat_history_position(const chat_history *history, chat_position *position);

/**
 * Frees a page, and all that its messages point to. NULL is allowed.
 */
CHAT_API void chat_history_free(chat_history *history);

/**
 * Drops the messages of a room up to a position, that of the position included. They are not
 * replayed any more, nor in pages, and count no more in chat_config_set_history_total. With the
 * room's own position (chat_server_position) the room keeps nothing.
 *
 * Positions stay as they are. A client that comes back with an earlier one is told `trimmed`, and
 * gets what the room keeps; one that comes back with `*up_to` or a later one gets what it lacks. A
 * replay that is under way goes on as it began. Nothing happens if the messages are gone already,
 * or there is no such room. Any thread may call this, also in a handler.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have, and for a position that is
 * none, is of another history, or that the room has not reached; CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_trim(chat_server *server,
                             const char *room,
                             size_t room_len,
                             const chat_position *up_to);

/**
 * Drops all that a room keeps, and begins a new history: from here on its positions have another
 * epoch, so that no earlier position leads anywhere. A client that comes back with one is told
 * `epoch`, and gets what the room keeps by then.
 *
 * Clients that are in the room stay, and receive what is published to it. Those of the JSON form
 * are told, behind the last message of the old history, that they are in another one: `entered`
 * with the new position, `"recovered":false` and the reason `epoch`; clients of events get the
 * event `gap`. Plain clients are told nothing. A replay that is under way goes on as it began, and
 * comes before that. To drop messages and leave positions as they are, use chat_server_trim.
 *
 * Offsets go on, so that two messages of a room never have the same. A room without clients is
 * forgotten, also where it stood. A message with a key that is still known stays a duplicate of the
 * earlier one. Without history nothing happens. Any thread may call this, also in a handler.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have, CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL as for chat_server_publish: then nothing has changed.
 * CHAT_ERR_STOPPED.
 */
CHAT_API chat_status chat_server_forget(chat_server *server, const char *room, size_t room_len);

/**
 * Sends a message to one client. `kind` is CHAT_TEXT or CHAT_BINARY.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_RESOURCE_LIMIT,
 * CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_send(chat_server *server,
                             chat_client_id client,
                             uint32_t kind,
                             const uint8_t *data,
                             size_t data_len);

/**
 * Closes a client's connection after the messages that were sent to it before, and does not wait
 * for the client. What the client sends after this call has returned is not heard. `code` is a
 * close code of 1000 to 1003, 1007 to 1013 or 3000 to 4999; the reason is at most 123 bytes long
 * and may be empty. A client that waits for admission is rejected with HTTP 403 and the reason.
 *
 * A client of events gets the event `closing` with 1001, 1011, 1012 and 1013, and comes back; with
 * every other code it gets `closed`.
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
 * Puts a client into a room, in addition to the rooms that it is in. The client receives what is
 * published to the room from this call on. What the client sends is published to one of its rooms:
 * the one that it joined first; this holds for all that it sends after the call has returned. The
 * host gets CHAT_EVENT_JOINED, unless the client is already in the room.
 *
 * The client gets nothing of the room's past: chat_server_join_with_past gives it.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for a name that no room can have,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_TOO_MANY_ROOMS if the client is in as many
 * rooms as it may be (chat_config_set_max_rooms_per_client; a client of events in one: let it leave
 * that first), CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_join(chat_server *server,
                             chat_client_id client,
                             const char *room,
                             size_t room_len);

/**
 * Puts a client into a room as chat_server_join does, which is this with 0, and gives it the last
 * `past` messages that the room keeps (chat_config_set_history_messages): 0 is none, CHAT_PAST_ALL
 * is all. The client need not have asked for them. It receives them first, and then what is
 * published from this call on: nothing is missing between them, and nothing comes twice.
 *
 * A client that comes back gets what it lacks, if that is at most `past` messages, and otherwise
 * the last `past`. `*since` is the position up to which it has everything, such as that of the
 * room when a page was rendered (chat_server_position). If `since` is NULL, or both fields are 0,
 * the server uses the position that the client sent for this room (`?since.ROOM=POSITION`; for the
 * room of its path also `?since=`), once: when the client first enters it, whichever call puts it
 * there. What a client of events sends as `Last-Event-ID` or `?since=` counts for the room that it
 * enters first. A position of another room or of a history that is gone is no error: the client
 * does not recover.
 *
 * A plain client receives the past as messages like all others. A client of the JSON form is told
 * where the past begins (`entered`), whether it recovers (`recovered`, and the `reason` if not)
 * and that the past is over (`live`); it gets no earlier message either if it asks for them
 * (`history`). A client that is in the room already gets nothing.
 *
 * Statuses: those of chat_server_join.
 */
CHAT_API
chat_status chat_server_join_with_past(chat_server *server,
                                       chat_client_id client,
                                       const char *room,
                                       size_t room_len,
                                       uint64_t past,
                                       const chat_position *since);

/**
 * Takes a client out of a room. The client receives nothing that is published to the room from
 * this call on, and what it sends after the call has returned does not go there. What a client in
 * no room sends goes to the host alone. The host gets CHAT_EVENT_LEFT, unless the client is not in
 * the room.
 *
 * Statuses: those of chat_server_join but CHAT_ERR_TOO_MANY_ROOMS.
 */
CHAT_API
chat_status chat_server_leave(chat_server *server,
                              chat_client_id client,
                              const char *room,
                              size_t room_len);

/**
 * Sets a client's identity: the host's name for it, such as the name of its user. All later events
 * of the client carry it, and so does the event of every message that the client sends after the
 * call has returned. At most 256 bytes of UTF-8. Clients do not see it; what they see is the name
 * (chat_server_set_name). Several clients may have one identity: chat_server_send_to_identity and
 * the calls like it reach them all, this client from when this call has returned. An empty identity
 * takes the identity back: the client then has none.
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
 * Sets the name under which other clients see a client's messages: all that it sends after the
 * call has returned. At most 128 bytes of UTF-8 without control characters. By default a client
 * has the name that it claims itself with `?name=`, or none. The host's name replaces a claimed
 * one. An empty name takes the name back, the host's and the claimed one: the client then has
 * none.
 *
 * Clients of the JSON form see names, and of claimed ones that they are claimed
 * (`"claimed":true`); plain clients see none. A message that a room keeps keeps its name. Several
 * clients may have one name: what the host knows a client by is the identity.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for a longer name or one with control
 * characters, CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_set_name(chat_server *server,
                                 chat_client_id client,
                                 const char *name,
                                 size_t name_len);

/**
 * Sets whether a client receives its own messages: those that it sends after the call has
 * returned. This overrides the option and the client's query. As chat_config_set_echo, it does not
 * count for a room's past. `echo` is 0 or 1.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for another number, CHAT_ERR_QUEUE_FULL,
 * CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_set_echo(chat_server *server,
                                 chat_client_id client,
                                 uint32_t echo);

/**
 * Sends a message to all connections of an identity (chat_server_set_identity), whatever rooms they
 * are in. `kind` is CHAT_TEXT or CHAT_BINARY. `*reached` is how many connections they are: 0 is no
 * error. `reached` may be NULL.
 *
 * A connection counts from the chat_server_set_identity that has given it the identity until that
 * of another one, a chat_server_disconnect, or its end. One that waits for admission counts, and
 * receives the message when it is accepted. An empty identity is nobody's.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown kind, CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE also for an identity of more than 256 bytes, CHAT_ERR_RESOURCE_LIMIT,
 * CHAT_ERR_QUEUE_FULL if too much waits for any of them: nothing was sent then, to no one;
 * CHAT_ERR_STOPPED: a part may have been sent.
 */
CHAT_API
chat_status chat_server_send_to_identity(chat_server *server,
                                         const char *identity,
                                         size_t identity_len,
                                         uint32_t kind,
                                         const uint8_t *data,
                                         size_t data_len,
                                         size_t *reached);

/**
 * Closes all connections of an identity, each as chat_server_disconnect does, and does not wait for
 * them. `*reached` is how many they are; `reached` may be NULL. One that waits for admission is
 * rejected with HTTP 403 and the reason.
 *
 * When this has returned, the identity has no connection: one that is closed with
 * chat_server_disconnect or with this does not count any more, though its CHAT_EVENT_DISCONNECTED
 * may come later, and still carries the identity.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a code that chat_server_disconnect does not take,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE also for an identity of more than 256 bytes,
 * CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_disconnect_identity(chat_server *server,
                                            const char *identity,
                                            size_t identity_len,
                                            uint16_t code,
                                            const char *reason,
                                            size_t reason_len,
                                            size_t *reached);

/**
 * Puts all connections of an identity into a room, each as chat_server_join does. `*reached` is how
 * many of them are in the room then; those that were there already are among them. `reached` may be
 * NULL. All enter between the same messages, and get nothing of the room's past: to give it, call
 * chat_server_join_with_past for each of chat_server_identity_clients.
 *
 * A client of events is in one room: one that is in another stays there, and does not count.
 *
 * Statuses: CHAT_ERR_TOO_MANY_ROOMS if any other connection of the identity is in as many rooms as
 * it may be (chat_config_set_max_rooms_per_client); to put those into the room that have a place,
 * call chat_server_join for each of chat_server_identity_clients. CHAT_ERR_INVALID_ARGUMENT for a
 * name that no room can have, CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE also for an identity of
 * more than 256 bytes, CHAT_ERR_QUEUE_FULL, CHAT_ERR_STOPPED. In all cases nothing has changed for
 * any of them.
 */
CHAT_API
chat_status chat_server_join_identity(chat_server *server,
                                      const char *identity,
                                      size_t identity_len,
                                      const char *room,
                                      size_t room_len,
                                      size_t *reached);

/**
 * Takes all connections of an identity out of a room, each as chat_server_leave does. `*reached` is
 * how many of them were in the room; `reached` may be NULL. One that waits for admission to the
 * room does not ask for it any more, and counts.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have, CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE also for an identity of more than 256 bytes, CHAT_ERR_QUEUE_FULL: in these
 * cases nothing has changed. CHAT_ERR_STOPPED: a part may have left.
 */
CHAT_API
chat_status chat_server_leave_identity(chat_server *server,
                                       const char *identity,
                                       size_t identity_len,
                                       const char *room,
                                       size_t room_len,
                                       size_t *reached);

/**
 * Writes the clients that have an identity now, in no particular order: those whom
 * chat_server_send_to_identity would reach. Those that wait for admission are among them. `clients`
 * is an array of `capacity` ids; it may be NULL if `capacity` is 0. `*count` is how many clients
 * there are, also if the array is too short for them: then nothing is written to the array. Their
 * number may have changed when the host calls again with a longer one.
 *
 * Statuses: CHAT_ERR_TOO_LARGE if there are more than `capacity`, and for an identity of more than
 * 256 bytes (then `*count` is 0); CHAT_ERR_INVALID_UTF8, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_identity_clients(chat_server *server,
                                         const char *identity,
                                         size_t identity_len,
                                         chat_client_id *clients,
                                         size_t capacity,
                                         size_t *count);

/**
 * Tells the clients in a room something that is stored nowhere and has no position, such as that
 * somebody types: a signal. It comes in the order of the room's messages. Clients of the JSON form
 * and of events get it; plain WebSocket clients get none. A client that lags is passed over, and is
 * told nothing of it. `kind` is CHAT_TEXT or CHAT_BINARY. At most 4 KiB, or the longest message if
 * that is shorter (chat_config_set_max_message_size).
 *
 * This never waits. Where too much waits already, the signal is dropped and counted
 * (signals_dropped of chat_stats), and this returns CHAT_OK, as it does if nobody is in the room.
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for a name that no room can have or an unknown kind,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_RESOURCE_LIMIT, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_signal(chat_server *server,
                               const char *room,
                               size_t room_len,
                               uint32_t kind,
                               const uint8_t *data,
                               size_t data_len);

/**
 * Sends a signal to one client, as chat_server_signal does to a room. A client that lags or waits
 * for admission is passed over. `kind` is CHAT_TEXT or CHAT_BINARY.
 *
 * Statuses: CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
 * CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_RESOURCE_LIMIT, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_signal_client(chat_server *server,
                                      chat_client_id client,
                                      uint32_t kind,
                                      const uint8_t *data,
                                      size_t data_len);

/**
 * Accepts the client of a CHAT_EVENT_CONNECT_REQUEST (chat_config_set_admission_timeout):
 * completes its handshake. The client receives what is published to its room from this call on,
 * and first as much of the room's past as it asks for with `?history=` or `?since=`;
 * chat_server_accept_with_past bounds that. Any thread may call this, also in a handler.
 *
 * What else the host decides about the client, it does before this call: chat_server_set_identity,
 * chat_server_set_name, chat_server_join and chat_server_leave (also of the room that the client
 * asks for), chat_server_set_echo, chat_server_set_subprotocol, chat_server_send. A client that the
 * host has joined to the room that it asks for gets the past that the host gave there: with
 * chat_server_join, none.
 *
 * Statuses: CHAT_ERR_NOT_FOUND if the client has left, was decided on before, or its time is over;
 * CHAT_ERR_STOPPED.
 */
CHAT_API chat_status chat_server_accept(chat_server *server, chat_client_id client);

/**
 * Accepts a client as chat_server_accept does, which is this with CHAT_PAST_ALL, and bounds what
 * the client may have of the past of the room that it asks for: of the messages that the room
 * keeps (chat_config_set_history_messages). `past` is a number of messages: 0 is nothing,
 * CHAT_PAST_ALL is all. Any thread may call this, also in a handler.
 *
 * Within `past` the client gets what it asks for: with `?history=N` the last N messages, with
 * `?since=POSITION` what was published after that position, and nothing if it asks for nothing. If
 * it lacks more, it gets the last `past` messages, or the last N if it also has `?history=N` and
 * that is less; a client of the JSON form is told that it does not recover (`"recovered":false`,
 * with the reason `trimmed`). The header `Last-Event-ID` of a client of events counts as
 * `?since=POSITION`. A client of the JSON form can ask for earlier messages (`history`), and gets
 * none that `past` keeps from it. The bound does not concern rooms that the host joins the client
 * to.
 *
 * Statuses: those of chat_server_accept.
 */
CHAT_API
chat_status chat_server_accept_with_past(chat_server *server,
                                         chat_client_id client,
                                         uint64_t past);

/**
 * Chooses the subprotocol that the answer to the client of a CHAT_EVENT_CONNECT_REQUEST names, before
 * chat_server_accept: one that the client offers in its header `Sec-WebSocket-Protocol`, compared as
 * it is. So a page can offer names of its own, such as one that carries a token beside one that the
 * host chooses. The last call counts. Without a call the answer names `libchat.json` if the client
 * offers it, and else none. Any thread may call this, also in a handler.
 *
 * It does not change how the client receives messages (`form`). A client that offers `libchat.json`
 * among others speaks the JSON form under that name, and can have no other; with `?format=json` in
 * its address it speaks the JSON form under any name, or under none.
 *
 * Statuses: CHAT_ERR_INVALID_ARGUMENT if the client does not offer it, or offers `libchat.json` too
 * without `?format=json`, or is one of events; CHAT_ERR_NOT_FOUND if the client has left, was
 * decided on before, or its time is over; CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE,
 * CHAT_ERR_STOPPED. In all cases nothing has changed.
 */
CHAT_API
chat_status chat_server_set_subprotocol(chat_server *server,
                                        chat_client_id client,
                                        const char *name,
                                        size_t name_len);

/**
 * Rejects the client of a CHAT_EVENT_CONNECT_REQUEST: answers its request with `http_status`, 400
 * to 599, and a text of at most 1,024 bytes, which may be empty; or with 204 ("stop asking", for an
 * EventSource) and no text: `reason` is not sent then. Any thread may call this, also in a handler.
 *
 * `headers` is an array of `header_count` further headers of the answer, such as `Retry-After`: at
 * most 64, with at most 8 KiB in all; NULL with 0 means none. A header that HTTP requires with the
 * status is added if it is not among them: `WWW-Authenticate: Bearer` with 401, `Allow: GET` with
 * 405, `Proxy-Authenticate: Basic` with 407, `Upgrade: websocket` with 426.
 *
 * Any status ends an EventSource for ever (CHAT_FORM_EVENTS). A host that means "later" calls
 * chat_server_accept, and then chat_server_disconnect with 1013.
 *
 * Statuses: CHAT_ERR_NOT_FOUND if the client has left, was decided on before, or its time is over;
 * CHAT_ERR_INVALID_ARGUMENT for another status, and for a header that breaks the rules of HTTP or
 * that libchat sets itself (Connection, Content-Length, Content-Type, Date, Transfer-Encoding,
 * Upgrade); CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_reject(chat_server *server,
                               chat_client_id client,
                               uint16_t http_status,
                               const char *reason,
                               size_t reason_len,
                               const chat_header *headers,
                               size_t header_count);

/**
 * Allows the message of a CHAT_EVENT_MESSAGE_REQUEST (chat_config_set_review_timeout): publishes
 * it to the event's room, as soon as the client's earlier messages are decided. Any thread may
 * call this, also in a handler.
 *
 * The message is not published, and counts in `messages_refused`, if by then the host has taken
 * the client out of that room or the server stops. A client that disconnects before its messages
 * are decided stays in its rooms until they are; its CHAT_EVENT_DISCONNECTED follows them.
 *
 * Statuses: CHAT_ERR_NOT_FOUND if the message was decided on before or its time is over,
 * CHAT_ERR_STOPPED.
 */
CHAT_API chat_status chat_server_allow(chat_server *server, chat_decision_id decision);

/**
 * Does what chat_server_allow does, but publishes another message in place of the client's. `kind`
 * is CHAT_TEXT or CHAT_BINARY.
 *
 * Statuses: those of chat_server_allow; CHAT_ERR_INVALID_ARGUMENT for an unknown kind,
 * CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE: after these three the message still waits for a
 * decision.
 */
CHAT_API
chat_status chat_server_allow_changed(chat_server *server,
                                      chat_decision_id decision,
                                      uint32_t kind,
                                      const uint8_t *data,
                                      size_t data_len);

/**
 * Refuses the message of a CHAT_EVENT_MESSAGE_REQUEST: it is not published. A sender of the JSON
 * form is told (`refused`), a plain one is not: use chat_server_send to tell it.
 *
 * Statuses: those of chat_server_allow.
 */
CHAT_API chat_status chat_server_refuse(chat_server *server, chat_decision_id decision);

/**
 * Refuses a message as chat_server_refuse does, and tells a sender of the JSON form why: the object
 * `refused` has the text `reason`, for people to read. At most 256 bytes of UTF-8; an empty one is as
 * none.
 *
 * Statuses: those of chat_server_allow; CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE: after these two
 * the message still waits for a decision.
 */
CHAT_API
chat_status chat_server_refuse_with(chat_server *server,
                                    chat_decision_id decision,
                                    const char *reason,
                                    size_t reason_len);

/**
 * Returns who is in a room: each client, and each whose connection has ended and whose place is
 * kept (chat_config_set_member_grace). An identity with several connections is there several times.
 * Nobody is in a room that does not exist.
 *
 * `*out` is a list, which may be empty: the host owns it and frees it with chat_members_free.
 * Statuses: CHAT_ERR_UNSUPPORTED if no members are kept (chat_config_set_members);
 * CHAT_ERR_INVALID_ARGUMENT for a name that no room can have, CHAT_ERR_INVALID_UTF8,
 * CHAT_ERR_TOO_LARGE, CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_members(chat_server *server,
                                const char *room,
                                size_t room_len,
                                chat_members **out);

/**
 * Returns in `*count` how many are in a room: the length of what chat_server_members returns, at
 * the cost of a look-up. Statuses: those of chat_server_members.
 */
CHAT_API
chat_status chat_server_member_count(chat_server *server,
                                     const char *room,
                                     size_t room_len,
                                     size_t *count);

/**
 * Sets whether a client may be told of the members of its rooms: 1 or 0, whatever
 * chat_config_set_members says. It is told if it has also asked for it (`?members=true`) and is a
 * client of the JSON form, on a WebSocket or as events. One that is allowed gets a list of each of
 * its rooms. One that is not allowed any more is told nothing more of members.
 *
 * Statuses: CHAT_ERR_UNSUPPORTED if no members are kept (chat_config_set_members);
 * CHAT_ERR_NOT_FOUND, CHAT_ERR_INVALID_ARGUMENT for another value, CHAT_ERR_QUEUE_FULL,
 * CHAT_ERR_STOPPED.
 */
CHAT_API
chat_status chat_server_set_members(chat_server *server,
                                    chat_client_id client,
                                    uint32_t may_watch);

/**
 * Returns how many members a list has; 0 if `members` is NULL.
 */
CHAT_API size_t chat_members_len(const chat_members *members);

/**
 * Returns a member of a list by its index, which counts from 0. The member belongs to the list and
 * is valid until the list is freed. Returns NULL if there is no member with this index or `members`
 * is NULL.
 */
CHAT_API const chat_member *chat_members_get(const chat_members *members, size_t index);

/**
 * Frees a list and all that its members point to. NULL is allowed.
 */
CHAT_API void chat_members_free(chat_members *members);

/**
 * Returns how many events a batch holds; 0 if `events` is NULL.
 */
CHAT_API size_t chat_events_len(const chat_events *events);

/**
 * Returns an event of a batch by its index, which counts from 0. The event belongs to the batch
 * and is valid until the batch is freed. Returns NULL if there is no event with this index or
 * `events` is NULL.
 */
CHAT_API const chat_event *chat_events_get(const chat_events *events, size_t index);

/**
 * Frees a batch and all that its events point to. NULL is allowed.
 */
CHAT_API void chat_events_free(chat_events *events);

/**
 * Finds a header of the client's request by name, in a CONNECT_REQUEST or CONNECTED event, and
 * returns its first value. Upper and lower case are the same in the name. `event` is a pointer
 * that the library handed out.
 *
 * The value is bytes: HTTP does not guarantee UTF-8. It is valid as long as the event. Statuses:
 * CHAT_ERR_NOT_FOUND if the client sent no such header or the event is of another type; for the
 * name, CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE.
 */
CHAT_API
chat_status chat_event_header(const chat_event *event,
                              const char *name,
                              size_t name_len,
                              const char **value,
                              size_t *value_len);

/**
 * Reads a header of the client's request by index, from 0 to the event's `header_count` - 1.
 * Headers are in the order in which the client sent them; names are in lower case. Name and value
 * are valid as long as the event.
 *
 * An output that is not needed may be NULL. Statuses: CHAT_ERR_NOT_FOUND if there is no header
 * with this index.
 */
CHAT_API
chat_status chat_event_header_at(const chat_event *event,
                                 size_t index,
                                 const char **name,
                                 size_t *name_len,
                                 const char **value,
                                 size_t *value_len);

/**
 * Finds a parameter of the query by name, in a CONNECT_REQUEST or CONNECTED event, and returns its
 * first value, decoded as browsers encode it: `+` is a space, and `%` with two hexadecimal digits
 * is a byte. A `%` without them stays as it is. A parameter without `=` has an empty value. The
 * name is compared as it is after decoding: upper and lower case differ. `event` is a pointer that
 * the library handed out.
 *
 * The value is UTF-8, and valid as long as the event. Statuses: CHAT_ERR_NOT_FOUND if there is no
 * such parameter, its first value is not UTF-8, or the event is of another type; for the name,
 * CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE.
 */
CHAT_API
chat_status chat_event_query(const chat_event *event,
                             const char *name,
                             size_t name_len,
                             const char **value,
                             size_t *value_len);

/**
 * Finds a cookie by name (RFC 6265, 4.2), in a CONNECT_REQUEST or CONNECTED event, and returns its
 * value: the first one if several cookies have the name, in whichever `Cookie` header it is. Quotes
 * belong to the value, as in browsers, and nothing is decoded. Upper and lower case differ in the
 * name. `event` is a pointer that the library handed out.
 *
 * The value is UTF-8, and valid as long as the event. Statuses: CHAT_ERR_NOT_FOUND if there is no
 * such cookie, its first value is not UTF-8, or the event is of another type; for the name,
 * CHAT_ERR_INVALID_UTF8 and CHAT_ERR_TOO_LARGE.
 */
CHAT_API
chat_status chat_event_cookie(const chat_event *event,
                              const char *name,
                              size_t name_len,
                              const char **value,
                              size_t *value_len);

/**
 * Returns the token of the header `Authorization: Bearer TOKEN` (RFC 6750, 2.1), in a
 * CONNECT_REQUEST or CONNECTED event: visible ASCII without spaces, which is more than the RFC lets
 * tokens be, and never empty. Upper and lower case are the same in `Bearer`. `event` is a pointer
 * that the library handed out.
 *
 * The token is valid as long as the event. Statuses: CHAT_ERR_NOT_FOUND if there is no such header,
 * it has another scheme or form, it is there several times (a proxy in front may have checked
 * another one), or the event is of another type.
 */
CHAT_API
chat_status chat_event_bearer(const chat_event *event,
                              const char **token,
                              size_t *token_len);

/**
 * Sets the function that gets the log lines of all servers that are started from this config: the
 * lines of the CHAT_LOG_... levels up to `max_level`. Without a log handler the library writes no
 * lines.
 *
 * A line is UTF-8 of the form `message key=value key="a value"`. It has no line breaks or other
 * control characters and at most 1,024 bytes; a line that was cut ends with `...`. The words of a
 * line may change in every version.
 *
 * The log handler is called on the server's threads, and inside the host's calls of
 * chat_server_start, chat_server_stop and chat_server_free: before chat_server_start returns,
 * after chat_server_stop has returned, and on several threads at once. While it waits, clients
 * wait. It should queue the line and return, and must not wait for a thread that is in a call of
 * libchat. It must return by itself: no longjmp, no C++ exception. Inside it, every function of a
 * server, and chat_server_start, returns CHAT_ERR_IN_HANDLER; chat_server_free does nothing.
 *
 * `user_data` is passed to each call; the library never looks behind it. `drop`, which may be
 * NULL, is called with it exactly once, after the last call: when the config and every server that
 * was started from it are freed, when another handler replaces this one, or at once if this
 * function fails. `drop` may run on any thread, and must not call libchat. Default: no handler.
 * Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown level.
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
