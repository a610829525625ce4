//! stub
pub mod config; pub mod error; pub mod event; mod ffi; mod frame; pub mod message; pub mod server; pub mod stats;
pub use config::{Config, SlowConsumer};
pub use error::{Error, Problem, Result};
pub use event::{ClientId, Event, Request};
pub use message::{Kind, Message};
pub use server::{Handle, Server};
pub use stats::Stats;
