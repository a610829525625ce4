//! `chat_stats`: the counters as a C struct that grows at its end.

use crate::stats::Stats;

/// What a server has counted since its start. Later versions may add counters at the end.
///
/// Each counter is exact, but the counters may be of slightly different moments. Functions:
/// chat_server_stats.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct chat_stats {
    /// Clients that are connected now.
    pub connections: u64,
    /// Handshakes that are in progress now.
    pub handshakes: u64,
    /// Rooms that exist now: with subscribers or with history.
    pub rooms: u64,
    /// Clients that have connected since the start.
    pub connections_accepted: u64,
    /// Clients that were refused, with an HTTP status or by aborting the connection: they asked for a
    /// WebSocket or for events, or sent what is no request, or nothing.
    pub connections_refused: u64,
    /// Times that accepting a connection failed, usually for lack of descriptors.
    pub accept_failures: u64,
    /// Messages that clients sent.
    pub messages_received: u64,
    /// Messages that clients or the host published to rooms, and broadcasts of the host.
    pub messages_published: u64,
    /// Messages that were handed to sockets or outboxes, counted once for each client.
    pub messages_delivered: u64,
    /// Bytes of the frames of these messages.
    pub bytes_delivered: u64,
    /// Messages that were dropped for slow consumers.
    pub messages_dropped: u64,
    /// Clients that were closed as slow consumers.
    pub slow_consumers: u64,
    /// Clients whose connection was aborted because they did not answer a ping.
    pub ping_timeouts: u64,
    /// Clients that were closed because they broke the protocol or a limit.
    pub protocol_errors: u64,
    /// Message events that were dropped because the host did not take them.
    pub events_dropped: u64,
    /// Clients that the host rejected.
    pub admissions_rejected: u64,
    /// Clients that the host did not decide on in time, refused or not (chat_config_set_overdue).
    pub admissions_timed_out: u64,
    /// Messages of clients that were not published, because the host refused them or did not decide
    /// in time, or because the server stopped.
    pub messages_refused: u64,
    /// Messages that the host did not decide on in time, refused or not (chat_config_set_overdue).
    pub reviews_timed_out: u64,
    /// Requests for a page, such as `GET /health`, that were answered, whatever the status.
    pub requests_answered: u64,
    /// Signals that clients sent, also those that were dropped; they are among the messages received.
    pub signals_received: u64,
    /// Signals of clients or the host that were dropped: beyond signal_rate, or because an inbox, the
    /// event queue or what waits for a room's subscribers was full. One that several workers drop
    /// counts for each.
    pub signals_dropped: u64,
    /// Publications with a known key, of clients or the host, which were not published again.
    pub duplicates: u64,
    /// Keys that were forgotten before their time, because too many were known.
    pub keys_evicted: u64,
}

impl From<Stats> for chat_stats {
    fn from(stats: Stats) -> Self {
        // No `..`: a counter that is added there does not compile here until it is copied.
        let Stats {
            connections,
            handshakes,
            rooms,
            connections_accepted,
            connections_refused,
            accept_failures,
            messages_received,
            messages_published,
            messages_delivered,
            bytes_delivered,
            messages_dropped,
            slow_consumers,
            ping_timeouts,
            protocol_errors,
            events_dropped,
            admissions_rejected,
            admissions_timed_out,
            messages_refused,
            reviews_timed_out,
            requests_answered,
            signals_received,
            signals_dropped,
            duplicates,
            keys_evicted,
        } = stats;
        Self {
            connections,
            handshakes,
            rooms,
            connections_accepted,
            connections_refused,
            accept_failures,
            messages_received,
            messages_published,
            messages_delivered,
            bytes_delivered,
            messages_dropped,
            slow_consumers,
            ping_timeouts,
            protocol_errors,
            events_dropped,
            admissions_rejected,
            admissions_timed_out,
            messages_refused,
            reviews_timed_out,
            requests_answered,
            signals_received,
            signals_dropped,
            duplicates,
            keys_evicted,
        }
    }
}
