//! A server without threads: shards whose ticks the test calls, clients on scripted sockets.

use std::{
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    expected::{End, Expected, Line, text},
    random::Random,
};
use crate::{
    age_clock::AgeClock,
    batch::Publication,
    broker::{Broker, HasBroker},
    connection::ClientGuard,
    context::Context,
    event::{ClientId, Event},
    fanout::{
        command::{AcceptedStream, CloseFrame},
        form::Form,
        shard_handle::ShardHandle,
    },
    frame::Kind,
    handle::{Handle, Shared},
    options::{Options, SlowConsumer},
    protocol::{Asked, Protocol},
    publish_options::PublishOptions,
    reactor::{Clock, Next, Reactor},
    rooms::{Rooms, client::Client},
    shard::{Shard, Tick},
    transport::{Transport, scripted::Scripted},
};

const ROOMS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The longest message, in bytes: longer than what is copied into a lane's buffer.
const MAX_MESSAGE: usize = 40_000;

pub(super) struct World {
    random: Random,
    pub(super) shards: Vec<(Rc<Shard>, Tick)>,
    pub(super) handle: Handle,
    clients: BTreeMap<ClientId, Peer>,
    gone: Vec<Peer>,
    last_number: u64,
    /// Dropped messages that the host was told of.
    dropped: BTreeMap<ClientId, u64>,
    policy: SlowConsumer,
    /// All signals to rooms: one that is under way when a client connects may reach it.
    signals: Vec<(&'static str, u64, Line)>,
}

/// A client, as the test sees it.
pub(super) struct Peer {
    pub(super) client: Rc<Client>,
    pub(super) script: Rc<Scripted>,
    shard: usize,
    expected: Expected,
    bytes: Vec<u8>,
    echo: bool,
    /// Its rooms, in the order of joining.
    rooms: Vec<&'static str>,
    is_reader: bool,
    /// Takes it out of its rooms when the test forgets it.
    _guard: ClientGuard,
}

impl World {
    pub(super) fn new(mut random: Random) -> Self {
        let policy = random.pick(&[SlowConsumer::Disconnect, SlowConsumer::DropOldest]);
        let options = Options {
            workers: 1 + random.below(2),
            max_message_size: MAX_MESSAGE + 100,
            outbox_size: MAX_MESSAGE + 100 + 4096 + random.below(200_000),
            outbox_age: Duration::from_millis(50),
            slow_consumer: policy,
            publish_timeout: Duration::ZERO,
            event_queue: 1 << 20,
            // Nothing is replayed, but messages have positions.
            history_messages: random.pick(&[0, 3]),
            signal_rate: 100,
            ..Options::default()
        };
        // With small budgets much is left over from tick to tick.
        let command_budget = random.pick(&[1, 20, 200, 4096]);
        let mut world = Self::with(options, random);
        for (_, tick) in &mut world.shards {
            *tick = Tick::with_command_budget(command_budget);
        }
        world
    }

    /// Makes a server with these options.
    pub(super) fn with(options: Options, random: Random) -> Self {
        Self::with_broker(options, random, None)
    }

    /// Makes a server whose rooms a broker keeps.
    pub(super) fn with_broker(
        options: Options,
        random: Random,
        broker: Option<Arc<dyn Broker>>,
    ) -> Self {
        let policy = options.slow_consumer;
        let context = Context::with_clock(options, Vec::new(), AgeClock::scripted());
        let handles: Arc<[_]> =
            (0..context.options.workers).map(|_| Arc::new(ShardHandle::default())).collect();
        let broker = broker.map(|broker| (broker, HasBroker::TEST));
        let rooms = Rooms::new(Arc::clone(&context), Arc::clone(&handles), broker);
        let shards = handles.iter().enumerate().map(|(index, handle)| {
            let reactor = Reactor::with_clock(Duration::ZERO, Clock::scripted());
            let reactor = reactor.expect("an event loop");
            let (context, rooms) = (Arc::clone(&context), Arc::clone(&rooms));
            let shard = Shard::new(index, context, Arc::clone(handle), rooms, reactor);
            (shard, Tick::new())
        });
        let shards = shards.collect();
        let shared = Arc::new(Shared {
            context,
            rooms,
            shards: handles,
            addrs: Vec::new(),
            has_handler: false,
            deadline: watch::Sender::new(None),
            end: crate::end::End::default(),
        });
        let handle = Handle { shared };
        Self {
            random,
            shards,
            handle,
            clients: BTreeMap::new(),
            gone: Vec::new(),
            last_number: 0,
            dropped: BTreeMap::new(),
            policy,
            signals: Vec::new(),
        }
    }

    /// Does something.
    pub(super) fn step(&mut self) {
        match self.random.below(32) {
            0..=5 => self.publish(),
            6 => self.publish_batch(),
            7 | 8 => self.broadcast(),
            9 | 10 => self.send(),
            11 | 12 => self.join(),
            13 => self.leave(),
            14 => self.set_echo(),
            15 => self.disconnect(),
            16 | 17 => self.client_publishes(),
            18 => self.client_closes(),
            19 => self.client_breaks(),
            20 | 21 => self.connect(),
            22 => self.ping(),
            23 => self.pass_time(),
            28 | 29 => self.signal(),
            30 | 31 => self.client_signals(),
            _ => self.tick(),
        }
        for id in self.clients.keys().copied().collect::<Vec<_>>() {
            if self.random.once_in(4) {
                let bytes = 1 << self.random.below(18);
                self.read(id, bytes);
            }
        }
        self.notice_ends();
    }

    /// Stops the server, has every client read, and checks what each received.
    pub(super) fn finish(mut self) {
        self.settle();
        self.handle.stop_by(Instant::now());
        for (shard, tick) in &mut self.shards {
            let mut ticks = 0;
            while !matches!(shard.tick(tick, &no_accept), Next::End(())) {
                ticks += 1;
                assert!(ticks < 10_000, "the shard does not stop");
            }
        }
        for peer in self.clients.values_mut() {
            self.shards[peer.shard].0.go_away(&peer.client);
            peer.expected.end(End::Closed(1001));
        }
        for _ in 0..3 {
            for id in self.clients.keys().copied().collect::<Vec<_>>() {
                self.read(id, usize::MAX / 4);
            }
            self.shards.iter().for_each(|(shard, _)| while shard.tick_outboxes() {});
        }
        self.take_events();
        for peer in self.clients.values().chain(&self.gone) {
            let id = peer.client.id();
            peer.client.out().report_dropped(true);
            let bytes = [&peer.bytes[..], &peer.script.received()].concat();
            let dropped = self.dropped.get(&id).copied().unwrap_or(0);
            let is_slow = self.policy == SlowConsumer::Disconnect;
            peer.expected.check(&bytes, dropped, is_slow, &id.to_string());
        }
    }

    fn next_message(&mut self) -> (u64, String) {
        self.last_number += 1;
        let len = match self.random.below(20) {
            0 => MAX_MESSAGE,
            1 | 2 => 10_000,
            3..=6 => 200,
            _ => 3,
        };
        (self.last_number, text(self.last_number, len))
    }

    fn a_client(&mut self) -> Option<ClientId> {
        let open = |peer: &&Peer| peer.expected.end == End::Open;
        let ids: Vec<_> = self.clients.values().filter(open).map(|peer| peer.client.id()).collect();
        (!ids.is_empty()).then(|| self.random.pick(&ids))
    }

    /// Promises a message of the host, or of a client, to everyone in a room.
    fn promise(&mut self, room: &'static str, number: u64, line: Line, except: Option<ClientId>) {
        for (id, peer) in &mut self.clients {
            if peer.rooms.contains(&room) && Some(*id) != except {
                peer.expected.push(number, &[Line::Room(room), line]);
            }
        }
    }

    fn publish(&mut self) {
        let room = self.random.pick(&ROOMS);
        let (number, text) = self.next_message();
        let without_history = self.random.once_in(4);
        let options = PublishOptions { without_history, ..PublishOptions::default() };
        if self.handle.publish_with(room, Kind::Text, text.as_bytes(), &options).is_ok() {
            self.promise(room, number, Line::Host, None);
        }
    }

    fn publish_batch(&mut self) {
        let count = 1 + self.random.below(40);
        let batch: Vec<_> =
            (0..count).map(|_| (self.random.pick(&ROOMS), self.next_message())).collect();
        let publications: Vec<_> = batch
            .iter()
            .map(|(room, (_, text))| Publication { room, kind: Kind::Text, data: text.as_bytes() })
            .collect();
        let published = match self.handle.publish_batch(&publications) {
            Ok(positions) => positions.len(),
            Err(error) => error.positions.len(),
        };
        for (room, (number, _)) in &batch[..published] {
            self.promise(room, *number, Line::Host, None);
        }
    }

    fn broadcast(&mut self) {
        let (number, text) = self.next_message();
        if self.handle.broadcast(Kind::Text, text.as_bytes()).is_ok() {
            let peers = self.clients.values_mut();
            peers.for_each(|peer| peer.expected.push(number, &[Line::Host]));
        }
    }

    fn send(&mut self) {
        let Some(id) = self.a_client() else { return };
        let (number, text) = self.next_message();
        if self.handle.send(id, Kind::Text, text.as_bytes()).is_ok() {
            self.peer(id).expected.push(number, &[Line::Host]);
        }
    }

    /// Signals to a room or a client: those who are there may get it.
    fn signal(&mut self) {
        let (number, text) = self.next_signal();
        match self.a_client().filter(|_| self.random.once_in(3)) {
            Some(id) => {
                if self.handle.signal_client(id, Kind::Text, text.as_bytes()).is_ok() {
                    self.peer(id).expected.permit(number, &[Line::Host]);
                }
            }
            None => {
                let room = self.random.pick(&ROOMS);
                if self.handle.signal(room, Kind::Text, text.as_bytes()).is_ok() {
                    self.permit(room, number, Line::Host, None);
                }
            }
        }
    }

    fn client_signals(&mut self) {
        let Some(id) = self.a_client() else { return };
        let (index, client) = (self.peer(id).shard, Rc::clone(&self.peer(id).client));
        let shard = Rc::clone(&self.shards[index].0);
        let room = self.peer(id).rooms.first().copied();
        let Some(room) = room.filter(|_| client.out().form() == Form::Json) else { return };
        if !Self::may_read(&shard, &client) {
            return;
        }
        for _ in 0..1 + self.random.below(5) {
            let (number, text) = self.next_signal();
            let object = format!(r#"{{"type":"signal","text":"{text}"}}"#);
            Protocol::Json.message(&shard, &client, Kind::Text, object.as_bytes()).unwrap();
            self.permit(room, number, Line::Sender(id), Some(id));
        }
    }

    fn next_signal(&mut self) -> (u64, String) {
        self.last_number += 1;
        let len = self.random.pick(&[0, 5, 2000]);
        (self.last_number, text(self.last_number, len))
    }

    /// Notes that everyone in a room may get a signal.
    fn permit(&mut self, room: &'static str, number: u64, line: Line, except: Option<ClientId>) {
        self.signals.push((room, number, line));
        for (id, peer) in &mut self.clients {
            if peer.rooms.contains(&room) && Some(*id) != except {
                peer.expected.permit(number, &[Line::Room(room), line]);
            }
        }
    }

    /// Whether a client is read, as its connection decides: what it sends behind a call of the host waits for it.
    fn may_read(shard: &Shard, client: &Client) -> bool {
        client.out().is_open()
            && shard.may_read(client, false)
            && !shard.rooms.is_queue_full(client.queue(&shard.rooms))
    }

    fn join(&mut self) {
        let Some(id) = self.a_client() else { return };
        let room = self.random.pick(&ROOMS);
        if self.handle.join(id, room).is_ok() && !self.peer(id).rooms.contains(&room) {
            self.peer(id).rooms.push(room);
        }
    }

    fn leave(&mut self) {
        let Some(id) = self.a_client() else { return };
        let room = self.random.pick(&ROOMS);
        if self.handle.leave(id, room).is_ok() {
            self.peer(id).rooms.retain(|other| *other != room);
        }
    }

    fn set_echo(&mut self) {
        let Some(id) = self.a_client() else { return };
        let echo = self.random.once_in(2);
        if self.handle.set_echo(id, echo).is_ok() {
            self.peer(id).echo = echo;
        }
    }

    fn disconnect(&mut self) {
        let Some(id) = self.a_client().filter(|_| self.random.once_in(4)) else { return };
        if self.handle.disconnect(id, 4000, "enough").is_ok() {
            self.peer(id).expected.end(End::Closed(4000));
        }
    }

    fn client_publishes(&mut self) {
        let Some(id) = self.a_client() else { return };
        let (index, client) = (self.peer(id).shard, Rc::clone(&self.peer(id).client));
        let shard = Rc::clone(&self.shards[index].0);
        if !Self::may_read(&shard, &client) {
            return;
        }
        for _ in 0..1 + self.random.below(5) {
            let (number, text) = self.next_message();
            let (room, echo) = (self.peer(id).rooms.first().copied(), self.peer(id).echo);
            let text = if client.out().form() == Form::Json {
                self.peer(id).expected.push_answer(number, echo && room.is_some());
                format!(r#"{{"id":{number},"text":"{text}"}}"#)
            } else {
                text
            };
            let protocol = Protocol::of(client.out().form());
            protocol.message(&shard, &client, Kind::Text, text.as_bytes()).unwrap();
            if let Some(room) = room {
                self.promise(room, number, Line::Sender(id), (!echo).then_some(id));
            }
        }
    }

    fn client_closes(&mut self) {
        let Some(id) = self.a_client().filter(|_| self.random.once_in(4)) else { return };
        let peer = self.peer(id);
        let (client, shard) = (Rc::clone(&peer.client), peer.shard);
        peer.expected.end(End::Closed(1000));
        self.shards[shard].0.queue_close(&client, CloseFrame::new(1000, ""));
    }

    fn client_breaks(&mut self) {
        let Some(id) = self.a_client().filter(|_| self.random.once_in(6)) else { return };
        let peer = self.peer(id);
        peer.script.is_reset.set(true);
        peer.expected.end(End::Broken);
    }

    fn connect(&mut self) {
        if self.clients.len() >= 12 {
            return;
        }
        let index = self.random.below(self.shards.len());
        let is_reader = !self.random.once_in(4);
        let script = Scripted::new(self.random.below(2000));
        script.most.set(self.random.pick(&[0, 0, 100, 1000]));
        script.owes.set(self.random.once_in(3));
        let form = match self.policy {
            SlowConsumer::Disconnect => {
                self.random.pick(&[Form::Plain, Form::Json, Form::Json, Form::Numbered])
            }
            // Objects that are no messages are not counted among the dropped ones.
            SlowConsumer::DropOldest => self.random.pick(&[Form::Plain, Form::Numbered]),
        };
        let echo = self.random.once_in(2);
        let room = self.random.pick(&ROOMS);
        let id = self.connect_with(index, script, form, echo, room);
        self.peer(id).is_reader = is_reader;
    }

    /// Connects a client that reads.
    pub(super) fn connect_with(
        &mut self,
        index: usize,
        script: Rc<Scripted>,
        form: Form,
        echo: bool,
        room: &'static str,
    ) -> ClientId {
        let id = self.connect_unopened(index, script, form, echo, room);
        self.peer(id).client.out().open();
        id
    }

    /// Connects a client whose handshake is not answered yet: what comes for it waits.
    pub(super) fn connect_unopened(
        &mut self,
        index: usize,
        script: Rc<Scripted>,
        form: Form,
        echo: bool,
        room: &'static str,
    ) -> ClientId {
        let asked = Asked { echo: Some(echo), history: Some(0), ..Asked::new(room.into(), form) };
        self.connect_asking(index, script, &asked)
    }

    /// Connects a client that asks for a replay, and whose handshake is not answered yet.
    pub(super) fn connect_replaying(
        &mut self,
        script: Rc<Scripted>,
        room: &'static str,
        history: usize,
    ) -> ClientId {
        let asked = Asked { history: Some(history), ..Asked::new(room.into(), Form::Plain) };
        self.connect_asking(0, script, &asked)
    }

    /// Connects a client as its handshake does, whose request is not answered yet.
    pub(super) fn connect_asking(
        &mut self,
        index: usize,
        script: Rc<Scripted>,
        asked: &Asked,
    ) -> ClientId {
        let shard = Rc::clone(&self.shards[index].0);
        let transport = Transport::Scripted(Rc::clone(&script));
        let mut guard = ClientGuard::new(&shard, &transport, asked);
        guard.join(asked).expect("the server runs");
        let (client, since_in) = (Rc::clone(&guard.client), guard.since_in.take());
        shard.add_client(&client, since_in);
        let (mut expected, bytes) = (Expected::new(), Vec::new());
        for (room, number, line) in self.signals.iter().filter(|(room, ..)| *room == asked.room) {
            expected.permit(*number, &[Line::Room(room), *line]);
        }
        let echo = asked.echo.unwrap_or(shard.context.options.echo);
        let rooms = ROOMS.into_iter().filter(|room| *room == asked.room).collect();
        let id = client.id();
        let (shard, is_reader) = (index, true);
        let peer =
            Peer { client, script, shard, expected, bytes, echo, rooms, is_reader, _guard: guard };
        self.clients.insert(id, peer);
        id
    }

    fn ping(&mut self) {
        let Some(id) = self.a_client() else { return };
        let client = Rc::clone(&self.peer(id).client);
        client.out().ping(1);
    }

    fn pass_time(&mut self) {
        let time = Duration::from_millis(self.random.next() % 40);
        for (shard, _) in &self.shards {
            shard.shared.clock.advance(time);
            shard.check_due_outboxes();
        }
    }

    /// Lets a long time pass. Rooms are forgotten in it at their times, as a task of a shard does it.
    pub(super) fn age(&self, time: Duration) {
        let (rooms, clock) = (&self.handle.shared.rooms, &self.handle.shared.context.age_clock);
        let end = clock.now() + time;
        while let Some(at) = rooms.next_expiry().filter(|at| *at <= end) {
            clock.advance(at.saturating_duration_since(clock.now()));
            while rooms.forget_expired() {}
        }
        clock.advance(end - clock.now());
        for (shard, _) in &self.shards {
            shard.shared.clock.advance(time);
            shard.check_due_outboxes();
        }
    }

    fn tick(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            let index = self.random.below(self.shards.len());
            self.tick_shard(index);
        }
    }

    pub(super) fn tick_shard(&mut self, index: usize) {
        let (shard, tick) = &mut self.shards[index];
        let _ = shard.tick(tick, &no_accept);
    }

    pub(super) fn tick_once(&mut self) {
        for (shard, tick) in &mut self.shards {
            let _ = shard.tick(tick, &no_accept);
        }
    }

    /// Makes a client read, so that its socket takes more.
    fn read(&mut self, id: ClientId, bytes: usize) {
        let peer = self.peer(id);
        if peer.is_reader {
            peer.script.add_room(bytes);
            let received = peer.script.received();
            peer.bytes.extend(received);
            if peer.script.wants_write.take() {
                let shard = peer.shard;
                self.shards[shard].0.note_writable(id);
            }
        }
    }

    /// Takes clients out of their rooms that were closed or have broken, as their connections do.
    pub(super) fn notice_ends(&mut self) {
        self.take_events();
        let ended = |peer: &&Peer| !peer.client.out().is_open() && !peer.client.out().has_outbox();
        let ended: Vec<_> =
            self.clients.values().filter(ended).map(|peer| peer.client.id()).collect();
        for id in ended {
            let peer = self.clients.remove(&id).expect("it is there");
            let shard = &self.shards[peer.shard].0;
            shard.leave_all_rooms(&peer.client);
            peer.client.out().report_dropped(true);
            shard.remove_client(id);
            self.gone.push(peer);
        }
    }

    fn take_events(&mut self) {
        let mut events = Vec::new();
        let _ = self.handle.shared.context.events.take(Duration::ZERO, &mut events);
        for event in events {
            if let Event::MessagesDropped { client, count } = event {
                *self.dropped.entry(client).or_default() += count;
            }
        }
    }

    /// Works until nothing is left to do, while the readers read all.
    fn settle(&mut self) {
        let mut is_idle = false;
        while !is_idle {
            for id in self.clients.keys().copied().collect::<Vec<_>>() {
                self.peer(id).is_reader = true;
                self.read(id, usize::MAX / 4);
            }
            is_idle = true;
            for (shard, tick) in &mut self.shards {
                is_idle &= matches!(shard.tick(tick, &no_accept), Next::Park);
            }
        }
        for (shard, tick) in &self.shards {
            assert!(tick.is_empty() && shard.is_idle(), "a parked shard has nothing to do");
        }
    }

    pub(super) fn peer(&mut self, id: ClientId) -> &mut Peer {
        self.clients.get_mut(&id).expect("it is there")
    }
}

fn no_accept(_: &Rc<Shard>, _: AcceptedStream) {
    panic!("nothing connects by TCP")
}
