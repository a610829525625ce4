//! libchat: a WebSocket chat and broadcast server inside your program.
//!
//! A program (the host) starts a server, clients connect to it by WebSocket, and what one client
//! of a room sends goes to every client of that room. A first program, linked with
//! `-lchat -lm -ldl -lpthread`:
//!
//! ```c
//! #include <libchat.h>
//! #include <stdio.h>
//!
//! int main(void) {
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
//!   puts("chat at ws://127.0.0.1:9001/ - Enter stops it");
//!   getchar();
//!   chat_server_stop(server, 5000);
//!   chat_server_free(server);
//!   return 0;
//! }
//! ```
//!
//! Results. Every function that can fail returns a chat_status: CHAT_OK, which is 0, or a negative
//! CHAT_ERR_... Outputs are written only on success, and a chat_error only on failure; those of one
//! call are different objects. Besides the statuses that a function lists, any may return
//! CHAT_ERR_NULL_ARGUMENT (a pointer is NULL that must not be), CHAT_ERR_PANIC (a bug in libchat,
//! which ends with the call and not with the host), and those of a server CHAT_ERR_FORKED. Numbers
//! of kinds, policies and events are uint32_t: one that is unknown is CHAT_ERR_INVALID_ARGUMENT,
//! never undefined behaviour.
//!
//! Bytes. Texts and messages are a pointer and a length in bytes; NUL is allowed inside, and NULL
//! with length 0 is empty. They are copied before a function returns. Texts are UTF-8, else
//! CHAT_ERR_INVALID_UTF8; addresses, origins, rooms, reasons, identities and header names have at
//! most 65,535 bytes, else CHAT_ERR_TOO_LARGE. What the library hands out is not NUL-terminated
//! unless its comment says so, and the pointers to its texts and messages are never NULL: print it
//! with `printf("%.*s", (int)len, text)`.
//!
//! Ownership. What a `_new`, `_start` or `_next_events` made, the host frees with the `_free` of the
//! same noun, which takes NULL too. Clients are numbers (chat_client_id), never pointers: a call
//! about one that has left is CHAT_ERR_NOT_FOUND.
//!
//! Threads. Which calls may be made from which thread, and which of them wait:
//!
//! | call                              | from which thread                    | waits             |
//! |-----------------------------------|--------------------------------------|-------------------|
//! | chat_version_, abi_, status_...   | any                                  | no                |
//! | chat_config_...                   | one at a time for each config        | no                |
//! | chat_server_start                 | any; the config is only read         | no                |
//! | chat_server_broadcast             | any, also in a handler               | if too much is to |
//! | chat_server_publish, _batch       | any, also in a handler               | be delivered: up  |
//! | chat_server_send, join, leave,    | any, also in a handler               | to publish_timeout|
//! | set_echo, set_identity            |                                      |                   |
//! | chat_server_disconnect, accept,   | any, also in a handler               | no                |
//! | reject, allow, allow_changed,     |                                      |                   |
//! | refuse                            |                                      |                   |
//! | chat_server_local_addr, stats     | any, also in a handler               | no                |
//! | chat_server_request_stop          | any, also in a handler               | no                |
//! | chat_server_next_events           | any; one thread keeps them in order  | up to its time    |
//! | chat_server_stop                  | any, not in a handler                | up to its time,   |
//! |                                   |                                      | and for a handler |
//! | chat_server_free                  | any, also in a handler; the last one | for the handler   |
//! | chat_events_, event_, error_...   | one at a time for each object        | no                |
//!
//! An event handler runs on one thread of its server: in order, never twice at once (servers that share a
//! config call its handler each on its own). It may block, which delays events and never clients. It
//! is not called before chat_server_start has written its server, nor after chat_server_stop or
//! chat_server_free has returned. It must return by itself: no longjmp, no C++ exception.
//! A log handler is another thing, in which no function about a server may be called: see
//! chat_config_set_log_handler.
//!
//! The host. Any number of servers may run in one process; nothing is shared among them. The library
//! sets no signal handler, reads no environment variable, writes to no standard stream. Its threads
//! block all signals: they are the host's. After fork, the child may only exec or exit: there every
//! call about a server returns CHAT_ERR_FORKED.
//!
//! Versions. Symbols, statuses, events and fields at the end of chat_event and chat_stats are added,
//! never changed, as long as CHAT_ABI_VERSION stays the same.

#![allow(unsafe_code)] // The one place where it is: C passes pointers.
#![allow(non_camel_case_types)] // The types have their C names, which are the header's.
#![allow(unreachable_pub)] // `pub` here means: in the header.

// A blank line between them keeps them in the order in which the header shows them.
mod boundary;
mod callback;
mod guard;
mod process;

mod version;

mod status;

mod error;

mod config;

mod server;

mod publish;

mod client;

mod stats;

mod event;

mod events;

mod log;

#[cfg(test)]
mod tests;
