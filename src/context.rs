//! What every floor of one server shares: its options, its counters, and its queue of events.

use std::sync::Arc;

use crate::{
    event::EventQueue,
    log::Throttle,
    options::Options,
    stats::{Counter, Counters},
};

/// One server's ground floor. Nothing in libchat is global: two servers share nothing.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) counters: Counters,
    pub(crate) events: EventQueue,
    pub(crate) throttles: Throttles,
}

/// What bounds the lines that clients can cause, at the levels that a host looks at every day.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    pub(crate) slow_consumers: Throttle,
    pub(crate) accept_failures: Throttle,
    pub(crate) refusals: Throttle,
}

impl Context {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        let events = EventQueue::new(options.event_queue);
        Arc::new(Self {
            options,
            counters: Counters::default(),
            events,
            throttles: Throttles::default(),
        })
    }

    /// Counts one more handshake, if there are not too many.
    pub(crate) fn permit_handshake(self: &Arc<Self>) -> Option<Permit> {
        let limit = self.options.max_handshakes as u64;
        Permit::of(self, |counters| &counters.handshakes, limit)
    }

    /// Counts one more client, if there are not too many.
    pub(crate) fn permit_connection(self: &Arc<Self>) -> Option<Permit> {
        let limit = self.options.max_connections as u64;
        Permit::of(self, |counters| &counters.connections, limit)
    }
}

/// Counts one of a limited number until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    context: Arc<Context>,
    gauge: fn(&Counters) -> &Counter,
}

impl Permit {
    fn of(context: &Arc<Context>, gauge: fn(&Counters) -> &Counter, limit: u64) -> Option<Self> {
        gauge(&context.counters)
            .add_below(limit)
            .then(|| Self { context: Arc::clone(context), gauge })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        (self.gauge)(&self.context.counters).sub(1);
    }
}
