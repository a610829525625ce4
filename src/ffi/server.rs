//! `chat_server`: start, stop, counters, and events that the host takes.

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
    config::{self, chat_config},
    error::chat_error,
    event::View,
    events::chat_events,
    failure::Failure,
    guard::guard,
    log_lines::{self, LogHandler},
    process::Process,
    stats::chat_stats,
    status::chat_status,
};
use crate::{config::Config, error::Error, server::Server};

/// A running server.
///
/// Any thread may call any function of a server at any time. chat_server_free must be the last
/// call, after all others have returned.
///
/// Functions: chat_server_start, chat_server_local_addr, chat_server_broadcast,
/// chat_server_publish, chat_server_publish_batch, chat_server_publish_with,
/// chat_server_publish_to, chat_server_position, chat_server_history, chat_server_trim,
/// chat_server_forget, chat_server_members, chat_server_member_count, chat_server_set_members,
/// chat_server_signal, chat_server_signal_client, chat_server_send,
/// chat_server_disconnect, chat_server_accept, chat_server_accept_with_past, chat_server_reject,
/// chat_server_join, chat_server_join_with_past, chat_server_leave, chat_server_set_echo,
/// chat_server_set_identity, chat_server_set_name, chat_server_send_to_identity,
/// chat_server_disconnect_identity, chat_server_join_identity, chat_server_leave_identity,
/// chat_server_identity_clients, chat_server_set_subprotocol, chat_server_allow,
/// chat_server_allow_changed, chat_server_refuse, chat_server_refuse_with, chat_server_stats,
/// chat_server_next_events, chat_server_wait, chat_server_request_stop, chat_server_stop,
/// chat_server_free.
pub struct chat_server {
    server: Server,
    /// The process that runs the server's threads; a fork of it does not.
    process: Process,
    link: Arc<Link>,
    /// The last field, so that the end of the server is logged too.
    _log: Option<Arc<LogHandler>>,
}

/// The size of a buffer that holds any address of chat_server_local_addr, in bytes.
#[allow(dead_code)] // For C.
pub const CHAT_ADDR_SIZE: usize = 64;

/// The timeout with which chat_server_next_events and chat_server_wait wait without end.
pub const CHAT_WAIT_FOREVER: u32 = u32::MAX;

/// The largest struct that `chat_server_stats` fills.
const MAX_STATS_SIZE: usize = 4096;

/// Returns the server behind a handle, if it belongs to this process.
///
/// # Safety
/// The handle is NULL, or its server is not freed during `'a`.
pub(super) unsafe fn own<'a>(handle: *const chat_server) -> Result<&'a chat_server, Failure> {
    // SAFETY: the caller promises it.
    let handle = required(unsafe { handle.as_ref() }, "server")?;
    if handle.process != Process::current() {
        let text = "the server belongs to another process, and this one was forked from it; start a server here";
        return Err(Failure::state(chat_status::CHAT_ERR_FORKED, text));
    }
    if log_lines::is_inside() {
        return Err(in_log_handler());
    }
    Ok(handle)
}

fn in_log_handler() -> Failure {
    let text = "called inside a log handler, which must queue the line and return";
    Failure::state(chat_status::CHAT_ERR_IN_HANDLER, text)
}

impl std::ops::Deref for chat_server {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// The state that the host's handler and its server share.
#[derive(Default)]
struct Link {
    /// Set once the host has its server, which the handler may use.
    started: OnceLock<()>,
    /// Set when the host has freed its server inside the handler, which is not called again.
    freed: AtomicBool,
}

/// Releases the handler when the start is over, also if it failed: otherwise the handler's thread
/// would wait for ever.
struct Started<'a>(&'a Link);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        _ = self.0.started.set(());
    }
}

/// The most events that one call of the handler gets. The descriptions of so few events stay in the
/// cache, and the allocator keeps their memory.
const MAX_EVENTS: usize = 256;

/// Returns the config with the host's handler in it.
fn with_handler(config: &Config, callback: Arc<Callback>, link: Arc<Link>) -> Config {
    let mut config = config.clone();
    config.event_handler(move |_, events| {
        link.started.wait();
        for events in events.chunks(MAX_EVENTS) {
            // Relaxed: only this thread sets it, inside the handler.
            if !link.freed.load(Relaxed) {
                callback.call(View::new(events).pointers());
            }
        }
    });
    config
}

/// Starts a server with a copy of the config. The server listens when this returns, and runs on its
/// own threads.
///
/// On success, `*out` is the server: the host owns it and frees it with chat_server_free. On
/// failure, `*error` says why, if `error` is not NULL; the host frees it with chat_error_free. An
/// event handler is not called before `*out` is written, so it may read the server from there.
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
        guard(|| start(config, out)).inspect_err(|failure| {
            if let Some(error) = error {
                error.write(Box::into_raw(Box::new(chat_error::new(failure))));
            }
        })
    })
}

fn start(
    config: Option<&chat_config>,
    out: Option<&mut MaybeUninit<*mut chat_server>>,
) -> Result<(), Failure> {
    let config = config::own(config)?;
    let out = required(out, "out")?;
    if log_lines::is_inside() {
        return Err(in_log_handler());
    }
    let link = Arc::new(Link::default());
    let _started = Started(&link);
    let process =
        Process::watched().map_err(|source| Error::Resources { what: "a fork handler", source })?;
    let server = LogHandler::within(config.log.as_ref(), || match &config.handler {
        None => config.inner.start(),
        Some(callback) => with_handler(&config.inner, callback.clone(), link.clone()).start(),
    });
    let handle =
        chat_server { server: server?, process, link: link.clone(), _log: config.log.clone() };
    out.write(Box::into_raw(Box::new(handle)));
    Ok(())
}

/// Writes the address and port of a listener as NUL-terminated text. Listeners are numbered from 0,
/// in the order in which they were added to the config.
///
/// `buf` holds `cap` bytes; CHAT_ADDR_SIZE bytes are always enough. `*len`, if `len` is not NULL,
/// is the length without the NUL. It works after the stop too. Statuses: CHAT_ERR_NOT_FOUND if
/// there is no listener with this index, CHAT_ERR_TOO_LARGE if the buffer is too short.
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
        let addr = addrs.get(index).ok_or_else(|| {
            let count = addrs.len();
            Failure::not_found(
                "index",
                format!("{index} is no listener; there are {count}, from 0 on"),
            )
        })?;
        let addr = addr.to_string();
        // SAFETY: the header asks for `cap` writable bytes.
        unsafe { copy_text(&addr, buf, cap)? };
        write(len, addr.len());
        Ok(())
    })
}

/// Reads the counters; it works after the stop too. Pass `sizeof(chat_stats)` as `out_size`. The
/// library fills the counters that both sides know, and sets the rest of the struct to zero.
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
            let why = format!("{out_size} is no size of chat_stats; pass sizeof(chat_stats)");
            return Err(Failure::invalid("out_size", why));
        }
        let stats = chat_stats::from(server.stats());
        // SAFETY: the header asks for `out_size` writable bytes; the struct is all of `u64`.
        unsafe { copy_struct(&stats, out, out_size) }
    })
}

/// Takes the events that wait, the oldest first and at most 1,024, or waits for one, up to
/// `timeout_ms` milliseconds; CHAT_WAIT_FOREVER waits without end. CHAT_EVENT_STOPPED is the last
/// event, and ends every wait.
///
/// `*out` is a batch of at least one event: the host owns it and frees it with chat_events_free.
/// Statuses: CHAT_ERR_TIMED_OUT; CHAT_ERR_STOPPED once CHAT_EVENT_STOPPED has been taken;
/// CHAT_ERR_UNSUPPORTED if no events are collected (chat_config_set_event_queue) or if a handler
/// gets them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_next_events(
    server: *mut chat_server,
    timeout_ms: u32,
    out: Option<&mut MaybeUninit<*mut chat_events>>,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let (server, out) = (unsafe { own(server)? }, required(out, "out")?);
        let events = chat_events::new(server.next_events(timeout(timeout_ms))?);
        out.write(Box::into_raw(Box::new(events)));
        Ok(())
    })
}

/// Returns the time that a host passes.
fn timeout(timeout_ms: u32) -> Duration {
    match timeout_ms {
        CHAT_WAIT_FOREVER => Duration::MAX,
        ms => Duration::from_millis(ms.into()),
    }
}

/// Waits until a server has ended, up to `timeout_ms` milliseconds; CHAT_WAIT_FOREVER waits without
/// end. CHAT_OK: the server was stopped, its ports are free, its clients are gone. An event handler
/// may still get the events that are left. It works after the end too.
///
/// A server ends when the host stops it. It also ends by itself, with CHAT_ERR_FAILED, when one of
/// its threads cannot go on, for example because of a bug in libchat: chat_last_error_message says
/// which, and why, and so does the log. So a host that takes no events learns here that the server is
/// gone. Statuses: CHAT_ERR_TIMED_OUT if the server still runs, CHAT_ERR_FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_wait(
    server: *const chat_server,
    timeout_ms: u32,
) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        Ok(unsafe { own(server)? }.wait(timeout(timeout_ms))?)
    })
}

/// Begins to stop a server as chat_server_stop does, with 5 s for the clients, and returns at
/// once. For handlers. To wait for the end, call chat_server_stop, which can also shorten the time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_request_stop(server: *mut chat_server) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        unsafe { own(server)? }.request_stop();
        Ok(())
    })
}

/// Stops a server: it accepts no further connection, delivers every message that was published
/// before, closes every client with code 1001, and waits up to `drain_ms` milliseconds for their
/// answers. It aborts the connections that are left then. Event streams (CHAT_FORM_EVENTS) end one
/// after the other, a millisecond for each, over at most half of that time.
///
/// When this returns, the ports are free and no handler runs. It therefore also waits, longer than
/// `drain_ms` if need be, until the event handler has returned and has got the events that are
/// left: do not hold a lock that the handler needs. A host that does not want them sets a flag
/// behind `user_data`, at which its handler returns. The handle stays valid until chat_server_free,
/// and the server may be stopped again. Statuses: CHAT_ERR_TIMED_OUT, once, if connections were
/// aborted, and CHAT_ERR_FAILED if the server had ended by itself (chat_server_wait): the server has
/// stopped all the same; CHAT_ERR_IN_HANDLER inside an event handler of this server (nothing is
/// done: call chat_server_request_stop).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_stop(server: *mut chat_server, drain_ms: u32) -> chat_status {
    attempt(|| {
        // SAFETY: the header asks for a server that is not freed before this returns.
        let server = unsafe { own(server)? };
        Ok(server.stop(Duration::from_millis(drain_ms.into()))?)
    })
}

/// Frees a server. If it still runs, stops it at once, without a drain (chat_server_stop drains).
/// NULL is allowed.
///
/// This must be the last call on the server: no other call may be running in a thread of the host,
/// and none may follow. As in chat_server_stop, this waits until the event handler has got the
/// events that are left. The handler may use the server until it returns, and is not called after
/// that.
///
/// Inside an event handler of this server, the handler is not called again. The rest of the server
/// ends after the handler has returned; the handler's `drop` is called when it has ended. In a fork
/// of the server's process the call does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_server_free(server: *mut chat_server) {
    guard(|| {
        // SAFETY: the header asks for a server that has not been freed.
        let Ok(handle) = (unsafe { own(server) }) else { return };
        // Stop first: the handler may use the handle until the server has stopped.
        if let Err(Error::InHandler) = handle.stop(Duration::ZERO) {
            handle.link.freed.store(true, Relaxed);
        }
        // SAFETY: made by `Box::into_raw` in `chat_server_start`, and this is the last call.
        drop(unsafe { Box::from_raw(server) });
    });
}
