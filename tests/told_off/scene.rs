//! A server that has much to do, and a client that talks while the host says something of it.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use chat::{ClientId, Event, Handle, Kind, Publication, Server};

use crate::peer::{
    Peer,
    frames::{TEXT, masked},
    host::{Events, server_with},
    upgrade_head,
};

/// How many messages a client says after the host's call has returned.
pub(crate) const SAID: usize = 1000;

/// Who listens to the room that keeps the server busy, and how much the host publishes there.
const LISTENERS: usize = 16;
const BACKLOG: usize = 4_000;

/// How many clients send without end, where it is them that keep it busy.
const FLOODERS: usize = 4;

/// How far a client has come when the host's call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It has read the answer to its request.
    Connected,
    /// Its first messages came with its request, and it has not read the answer.
    Hasty,
    /// The same, and it is the host that has accepted it just before.
    Accepted,
    /// Its first messages came with its request, and it waits for the host.
    Asking,
}

use Arrival::{Accepted, Asking, Connected};

/// What keeps the server busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// What the host has published just before its call is not delivered yet.
    Backlog,
    /// Other clients send without end.
    Flood,
}

/// A server that has much to do, and how its clients come.
pub(crate) struct Scene<'a> {
    pub(crate) server: &'a Server,
    pub(crate) events: Events<'a>,
    pub(crate) arrival: Arrival,
    work: Work,
    /// What the scene is called in reports.
    pub(crate) name: String,
}

/// One message of a client that the host heard of.
pub(crate) struct Heard {
    pub(crate) room: String,
    pub(crate) offset: u64,
    pub(crate) identity: Option<String>,
}

/// Plays a scene with one worker and with two, for each way to come in, and while others flood.
pub(crate) fn for_each(arrivals: &[Arrival], play: impl Fn(Scene<'_>)) {
    for workers in [1, 2] {
        for arrival in arrivals {
            play_one(workers, *arrival, Work::Backlog, &play);
        }
        play_one(workers, arrivals[0], Work::Flood, &play);
    }
}

fn play_one(workers: usize, arrival: Arrival, work: Work, play: impl Fn(Scene<'_>)) {
    let server = server_with(|config| {
        config.workers(workers).event_queue(1 << 20).ping_interval(Duration::ZERO);
        // Nobody is slow, and no call fails, however little time the test's threads get.
        config.outbox_size(64 << 20).outbox_age(Duration::from_secs(3600));
        config.publish_timeout(Duration::from_secs(60));
        if matches!(arrival, Accepted | Asking) {
            config.admission_timeout(Duration::from_secs(60));
        }
    });
    let (events, name) = (Events::of(&server), format!("{arrival:?}, {work:?}, {workers} workers"));
    let mut scene = Scene { server: &server, events, arrival, work, name };
    let floods = if work == Work::Flood { FLOODERS } else { 0 };
    let mut in_busy_room = || scene.bystander("/rooms/busy?echo=false").stream;
    let listeners: Vec<_> = (0..LISTENERS).map(|_| in_busy_room()).collect();
    let flooders: Vec<_> = (0..floods).map(|_| in_busy_room()).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        for flooder in &flooders {
            scope.spawn(|| flood(flooder, &is_over));
        }
        for listener in listeners.iter().chain(&flooders) {
            scope.spawn(|| listen(listener, &is_over));
        }
        play(scene);
    });
}

/// Notes at its end, which may be a panic, that a scene is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads whatever comes until a scene is over.
fn listen(mut stream: &TcpStream, is_over: &AtomicBool) {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    while !is_over.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => return,
        }
    }
}

/// Says the same again and again until a scene is over.
fn flood(mut stream: &TcpStream, is_over: &AtomicBool) {
    let messages = said("flood", 1000);
    while !is_over.load(Ordering::Relaxed) && stream.write_all(&messages).is_ok() {}
}

/// Many times the same message, as a client sends it.
pub(crate) fn said(text: &str, count: usize) -> Vec<u8> {
    masked(TEXT, text.as_bytes()).repeat(count)
}

/// What the host has heard, if it is a late message.
fn late(event: Event) -> Option<Heard> {
    let Event::Message { room, position, identity, message, .. } = event else { return None };
    let identity = identity.map(|identity| identity.to_string());
    (message.as_text() == Some("late")).then(|| Heard {
        room: room.to_string(),
        offset: position.offset,
        identity,
    })
}

impl Scene<'_> {
    /// The next client that asks to be connected, or that is if nobody decides.
    fn next_client(&mut self) -> ClientId {
        let is_asked = matches!(self.arrival, Accepted | Asking);
        self.events.find("a client", |event| match event {
            Event::ConnectRequest { client, .. } if is_asked => Some(client),
            Event::Connected { client, .. } if !is_asked => Some(client),
            _ => None,
        })
    }

    /// A client that is nobody's concern.
    pub(crate) fn bystander(&mut self, path: &str) -> Peer {
        let addr = self.server.local_addr();
        let mut peer = Peer::connect(addr);
        peer.write(upgrade_head(addr, path, &[]).as_bytes());
        let id = self.next_client();
        if matches!(self.arrival, Accepted | Asking) {
            self.server.accept(id).unwrap();
        }
        assert_eq!(peer.response().status, 101);
        peer
    }

    /// The client that the scene is about. Its path names the room `own`.
    pub(crate) fn client(&mut self) -> (Peer, ClientId) {
        let addr = self.server.local_addr();
        let mut peer = Peer::connect(addr);
        let mut hello = upgrade_head(addr, "/rooms/own", &[]).into_bytes();
        if self.arrival != Connected {
            hello.extend(said("early", 10));
        }
        peer.write(&hello);
        let id = self.next_client();
        if self.arrival == Connected {
            assert_eq!(peer.response().status, 101);
        }
        (peer, id)
    }

    /// Gives the server much to do: it is a while until it comes to what is asked for next.
    pub(crate) fn keep_busy(&self) {
        if self.work == Work::Flood {
            return;
        }
        let data = [b'x'; 1024];
        let publication = Publication { room: "busy", kind: Kind::Binary, data: &data };
        self.server.publish_batch(&[publication; BACKLOG]).unwrap();
    }

    /// Has the host call something while the server is busy and the client talks, and then the client
    /// say what it has to.
    pub(crate) fn say_after(
        &mut self,
        (peer, id): &mut (Peer, ClientId),
        call: impl FnOnce(&Handle, ClientId) -> chat::Result<()>,
    ) {
        let messages = said("late", SAID);
        if self.arrival == Accepted {
            self.keep_busy();
            self.server.accept(*id).unwrap();
        }
        self.keep_busy();
        if self.arrival != Asking {
            peer.write(&said("early", 500));
        }
        call(self.server, *id).unwrap();
        peer.write(&messages);
    }

    /// What the host hears of all late messages.
    pub(crate) fn heard(&mut self) -> Vec<Heard> {
        (0..SAID).map(|_| self.events.find("a late message", late)).collect()
    }

    /// How many late messages come back to the client.
    pub(crate) fn came_back(&mut self, (peer, id): &mut (Peer, ClientId)) -> usize {
        if self.arrival != Connected {
            assert_eq!(peer.response().status, 101);
        }
        self.server.send(*id, Kind::Text, b"end").unwrap();
        count_late(peer)
    }

    /// Insists that all late messages are of one room, in its order and without a gap.
    pub(crate) fn assert_all_in(&self, heard: &[Heard], room: &str) {
        let elsewhere = heard.iter().filter(|heard| heard.room != room).count();
        assert_eq!(elsewhere, 0, "of {SAID} messages not to {room:?} ({})", self.name);
        let first = heard[0].offset;
        let offsets = heard.iter().map(|heard| heard.offset);
        assert!(offsets.eq(first..first + SAID as u64), "a gap in {room:?} ({})", self.name);
    }
}

/// How many late messages a client receives before the word that ends it.
pub(crate) fn count_late(peer: &mut Peer) -> usize {
    let mut late = 0;
    loop {
        match &*peer.text() {
            "end" => return late,
            text => late += usize::from(text == "late"),
        }
    }
}
