//! libchat: a WebSocket chat and broadcast server inside your program.
//!
//! A program, the host, starts a server. Clients connect to it by WebSocket and are in rooms. A
//! message that a client sends is published to its room, and delivered to every client in the room.
//! A first program, linked with `-lchat -lm -ldl -lpthread`:
//!
//! ```c
//! #define _POSIX_C_SOURCE 200809L // sigwait
//! #include <libchat.h>
//! #include <signal.h>
//! #include <stdio.h>
//!
//! int main(void) {
//!   sigset_t stop; // blocked in all threads, so that sigwait below gets them
//!   int signal;
//!   sigemptyset(&stop);
//!   sigaddset(&stop, SIGINT);
//!   sigaddset(&stop, SIGTERM);
//!   sigprocmask(SIG_BLOCK, &stop, NULL);
//!
//!   chat_config *config = chat_config_new(CHAT_ABI_VERSION); // listens on 127.0.0.1:9001
//!   chat_server *server = NULL;
//!   chat_error *error = NULL;
//!   chat_status status = chat_server_start(config, &server, &error);
//!   chat_config_free(config);
//!   if (status != CHAT_OK) {
//!     fprintf(stderr, "%s\n", chat_error_message(error));
//!     chat_error_free(error);
//!     return 1;
//!   }
//!   fprintf(stderr, "chat at ws://127.0.0.1:9001/ - Ctrl-C stops it\n");
//!   sigwait(&stop, &signal);
//!   chat_server_stop(server, 5000); // delivers what was sent; clients have 5 s to answer
//!   chat_server_free(server);
//!   return 0;
//! }
//! ```
//!
//! Clients. WebSocket clients, or clients of events (EventSource, curl), which only receive and are
//! in one room: `curl -N 'http://127.0.0.1:9001/?format=events'`. None needs a library of libchat's.
//! By the subprotocol `libchat.json`, or `?format=json`, a client speaks the JSON form: objects with
//! positions, senders and times, answers to what it sends, and exact recovery (docs/wire.md). A page
//! that offers subprotocols must have `libchat.json` among them, unless the host chooses another one
//! (chat_server_set_subprotocol): a browser closes a connection of whose subprotocols none is taken.
//! The log says so once. A page from another host or port needs chat_config_add_origin.
//!
//! Results. Every function that can fail returns a chat_status: CHAT_OK, which is 0, or a negative
//! CHAT_ERR_... value. Outputs are written only on success, unless a function says otherwise; a
//! chat_error is written only on failure. chat_last_error_message tells why the last call of a thread
//! failed, and names the argument. The outputs of one call must be different objects. In
//! addition to the statuses that it lists, a function may return CHAT_ERR_NULL_ARGUMENT (a pointer
//! that must not be NULL is NULL) and CHAT_ERR_PANIC (a bug in libchat: the call ends, the host
//! runs on). A function of a server may also return CHAT_ERR_FORKED, and inside a log handler
//! CHAT_ERR_IN_HANDLER. Kinds, policies, levels and events are passed as uint32_t: an unknown
//! number is CHAT_ERR_INVALID_ARGUMENT, never undefined behaviour.
//!
//! Bytes. A text or a message is a pointer and a length in bytes. NUL is allowed inside; NULL with
//! length 0 is empty. A function copies its texts and messages before it returns. Texts must be
//! UTF-8, else CHAT_ERR_INVALID_UTF8. Addresses, origins, rooms, reasons, identities, names and
//! headers have at most 65,535 bytes, else CHAT_ERR_TOO_LARGE. The pointers to texts and messages
//! that the library hands out are never NULL. These texts are not NUL-terminated unless their
//! comment says so: print them with `printf("%.*s", (int)len, text)`.
//!
//! Ownership. The host frees what a `_new`, `_start`, `_next_events`, `_history` or `_members`
//! function made, with the `_free` function of the same noun, which allows NULL. Clients are numbers
//! (chat_client_id), never pointers: a call for a client that has left returns CHAT_ERR_NOT_FOUND.
//!
//! Threads. The table says which thread may make a call, and for how long the call may wait. "A
//! handler" is an event handler.
//!
//! | call                              | thread                               | waits             |
//! |-----------------------------------|--------------------------------------|-------------------|
//! | chat_version_, abi_, status_...,  | any                                  | no                |
//! | position_..., last_error_message  |                                      |                   |
//! | chat_config_...                   | one at a time for each config        | no                |
//! | chat_server_start                 | any; the config is only read         | to look up names  |
//! | chat_server_broadcast             | any, also in a handler               | up to             |
//! | chat_server_publish, _batch,      | any, also in a handler               | publish_timeout,  |
//! | _with, _to                        |                                      |                   |
//! | chat_server_send, join,           | any, also in a handler               | if too much waits |
//! | join_with_past, leave, set_echo,  |                                      | to be delivered   |
//! | set_identity, set_name,           |                                      |                   |
//! | set_members, forget               |                                      |                   |
//! | chat_server_send_to_identity,     | any, also in a handler               |                   |
//! | join_identity, leave_identity     |                                      |                   |
//! | chat_server_disconnect, accept,   | any, also in a handler               | no                |
//! | accept_with_past, reject, allow,  |                                      |                   |
//! | allow_changed, refuse,            |                                      |                   |
//! | refuse_with, set_subprotocol      |                                      |                   |
//! | chat_server_local_addr, stats,    | any, also in a handler               | no                |
//! | position, identity_clients,       |                                      |                   |
//! | disconnect_identity               |                                      |                   |
//! | chat_server_request_stop          | any, also in a handler               | no                |
//! | chat_server_wait                  | any, also in a handler               | up to timeout_ms  |
//! | chat_server_next_events           | any; one thread gets them in order   | up to timeout_ms  |
//! | chat_server_stop                  | any, not in a handler                | up to drain_ms,   |
//! |                                   |                                      | and for a handler |
//! | chat_server_free                  | any, also in a handler; last of all  | for a handler     |
//! | chat_server_history, trim,        | any, also in a handler               | no                |
//! | members, member_count, signal,    |                                      |                   |
//! | signal_client                     |                                      |                   |
//! | chat_events_, event_, error_,     | one at a time for each object        | no                |
//! | history_...                       |                                      |                   |
//! | chat_members_...                  | any; chat_members_free last of all   | no                |
//!
//! A server calls its event handler on a thread of its own, in order, never twice at once. Servers
//! that were started from one config call the same handler independently of each other. The handler
//! may block: that delays events, never clients. It is not called before chat_server_start has
//! written the server to `*out`, nor after chat_server_stop or chat_server_free has returned. It
//! must return by itself: no longjmp, no C++ exception. A log handler differs: no function of a
//! server may be called in it (see chat_config_set_log_handler).
//!
//! The host. Any number of servers may run in one process, each independent of the others. The
//! library sets no signal handler, reads no environment variable and writes to no standard stream;
//! but a bug (CHAT_ERR_PANIC, CHAT_ERR_FAILED) makes Rust's standard library write to standard
//! error, and read RUST_BACKTRACE. A small allocation that fails writes a line there too, and
//! aborts the process. The library's threads block all signals, so that the host's threads receive
//! them, but those that a fault raises (SEGV, BUS, FPE, ILL, TRAP, SYS): a crash reporter of the
//! host sees a fault in a handler. A handler has 8 MiB of stack. No function is async-signal-safe:
//! a signal handler sets a flag, or writes to a pipe, and a thread of the host makes the call. A
//! thread that is cancelled (pthread_cancel, of the deferred type) in a call ends after the call.
//! The shared library is not unloaded once it is loaded. If the host closes descriptors 0 to 2, an
//! accepted socket gets another number at once, but has one of these for a moment: open /dev/null in
//! their place.
//!
//! Forks. In the child of a fork, every call of a server of the parent returns CHAT_ERR_FORKED. (The
//! first chat_server_start registers a function with pthread_atfork, which counts forks.) The child
//! may exec or exit. It may also start servers of its own, if no server of the parent was starting
//! or writing a log line at the moment of the fork: the child has copies of the locks, but not the
//! threads that release them.
//!
//! Linking. A static program with musl also needs the `libunwind.a` of Rust's target for musl.
//! Another Rust archive in the program must be built without LTO, as libchat.a is
//! (bindings/c/README.md).
//!
//! Versions. As long as CHAT_ABI_VERSION stays the same, symbols, statuses, events, and fields at
//! the end of chat_event, chat_member, chat_message, chat_publish_options and chat_stats may be added,
//! and nothing is changed.

#![allow(unsafe_code)] // C passes pointers.
#![allow(non_camel_case_types)] // The types have the names that the header gives them.
#![allow(unreachable_pub)] // `pub` here means: in the header.

// The blank lines keep rustfmt from sorting the modules: the header has this order.
mod boundary;
mod callback;
mod guard;
mod held_request;
mod process;
mod uncancelled;

mod version;

mod status;

mod error;

mod failure;

mod config;

mod config_rooms;

mod position;

mod server;

mod publish;

mod publish_with;

mod past;

mod history;

mod client;

mod identity;

mod signals;

mod decisions;

mod members;

mod stats;

mod event;

mod events;

mod request;

mod log;
mod log_lines;

#[cfg(test)]
mod tests;
