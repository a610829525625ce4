use super::*;
use crate::frame::Kind;

const MINUTE: u64 = 60_000_000_000;

fn at(minutes: u64) -> CoarseInstant {
    CoarseInstant(1 + minutes * MINUTE)
}

fn message(text: &str) -> Message {
    Message::new(Kind::Text, text.as_bytes()).unwrap()
}

fn keyed(keys: &Keys, key: &str, text: &str) -> KnownBy {
    keys.known_by("room", Scope::Anonymous, &Key::new(key).unwrap(), &message(text))
}

fn position(offset: u64) -> Position {
    Position { epoch: 7, offset }
}

fn decision(number: u64) -> (ClientId, DecisionId) {
    (ClientId::new(number, 0), DecisionId::new(number, 0))
}

#[test]
fn a_key_is_known_for_five_minutes_after_its_message_was_published() {
    let (keys, counters) = (Keys::default(), Counters::default());
    let (same, other) = (keyed(&keys, "k", "text"), keyed(&keys, "k", "other"));
    let publish = |it, offset, now| keys.publish(it, position(offset), now, &counters);
    publish(same, 1, at(0)).unwrap();
    let last = CoarseInstant(at(5).0 - 1);
    for now in [at(0), at(4), last] {
        assert_eq!(
            publish(same, 2, now),
            Err(Known::Same(position(1))),
            "not longer for being asked"
        );
        assert_eq!(publish(other, 2, now), Err(Known::Reused));
    }
    publish(other, 3, at(5)).unwrap();
    assert_eq!(publish(other, 4, at(9)), Err(Known::Same(position(3))));
    assert_eq!(counters.snapshot().keys_evicted, 0, "it was time");
    assert_eq!(keys.sizes(), [1, 1, 0]);
}

#[test]
fn a_key_is_known_in_its_room_and_scope_alone_and_as_what_it_was_sent_with() {
    let (keys, counters) = (Keys::default(), Counters::default());
    let key = Key::new("k").unwrap();
    let scopes = [
        Scope::Host,
        Scope::Anonymous,
        Scope::Identity(""),
        Scope::Identity("a"),
        Scope::Identity("b"),
    ];
    let all = ["r", "s"].into_iter().flat_map(|room| scopes.map(|scope| (room, scope)));
    for (room, scope) in all {
        let it = keys.known_by(room, scope, &key, &message("x"));
        keys.publish(it, position(1), at(0), &counters).unwrap();
        let known = keys.publish(it, position(2), at(0), &counters);
        assert_eq!(known, Err(Known::Same(position(1))), "{room} {scope:?}");
        let binary = Message::new(Kind::Binary, b"x").unwrap();
        let it = keys.known_by(room, scope, &key, &binary);
        assert_eq!(keys.publish(it, position(2), at(0), &counters), Err(Known::Reused));
    }
    // All of it counts, however long it is.
    for end in ["a", "b"] {
        let (room, identity) = ("r".repeat(128), format!("{}{end}", "i".repeat(255)));
        let it = keys.known_by(&room, Scope::Identity(&identity), &key, &message("x"));
        keys.publish(it, position(1), at(0), &counters).unwrap();
    }
    // Where one ends and the next begins counts.
    let it = keys.known_by("r", Scope::Identity("ak"), &Key::new("kk").unwrap(), &message("x"));
    keys.publish(it, position(1), at(0), &counters).unwrap();
    let it = keys.known_by("r", Scope::Identity("akk"), &key, &message("x"));
    keys.publish(it, position(1), at(0), &counters).unwrap();
}

#[test]
fn with_the_window_full_the_oldest_key_goes_and_is_counted() {
    assert_eq!((MAX_KEYS, KNOWN_FOR), (100_000, Duration::from_secs(300)), "as documented");
    let (keys, counters) = (Keys::with_most(10), Counters::default());
    let publish = |number: u64| {
        let it = keyed(&keys, &number.to_string(), "text");
        keys.publish(it, position(number), at(0), &counters)
    };
    for number in 1..=1000 {
        publish(number).unwrap();
        assert!(keys.sizes()[..2].iter().all(|size| *size <= 10));
    }
    assert_eq!(counters.snapshot().keys_evicted, 990);
    for number in 991..=1000 {
        assert_eq!(publish(number), Err(Known::Same(position(number))));
    }
    publish(990).unwrap();
    assert_eq!(counters.snapshot().keys_evicted, 991);
}

#[test]
fn the_keys_of_a_burst_are_forgotten_when_their_time_is_over_and_do_not_count_as_evicted() {
    let (keys, counters) = (Keys::with_most(1000), Counters::default());
    for number in 0..1000 {
        let it = keyed(&keys, &number.to_string(), "text");
        keys.publish(it, position(1), at(0), &counters).unwrap();
    }
    // Each publication forgets a few; none waits for all of them.
    for number in 0..400 {
        let it = keyed(&keys, &format!("later {number}"), "text");
        keys.publish(it, position(2), at(6), &counters).unwrap();
        let left = keys.sizes()[0];
        assert!(left + 3 * (number + 1) >= 1000, "{left}");
    }
    assert_eq!(keys.sizes(), [400, 400, 0]);
    assert_eq!(counters.snapshot().keys_evicted, 0);
    // A key that is noted again though its old entry is still there is kept for its new time.
    let keys = Keys::with_most(1000);
    for number in 0..20 {
        let it = keyed(&keys, &number.to_string(), "text");
        keys.publish(it, position(1), at(0), &counters).unwrap();
    }
    let again = keyed(&keys, "19", "text");
    keys.publish(again, position(5), at(6), &counters).unwrap();
    for number in 0..10 {
        let it = keyed(&keys, &format!("later {number}"), "text");
        keys.publish(it, position(2), at(7), &counters).unwrap();
    }
    let known = keys.publish(again, position(9), at(10), &counters);
    assert_eq!(known, Err(Known::Same(position(5))));
}

#[test]
fn a_key_that_is_reserved_makes_the_same_message_wait_and_another_one_reused() {
    let (keys, counters) = (Keys::default(), Counters::default());
    let (same, other) = (keyed(&keys, "k", "text"), keyed(&keys, "k", "other"));
    let reserve = |it, number| {
        let (client, decision) = decision(number);
        keys.reserve(it, client, decision, at(0))
    };
    assert_eq!(reserve(same, 1), Reservation::First);
    assert_eq!(reserve(same, 2), Reservation::Repeat);
    assert_eq!(reserve(other, 3), Reservation::Known(Known::Reused));
    assert_eq!(reserve(same, 4), Reservation::Repeat);
    assert!(keys.settle(same, decision(2).1).is_empty(), "it is not the first");
    let repeats: Vec<_> = keys.settle(same, decision(1).1).iter().map(|it| it.decision).collect();
    assert_eq!(repeats, [decision(2).1, decision(4).1]);
    // A refusal has freed it.
    assert_eq!(reserve(other, 5), Reservation::First);
    keys.publish(other, position(3), at(1), &counters).unwrap();
    assert_eq!(reserve(other, 6), Reservation::Known(Known::Same(position(3))));
    assert!(keys.settle(other, decision(5).1).is_empty());
    assert_eq!(keys.sizes(), [1, 1, 0]);
}
