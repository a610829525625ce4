//! What is rarely set of a client: what the host calls it, and what others are told of it.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;

use crate::{
    context::Context,
    event::ClientId,
    fanout::command::RoomId,
    published::{Author, Name},
};

/// How much of a client's signals may come at once: what it may send in this time.
const BURST: Duration = Duration::from_secs(2);

/// A client's profile. Boxed, and absent while nothing is set: nearly all clients have none.
#[derive(Default)]
pub(super) struct Profile(Cell<Option<Box<Known>>>);

#[derive(Debug, Default)]
struct Known {
    identity: Option<Arc<str>>,
    name: Option<Name>,
    /// Made when the client first publishes, and again when its name or its identity has changed.
    author: Option<Arc<Author>>,
    /// In the rooms of which it may not read all: the offset after which it may.
    floors: FxHashMap<RoomId, u64>,
    /// When all its signals would have come if they had come at their rate.
    signals_until: Option<Instant>,
}

impl Profile {
    /// Returns what the host calls the client, for itself.
    pub(super) fn identity(&self) -> Option<Arc<str>> {
        let known = self.0.take();
        let identity = known.as_ref().and_then(|known| known.identity.clone());
        self.0.set(known);
        identity
    }

    pub(super) fn set_identity(&self, identity: Option<Arc<str>>) {
        self.change(|known| {
            known.identity = identity;
            known.author = None;
        });
    }

    /// Returns what other clients are told that the client is called.
    pub(super) fn name(&self) -> Option<Name> {
        let known = self.0.take();
        let name = known.as_ref().and_then(|known| known.name.clone());
        self.0.set(known);
        name
    }

    /// Sets what other clients are told that the client is called.
    pub(super) fn set_name(&self, name: Option<Name>) {
        self.change(|known| {
            known.name = name;
            known.author = None;
        });
    }

    /// Returns what other clients are told of the client.
    pub(super) fn author(&self, client: ClientId, context: &Context) -> Arc<Author> {
        self.change(|known| {
            let Known { name, author, identity, .. } = known;
            let author = author.get_or_insert_with(|| {
                let (name, identity) = (name.clone(), identity.clone());
                Arc::new(Author { client: Some(context.wire_id(client).into()), name, identity })
            });
            Arc::clone(author)
        })
    }

    /// Whether the client may signal now, at most `rate` times a second; then that is counted.
    pub(super) fn may_signal(&self, rate: u32, now: Instant) -> bool {
        let Some(each) = Duration::from_secs(1).checked_div(rate) else { return false };
        self.change(|known| {
            let until = known.signals_until.map_or(now, |until| until.max(now)) + each;
            let may = until - now <= BURST;
            if may {
                known.signals_until = Some(until);
            }
            may
        })
    }

    /// Sets after which offset the client may read a room's history; 0: all of it.
    pub(super) fn set_floor(&self, room: RoomId, floor: u64) {
        if floor > 0 {
            self.change(|known| _ = known.floors.insert(room, floor));
        } else if let Some(mut known) = self.0.take() {
            known.floors.remove(&room);
            self.0.set(Some(known));
        }
    }

    /// Returns after which offset the client may read a room's history.
    pub(super) fn floor(&self, room: RoomId) -> u64 {
        let known = self.0.take();
        let floor = known.as_ref().and_then(|known| known.floors.get(&room)).copied();
        self.0.set(known);
        floor.unwrap_or(0)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.0.take().unwrap_or_default();
        let outcome = change(&mut known);
        self.0.set(Some(known));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn others_are_told_the_name_that_counts_when_a_message_is_published() {
        let context = Context::new(Options::default(), Vec::new());
        let (profile, client) = (Profile::default(), ClientId::new(1, 0));
        let name = |text: &str| Name { text: text.into(), is_claimed: false };
        let unnamed = profile.author(client, &context);
        assert_eq!(unnamed.client.as_deref(), Some(&*context.wire_id(client)));
        assert_eq!(unnamed.name, None);
        profile.set_name(Some(name("ana")));
        assert_eq!(profile.author(client, &context).name, Some(name("ana")));
        assert_eq!(profile.author(client, &context).client, unnamed.client);
        profile.set_identity(Some("user 7".into()));
        profile.set_name(None);
        let known = profile.author(client, &context);
        assert_eq!((&known.client, &known.name), (&unnamed.client, &None));
        assert_eq!(known.identity.as_deref(), Some("user 7"));
        profile.set_identity(Some("user 8".into()));
        assert_eq!(profile.author(client, &context).identity.as_deref(), Some("user 8"));
        assert_eq!(known.identity.as_deref(), Some("user 7"), "as it was when it published");
        profile.set_identity(Some("user 7".into()));
        assert_eq!(profile.identity().as_deref(), Some("user 7"));
    }

    #[test]
    fn a_client_signals_at_its_rate_and_at_once_what_comes_in_two_seconds() {
        let (profile, start) = (Profile::default(), Instant::now());
        let count = |rate, at: Duration| {
            (0..100_000).take_while(|_| profile.may_signal(rate, start + at)).count()
        };
        assert_eq!(count(0, Duration::ZERO), 0);
        assert_eq!(count(5, Duration::ZERO), 10);
        assert_eq!(count(5, Duration::from_millis(199)), 0);
        assert_eq!(count(5, Duration::from_millis(200)), 1);
        assert_eq!(count(5, Duration::from_secs(1)), 4);
        assert_eq!(count(5, Duration::from_secs(60)), 10);
        // The clock may go back a little.
        assert_eq!(count(5, Duration::from_secs(59)), 0);
        assert_eq!(count(1_000, Duration::from_secs(70)), 2_000);
    }

    #[test]
    fn no_two_clients_have_one_name_on_the_wire_also_not_on_two_servers() {
        let servers = [(); 2].map(|()| Context::new(Options::default(), Vec::new()));
        let clients = [ClientId::new(1, 0), ClientId::new(1, 1), ClientId::new(2, 0)];
        let ids = servers.iter().flat_map(|server| clients.map(|client| server.wire_id(client)));
        assert_eq!(ids.collect::<std::collections::HashSet<_>>().len(), 6);
    }
}
