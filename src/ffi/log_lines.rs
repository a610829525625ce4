//! The host's log handler: a subscriber of `tracing` that writes each line into one bounded text.

use std::{
    cell::Cell,
    ffi::{c_char, c_void},
    fmt::{self, Write},
    sync::{Arc, Weak},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, dispatcher,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::Interest,
};

use super::{boundary::text_parts, callback::UserData};

/// The level of a log line, for chat_config_set_log_handler. A handler for one level also gets the
/// lines of the levels above it in this list.
#[repr(u32)]
#[derive(Debug, Clone, Copy)]
pub enum chat_log_level {
    /// Something is broken: for example a thread or a handler panicked.
    CHAT_LOG_ERROR = 1,
    /// Something is lost or refused that need not be: connections that cannot be accepted, events
    /// that the host does not take, limits that are reached, connections that are aborted at the
    /// stop.
    CHAT_LOG_WARN = 2,
    /// The start and stop of the server, and slow consumers: a few lines a day, and at most one
    /// line a second of each sort.
    CHAT_LOG_INFO = 3,
    /// Every client that connects, disconnects or is refused: clients decide how many lines.
    CHAT_LOG_DEBUG = 4,
    /// No further lines in this version.
    CHAT_LOG_TRACE = 5,
}

/// A log handler. It gets the line's CHAT_LOG_... level, and its text, which is valid until the
/// handler returns. chat_config_set_log_handler says what a log handler may do.
pub type chat_log_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, level: u32, text: *const c_char, text_len: usize),
>;

/// The host's log handler, kept by the config and by every server that was started from it.
pub(super) struct LogHandler {
    pub(super) max_level: LevelFilter,
    pub(super) function: chat_log_fn,
    pub(super) user_data: UserData,
}

impl LogHandler {
    /// Calls a function whose log lines go to the handler. A server that the function starts keeps
    /// it.
    pub(super) fn within<T>(this: Option<&Arc<Self>>, body: impl FnOnce() -> T) -> T {
        let Some(handler) = this else {
            // This may run in another server's handler, and its log handler must not get the lines.
            return dispatcher::with_default(&Dispatch::none(), body);
        };
        let lines = Lines { max_level: handler.max_level, handler: Arc::downgrade(handler) };
        dispatcher::with_default(&Dispatch::new(lines), body)
    }

    fn call(&self, level: Level, text: &str) {
        let Some(function) = self.function else { return };
        let (data, len) = text_parts(text);
        let inside = Inside::enter();
        // SAFETY: the host's function; the text outlives the call.
        unsafe { function(self.user_data.pointer(), level_number(level), data, len) }
        drop(inside);
    }
}

fn level_number(level: Level) -> u32 {
    let level = match level {
        Level::ERROR => chat_log_level::CHAT_LOG_ERROR,
        Level::WARN => chat_log_level::CHAT_LOG_WARN,
        Level::INFO => chat_log_level::CHAT_LOG_INFO,
        Level::DEBUG => chat_log_level::CHAT_LOG_DEBUG,
        Level::TRACE => chat_log_level::CHAT_LOG_TRACE,
    };
    level as u32
}

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether the calling thread is in a log handler, which must not wait for a server.
pub(super) fn is_inside() -> bool {
    IS_INSIDE.get()
}

struct Inside(bool);

impl Inside {
    fn enter() -> Self {
        Self(IS_INSIDE.replace(true))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IS_INSIDE.set(self.0);
    }
}

/// The subscriber. It holds the handler weakly: `tracing` drops subscribers under a lock of its
/// own, and the host's `drop` must not be called there.
struct Lines {
    max_level: LevelFilter,
    handler: Weak<LogHandler>,
}

impl Subscriber for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Lines of libchat's dependencies are left out: they are of no use to a host.
        let is_own = metadata.target().split("::").next() == Some("chat");
        is_own && metadata.is_event() && *metadata.level() <= self.max_level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max_level)
    }

    fn event(&self, event: &Event<'_>) {
        if let Some(handler) = self.handler.upgrade() {
            handler.call(*event.metadata().level(), &Line::of(event).text);
        }
    }

    // There are no spans.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// How long a line may be, in bytes.
const MAX_LINE: usize = 1024;

/// The end of a line that was cut.
const CUT: &str = "...";

/// The text of a line. It is cut, and marked, where it is too long.
#[derive(Default)]
struct Line {
    text: String,
    is_cut: bool,
}

impl Line {
    fn of(event: &Event<'_>) -> Self {
        let mut line = Self::default();
        // The macros put the message first.
        event.record(&mut line);
        line
    }

    fn push(&mut self, c: char) {
        if self.is_cut {
            return;
        }
        if self.text.len() + c.len_utf8() <= MAX_LINE - CUT.len() {
            self.text.push(c);
        } else {
            self.is_cut = true;
            self.text.push_str(CUT);
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                c.escape_default().for_each(|c| self.push(c));
            } else {
                self.push(c);
            }
        }
        // An error ends the formatting: the rest would be cut anyway.
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}

impl Visit for Line {
    // No line of libchat has such a value, and the code that formats one would be in every program.
    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_i128(&mut self, _: &Field, _: i128) {}

    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing fails only when the line is full.
        if field.name() == "message" {
            _ = write!(self, "{value:?}");
        } else {
            let space = if self.text.is_empty() { "" } else { " " };
            _ = write!(self, "{space}{}={value:?}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut line = Line::default();
        _ = line.write_str(text);
        line.text
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_marked() {
        assert_eq!(written(&"x".repeat(MAX_LINE - CUT.len())).len(), MAX_LINE - CUT.len());
        let text = written(&"\u{20ac}".repeat(MAX_LINE));
        assert!(text.len() <= MAX_LINE && text.ends_with("\u{20ac}..."), "{text}");
        let mut line = Line::default();
        assert!(line.write_str(&"x".repeat(MAX_LINE)).is_err() && line.write_str("more").is_err());
        assert_eq!(line.text.len(), MAX_LINE);
    }

    #[test]
    fn nothing_breaks_a_line() {
        assert_eq!(
            written("a\nb\r\0\u{1b}[2J\u{85}\u{2028}"),
            "a\\nb\\r\\u{0}\\u{1b}[2J\\u{85}\\u{2028}"
        );
    }
}
