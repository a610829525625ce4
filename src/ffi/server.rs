//! `chat_server`: start, stop, and what a host says to its clients.

use std::{
    ffi::c_char,
    mem::MaybeUninit,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    boundary::{attempt, copy_struct, copy_text, required, write},
    callback::Callback,
    config::chat_config,
    error::chat_error,
    event::View,
    events::chat_events,
    guard::guard,
    log::{self, LogHandler},
    process::Process,
    stats::chat_stats,
    status::chat_status,
};
use crate::{config::Config, error::Error, server::Server};

/// A running server.
///
/// Every function of it may be called from any thread at any time; chat_server_free must be the
/// last, after all others have returned.
///
/// Functions: chat_server_start, chat_server_local_addr, chat_server_broadcast, chat_server_publish,
/// chat_server_publish_batch, chat_server_send, chat_server_disconnect, chat_server_accept,
/// chat_server_reject, chat_server_join, chat_server_leave, chat_server_set_echo,
/// chat_server_set_identity, chat_server_allow, chat_server_allow_changed, chat_server_refuse,
/// chat_server_stats, chat_server_next_events, chat_server_request_stop, chat_server_stop,
/// chat_server_free.
pub struct chat_server {
    server: Server,
    /// The process that has the server's threads; a fork of it has not.
    process: Process,
    link: Arc<Link>,
    /// Last, so that the end of the server is logged too.
    _log: Option<Arc<LogHandler>>,
}

/// Enough room for any address that chat_server_local_addr tells, in bytes.
#[allow(dead_code)] // For C.
pub const CHAT_ADDR_SIZE: usize = 64;

/// The time for chat_server_next_events that never ends.
pub const CHAT_WAIT_FOREVER: u32 = u32::MAX;

/// The longest struct that `chat_server_stats` believes a host to have.
const MAX_STATS_SIZE: usize = 4096;

/// The server behind a handle, if it is of this process.
///
/// # Safety
/// The handle is NULL or of a server that is not freed during `'a`.
pub(super) unsafe fn own<'a>(handle: *const chat_server) -> Result<&'a chat_server, chat_status> {
    // SAFETY: the caller promises it.
    let handle = required(unsafe { handle.as_ref() })?;
    if handle.process != Process::current() {
        return Err(chat_status::CHAT_ERR_FORKED);
    }
    if log::is_inside() {
        return Err(chat_status::CHAT_ERR_IN_HANDLER);
    }
    Ok(handle)
}

impl std::ops::Deref for chat_server {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// What ties the host's handler to its server.
#[derive(Default)]
struct Link {
    /// The host has got its server, which its handler is sure to use.
    started: OnceLock<()>,
    /// The host has freed its server inside the handler, which may not be called with what is left.
    freed: AtomicBool,
}

/// Opens the way for the handler, whatever became of the start: nobody waits for ever.
struct Started<'a>(&'a Link);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        _ = self.0.started.set(());
    }
}

/// How many events a call of the handler gets at most: what describes them stays in the cache, and
/// is so small that the allocator keeps it.
const MAX_EVENTS: usize = 256;

/// The config with the host's handler in it.
fn with_handler(config: &Config, callback: Arc<Callback>, link: Arc<Link>) -> Config {
    let mut config = config.clone();
    config.event_handler(move |_, events| {
        link.started.wait();
        for events in events.chunks(MAX_EVENTS) {
            // Only this thread sets it, if at all: inside the handler.
            if !link.freed.load(Relaxed) {
                callback.call(View::new(events).pointers());
            }
        }
    });
    config
}

/// Starts a server with a copy of the config. It listens when this returns, on threads of its own.
///
/// On success `*out` is the server, which the host frees with chat_server_free. On failure `*error`
/// says why, if `error` is not NULL; the host frees it with chat_error_free. An event handler is not
/// called before `*out` is written, so it may read the server from there.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT, with a text that names every option that is out of its
/// limits; CHAT_ERR_ADDRESS_IN_USE, CHAT_ERR_ADDRESS_UNAVAILABLE, CHAT_ERR_PERMISSION_DENIED,
/// CHAT_ERR_RESOURCE_LIMIT, CHAT_ERR_IO.
#[unsafe(no_mangle)]
pub extern "C" fn chat_server_start(
    config: Option<&chat_config>,
    out: Option<&mut MaybeUninit<*mut chat_server>>,
    error: Option<&mut MaybeUninit<*mut chat_error>>,
) -> chat_status {
    attempt(|| {
        guard(|| start(config, out)).map_err(|failure| {
            let status = failure.status;
            if let Some(error) = error {
                error.write(Box::into_raw(Box::new(failure)));
            }
            status
        })
    })
}

fn start(
    config: Option<&chat_config>,
    out: Option<&mut MaybeUninit<*mut chat_server>>,
) -> Result<(), chat_error> {
    let config = config.ok_or_else(chat_error::no_config)?;
    let out = required(out)?;
    if log::is_inside() {
        return Err(chat_error::from(chat_status::CHAT_ERR_IN_HANDLER));
    }
    let link = Arc::new(Link::default());
    let _started = Started(&link);
    let process = Process::watched()
        .map_err(|source| chat_error::new(&Error::Resources { what: "a fork handler", source }))?;
    let server = LogHandler::within(config.log.as_ref(), || match &config.handler {
        None => config.inner.start(),
        Some(callback) => with_handler(&config.inner, callback.clone(), link.clone()).start(),
    });
    let server = server.map_err(|error| chat_error::new(&error))?;
    let handle = chat_server { server, process, link: link.clone(), _log: config.log.clone() };
    out.write(Box::into_raw(Box::new(handle)));
    Ok(())
}

/// Tells the address and port that a listener has, as text with a NUL behind it. Listeners are
/// counted from 0 in the order in which they were added to the config.
///
/// `buf` holds `cap` bytes, for which CHAT_ADDR_SIZE is always enough. `*len`, if `len` is not NULL,
/// is the length without the NUL. Works after the stop too. Statuses: CHAT_ERR_NOT_FOUND if there is
/// no listener with this index, CHAT_ERR_TOO_LARGE if the buffer is too short.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_local_addr(
    server: *const chat_server,
    index: usize,
    buf: *mut c_char,
    cap: usize,
    len: Option<&mut MaybeUninit<usize>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let addrs = unsafe { own(server)? }.local_addrs();
        let addr = addrs.get(index).ok_or(chat_status::CHAT_ERR_NOT_FOUND)?.to_string();
        // SAFETY: the header asks for `cap` writable bytes.
        unsafe { copy_text(&addr, buf, cap)? };
        write(len, addr.len());
        Ok(())
    })
}

/// Reads the counters, also after the stop. Pass `sizeof(chat_stats)` as `out_size`: the struct is
/// filled as far as both sides know it, and zeroed beyond.
///
/// Statuses: CHAT_ERR_INVALID_ARGUMENT if `out_size` is 0 or more than 4,096.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_stats(
    server: *const chat_server,
    out: *mut chat_stats,
    out_size: usize,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        if out_size == 0 || out_size > MAX_STATS_SIZE {
            return Err(chat_status::CHAT_ERR_INVALID_ARGUMENT);
        }
        let stats = chat_stats::from(server.stats());
        // SAFETY: the header asks for `out_size` writable bytes; the struct is all of `u64`.
        unsafe { copy_struct(&stats, out, out_size) }
    })
}

/// Takes all events that wait, or waits up to `timeout_ms` milliseconds for one; CHAT_WAIT_FOREVER
/// waits without end. CHAT_EVENT_STOPPED is the last, and wakes whoever waits.
///
/// `*out` is the batch, of one event at least, which the host frees with chat_events_free.
/// Statuses: CHAT_ERR_TIMED_OUT, CHAT_ERR_STOPPED once CHAT_EVENT_STOPPED has been taken,
/// CHAT_ERR_UNSUPPORTED if no events are collected (chat_config_set_event_queue) or a handler has
/// them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_next_events(
    server: *mut chat_server,
    timeout_ms: u32,
    out: Option<&mut MaybeUninit<*mut chat_events>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, out) = (unsafe { own(server)? }, required(out)?);
        let timeout = match timeout_ms {
            CHAT_WAIT_FOREVER => Duration::MAX,
            ms => Duration::from_millis(ms.into()),
        };
        let events = chat_events::new(server.next_events(timeout)?);
        out.write(Box::into_raw(Box::new(events)));
        Ok(())
    })
}

/// Begins to stop as chat_server_stop does, with 10 s for the clients, and returns at once. For
/// handlers; to wait for the end call chat_server_stop, which can shorten the time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_request_stop(server: *mut chat_server) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        unsafe { own(server)? }.request_stop();
        Ok(())
    })
}

/// Stops a server: takes no new connection, delivers what was accepted before, closes every client
/// with code 1001, and waits up to `drain_ms` milliseconds for them before it cuts them.
///
/// When it returns, the ports are free and no handler runs any more. So it waits, beyond its time,
/// for a handler that runs and gets the events that are left: do not hold a lock that the handler
/// wants. The handle stays until chat_server_free. Stopping again is allowed. Statuses: CHAT_ERR_TIMED_OUT if clients had to be
/// cut (the server has stopped all the same), CHAT_ERR_IN_HANDLER inside a handler of this server
/// (nothing is done: use chat_server_request_stop).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_stop(server: *mut chat_server, drain_ms: u32) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        Ok(server.stop(Duration::from_millis(drain_ms.into()))?)
    })
}

/// Frees a server, and stops it at once if it still runs (chat_server_stop drains). NULL is allowed.
///
/// It must be the last call: no other may be under way in the host's threads, or follow. A handler
/// may use the server until it has returned, and is not called after that.
///
/// Inside a handler of this server, the handler is not called again, and what is left of the server
/// ends after it has returned: `drop` of the handler tells when. In a fork of the server's process
/// this does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_free(server: *mut chat_server) {
    guard(|| {
        // SAFETY: the header asks for a server that has not been freed.
        let Ok(handle) = (unsafe { own(server) }) else { return };
        // The handler may use the handle until the server has stopped, so that comes first.
        if let Err(Error::InHandler) = handle.stop(Duration::ZERO) {
            handle.link.freed.store(true, Relaxed);
        }
        // SAFETY: made by `Box::into_raw` in `chat_server_start`, and this is the last call.
        drop(unsafe { Box::from_raw(server) });
    });
}
