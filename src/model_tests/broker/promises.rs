//! Promises that random fleets meet too rarely, or do not see.

use std::{rc::Rc, time::Duration};

use super::{
    super::{
        random::Random,
        setting::{options, texts},
        world::World,
    },
    fleet::{Fleet, WINDOW},
    store::{Behaviour, Store},
};
use crate::{
    error::Error,
    fanout::form::Form,
    frame::Kind,
    message::Message,
    options::{Options, SlowConsumer},
    past::Past,
    position::Position,
    protocol::{Asked, Protocol},
    stored::{Gap, HistoryPage, Range},
    transport::scripted::Scripted,
};

fn fleet(nodes: usize) -> Fleet {
    Fleet::new(nodes, Behaviour::default(), 1)
}

fn publish(fleet: &mut Fleet, room: &'static str, count: usize) {
    for _ in 0..count {
        let text = fleet.next_text();
        fleet.publish(0, room, &text);
    }
    fleet.settle();
}

#[test]
fn a_host_reads_what_a_broker_keeps_in_pages_and_leaves_it_to_the_broker_to_drop_it() {
    let mut fleet = Fleet::new(2, Behaviour { is_immediate: true, ..Behaviour::default() }, 1);
    publish(&mut fleet, "a", WINDOW + 10);
    let top = fleet.store.top("a");
    let handle = &fleet.nodes[1].handle;
    let offsets = |page: &HistoryPage| {
        page.messages.iter().map(|stored| stored.position.offset).collect::<Vec<_>>()
    };
    let kept: Vec<_> = (11..=top.offset).collect();
    let (mut forward, mut range) = (Vec::new(), Range::After(Position { offset: 10, ..top }));
    loop {
        let page = handle.history("a", range, 7).unwrap();
        assert_eq!((page.position, page.gap), (top, None));
        forward.extend(offsets(&page));
        assert_eq!(page.has_more, forward.last() < Some(&top.offset));
        let Some(last) = page.messages.last().filter(|_| page.has_more) else { break };
        range = Range::After(last.position);
    }
    assert_eq!(forward, kept);
    let (mut backward, mut range) = (Vec::new(), Range::Last);
    loop {
        let page = handle.history("a", range, 7).unwrap();
        backward.splice(0..0, offsets(&page));
        let Some(first) = page.messages.first() else { break };
        range = Range::Before(first.position);
    }
    assert_eq!(backward, kept);
    for (at, gap) in [
        (Position { offset: 9, ..top }, Some(Gap::Trimmed)),
        (Position { epoch: top.epoch ^ 1, offset: 30 }, Some(Gap::Epoch)),
        (Position { offset: top.offset + 1, ..top }, Some(Gap::Ahead)),
        (Position::NONE, None),
    ] {
        let page = handle.history("a", Range::After(at), 3).unwrap();
        assert_eq!((offsets(&page), page.gap), (vec![11, 12, 13], gap), "{at}");
    }
    let page = handle.history("a", Range::After(top), 3).unwrap();
    assert_eq!((offsets(&page), page.gap, page.has_more), (vec![], None, false));
    let page = handle.history("never", Range::Last, 3).unwrap();
    assert_eq!((offsets(&page), page.gap), (vec![], None));
    for outcome in [handle.trim("a", top), handle.forget("a")] {
        assert!(matches!(outcome, Err(Error::Unsupported(_))));
    }
}

#[test]
fn a_client_recovers_exactly_on_another_server_also_where_that_has_not_come_as_far() {
    let mut fleet = fleet(2);
    publish(&mut fleet, "a", 10);
    let index = fleet.connect(0, "a", None, None, true);
    // It keeps the other server interested.
    fleet.connect(1, "a", None, None, true);
    fleet.settle();
    publish(&mut fleet, "a", 3);
    let known = fleet.cut(index).rooms.remove("a").unwrap();
    publish(&mut fleet, "a", 2);
    let index = fleet.connect(1, "a", known.at, None, true);
    fleet.settle();
    let known = &fleet.peers[index].rooms["a"];
    assert_eq!((known.told, known.texts.len()), (0, 2));
    // Its position is ahead of what was delivered there: it gets nothing twice, and nothing less.
    let at = known.at;
    let top = fleet.store.top("a");
    assert_eq!(at, Some(top));
    for _ in 0..5 {
        let text = fleet.next_text();
        fleet.publish(0, "a", &text);
    }
    while fleet.store.step(0) {}
    let ahead = Position { offset: top.offset + 3, ..top };
    let index = fleet.connect(1, "a", Some(ahead), None, true);
    fleet.finish();
    let known = &fleet.peers[index].rooms["a"];
    assert_eq!((known.told, known.texts.len()), (0, 3), "the rest, and the last one of `finish`");
}

#[test]
fn a_client_that_comes_from_where_the_room_never_was_is_told_and_gets_all() {
    for others in [0, 1] {
        let mut fleet = fleet(1);
        (0..others).for_each(|_| _ = fleet.connect(0, "a", None, None, true));
        publish(&mut fleet, "a", 10);
        let top = fleet.store.top("a");
        let ahead = Position { offset: top.offset + 5, ..top };
        let index = fleet.connect(0, "a", Some(ahead), None, true);
        let far = fleet.connect(0, "a", Some(Position { offset: u64::MAX, ..top }), None, true);
        fleet.settle();
        publish(&mut fleet, "a", 20);
        for index in [index, far] {
            let known = &fleet.peers[index].rooms["a"];
            assert_eq!((known.told, &*known.reason), (1, "ahead"));
            assert_eq!(known.texts.len(), 30);
        }
        fleet.finish();
    }
}

#[test]
fn who_comes_too_late_is_told_that_what_it_lacks_is_not_kept() {
    let mut fleet = fleet(1);
    publish(&mut fleet, "a", 1);
    let first = fleet.store.top("a");
    publish(&mut fleet, "a", WINDOW + 10);
    let late = fleet.connect(0, "a", Some(first), None, true);
    let other = fleet.connect(0, "a", Some(Position { epoch: 7, offset: 3 }), Some(4), true);
    let last = fleet.connect(0, "a", None, Some(5), true);
    fleet.settle();
    let told = |index: usize| {
        let known = &fleet.peers[index].rooms["a"];
        (known.told, &*known.reason, known.texts.len())
    };
    assert_eq!(told(late), (1, "trimmed", WINDOW));
    assert_eq!(told(other), (1, "epoch", 4));
    assert_eq!(told(last), (0, "", 5));
    fleet.finish();
}

#[test]
fn what_a_hundred_clients_lack_is_read_together() {
    let mut fleet = fleet(1);
    fleet.connect(0, "a", None, None, true);
    publish(&mut fleet, "a", WINDOW);
    let top = fleet.store.top("a");
    let before = fleet.store.reads();
    for count in 0..100 {
        let since = Position { offset: top.offset - 1 - count % 40, ..top };
        fleet.connect(0, "a", Some(since), None, true);
    }
    fleet.settle();
    assert!(fleet.store.reads() - before <= 2, "{} reads", fleet.store.reads() - before);
    assert!(fleet.peers.iter().skip(1).all(|peer| peer.rooms["a"].told == 0));
    fleet.finish();
}

#[test]
fn a_past_that_cannot_be_read_is_given_up_after_five_seconds_and_nobody_waits_longer() {
    let mut fleet = fleet(1);
    publish(&mut fleet, "a", 5);
    let top = fleet.store.top("a");
    // Nothing is answered any more.
    let index = fleet.connect(0, "a", Some(Position { offset: 2, ..top }), None, true);
    for second in 0..6 {
        (0..20).for_each(|_| fleet.tick());
        fleet.check();
        let known = &fleet.peers[index].rooms["a"];
        assert_eq!((known.is_live, known.told), (false, 0), "after {second} seconds");
        fleet.pass_second();
    }
    (0..20).for_each(|_| fleet.tick());
    fleet.check();
    let known = &fleet.peers[index].rooms["a"];
    assert_eq!((known.is_live, known.told, &*known.reason), (true, 1, "unavailable"));
    assert_eq!(known.at, None, "nobody knows where it stands");
    // It is told when that is known.
    fleet.settle();
    let known = &fleet.peers[index].rooms["a"];
    assert_eq!((known.told, known.at), (2, Some(top)));
    fleet.finish();
}

#[test]
fn live_messages_wait_behind_a_past_that_is_being_read_within_the_bound() {
    let store = Store::new(Behaviour::default(), 1);
    let options = Options { workers: 1, history_messages: WINDOW, ..options() };
    let bound = options.outbox_size;
    let mut world = World::with_broker(options, Random::new(1), Some(store.node()));
    let script = Scripted::new(usize::MAX / 4);
    let wanted = Asked { history: Some(5), ..Asked::new("a".into(), Form::Plain) };
    let publish = |world: &mut World, text: &str| {
        let message = Message::new(Kind::Text, text.as_bytes()).unwrap();
        drop(world.handle.shared.rooms.begin_publish("a", [message]).unwrap());
        while store.step_but_reads(0) {}
        (0..5).for_each(|_| world.tick_once());
    };
    publish(&mut world, "past");
    let nothing = Asked::new("a".into(), Form::Plain);
    let first = world.connect_asking(0, Scripted::new(usize::MAX / 4), &nothing);
    world.peer(first).client.out().open();
    store.settle();
    let id = world.connect_asking(0, Rc::clone(&script), &wanted);
    let out = Rc::clone(world.peer(id).client.out());
    out.open();
    publish(&mut world, "live");
    world.shards[0].0.shared.clock.advance(Duration::from_secs(60));
    world.shards[0].0.check_due_outboxes();
    assert!(out.is_open() && script.received().is_empty(), "the time of the past does not count");
    store.settle();
    (0..5).for_each(|_| world.tick_once());
    while out.has_outbox() {
        out.flush();
    }
    assert_eq!(texts(&script.received()), ["past", "live"]);
    // Another one, with too much behind it.
    let id = world.connect_asking(0, Rc::clone(&script), &wanted);
    let out = Rc::clone(world.peer(id).client.out());
    out.open();
    let long = "x".repeat(1000);
    for _ in 0..bound / 1000 + 2 {
        publish(&mut world, &long);
    }
    assert_eq!(out.disconnect().map(|it| it.code), Some(1013));
}

#[test]
fn a_past_that_is_being_read_is_not_dropped_with_what_is_too_old_before_it() {
    for form in [Form::Plain, Form::Json] {
        let store = Store::new(Behaviour::default(), 1);
        let slow_consumer = SlowConsumer::DropOldest;
        let options = Options { workers: 1, history_messages: WINDOW, slow_consumer, ..options() };
        let mut world = World::with_broker(options, Random::new(1), Some(store.node()));
        let message = Message::new(Kind::Text, b"past").unwrap();
        drop(world.handle.shared.rooms.begin_publish("b", [message]).unwrap());
        let script = Scripted::new(usize::MAX / 4);
        let nothing = Asked::new("a".into(), form);
        let id = world.connect_asking(0, Rc::clone(&script), &nothing);
        let out = Rc::clone(world.peer(id).client.out());
        out.open();
        store.settle();
        (0..5).for_each(|_| world.tick_once());
        while out.has_outbox() {
            out.flush();
        }
        drop(script.received());
        script.fill();
        world.handle.broadcast(Kind::Text, b"front").unwrap();
        world.tick_once();
        world.handle.join_with_past(id, "b", Past::Last(5), None).unwrap();
        world.tick_once();
        world.shards[0].0.shared.clock.advance(Duration::from_secs(60));
        world.shards[0].0.check_due_outboxes();
        assert_eq!(world.handle.stats().messages_dropped, 1, "the one before it");
        store.settle();
        (0..5).for_each(|_| world.tick_once());
        script.add_room(usize::MAX / 4);
        while out.has_outbox() {
            out.flush();
        }
        let texts = texts(&script.received());
        assert!(
            texts.last().is_some_and(|last| last == "past" || last.contains("live")),
            "{texts:?}"
        );
        assert!(texts.iter().any(|text| text.contains("past")), "{texts:?}");
    }
}

#[test]
fn what_is_dropped_is_told_before_and_behind_the_change_of_an_epoch() {
    let store = Store::new(Behaviour::default(), 1);
    let slow_consumer = SlowConsumer::DropOldest;
    let options = Options { workers: 1, history_messages: WINDOW, slow_consumer, ..options() };
    let mut world = World::with_broker(options, Random::new(1), Some(store.node()));
    let script = Scripted::new(usize::MAX / 4);
    let asked = Asked::new("a".into(), Form::Json);
    let id = world.connect_asking(0, Rc::clone(&script), &asked);
    let out = Rc::clone(world.peer(id).client.out());
    out.open();
    let publish = |world: &mut World, text: &str| {
        let message = Message::new(Kind::Text, text.as_bytes()).unwrap();
        drop(world.handle.shared.rooms.begin_publish("a", [message]).unwrap());
        store.settle();
        (0..5).for_each(|_| world.tick_once());
    };
    publish(&mut world, "read");
    while out.has_outbox() {
        out.flush();
    }
    script.fill();
    drop(script.received());
    (0..3).for_each(|_| publish(&mut world, "old"));
    store.lose_tail("a", 2);
    (0..3).for_each(|_| publish(&mut world, "new"));
    world.shards[0].0.shared.clock.advance(Duration::from_secs(60));
    world.shards[0].0.check_due_outboxes();
    script.add_room(usize::MAX / 4);
    while out.has_outbox() {
        out.flush();
    }
    let objects = texts(&script.received()).into_iter();
    let told: Vec<_> = objects
        .map(|text| {
            let object: serde_json::Value = serde_json::from_str(&text).unwrap();
            let count = object["count"].as_u64().unwrap_or(0);
            (object["type"].as_str().unwrap().to_owned(), count)
        })
        .collect();
    let of = |kind: &str, count| (kind.to_owned(), count);
    assert_eq!(told, [of("dropped", 3), of("entered", 0), of("dropped", 3)]);
}

#[test]
fn a_client_that_is_closed_does_not_wait_for_its_past() {
    let mut fleet = fleet(1);
    let index = fleet.connect(0, "a", None, Some(5), true);
    let id = fleet.peers[index].id;
    fleet.nodes[0].handle.disconnect(id, 4000, "enough").unwrap();
    (0..5).for_each(|_| fleet.tick());
    fleet.check();
    assert!(fleet.peers[index].closed);
    let known = &fleet.peers[index].rooms["a"];
    assert_eq!((known.is_live, &*known.reason), (true, "unavailable"));
}

#[test]
fn earlier_messages_are_answered_in_the_order_of_what_the_client_sends() {
    let mut fleet = fleet(1);
    publish(&mut fleet, "a", 10);
    let index = fleet.connect(0, "a", None, None, true);
    fleet.settle();
    let id = fleet.peers[index].id;
    let top = fleet.store.top("a");
    let shard = Rc::clone(&fleet.nodes[0].shards[id.shard()].0);
    let client = Rc::clone(&fleet.nodes[0].peer(id).client);
    let say = |text: &str| {
        Protocol::Json.message(&shard, &client, Kind::Text, text.as_bytes()).unwrap();
    };
    say(r#"{"id":1,"text":"one"}"#);
    say(&format!(r#"{{"type":"history","id":2,"before":"{top}","limit":3}}"#));
    say(r#"{"id":3,"room":"elsewhere","text":"three"}"#);
    say(r#"{"type":"history","id":4,"before":"7-7","limit":3}"#);
    say(r#"{"id":5,"text":"five"}"#);
    for _ in 0..3 {
        fleet.store.settle();
        (0..5).for_each(|_| fleet.tick());
    }
    let bytes = fleet.peers[index].script.received();
    let objects = super::super::setting::frames(&bytes).into_iter();
    let objects = objects.map(|(_, payload)| -> serde_json::Value {
        serde_json::from_slice(&payload).expect("JSON")
    });
    let answers: Vec<_> = objects.filter(|object| object["id"].is_u64()).collect();
    let of = |object: &serde_json::Value| {
        (object["id"].as_u64().unwrap(), object["type"].as_str().unwrap().to_owned())
    };
    let kinds = ["sent", "history", "refused", "refused", "sent"];
    assert!(answers.iter().map(of).eq((1..).zip(kinds.map(str::to_owned))), "{answers:?}");
    let messages = answers[1]["messages"].as_array().unwrap();
    let positions: Vec<_> = messages.iter().map(|it| it["position"].as_str().unwrap()).collect();
    let expected = [3, 2, 1].map(|back| Position { offset: top.offset - back, ..top }.to_string());
    assert_eq!(positions, expected);
    assert_eq!(answers[1]["more"], true);
}

#[test]
fn the_host_may_say_how_much_of_the_past_a_client_gets() {
    let mut fleet = fleet(1);
    publish(&mut fleet, "b", 10);
    for (past, count) in [(Past::None, 0), (Past::Last(3), 3), (Past::All, 10)] {
        let index = fleet.connect(0, "a", None, None, true);
        fleet.settle();
        fleet.move_client(index, "b", past);
        fleet.settle();
        let known = &fleet.peers[index].rooms["b"];
        assert_eq!((known.is_live, known.texts.len()), (true, count), "{past:?}");
    }
    fleet.finish();
}

#[test]
fn the_answer_to_an_older_read_is_not_taken_for_what_a_client_lacks() {
    let behaviour = Behaviour { is_unreliable: true, ..Behaviour::default() };
    let mut fleet = Fleet::new(1, behaviour, 1);
    fleet.connect(0, "a", None, None, true);
    publish(&mut fleet, "a", 10);
    let top = fleet.store.top("a");
    // It asks where the room stands, and nothing is behind that.
    fleet.pass_second();
    fleet.store.step(0);
    let text = fleet.next_text();
    fleet.publish(0, "a", &text);
    while fleet.store.step_but_reads(0) {}
    let index = fleet.connect(0, "a", Some(top), None, true);
    fleet.settle();
    let known = &fleet.peers[index].rooms["a"];
    assert_eq!((known.told, &known.texts), (0, &vec![text]));
    fleet.finish();
}

#[test]
fn the_answer_to_an_older_read_does_not_hide_another_epoch() {
    let mut fleet = fleet(1);
    let first = fleet.connect(0, "a", None, None, true);
    publish(&mut fleet, "a", 10);
    let top = fleet.store.top("a");
    fleet.connect(0, "a", Some(Position { offset: 5, ..top }), None, true);
    // The answer is on its way, and is of the old epoch.
    fleet.store.step(0);
    fleet.store.lose_tail("a", 2);
    let text = fleet.next_text();
    fleet.publish(0, "a", &text);
    while fleet.store.step_but_reads(0) {}
    fleet.settle();
    for peer in &fleet.peers {
        assert_eq!(peer.rooms["a"].at, Some(fleet.store.top("a")));
    }
    let known = &fleet.peers[first].rooms["a"];
    assert_eq!((known.told, &*known.reason, known.texts.last()), (1, "epoch", Some(&text)));
    fleet.finish();
}

#[test]
fn a_client_that_is_ahead_gets_nothing_twice_where_its_server_has_missed_what_is_not_kept() {
    let mut fleet = fleet(2);
    fleet.connect(1, "a", None, None, true);
    publish(&mut fleet, "a", 10);
    // All that follows is lost on its way to the other server, and much is not kept.
    let behaviour = Behaviour { loses: 1, is_unreliable: true, ..Behaviour::default() };
    fleet.store.set_behaviour(behaviour);
    publish(&mut fleet, "a", WINDOW + 30);
    fleet.store.set_behaviour(Behaviour { is_unreliable: true, ..Behaviour::default() });
    let top = fleet.store.top("a");
    for lacking in [10, 0] {
        let since = Position { offset: top.offset - lacking, ..top };
        let index = fleet.connect(1, "a", Some(since), None, true);
        fleet.settle();
        let known = &fleet.peers[index].rooms["a"];
        assert_eq!((known.told, known.texts.len() as u64), (0, lacking));
    }
    assert_eq!(&*fleet.peers[0].rooms["a"].reason, "trimmed");
    fleet.finish();
}
