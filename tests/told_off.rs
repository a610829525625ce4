//! Who was told off says no more: what the host has said of a client holds for all that the client
//! says after the call has returned, however much the server has to do meanwhile.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;
#[path = "told_off/scene.rs"]
mod scene;

use std::{collections::HashSet, io::Write};

use chat::{Event, Handle, Kind};
use scene::{
    Arrival::{self, Accepted, Asking, Connected, Hasty},
    SAID, count_late, for_each, said,
};

/// How many clients are told off one after the other, and what each of them says then.
const TOLD_OFF: usize = 80;
const SAID_BY_EACH: usize = 20;

/// The ways to come in as a client that is connected when the host says something of it.
const CONNECTED: [Arrival; 3] = [Connected, Hasty, Accepted];

#[test]
fn what_is_said_after_a_leave_is_not_said_to_the_room() {
    for_each(&CONNECTED, |mut scene| {
        let mut client = scene.client();
        scene.say_after(&mut client, |server, id| server.leave(id, "own"));
        let heard = scene.heard();
        let to_a_room = heard.iter().filter(|heard| !heard.room.is_empty()).count();
        assert_eq!(to_a_room, 0, "of {SAID} messages to the room that was left ({})", scene.name);
        assert!(heard.iter().all(|heard| heard.offset == 0));
    });
}

#[test]
fn what_is_said_after_a_leave_is_said_to_the_next_room() {
    for_each(&CONNECTED, |mut scene| {
        let mut client = scene.client();
        scene.server.join(client.1, "next").unwrap();
        // In a room that the host has joined it to, a client that waits speaks there at first.
        let room = if scene.arrival == Accepted { "next" } else { "own" };
        let expected = if room == "next" { "own" } else { "next" };
        scene.say_after(&mut client, |server, id| server.leave(id, room));
        let heard = scene.heard();
        scene.assert_all_in(&heard, expected);
    });
}

#[test]
fn what_is_said_after_a_join_is_said_to_the_room() {
    for_each(&CONNECTED, |mut scene| {
        let mut witness = scene.bystander("/rooms/given");
        let mut client = scene.client();
        scene.server.leave(client.1, "own").unwrap();
        scene.say_after(&mut client, |server, id| server.join(id, "given"));
        let heard = scene.heard();
        scene.assert_all_in(&heard, "given");
        assert_eq!(scene.came_back(&mut client), SAID, "came back ({})", scene.name);
        scene.server.publish("given", Kind::Text, b"end").unwrap();
        assert_eq!(count_late(&mut witness), SAID, "reached the room ({})", scene.name);
    });
}

#[test]
fn what_is_said_after_the_acceptance_is_said_to_the_room() {
    for_each(&[Asking], |mut scene| {
        let mut client = scene.client();
        scene.say_after(&mut client, Handle::accept);
        let heard = scene.heard();
        scene.assert_all_in(&heard, "own");
        assert_eq!(scene.came_back(&mut client), SAID, "came back ({})", scene.name);
    });
}

#[test]
fn what_is_said_of_a_client_before_it_is_accepted_holds_for_all_that_it_says() {
    for_each(&[Asking], |mut scene| {
        let mut client = scene.client();
        scene.say_after(&mut client, |server, id| {
            server.set_identity(id, "new")?;
            server.set_echo(id, false)?;
            server.leave(id, "own")?;
            server.join(id, "given")?;
            server.accept(id)
        });
        let heard = scene.heard();
        scene.assert_all_in(&heard, "given");
        assert!(heard.iter().all(|heard| heard.identity.as_deref() == Some("new")));
        assert_eq!(scene.came_back(&mut client), 0, "came back ({})", scene.name);
    });
}

#[test]
fn what_is_said_after_an_identity_is_set_carries_it() {
    for_each(&CONNECTED, |mut scene| {
        let mut client = scene.client();
        scene.server.set_identity(client.1, "old").unwrap();
        scene.say_after(&mut client, |server, id| server.set_identity(id, "new"));
        let heard = scene.heard();
        let others = heard.iter().filter(|heard| heard.identity.as_deref() != Some("new"));
        assert_eq!(others.count(), 0, "of {SAID} messages carry another ({})", scene.name);
    });
}

#[test]
fn what_is_said_after_a_name_is_set_is_seen_under_it() {
    for_each(&CONNECTED, |mut scene| {
        let mut witness = scene.bystander("/rooms/own?format=json");
        let mut client = scene.client();
        scene.server.set_name(client.1, "old").unwrap();
        scene.say_after(&mut client, |server, id| server.set_name(id, "new"));
        scene.heard();
        scene.server.publish("own", Kind::Text, b"end").unwrap();
        let (mut late, mut named) = (0, 0);
        loop {
            let text = witness.text();
            if text.contains(r#""text":"late""#) {
                late += 1;
                named += usize::from(text.contains(r#""name":"new""#));
            }
            if text.contains(r#""text":"end""#) {
                break;
            }
        }
        assert_eq!((late, named), (SAID, SAID), "({})", scene.name);
    });
}

#[test]
fn what_is_said_after_echo_is_turned_off_does_not_come_back() {
    for_each(&CONNECTED, |mut scene| {
        let mut client = scene.client();
        scene.say_after(&mut client, |server, id| server.set_echo(id, false));
        scene.heard();
        let came_back = scene.came_back(&mut client);
        assert_eq!(came_back, 0, "of {SAID} messages came back ({})", scene.name);
    });
}

#[test]
fn what_is_said_after_echo_is_turned_on_comes_back() {
    for_each(&CONNECTED, |mut scene| {
        let mut client = scene.client();
        scene.server.set_echo(client.1, false).unwrap();
        scene.say_after(&mut client, |server, id| server.set_echo(id, true));
        scene.heard();
        let came_back = scene.came_back(&mut client);
        assert_eq!(came_back, SAID, "came back ({})", scene.name);
    });
}

#[test]
fn what_is_said_after_a_disconnect_is_heard_by_nobody() {
    for_each(&CONNECTED, |mut scene| {
        let mut witness = scene.bystander("/rooms/own");
        let mut clients: Vec<_> = (0..TOLD_OFF).map(|_| scene.client()).collect();
        let messages = said("late", SAID_BY_EACH);
        scene.keep_busy();
        if scene.arrival == Accepted {
            for (_, id) in &clients {
                scene.server.accept(*id).unwrap();
            }
            scene.keep_busy();
        }
        for (peer, id) in &mut clients {
            peer.write(&said("early", 5));
            scene.server.disconnect(*id, 4000, "enough").unwrap();
            // It may be gone already.
            let _ = peer.stream.write_all(&messages);
        }
        let (mut heard_of, mut left) = (HashSet::new(), 0);
        while left < TOLD_OFF {
            match scene.events.next() {
                Event::Message { client, message, .. } if message.as_text() == Some("late") => {
                    heard_of.insert(client);
                }
                Event::Disconnected { .. } => left += 1,
                _ => {}
            }
        }
        assert_eq!(heard_of.len(), 0, "of {TOLD_OFF} clients were heard ({})", scene.name);
        scene.server.publish("own", Kind::Text, b"end").unwrap();
        assert_eq!(count_late(&mut witness), 0, "messages reached the room ({})", scene.name);
    });
}
