//! The table of members by itself.

use std::{sync::Arc, time::Duration};

use super::{telling::TICK, *};
use crate::{age_clock::AgeClock, fanout::command::RoomHead, options::Options};

fn table(options: Options) -> (Arc<Context>, MemberTable) {
    let options = Options { members: Members::Clients, event_queue: 1, ..options };
    let context = Context::with_clock(options, Vec::new(), AgeClock::scripted());
    let table = MemberTable::new(&context, 1).expect("the options ask for it");
    (context, table)
}

fn client(number: u64) -> ClientId {
    ClientId::new(number, 0)
}

fn enter(table: &MemberTable, room: &RoomHead, id: ClientId, identity: &str) {
    let identity: Arc<str> = identity.into();
    let known = || Known::new(id, Some(identity), None);
    table.enter(room, id, None, Some(Form::Json), known);
}

fn leave(table: &MemberTable, room: &RoomHead, id: ClientId, may_return: bool) {
    table.leave(&room.name, id, may_return, Some(Form::Json));
}

/// The events that wait, each as a word.
fn events(context: &Context) -> Vec<String> {
    let mut events = Vec::new();
    let _ = context.events.take(Duration::ZERO, &mut events);
    let word = |event: &Event| match event {
        Event::MemberEntered { client, identity, .. } => {
            format!("+{}{client}", identity.as_deref().unwrap_or(""))
        }
        Event::MemberLeft { client, identity, .. } => {
            format!("-{}{client}", identity.as_deref().unwrap_or(""))
        }
        Event::RoomOccupied { .. } => "occupied".to_owned(),
        Event::RoomVacated { .. } => "vacated".to_owned(),
        other => format!("{other:?}"),
    };
    events.iter().map(word).collect()
}

#[test]
fn an_identity_enters_with_its_first_client_and_leaves_with_its_last_one_after_the_grace() {
    let (context, table) = table(Options { occupancy: true, ..Options::default() });
    let room = RoomHead::of(1);
    let [a, b, c] = [1, 2, 3].map(client);
    enter(&table, &room, a, "x");
    enter(&table, &room, b, "x");
    assert_eq!(events(&context), ["occupied".to_owned(), format!("+x{a}")]);
    leave(&table, &room, a, true);
    leave(&table, &room, b, true);
    assert_eq!(table.count(&room.name), Some(2));
    context.age_clock.advance(Duration::from_millis(1999));
    while table.expire() {}
    enter(&table, &room, c, "x");
    assert_eq!(table.count(&room.name), Some(2), "one place is taken over");
    let left = table.list(&room.name).expect("it runs");
    assert_eq!([left[0].client, left[1].client], [b, c], "that which is away for longest");
    assert!(events(&context).is_empty());
    context.age_clock.advance(Duration::from_millis(1));
    while table.expire() {}
    assert_eq!(table.count(&room.name), Some(1));
    leave(&table, &room, c, true);
    context.age_clock.advance(Duration::from_millis(1999));
    while table.expire() {}
    assert!(events(&context).is_empty());
    assert!(table.next_due().is_some());
    context.age_clock.advance(Duration::from_millis(1));
    while table.expire() {}
    assert_eq!(events(&context), [format!("-x{c}"), "vacated".to_owned()]);
    while table.next_update().is_some() {}
    assert_eq!(table.sizes(), [0; 3]);
}

#[test]
fn who_is_put_out_leaves_at_once_and_who_has_no_identity_too() {
    let (context, table) = table(Options::default());
    let room = RoomHead::of(1);
    let [a, b] = [1, 2].map(client);
    enter(&table, &room, a, "x");
    enter(&table, &room, b, "");
    events(&context);
    leave(&table, &room, a, false);
    leave(&table, &room, b, true);
    leave(&table, &room, b, true);
    assert_eq!(events(&context), [format!("-x{a}"), format!("-{b}")]);
}

#[test]
fn more_places_than_may_be_kept_are_given_up_earlier_the_oldest_first() {
    let (context, table) = table(Options { max_connections: 1, ..Options::default() });
    let room = RoomHead::of(1);
    for number in 1..=20 {
        let id = client(number);
        enter(&table, &room, id, &format!("user {number} "));
        leave(&table, &room, id, true);
    }
    assert_eq!(table.count(&room.name), Some(AWAY_PER_CONNECTION));
    let gone: Vec<_> = events(&context).into_iter().filter(|it| it.starts_with('-')).collect();
    let expected: Vec<_> = (1..=4).map(|it| format!("-user {it} {}", client(it))).collect();
    assert_eq!(gone, expected);
}

#[test]
fn nothing_is_lost_of_members_while_the_event_queue_is_full_and_the_end_tells_of_all() {
    let (context, table) = table(Options { occupancy: true, ..Options::default() });
    let rooms = [1, 2].map(RoomHead::of);
    for number in 1..=100 {
        enter(&table, &rooms[number as usize % 2], client(number), "");
    }
    for number in 1..=50 {
        leave(&table, &rooms[number as usize % 2], client(number), true);
    }
    enter(&table, &rooms[0], client(200), "x");
    leave(&table, &rooms[0], client(200), true);
    table.end();
    let events = events(&context);
    let count = |start: &str| events.iter().filter(|it| it.starts_with(start)).count();
    assert_eq!([count("+"), count("-"), count("occupied"), count("vacated")], [101, 101, 2, 2]);
    assert_eq!(table.sizes(), [0; 3]);
    assert!(table.list(&rooms[0].name).is_none(), "the server has stopped");
}

#[test]
fn watchers_are_told_at_once_and_then_of_all_that_came_in_250_ms() {
    let (context, table) = table(Options::default());
    let room = RoomHead::of(1);
    let tell = || {
        let update = table.next_update()?;
        assert!(table.next_update().is_none(), "one update a room");
        Some((update.to_old.map(|told| format!("{told:?}")), update.to_new.is_some()))
    };
    enter(&table, &room, client(1), "x");
    assert_eq!(table.next_due(), Some(context.age_clock.now()));
    assert_eq!(tell(), Some((None, true)));
    for number in 2..=5 {
        enter(&table, &room, client(number), "");
        leave(&table, &room, client(number), true);
    }
    assert_eq!(table.next_due(), Some(context.age_clock.now() + TICK));
    context.age_clock.advance(TICK - Duration::from_nanos(1));
    assert_eq!(tell(), None);
    context.age_clock.advance(Duration::from_nanos(1));
    assert_eq!(tell(), None, "they came and went");
    enter(&table, &room, client(7), "");
    context.age_clock.advance(TICK - Duration::from_nanos(1));
    assert_eq!(tell(), None);
    context.age_clock.advance(Duration::from_nanos(1));
    let (old, new) = tell().expect("it is time");
    assert!(old.is_some_and(|told| told.contains("joined: [Known")) && new);
}

#[test]
fn a_room_that_is_left_and_entered_again_by_its_only_watcher_is_listed_once() {
    let (_, table) = table(Options::default());
    let room = RoomHead::of(1);
    for number in 1..=100 {
        enter(&table, &room, client(number), "");
        leave(&table, &room, client(number), true);
    }
    assert_eq!(table.sizes(), [1, 0, 1]);
    assert!(table.next_update().is_none());
    assert_eq!(table.sizes(), [0; 3]);
}
