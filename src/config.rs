//! The builder of a server: sets the options, checks them, starts.
//!
//! Rust, C, Go and the program's flags set the same options under the same names.

use std::{fmt, num::NonZero, sync::Arc, thread, time::Duration};

use crate::{
    error::{Error, Result},
    event::Event,
    handle::{EventHandler, Handle},
    options::{Check, Members, Options, Overdue, Sizes, SlowConsumer},
    server::{Parts, Server},
};

/// The options of a server, and `start`.
///
/// Every option has a default, and every queue, size and time is bounded by default. `start` checks all options and
/// names each one that is out of its limits.
///
/// ```
/// # fn main() -> chat::Result<()> {
/// let server = chat::Config::new().listen("127.0.0.1:0").max_connections(500).start()?;
/// println!("listening on {}", server.local_addr());
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Config {
    pub(crate) listen: Vec<String>,
    origins: Vec<String>,
    pub(crate) options: Options,
    /// As the host has set them, if it has: one that is not set follows the others.
    sizes: Sizes,
    pub(crate) handler: Option<EventHandler>,
}

/// The size of the event queue if there is an event handler and the option is not set.
const HANDLER_EVENT_QUEUE: usize = 65_536;

impl Config {
    /// The address that a server listens on if none is configured.
    pub const DEFAULT_LISTEN: &str = "127.0.0.1:9001";

    /// Makes a configuration in which every option has its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an address to listen on, with its port, which is 0 for any free one:
    ///
    /// - `127.0.0.1:9001` or `[::1]:9001`: an IP address. `0.0.0.0` is every address of IPv4. `[::]` is every
    ///   address of IPv6 and of IPv4; of IPv6 alone if an address of IPv4 with the same port is added too, or with
    ///   [`ipv6_only`](Self::ipv6_only).
    /// - `:9001`: every address of IPv4 and of IPv6.
    /// - `localhost:9001`: all addresses that a name has on this machine. `start` looks the name up, and waits for
    ///   the system's resolver.
    ///
    /// Default: [`Config::DEFAULT_LISTEN`]; the first address that is added replaces it.
    pub fn listen(&mut self, addr: impl Into<String>) -> &mut Self {
        self.listen.push(addr.into());
        self
    }

    /// Sets whether `[::]` is every address of IPv6 alone, so that another program can have the port for IPv4.
    ///
    /// Default: false, which lets it be every address of IPv4 too.
    pub fn ipv6_only(&mut self, ipv6_only: bool) -> &mut Self {
        self.options.ipv6_only = ipv6_only;
        self
    }

    /// Sets how many worker threads share the connections.
    ///
    /// Default: 0, which means one for each core, and at most four. At most 256.
    pub fn workers(&mut self, threads: usize) -> &mut Self {
        self.options.workers = threads;
        self
    }

    /// Sets how long a worker polls for its next event before it sleeps (busy polling).
    ///
    /// If the next event usually comes within this time, polling saves a sleep and a wake-up, which
    /// are a large part of a short round trip; the worker may then use a whole core. If it usually
    /// does not, the worker sleeps at once, and polls before about one sleep in a thousand. If there are
    /// more workers than cores, no worker polls. Zero: no worker polls, which leaves the most
    /// processor time to the rest of the program.
    ///
    /// Default: 15 µs. At most 1 ms.
    pub fn busy_poll(&mut self, time: Duration) -> &mut Self {
        self.options.busy_poll = time;
        self
    }

    /// Sets whether a sender receives its own messages when they are published. A client overrides this for
    /// itself with `?echo=false` or `?echo=true`, and the host with [`Handle::set_echo`]. A client that gets a
    /// room's past gets its own messages in it in any case.
    ///
    /// Default: true.
    pub fn echo(&mut self, echo: bool) -> &mut Self {
        self.options.echo = echo;
        self
    }

    /// Sets how many clients may be connected at once. A further client is answered with HTTP 503; a client of events
    /// ([`Form::Events`](crate::Form::Events)) with 200 and the event `closing`, so that it comes back.
    ///
    /// Default: 65,536. From 1 to 100,000,000.
    pub fn max_connections(&mut self, count: usize) -> &mut Self {
        self.options.max_connections = count;
        self
    }

    /// Sets how many rooms one client may be in at once, the room that it asks for included
    /// ([`Handle::join`]).
    ///
    /// Default: 1,000. From 1 to 1,000,000.
    pub fn max_rooms_per_client(&mut self, rooms: usize) -> &mut Self {
        self.options.max_rooms_per_client = rooms;
        self
    }

    /// Sets how many connections may be in their handshake at once. A further connection is
    /// answered with HTTP 503, a client of events with 200 and the event `closing`; if nothing of a request has come, it
    /// is closed without an answer. Requests for pages such as `/health` count too. HTTP connections
    /// that are kept between requests do not: there may be half as many of them.
    ///
    /// Default: 1,024. From 1 to 1,000,000.
    pub fn max_handshakes(&mut self, count: usize) -> &mut Self {
        self.options.max_handshakes = count;
        self
    }

    /// Sets how long a handshake may take in total, from the accepted connection to the upgrade. A
    /// handshake that takes longer is answered with HTTP 408 and closed; if nothing of a request has
    /// come, it is closed without an answer. The same time holds for requests for pages such as `/health`, and on an
    /// HTTP connection that is kept for the wait for each further request, and for that request.
    ///
    /// Default: 5 s. From 10 ms to 1 day.
    pub fn handshake_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.options.handshake_timeout = timeout;
        self
    }

    /// Sets how long the head of a handshake may be, in bytes. A longer head, or one with more than
    /// 100 headers, is answered with HTTP 431.
    ///
    /// Default: 16 KiB. From 8 KiB to 1 MiB.
    pub fn handshake_size(&mut self, bytes: usize) -> &mut Self {
        self.options.handshake_size = bytes;
        self
    }

    /// Sets the path under which the server is served, for a proxy in front that passes it on as it is: with `/chat`,
    /// clients connect to `/chat/` and `/chat/rooms/{room}`, and everything outside of it is answered with HTTP 404.
    /// `/health` and `/ready` are answered with it and without. [`Request::path`](crate::Request::path) has the path as
    /// it came.
    ///
    /// Default: empty, which means `/`. It begins with a slash and does not end with one, has no `%`, and at most 256
    /// bytes. `start` says what is wrong with another one.
    pub fn base_path(&mut self, path: impl Into<String>) -> &mut Self {
        self.options.base_path = path.into();
        self
    }

    /// Sets how long the host may take to decide on a client that asks to be connected. Zero: the
    /// host does not decide, and every client is accepted.
    ///
    /// With a time, each client waits for the host's decision. The host gets
    /// [`Event::ConnectRequest`] and calls [`Handle::accept`] or [`Handle::reject`], from any
    /// thread. A client that it does not decide on in time is counted in
    /// [`Stats::admissions_timed_out`](crate::Stats::admissions_timed_out), and rejected with HTTP
    /// 503 (a client of events with 200 and the event `closing`) unless [`overdue`](Self::overdue) says otherwise. No
    /// other client waits.
    ///
    /// Default: zero. From 10 ms to 1 day, or zero. A time needs an event handler or the option
    /// `event_queue`.
    pub fn admission_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.options.admission_timeout = timeout;
        self
    }

    /// Sets how long the host may take to decide on a message of a client before it is published.
    /// Zero: the host does not decide, and every message is published.
    ///
    /// With a time, each message waits for the host's decision. The host gets
    /// [`Event::MessageRequest`] and calls [`Handle::allow`], [`Handle::allow_changed`] or
    /// [`Handle::refuse`], from any thread. A message that it does not decide on in time is counted
    /// in [`Stats::reviews_timed_out`](crate::Stats::reviews_timed_out), and refused unless
    /// [`overdue`](Self::overdue) says otherwise. The messages of one client keep their order;
    /// those of other clients do not wait for them. While 64 messages or 1 MiB of a client are
    /// undecided, the server does not read from that client. These bounds are soft: of what one read
    /// of at most 64 KiB held, which can be 10,922 empty messages, every message is asked about. A
    /// message that does not fit into the event queue is refused, whatever `overdue` says, and
    /// counted in [`Stats::messages_refused`](crate::Stats::messages_refused) and
    /// [`Stats::events_dropped`](crate::Stats::events_dropped).
    ///
    /// Default: zero. From 10 ms to 1 day, or zero. A time needs an event handler or the option
    /// `event_queue`.
    pub fn review_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.options.review_timeout = timeout;
        self
    }

    /// Sets what happens to a client or a message that the host does not decide on in time.
    ///
    /// Default: [`Overdue::Refuse`], so that a slow host lets nobody in.
    pub fn overdue(&mut self, outcome: Overdue) -> &mut Self {
        self.options.overdue = outcome;
        self
    }

    /// Sets how long a message may be, in bytes of payload. A client that sends a longer message is
    /// closed with code 1009, or told `refused` if it uses the JSON form; a longer message of the host is
    /// [`Error::TooLarge`].
    ///
    /// Default: 1 MiB, or what `outbox_size` holds if that is set and less: 3/4 of (`outbox_size` - 4 KiB). From 1 byte
    /// to 1 GiB.
    pub fn max_message_size(&mut self, bytes: usize) -> &mut Self {
        self.sizes.max_message = Some(bytes);
        self
    }

    /// Sets how many bytes may wait for one client that does not read them. Beyond this size the
    /// client is a slow consumer. The memory that keeps the bytes counts too: about 130 bytes for
    /// each write.
    ///
    /// Default: 4 MiB, a burst of 10,000 chat messages, or 4 times `max_message_size` if that is more. At
    /// least 4/3 of `max_message_size` + 4 KiB, so that it holds a message in base64, at most 64 GiB.
    pub fn outbox_size(&mut self, bytes: usize) -> &mut Self {
        self.sizes.outbox = Some(bytes);
        self
    }

    /// Sets how long the oldest byte may wait for a client that does not read it. After this time
    /// the client is a slow consumer.
    ///
    /// Default: 5 s. From 10 ms to 1 day.
    pub fn outbox_age(&mut self, age: Duration) -> &mut Self {
        self.options.outbox_age = age;
        self
    }

    /// Sets what happens to a slow consumer. A client of events is always disconnected: it comes back, and recovers.
    ///
    /// Default: [`SlowConsumer::Disconnect`].
    pub fn slow_consumer(&mut self, policy: SlowConsumer) -> &mut Self {
        self.options.slow_consumer = policy;
        self
    }

    /// Sets how often the server pings a client. Zero: never; a client of events gets the event `ping` every 25 s then.
    ///
    /// Default: 25 s, which suits phones. From 10 ms to 1 day, or zero.
    pub fn ping_interval(&mut self, interval: Duration) -> &mut Self {
        self.options.ping_interval = interval;
        self
    }

    /// Sets how long a client may take to answer a ping; any bytes are an answer. The server aborts
    /// the connection of a client that does not answer: at most ping interval + ping timeout after
    /// the client's last byte.
    ///
    /// With [`SlowConsumer::Disconnect`], Linux also aborts a connection when the client's machine
    /// does not acknowledge data for 1 s more than the longer of ping timeout and outbox age.
    ///
    /// Default: 10 s. From 10 ms to 1 day.
    pub fn ping_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.options.ping_timeout = timeout;
        self
    }

    /// Sets how long a connection may be without traffic until TCP keepalive probes are sent, and
    /// the time between them. Zero: no probes.
    ///
    /// Default: 15 s. From 1 s to 9 hours in whole seconds, or zero.
    pub fn tcp_keepalive(&mut self, idle: Duration) -> &mut Self {
        self.options.tcp_keepalive = idle;
        self
    }

    /// Adds an origin whose pages may connect:
    ///
    /// - `https://app.example` or `https://app.example:8443`: pages of this scheme, host and port. The
    ///   port of the scheme, as in `https://app.example:443`, may be left out.
    /// - `https://*.app.example`: pages of all its subdomains, at any depth, and not of `app.example`
    ///   itself.
    ///   It admits every site that has a subdomain there: `*.com` is nearly the whole web.
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
    /// it too, at the level info, at most once a second. `start` refuses what is not an origin, such as
    /// one with a path or a user name, and says why.
    ///
    /// Default: no origin, so that only programs and the server's own pages may connect.
    pub fn origin(&mut self, origin: impl Into<String>) -> &mut Self {
        self.origins.push(origin.into());
        self
    }

    /// Sets how many messages a room keeps: for clients that ask for the last ones (`?history=N`), that come back
    /// (`?since=POSITION`), or that get them of the host ([`Handle::join_with_past`]). Zero: none.
    ///
    /// Default: 1,000. At most 1,000,000.
    pub fn history_messages(&mut self, count: usize) -> &mut Self {
        self.options.history_messages = count;
        self
    }

    /// Sets how many bytes of messages a room keeps. Each message counts with 128 bytes more, for what keeps
    /// it, and a client that published it with about 90 bytes and its name, once for messages of it that follow
    /// each other. A room always keeps its last message, also one that is longer than this. Zero: no messages.
    ///
    /// Default: 4 MiB, or 4 times `max_message_size` if that is more. At most 64 GiB.
    pub fn history_size(&mut self, bytes: usize) -> &mut Self {
        self.sizes.history = Some(bytes);
        self
    }

    /// Sets how long a room keeps a message.
    ///
    /// Default: 1 hour. From 10 ms to 10,000 days.
    pub fn history_age(&mut self, age: Duration) -> &mut Self {
        self.options.history_age = age;
        self
    }

    /// Sets how many bytes of messages all rooms together keep. Beyond this size, the rooms that
    /// have been without subscribers for longest lose their history first, and then large rooms
    /// lose their oldest messages. Zero: no messages.
    ///
    /// Default: 64 MiB, or what one room keeps if that is more: `history_size`, and `max_message_size` +
    /// 4 KiB. At least `max_message_size` + 4 KiB, or zero. At most 1 TiB.
    pub fn history_total(&mut self, bytes: usize) -> &mut Self {
        self.sizes.history_total = Some(bytes);
        self
    }

    /// Sets how long a call of the host waits while more waits to be delivered than the server may
    /// keep. After this time the call fails with [`Error::QueueFull`]; with zero, at once. It holds
    /// for [`broadcast`](Handle::broadcast), [`publish`](Handle::publish),
    /// [`publish_batch`](Handle::publish_batch) (the whole batch), [`publish_with`](Handle::publish_with),
    /// [`publish_to`](Handle::publish_to) (all rooms together), [`send`](Handle::send), [`join`](Handle::join), [`join_with_past`](Handle::join_with_past), [`leave`](Handle::leave),
    /// [`set_echo`](Handle::set_echo), [`set_identity`](Handle::set_identity), [`set_name`](Handle::set_name),
    /// [`send_to_identity`](Handle::send_to_identity), [`join_identity`](Handle::join_identity),
    /// [`leave_identity`](Handle::leave_identity), [`set_members`](Handle::set_members),
    /// [`forget`](Handle::forget).
    ///
    /// Default: 5 s. At most 1 day.
    pub fn publish_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.options.publish_timeout = timeout;
        self
    }

    /// Sets how many events may wait for the host. Zero: no events are collected, or, with an event
    /// handler, as many as by default.
    ///
    /// When this many events wait, or when their messages and requests hold 64 MiB, message events
    /// are dropped and counted. Connects and disconnects are never dropped: while the queue is
    /// full, further clients are answered with HTTP 503, clients of events with 200 and the event `closing`. While
    /// 65,536 events more than this wait, [`Handle::join`] and [`Handle::leave`] wait too.
    ///
    /// Default: 0, or 65,536 if there is a handler. At most 16,777,216.
    pub fn event_queue(&mut self, events: usize) -> &mut Self {
        self.options.event_queue = events;
        self
    }

    /// Sets how many signals a client may send in a second: what others are told at once and nobody stores, such as that
    /// somebody types, where a pointer is, or that a program may stop to write its answer. 0: clients may send none, and
    /// are told `refused`, `forbidden`. The host may always signal ([`Handle::signal`]).
    ///
    /// What a client sends within two seconds may come at once. Signals beyond the rate are dropped and counted in
    /// [`Stats::signals_dropped`](crate::Stats::signals_dropped). They pass no review: every client that is
    /// connected may signal to the rooms that it is in. Clients of the JSON form can send them, each of at most 4 KiB. The host gets
    /// [`Event::Signal`] of each.
    ///
    /// Default: 0. At most 1,000,000.
    pub fn signal_rate(&mut self, per_second: u32) -> &mut Self {
        self.options.signal_rate = per_second;
        self
    }

    /// Sets who is told who is in a room: nobody, the host, or clients too.
    ///
    /// The host gets [`Event::MemberEntered`] and [`Event::MemberLeft`], and calls [`Handle::members`] and
    /// [`Handle::member_count`]. A client of the JSON form that connects with `?members=true` is told of the members of
    /// its rooms, where it may be: with [`Members::Clients`] unless the host takes that back, with [`Members::Host`] if
    /// the host allows it ([`Handle::set_members`]). Of a room with more than 200 members it is told the number alone.
    ///
    /// What members cost is counted with 120 bytes for each room of a client, and a client that watches gets at most four
    /// objects a second of each room.
    ///
    /// Default: [`Members::Off`]. Another value needs an `outbox_size` of at least 128 KiB.
    pub fn members(&mut self, members: Members) -> &mut Self {
        self.options.members = members;
        self
    }

    /// Sets for how long the place of a client in a room is kept when its connection ends, so that one that comes back is
    /// not said to have left. It holds for clients with an identity ([`Handle::set_identity`]): another connection with
    /// the same identity takes the place over. A client that the host disconnects or takes out of the room leaves at once,
    /// and so does one that never was admitted. For as long a room counts as occupied after its last client has left
    /// ([`occupancy`](Self::occupancy)).
    ///
    /// Default: 2 s. At most 60 s; with zero each client leaves at once. Of `max_connections` times 16 places and rooms
    /// that are kept so, the oldest are given up earlier.
    pub fn member_grace(&mut self, grace: Duration) -> &mut Self {
        self.options.member_grace = grace;
        self
    }

    /// Sets whether the host is told when a room gets its first client ([`Event::RoomOccupied`]), and when it has had none
    /// for [`member_grace`](Self::member_grace) ([`Event::RoomVacated`]): with no event for each client between. It does
    /// not need the option [`members`](Self::members).
    ///
    /// Default: false.
    pub fn occupancy(&mut self, occupancy: bool) -> &mut Self {
        self.options.occupancy = occupancy;
        self
    }

    /// Sets the function that is called with events, in order and in batches.
    ///
    /// It runs on a thread of its own and may block: that delays events, never clients. It may call
    /// everything of [`Handle`]. Without a handler, the host takes events with
    /// [`Handle::next_events`], if [`Config::event_queue`] is not zero. A panic in the handler is
    /// logged, and the batch counts as handled.
    ///
    /// Default: no handler.
    pub fn event_handler(
        &mut self,
        handler: impl Fn(&Handle, &[Event]) + Send + Sync + 'static,
    ) -> &mut Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// Starts a server. The server listens when this returns, and runs on its own threads. The
    /// program may have an async runtime or not.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] with every option that is out of its limits, [`Error::Listen`],
    /// [`Error::Resources`].
    pub fn start(&self) -> Result<Server> {
        Server::start(self.validated()?)
    }

    /// Checks every option, and fills in those that depend on the machine or on other options.
    fn validated(&self) -> Result<Parts> {
        let mut check = Check::default();
        let listen = if self.listen.is_empty() {
            check.listen(&[Self::DEFAULT_LISTEN.to_owned()])
        } else {
            check.listen(&self.listen)
        };
        check.ipv6_only(&self.options, &listen);
        let origins = check.origins(&self.origins);
        let mut options = self.options.clone();
        options.fit_sizes(self.sizes);
        check.options(&options);
        check.decisions(&options, self.handler.is_some());
        if !check.problems.is_empty() {
            return Err(Error::InvalidConfig(check.problems));
        }
        options.fit_to(thread::available_parallelism().map_or(1, NonZero::get));
        if self.handler.is_some() && options.event_queue == 0 {
            options.event_queue = HANDLER_EVENT_QUEUE;
        }
        Ok(Parts { listen, origins, options, handler: self.handler.clone() })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = self.options.clone();
        options.fit_sizes(self.sizes);
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("origins", &self.origins)
            .field("options", &options)
            .field("handler", &self.handler.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_out_of_its_limits_is_named_at_once() {
        let error = Config::new()
            .listen("localhost")
            .workers(257)
            .busy_poll(Duration::from_micros(1001))
            .max_connections(0)
            .outbox_size(1000)
            .origin("example.org")
            .start()
            .unwrap_err();
        let Error::InvalidConfig(problems) = error else { panic!("{error}") };
        let options: Vec<_> = problems.iter().map(|problem| problem.option).collect();
        let named = ["listen", "origin", "workers", "busy_poll", "max_connections", "outbox_size"];
        assert_eq!(options, named);
    }

    #[test]
    fn a_size_that_is_not_set_follows_the_other_and_two_that_do_not_fit_are_both_named() {
        let sizes = |max_message: Option<usize>, outbox: Option<usize>| {
            let mut config = Config::new();
            config.sizes.max_message = max_message;
            config.sizes.outbox = outbox;
            match config.validated() {
                Ok(Parts { options, .. }) => Ok((options.max_message_size, options.outbox_size)),
                Err(error) => Err(error.to_string()),
            }
        };
        const MIB: usize = 1 << 20;
        assert_eq!(sizes(None, None), Ok((MIB, 4 * MIB)));
        assert_eq!(sizes(Some(1), None), Ok((1, 4 * MIB)));
        assert_eq!(sizes(Some(5_000_000), None), Ok((5_000_000, 20_000_000)));
        assert_eq!(sizes(Some(1 << 30), None), Ok((1 << 30, 1 << 32)));
        assert_eq!(sizes(None, Some(64 * MIB)), Ok((MIB, 64 * MIB)));
        assert_eq!(sizes(None, Some(65_536)), Ok((46_080, 65_536)));
        assert_eq!(sizes(Some(46_080), Some(65_536)), Ok((46_080, 65_536)));
        assert!(sizes(Some(46_081), Some(65_536)).is_err());
        let text = sizes(Some(5_000_000), Some(4_194_304)).unwrap_err();
        for named in ["outbox_size", "max_message_size", "6670764", "3142656"] {
            assert!(text.contains(named), "{named} in {text}");
        }
        for (max_message, outbox, named) in [
            (None, Some(4096), "outbox_size"),
            (None, Some(usize::MAX), "outbox_size"),
            (Some(0), None, "max_message_size"),
            (Some(usize::MAX), None, "max_message_size"),
        ] {
            let text = sizes(max_message, outbox).unwrap_err();
            assert!(text.starts_with(named), "{text}");
        }
    }

    #[test]
    fn a_history_holds_the_longest_message_whatever_the_host_sets() {
        let sizes = |max_message, history, history_total| {
            let mut config = Config::new();
            config.sizes = Sizes { max_message, outbox: None, history, history_total };
            match config.validated() {
                Ok(Parts { options, .. }) => Ok((options.history_size, options.history_total)),
                Err(error) => Err(error.to_string()),
            }
        };
        const MIB: usize = 1 << 20;
        assert_eq!(sizes(None, None, None), Ok((4 * MIB, 64 * MIB)));
        assert_eq!(sizes(Some(MIB / 2), None, None), Ok((4 * MIB, 64 * MIB)));
        assert_eq!(sizes(Some(8 * MIB), None, None), Ok((32 * MIB, 64 * MIB)));
        assert_eq!(sizes(Some(32 * MIB), None, None), Ok((128 * MIB, 128 * MIB)));
        assert_eq!(sizes(Some(1 << 30), None, None), Ok((1 << 32, 1 << 32)));
        // What the host sets is what holds.
        assert_eq!(sizes(None, Some(1000), None), Ok((1000, 64 * MIB)));
        assert_eq!(sizes(None, Some(80 * MIB), None), Ok((80 * MIB, 80 * MIB)));
        assert_eq!(sizes(Some(80 * MIB), Some(1000), None), Ok((1000, 80 * MIB + 4096)));
        assert_eq!(sizes(None, None, Some(MIB + 4096)), Ok((4 * MIB, MIB + 4096)));
        assert_eq!(sizes(None, None, Some(0)), Ok((4 * MIB, 0)));
        let text = sizes(None, None, Some(MIB + 4095)).unwrap_err();
        for named in ["history_total", "1052671", "max_message_size", "1048576", "1052672"] {
            assert!(text.contains(named), "{named} in {text}");
        }
        let text = sizes(None, Some(usize::MAX), None).unwrap_err();
        assert!(text.starts_with("history_size"), "{text}");
    }

    #[test]
    fn the_defaults_are_valid() {
        assert!(Config::new().validated().is_ok());
    }

    #[test]
    fn a_handler_gets_a_queue() {
        let valid = Config::new().event_handler(|_, _| ()).validated().unwrap();
        assert_eq!(valid.options.event_queue, HANDLER_EVENT_QUEUE);
    }
}
