//! What all layers of one server share: its options, its counters, and its event queue.

use std::{ops::Range, sync::Arc};

use crate::{
    age_clock::AgeClock,
    event::{ClientId, EventQueue},
    keys::Keys,
    log::{Once, Throttle},
    options::Options,
    origin::Pattern,
    position::Base36,
    stats::{Counter, Counters},
    unique::UniqueNumbers,
};

/// After how many milliseconds the clients of event streams come back if the stream ends without a word.
const FIRST_RETRY: Range<u64> = 1_000..3_001;

/// The shared state of one server. Nothing in libchat is global: two servers share nothing.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: Options,
    /// Tells this server's clients from those of others, and of this one before a restart.
    pub(crate) instance: u64,
    /// The origins whose pages may connect.
    pub(crate) origins: Vec<Pattern>,
    pub(crate) counters: Counters,
    /// The HTTP connections that are kept between requests.
    #[cfg(feature = "http")]
    kept: Counter,
    pub(crate) age_clock: AgeClock,
    pub(crate) keys: Keys,
    pub(crate) events: EventQueue,
    /// How many clients were connected when the stop began: counted once, as each shard closes its own at once.
    pub(crate) clients_at_stop: Counter,
    pub(crate) throttles: Throttles,
}

/// The bounds on the log lines at the level info and above that clients can cause.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    pub(crate) slow_consumers: Throttle,
    pub(crate) accept_failures: Throttle,
    pub(crate) refusals: Throttle,
    pub(crate) foreign_pages: Throttle,
    pub(crate) wrong_paths: Throttle,
    pub(crate) tls: Throttle,
    pub(crate) no_memory: Throttle,
    /// By the fault.
    pub(crate) proxy_faults: [Throttle; 3],
    pub(crate) subprotocols: Once,
}

impl Context {
    pub(crate) fn new(options: Options, origins: Vec<Pattern>) -> Arc<Self> {
        Self::with_clock(options, origins, AgeClock::default())
    }

    pub(crate) fn with_clock(
        options: Options,
        origins: Vec<Pattern>,
        age_clock: AgeClock,
    ) -> Arc<Self> {
        let events = EventQueue::new(options.event_queue);
        Arc::new(Self {
            options,
            instance: UniqueNumbers::default().next(),
            origins,
            counters: Counters::default(),
            #[cfg(feature = "http")]
            kept: Counter::default(),
            age_clock,
            keys: Keys::default(),
            events,
            clients_at_stop: Counter::default(),
            throttles: Throttles::default(),
        })
    }

    /// Returns what other clients know a client by.
    pub(crate) fn wire_id(&self, client: ClientId) -> String {
        format!("{}.{}", Base36(self.instance), Base36(client.as_u64()))
    }

    /// Returns the client of this server that others know by this id.
    pub(crate) fn client_of(&self, wire_id: &str) -> Option<ClientId> {
        let (instance, client) = wire_id.split_once('.')?;
        let number = |digits| u64::from_str_radix(digits, 36).ok();
        let is_own = number(instance)? == self.instance;
        number(client).filter(|_| is_own).map(ClientId::from_u64)
    }

    /// Returns a number of milliseconds from a range. Clients whose ids follow each other get different ones, mostly.
    pub(crate) fn spread_ms(&self, client: ClientId, range: Range<u64>) -> u64 {
        let hash = client.as_u64().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.instance;
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + (hash >> 16) % width
    }

    /// Returns after how many milliseconds the client of an event stream comes back that ends without a word.
    pub(crate) fn first_retry_ms(&self, client: ClientId) -> u64 {
        self.spread_ms(client, FIRST_RETRY)
    }

    /// Logs that a client is closed because there is no memory for what it sends or asks for.
    pub(crate) fn warn_no_memory(&self, client: ClientId) {
        if let Some(others) = self.throttles.no_memory.pass() {
            tracing::warn!(%client, others, "client closed: there is no memory for its messages");
        }
    }

    /// Counts one more handshake. Returns `None` at the limit.
    pub(crate) fn permit_handshake(self: &Arc<Self>) -> Option<Permit> {
        let limit = self.options.max_handshakes as u64;
        Permit::of(self, |context| &context.counters.handshakes, limit)
    }

    /// Counts one more HTTP connection that is kept between requests. Returns `None` at the limit: the requests of all
    /// kept connections leave half of the permits for handshakes to others.
    #[cfg(feature = "http")]
    pub(crate) fn permit_kept(self: &Arc<Self>) -> Option<Permit> {
        let limit = self.options.max_handshakes as u64 / 2;
        Permit::of(self, |context| &context.kept, limit)
    }

    /// Counts one more client. Returns `None` at the limit.
    pub(crate) fn permit_connection(self: &Arc<Self>) -> Option<Permit> {
        let limit = self.options.max_connections as u64;
        Permit::of(self, |context| &context.counters.connections, limit)
    }
}

/// Counts one of a limited number until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    context: Arc<Context>,
    gauge: fn(&Context) -> &Counter,
}

impl Permit {
    fn of(context: &Arc<Context>, gauge: fn(&Context) -> &Counter, limit: u64) -> Option<Self> {
        gauge(context).add_below(limit).then(|| Self { context: Arc::clone(context), gauge })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        (self.gauge)(&self.context).sub(1);
    }
}
