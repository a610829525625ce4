//! A WebSocket chat and broadcast server that lives inside other programs.
//!
//! A host starts a [`Server`]; clients connect by WebSocket and are in a room; a message that a
//! client or the host publishes to a room is delivered to every subscriber of the room, in one order.
//!
//! ```
//! use std::time::Duration;
//!
//! use chat::{Config, Kind};
//!
//! fn main() -> chat::Result<()> {
//!     let server = Config::new().listen("127.0.0.1:0").start()?;
//!     println!("chat at ws://{}/", server.local_addr());
//!     server.publish("lobby", Kind::Text, b"welcome")?;
//!     server.stop(Duration::from_secs(5))
//! }
//! ```
//!
//! The server has threads of its own: it needs no async runtime, and works beside one. Any number
//! of servers can run in one process, each independent of the others.
//!
//! # Connecting
//!
//! | path | room |
//! |---|---|
//! | `/` | `lobby` |
//! | `/rooms/{room}` | any other: percent-decoded UTF-8, 1 to 128 bytes, no control characters, not `.` or `..` |
//!
//! A text or binary message *is* the chat message. `?echo=false` does not send a client its own
//! messages, `?history=N` sends it the room's last N messages first, `?since=POSITION` those that it
//! lacks. `GET /` without an upgrade says how to connect, `GET /health` answers 200.
//!
//! By the subprotocol `libchat.json`, or `?format=json`, a client speaks the JSON form: objects with
//! positions, senders and times, answers to what it sends, and exact recovery. `docs/wire.md` has them all.
//! A page that offers subprotocols must have `libchat.json` among them, unless the host chooses another one
//! ([`Handle::set_subprotocol`]): a browser closes a connection of whose subprotocols none is taken.
//!
//! A page from another host or port than the server's needs [`Config::origin`].
//!
//! # Publishing
//!
//! [`Handle::publish`] to a room, [`Handle::broadcast`] to everyone, [`Handle::send`] to one client;
//! [`Handle::disconnect`] closes one. A [`Handle`] is cheap to clone and works from any thread. What
//! was published is delivered before the server closes anyone when it stops.
//!
//! # Events
//!
//! A host that wants to know what happens sets [`Config::event_handler`], or
//! [`Config::event_queue`] and pulls:
//!
//! ```
//! # use std::time::Duration;
//! # use chat::{Config, Error, Event};
//! # fn main() -> chat::Result<()> {
//! let server = Config::new().listen("127.0.0.1:0").event_queue(10_000).start()?;
//! # server.request_stop();
//! loop {
//!     match server.next_events(Duration::from_secs(60)) {
//!         Ok(events) => {
//!             for event in events {
//!                 if let Event::Message { client, room, message, .. } = event {
//!                     println!("{client} in {room}: {:?}", message.as_text());
//!                 }
//!             }
//!         }
//!         Err(Error::TimedOut) => continue,
//!         Err(_) => break, // The server has stopped.
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! - Each room has one order, the same for all subscribers, without gaps or duplicates; what one sender
//!   sends stays in its order.
//! - Nobody waits for a slow client: what it does not read is kept up to [`Config::outbox_size`] and
//!   [`Config::outbox_age`], then [`Config::slow_consumer`] decides. It is never skipped silently.
//! - Every queue, size and time is bounded by default. What a server on the open internet needs
//!   beside that (TLS, limits of rates) is a proxy's in front of it.
//! - No input of a client or the host panics, and no client can harm another.
//!
//! # Features
//!
//! `cli` (default) is the program `chat-server`, `header` (default) makes the C header at build
//! time. A program that links the library wants neither:
//! `default-features = false`.
//!
//! # Log lines
//!
//! They are events of the `tracing` crate: start and stop, limits that are reached, slow consumers,
//! what is dropped, pages of other origins, and once what a proxy in front removes and that a client offers
//! subprotocols; at the level debug, every client that comes, goes or is refused. What clients can cause
//! comes at most once a second at the level info and above. They go to the subscriber that is
//! the default where [`Config::start`] is called; if there is none yet, to the one that is set for
//! the whole process later.

// In reading order, from the ground up: each imports from those above it only, and tests/layers.rs checks it.
// ARCHITECTURE.md has the map.
mod sys;

mod address;
mod age_clock;
mod error;
mod frame;
mod log;
mod message;
mod origin;
mod position;
mod published;
mod stats;
mod unique;

mod json;

mod event_stream;

mod options;

mod event;

mod keys;

mod context;
mod end;
mod history;
mod past;
mod stored;

#[cfg_attr(not(test), allow(dead_code, reason = "no broker is part of the library yet"))]
mod broker;

mod reactor;

mod transport;

mod decisions;
mod fanout;

mod members;

mod rooms;

mod shard;

mod protocol;

mod connection;

mod handshake;

mod bind;
mod listener;

mod batch;
mod publish_options;

mod handle;

mod startup;

mod server;

mod config;

mod ffi;

#[cfg(test)]
mod model_tests;

/// The version of this crate, as in `1.2.3`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub use batch::{BatchError, Publication};
pub use config::Config;
pub use error::{Error, Problem, Result};
pub use event::{ClientId, DecisionId, Event, Form, Request};
pub use frame::Kind;
pub use handle::Handle;
pub use members::Member;
pub use message::Message;
pub use options::{Members, Overdue, SlowConsumer};
pub use past::Past;
pub use position::{ParsePositionError, Position};
pub use publish_options::{PublishOptions, PublishToError, Published};
pub use server::Server;
pub use stats::Stats;
pub use stored::{Gap, HistoryPage, Range, StoredMessage};
