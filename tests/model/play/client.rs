//! A remote client: talks, reads or does not, leaves or vanishes, as its way says.

use std::{
    fs,
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    os::fd::BorrowedFd,
    time::Duration,
};

use chat::Kind;
use socket2::{Domain, SockRef, Socket, Type};

use super::{
    Stage,
    case::{END, Leaving, Progress, Way, room_name},
    chance::Chance,
    payload::{payload, tag_of},
};
use crate::{
    peer::{
        Peer,
        frames::{BINARY, CLOSE, Frame, PING, PONG, TEXT, close_payload, masked},
    },
    promise::{Echo, Publisher, Tag},
};

/// How much a narrow socket takes.
const NARROW: usize = 8 * 1024;

/// How many frames are read before others have their turn, and how much waits to be written at most.
const MAX_FRAMES: usize = 64;
const MAX_WAITING: usize = 16 * 1024;

/// A remote client, and what it has received.
pub(crate) struct Remote<'a> {
    stage: &'a Stage<'a>,
    pub(crate) number: usize,
    way: &'a Way,
    chance: Chance,
    peer: Option<Peer>,
    /// What the socket did not take yet.
    out: Vec<u8>,
    pub(crate) said: usize,
    pub(crate) own_close: Option<u16>,
    pub(crate) closed: Option<u16>,
    pub(crate) received: Vec<Tag>,
    pub(crate) has_vanished: bool,
    pub(crate) is_over: bool,
}

impl<'a> Remote<'a> {
    pub(crate) fn new(stage: &'a Stage<'a>, number: usize, chance: Chance) -> Self {
        Self {
            stage,
            number,
            way: &stage.case.ways[number],
            chance,
            peer: None,
            out: Vec::new(),
            said: 0,
            own_close: None,
            closed: None,
            received: Vec::new(),
            has_vanished: false,
            is_over: false,
        }
    }

    /// Whether it left so much unread for so long that it may be cut.
    pub(crate) fn may_be_cut(&self) -> bool {
        !self.way.pause.is_empty()
    }

    /// Connects, and is a client when this returns.
    pub(crate) fn connect(&mut self) {
        let Way { room, history, is_narrow, echo, .. } = *self.way;
        let server = self.stage.server.local_addr();
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None);
        let socket = socket.expect("a socket");
        if is_narrow {
            socket.set_recv_buffer_size(NARROW).expect("a size");
        }
        socket.connect(&server.into()).expect("the server listens");
        let mut peer = Peer::over(TcpStream::from(socket));
        let own = peer.stream.local_addr().expect("connected");
        self.stage.expect(own, self.number);
        let echo = if echo == Echo::Off { "&echo=false" } else { "" };
        peer.become_client(&format!("/rooms/{}?history={history}{echo}", room_name(room)));
        if is_narrow {
            narrow_accepted(own);
        }
        peer.stream.set_nonblocking(true).expect("a TCP socket");
        self.peer = Some(peer);
    }

    /// Does a little. Returns whether there was something to do.
    pub(crate) fn step(&mut self, progress: Progress) -> bool {
        if self.is_over {
            return false;
        }
        if self.peer.is_none() {
            if progress >= self.way.comes {
                self.connect();
            }
            return self.peer.is_some();
        }
        if let Leaving::Vanishes(when) = self.way.leaves
            && progress >= when
        {
            self.vanish();
            return true;
        }
        self.talk(progress);
        let has_written = self.write();
        // In the face of a close frame it reads on: its end is what counts.
        let reads = !self.way.pause.contains(&progress) || self.closed.is_some();
        let has_read = reads && self.read();
        self.stage.note_said(self.number, self.said, self.is_quiet());
        has_written || has_read
    }

    /// Whether it says nothing more.
    fn is_quiet(&self) -> bool {
        self.said == self.way.says || self.own_close.or(self.closed).is_some() || self.is_over
    }

    fn vanish(&mut self) {
        if let Some(peer) = self.peer.take()
            && self.chance.percent(50)
        {
            let _ = SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO));
        }
        (self.has_vanished, self.is_over) = (true, true);
        self.stage.note_said(self.number, self.said, true);
    }

    /// Says what is due, and closes if that is.
    fn talk(&mut self, progress: Progress) {
        let due = self.way.says * progress.min(END) / END;
        while !self.is_quiet() && self.said < due && self.out.len() < MAX_WAITING {
            let tag = Tag { by: Publisher::Client(self.number), number: self.said };
            let (kind, data) = payload(tag, self.stage.case.max_message_size);
            let head = if kind == Kind::Text { TEXT } else { BINARY };
            self.out.extend(masked(head, &data));
            self.said += 1;
        }
        if let Leaving::Closes(when, code) = self.way.leaves
            && progress >= when
            && self.own_close.or(self.closed).is_none()
        {
            self.out.extend(masked(CLOSE, &close_payload(code, b"")));
            self.own_close = Some(code);
        }
    }

    /// Writes what waits. Returns whether the socket took some.
    fn write(&mut self) -> bool {
        let Some(peer) = &mut self.peer else { return false };
        if self.out.is_empty() {
            return false;
        }
        match peer.stream.write(&self.out) {
            Ok(taken) => {
                self.out.drain(..taken);
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(_) => {
                // The connection has ended, which is read next.
                self.out.clear();
                false
            }
        }
    }

    /// Reads some of what has come. Returns whether something had.
    fn read(&mut self) -> bool {
        for count in 0..MAX_FRAMES {
            let Some(peer) = &mut self.peer else { return true };
            match peer.try_frame() {
                Some(Ok(frame)) => self.take(&frame),
                Some(Err(_end)) => {
                    let is_whole = !peer.has_half_a_frame();
                    assert!(is_whole || self.may_be_cut(), "it ended inside a frame");
                    (self.peer, self.is_over) = (None, true);
                }
                None => return count > 0,
            }
        }
        true
    }

    fn take(&mut self, frame: &Frame) {
        assert!(self.closed.is_none(), "behind the close frame came {frame:?}");
        let kind = match frame.head {
            TEXT => Kind::Text,
            BINARY => Kind::Binary,
            CLOSE => {
                let (code, _) = frame.close();
                self.closed = Some(code);
                if self.own_close.is_none() {
                    self.out.extend(masked(CLOSE, &close_payload(code, b"")));
                }
                return;
            }
            PING if self.way.answers_pings => {
                if self.own_close.is_none() {
                    self.out.extend(masked(PONG, &frame.payload));
                }
                return;
            }
            PING | PONG => return,
            head => panic!("client {}: a frame with the head {head:#x}", self.number),
        };
        self.received.push(tag_of(kind, &frame.payload, self.stage.case.max_message_size));
    }
}

/// Lets the socket take little that the server has accepted from an address.
#[expect(unsafe_code, reason = "the server's socket is known by its number only")]
fn narrow_accepted(from: SocketAddr) {
    for entry in fs::read_dir("/proc/self/fd").expect("Linux").flatten() {
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // SAFETY: it is looked at; if it is the server's, this keeps it open as long as the client does.
        let socket = unsafe { BorrowedFd::borrow_raw(number) };
        let peer = SockRef::from(&socket).peer_addr().ok().and_then(|addr| addr.as_socket());
        if peer == Some(from) {
            return SockRef::from(&socket).set_send_buffer_size(NARROW).expect("a size");
        }
    }
    panic!("the server has accepted the connection");
}
