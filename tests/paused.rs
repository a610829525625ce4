//! A process that was stopped for a while (SIGSTOP): what its clients could not help is held against none of them.

mod peer;

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use chat::{Kind, Overdue};
use peer::{Peer, frames::masked, host::server_with};

const CHILD: &str = "LIBCHAT_PAUSED";

/// How long a client may take: to read, to answer a ping, for its handshake.
const LIMIT: Duration = Duration::from_millis(500);

/// How much more is published than the sockets hold.
const MESSAGES: usize = 400;
const SIZE: usize = 64 * 1024;

/// Serves in a process of its own until its standard input ends; publishes when a line comes.
fn serve() {
    let server = server_with(|config| {
        config.workers(1).outbox_size(2 * MESSAGES * SIZE).outbox_age(LIMIT);
        config.ping_interval(LIMIT).ping_timeout(LIMIT).handshake_timeout(2 * LIMIT);
    });
    println!("\n@{}", server.local_addr());
    for _ in std::io::stdin().lines() {
        for _ in 0..MESSAGES {
            server.publish("lobby", Kind::Binary, &[7; SIZE]).expect("there is space");
        }
        println!("\n@published");
    }
}

/// The server's process.
struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(test: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("a program"));
        command.args(["--exact", test]);
        command.arg("--nocapture").env(CHILD, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program again");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let input = child.stdin.take();
        Self { child, input, output }
    }

    /// The next line that is meant for the test; the harness prints others.
    fn line(&mut self) -> String {
        let mut lines = (&mut self.output).lines().map(|line| line.expect("UTF-8"));
        let line = lines.find_map(|line| line.strip_prefix('@').map(str::to_owned));
        line.expect("the child says something")
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// Whether it is stopped, as the kernel says.
    fn is_stopped(&self) -> bool {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).expect("the child is there");
        stat.rsplit_once(") ").expect("a name in parentheses").1.starts_with('T')
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads all that there is for a time.
fn read_for(reader: &mut Peer, time: Duration) -> usize {
    let (begun, mut len) = (Instant::now(), 0);
    let mut buffer = vec![0; 1 << 20];
    reader.stream.set_read_timeout(Some(time / 10)).expect("a socket");
    while begun.elapsed() < time {
        // Any bytes answer a ping.
        reader.stream.write_all(&masked(0x8A, b"")).expect("it is open");
        match reader.stream.read(&mut buffer) {
            Ok(0) => panic!("it was closed"),
            Ok(read) => len += read,
            Err(_nothing_now) => {}
        }
    }
    len
}

#[test]
fn what_a_stopped_process_did_not_do_is_no_fault_of_its_clients() {
    if env::var_os(CHILD).is_some() {
        return serve();
    }
    // Longer than the clients may take, and as long nearly.
    for pause in [3 * LIMIT, LIMIT * 5 / 6] {
        stop_for(pause);
    }
}

fn stop_for(pause: Duration) {
    let mut server = Server::start("what_a_stopped_process_did_not_do_is_no_fault_of_its_clients");
    let addr = server.line().parse().expect("an address");
    let mut reader = Peer::join(addr, "/");
    let mut half = Peer::connect(addr);
    let head = peer::upgrade_head(addr, "/rooms/other", &[]);
    let (first, rest) = head.as_bytes().split_at(20);
    half.write(first);
    writeln!(server.input.as_mut().expect("a pipe")).expect("a pipe");
    assert_eq!(server.line(), "published");
    // Its outbox has begun to wait.
    server.signal("-STOP");
    peer::eventually("it is stopped", || server.is_stopped());
    let mut len = read_for(&mut reader, pause);
    assert!(len < MESSAGES * SIZE, "the sockets took everything: nothing waits");
    half.write(rest);
    server.signal("-CONT");
    // The handshake was not too late. Others are served while the reader takes some of the time that it has: what
    // its socket takes now does not empty its outbox.
    assert_eq!(half.response().status, 101);
    let resumed = Instant::now();
    while resumed.elapsed() < LIMIT / 2 {
        half.is_served();
    }
    // All of it comes, and no ping was too late.
    let frame = 10 + SIZE;
    while len < MESSAGES * frame {
        len += read_for(&mut reader, LIMIT / 10);
    }
    half.is_served();
}

/// Serves in a process of its own until its standard input ends. Its host decides on nothing.
fn serve_undecided() {
    let server = server_with(|config| {
        config.workers(1).event_queue(100).overdue(Overdue::Allow);
        config.admission_timeout(LIMIT).review_timeout(LIMIT).ping_interval(LIMIT);
        config.handshake_timeout(40 * LIMIT);
    });
    println!("\n@{}", server.local_addr());
    for _ in std::io::stdin().lines() {}
}

#[test]
fn what_begins_when_a_stopped_process_goes_on_takes_no_longer_than_ever() {
    let test = "what_begins_when_a_stopped_process_goes_on_takes_no_longer_than_ever";
    if env::var_os(CHILD).is_some() {
        return serve_undecided();
    }
    let mut server = Server::start(test);
    let addr = server.line().parse().expect("an address");
    let mut peer = Peer::join(addr, "/");
    let mut half = Peer::connect(addr);
    let head = peer::upgrade_head(addr, "/rooms/other", &[]);
    let (first, rest) = head.as_bytes().split_at(20);
    half.write(first);
    // It is pinged, so a timer is set.
    peer.is_served();
    server.signal("-STOP");
    peer::eventually("it is stopped", || server.is_stopped());
    let (pause, begun) = (10 * LIMIT, Instant::now());
    peer.write(&masked(0x81, b"undecided"));
    half.write(rest);
    // Nobody tells how long it was stopped; a read that gets nothing is a wait that a test can bound.
    half.stream.set_read_timeout(Some(pause)).expect("a socket");
    assert!(half.stream.read(&mut [0]).is_err(), "a stopped process answers");
    assert!(begun.elapsed() >= pause);
    let resumed = Instant::now();
    server.signal("-CONT");
    assert_eq!(half.response().status, 101);
    assert_eq!(peer.text(), "undecided");
    assert!(resumed.elapsed() < pause, "{:?}", resumed.elapsed());
}
