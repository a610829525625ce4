//! The members of one room.

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    place::{IdentityKey, Known},
    timers::TimerKey,
    watch::Watch,
};
use crate::{event::ClientId, fanout::command::RoomId};

/// A table that holds fewer than one in this many of what it has space for gives the space back.
const SHRINK_AT: usize = 8;

/// The members of one room. There may be very many rooms: what is rarely there is behind a pointer.
#[derive(Debug)]
pub(super) struct RoomMembers {
    pub(super) name: Arc<str>,
    /// The room that has the name now.
    pub(super) id: RoomId,
    /// How many clients are in the room: those whose places are away are not.
    pub(super) clients: usize,
    /// Whether the host was told that it has clients.
    pub(super) is_occupied: bool,
    /// When it counts as vacated, if it is empty.
    pub(super) vacancy: Option<TimerKey>,
    /// Every member, also those that are away; empty if members are not kept.
    places: FxHashMap<ClientId, Arc<Known>>,
    /// The identities that have a place, and how many further ones those have that have several.
    identities: FxHashSet<IdentityKey>,
    further: Option<Box<FxHashMap<IdentityKey, u32>>>,
    away: Option<Box<Away>>,
    pub(super) watch: Option<Box<Watch>>,
}

/// The places whose clients are away.
#[derive(Debug, Default)]
struct Away {
    by_client: FxHashMap<ClientId, TimerKey>,
    /// By identity and the number of the timer: the longest away is first.
    by_identity: BTreeMap<(IdentityKey, u64), ClientId>,
}

impl RoomMembers {
    pub(super) fn new(name: Arc<str>, id: RoomId) -> Box<Self> {
        Box::new(Self {
            name,
            id,
            clients: 0,
            is_occupied: false,
            vacancy: None,
            places: FxHashMap::default(),
            identities: FxHashSet::default(),
            further: None,
            away: None,
            watch: None,
        })
    }

    /// Whether nothing is known of the room any more.
    pub(super) fn is_over(&self) -> bool {
        let is_empty = self.clients == 0 && self.places.is_empty();
        is_empty && self.vacancy.is_none() && self.watch.is_none()
    }

    pub(super) fn places(&self) -> &FxHashMap<ClientId, Arc<Known>> {
        &self.places
    }

    pub(super) fn is_away(&self, client: ClientId) -> bool {
        self.away.as_ref().is_some_and(|away| away.by_client.contains_key(&client))
    }

    /// Adds a place, or replaces what is known of its client.
    pub(super) fn insert(&mut self, known: Arc<Known>) {
        let client = known.client;
        let before = self.places.insert(client, known);
        if let Some(watch) = &mut self.watch {
            watch.note(client, before.as_ref());
        }
    }

    /// Removes a place.
    pub(super) fn remove(&mut self, client: ClientId) -> Option<Arc<Known>> {
        let known = self.places.remove(&client)?;
        if let Some(watch) = &mut self.watch {
            watch.note(client, Some(&known));
        }
        if self.places.len() < self.places.capacity() / SHRINK_AT {
            self.places.shrink_to(2 * self.places.len());
        }
        Some(known)
    }

    /// Counts one more place of an identity. Returns whether it is the first.
    pub(super) fn add_identity(&mut self, identity: Option<IdentityKey>) -> bool {
        let Some(identity) = identity else { return true };
        let is_first = self.identities.insert(identity);
        if !is_first {
            *self.further.get_or_insert_default().entry(identity).or_default() += 1;
        }
        is_first
    }

    /// Counts one place less of an identity. Returns whether it was the last.
    pub(super) fn remove_identity(&mut self, identity: Option<IdentityKey>) -> bool {
        let Some(identity) = identity else { return true };
        if let Some(further) = &mut self.further
            && let Some(count) = further.get_mut(&identity)
        {
            *count -= 1;
            if *count == 0 {
                further.remove(&identity);
            }
            self.further.take_if(|further| further.is_empty());
            return false;
        }
        let is_last = self.identities.remove(&identity);
        if self.identities.len() < self.identities.capacity() / SHRINK_AT {
            self.identities.shrink_to(2 * self.identities.len());
        }
        is_last
    }

    /// Keeps a client's place, until a time at most.
    pub(super) fn set_away(&mut self, client: ClientId, identity: IdentityKey, timer: TimerKey) {
        let away = self.away.get_or_insert_default();
        away.by_client.insert(client, timer);
        away.by_identity.insert((identity, timer.1), client);
    }

    /// Returns the client of the same identity as another that is away for longest.
    pub(super) fn first_away(&self, known: &Known, identity: IdentityKey) -> Option<ClientId> {
        let away = self.away.as_ref()?;
        let mut same = away.by_identity.range((identity, 0)..=(identity, u64::MAX));
        let is_same = |client: &ClientId| {
            self.places.get(client).is_some_and(|other| other.identity == known.identity)
        };
        same.find(|(_, client)| is_same(client)).map(|(_, client)| *client)
    }

    /// Notes that a client's place is not kept any more. Returns until when it was.
    pub(super) fn clear_away(
        &mut self,
        client: ClientId,
        identity: IdentityKey,
    ) -> Option<TimerKey> {
        let away = self.away.as_mut()?;
        let timer = away.by_client.remove(&client)?;
        away.by_identity.remove(&(identity, timer.1));
        self.away.take_if(|away| away.by_client.is_empty());
        Some(timer)
    }
}
