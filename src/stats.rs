//! The counters of one server, and a snapshot of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a server has counted since its start.
        ///
        /// The counters are read one after the other while the server runs: each is exact, but they
        /// may be of slightly different moments.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The live counters. Nothing is synchronized through them, so relaxed order is enough.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.get(),)* }
            }
        }
    };
}

stats! {
    /// Clients that are connected now.
    connections,
    /// Handshakes that are in progress now.
    handshakes,
    /// Rooms that exist now: with subscribers or with history.
    rooms,
    /// Clients that have connected since the start.
    connections_accepted,
    /// Clients that were refused, with an HTTP status or by aborting the connection: they asked for a WebSocket or
    /// for events, or sent what is no request, or nothing.
    connections_refused,
    /// Times that accepting a connection failed, usually for lack of descriptors.
    accept_failures,
    /// Messages that clients sent.
    messages_received,
    /// Messages that clients or the host published to rooms, and broadcasts of the host.
    messages_published,
    /// Messages that were handed to sockets or outboxes, counted once for each client.
    messages_delivered,
    /// Bytes of the frames of these messages.
    bytes_delivered,
    /// Messages that were dropped for slow consumers.
    messages_dropped,
    /// Clients that were closed as slow consumers.
    slow_consumers,
    /// Clients whose connection was aborted because they did not answer a ping.
    ping_timeouts,
    /// Clients that were closed because they broke the protocol or a limit.
    protocol_errors,
    /// Message events that were dropped because the host did not take them.
    events_dropped,
    /// Clients that the host rejected.
    admissions_rejected,
    /// Clients that the host did not decide on in time, refused or not (the option overdue).
    admissions_timed_out,
    /// Messages of clients that were not published, because the host refused them or did not decide
    /// in time, or because the server stopped.
    messages_refused,
    /// Messages that the host did not decide on in time, refused or not (the option overdue).
    reviews_timed_out,
    /// Requests for a page, such as `GET /health`, that were answered, whatever the status.
    requests_answered,
    /// Signals that clients sent, also those that were dropped; they are among the messages received.
    signals_received,
    /// Signals of clients or the host that were dropped: beyond signal_rate, or because an inbox, the event queue
    /// or what waits for a room's subscribers was full. One that several workers drop counts for each.
    signals_dropped,
    /// Publications with a known key, of clients or the host, which were not published again.
    duplicates,
    /// Keys that were forgotten before their time, because too many were known.
    keys_evicted,
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Counts one more, unless the counter has reached `limit`.
    pub(crate) fn add_below(&self, limit: u64) -> bool {
        let more = |count| (count < limit).then_some(count + 1);
        self.0.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}
