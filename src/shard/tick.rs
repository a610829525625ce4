//! A shard's work, in ticks: commands are applied, then a part of what waits is written.

use std::{rc::Rc, time::Instant};

use super::Shard;
use crate::{
    fanout::command::{AcceptedStream, Command, Cost, Delivery, WRITE},
    reactor::Next,
};

/// What a tick may write at first and at most. The budget doubles from tick to tick while something waits: a
/// small room gets a short first tick, and a large one few polls of the sockets.
const FIRST_WRITE_BUDGET: Cost = 32 * WRITE;
const MAX_WRITE_BUDGET: Cost = 256 * WRITE;

/// What a tick may spend on commands: eight new connections, or thousands of deliveries. Express deliveries
/// get half as much again.
const COMMAND_BUDGET: Cost = 64 * WRITE;

/// How many bytes commands may add at most though the lanes are full.
const MAX_ALLOWANCE: usize = 128 * 1024;

/// Converts the duration of a poll into a number of writes: roughly how long one write takes, in nanoseconds.
const WRITE_NANOS: u128 = 5_000;

/// A tick may write for at least 4 times the duration of the poll before it, so that clients that flood
/// cannot starve rooms.
const POLL_RATIO: u128 = 4;

/// How many parks after a new connection come without busy polling: among many new connections, each of which
/// acts once, it would cost more than it saves.
const SKIPPED_PARKS: u32 = 8;

/// What a shard carries from tick to tick.
#[derive(Debug)]
pub(crate) struct Tick {
    /// What was taken from the inbox, in reverse order, so that `pop` takes the oldest.
    express: Vec<Delivery>,
    commands: Vec<Command>,
    /// Whether the commands were taken before the express deliveries: then they need not be applied after them.
    are_commands_older: bool,
    /// Whether commands were left in the inbox when express deliveries were last taken.
    has_left_commands: bool,
    /// How many bytes commands may add though the lanes are full.
    allowance: usize,
    command_budget: Cost,
    write_budget: Cost,
    /// When the poll of the sockets began, if something waited meanwhile.
    polled_from: Option<Instant>,
}

impl Tick {
    pub(crate) fn new() -> Self {
        Self {
            express: Vec::new(),
            commands: Vec::new(),
            are_commands_older: false,
            has_left_commands: false,
            allowance: 0,
            command_budget: COMMAND_BUDGET,
            write_budget: FIRST_WRITE_BUDGET,
            polled_from: None,
        }
    }

    /// Makes one whose ticks apply little, so that a test meets what is left over.
    #[cfg(test)]
    pub(crate) fn with_command_budget(command_budget: Cost) -> Self {
        Self { command_budget, ..Self::new() }
    }

    /// Whether nothing is left of what was taken.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.express.is_empty() && self.commands.is_empty()
    }
}

impl Shard {
    /// Applies what has come, and writes a part of what waits. The sockets that are ready were read before:
    /// what arrived together leaves together.
    pub(crate) fn tick(
        self: &Rc<Self>,
        tick: &mut Tick,
        accept: &impl Fn(&Rc<Self>, AcceptedStream),
    ) -> Next<()> {
        let now = self.shared.clock.update();
        if self.fanout.borrow().is_clean() {
            tick.write_budget = FIRST_WRITE_BUDGET;
        }
        self.take_inbox(tick);
        if self.has_failed() {
            return Next::End(());
        }
        if self.apply_taken(tick, accept) {
            self.write_all();
            return Next::End(());
        }
        let polled = tick.polled_from.take().map_or(0, |begun| (now - begun).as_nanos());
        let for_poll = usize::try_from(POLL_RATIO * polled / WRITE_NANOS).unwrap_or(usize::MAX);
        let budget = tick.write_budget.max(for_poll.saturating_mul(WRITE));
        let has_more = self.write(budget) | self.continue_departures();
        tick.write_budget = MAX_WRITE_BUDGET.min(2 * tick.write_budget);
        self.context.events.wake();
        tick.polled_from = has_more.then(|| self.shared.clock.update());
        let is_over = !has_more && tick.commands.is_empty() && tick.express.is_empty();
        if is_over && self.handle.inbox.may_park() { Next::Park } else { Next::Continue }
    }

    /// Takes what has come, if what came before is applied.
    fn take_inbox(&self, tick: &mut Tick) {
        if !tick.express.is_empty() {
            return;
        }
        // Commands that cannot be applied yet stay in the inbox: it fills, and the host waits.
        tick.are_commands_older = !tick.commands.is_empty();
        // With every second batch of express deliveries they are taken all the same: clients that flood must
        // not starve the host.
        let may_apply = !self.fanout.borrow().has_backlog() || tick.has_left_commands;
        let wants_commands = !tick.are_commands_older && may_apply;
        let commands = wants_commands.then_some(&mut tick.commands);
        self.handle.inbox.take(&mut tick.express, commands);
        tick.has_left_commands = !may_apply && !tick.express.is_empty();
        tick.express.reverse();
        if wants_commands {
            tick.commands.reverse();
        }
    }

    /// Applies what was taken, up to a tick's budget. Returns whether the shard stops.
    fn apply_taken(
        self: &Rc<Self>,
        tick: &mut Tick,
        accept: &impl Fn(&Rc<Self>, AcceptedStream),
    ) -> bool {
        let mut budget = (tick.command_budget / 2).max(1);
        let mut fanout = self.fanout.borrow_mut();
        // While express deliveries keep the lanes full, commands get half of what is written.
        let drained = fanout.take_drained();
        let has_express = !tick.express.is_empty();
        let allowance = (tick.allowance + drained / 2).min(MAX_ALLOWANCE);
        tick.allowance = if has_express { allowance } else { 0 };
        while budget > 0
            && let Some(delivery) = tick.express.pop_if(|it| !fanout.is_full_for(it.room))
        {
            budget -= 1;
            fanout.push(&delivery);
            if let Some(answer) = delivery.answer
                && let Some(client) = self.client(answer.client)
            {
                fanout.send(client.out(), answer.frame, false);
            }
        }
        drop(fanout);
        if !tick.express.is_empty() && !tick.are_commands_older {
            return false;
        }
        let mut applied = 0;
        let is_over = self.apply_commands(tick, &mut applied, accept);
        self.handle.inbox.note_applied(applied);
        is_over
    }

    fn apply_commands(
        self: &Rc<Self>,
        tick: &mut Tick,
        applied: &mut u64,
        accept: &impl Fn(&Rc<Self>, AcceptedStream),
    ) -> bool {
        let mut budget = tick.command_budget;
        loop {
            let is_full = self.fanout.borrow().is_full();
            if budget == 0 || (is_full && tick.allowance == 0) {
                return false;
            }
            let Some(command) = tick.commands.pop() else { return false };
            if is_full {
                let bytes = command.bytes() + size_of::<Command>();
                tick.allowance = tick.allowance.saturating_sub(bytes);
            }
            *applied += 1;
            budget = budget.saturating_sub(command.cost());
            match command {
                Command::Deliver(delivery) => {
                    self.fanout.borrow_mut().push(&delivery);
                    if let Some(answer) = delivery.answer {
                        self.answer(*answer);
                    }
                }
                Command::Accept(stream) => {
                    self.reactor.skip_busy_poll(SKIPPED_PARKS);
                    accept(self, *stream);
                }
                Command::Stop => return true,
                command => budget = budget.saturating_sub(self.apply(command)),
            }
        }
    }

    /// Writes what waits, up to a budget: the outboxes whose sockets take more, then the rounds over the lanes.
    /// Returns whether more waits that can be written.
    fn write(&self, budget: Cost) -> bool {
        // Clients that lag get at most half of it.
        let (spent, has_writable) = self.flush_writable(budget / 2);
        let mut fanout = self.fanout.borrow_mut();
        fanout.write(budget.saturating_sub(spent).max(1));
        fanout.count_delivered(&self.context);
        has_writable || !fanout.is_clean()
    }

    /// Writes everything that waits in the lanes, since the shard stops.
    fn write_all(&self) {
        let mut fanout = self.fanout.borrow_mut();
        fanout.write(Cost::MAX);
        fanout.count_delivered(&self.context);
        drop(fanout);
        self.context.events.wake();
    }
}
