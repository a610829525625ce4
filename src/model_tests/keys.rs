//! A message with a key is published once: over a long time, over forgotten rooms, and among random clients that send
//! again what they have sent, also over other connections, while the host decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    random::Random,
    setting::{ENDLESS, objects, options, read_all, world},
    world::World,
};
use crate::{
    error::Error,
    event::{ClientId, DecisionId, Event},
    fanout::form::Form,
    frame::Kind,
    options::Options,
    position::Position,
    protocol::{Asked, Protocol},
    publish_options::{PublishOptions, Published},
    reactor::Next,
    transport::scripted::Scripted,
};

const MINUTE: Duration = Duration::from_secs(60);

fn with_key(key: &str) -> PublishOptions<'_> {
    PublishOptions { key: Some(key), ..PublishOptions::default() }
}

fn publish(world: &World, text: &str) -> Published {
    world.handle.publish_with("r", Kind::Text, text.as_bytes(), &with_key("k")).unwrap()
}

#[test]
fn a_key_is_known_for_five_minutes_also_if_its_room_is_forgotten_and_comes_again() {
    let options = Options { history_messages: 10, history_age: MINUTE, ..options() };
    let (world, _) = world(options, ENDLESS);
    let rooms = || world.handle.shared.rooms.sizes()[0];
    let first = publish(&world, "hi");
    assert!(!first.is_duplicate && rooms() == 2);
    for minutes in [2, 2] {
        world.age(minutes * MINUTE);
        assert_eq!(rooms(), 1, "it is forgotten");
        assert_eq!(publish(&world, "hi"), Published { is_duplicate: true, ..first });
        assert!(matches!(
            world.handle.publish_with("r", Kind::Text, b"ho", &with_key("k")),
            Err(Error::KeyReused)
        ));
        // It comes again, and is where it was.
        assert_eq!(world.handle.position("r").unwrap(), first.position);
    }
    world.age(MINUTE - Duration::from_nanos(1));
    assert!(publish(&world, "hi").is_duplicate);
    world.age(Duration::from_nanos(1));
    let second = publish(&world, "ho");
    assert_eq!((second.is_duplicate, second.position.epoch), (false, first.position.epoch));
    assert_eq!(second.position.offset, 2);
    assert_eq!(world.handle.stats().keys_evicted, 0);
}

#[test]
fn what_did_not_fit_takes_no_key_and_the_hosts_next_try_publishes_it_once() {
    let (mut world, id) = world(options(), ENDLESS);
    while world.handle.send(id, Kind::Text, b"x").is_ok() {}
    for _ in 0..3 {
        let full = world.handle.publish_with("a", Kind::Text, b"hi", &with_key("k"));
        assert!(matches!(full, Err(Error::QueueFull)), "{full:?}");
    }
    let full = world.handle.publish_to(&["a", "b"], Kind::Text, b"hi", &with_key("k"));
    assert!(full.is_err_and(|error| error.published.is_empty()));
    read_all(&mut world, id);
    while world.handle.shared.rooms.is_full() {
        world.tick_once();
    }
    let published = [(); 3]
        .map(|()| world.handle.publish_with("a", Kind::Text, b"hi", &with_key("k")).unwrap());
    assert_eq!(published.map(|it| it.is_duplicate), [false, true, true]);
    assert_eq!(world.handle.stats().messages_published, 1);
}

#[test]
fn dropped_messages_without_history_are_told_between_the_positions_of_the_others() {
    use crate::options::SlowConsumer;
    let options = Options {
        workers: 1,
        history_messages: 100,
        outbox_size: 64 * 1024,
        max_message_size: 16 * 1024,
        slow_consumer: SlowConsumer::DropOldest,
        ..Options::default()
    };
    let mut world = World::with(options, Random::new(1));
    let id = world.connect_with(0, Scripted::new(ENDLESS), Form::Json, true, "a");
    read_all(&mut world, id);
    let mut positions = Vec::new();
    for number in 0..40 {
        let without_history = number % 2 == 0;
        let options = PublishOptions { without_history, ..PublishOptions::default() };
        let text = format!("{number} {}", "x".repeat(8000));
        let published = world.handle.publish_with("a", Kind::Text, text.as_bytes(), &options);
        positions.push(published.unwrap().position);
        world.tick_once();
    }
    let received = objects(&read_all(&mut world, id));
    let dropped = received.iter().find(|object| object["type"] == "dropped").expect("it is told");
    let numbers: Vec<usize> = received
        .iter()
        .filter_map(|object| object["text"].as_str()?.split(' ').next()?.parse().ok())
        .collect();
    let count = dropped["count"].as_u64().unwrap() as usize;
    assert_eq!(count + numbers.len(), 40, "each is received or told of");
    let missing: Vec<_> = (0..40).filter(|number| !numbers.contains(number)).collect();
    let stored: Vec<_> = missing.iter().map(|number| positions[*number]).collect();
    let stored: Vec<_> = stored.into_iter().filter(|position| !position.is_none()).collect();
    let position = |name: &str| dropped[name].as_str().unwrap().parse::<Position>().unwrap();
    assert_eq!(position("after").offset + 1, stored.first().unwrap().offset);
    assert_eq!(position("before").offset - 1, stored.last().unwrap().offset);
}

/// What one client has sent, and what it was told.
struct Speaker {
    id: ClientId,
    identity: Option<&'static str>,
    is_cut: bool,
    /// By the number of each of its messages: the key, and which of two texts.
    sent: Vec<(u32, u32)>,
    received: Vec<Value>,
}

struct Keyed {
    world: World,
    random: Random,
    observer: ClientId,
    speakers: Vec<Speaker>,
    /// The decisions that are open.
    open: Vec<DecisionId>,
    /// Where the host's messages were said to be.
    of_host: Vec<(String, Published)>,
    is_reviewed: bool,
    numbers: u32,
}

const IDENTITIES: [Option<&str>; 3] = [None, Some("ana"), Some("ben")];

fn text(identity: Option<&str>, key: u32, variant: u32) -> String {
    format!("{}/{key}/{variant}", identity.unwrap_or("nobody"))
}

impl Keyed {
    fn new(mut random: Random) -> Self {
        let is_reviewed = random.once_in(2);
        let options = Options {
            workers: 2,
            review_timeout: if is_reviewed { MINUTE } else { Duration::ZERO },
            event_queue: 1 << 20,
            publish_timeout: Duration::ZERO,
            ..Options::default()
        };
        let mut world = World::with(options, Random::new(random.next()));
        let observer = world.connect_with(0, Scripted::new(ENDLESS), Form::Json, true, "a");
        let (speakers, open, of_host) = Default::default();
        Self { world, random, observer, speakers, open, of_host, is_reviewed, numbers: 0 }
    }

    fn step(&mut self) {
        match self.random.below(10) {
            0 => self.connect(),
            1 if self.random.once_in(3) => self.cut(),
            2 => self.host_publishes(),
            3 | 4 => self.decide(),
            5 | 6 => {
                let index = self.random.below(2);
                self.world.tick_shard(index);
            }
            _ => self.say(),
        }
        let mut events = Vec::new();
        let _ = self.world.handle.shared.context.events.take(Duration::ZERO, &mut events);
        self.open.extend(events.into_iter().filter_map(|event| match event {
            Event::MessageRequest { decision, .. } => Some(decision),
            _ => None,
        }));
    }

    fn connect(&mut self) {
        if self.speakers.iter().filter(|speaker| !speaker.is_cut).count() >= 5 {
            return;
        }
        let identity = self.random.pick(&IDENTITIES);
        let shard = self.random.below(2);
        let asked = Asked { history: Some(0), ..Asked::new("a".into(), Form::Json) };
        let id = self.world.connect_asking(shard, Scripted::new(ENDLESS), &asked);
        let client = &self.world.peer(id).client;
        client.out().open();
        client.set_identity(identity.map(Arc::from));
        let (sent, received) = Default::default();
        self.speakers.push(Speaker { id, identity, is_cut: false, sent, received });
    }

    fn a_speaker(&mut self) -> Option<usize> {
        let open = self.speakers.iter().enumerate().filter(|(_, speaker)| !speaker.is_cut);
        let open: Vec<_> = open.map(|(index, _)| index).collect();
        (!open.is_empty()).then(|| self.random.pick(&open))
    }

    /// The connection breaks: the client is there until its messages are decided.
    fn cut(&mut self) {
        let Some(index) = self.a_speaker() else { return };
        self.speakers[index].is_cut = true;
        self.collect();
        let id = self.speakers[index].id;
        self.world.peer(id).script.is_reset.set(true);
    }

    fn say(&mut self) {
        let Some(index) = self.a_speaker() else { return };
        let (id, identity) = (self.speakers[index].id, self.speakers[index].identity);
        let client = Rc::clone(&self.world.peer(id).client);
        let shard = Rc::clone(&self.world.shards[id.shard()].0);
        if !shard.may_read(&client, false)
            || shard.rooms.is_queue_full(client.queue(&shard.rooms))
            || shard.reviews.is_full(id)
        {
            return;
        }
        for _ in 0..1 + self.random.below(3) {
            let (key, variant) = (self.a_key(), u32::from(self.random.once_in(8)));
            let number = self.speakers[index].sent.len();
            self.speakers[index].sent.push((key, variant));
            let text = text(identity, key, variant);
            let said = json!({"id": number, "key": format!("k{key}"), "text": text}).to_string();
            Protocol::Json.message(&shard, &client, Kind::Text, said.as_bytes()).unwrap();
        }
    }

    /// One that is sent again and again for a while.
    fn a_key(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers / 12 + self.random.below(3) as u32
    }

    fn host_publishes(&mut self) {
        let identity = self.random.pick(&IDENTITIES[1..]);
        let (number, variant) = (self.a_key(), u32::from(self.random.once_in(8)));
        let key = format!("k{number}");
        let options = PublishOptions { identity, ..with_key(&key) };
        let text = text(identity, number, variant);
        match self.world.handle.publish_with("a", Kind::Text, text.as_bytes(), &options) {
            Ok(published) => self.of_host.push((text, published)),
            Err(Error::KeyReused | Error::QueueFull) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn decide(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let index = self.random.below(self.open.len());
        let decision = self.open.swap_remove(index);
        let decided = match self.random.below(4) {
            0 => self.world.handle.refuse_with(decision, "so"),
            _ => self.world.handle.allow(decision),
        };
        decided.unwrap();
    }

    fn collect(&mut self) {
        for speaker in &mut self.speakers {
            let received = self.world.peer(speaker.id).script.received();
            speaker.received.extend(objects(&received));
        }
    }

    fn finish(mut self) {
        loop {
            let mut is_idle = self.open.is_empty();
            self.decide();
            for (shard, tick) in &mut self.world.shards {
                is_idle &= matches!(shard.tick(tick, &|_, _| panic!("by TCP")), Next::Park);
            }
            if is_idle {
                break;
            }
        }
        self.collect();
        let observed = objects(&self.world.peer(self.observer).script.received());
        let mut published: BTreeMap<String, (u32, String)> = BTreeMap::new();
        for message in observed.iter().filter(|object| object["type"] == "message") {
            let (owner, variant) =
                message["text"].as_str().unwrap().rsplit_once('/').expect("a text of the test");
            let entry =
                (variant.parse().unwrap(), message["position"].as_str().unwrap().to_owned());
            let before = published.insert(owner.to_owned(), entry);
            assert_eq!(before, None, "{owner} is published twice");
        }
        let mut firsts = BTreeSet::new();
        for (text, told) in &self.of_host {
            let (owner, variant) = text.rsplit_once('/').unwrap();
            let (of_message, position) = &published[owner];
            assert_eq!(
                (variant, told.position.to_string()),
                (&*of_message.to_string(), position.clone())
            );
            assert!(told.is_duplicate || firsts.insert(owner.to_owned()), "{owner}");
        }
        for speaker in &self.speakers {
            self.check(speaker, &published, &mut firsts);
        }
        let keys = &self.world.handle.shared.context.keys;
        assert_eq!(keys.sizes(), [published.len(), published.len(), 0], "nothing is left reserved");
        let stats = self.world.handle.stats();
        assert_eq!(stats.messages_published, published.len() as u64);
    }

    /// Insists that each message was answered, in order, and as what has become of it.
    fn check(
        &self,
        speaker: &Speaker,
        published: &BTreeMap<String, (u32, String)>,
        firsts: &mut BTreeSet<String>,
    ) {
        let answers: Vec<_> = speaker.received.iter().filter(|it| it["id"].is_u64()).collect();
        assert!(answers.len() == speaker.sent.len() || speaker.is_cut);
        for (number, answer) in answers.iter().enumerate() {
            assert_eq!(answer["id"], number, "the order of its messages");
            let (key, variant) = speaker.sent[number];
            let text = text(speaker.identity, key, variant);
            let owner = text.rsplit_once('/').unwrap().0;
            if answer["type"] == "sent" {
                let (of_message, position) = &published[owner];
                assert_eq!((variant, &answer["position"]), (*of_message, &json!(position)));
                let is_duplicate = answer["duplicate"] == true;
                assert!(is_duplicate || firsts.insert(owner.to_owned()), "{owner} is sent twice");
            } else if answer["code"] == "key_reused" {
                let is_other = published.get(owner).is_some_and(|(other, _)| *other != variant);
                assert!(is_other || self.is_reviewed, "{answer} of {owner}");
            } else {
                assert!(self.is_reviewed && answer["reason"] == "so", "{answer}");
            }
        }
        // An answer comes behind the message, if the client was there then.
        let mut seen = BTreeSet::new();
        for object in &speaker.received {
            match object["type"].as_str() {
                Some("message") => _ = seen.insert(object["position"].as_str()),
                Some("sent") if object["duplicate"].is_null() => {
                    assert!(seen.contains(&object["position"].as_str()), "{object}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn whatever_random_clients_send_again_is_published_once_and_answered_in_order() {
    super::for_each_seed(60, |random| {
        let mut keyed = Keyed::new(random);
        (0..400).for_each(|_| keyed.step());
        keyed.finish();
    });
}
