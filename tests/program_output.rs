//! What the program `chat-server` prints ends and delays nothing: lines that nobody takes are lost, and the
//! service goes on.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod child;
mod peer;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use child::{
    Lines, Running, program, program_in_shell,
    streams::{Broken, full_pipe},
};
use peer::Peer;

/// A server that says much.
const CHATTY: [&str; 8] = [
    "--listen",
    "127.0.0.1:0",
    "--log",
    "trace",
    "--event-queue",
    "1000",
    "--max-connections",
    "100",
];

/// How long a stop may take if the clients answer at once, and nobody takes the last lines.
const SOON: Duration = Duration::from_secs(3);

/// Checks that clients are served while more is logged than a pipe takes, and that a signal stops the server in
/// peace.
fn serves_and_stops(server: &mut Running, what: &str) {
    let addr = server.address_unsaid();
    let mut client = Peer::join(addr, "/");
    let text = "x".repeat(1000);
    for _ in 0..300 {
        client.say(&text);
        assert_eq!(client.text(), text, "{what}");
    }
    // Lines of the server's own threads.
    for _ in 0..10 {
        let mut refused = Peer::connect(addr);
        refused.write(b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert_eq!(refused.response().status, 404, "{what}");
        Peer::join(addr, "/rooms/other").leave();
    }
    client.is_served();
    let began = Instant::now();
    server.signal("-TERM");
    assert_eq!(client.closed().0, 1001, "{what}");
    client.answer_close(1001);
    assert_eq!(server.status(), Some(0), "{what}");
    assert!(began.elapsed() < SOON, "{what}: {:?}", began.elapsed());
}

#[test]
fn the_service_goes_on_without_standard_error() {
    for broken in Broken::ALL {
        let (stderr, _reader) = broken.stream();
        let mut command = program(&CHATTY);
        command.stderr(stderr);
        serves_and_stops(&mut Running::of(command), &format!("stderr {broken:?}"));
    }
}

#[test]
fn the_service_goes_on_without_standard_output() {
    for broken in Broken::ALL {
        let (stdout, _reader) = broken.stream();
        let mut command = program(&["--listen", "127.0.0.1:0"]);
        command.stdout(stdout);
        serves_and_stops(&mut Running::of(command), &format!("stdout {broken:?}"));
    }
}

#[test]
fn the_service_goes_on_without_either() {
    for broken in Broken::ALL {
        let ((stdout, _reader), (stderr, _other)) = (broken.stream(), broken.stream());
        let mut command = program(&CHATTY);
        command.stdout(stdout).stderr(stderr);
        serves_and_stops(&mut Running::of(command), &format!("both {broken:?}"));
    }
}

#[test]
fn the_service_goes_on_if_streams_are_closed() {
    for closed in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let mut command = program_in_shell(&format!("exec \"$@\" {closed}"), &CHATTY);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        serves_and_stops(&mut Running::of(command), closed);
    }
}

#[test]
fn the_service_goes_on_when_the_log_file_may_not_grow() {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-small-log");
    let script = format!("ulimit -f 1; exec \"$@\" 2>'{}'", log.display());
    serves_and_stops(&mut Running::of(program_in_shell(&script, &CHATTY)), "a limit of file sizes");
    let logged = fs::metadata(&log).unwrap().len();
    assert!((1..=1024).contains(&logged), "a block is written, and no more: {logged}");
}

#[test]
fn lines_that_were_lost_are_counted_where_they_would_stand() {
    let (reader, writer) = full_pipe();
    let mut command = program(&["--listen", "127.0.0.1:0", "--event-queue", "100000"]);
    command.args(["--event-contents", "--max-connections", "100"]).stderr(writer);
    let mut server = Running::of(command);
    let mut client = Peer::join(server.address(), "/");
    let padding = "x".repeat(1000);
    let mut sent = 0;
    let mut say = || {
        client.say(&format!("number {sent}, {padding}"));
        client.text();
        sent += 1;
    };
    // More than may wait.
    (0..2000).for_each(|_| say());
    let lines = Lines::of(reader);
    let mut found = Vec::new();
    // The lines that fit stand before the gap, and a line that fits again says how wide it was.
    let lost = loop {
        say();
        let line = lines.find("chat");
        if let Some((_, lost)) = line.split_once("could not be written: ") {
            break lost.parse::<usize>().unwrap();
        }
        found.extend(number(&line));
    };
    assert!(lost > 0);
    assert_eq!(found, (0..found.len()).collect::<Vec<_>>(), "no line is lost unsaid");
    assert_eq!(number(&lines.find("chat")), Some(found.len() + lost));
}

/// The number of a message whose event a line is.
fn number(line: &str) -> Option<usize> {
    line.split_once("number ")?.1.split_once(',')?.0.parse().ok()
}

#[test]
fn a_failed_start_has_its_status_though_nobody_takes_the_line() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    for broken in Broken::ALL {
        for (args, status) in
            [(["--bogus", "1"], 2), (["--workers", "1000"], 2), (["--listen", &taken], 1)]
        {
            let (stderr, _reader) = broken.stream();
            let mut command = program(&args);
            command.stderr(stderr);
            assert_eq!(Running::of(command).status(), Some(status), "{args:?} {broken:?}");
        }
    }
}

#[test]
fn the_help_ends_though_nobody_takes_it() {
    for broken in Broken::ALL {
        for flag in ["--help", "--version"] {
            let (stdout, _reader) = broken.stream();
            let mut command = program(&[flag]);
            command.stdout(stdout);
            assert_eq!(Running::of(command).status(), Some(0), "{flag} {broken:?}");
        }
    }
}
