//! STUB for compiling against; the real one is being written on main.
use std::{net::SocketAddr, time::Duration};
use crate::{config::Valid, error::Result, event::{ClientId, Event}, message::Kind, stats::Stats};

/// A running server: owns its threads. Derefs to [`Handle`].
#[derive(Debug)]
pub struct Server { handle: Handle }
/// Reaches a server from any thread; cloneable, does not keep it running.
#[derive(Debug, Clone)]
pub struct Handle {}

impl std::ops::Deref for Server { type Target = Handle; fn deref(&self) -> &Handle { &self.handle } }

impl Server {
    pub(crate) fn start(_valid: Valid) -> Result<Self> { unimplemented!() }
    /// A handle that can be cloned and outlive this.
    pub fn handle(&self) -> Handle { self.handle.clone() }
    /// Drains and stops: Err(TimedOut) if some clients had to be cut at the deadline (the server has stopped
    /// all the same), Err(InHandler) from inside the handler. May be called any number of times, from any threads.
    pub fn stop(&self, _deadline: Duration) -> Result<()> { unimplemented!() }
}
// Drop for Server: stops at once (deadline zero) and joins, unless dropped inside the handler: then it
// is carried out after the handler returned.
impl Handle {
    /// The first listener's address.
    pub fn local_addr(&self) -> SocketAddr { unimplemented!() }
    /// One for each configured address, in that order.
    pub fn local_addrs(&self) -> &[SocketAddr] { unimplemented!() }
    /// To every client of this server. InvalidUtf8, TooLarge, QueueFull, Stopped.
    pub fn broadcast(&self, _kind: Kind, _data: &[u8]) -> Result<()> { unimplemented!() }
    /// To a room; the offset in the room's order. InvalidRoom, InvalidUtf8, TooLarge, QueueFull, Stopped.
    pub fn publish(&self, _room: &str, _kind: Kind, _data: &[u8]) -> Result<u64> { unimplemented!() }
    /// To one client. ClientNotFound, InvalidUtf8, TooLarge, QueueFull, Stopped.
    pub fn send(&self, _client: ClientId, _kind: Kind, _data: &[u8]) -> Result<()> { unimplemented!() }
    /// Closes a client after what was sent before. ClientNotFound, InvalidCloseCode, TooLarge (reason over 123 bytes), Stopped.
    pub fn disconnect(&self, _client: ClientId, _code: u16, _reason: &str) -> Result<()> { unimplemented!() }
    /// Counters; works after stop.
    pub fn stats(&self) -> Stats { unimplemented!() }
    /// TimedOut, Stopped (after Event::Stopped was taken), Unsupported (event_queue is 0).
    pub fn next_events(&self, _timeout: Duration) -> Result<Vec<Event>> { unimplemented!() }
    /// Begins to stop and returns at once.
    pub fn request_stop(&self) { unimplemented!() }
}
