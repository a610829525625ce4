//! Random people come, speak, leave and come back over weeks, and the host trims and forgets rooms, against a model of
//! what each room has kept for them. What the host reads is what they get.
//!
//! A failure prints its seed; `MODEL_SEED=… cargo test --lib comebacks` repeats it.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::{
    away::{DAY, HOUR, MARGIN, MINUTE, MOMENT, WINDOW, come, go, new_world, press, say},
    random::Random,
    setting::{objects, read_all},
    world::World,
};
use crate::{
    event::ClientId,
    frame::Kind,
    position::Position,
    stored::{Gap, Range},
};

const ROOMS: [&str; 3] = ["a", "b", "c"];

/// How many people there are.
const PEOPLE: usize = 4;

/// How many steps there are in a world.
const STEPS: usize = 500;

/// What a room has kept. All times are those since the beginning.
#[derive(Debug)]
struct Room {
    /// The epoch that was told last; 0 before the first.
    epoch: u64,
    top: u64,
    /// When each of the last messages was stored.
    stored: VecDeque<Duration>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nobody has been told of it.
    New,
    /// So many people are in it.
    Used(usize),
    /// Nobody is in it. At `due` it is checked whether its last message is too old, since the host may have published
    /// meanwhile. `left` is when its last client has left it, if it had one.
    Idle { due: Duration, left: Option<Duration> },
    /// It is known by its position alone, since then.
    Forgotten(Duration),
}

/// Somebody who is in a room, or away.
#[derive(Debug, Default)]
struct Person {
    seen: HashMap<&'static str, Position>,
    present: Option<(ClientId, &'static str)>,
}

struct Weeks {
    world: World,
    random: Random,
    now: Duration,
    rooms: BTreeMap<&'static str, Room>,
    people: Vec<Person>,
    epochs: HashSet<u64>,
    pressed: u64,
    /// What people were told, and how often.
    told: BTreeMap<String, usize>,
}

impl Room {
    fn kept(&self, now: Duration) -> usize {
        self.stored.iter().filter(|stored| now - **stored <= HOUR).count()
    }

    fn store(&mut self, now: Duration) {
        self.top += 1;
        self.stored.push_back(now);
        if self.stored.len() > WINDOW {
            self.stored.pop_front();
        }
    }

    /// Time has passed: it is checked at each time that it was due.
    fn pass(&mut self, now: Duration) {
        while let State::Idle { due, .. } = &mut self.state
            && *due <= now
        {
            let (at, last) = (*due, *self.stored.back().expect("an idle room has messages"));
            if at - last > HOUR {
                self.forget(at);
            } else {
                *due = last + HOUR + MARGIN;
            }
        }
    }

    fn forget(&mut self, at: Duration) {
        self.stored.clear();
        self.state = State::Forgotten(at);
    }

    /// Whether its position is still known; `None` if both may be.
    fn is_known(&self, now: Duration) -> Option<bool> {
        match self.state {
            State::New => Some(false),
            State::Forgotten(since) if now >= since + 2 * DAY => Some(false),
            State::Forgotten(since) if now > since + DAY => None,
            _ => Some(true),
        }
    }
}

impl Weeks {
    fn new(seed: u64) -> Self {
        let room = || Room { epoch: 0, top: 0, stored: VecDeque::new(), state: State::New };
        Self {
            world: new_world(seed),
            random: Random::new(seed),
            now: Duration::ZERO,
            rooms: ROOMS.map(|name| (name, room())).into(),
            people: (0..PEOPLE).map(|_| Person::default()).collect(),
            epochs: HashSet::new(),
            pressed: 0,
            told: BTreeMap::new(),
        }
    }

    fn step(&mut self) {
        let index = self.random.below(PEOPLE);
        let (name, present) = (self.random.pick(&ROOMS), self.people[index].present);
        match (self.random.below(12), present) {
            (0, _) => self.publish(name),
            (1, _) => self.press(),
            (2 | 3, _) => self.pass(),
            (4, _) => self.trim(name),
            (5, _) if self.random.once_in(3) => self.forget(name),
            (_, None) => self.come(index, name),
            (6..=8, Some((id, room))) => self.go(index, id, room),
            (_, Some((id, room))) => self.say(id, room),
        }
        self.read();
        for (name, room) in &self.rooms {
            let is_listed = self.world.handle.shared.rooms.by_name(name).is_some();
            let should_be = matches!(room.state, State::Used(_) | State::Idle { .. });
            assert_eq!(is_listed, should_be, "{name}: {room:?}");
        }
    }

    /// Somebody comes to a room, and is told what the model says.
    fn come(&mut self, index: usize, name: &'static str) {
        let seen = self.people[index].seen.get(name).copied();
        let (id, (recovered, count, at)) = come(&mut self.world, name, seen);
        self.people[index].present = Some((id, name));
        self.people[index].seen.insert(name, at);
        self.note_epoch(name, at.epoch);
        let room = self.rooms.get_mut(name).expect("one of the rooms");
        let kept = room.kept(self.now);
        let expected = seen.map(|seen| match room.top.saturating_sub(seen.offset) as usize {
            _ if seen.epoch != room.epoch => (Err("epoch"), kept),
            lacks if lacks <= kept => (Ok(()), lacks),
            _ => (Err("trimmed"), kept),
        });
        let (expected, expected_count) = expected
            .map_or((None, 0), |(outcome, count)| (Some(outcome.map_err(str::to_owned)), count));
        assert_eq!((&recovered, count), (&expected, expected_count), "{seen:?}, {room:?}");
        assert_eq!((at.epoch, at.offset), (room.epoch, room.top));
        let (top, kept) = (at, kept as u64);
        let offsets = |count: u64| (top.offset - count + 1..=top.offset).collect::<Vec<_>>();
        if let Some(seen) = seen {
            // The host reads what the client has got.
            let (read, gap) = self.read_after(name, seen, top);
            assert_eq!(read, offsets(count as u64), "{seen:?}");
            let gap = gap.map(|gap| if gap == Gap::Epoch { "epoch" } else { "trimmed" });
            assert_eq!(
                gap,
                recovered.as_ref().and_then(|it| it.as_ref().err()).map(String::as_str)
            );
        }
        assert_eq!(self.read_after(name, Position::NONE, top), (offsets(kept), None));
        assert_eq!(self.read_before(name, top), offsets(kept));
        let room = self.rooms.get_mut(name).expect("one of the rooms");
        let was = match room.state {
            State::New => "new",
            State::Used(_) => "used",
            State::Idle { .. } => "idle",
            State::Forgotten(_) => "forgotten",
        };
        let some = if count > 0 { ", with messages" } else { "" };
        *self.told.entry(format!("{was}: {recovered:?}{some}")).or_default() += 1;
        let people = if let State::Used(people) = room.state { people } else { 0 };
        room.state = State::Used(people + 1);
    }

    /// Notes which epoch a room has: it is the last one as long as that is known, and else one that nobody has seen.
    fn note_epoch(&mut self, name: &str, epoch: u64) {
        let room = self.rooms.get_mut(name).expect("one of the rooms");
        match room.is_known(self.now) {
            Some(is_known) => assert_eq!(epoch == room.epoch, is_known, "{room:?}"),
            None if epoch == room.epoch => *self.told.entry("known".to_owned()).or_default() += 1,
            None => *self.told.entry("unknown".to_owned()).or_default() += 1,
        }
        if epoch != room.epoch {
            assert!(self.epochs.insert(epoch), "an epoch is used twice");
            (room.epoch, room.top) = (epoch, 0);
        }
    }

    fn go(&mut self, index: usize, id: ClientId, name: &str) {
        go(&mut self.world, id);
        self.people[index].present = None;
        let now = self.now;
        let room = self.rooms.get_mut(name).expect("one of the rooms");
        let State::Used(people) = room.state else { panic!("{room:?}") };
        let last = room.stored.back().filter(|last| now - **last <= HOUR);
        match last.map(|last| *last + HOUR + MARGIN) {
            _ if people > 1 => room.state = State::Used(people - 1),
            Some(due) => room.state = State::Idle { due, left: Some(now) },
            None => room.forget(now),
        }
    }

    fn say(&mut self, id: ClientId, name: &str) {
        say(&mut self.world, id);
        self.rooms.get_mut(name).expect("one of the rooms").store(self.now);
    }

    /// The host publishes to a room.
    fn publish(&mut self, name: &str) {
        let at = self.world.handle.publish(name, Kind::Text, b"x").unwrap();
        self.world.tick_once();
        self.note_epoch(name, at.epoch);
        let room = self.rooms.get_mut(name).expect("one of the rooms");
        if matches!(room.state, State::New | State::Forgotten(_)) {
            room.state = State::Idle { due: self.now + HOUR + MARGIN, left: None };
        }
        room.store(self.now);
        assert_eq!((at.epoch, at.offset), (room.epoch, room.top));
    }

    /// The host reads what comes after a position, some messages at a time.
    fn read_after(
        &mut self,
        name: &str,
        mut after: Position,
        top: Position,
    ) -> (Vec<u64>, Option<Gap>) {
        let (mut offsets, mut gap) = (Vec::new(), None);
        loop {
            let limit = 1 + self.random.below(3);
            let page = self.world.handle.history(name, Range::After(after), limit).unwrap();
            assert_eq!(page.position, top);
            assert!(page.messages.len() == limit || !page.has_more);
            assert!(offsets.is_empty() || page.gap.is_none());
            gap = gap.or(page.gap);
            offsets.extend(page.messages.iter().map(|message| message.position.offset));
            let Some(last) = page.messages.last().filter(|_| page.has_more) else {
                return (offsets, gap);
            };
            after = last.position;
        }
    }

    /// The host reads all that a room keeps, from its end on, some messages at a time.
    fn read_before(&mut self, name: &str, top: Position) -> Vec<u64> {
        let (mut offsets, mut range) = (Vec::new(), Range::Last);
        loop {
            let limit = 1 + self.random.below(3);
            let page = self.world.handle.history(name, range, limit).unwrap();
            assert_eq!((page.position, page.gap), (top, None));
            offsets.extend(page.messages.iter().rev().map(|message| message.position.offset));
            let Some(first) = page.messages.first().filter(|_| page.has_more) else { break };
            range = Range::Before(first.position);
        }
        offsets.reverse();
        offsets
    }

    /// The host drops the messages of a room up to one of them, or up to where it stands.
    fn trim(&mut self, name: &str) {
        let room = self.rooms.get_mut(name).expect("one of the rooms");
        let beyond = Position { epoch: room.epoch, offset: room.top + 1 };
        let up_to = beyond.offset - 1 - self.random.below(WINDOW + 2).min(room.top as usize) as u64;
        let up_to = Position { epoch: room.epoch, offset: up_to };
        if up_to.is_none() {
            return;
        }
        let exists = matches!(room.state, State::Used(_) | State::Idle { .. });
        let other = Position { epoch: room.epoch ^ 1, ..up_to };
        for wrong in [beyond, other] {
            assert_eq!(self.world.handle.trim(name, wrong).is_err(), exists, "{room:?}");
        }
        self.world.handle.trim(name, up_to).unwrap();
        if exists {
            while room.stored.len() as u64 > room.top - up_to.offset {
                room.stored.pop_front();
            }
            if matches!(room.state, State::Idle { .. }) && room.kept(self.now) == 0 {
                room.forget(self.now);
            }
        }
        *self.told.entry("a trim".to_owned()).or_default() += 1;
    }

    /// The host forgets a room: those who are in it are told.
    fn forget(&mut self, name: &'static str) {
        self.world.handle.forget(name).unwrap();
        let room = self.rooms.get_mut(name).expect("one of the rooms");
        room.stored.clear();
        if !matches!(room.state, State::Used(_)) {
            room.state = State::New;
            return;
        }
        let at = self.world.handle.position(name).unwrap();
        assert!(self.epochs.insert(at.epoch), "an epoch is used twice");
        assert_eq!(at.offset, room.top);
        room.epoch = at.epoch;
        self.world.tick_once();
        for person in &mut self.people {
            let Some((id, _)) = person.present.filter(|(_, present)| *present == name) else {
                continue;
            };
            let told = objects(&read_all(&mut self.world, id));
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0]["type"], "entered");
            assert_eq!(
                (&told[0]["recovered"], &told[0]["reason"]),
                (&false.into(), &"epoch".into())
            );
            assert_eq!(told[0]["position"], at.to_string());
            person.seen.insert(name, at);
            *self.told.entry("forgotten while somebody is there".to_owned()).or_default() += 1;
        }
    }

    /// All rooms keep too much: those that were not left just now are forgotten.
    fn press(&mut self) {
        press(&mut self.world, &mut self.pressed);
        for room in self.rooms.values_mut() {
            let State::Idle { left, .. } = room.state else { continue };
            if left.is_none_or(|left| self.now - left >= 2 * MINUTE) {
                room.forget(self.now);
            }
        }
    }

    /// Time passes: often up to where something changes for a room, or just not yet, or just after it.
    fn pass(&mut self) {
        let name = self.random.pick(&ROOMS);
        let room = &self.rooms[name];
        let mut bounds: Vec<_> = room.stored.iter().map(|stored| *stored + HOUR).collect();
        match room.state {
            State::Idle { due, left } => {
                bounds.push(due);
                bounds.extend(left.map(|left| left + 2 * MINUTE));
            }
            State::Forgotten(since) => bounds.extend([since + DAY, since + 2 * DAY]),
            State::New | State::Used(_) => {}
        }
        let left = bounds.into_iter().filter_map(|bound| bound.checked_sub(self.now));
        let mut times: Vec<_> =
            left.flat_map(|left| [left.saturating_sub(MOMENT), left, left + MOMENT]).collect();
        if times.is_empty() || self.random.once_in(2) {
            times = [1, 1, 60, 60, 1800, 3600, 50_000].map(Duration::from_secs).into();
        }
        let time = self.random.pick(&times);
        self.world.age(time);
        self.now += time;
        self.rooms.values_mut().for_each(|room| room.pass(self.now));
    }

    /// Everybody who is there reads: exactly what was published meanwhile.
    fn read(&mut self) {
        for person in &mut self.people {
            let Some((id, name)) = person.present else { continue };
            let seen = person.seen.get_mut(name).expect("it was told where it stands");
            for message in objects(&read_all(&mut self.world, id)) {
                seen.offset += 1;
                assert_eq!(message["position"], seen.to_string());
            }
            let room = &self.rooms[name];
            assert_eq!((seen.epoch, seen.offset), (room.epoch, room.top));
        }
    }
}

#[test]
fn a_client_that_comes_back_after_any_time_gets_what_the_room_has_kept_or_is_told_why_not() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let first = number("MODEL_SEED").unwrap_or(clock.map_or(1, |time| time.as_nanos() as u64));
    let runs = if number("MODEL_SEED").is_some() { 1 } else { number("MODEL_RUNS").unwrap_or(40) };
    let mut told = BTreeMap::<String, usize>::new();
    for seed in (0..runs).map(|run| first.wrapping_add(run)) {
        let outcome = std::panic::catch_unwind(|| {
            let mut weeks = Weeks::new(seed);
            (0..STEPS).for_each(|_| weeks.step());
            weeks.told
        });
        match outcome {
            Ok(told_then) => {
                told_then
                    .into_iter()
                    .for_each(|(what, count)| *told.entry(what).or_default() += count);
            }
            Err(panic) => {
                eprintln!("the model failed: repeat it with MODEL_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    for outcome in [
        r#"idle: Some(Err("trimmed")), with messages"#,
        "idle: Some(Ok(())), with messages",
        "idle: Some(Ok(()))",
        r#"forgotten: Some(Err("trimmed"))"#,
        r#"forgotten: Some(Err("epoch"))"#,
        "forgotten: Some(Ok(()))",
        "known",
        "unknown",
        "a trim",
        "forgotten while somebody is there",
    ] {
        assert!(runs < 10 || told.contains_key(outcome), "{outcome} did not happen: {told:#?}");
    }
}

#[test]
fn what_a_client_says_after_its_room_was_forgotten_comes_behind_the_new_history() {
    let mut world = new_world(1);
    let (id, (_, _, at)) = come(&mut world, "a", None);
    // The shard has not taken the command yet when the client speaks.
    world.handle.forget("a").unwrap();
    say(&mut world, id);
    let new = world.handle.position("a").unwrap();
    assert!(new.epoch != at.epoch && new.offset == at.offset + 1);
    let told: Vec<_> = objects(&read_all(&mut world, id))
        .iter()
        .map(|it| (it["type"].to_string(), it["position"].to_string()))
        .collect();
    let of =
        |kind: &str, offset| (format!("{kind:?}"), format!("\"{}\"", Position { offset, ..new }));
    assert_eq!(told, [of("entered", at.offset), of("message", new.offset)]);
}
