//! stub of the manual

mod config;
mod connection;
mod context;
mod error;
mod event;
mod ffi;
mod frame;
mod handle;
mod handshake;
mod history;
mod listener;
mod message;
mod options;
mod protocol;
mod room;
mod rooms;
mod server;
mod shard;
mod stats;
mod sys;

pub use config::Config;
pub use error::{Error, Problem, Result};
pub use event::{ClientId, Event, Request};
pub use handle::Handle;
pub use message::{Kind, Message};
pub use options::SlowConsumer;
pub use server::Server;
pub use stats::Stats;
