//! `chat_config`: one setter for each option, with the option's name.

use std::{
    ffi::{c_char, c_void},
    sync::Arc,
    time::Duration,
};

use super::{
    boundary::{attempt, flag, text},
    callback::{Callback, UserData},
    event::{chat_drop_fn, chat_event_fn},
    failure::{self, Failure},
    guard::guard,
    log_lines::LogHandler,
    status::chat_status,
    version::CHAT_ABI_VERSION,
};
use crate::{
    config::Config,
    options::{Overdue, SlowConsumer},
};

/// The options of a server. Every option starts with its default. By default every queue, size
/// and time is bounded.
///
/// The setters store their values. chat_server_start checks all options at once and names each one
/// that is out of its limits, so a setter fails only for a value that it cannot store.
///
/// One thread at a time may use a config. It can start several servers, and may be freed as soon as
/// they are started.
///
/// Functions: chat_config_new, chat_config_free, chat_config_add_listen, chat_config_add_origin,
/// chat_config_set_... for each option, chat_config_set_event_handler, chat_config_set_log_handler,
/// chat_server_start.
pub struct chat_config {
    pub(super) inner: Config,
    pub(super) handler: Option<Arc<Callback>>,
    pub(super) log: Option<Arc<LogHandler>>,
}

/// What happens to a client whose outbox is full because it does not read what it is sent: for
/// chat_config_set_slow_consumer.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_slow_consumer {
    /// The server closes its connection with code 1013 and a reason that says so.
    CHAT_SLOW_CONSUMER_DISCONNECT = 1,
    /// The server drops the oldest whole messages that wait for the client, and reports how many
    /// with CHAT_EVENT_MESSAGES_DROPPED. A client of the JSON form is told too: in place of the
    /// messages of a room it gets one object `dropped`. Nothing but messages is dropped of it: if
    /// more than `outbox_size` of answers and the like waits for it, the server closes its
    /// connection with code 1013.
    CHAT_SLOW_CONSUMER_DROP_OLDEST = 2,
}

/// What happens to a client or a message that the host does not decide on in time: for
/// chat_config_set_overdue.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_overdue {
    /// The client is rejected with HTTP 503, a client of events with 200 and the event `closing`;
    /// the message is refused.
    CHAT_OVERDUE_REFUSE = 1,
    /// The client is accepted; the message is allowed.
    CHAT_OVERDUE_ALLOW = 2,
}

/// Who is told who is in a room: for chat_config_set_members.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_members_mode {
    /// Nobody: no members are kept.
    CHAT_MEMBERS_OFF = 1,
    /// The host, and the clients of the JSON form that the host allows it (chat_server_set_members)
    /// and that ask for it with `?members=true`.
    CHAT_MEMBERS_HOST = 2,
    /// The host, and each client of the JSON form that asks for it, unless the host does not allow
    /// it.
    CHAT_MEMBERS_CLIENTS = 3,
}

/// Makes a config in which every option has its default. Pass CHAT_ABI_VERSION.
///
/// The host owns the config and frees it with chat_config_free. Returns NULL if the header that the
/// host was compiled with does not fit the library.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn chat_config_new(abi_version: u32) -> Option<Box<chat_config>> {
    guard(|| {
        if abi_version != CHAT_ABI_VERSION {
            let why = format!(
                "{abi_version} is not the library's {CHAT_ABI_VERSION}; compile the program with the header of this \
                 library"
            );
            failure::note(Failure::invalid("abi_version", why));
            return None;
        }
        Some(Box::new(chat_config { inner: Config::new(), handler: None, log: None }))
    })
}

/// Frees a config. Servers that were started from it keep running. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_free(config: Option<Box<chat_config>>) {
    guard(|| drop(config));
}

/// The body of a setter that cannot fail.
pub(super) fn set(
    config: Option<&mut chat_config>,
    set: impl FnOnce(&mut Config),
) -> Result<(), Failure> {
    set(&mut own(config)?.inner);
    Ok(())
}

/// Returns the config, which is NULL most likely because chat_config_new refused the host's header.
pub(super) fn own<T>(config: Option<T>) -> Result<T, Failure> {
    config.ok_or_else(|| {
        let why = "it is NULL: chat_config_new returns NULL if header and library do not fit; compile the program \
                   with the header of this library";
        Failure::argument(chat_status::CHAT_ERR_NULL_ARGUMENT, "config", why)
    })
}

pub(super) fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

pub(super) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Adds an address to listen on, with its port. Port 0 takes a free port, which
/// chat_server_local_addr returns.
///
/// - `127.0.0.1:9001` or `[::1]:9001`: an IP address. `0.0.0.0` is every address of IPv4. `[::]` is
///   every address of IPv6 and of IPv4; of IPv6 alone if an address of IPv4 with the same port is
///   added too, or with chat_config_set_ipv6_only.
/// - `:9001`: every address of IPv4 and of IPv6.
/// - `localhost:9001`: all addresses that a name has on this machine. chat_server_start looks the
///   name up, and waits for the system's resolver.
///
/// Default: `127.0.0.1:9001`; the first address that is added replaces it. Statuses:
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_config_add_listen(
    config: Option<&mut chat_config>,
    addr: *const c_char,
    addr_len: usize,
) -> chat_status {
    attempt(|| {
        let config = own(config)?;
        // SAFETY: the header asks for `addr_len` readable bytes.
        let addr = unsafe { text(addr, addr_len, "addr")? };
        config.inner.listen(addr);
        Ok(())
    })
}

/// Adds an origin whose pages may connect:
///
/// - `https://app.example` or `https://app.example:8443`: pages of this scheme, host and port. The
///   port of the scheme, as in `https://app.example:443`, may be left out.
/// - `*.app.example` as the host, behind the scheme: pages of all its subdomains, at any depth, and
///   not of `app.example` itself.
///   It admits every site that has a subdomain there: `*.com` admits nearly every site.
/// - `http://localhost:*`: pages of this host on every port.
/// - `file://` and `null`: pages that were opened from a file; browsers send the one or the other.
///   `null` is also the origin of sandboxed frames, which every site can have.
/// - `app://localhost` and the like: pages of apps and extensions, as the browser sends it.
/// - `*`: every page.
///
/// Programs, which send no `Origin` header, may always connect, and so may pages from the server's
/// own host and port: those whose origin names what the request's `Host` header names. A proxy in
/// front must pass this header on, with its port (nginx: `proxy_set_header Host $http_host`).
///
/// Pages of other origins are answered with HTTP 403, and a text that says what to add. The log has
/// it too, at the level CHAT_LOG_INFO, at most once a second. chat_server_start refuses what is not
/// an origin, such as one with a path or a user name, and says why.
///
/// Default: no origin, so that only programs and the server's own pages may connect. Statuses:
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_config_add_origin(
    config: Option<&mut chat_config>,
    origin: *const c_char,
    origin_len: usize,
) -> chat_status {
    attempt(|| {
        let config = own(config)?;
        // SAFETY: the header asks for `origin_len` readable bytes.
        let origin = unsafe { text(origin, origin_len, "origin")? };
        config.inner.origin(origin);
        Ok(())
    })
}

/// Sets how many worker threads share the connections. Default: 0, which means one for each core,
/// and at most four. At most 256.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_workers(
    config: Option<&mut chat_config>,
    threads: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.workers(size(threads))))
}

/// Sets how long a worker polls for its next event before it sleeps (busy polling), in
/// microseconds.
///
/// Where the next event usually comes within this time, polling saves a sleep and a wake-up, which
/// are a large part of a short round trip; the worker may then use a whole core. Where it does not,
/// the worker sleeps at once, and polls once in about a thousand sleeps. If there are more workers
/// than cores, no worker polls. 0: no worker polls, which leaves the most processor time to the
/// rest of the program. Default: 15. At most 1,000.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_busy_poll(
    config: Option<&mut chat_config>,
    time_us: u32,
) -> chat_status {
    attempt(|| {
        let time = Duration::from_micros(time_us.into());
        set(config, |config| _ = config.busy_poll(time))
    })
}

/// Sets whether `[::]` is every address of IPv6 alone, so that another program can have the port
/// for IPv4. `ipv6_only` is 0 or 1. Default: 0, which lets it be every address of IPv4 too.
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for another number.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_ipv6_only(
    config: Option<&mut chat_config>,
    ipv6_only: u32,
) -> chat_status {
    attempt(|| {
        let ipv6_only = flag(ipv6_only, "ipv6_only")?;
        set(config, |config| _ = config.ipv6_only(ipv6_only))
    })
}

/// Sets whether a sender receives its own messages when they are published. A client overrides this
/// for itself with `?echo=false` or `?echo=true`, and the host with chat_server_set_echo. A client
/// that gets a room's past gets its own messages in it in any case. `echo` is 0 or 1. Default: 1.
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for another number.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_echo(config: Option<&mut chat_config>, echo: u32) -> chat_status {
    attempt(|| {
        let echo = flag(echo, "echo")?;
        set(config, |config| _ = config.echo(echo))
    })
}

/// Sets how many clients may be connected at once. A further client is answered with HTTP 503; a
/// client of events with 200 and the event `closing`, so that it comes back. Default: 65,536. From 1
/// to 100,000,000.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_max_connections(
    config: Option<&mut chat_config>,
    count: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.max_connections(size(count))))
}

/// Sets how many rooms one client may be in at once, the room that it asks for included
/// (chat_server_join). Default: 1,000. From 1 to 1,000,000.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_max_rooms_per_client(
    config: Option<&mut chat_config>,
    rooms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.max_rooms_per_client(size(rooms))))
}

/// Sets how many connections may be in their handshake at once. A further connection is answered
/// with HTTP 503, a client of events with 200 and the event `closing`; if nothing of a request has
/// come, it is closed without an answer. Requests for pages such as `/health` count
/// too. HTTP connections that are kept between requests do not: there may be half as many of them.
/// Default: 1,024. From 1 to 1,000,000.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_max_handshakes(
    config: Option<&mut chat_config>,
    count: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.max_handshakes(size(count))))
}

/// Sets how long a handshake may take in total, from the accepted connection to the upgrade, in
/// milliseconds. A handshake that takes longer is answered with HTTP 408 and closed; if nothing of
/// a request has come, it is closed without an answer. The same time holds for requests for pages
/// such as `/health`, and on an HTTP connection that is kept for the wait for each further request,
/// and for that request. Default: 5,000. From 10 to 86,400,000 (1 day).
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_handshake_timeout(
    config: Option<&mut chat_config>,
    timeout_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.handshake_timeout(millis(timeout_ms))))
}

/// Sets how long the head of a handshake may be, in bytes. A longer head, or one with more than 100
/// headers, is answered with HTTP 431. Default: 16 KiB. From 8 KiB to 1 MiB.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_handshake_size(
    config: Option<&mut chat_config>,
    bytes: usize,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.handshake_size(bytes)))
}

/// Sets the path under which the server is served, for a proxy in front that passes it on as it is:
/// with `/chat`, clients connect to `/chat/` and `/chat/rooms/{room}`, and everything outside of it is
/// answered with HTTP 404. `/health` and `/ready` are answered with it and without. The `path` of an
/// event's request is as it came.
///
/// Default: empty, which means `/`. It begins with a slash and does not end with one, has no `%`, and at
/// most 256 bytes; chat_server_start says what is wrong with another one. Statuses:
/// CHAT_ERR_INVALID_UTF8, CHAT_ERR_TOO_LARGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn chat_config_set_base_path(
    config: Option<&mut chat_config>,
    path: *const c_char,
    path_len: usize,
) -> chat_status {
    attempt(|| {
        let config = own(config)?;
        // SAFETY: the header asks for `path_len` readable bytes.
        let path = unsafe { text(path, path_len, "path")? };
        config.inner.base_path(path);
        Ok(())
    })
}

/// Sets how long the host may take to decide on a client that asks to be connected, in
/// milliseconds. 0: the host does not decide, and every client is accepted.
///
/// With a time, each client waits for the host's decision. The host gets CHAT_EVENT_CONNECT_REQUEST
/// and calls chat_server_accept or chat_server_reject, from any thread. A client that it does not
/// decide on in time is counted in `admissions_timed_out`, and rejected with HTTP 503 (a client of
/// events with 200 and the event `closing`) unless chat_config_set_overdue says otherwise. No other
/// client waits.
///
/// Default: 0. From 10 to 86,400,000 (1 day), or 0. A time needs an event handler or
/// chat_config_set_event_queue.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_admission_timeout(
    config: Option<&mut chat_config>,
    timeout_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.admission_timeout(millis(timeout_ms))))
}

/// Sets how long the host may take to decide on a message of a client before it is published, in
/// milliseconds. 0: the host does not decide, and every message is published.
///
/// With a time, each message waits for the host's decision. The host gets
/// CHAT_EVENT_MESSAGE_REQUEST and calls chat_server_allow, chat_server_allow_changed or
/// chat_server_refuse, from any thread. A message that it does not decide on in time is counted in
/// `reviews_timed_out`, and refused unless chat_config_set_overdue says otherwise. The messages of
/// one client keep their order; those of other clients do not wait for them. While 64 messages or 1
/// MiB of a client are undecided, the server does not read from that client. These bounds are soft:
/// of what one read of at most 64 KiB held, which can be 10,922 empty messages, every message is
/// asked about. A message that does not fit into the event queue is refused, whatever
/// chat_config_set_overdue says, and counted in `messages_refused` and `events_dropped`.
///
/// Default: 0. From 10 to 86,400,000 (1 day), or 0. A time needs an event handler or
/// chat_config_set_event_queue.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_review_timeout(
    config: Option<&mut chat_config>,
    timeout_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.review_timeout(millis(timeout_ms))))
}

/// Sets what happens to a client or a message that the host does not decide on in time: a
/// CHAT_OVERDUE_... value. Default: CHAT_OVERDUE_REFUSE, so that a slow host lets nobody in.
/// Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown value.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_overdue(
    config: Option<&mut chat_config>,
    outcome: u32,
) -> chat_status {
    attempt(|| {
        const REFUSE: u32 = chat_overdue::CHAT_OVERDUE_REFUSE as u32;
        const ALLOW: u32 = chat_overdue::CHAT_OVERDUE_ALLOW as u32;
        let config = own(config)?;
        let outcome = match outcome {
            REFUSE => Overdue::Refuse,
            ALLOW => Overdue::Allow,
            _ => {
                let why =
                    format!("{outcome} is neither CHAT_OVERDUE_REFUSE nor CHAT_OVERDUE_ALLOW");
                return Err(Failure::invalid("outcome", why));
            }
        };
        config.inner.overdue(outcome);
        Ok(())
    })
}

/// Sets how long a message may be, in bytes of payload. A client that sends a longer message is
/// closed with code 1009, or told `refused` if it uses the JSON form; a longer message of the host
/// is CHAT_ERR_TOO_LARGE. Default: 1 MiB, or what `outbox_size` holds if that is set and less: 3/4 of
/// (`outbox_size` - 4 KiB). From 1 byte to 1 GiB.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_max_message_size(
    config: Option<&mut chat_config>,
    bytes: usize,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.max_message_size(bytes)))
}

/// Sets how many bytes may wait for one client that does not read them. Beyond this size the client
/// is a slow consumer. The memory that keeps the bytes counts too: about 130 bytes for each write.
/// Default: 4 MiB, a burst of 10,000 chat messages, or 4 times `max_message_size` if that is more.
/// At least 4/3 of `max_message_size` + 4 KiB, so that it holds a message in base64, at most 64 GiB.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_outbox_size(
    config: Option<&mut chat_config>,
    bytes: usize,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.outbox_size(bytes)))
}

/// Sets how long the oldest byte may wait for a client that does not read it, in milliseconds.
/// After this time the client is a slow consumer. Default: 5,000. From 10 to 86,400,000 (1 day).
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_outbox_age(
    config: Option<&mut chat_config>,
    age_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.outbox_age(millis(age_ms))))
}

/// Sets what happens to a slow consumer: a CHAT_SLOW_CONSUMER_... value. Default:
/// CHAT_SLOW_CONSUMER_DISCONNECT. A client of events is always disconnected: it comes back, and
/// recovers. Statuses: CHAT_ERR_INVALID_ARGUMENT for an unknown value.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_slow_consumer(
    config: Option<&mut chat_config>,
    policy: u32,
) -> chat_status {
    attempt(|| {
        const DISCONNECT: u32 = chat_slow_consumer::CHAT_SLOW_CONSUMER_DISCONNECT as u32;
        const DROP_OLDEST: u32 = chat_slow_consumer::CHAT_SLOW_CONSUMER_DROP_OLDEST as u32;
        let config = own(config)?;
        let policy = match policy {
            DISCONNECT => SlowConsumer::Disconnect,
            DROP_OLDEST => SlowConsumer::DropOldest,
            _ => {
                let why = format!(
                    "{policy} is neither CHAT_SLOW_CONSUMER_DISCONNECT nor CHAT_SLOW_CONSUMER_DROP_OLDEST"
                );
                return Err(Failure::invalid("policy", why));
            }
        };
        config.inner.slow_consumer(policy);
        Ok(())
    })
}

/// Sets how often the server pings a client, in milliseconds; 0: never; a client of events
/// gets the event `ping` every 25,000 then. Default: 25,000, which suits phones. From 10 to
/// 86,400,000 (1 day), or 0.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_ping_interval(
    config: Option<&mut chat_config>,
    interval_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.ping_interval(millis(interval_ms))))
}

/// Sets how long a client may take to answer a ping, in milliseconds; any bytes are an answer. The
/// server aborts the connection of a client that does not answer: at most ping interval + ping
/// timeout after the client's last byte.
///
/// With CHAT_SLOW_CONSUMER_DISCONNECT, a connection is also aborted when the client's machine does
/// not acknowledge data for 1 s more than the longer of ping timeout and outbox age. Default:
/// 10,000. From 10 to 86,400,000 (1 day).
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_ping_timeout(
    config: Option<&mut chat_config>,
    timeout_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.ping_timeout(millis(timeout_ms))))
}

/// Sets how long a connection may be without traffic until TCP keepalive probes are sent, and the
/// time between them, in milliseconds; 0: no probes. Default: 15,000. Whole seconds from 1,000 to
/// 32,400,000 (9 hours), or 0.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_tcp_keepalive(
    config: Option<&mut chat_config>,
    idle_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.tcp_keepalive(millis(idle_ms))))
}

/// Sets how long a call of the host waits while more waits to be delivered than the server may
/// keep, in milliseconds. After this time the call returns CHAT_ERR_QUEUE_FULL; with 0, at once. It
/// holds for chat_server_broadcast, _publish, _publish_batch (the whole batch), _publish_with,
/// _publish_to (all rooms together), _send, _join, _join_with_past, _leave, _set_echo, _set_identity,
/// _set_name, _set_members, _send_to_identity, _join_identity, _leave_identity and _forget. Default: 5,000. At most 86,400,000 (1 day).
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_publish_timeout(
    config: Option<&mut chat_config>,
    timeout_ms: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.publish_timeout(millis(timeout_ms))))
}

/// Sets how many events may wait for the host; 0: no events are collected, or, with an event
/// handler, as many as by default.
///
/// When this many events wait, or when their messages and requests hold 64 MiB, message events are
/// dropped and counted, and a message that needs a decision is refused. Connects and disconnects
/// are never dropped: while the queue is full, further clients are answered with HTTP 503, clients
/// of events with 200 and the event `closing`. While 65,536 events more than this wait,
/// chat_server_join and chat_server_leave wait too, up to publish_timeout (in an event handler not
/// at all), and return CHAT_ERR_QUEUE_FULL. Default: 0, or 65,536 if there is a handler. At most
/// 16,777,216.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_event_queue(
    config: Option<&mut chat_config>,
    events: u32,
) -> chat_status {
    attempt(|| set(config, |config| _ = config.event_queue(size(events))))
}

/// Sets the function that is called with events, in order and in batches. Without a handler, the
/// host takes events with chat_server_next_events.
///
/// `user_data` is passed to each call; the library never looks behind it. `drop`, which may be
/// NULL, is called with it exactly once, after the last call: when the config is freed and every
/// server that was started from it has stopped, when another handler replaces this one, or at once
/// if this function fails. `drop` may run on any thread, and must not use the config. Default: no
/// handler. Statuses: only those that every function may return.
#[unsafe(no_mangle)]
pub extern "C" fn chat_config_set_event_handler(
    config: Option<&mut chat_config>,
    handler: chat_event_fn,
    user_data: *mut c_void,
    drop: chat_drop_fn,
) -> chat_status {
    attempt(|| {
        // First, so that `drop` is called even if a check below fails.
        let user_data = UserData::new(user_data, drop);
        let config = own(config)?;
        let callback = Callback::new(handler, user_data)?;
        config.handler = Some(Arc::new(callback));
        Ok(())
    })
}
