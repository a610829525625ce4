//! Where the log lines of a Rust host's servers go: `tracing`, as the host has set it up.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

use std::{
    fmt::Debug,
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::Duration,
};

use chat::Config;
use tracing::{Event, Metadata, Subscriber, field::Field, span, subscriber::with_default};

/// Keeps the message of each event.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("chat")
    }
    fn event(&self, event: &Event<'_>) {
        event.record(&mut |field: &Field, value: &dyn Debug| {
            if field.name() == "message" {
                self.0.lock().unwrap().push(format!("{value:?}"));
            }
        });
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_server_logs_where_it_was_started_and_nowhere_else() {
    let (first, second) = (Kept::default(), Kept::default());
    let start = || Config::new().listen("127.0.0.1:0").workers(2).start().unwrap();
    let one = with_default(first.clone(), start);
    let other = with_default(second.clone(), start);
    // A thread of the server's answers, and logs it.
    let mut client = TcpStream::connect(one.local_addr()).unwrap();
    client.write_all(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    one.stop(Duration::from_secs(5)).unwrap();
    other.stop(Duration::from_secs(5)).unwrap();
    let lines = first.0.lock().unwrap();
    assert_eq!(*lines, ["listening", "connection refused", "stopping", "stopped"]);
    assert_eq!(*second.0.lock().unwrap(), ["listening", "stopping", "stopped"]);
}
