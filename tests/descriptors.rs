//! A process that has no file descriptors left: its server says so, waits without spinning, and
//! accepts again as soon as one is free.

mod peer;

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use chat::{Event, Kind};
use peer::{PATIENCE, Peer, frames::PING, host::server_with, is_reset};

/// The time between two pings of a client.
const PINGS: Duration = Duration::from_secs(1);

const CHILD: &str = "LIBCHAT_FEW_DESCRIPTORS";

/// Serves in a process of its own until its standard input ends, then prints what was counted.
fn serve() {
    let server = server_with(|config| {
        config.workers(1).event_queue(10_000);
        config.ping_interval(PINGS).ping_timeout(Duration::from_secs(60));
    });
    println!("\n@{}", server.local_addr());
    std::io::stdin().lines().for_each(drop);
    let events = server.next_events(Duration::ZERO).expect("clients have connected");
    let failed = events.iter().filter(|event| matches!(event, Event::AcceptFailed { .. })).count();
    let stats = server.stats();
    println!("\n@{failed} {} {}", stats.accept_failures, stats.connections_refused);
    server.publish("lobby", Kind::Text, b"still working").expect("it was never broken");
}

/// The next line that the child meant for us; the test harness prints others.
fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut lines = output.lines().map(|line| line.expect("UTF-8"));
    let line = lines.find_map(|line| line.strip_prefix('@').map(str::to_owned));
    line.expect("the child says something")
}

/// The processor time that a process has used, in ticks of 10 ms.
fn ticks(child: &Child) -> u64 {
    let path = format!("/proc/{}/stat", child.id());
    let stat = std::fs::read_to_string(path).expect("the child runs");
    let (_, fields) = stat.rsplit_once(") ").expect("a command in parentheses");
    let fields: Vec<_> = fields.split(' ').collect();
    [fields[11], fields[12]].iter().map(|it| it.parse::<u64>().expect("a number")).sum()
}

/// What became of an attempt to become a client.
enum Attempt {
    Joined(Peer),
    /// Answered with 503.
    Refused,
    /// Cut without an answer.
    Cut,
}

fn try_to_join(addr: SocketAddr) -> Attempt {
    let mut peer = Peer::connect(addr);
    let _ = peer.stream.write_all(peer::upgrade_head(addr, "/", &[]).as_bytes());
    match peer.fill() {
        Ok(0) => return Attempt::Cut,
        Err(error) if is_reset(&error) => return Attempt::Cut,
        result => result.expect("an answer or an end"),
    };
    match peer.response().status {
        101 => Attempt::Joined(peer),
        status => {
            assert_eq!(status, 503);
            Attempt::Refused
        }
    }
}

#[test]
fn without_descriptors_clients_are_refused_and_with_one_they_are_let_in() {
    if env::var_os(CHILD).is_some() {
        return serve();
    }
    let name = "without_descriptors_clients_are_refused_and_with_one_they_are_let_in";
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let addr: SocketAddr = line(&mut output).parse().unwrap();

    let mut clients = Vec::new();
    while let Attempt::Joined(client) = try_to_join(addr) {
        clients.push(client);
        assert!(clients.len() < 64, "it has 64 descriptors");
    }
    assert!(clients.len() > 20, "most of its descriptors are for clients");
    let answers = (0..5).map(|_| try_to_join(addr));
    let refused = answers.filter(|answer| matches!(answer, Attempt::Refused)).count();
    assert!(refused > 0, "somebody is told why");
    // Who is in is served as ever.
    clients[0].say("full");
    for client in &mut clients {
        assert_eq!(client.text(), "full");
    }

    // Some wait, and say nothing; the server waits too, from one ping of a client to the next.
    let waiting: Vec<_> = (0..5).map(|_| Peer::connect(addr)).collect();
    assert_eq!(clients[0].frame().head, PING);
    let (begun, used) = (Instant::now(), ticks(&child));
    assert_eq!(clients[0].frame().head, PING);
    let percent = (ticks(&child) - used) as f64 / begun.elapsed().as_secs_f64();
    assert!(percent < 10.0, "{percent} % of a core, for nothing");
    drop(waiting);

    for _ in 0..5 {
        clients.pop().unwrap().leave();
        let freed = Instant::now();
        let client = loop {
            if let Attempt::Joined(client) = try_to_join(addr) {
                break client;
            }
            assert!(freed.elapsed() < PATIENCE, "a descriptor is free, and nobody gets it");
        };
        clients.push(client);
        assert!(freed.elapsed() < Duration::from_secs(2), "{:?}", freed.elapsed());
    }

    drop(child.stdin.take());
    let counts = line(&mut output);
    let counts: Vec<u64> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
    assert!(counts[0] >= 1 && counts[1] >= 1, "the host is told: {counts:?}");
    assert!(counts[2] >= refused as u64, "each refusal is counted: {counts:?}");
    assert!(counts[0] <= counts[1] && counts[0] < 100, "once for each run of failures: {counts:?}");
    assert!(child.wait().unwrap().success());
}
