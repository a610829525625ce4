//! Whatever happens to an outbox of the JSON form, its counts are those of what waits, and each message is written or
//! counted as dropped.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    fanout::command::{RoomHead, RoomId},
    frame::{self, Kind},
    json,
    message::Message,
    past::PastGiven,
    position::Position,
    published::Published,
};

const AGE: Duration = Duration::from_secs(5);

/// An outbox to which random things happen.
struct Run {
    outbox: Outbox,
    state: u64,
    now: Instant,
    /// Messages that were pushed, and that were dropped.
    pushed: u64,
    dropped: u64,
    /// Whether everything was dropped, with what was told of earlier drops.
    is_closed: bool,
    written: Vec<u8>,
    /// The pasts that are being read.
    loads: Vec<u64>,
}

impl Run {
    fn below(&mut self, most: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) as usize % most
    }

    fn object(&mut self) -> Vec<u8> {
        let room = ["a", "b", "a room with a longer name"][self.below(3)];
        let len = [3, 3, 100, 3000, 70_000][self.below(5)];
        let text = "x".repeat(len);
        match self.below(8) {
            0..4 => {
                self.pushed += 1;
                let position = Position { epoch: 14, offset: self.pushed };
                format!(r#"{{"type":"message","room":"{room}","position":"{position}","text":"{text}"}}"#)
            }
            4 => {
                self.pushed += 1;
                r#"{"type":"broadcast","time":1,"text":"x"}"#.to_owned()
            }
            5 => format!(r#"{{"type":"entered","room":"{room}","position":"e-0"}}"#),
            6 => format!(r#"{{"type":"history","room":"{room}","text":"{text}"}}"#),
            _ => format!(r#"{{"type":"sent","room":"{room}"}}"#),
        }
        .into_bytes()
    }

    fn push(&mut self) {
        let mut frames = Vec::new();
        for _ in 0..=self.below(4) {
            let object = self.object();
            frame::append_data(&mut frames, Kind::Text, &object);
        }
        self.outbox.push(&frames.into(), 0, false, self.now);
    }

    fn replay(&mut self) -> Replay {
        let count = self.below(40);
        let len = [1, 3000][self.below(2)];
        let message = || Published::of(Message::new(Kind::Text, &vec![b'y'; len]).unwrap());
        let past = PastGiven::of((0..count).map(|_| message()).collect());
        let past = PastGiven { position: Position { epoch: 14, offset: self.pushed }, ..past };
        self.pushed += count as u64;
        let room = RoomHead { id: RoomId(1), name: "r".into(), epoch: 14 };
        Replay::new(Arc::new(room), Form::Json, past)
    }

    fn write(&mut self) {
        let front: Vec<u8> = self.outbox.front().iter().flat_map(|it| it.to_vec()).collect();
        let is_blocked = self.outbox.is_empty() || self.outbox.is_loading();
        assert_eq!(front.is_empty(), is_blocked, "what waits can be written");
        let most = [front.len(), 200][self.below(2)].min(front.len());
        let taken = self.below(most + 1);
        self.written.extend_from_slice(&front[..taken]);
        self.outbox.advance(taken, self.now);
    }

    fn step(&mut self) {
        let now = self.now;
        match self.below(20) {
            0..7 => self.push(),
            7 => {
                let replay = self.replay();
                self.outbox.push_replay(replay, now);
            }
            8 => {
                let load = self.state;
                self.loads.push(load);
                let replay = Replay::new(RoomHead::of(1), Form::Json, PastGiven::loading(load));
                self.outbox.push_replay(replay, now);
                assert!(self.outbox.awaits(load));
            }
            9 | 10 if !self.loads.is_empty() => {
                let index = self.below(self.loads.len());
                let load = self.loads.swap_remove(index);
                if self.outbox.awaits(load) {
                    let replay = self.replay();
                    self.outbox.load(load, replay, now);
                }
                assert!(!self.outbox.awaits(load));
            }
            11 if self.below(4) == 0 => {
                self.outbox.give_up_loading(now);
                assert!(!self.outbox.is_loading());
                assert!(!self.loads.drain(..).any(|load| self.outbox.awaits(load)));
            }
            12 => self.outbox.push(&Bytes::from_static(frame::PING), 0, true, now),
            13 => self.outbox.push_pong(&Bytes::from_static(frame::PING), now),
            14 => {
                let bound = self.below(200_000);
                self.dropped += self.outbox.trim(bound);
            }
            15 => {
                let eighths = self.below(8) as u32;
                self.now += AGE * eighths / 8;
                self.dropped += self.outbox.drop_older_than(AGE, self.now);
            }
            16 if self.below(20) == 0 => {
                self.dropped += self.outbox.drop_all();
                self.is_closed = true;
                self.loads.clear();
            }
            _ => self.write(),
        }
        self.check();
    }

    fn check(&self) {
        let outbox = &self.outbox;
        outbox.kept.check();
        let sizes = outbox.chunks.iter().map(Chunk::size).sum::<usize>();
        assert_eq!(outbox.size(), sizes + outbox.kept.size());
        let count = |is: fn(ChunkKind) -> bool| {
            outbox.kept.chunks().chain(&outbox.chunks).filter(|chunk| is(chunk.kind)).count()
        };
        assert_eq!(outbox.controls(), count(ChunkKind::is_control));
        assert_eq!(outbox.pongs, count(|kind| kind == ChunkKind::Pong));
        assert_eq!(outbox.replays.len(), count(|kind| kind == ChunkKind::Replay));
        let is_begun =
            outbox.first().is_some_and(|chunk| chunk.begun > 0 && !chunk.kind.is_replay());
        assert_eq!(outbox.begun() > 0, is_begun);
    }

    /// Writes the rest. Each message is there, or counted; what is told of dropped ones is as much as was dropped.
    fn finish(mut self) {
        self.outbox.give_up_loading(self.now);
        while !self.outbox.is_empty() {
            self.write();
        }
        self.check();
        assert_eq!((self.outbox.size(), self.outbox.replays.len()), (0, 0));
        let (mut left, mut received, mut told) = (&self.written[..], 0, 0);
        while !left.is_empty() {
            let (first, rest) = left.split_at(frame::first_len(left));
            received += u64::from(json::parse_message(first).is_some());
            if first[0] == 0x81 {
                let object: serde_json::Value =
                    serde_json::from_slice(frame::payload(first)).expect("an object");
                told += object["count"].as_u64().unwrap_or(0);
            }
            left = rest;
        }
        assert_eq!(received + self.dropped, self.pushed);
        assert!(told <= self.dropped && (told == self.dropped || self.is_closed));
    }
}

#[test]
fn what_an_outbox_counts_is_what_waits_and_with_replays_too_each_message_is_written_or_counted() {
    for seed in 0..60 {
        let (now, outbox) = (Instant::now(), Outbox::new(Form::Json));
        let (loads, written) = Default::default();
        let mut run = Run {
            outbox,
            state: seed,
            now,
            pushed: 0,
            dropped: 0,
            is_closed: false,
            written,
            loads,
        };
        (0..200).for_each(|_| run.step());
        run.finish();
    }
}
