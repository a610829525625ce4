//! `chat_stats`: the counters as a C struct that grows at its end.

use crate::stats::Stats;

/// What a server has counted since its start. Further counters may be added at the end.
///
/// Each is right, and they may be of slightly different moments. Functions: chat_server_stats.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct chat_stats {
    /// Clients that are connected now.
    pub connections: u64,
    /// Handshakes that are under way now.
    pub handshakes: u64,
    /// Rooms that exist now: with subscribers or with history.
    pub rooms: u64,
    /// Clients that have been connected.
    pub connections_accepted: u64,
    /// Handshakes that were refused, with an HTTP status or by cutting the connection.
    pub connections_refused: u64,
    /// Times that accepting a connection failed, for want of descriptors as a rule.
    pub accept_failures: u64,
    /// Messages that clients sent.
    pub messages_received: u64,
    /// Messages that clients or the host published to rooms, and broadcasts of the host.
    pub messages_published: u64,
    /// Messages handed to sockets or outboxes, counted for each client.
    pub messages_delivered: u64,
    /// Bytes of frames handed to sockets or outboxes.
    pub bytes_delivered: u64,
    /// Messages dropped for slow consumers.
    pub messages_dropped: u64,
    /// Clients that were closed as slow consumers.
    pub slow_consumers: u64,
    /// Clients that were cut because they did not answer a ping.
    pub ping_timeouts: u64,
    /// Clients that were closed because they broke the protocol or a limit.
    pub protocol_errors: u64,
    /// Message events that were dropped because the host did not take them.
    pub events_dropped: u64,
    /// Clients that the host rejected.
    pub admissions_rejected: u64,
    /// Clients that the host did not decide on in time, whatever became of them (the option overdue).
    pub admissions_timed_out: u64,
    /// Messages of clients that were not published: the host refused them or did not decide in time,
    /// or the server stopped.
    pub messages_refused: u64,
    /// Messages that the host did not decide on in time, whatever became of them (the option overdue).
    pub reviews_timed_out: u64,
}

impl From<Stats> for chat_stats {
    fn from(stats: Stats) -> Self {
        // Taken apart, so that a counter that is added there is missed here.
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
        }
    }
}
