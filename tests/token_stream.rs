//! The example `token_stream` does what it says, with real clients, and as a program.

mod peer;

#[allow(dead_code, reason = "its main is run as a program")]
#[path = "../examples/token_stream.rs"]
mod example;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use peer::{Peer, events::Source};

const END: &str = r#"{"end":true}"#;

fn until_the_end(client: &mut Peer) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text != END) {
        texts.push(client.frame().text().to_owned());
    }
    texts
}

fn page_of(site: SocketAddr) -> String {
    let mut browser = TcpStream::connect(site).expect("the page's server");
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request");
    let mut page = String::new();
    browser.read_to_string(&mut page).expect("an answer");
    page
}

#[test]
fn the_program_names_its_page_and_ctrl_c_ends_it() {
    let mut program = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", "token_stream", "127.0.0.1:0", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo");
    let mut line = String::new();
    let output = program.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut line).expect("its first line");
    let site = line.strip_prefix("open http://").and_then(|rest| rest.split('/').next());
    let site = site.unwrap_or_else(|| panic!("{line:?}")).parse().expect("an address");
    assert!(page_of(site).contains("ws://127.0.0.1:"), "the page connects to the chat");
    // Cargo has become the program.
    let pid = program.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    assert!(program.wait().expect("its end").success());
}

#[test]
fn latecomers_get_every_token_once() {
    let pages = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let site = pages.local_addr().expect("its address");
    let server = example::start("127.0.0.1:0", pages).expect("a free port");

    let page = page_of(site);
    assert!(page.contains(&format!("ws://{}/rooms/", server.local_addr())), "{page}");

    let path = "/rooms/one?history=10000";
    let mut first = Peer::join(server.local_addr(), path);
    first.say("why?");
    let mut seen: Vec<String> = (0..4).map(|_| first.frame().text().to_owned()).collect();
    let mut late = Peer::join(server.local_addr(), path);
    seen.extend(until_the_end(&mut first));
    assert_eq!(until_the_end(&mut late), seen);

    let tokens = seen[1..seen.len() - 1].iter().map(|text| {
        let message: serde_json::Value = serde_json::from_str(text).expect("JSON");
        message["token"].as_str().expect("a token").to_owned()
    });
    assert_eq!(tokens.collect::<String>(), "You asked: why? Here is a long answer to it. ");
    drop((first, late));
    server.stop(Duration::from_secs(5)).expect("a stop in time");
}

#[test]
fn curl_gets_every_token_as_an_event() {
    let pages = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let server = example::start("127.0.0.1:0", pages).expect("a free port");
    // The line of the example.
    let line = "curl -N 'http://127.0.0.1:9001/rooms/NAME?format=events&history=10000'";
    assert!(include_str!("../examples/token_stream.rs").contains(line));
    let url = format!("http://{}/rooms/one?format=events&history=10000", server.local_addr());
    let mut first = Peer::join(server.local_addr(), "/rooms/one");
    first.say("why?");
    let mut seen: Vec<String> = (0..4).map(|_| first.frame().text().to_owned()).collect();
    let mut curl = Command::new("curl")
        .args(["-sN", "--max-time", "30", &url])
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is needed: apt-get install curl");
    seen.extend(until_the_end(&mut first));
    let mut source = Source::default();
    let mut output = curl.stdout.take().expect("its output");
    let (mut texts, mut bytes) = (Vec::new(), [0; 1024]);
    while texts.last().is_none_or(|text| text != END) {
        let len = output.read(&mut bytes).expect("events");
        assert_ne!(len, 0, "the stream ended after {texts:?}");
        texts.extend(source.feed(&bytes[..len]).into_iter().map(|event| event.data));
    }
    assert_eq!(texts, seen);
    drop(first);
    server.stop(Duration::from_secs(5)).expect("a stop in time");
    assert!(curl.wait().expect("its end").success());
}
