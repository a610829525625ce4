//! Streams the tokens of answers to browsers: a room for each conversation.
//!
//! A browser opens the page and sends a question as a message. Every browser in the conversation
//! receives the answer while it is made. A browser that connects late gets the conversation so far
//! from the room's history, and then the rest: no token is lost or repeated.
//!
//! `curl -N 'http://127.0.0.1:9001/rooms/NAME?format=events&history=10000'` shows the conversation NAME in a
//! terminal.
//!
//! Run `cargo run --example token_stream`, and open the page that it prints. Ctrl-C ends it. The
//! addresses of the page and of the chat are arguments:
//! `cargo run --example token_stream 127.0.0.1:8000 127.0.0.1:9001`.

use std::{
    collections::HashSet,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use chat::{Config, Error, Event, Handle, Kind, Server};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

const PAGE: &str = include_str!("token_stream.html");
/// How many messages of a conversation are kept for browsers that connect late.
const HISTORY: usize = 10_000;
/// How many answers are made at once. A question beyond this number gets no answer.
const MAX_ANSWERS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addresses = std::env::args().skip(1);
    let mut address = |default: &str| addresses.next().unwrap_or_else(|| default.to_owned());
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let pages = TcpListener::bind(address("127.0.0.1:8000"))?;
    let site = pages.local_addr()?;
    let server = start(&address("127.0.0.1:9001"), pages)?;
    println!("open http://{site}/#conversation - Ctrl-C ends it");
    signals.forever().next();
    server.stop(Duration::from_secs(5))?;
    Ok(())
}

/// Starts the chat, a thread that serves the page and one that answers.
pub(crate) fn start(
    listen: &str,
    pages: TcpListener,
) -> Result<Server, Box<dyn std::error::Error>> {
    let site = pages.local_addr()?;
    let server = Config::new()
        .listen(listen)
        .origin(format!("http://{site}"))
        .origin(format!("http://localhost:{}", site.port()))
        .history_messages(HISTORY)
        .event_queue(10_000)
        .start()?;
    let chat = server.local_addr();
    thread::spawn(move || {
        for browser in pages.incoming().flatten() {
            _ = serve(browser, chat); // It fails if the browser has left.
        }
    });
    let handle = server.handle();
    thread::spawn(move || answer_all(&handle));
    Ok(server)
}

/// Answers every question until the server stops, one at a time in each conversation.
fn answer_all(handle: &Handle) {
    let answering = Arc::new(Mutex::new(HashSet::new()));
    loop {
        let events = match handle.next_events(Duration::from_secs(60)) {
            Ok(events) => events,
            Err(Error::TimedOut) => continue,
            Err(_) => return,
        };
        for event in events {
            let Event::Message { room, message, .. } = event else { continue };
            let Some(question) = message.as_text().map(str::to_owned) else { continue };
            let room = room.to_string();
            let mut rooms = answering.lock().unwrap_or_else(PoisonError::into_inner);
            if rooms.len() == MAX_ANSWERS || !rooms.insert(room.clone()) {
                continue;
            }
            drop(rooms);
            let (handle, answering) = (handle.clone(), Arc::clone(&answering));
            thread::spawn(move || {
                _ = answer(&handle, &room, &question); // It fails once the server stops.
                answering.lock().unwrap_or_else(PoisonError::into_inner).remove(&room);
            });
        }
    }
}

/// Publishes an answer. A language model would make it here.
fn answer(handle: &Handle, room: &str, question: &str) -> chat::Result<()> {
    for word in format!("You asked: {question} Here is a long answer to it.").split_whitespace() {
        thread::sleep(Duration::from_millis(20));
        publish(handle, room, &serde_json::json!({ "token": format!("{word} ") }))?;
    }
    publish(handle, room, &serde_json::json!({ "end": true }))
}

/// Publishes a message, and retries while too much waits to be delivered: no token is lost.
fn publish(handle: &Handle, room: &str, message: &serde_json::Value) -> chat::Result<()> {
    loop {
        match handle.publish(room, Kind::Text, message.to_string().as_bytes()) {
            Err(Error::QueueFull) => (), // Nothing was published.
            result => return result.map(|_| ()),
        }
    }
}

/// Answers any request of a browser with the page.
fn serve(mut browser: TcpStream, chat: SocketAddr) -> io::Result<()> {
    browser.set_read_timeout(Some(Duration::from_secs(5)))?;
    browser.set_write_timeout(Some(Duration::from_secs(5)))?;
    let head = BufReader::new((&browser).take(16 * 1024));
    for line in head.lines() {
        if line?.is_empty() {
            break;
        }
    }
    let page = PAGE.replace("CHAT_URL", &format!("ws://{chat}/rooms/"));
    write!(
        browser,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    )
}
