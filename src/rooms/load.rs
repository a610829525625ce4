//! The past of a room on its way from the broker to a client that has entered the room.

use crate::{
    broker::Page,
    event::ClientId,
    json::Reason,
    past::{LastMessages, PastGiven, PastWanted, Since},
    position::Position,
    published::Published,
};

/// How far ahead of this server a client may be that comes from another one.
const MAX_AHEAD: u64 = 1 << 32;

/// What a client that has entered a room is still to get of the past.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) number: u64,
    pub(super) client: ClientId,
    wanted: PastWanted,
    /// The past ends with this offset: the client's first live message is the next one. Known with `plan`.
    pub(super) end: u64,
    /// The offset of the next message to read.
    pub(super) next: u64,
    collected: Vec<Published>,
    recovery: Option<Result<(), Reason>>,
    /// Whether the client has come from further on than this server was: the broker must say whether that can be.
    pub(super) is_ahead: bool,
    /// Whether a part of what it wants is not kept.
    is_trimmed: bool,
    /// How many checks it has waited for.
    pub(super) checks: u64,
}

impl Load {
    pub(super) fn new(number: u64, client: ClientId, wanted: PastWanted) -> Self {
        Self {
            number,
            client,
            wanted,
            end: 0,
            next: 1,
            collected: Vec::new(),
            recovery: None,
            is_ahead: false,
            is_trimmed: false,
            checks: 0,
        }
    }

    /// Fixes the range to read, for a client whose live messages begin behind the position `top`.
    pub(super) fn plan(&mut self, top: Position) {
        self.collected.clear();
        self.is_trimmed = false;
        self.is_ahead = false;
        self.end = top.offset;
        if let Some(Since::Position(since)) = self.wanted.since
            && since.epoch == top.epoch
            && since.offset > top.offset
            && since.offset - top.offset < MAX_AHEAD
        {
            self.is_ahead = true;
            self.recovery = Some(Ok(()));
            self.next = top.offset + 1;
            self.end = since.offset;
            return;
        }
        // What is kept is found out by reading.
        let kept = usize::try_from(top.offset).unwrap_or(usize::MAX);
        let (count, recovery) = self.wanted.of(top, kept);
        self.recovery = recovery;
        self.next = top.offset + 1 - count as u64;
    }

    /// Notes that the client has come from where the room never was. Its live messages begin behind `end`.
    pub(super) fn refuse_position(&mut self, end: u64) {
        self.is_ahead = false;
        self.end = end;
        self.recovery = Some(Err(Reason::Ahead));
        let most = self.wanted.most.min(self.wanted.last.unwrap_or(usize::MAX));
        let count = u64::try_from(most).unwrap_or(u64::MAX).min(end);
        self.next = end + 1 - count;
    }

    /// Whether nothing is left to be read.
    pub(super) fn is_complete(&self) -> bool {
        !self.is_ahead && self.next > self.end
    }

    /// Takes what it lacks from a page that was read after an offset. The room's last message has the offset `top`.
    pub(super) fn feed(&mut self, after: u64, page: &Page) {
        if self.is_complete() || self.is_ahead || after >= self.next {
            return;
        }
        let first = if page.messages.is_empty() { u64::MAX } else { page.first };
        if first > self.next {
            // What is before it is not kept, nor is what was read before of use.
            self.collected.clear();
            self.is_trimmed = true;
            self.next = first.min(self.end + 1);
        }
        for (offset, stored) in page.numbered() {
            if offset == self.next && offset <= self.end {
                self.collected.push(stored.published.clone());
                self.next += 1;
            }
        }
    }

    /// Returns what the client gets.
    pub(super) fn finish(&mut self, epoch: u64) -> PastGiven {
        let recovery = match self.recovery {
            Some(Ok(())) if self.is_trimmed => Some(Err(Reason::Trimmed)),
            recovery => recovery,
        };
        let mut messages = std::mem::take(&mut self.collected);
        if recovery != Some(Ok(())) {
            let of_all = if self.wanted.since.is_some() { usize::MAX } else { 0 };
            let most = self.wanted.last.unwrap_or(of_all).min(self.wanted.most);
            messages.drain(..messages.len().saturating_sub(most));
        }
        let position = Position::of(epoch, self.end - messages.len() as u64);
        let messages = LastMessages::of(messages);
        let since = self.wanted.since;
        PastGiven { messages, since, recovery, ..PastGiven::nothing(position, self.floor()) }
    }

    /// Returns what the client gets if the past cannot be read.
    pub(super) fn give_up(&self, epoch: u64, reason: Reason) -> PastGiven {
        let past = PastGiven::nothing(Position::of(epoch, self.end), self.floor());
        PastGiven { since: self.wanted.since, recovery: Some(Err(reason)), ..past }
    }

    fn floor(&self) -> u64 {
        self.end.saturating_sub(self.wanted.most as u64)
    }
}
