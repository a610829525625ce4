//! Members over real sockets: right after cuts, floods and reconnects, for the host and for clients that watch.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod peer;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use chat::{ClientId, Config, Error, Event, Members, Server};
use peer::{
    Peer,
    events::Stream,
    eventually,
    host::{Events, server_with},
    objects::field,
};
use serde_json::Value;
use socket2::SockRef;

const GRACE: Duration = Duration::from_millis(700);

fn members(configure: impl FnOnce(&mut Config)) -> Server {
    server_with(|config| {
        config.members(Members::Clients).member_grace(GRACE).occupancy(true).event_queue(100_000);
        configure(config);
    })
}

fn watch(addr: SocketAddr, query: &str) -> Peer {
    Peer::enter_json(addr, &format!("/rooms/a?members=true{query}"))
}

/// Reads up to the next object of members.
fn told(peer: &mut Peer) -> Value {
    peer.until("members").pop().unwrap()
}

fn clients(object: &Value, field: &str) -> Vec<String> {
    let members = object[field].as_array().cloned().unwrap_or_default();
    members.iter().map(|member| member["client"].as_str().unwrap().to_owned()).collect()
}

/// Ends a connection with a reset and no close frame.
fn reset(peer: Peer) {
    SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// The next event of members or rooms, as a word.
fn next(events: &mut Events<'_>) -> String {
    events.find("of members", |event| match event {
        Event::MemberEntered { identity, .. } => Some(format!("+{}", identity.unwrap_or_default())),
        Event::MemberLeft { identity, .. } => Some(format!("-{}", identity.unwrap_or_default())),
        Event::RoomOccupied { .. } => Some("occupied".to_owned()),
        Event::RoomVacated { .. } => Some("vacated".to_owned()),
        _ => None,
    })
}

/// Admits the next client under an identity.
fn admit(server: &Server, events: &mut Events<'_>, identity: &str) -> ClientId {
    let client = events.find("ConnectRequest", |event| match event {
        Event::ConnectRequest { client, .. } => Some(client),
        _ => None,
    });
    server.set_identity(client, identity).unwrap();
    server.accept(client).unwrap();
    client
}

#[test]
fn a_client_that_watches_gets_the_list_behind_live_and_then_what_changes() {
    let server = members(|_| ());
    let addr = server.local_addr();
    let mut ana = watch(addr, "&name=ana");
    let list = told(&mut ana);
    assert_eq!((&list["count"], &list["list"][0]["name"]), (&1.into(), &"ana".into()));
    assert_eq!(list["list"][0]["claimed"], true);
    let ben = Peer::join(addr, "/rooms/a");
    let joined = told(&mut ana);
    assert_eq!((&joined["count"], clients(&joined, "joined").len()), (&2.into(), 1));
    assert!(joined["joined"][0].get("name").is_none() && joined.get("list").is_none());
    let listed = server.members("a").unwrap();
    assert_eq!((listed.len(), server.member_count("a").unwrap()), (2, 2));
    assert_eq!((listed[0].name.as_deref(), listed[0].is_name_claimed), (Some("ana"), true));
    // A name is told too.
    server.set_name(listed[1].client, "Ben").unwrap();
    let renamed = told(&mut ana);
    assert_eq!((&renamed["count"], &renamed["joined"][0]["name"]), (&2.into(), &"Ben".into()));
    assert_eq!(clients(&renamed, "joined"), clients(&joined, "joined"));
    reset(ben);
    let left = told(&mut ana);
    assert_eq!(clients(&left, "left"), clients(&joined, "joined"));
    assert_eq!(left["count"], 1);
    // Who did not ask is told nothing.
    let mut quiet = Peer::enter_json(addr, "/rooms/a");
    told(&mut ana);
    quiet.say(r#"{"id":1,"text":"x"}"#);
    assert!(quiet.until("sent").iter().all(|object| field(object, "type") != "members"));
    assert!(matches!(server.members(""), Err(Error::InvalidRoom(_))));
    assert_eq!(server.members("nowhere").unwrap(), []);
}

#[test]
fn an_event_stream_of_objects_is_told_of_members_and_a_plain_one_not() {
    let server = members(|_| ());
    let mut stream = Stream::open(server.local_addr(), "/rooms/a?format=json&members=true");
    let mut plain = Stream::open(server.local_addr(), "/rooms/a?members=true");
    let list = loop {
        let object: Value = serde_json::from_str(&stream.next().data).unwrap();
        if object["type"] == "members" && object["count"] == 2 {
            break object;
        }
    };
    assert!(list.get("list").is_some() || clients(&list, "joined").len() == 1);
    server.publish("a", chat::Kind::Text, b"hi").unwrap();
    assert_eq!(plain.next().data, "hi");
}

#[test]
fn an_identity_that_comes_back_within_the_grace_never_left_and_one_that_does_not_left_after_it() {
    let server = members(|config| _ = config.admission_timeout(Duration::from_secs(10)));
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let come = |events: &mut Events<'_>, identity: &str, path: &str| {
        let path = path.to_owned();
        let connecting = std::thread::spawn(move || Peer::enter_json(addr, &path));
        let client = admit(&server, events, identity);
        (connecting.join().unwrap(), client)
    };
    let (mut eve, _) = come(&mut events, "eve", "/rooms/a?members=true");
    assert_eq!([next(&mut events), next(&mut events)], ["occupied", "+eve"]);
    told(&mut eve);
    let (ana, first) = come(&mut events, "ana", "/rooms/a?name=ana");
    assert_eq!(next(&mut events), "+ana");
    let first_on_wire = clients(&told(&mut eve), "joined");
    reset(ana);
    eventually("it is away", || server.members("a").unwrap()[1].is_away);
    assert_eq!(server.members("a").unwrap()[1].client, first);
    let (ana, second) = come(&mut events, "ana", "/rooms/a?name=ana");
    let returned = told(&mut eve);
    assert_eq!(returned["returned"][0]["was"].as_str(), Some(&*first_on_wire[0]));
    assert_eq!(returned["count"], 2);
    assert!(returned.get("left").is_none() && returned.get("joined").is_none());
    assert_eq!(server.members("a").unwrap()[1].client, second);
    let cut = Instant::now();
    reset(ana);
    assert_eq!(next(&mut events), "-ana");
    assert!(cut.elapsed() >= GRACE, "too early");
    assert_eq!(clients(&told(&mut eve), "left").len(), 1);
    // The host needs no grace to put somebody out.
    let (_ana, third) = come(&mut events, "ana", "/rooms/a");
    assert_eq!(next(&mut events), "+ana");
    let begun = Instant::now();
    server.disconnect(third, 4000, "enough").unwrap();
    assert_eq!(next(&mut events), "-ana");
    assert!(begun.elapsed() < GRACE, "too late");
    reset(eve);
    assert_eq!([next(&mut events), next(&mut events)], ["-eve", "vacated"]);
}

#[test]
fn a_hundred_that_are_cut_and_come_back_at_once_are_not_said_to_have_left() {
    let server = members(|config| {
        config.admission_timeout(Duration::from_secs(10)).member_grace(Duration::from_secs(30));
    });
    let (addr, mut events) = (server.local_addr(), Events::of(&server));
    let mut peers = Vec::new();
    for round in 0..2 {
        peers.drain(..).for_each(reset);
        // One that comes back before its end is noticed has two places.
        let is_away = || server.members("a").unwrap().iter().all(|member| member.is_away);
        eventually("all are away", is_away);
        for number in 0..100 {
            let mut peer = Peer::connect(addr);
            let head = peer::upgrade_head(addr, "/rooms/a", &[]);
            peer.write(head.as_bytes());
            admit(&server, &mut events, &format!("user {number}"));
            assert_eq!(peer.response().status, 101, "{round}");
            peers.push(peer);
        }
        assert_eq!(server.member_count("a").unwrap(), 100);
    }
    let told = events.now();
    let is_left = |event: &&Event| matches!(event, Event::MemberLeft { .. });
    assert_eq!(told.iter().filter(is_left).count(), 0);
}

#[test]
fn a_peer_that_vanishes_is_no_member_after_the_time_of_the_pings_and_the_grace() {
    let server = members(|config| {
        config.ping_interval(Duration::from_millis(200)).ping_timeout(Duration::from_millis(300));
    });
    let mut events = Events::of(&server);
    let _vanished = Peer::join(server.local_addr(), "/rooms/a");
    let client = events.connected();
    server.set_identity(client, "ana").unwrap();
    for word in ["-", "+ana", "-ana", "vacated"] {
        assert_eq!(next(&mut events), word);
    }
    assert_eq!(server.member_count("a").unwrap(), 0);
}

#[test]
fn a_client_whose_messages_wait_for_review_is_no_member_once_its_connection_has_ended() {
    let server = members(|config| {
        config.review_timeout(Duration::from_secs(60)).member_grace(Duration::ZERO);
    });
    let mut events = Events::of(&server);
    let mut ana = Peer::join(server.local_addr(), "/rooms/a");
    ana.say("undecided");
    let decision = events.find("MessageRequest", |event| match event {
        Event::MessageRequest { decision, .. } => Some(decision),
        _ => None,
    });
    reset(ana);
    assert_eq!([next(&mut events), next(&mut events)], ["-", "vacated"]);
    assert_eq!(server.member_count("a").unwrap(), 0);
    server.allow(decision).unwrap();
    events.find("Message", |event| matches!(event, Event::Message { .. }).then_some(()));
    assert!(!events.now().iter().any(|event| matches!(event, Event::MemberLeft { .. })));
}

#[test]
fn the_host_says_who_may_watch() {
    let server = members(|config| _ = config.members(Members::Host));
    let mut events = Events::of(&server);
    let mut ana = watch(server.local_addr(), "");
    let id = events.connected();
    ana.say(r#"{"id":1,"text":"x"}"#);
    assert!(ana.until("sent").iter().all(|object| field(object, "type") != "members"));
    server.set_members(id, true).unwrap();
    assert_eq!(told(&mut ana)["list"].as_array().unwrap().len(), 1);
    server.set_members(id, false).unwrap();
    let _ben = Peer::enter_json(server.local_addr(), "/rooms/a");
    eventually("both are there", || server.member_count("a").unwrap() == 2);
    server.set_members(id, true).unwrap();
    assert_eq!(told(&mut ana)["list"].as_array().unwrap().len(), 2);
    assert!(matches!(server.set_members(ClientId::from_u64(7), true), Err(Error::ClientNotFound)));
    let off = server_with(|_| ());
    assert!(matches!(off.members("a"), Err(Error::Unsupported(_))));
    assert!(matches!(off.set_members(id, true), Err(Error::Unsupported(_))));
}

#[test]
fn of_more_than_200_members_the_number_alone_is_told_until_there_are_150() {
    let server = members(|_| ());
    let addr = server.local_addr();
    let mut ana = watch(addr, "");
    told(&mut ana);
    let begun = Instant::now();
    let mut others: Vec<_> = (0..200).map(|_| Peer::join(addr, "/rooms/a")).collect();
    let mut objects: BTreeMap<String, usize> = BTreeMap::new();
    let mut bytes = 0;
    let mut until = |ana: &mut Peer, count: u64, is_listed: bool| loop {
        let object = told(ana);
        let is_list = object.get("list").is_some();
        let is_alone = !is_list && object.get("joined").is_none() && object.get("left").is_none();
        *objects.entry(if is_alone { "count" } else { "list" }.to_owned()).or_default() += 1;
        bytes += object.to_string().len();
        if object["count"] == count && is_alone != is_listed {
            return object;
        }
    };
    until(&mut ana, 201, false);
    others.drain(150..).for_each(reset);
    until(&mut ana, 151, false);
    reset(others.pop().unwrap());
    let listed = until(&mut ana, 150, true);
    assert_eq!(listed["list"].as_array().unwrap().len(), 150);
    // Four objects a second at most, each of at most 200 members.
    let most = begun.elapsed().as_millis() as usize / 250 + 2;
    let count = objects.values().sum::<usize>();
    assert!(count <= most && bytes <= count * 200 * 60, "{objects:?} of {most}, {bytes} bytes");
}

#[test]
fn when_the_server_stops_everybody_has_left_and_each_room_is_vacated_before_the_last_event() {
    let server = members(|config| _ = config.member_grace(Duration::from_secs(60)));
    let addr = server.local_addr();
    let mut events = Events::of(&server);
    let _peers: Vec<_> =
        (0..20).map(|number| Peer::join(addr, &format!("/rooms/{}", number % 3))).collect();
    for number in 0..20 {
        let client = events.connected();
        server.set_identity(client, &format!("user {number}")).unwrap();
    }
    server.request_stop();
    let (mut left, mut vacated) = (0, 0);
    loop {
        match events.next() {
            Event::MemberLeft { identity: Some(_), .. } => left += 1,
            Event::RoomVacated { .. } => vacated += 1,
            Event::Stopped => break,
            _ => {}
        }
    }
    assert_eq!((left, vacated), (20, 3));
    assert!(matches!(server.members("0"), Err(Error::Stopped)));
}
