//! What is tried: a server's options and its clients' ways, as a seed says.

use std::{ops::Range, time::Duration};

use chat::{Server, SlowConsumer};

use super::chance::Chance;
use crate::{peer::host::server_with, promise::Echo};

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) workers: usize,
    pub(crate) threads: usize,
    /// How many deeds each thread of the host does.
    pub(crate) deeds: usize,
    /// Behind how many of a hundred deeds a thread of the host rests.
    pub(crate) rests: usize,
    pub(crate) drops: bool,
    pub(crate) max_message_size: usize,
    pub(crate) outbox_size: usize,
    pub(crate) outbox_age: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) has_history: bool,
    pub(crate) ways: Vec<Way>,
}

pub(crate) const ROOMS: usize = 6;
const CLIENTS: usize = 12;
/// So many that not all of a room's members are written to in one go.
const CROWD: usize = 80;
/// So many of whom most come one after the other while others speak.
const RUSH: usize = 40;

/// How many messages each room has before the first client comes, if it keeps any.
pub(crate) const PAST: usize = 5;

/// How far the host is, in thousandths of all that it does.
pub(crate) type Progress = usize;
pub(crate) const END: Progress = 1000;
/// When the host has done all, and all that clients said is heard: the server is about to stop.
pub(crate) const FINALE: Progress = 2000;

/// What one client does.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) room: usize,
    pub(crate) history: usize,
    pub(crate) echo: Echo,
    /// When it comes; 0: before the host begins.
    pub(crate) comes: Progress,
    /// When it reads nothing.
    pub(crate) pause: Range<Progress>,
    pub(crate) leaves: Leaving,
    /// How many messages it says.
    pub(crate) says: usize,
    /// Whether its socket and the server's take little.
    pub(crate) is_narrow: bool,
    pub(crate) answers_pings: bool,
}

/// How a client leaves, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It is there until the server stops.
    Never,
    Closes(Progress, u16),
    Vanishes(Progress),
}

/// The first client is in all rooms from the beginning, so that none is forgotten.
pub(crate) const KEEPER: usize = 0;

impl Case {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        let drops = chance.percent(50);
        let has_history = chance.percent(50);
        let max_message_size = chance.pick(&[4 << 10, 64 << 10]);
        // A room without history and without its keeper would be forgotten, and be another one then.
        let is_small = drops || has_history;
        let ages = [20, 100, 1000, 5000].map(Duration::from_millis);
        let (clients, late, most_deeds) = match chance.below(10) {
            0..2 => (CROWD, 10, 400),
            2..4 => (RUSH, 80, 1000),
            _ => (CLIENTS, 20, 1500),
        };
        let mut case = Self {
            workers: 1 + chance.below(2),
            threads: 1 + chance.below(2),
            deeds: 200 + chance.below(most_deeds),
            rests: chance.pick(&[0, 2, 5, 10]),
            drops,
            max_message_size,
            outbox_size: if is_small { max_message_size / 3 * 4 + (5 << 10) } else { 64 << 20 },
            outbox_age: if is_small { chance.pick(&ages) } else { Duration::from_secs(3600) },
            ping_interval: chance.pick(&[Duration::ZERO, Duration::from_millis(30)]),
            has_history,
            ways: Vec::new(),
        };
        let way = |client| case.way(client, late, is_small, chance);
        case.ways = (0..clients).map(way).collect();
        case
    }

    fn way(&self, client: usize, late: usize, is_small: bool, chance: &mut Chance) -> Way {
        let (from, to) = (chance.below(END), chance.below(END / 2));
        let when = chance.below(END);
        let mut way = Way {
            room: if chance.percent(50) { 0 } else { chance.below(ROOMS) },
            history: if self.has_history { chance.pick(&[0, 3, 20, 50]) } else { 0 },
            echo: chance.pick(&[Echo::On, Echo::On, Echo::Off, Echo::Changes]),
            comes: if chance.percent(late) { chance.below(END / 2) } else { 0 },
            pause: match chance.below(10) {
                0..6 => 0..0,
                6..8 => from..from + to,
                // It never reads again before the server stops.
                _ => from..FINALE,
            },
            leaves: Leaving::Never,
            says: chance.pick(&[0, 20, 200, 500]),
            is_narrow: is_small && chance.percent(50),
            answers_pings: chance.percent(50),
        };
        if way.comes > 0 && self.has_history {
            // Its past and its present are to fit together.
            way.history = chance.pick(&[3, 20, 50]);
        }
        if client == KEEPER {
            return Way { comes: 0, pause: 0..0, is_narrow: false, ..way };
        }
        if way.pause.end == FINALE && chance.percent(50) {
            way.leaves = Leaving::Vanishes(FINALE);
        } else if chance.percent(25) {
            way.leaves = match chance.below(3) {
                0 => Leaving::Vanishes(when),
                _ => Leaving::Closes(when, chance.pick(&[1000, 4001])),
            };
            if let Leaving::Closes(..) = way.leaves
                && way.pause.end > END
            {
                // It reads on, and waits for the answer to its close frame.
                way.pause.end = END;
            }
        }
        way
    }

    pub(crate) fn server(&self) -> Server {
        server_with(|config| {
            config.workers(self.workers).event_queue(1 << 20).publish_timeout(super::PATIENCE);
            config.max_message_size(self.max_message_size);
            config.outbox_size(self.outbox_size).outbox_age(self.outbox_age);
            config.ping_interval(self.ping_interval).ping_timeout(Duration::from_secs(600));
            if self.drops {
                config.slow_consumer(SlowConsumer::DropOldest);
            }
            if !self.has_history {
                // Not 0: without a history there are no positions, by which messages are ordered here.
                config.history_messages(1);
            }
        })
    }
}

/// The name of a room.
pub(crate) fn room_name(room: usize) -> String {
    format!("room-{room}")
}
