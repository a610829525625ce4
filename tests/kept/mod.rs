//! Log lines, kept for the test that reads them.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use tracing::{Event, Level, Metadata, Subscriber, field::Field, span};

/// A subscriber that keeps the lines of libchat.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<(Mutex<Vec<Line>>, Condvar)>);

/// A log line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) message: String,
    /// As in ` key=value key="a value"`.
    pub(crate) fields: String,
}

impl Kept {
    /// The lines of a level and those above it.
    pub(crate) fn whole_lines(&self, level: Level) -> Vec<Line> {
        let lines = self.0.0.lock().unwrap();
        lines.iter().filter(|line| line.level <= level).cloned().collect()
    }

    /// The messages of a level and those above it.
    pub(crate) fn lines(&self, level: Level) -> Vec<String> {
        self.whole_lines(level).into_iter().map(|line| line.message).collect()
    }

    /// Waits until a line holds a text.
    pub(crate) fn await_line(&self, level: Level, text: &str) {
        let is_missing = |lines: &mut Vec<Line>| {
            !lines.iter().any(|line| line.level <= level && line.message.contains(text))
        };
        let (lines, added) = &*self.0;
        let patience = Duration::from_secs(30);
        let waited = added.wait_timeout_while(lines.lock().unwrap(), patience, is_missing).unwrap();
        assert!(!waited.1.timed_out(), "{:?}", *waited.0);
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("chat")
    }
    fn event(&self, event: &Event<'_>) {
        let (mut message, mut fields) = (String::new(), String::new());
        event.record(&mut |field: &Field, value: &dyn Debug| {
            if field.name() == "message" {
                message = format!("{value:?}");
            } else {
                write!(fields, " {}={value:?}", field.name()).unwrap();
            }
        });
        let line = Line { level: *event.metadata().level(), message, fields };
        self.0.0.lock().unwrap().push(line);
        self.0.1.notify_all();
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
