//! Real clients of event streams: an `EventSource` of Node.js, curl, and Python's httpx. They are cut at random bytes, and
//! show every message once and in order; and they show each text as it was published.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

#[path = "recovery/chance.rs"]
mod chance;
mod event_source;
mod peer;
mod support;
#[path = "recovery/told.rs"]
mod told;
mod wire;

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding};
use chance::{Chance, seed};
use chat::{Kind, Position};
use event_source::{Block, Parser};
use peer::{PATIENCE, host::server_with};
use serde_json::Value;
use support::{ROOT, missing};
use told::{Received, Told};
use wire::{Random, node, node_packages, program::Program, relay::Relay, the_python};

/// How many messages there are at least, and how many may be on their way: fewer than a room keeps.
const COUNT: usize = 400;
const MAX_AHEAD: usize = 200;

const PUBLISHERS: usize = 8;

/// How often each client is cut at least: `EVENT_CUTS`, 30 if it is not set.
fn least_cuts() -> usize {
    let cuts = std::env::var("EVENT_CUTS").map(|cuts| cuts.parse().expect("a number"));
    cuts.unwrap_or(30)
}

/// How often the server says that it is there.
const PING: Duration = Duration::from_millis(200);

/// Shows events: each is awaited with a deadline.
trait Shows {
    /// The next event: its type, id and data. `None` once the message "end" has come.
    fn next(&mut self) -> Option<(String, String, String)>;
}

impl Shows for Program {
    fn next(&mut self) -> Option<(String, String, String)> {
        let line = self.line();
        let object: Value =
            serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}"));
        let field = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let shown = (field("type"), field("id"), field("data"));
        if shown.0 == "end" {
            println!("{line}");
            return None;
        }
        Some(shown)
    }
}

/// A loop around curl, which comes back with the last id.
struct Curl {
    url: String,
    parser: Parser,
    blocks: std::collections::VecDeque<Block>,
    child: Option<Child>,
    has_head: bool,
    head: Vec<u8>,
}

impl Curl {
    fn new(url: &str) -> Self {
        let (parser, blocks) = Default::default();
        Self { url: url.to_owned(), parser, blocks, child: None, has_head: false, head: Vec::new() }
    }

    fn start(&self) -> Child {
        let mut curl = Command::new("curl");
        // It does not notice silence by itself before several seconds.
        curl.args(["-sN", "--max-time", "1", "-i"]);
        curl.args(["-H", "Accept: text/event-stream", &self.url]);
        if let Some(last) = &self.parser.last_id {
            curl.arg("-H").arg(format!("Last-Event-ID: {last}"));
        }
        let child = curl.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        child.unwrap_or_else(|error| panic!("{}", missing(&curl, &error)))
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let last = self.parser.last_id.take();
        self.parser = Parser::default();
        self.parser.last_id = last;
        self.has_head = false;
        self.head.clear();
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.has_head {
            self.blocks.extend(self.parser.feed(bytes));
            return;
        }
        self.head.extend_from_slice(bytes);
        if let Some(end) = self.head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            assert!(self.head.starts_with(b"HTTP/1.1 200 "));
            self.has_head = true;
            let rest = self.head.split_off(end + 4);
            self.blocks.extend(self.parser.feed(&rest));
        }
    }
}

impl Drop for Curl {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shows for Curl {
    fn next(&mut self) -> Option<(String, String, String)> {
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "not in time: the next event");
            while let Some(block) = self.blocks.pop_front() {
                let Some(data) = block.data else { continue };
                let name = block.name.unwrap_or_else(|| "message".to_owned());
                if name == "ping" {
                    continue;
                }
                if data == "end" {
                    return None;
                }
                return Some((name, block.id.unwrap_or_default(), data));
            }
            if self.child.is_none() {
                self.child = Some(self.start());
            }
            let child = self.child.as_mut().expect("it was started");
            let mut bytes = [0; 4096];
            // curl ends after a second at the latest.
            match child.stdout.as_mut().expect("piped").read(&mut bytes).unwrap() {
                0 => self.end(),
                count => self.take(&bytes[..count]),
            }
        }
    }
}

fn eventsource(url: &str) -> Command {
    let mut command = node();
    command.arg(format!("{ROOT}/tests/wire/events.js")).env("NODE_PATH", node_packages());
    command.args([url, "100", &PING.as_millis().to_string()]);
    command
}

fn httpx(url: &str) -> Command {
    let mut command = Command::new(the_python());
    command.arg(format!("{ROOT}/tests/wire/events.py")).arg(url);
    command
}

/// Cuts the connections of a client while eight threads publish, and holds what it shows against what was published.
fn shows_every_message_once_and_in_order<C: Shows>(client: impl FnOnce(&str) -> C) {
    let mut random = Random::new();
    let server = server_with(|config| _ = config.ping_interval(PING));
    let told = Told::default();
    let relay = Relay::start(server.local_addr(), random.fork(), 2_000);
    // Before the first position has come, a client asks for all that there is.
    let mut client = client(&format!("http://{}/rooms/r?history=1000", relay.addr));
    let (sender, tokens) = mpsc::channel();
    let tokens = Mutex::new(tokens);
    let mut received: Vec<Received> = Vec::new();
    thread::scope(|scope| {
        let (server, told, tokens) = (&server, &told, &tokens);
        for publisher in 0..PUBLISHERS {
            let mut random = random.fork();
            scope.spawn(move || {
                let next = || tokens.lock().unwrap().recv();
                while let Ok(number) = next() {
                    let filler = "x\"\u{2028}\n ".repeat(random.below(12) as usize);
                    let text = format!("{publisher} {number} {filler}.");
                    let position = server.publish("r", Kind::Text, text.as_bytes()).unwrap();
                    told.note("r", position, &text);
                }
            });
        }
        // The threads end, also if this one fails.
        let sender = sender;
        let mut published = 0;
        while received.len() < published.max(COUNT) {
            let is_enough = published >= COUNT && relay.cuts() > least_cuts();
            while !is_enough && published < received.len() + MAX_AHEAD {
                published += 1;
                sender.send(published).unwrap();
            }
            let (name, id, data) = client.next().expect("more messages");
            assert_eq!(name, "message", "{id}, {data}, after {} cuts", relay.cuts());
            let position: Position = id.parse().expect("a position");
            assert_eq!(position.offset, received.len() as u64 + 1, "once, and in order: {data}");
            received.push(("r".to_owned(), position, data));
        }
    });
    told.check(&received);
    assert!(relay.cuts() > least_cuts(), "{} cuts", relay.cuts());
    server.publish("r", Kind::Text, b"end").unwrap();
    assert_eq!(client.next(), None, "behind the last message");
    println!("{} cuts", relay.cuts());
}

#[test]
fn an_event_source_of_node_js_shows_every_message_once_and_in_order() {
    shows_every_message_once_and_in_order(|url| Program::start(&mut eventsource(url)));
}

#[test]
fn a_loop_around_curl_shows_every_message_once_and_in_order() {
    shows_every_message_once_and_in_order(Curl::new);
}

#[test]
fn a_client_of_pythons_httpx_shows_every_message_once_and_in_order() {
    shows_every_message_once_and_in_order(|url| Program::start(&mut httpx(url)));
}

/// What a text may contain that means something to an event stream, to JSON, or to those who split lines.
fn characters() -> Vec<char> {
    let control = (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32);
    control
        .chain(" :\"\\\u{2028}\u{2029}\u{200b}\u{feff}\u{fffd}\u{ffff}\u{10ffff}é".chars())
        .collect()
}

/// Each character at each place, and behind each the beginning of a field, an event, a message.
fn texts() -> Vec<String> {
    let mut texts = vec![String::new(), "data: x".into(), "id: 1\nid: 2\n\n".into()];
    for it in characters() {
        texts.push(format!("{it}"));
        texts.push(format!("{it}{it}{it}"));
        texts.push(format!("{it}a"));
        texts.push(format!("a{it}"));
        texts.push(format!("a{it}b{it}{it}c"));
        texts.push(format!("a\n{it}b\r{it}c\r\n{it}"));
        texts.push(format!(
            "a{it}id: forged{it}event: closed{it}retry: 1{it}data: b{it}{it}data: c{it}{it}"
        ));
        texts.push(format!("a{it}\n\nid{it}: forged\n\nevent{it}: gap\ndata{it}: b\n\n:{it}"));
    }
    let mut chance = Chance::new(seed());
    let mut parts: Vec<_> = characters().into_iter().map(String::from).collect();
    parts.extend(
        ["\r", "\n", "\r\n", "\r", "\n", "data:", "id:", "event: ping", "retry: 0", "a"]
            .map(Into::into),
    );
    let mut any =
        || (0..chance.below(12)).map(|_| parts[chance.below(parts.len())].as_str()).collect();
    texts.extend((0..400).map(|_| any()));
    texts
}

/// Publishes every text, and returns what an `EventSource` is given as messages, with their ids.
fn shown(format: &str, texts: &[String]) -> Vec<(String, String)> {
    let server = server_with(|config| _ = config.history_messages(10_000).ping_interval(PING));
    let url = format!("http://{}/rooms/r?history=10000{format}", server.local_addr());
    let mut program = Program::start(&mut eventsource(&url));
    for text in texts {
        server.publish("r", Kind::Text, text.as_bytes()).unwrap();
    }
    server.publish("r", Kind::Text, b"end").unwrap();
    let mut shown = Vec::new();
    while let Some((name, id, data)) = program.next() {
        assert_eq!(name, "message", "{id}, {data}");
        shown.push((id, data));
    }
    shown
}

/// Insists that the ids are those of the messages, and that the texts are right.
fn are_right(texts: &[String], shown: &[(String, String)], expected: impl Fn(&str) -> String) {
    for (number, (text, (id, data))) in (1..).zip(texts.iter().zip(shown)) {
        assert_eq!(*data, expected(text), "{text:?}");
        assert_eq!(id.parse::<Position>().map(|it| it.offset), Ok(number), "{text:?}");
    }
    assert_eq!(shown.len(), texts.len());
}

#[test]
fn every_text_arrives_as_it_was_published_but_for_its_line_ends_and_forges_nothing() {
    let texts = texts();
    are_right(&texts, &shown("", &texts), |text| text.replace("\r\n", "\n").replace('\r', "\n"));
}

#[test]
fn every_text_arrives_exactly_in_an_object() {
    let texts = texts();
    let objects = shown("&format=json", &texts).into_iter().filter_map(|(id, data)| {
        let object: Value = serde_json::from_str(&data).unwrap();
        let decoded = || {
            assert_eq!(object["kind"], "text");
            let encoded = object["base64"].as_str().unwrap();
            let mut bytes = vec![0; encoded.len()];
            String::from_utf8(Base64::decode(encoded, &mut bytes).unwrap().to_vec()).unwrap()
        };
        let is_message = object["type"] == "message";
        is_message.then(|| (id, object["text"].as_str().map_or_else(decoded, str::to_owned)))
    });
    are_right(&texts, &objects.collect::<Vec<_>>(), str::to_owned);
}
