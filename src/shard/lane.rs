//! A room's subscribers on one shard, and the messages that wait to be written to them.
//!
//! Whoever is written to gets all that it lacks in one write: the number of writes is nearly the whole cost
//! of a fan-out. A large room is written to in parts, between which the shard looks at its sockets. What
//! comes meanwhile joins what the others still lack, and whoever has said it is next: a speaker hears
//! itself early, and says more while the others wait for their part.

use std::rc::Rc;

use slab::Slab;

use super::{
    backlog::{Backlog, Run},
    backlogs::Backlogs,
    client::{Client, Delivered},
    frames::Frames,
    inbox::Delivery,
};
use crate::{context::Context, sys};

/// How many turns there are in a round that has speakers, and how many writes their shares are at least
/// and at most.
const LOOKS: usize = 32;
const MIN_WRITES: usize = 8;
const MAX_WRITES: usize = 32;

/// A write of as many bytes counts as one more.
const WRITE_SIZE: usize = 16 * 1024;

/// While more waits, in bytes, speakers are not written to early: it would save nothing.
const MAX_EARLY: usize = 64 * 1024;

/// One room on one shard.
///
/// Invariant: the subscribers in front of `next` have the first `round` batches.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    subscribers: Slab<Subscriber>,
    /// No subscriber has this number or a larger one.
    end: usize,
    /// Who is written to next.
    next: usize,
    /// How many batches there were when the round over all subscribers began: at its end all have them.
    round: usize,
    backlog: Option<Box<Backlog>>,
}

#[derive(Debug)]
struct Subscriber {
    client: Rc<Client>,
    /// The first message that it lacks: those before it were written, or published before it subscribed.
    from: u64,
}

/// How much is written before the next look at the sockets.
#[derive(Debug)]
pub(crate) struct Share {
    /// How many writes are left.
    pub(crate) left: usize,
    /// How many writes the next turn is to have, if somebody was written to early.
    pub(crate) next: Option<usize>,
}

impl Lane {
    /// Adds a subscriber that sees the messages from an offset on, which are not in the lane yet. Returns
    /// the number under which it is removed.
    pub(crate) fn subscribe(&mut self, client: Rc<Client>, from: u64) -> usize {
        let number = self.subscribers.insert(Subscriber { client, from });
        self.end = self.end.max(number + 1);
        number
    }

    pub(crate) fn unsubscribe(&mut self, number: usize) {
        self.subscribers.try_remove(number);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Queues a message. Returns whether none waited before.
    pub(crate) fn push(&mut self, delivery: &Delivery, backlogs: &mut Backlogs) -> bool {
        backlogs.push(&mut self.backlog, delivery)
    }

    /// Forgets all that waits.
    pub(crate) fn clear(&mut self, backlogs: &mut Backlogs) {
        backlogs.forget(&mut self.backlog, usize::MAX);
    }

    /// Writes what waits, as far as the share goes. Calls `lagging` with each subscriber whose outbox has
    /// become non-empty. Returns whether nothing waits any more.
    pub(crate) fn write(
        &mut self,
        share: &mut Share,
        backlogs: &mut Backlogs,
        context: &Context,
        lagging: impl FnMut(&Rc<Client>),
    ) -> bool {
        let Some(backlog) = &mut self.backlog else { return true };
        backlog.seal();
        let mut writer = Writer { lagging, delivered: Delivered::default(), known: None };
        let members = self.subscribers.len();
        // In a room that is done in one turn they need not be early.
        if members > share.left && backlog.size() < MAX_EARLY {
            // At least half of the share is for those whose turn it is.
            let rest = share.left / 2;
            for number in backlog.speakers() {
                if let Some(subscriber) = self.subscribers.get_mut(number) {
                    let written = writer.write(backlog, subscriber);
                    share.left = share.left.saturating_sub(written).max(rest);
                    share.next = Some((members / LOOKS).clamp(MIN_WRITES, MAX_WRITES));
                }
            }
        }
        let is_done = loop {
            let Some(backlog) = &mut self.backlog else { break true };
            if self.next == 0 {
                self.round = backlog.batches();
            }
            while self.next < self.end && share.left > 0 {
                let number = self.next;
                self.next += 1;
                // While this one is written to: the kernel leaves little in the cache, and a fiftieth of
                // what a write takes was waiting for the client that it is for.
                if let Some(following) = self.subscribers.get(self.next) {
                    sys::prefetch(&*following.client);
                }
                if let Some(subscriber) = self.subscribers.get_mut(number) {
                    let written = writer.write(backlog, subscriber);
                    share.left = share.left.saturating_sub(written);
                }
            }
            if self.next < self.end {
                break false;
            }
            self.next = 0;
            writer.known = None;
            backlogs.forget(&mut self.backlog, self.round);
        };
        writer.delivered.count(context);
        is_done
    }
}

/// Writes a backlog to one subscriber after the other.
struct Writer<F> {
    lagging: F,
    delivered: Delivered,
    /// What was found for the subscriber before, with what it lacked: most lack the same.
    known: Option<(u64, Run)>,
}

impl<F: FnMut(&Rc<Client>)> Writer<F> {
    /// Writes all that a subscriber lacks. Returns for how many writes that counts.
    fn write(&mut self, backlog: &Backlog, subscriber: &mut Subscriber) -> usize {
        let mut writes = 0;
        let client = &subscriber.client;
        while subscriber.from < backlog.end() {
            if self.known.as_ref().is_none_or(|(from, _)| *from != subscriber.from) {
                self.known = backlog.run(subscriber.from).map(|run| (subscriber.from, run));
            }
            let Some((_, run)) = &self.known else { break };
            let frames = Frames::of(backlog, run);
            let is_lagging = if backlog.hides(run, client.id()) {
                write_selected(backlog, run, client, &mut self.delivered)
            } else {
                let messages = run.offsets.end - run.offsets.start;
                client.deliver_some(&frames, messages, &mut self.delivered)
            };
            if is_lagging {
                (self.lagging)(client);
            }
            subscriber.from = run.offsets.end;
            writes += 1 + frames.len() / WRITE_SIZE;
        }
        writes
    }
}

/// Writes those of a run that are for a client. Returns whether its outbox has become non-empty.
#[cold]
fn write_selected(
    backlog: &Backlog,
    run: &Run,
    client: &Client,
    delivered: &mut Delivered,
) -> bool {
    let (frames, messages) = backlog.select(run, client.id());
    messages > 0 && client.deliver_some(&(&frames).into(), messages, delivered)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read},
        net::{TcpListener, TcpStream},
        sync::Arc,
        time::Duration,
    };

    use super::*;
    use crate::{
        event::ClientId,
        frame::Kind,
        message::Message,
        options::Options,
        reactor::{Reactor, Stream},
        shard::inbox::RoomId,
    };

    /// A lane with subscribers, and the other ends of their sockets.
    struct Room {
        lane: Lane,
        backlogs: Backlogs,
        context: Arc<Context>,
        others: Vec<TcpStream>,
    }

    impl Room {
        fn new(subscribers: usize) -> Self {
            let reactor = Reactor::new(Duration::ZERO).unwrap();
            let context = Context::new(Options::default());
            let mut lane = Lane::default();
            let mut others = Vec::new();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            for number in 0..subscribers {
                let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                others.push(other);
                let (own, _) = listener.accept().unwrap();
                own.set_nonblocking(true).unwrap();
                own.set_nodelay(true).unwrap();
                let stream = Stream::new(&reactor, own);
                let id = ClientId::new(number as u64 + 1, 0);
                let client = Client::new(id, Arc::clone(&context), Rc::new(stream.unwrap()), true);
                assert!(!client.open(), "nothing was written to it before");
                assert_eq!(lane.subscribe(client, 1), number);
            }
            Self { lane, backlogs: Backlogs::default(), context, others }
        }

        /// One subscriber says a message.
        fn say(&mut self, offset: u64, speaker: u32) {
            let message = Message::new(Kind::Text, &[b'0' + offset as u8]);
            let room = RoomId(1);
            let delivery =
                Delivery { room, offset, message, exclude: None, speaker: Some(speaker) };
            self.lane.push(&delivery, &mut self.backlogs);
        }

        fn write(&mut self, writes: usize) -> bool {
            let mut share = Share { left: writes, next: None };
            self.lane
                .write(&mut share, &mut self.backlogs, &self.context, |_| panic!("it takes all"))
        }

        /// Insists that a subscriber has been written these messages, a character each, and no more.
        fn has_heard(&mut self, number: usize, text: &str) {
            let other = &mut self.others[number];
            let mut frames = vec![0; 3 * text.len()];
            other.read_exact(&mut frames).unwrap();
            let heard: String = frames.chunks(3).map(|frame| char::from(frame[2])).collect();
            assert_eq!(heard, text, "{number}");
            other.set_nonblocking(true).unwrap();
            let more = other.read(&mut [0; 3]).map_err(|error| error.kind());
            assert_eq!(more, Err(ErrorKind::WouldBlock), "{number}");
            other.set_nonblocking(false).unwrap();
        }
    }

    #[test]
    fn a_speaker_hears_itself_before_the_others_have_had_their_turn() {
        let mut room = Room::new(10);
        room.say(1, 8);
        assert!(!room.write(3));
        for (number, text) in ["1", "1", "", "", "", "", "", "", "1", ""].iter().enumerate() {
            room.has_heard(number, text);
        }
        room.say(2, 8);
        assert!(!room.write(3));
        for (number, text) in ["", "", "12", "12", "", "", "", "", "2", ""].iter().enumerate() {
            room.has_heard(number, text);
        }
        assert!(room.write(100));
        for (number, text) in
            ["2", "2", "", "", "12", "12", "12", "12", "", "12"].iter().enumerate()
        {
            room.has_heard(number, text);
        }
        assert!(room.backlogs.is_empty());
    }

    #[test]
    fn all_hear_all_whatever_the_parts_are_and_whoever_leaves() {
        for writes in 1..12 {
            let mut room = Room::new(10);
            for offset in 1..8 {
                room.say(offset, offset as u32);
                room.write(writes);
                if offset == 4 {
                    room.lane.unsubscribe(5);
                }
            }
            while !room.write(writes) {}
            for number in (0..10).filter(|number| *number != 5) {
                room.has_heard(number, "1234567");
            }
            assert!(room.backlogs.is_empty());
        }
    }
}
