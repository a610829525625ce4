//! The program's flags: the options of the library, under the same names.

use std::time::Duration;

use bytesize::ByteSize;
use chat::{Config, Members, SlowConsumer};
use clap::{ArgAction, Parser, ValueEnum};
use humantime::parse_duration;

/// The text of `--help` before the flags.
const ABOUT: &str = "A WebSocket chat server.

Clients connect to ws://ADDR/ (the room \"lobby\") or ws://ADDR/rooms/{room}. A message of one \
client is delivered to every client in its room. A client that only receives takes events (EventSource, \
curl -N): http://ADDR/?format=events. For load balancers: http://ADDR/health, http://ADDR/ready. Durations \
and sizes have units: 250ms, 25s, 1h; 64KiB, 1MiB.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "chat-server", version, about = ABOUT, max_term_width = 100)]
#[command(disable_help_flag = true)]
pub(crate) struct Flags {
    // --help has the short layout too: a line or two for each flag.
    /// Print this help
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// Address to listen on, such as 127.0.0.1:9001, localhost:9001, or :9001 for every address; repeat
    /// for several. Port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = Config::DEFAULT_LISTEN)]
    pub(crate) listen: Vec<String>,

    /// Let [::] be every address of IPv6 alone, not of IPv4 too
    #[arg(long)]
    ipv6_only: bool,

    /// Path under which a proxy in front serves this server, if the proxy leaves it in requests, such as /chat
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    base_path: String,

    /// Threads that share the connections; 0: one for each core, and at most four
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) workers: usize,

    /// How long a thread polls for its next event before it sleeps, where that pays off; 0s, or
    /// more workers than cores: not at all
    #[arg(long, value_name = "TIME", default_value = "15us", value_parser = parse_duration)]
    busy_poll: Duration,

    /// Whether a sender receives its own messages; a client overrides this with ?echo=
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    echo: bool,

    /// Clients that may be connected at once
    #[arg(long, value_name = "COUNT", default_value_t = 65_536)]
    pub(crate) max_connections: usize,

    /// Connections that may be in their handshake at once; half as many HTTP connections are kept beside them
    #[arg(long, value_name = "COUNT", default_value_t = 1_024)]
    pub(crate) max_handshakes: usize,

    /// How long a handshake may take, and on an HTTP connection that is kept the wait for a request, and
    /// the request
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    handshake_timeout: Duration,

    /// Longest head of a handshake
    #[arg(long, value_name = "SIZE", default_value = "16KiB")]
    handshake_size: ByteSize,

    /// Longest message [default: 1MiB, or 3/4 of (--outbox-size - 4KiB) if that is less]
    #[arg(long, value_name = "SIZE")]
    max_message_size: Option<ByteSize>,

    /// Most bytes that may wait for one client that does not read them [default: 4MiB, or 4 times
    /// --max-message-size if that is more]
    #[arg(long, value_name = "SIZE")]
    outbox_size: Option<ByteSize>,

    /// How long the oldest of these bytes may wait
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    outbox_age: Duration,

    /// What happens to a client whose outbox is full
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = Policy::Disconnect)]
    slow_consumer: Policy,

    /// How often the server pings a client; 0s: never
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = parse_duration)]
    ping_interval: Duration,

    /// How long a client may take to answer a ping
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    ping_timeout: Duration,

    /// How long a connection may be without traffic until TCP keepalive probes are sent; 0s: none
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_duration)]
    tcp_keepalive: Duration,

    /// Origin whose pages may connect, such as https://app.example, https://*.app.example,
    /// http://localhost:*, file://, null, or *; repeat for several. Programs, and pages from the
    /// server's own host and port, may always connect
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,

    /// How many messages a room keeps for ?history=; 0: none
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    history_messages: usize,

    /// How many bytes of messages a room keeps [default: 4MiB, or 4 times --max-message-size if that
    /// is more]
    #[arg(long, value_name = "SIZE")]
    history_size: Option<ByteSize>,

    /// How long a room keeps a message
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    history_age: Duration,

    /// How many bytes of messages all rooms together keep [default: 64MiB, or --history-size if that
    /// is more]
    #[arg(long, value_name = "SIZE")]
    history_total: Option<ByteSize>,

    /// How long publishing may wait while too much waits to be delivered; only a host publishes
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    publish_timeout: Duration,

    /// Who is told who is in a room: nobody, the host (whose events this program logs), or each client
    /// of the JSON form that asks for it with ?members=true
    #[arg(long, value_name = "WHO", value_enum, default_value_t = Watchers::Off)]
    members: Watchers,

    /// How long a room counts as occupied after its last client has left, and the place of a client with an
    /// identity is kept; only a host gives identities
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    member_grace: Duration,

    /// Log when a room gets its first client and when it has none, as events
    #[arg(long)]
    occupancy: bool,

    /// How many events (clients that connect and disconnect, messages) may wait to be logged, each as a
    /// line of fields; 0: no events are logged
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) event_queue: usize,

    /// How many signals (typing and the like) a client of the JSON form may send in a second; 0: none
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    signal_rate: u32,

    /// Log what clients write, too: queries, headers (cookies!), messages and reasons of close frames
    #[arg(long, requires = "event_queue")]
    pub(crate) event_contents: bool,

    /// How long clients may take to answer the close when the server stops. Docker kills after 10s
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(crate) drain: Duration,

    /// What is logged to standard error: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log: tracing_subscriber::filter::LevelFilter,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    Disconnect,
    DropOldest,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Watchers {
    Off,
    Host,
    Clients,
}

impl Flags {
    /// Returns the config that the flags describe.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        for addr in &self.listen {
            config.listen(addr);
        }
        for origin in &self.origin {
            config.origin(origin);
        }
        if let Some(size) = self.max_message_size {
            config.max_message_size(bytes(size));
        }
        if let Some(size) = self.outbox_size {
            config.outbox_size(bytes(size));
        }
        if let Some(size) = self.history_size {
            config.history_size(bytes(size));
        }
        if let Some(size) = self.history_total {
            config.history_total(bytes(size));
        }
        config
            .ipv6_only(self.ipv6_only)
            .base_path(&self.base_path)
            .workers(self.workers)
            .busy_poll(self.busy_poll)
            .echo(self.echo)
            .max_connections(self.max_connections)
            .max_handshakes(self.max_handshakes)
            .handshake_timeout(self.handshake_timeout)
            .handshake_size(bytes(self.handshake_size))
            .outbox_age(self.outbox_age)
            .slow_consumer(match self.slow_consumer {
                Policy::Disconnect => SlowConsumer::Disconnect,
                Policy::DropOldest => SlowConsumer::DropOldest,
            })
            .ping_interval(self.ping_interval)
            .ping_timeout(self.ping_timeout)
            .tcp_keepalive(self.tcp_keepalive)
            .history_messages(self.history_messages)
            .history_age(self.history_age)
            .publish_timeout(self.publish_timeout)
            .members(match self.members {
                Watchers::Off => Members::Off,
                Watchers::Host => Members::Host,
                Watchers::Clients => Members::Clients,
            })
            .member_grace(self.member_grace)
            .occupancy(self.occupancy)
            .event_queue(self.event_queue)
            .signal_rate(self.signal_rate);
        config
    }
}

fn bytes(size: ByteSize) -> usize {
    // A size that this machine cannot hold is out of the option's limits, and start says so.
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_have_the_defaults_of_the_engine() {
        let flags = Flags::try_parse_from(["chat-server"]).unwrap();
        let mut defaults = Config::new();
        defaults.listen(Config::DEFAULT_LISTEN);
        assert_eq!(format!("{:?}", flags.config()), format!("{defaults:?}"));
    }

    #[test]
    fn durations_and_sizes_take_units() {
        let flags = ["chat-server", "--ping-interval", "250ms", "--max-message-size", "64KiB"];
        let config = format!("{:?}", Flags::try_parse_from(flags).unwrap().config());
        assert!(config.contains("ping_interval: 250ms"), "{config}");
        assert!(config.contains("max_message_size: 65536"), "{config}");
    }

    #[test]
    fn the_help_can_be_made() {
        use clap::CommandFactory;
        Flags::command().debug_assert();
    }
}
