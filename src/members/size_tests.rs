//! What a membership costs, measured: the difference in resident memory, in a process of its own.

use std::{fs, process::Command, sync::Arc};

use super::{Known, MemberTable};
use crate::{
    age_clock::AgeClock,
    context::Context,
    event::ClientId,
    fanout::command::{RoomHead, RoomId},
    options::{Members, Options},
    published::Name,
};

/// Tells the child what it is.
const CHILD: &str = "LIBCHAT_TEST_MEMBER_SIZE";

const CLIENTS: u64 = 10_000;
const ROOMS_EACH: u64 = 5;

/// The most that a membership of a client with an identity and a name may cost, in bytes.
const MOST: u64 = 120;

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Puts 10,000 clients into five rooms each, of so many. Returns how many bytes each membership costs.
fn cost_in(rooms: u64) -> u64 {
    let options = Options { members: Members::Clients, occupancy: true, ..Options::default() };
    let context = Context::with_clock(options, Vec::new(), AgeClock::default());
    let table = MemberTable::new(&context, 4).expect("the options ask for it");
    let rooms: Vec<_> = (0..rooms)
        .map(|room| RoomHead {
            id: RoomId(room + 1),
            name: format!("a room with number {room}").into(),
            epoch: 0,
        })
        .collect();
    // A client has these whether or not members are kept.
    let profiles: Vec<(Arc<str>, Name)> = (0..CLIENTS)
        .map(|client| {
            let name = Name { text: format!("name {client}").into(), is_claimed: false };
            (format!("the identity of user {client}").into(), name)
        })
        .collect();
    let before = resident_bytes();
    for (number, (identity, name)) in profiles.iter().enumerate() {
        let client = ClientId::new(number as u64 + 1, number % 4);
        let mut beside: Option<&str> = None;
        for place in 0..ROOMS_EACH {
            let room = &rooms[(number as u64 * ROOMS_EACH + place) as usize % rooms.len()];
            let known = || Known::new(client, Some(Arc::clone(identity)), Some(name.clone()));
            table.enter(room, client, beside, None, known);
            beside = Some(&room.name);
        }
    }
    let cost = (resident_bytes() - before) / (CLIENTS * ROOMS_EACH);
    assert_eq!(table.count(&rooms[0].name), Some((CLIENTS * ROOMS_EACH) as usize / rooms.len()));
    cost
}

#[test]
fn a_membership_costs_at_most_120_bytes_with_an_identity_and_a_name_in_large_rooms_and_small_ones()
{
    if let Ok(rooms) = std::env::var(CHILD) {
        println!("cost={}", cost_in(rooms.parse().expect("a number")));
        return;
    }
    for rooms in ["5", "100", "1000"] {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        let name = "members::size_tests::a_membership_costs_at_most_120_bytes_with_an_identity_and_a_name_in_large_rooms_and_small_ones";
        let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, rooms).output();
        let output = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
        let cost = output.lines().find_map(|line| line.split("cost=").nth(1));
        let cost: u64 = cost.expect("a cost").trim().parse().expect("a number");
        eprintln!("{rooms} rooms: {cost} bytes a membership");
        assert!((30..=MOST).contains(&cost), "{rooms} rooms: {cost}");
    }
}
