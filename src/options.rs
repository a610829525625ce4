//! The options of a running server, their defaults and their limits.
//!
//! Each is documented where it is set, in [`Config`](crate::Config), and checked here.

use std::{fmt, time::Duration};

use crate::{
    address::ListenAddr,
    error::Problem,
    json,
    origin::{self, Pattern},
};

/// What happens to a slow consumer: a client whose outbox is full or too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowConsumer {
    /// Its connection is closed with code 1013 and a reason that says so.
    #[default]
    Disconnect,
    /// The oldest whole messages in its outbox are dropped, and the host is told how many. A client of the JSON form is
    /// told too: in place of the messages of a room it gets one object `dropped`. Nothing but messages is dropped of it.
    /// If more than `outbox_size` of answers and the like waits for it, it is closed as with `Disconnect`.
    DropOldest,
}

/// What happens to a client or a message that the host has not decided on in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overdue {
    /// As if the host had rejected the client, with HTTP 503 (a client of events with 200 and the event `closing`), or
    /// refused the message.
    #[default]
    Refuse,
    /// As if the host had accepted the client or allowed the message.
    Allow,
}

/// Who is told who is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Members {
    /// Nobody: no members are kept.
    #[default]
    Off,
    /// The host, and the clients of the JSON form that the host allows it ([`Handle::set_members`]) and that ask for it
    /// with `?members=true`.
    ///
    /// [`Handle::set_members`]: crate::Handle::set_members
    Host,
    /// The host, and each client of the JSON form that asks for it, unless the host does not allow it.
    Clients,
}

/// The options of a running server.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) ipv6_only: bool,
    pub(crate) workers: usize,
    pub(crate) busy_poll: Duration,
    pub(crate) echo: bool,
    pub(crate) max_connections: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) handshake_size: usize,
    /// Empty, or a path that begins with a slash and does not end with one.
    pub(crate) base_path: String,
    pub(crate) admission_timeout: Duration,
    pub(crate) review_timeout: Duration,
    pub(crate) overdue: Overdue,
    pub(crate) max_message_size: usize,
    pub(crate) max_rooms_per_client: usize,
    pub(crate) outbox_size: usize,
    pub(crate) outbox_age: Duration,
    pub(crate) slow_consumer: SlowConsumer,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) tcp_keepalive: Duration,
    pub(crate) history_messages: usize,
    pub(crate) history_size: usize,
    pub(crate) history_age: Duration,
    pub(crate) history_total: usize,
    pub(crate) publish_timeout: Duration,
    pub(crate) event_queue: usize,
    pub(crate) signal_rate: u32,
    pub(crate) members: Members,
    pub(crate) member_grace: Duration,
    pub(crate) occupancy: bool,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;
/// The longest base path, in bytes.
const MAX_BASE_PATH: usize = 256;
/// The largest outbox.
const MAX_OUTBOX: usize = 64 * GIB;
/// The largest history of a room.
const MAX_HISTORY: usize = 64 * GIB;

/// By how much the bound on all histories must be larger than the longest message: for the overhead of keeping it.
const MESSAGE_MARGIN: usize = 4 * KIB;

/// By how much an outbox must be larger than 4/3 of the longest message, which is its length as base64: for what a
/// message's object says beside the payload, and for the overhead of keeping it.
const OUTBOX_MARGIN: usize = 4 * KIB;
/// The part of it that the overhead may have.
const OUTBOX_OVERHEAD: usize = 3 * KIB;

/// Returns the least outbox, which holds the longest message in any wire form.
fn least_outbox(message: usize) -> usize {
    json::max_len(message.min(GIB)) + OUTBOX_OVERHEAD
}

/// Returns the longest message that an outbox holds in any wire form.
fn longest_message(outbox: usize) -> usize {
    outbox.saturating_sub(OUTBOX_MARGIN) / 4 * 3
}

/// The least outbox if clients may be told of members: what one is told at once is shorter.
const MEMBERS_OUTBOX: usize = 128 * KIB;

/// The time between the pings of an event stream, if the option is 0.
const EVENT_PING_INTERVAL: Duration = Duration::from_secs(25);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Options {
    fn default() -> Self {
        Self {
            ipv6_only: false,
            workers: 0,
            busy_poll: Duration::from_micros(15),
            echo: true,
            max_connections: 65_536,
            max_handshakes: 1_024,
            handshake_timeout: Duration::from_secs(5),
            handshake_size: 16 * KIB,
            base_path: String::new(),
            admission_timeout: Duration::ZERO,
            review_timeout: Duration::ZERO,
            overdue: Overdue::Refuse,
            max_message_size: MIB,
            max_rooms_per_client: 1_000,
            outbox_size: 4 * MIB,
            outbox_age: Duration::from_secs(5),
            slow_consumer: SlowConsumer::Disconnect,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            tcp_keepalive: Duration::from_secs(15),
            history_messages: 1_000,
            history_size: 4 * MIB,
            history_age: Duration::from_secs(60 * 60),
            history_total: 64 * MIB,
            publish_timeout: Duration::from_secs(5),
            event_queue: 0,
            signal_rate: 0,
            members: Members::Off,
            member_grace: Duration::from_secs(2),
            occupancy: false,
        }
    }
}

/// The sizes that the host has set, of those that depend on each other.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sizes {
    pub(crate) max_message: Option<usize>,
    pub(crate) outbox: Option<usize>,
    pub(crate) history: Option<usize>,
    pub(crate) history_total: Option<usize>,
}

impl Options {
    /// Returns the time between the pings of a client; 0 if it gets none. A client of an event stream always gets them:
    /// proxies end a stream that is silent.
    pub(crate) fn ping_interval_of(&self, is_event_stream: bool) -> Duration {
        if is_event_stream && self.ping_interval.is_zero() {
            EVENT_PING_INTERVAL
        } else {
            self.ping_interval
        }
    }

    /// Returns how long sent data may stay unacknowledged, which detects a vanished peer sooner than a ping does.
    /// On Linux this also applies to a peer that does not read. So the time is longer than `outbox_age`, and there
    /// is none if slow consumers are kept: those of event streams never are.
    #[cfg(target_os = "linux")]
    pub(crate) fn user_timeout_of(&self, is_event_stream: bool) -> Option<Duration> {
        let margin = Duration::from_secs(1);
        let is_wanted = is_event_stream
            || !self.ping_interval.is_zero() && self.slow_consumer == SlowConsumer::Disconnect;
        is_wanted.then(|| self.ping_timeout.max(self.outbox_age) + margin)
    }

    /// Sets the sizes that depend on each other: one that the host has not set follows the others. An outbox and a
    /// room's history are four times as large as the longest message, unless the host says otherwise. All histories
    /// together hold that of one room.
    pub(crate) fn fit_sizes(&mut self, set: Sizes) {
        let most = longest_message(set.outbox.unwrap_or(usize::MAX));
        self.max_message_size = set.max_message.unwrap_or(self.max_message_size.min(most).max(1));
        let four = self.max_message_size.saturating_mul(4);
        self.outbox_size = set.outbox.unwrap_or(self.outbox_size.max(four.min(MAX_OUTBOX)));
        self.history_size = set.history.unwrap_or(self.history_size.max(four.min(MAX_HISTORY)));
        // A room keeps its last message though it is longer than `history_size`.
        let one = self.history_size.min(MAX_HISTORY).max(self.least_history_total());
        self.history_total = set.history_total.unwrap_or(self.history_total.max(one));
    }

    /// Whether rooms keep messages.
    pub(crate) fn has_history(&self) -> bool {
        self.history_messages > 0 && self.history_size > 0 && self.history_total > 0
    }

    /// Returns the least bound on all histories, which holds one message.
    fn least_history_total(&self) -> usize {
        self.max_message_size.min(GIB) + MESSAGE_MARGIN
    }

    /// Sets the options that depend on the machine, which has `cores` cores.
    pub(crate) fn fit_to(&mut self, cores: usize) {
        if self.workers == 0 {
            self.workers = cores.min(4);
        }
        if self.workers > cores {
            // A worker that polls would take the core from one that has work.
            self.busy_poll = Duration::ZERO;
        }
    }

    /// Returns the options that make the host decide, and their timeouts.
    fn decisions(&self) -> [(&'static str, Duration); 2] {
        [("admission_timeout", self.admission_timeout), ("review_timeout", self.review_timeout)]
    }
}

/// Says why a text is no base path.
fn check_base_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Ok(());
    }
    let Some(inner) = path.strip_prefix('/') else {
        return Err(format!("{path:?} is no path: one begins with /"));
    };
    if path.ends_with('/') {
        return Err(format!(
            "{path:?} does not end with / if it is a base path: leave the last / out"
        ));
    }
    if path.len() > MAX_BASE_PATH {
        return Err(format!("it is longer than {MAX_BASE_PATH} bytes"));
    }
    // RFC 3986, 3.3, without what can be written in several ways.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c);
    if let Some(other) = path.chars().find(|c| !is_plain(*c)) {
        return Err(format!(
            "{path:?} has a {other:?}: use letters, digits, and any of -._~!$&'()*+,;=:@"
        ));
    }
    for part in inner.split('/') {
        match part {
            "" => return Err(format!("{path:?} has an empty part: write one / in place of two")),
            "." | ".." => {
                return Err(format!(
                    "{path:?} has a step, which clients take before they ask: write the path that it leads to"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Collects all problems of a configuration.
#[derive(Default)]
pub(crate) struct Check {
    pub(crate) problems: Vec<Problem>,
}

impl Check {
    fn problem(&mut self, option: &'static str, text: String) {
        self.problems.push(Problem { option, text });
    }

    fn range<T: PartialOrd + fmt::Debug + Copy>(
        &mut self,
        option: &'static str,
        value: T,
        (least, most): (T, T),
    ) {
        if value < least || value > most {
            let least = format!("{least:?}");
            let least = if least == "0ns" { "0s" } else { &least };
            self.problem(option, format!("{value:?} is not from {least} to {most:?}"));
        }
    }

    /// Reads the addresses to listen on.
    pub(crate) fn listen(&mut self, configured: &[String]) -> Vec<ListenAddr> {
        let mut listen = Vec::new();
        for entry in configured {
            match ListenAddr::parse(entry) {
                Ok(entry) => listen.push(entry),
                Err(text) => self.problem("listen", text),
            }
        }
        listen
    }

    /// Reads the origins whose pages may connect.
    pub(crate) fn origins(&mut self, configured: &[String]) -> Vec<Pattern> {
        let mut origins = Vec::new();
        for origin in configured {
            match Pattern::parse(origin) {
                Ok(pattern) => origins.push(pattern),
                Err(why) => {
                    let shown = origin::without_user(origin);
                    self.problem("origin", format!("{shown:?} is not an origin: {why}"));
                }
            }
        }
        origins
    }

    /// Checks that no entry asks for IPv4 and for IPv6 alone.
    pub(crate) fn ipv6_only(&mut self, options: &Options, listen: &[ListenAddr]) {
        for entry in listen {
            if let ListenAddr::Every(port) = entry
                && options.ipv6_only
            {
                let text = format!("{entry} is every address of IPv4 too: listen on [::]:{port}");
                self.problem("ipv6_only", text);
            }
        }
    }

    /// Checks that the host gets events, if it decides on clients or messages.
    pub(crate) fn decisions(&mut self, options: &Options, has_handler: bool) {
        for (option, timeout) in options.decisions() {
            if !timeout.is_zero() && options.event_queue == 0 && !has_handler {
                let text = "it needs an event handler, or the option event_queue".to_owned();
                self.problem(option, text);
            }
        }
    }

    /// Checks every option.
    pub(crate) fn options(&mut self, options: &Options) {
        let short = Duration::from_millis(10);
        self.range("workers", options.workers, (0, 256));
        self.range("busy_poll", options.busy_poll, (Duration::ZERO, Duration::from_millis(1)));
        self.range("max_connections", options.max_connections, (1, 100_000_000));
        self.range("max_handshakes", options.max_handshakes, (1, 1_000_000));
        self.range("handshake_timeout", options.handshake_timeout, (short, DAY));
        self.range("handshake_size", options.handshake_size, (8 * KIB, MIB));
        if let Err(text) = check_base_path(&options.base_path) {
            self.problem("base_path", text);
        }
        for (option, timeout) in options.decisions() {
            if !timeout.is_zero() {
                self.range(option, timeout, (short, DAY));
            }
        }
        self.range("max_rooms_per_client", options.max_rooms_per_client, (1, 1_000_000));
        self.range("max_message_size", options.max_message_size, (1, GIB));
        let (smallest, least) = (least_outbox(1), least_outbox(options.max_message_size));
        if options.max_message_size <= GIB && (smallest..least).contains(&options.outbox_size) {
            let Options { outbox_size, max_message_size, .. } = options;
            let text = format!(
                "{outbox_size} does not hold a message of max_message_size, {max_message_size}, which clients of the \
                 JSON form may get as base64: set outbox_size to {least} or more, or max_message_size to {} or less",
                longest_message(*outbox_size)
            );
            self.problem("outbox_size", text);
        } else if options.members != Members::Off
            && (smallest..MEMBERS_OUTBOX).contains(&options.outbox_size)
        {
            let text = format!(
                "{} does not hold a list of members: set outbox_size to {MEMBERS_OUTBOX} or more, or members to off",
                options.outbox_size
            );
            self.problem("outbox_size", text);
        } else {
            self.range("outbox_size", options.outbox_size, (smallest, MAX_OUTBOX));
        }
        self.range("outbox_age", options.outbox_age, (short, DAY));
        if !options.ping_interval.is_zero() {
            self.range("ping_interval", options.ping_interval, (short, DAY));
        }
        self.range("ping_timeout", options.ping_timeout, (short, DAY));
        if !options.tcp_keepalive.is_zero() {
            let most = Duration::from_secs(9 * 60 * 60);
            self.range("tcp_keepalive", options.tcp_keepalive, (Duration::from_secs(1), most));
            if options.tcp_keepalive.subsec_nanos() != 0 {
                let text = format!("{:?} is not whole seconds", options.tcp_keepalive);
                self.problem("tcp_keepalive", text);
            }
        }
        self.range("history_messages", options.history_messages, (0, 1_000_000));
        self.range("history_size", options.history_size, (0, MAX_HISTORY));
        self.range("history_age", options.history_age, (short, DAY * 10_000));
        let least = options.least_history_total();
        if options.has_history() && options.history_total < least {
            let text = format!(
                "{} does not hold a message of max_message_size, {}: set history_total to {least} or more, or to 0 \
                 for no history, or max_message_size to less",
                options.history_total, options.max_message_size
            );
            self.problem("history_total", text);
        } else {
            self.range("history_total", options.history_total, (0, 1024 * GIB));
        }
        self.range("publish_timeout", options.publish_timeout, (Duration::ZERO, DAY));
        self.range("event_queue", options.event_queue, (0, 16 * MIB));
        self.range("signal_rate", options.signal_rate, (0, 1_000_000));
        let minute = Duration::from_secs(60);
        self.range("member_grace", options.member_grace, (Duration::ZERO, minute));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_holds_the_longest_message_that_fits_it_and_none_longer() {
        for outbox in (4_100..70_000).step_by(7).chain([4 * MIB, 64 * GIB / 48]) {
            let longest = longest_message(outbox);
            assert!(least_outbox(longest) <= outbox, "{outbox}");
            assert!(least_outbox(longest + 1) > outbox, "{outbox}");
        }
        for message in [1, 2, 3, 1000, MIB, GIB] {
            assert!((0..3).contains(&(longest_message(least_outbox(message)) - message)));
            assert!(least_outbox(message) - message * 4 / 3 <= OUTBOX_MARGIN + 3);
        }
    }

    #[test]
    fn workers_busy_poll_unless_they_are_more_than_the_cores() {
        let fitted = |workers, cores| {
            let mut options = Options { workers, ..Options::default() };
            options.fit_to(cores);
            (options.workers, !options.busy_poll.is_zero())
        };
        assert_eq!(fitted(0, 1), (1, true));
        assert_eq!(fitted(0, 64), (4, true));
        assert_eq!(fitted(2, 2), (2, true));
        assert_eq!(fitted(2, 1), (2, false));
    }
}
