//! Tells the clients that watch what has changed among the members of their rooms.

use std::time::Instant;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::Rooms;
use crate::{
    event::ClientId,
    fanout::{
        command::{Command, MembersFrames, MembersTold},
        form::{Form, OBJECT_FORMS},
    },
    json::{MemberObject, MembersObject},
    members::{Delta, Known, MemberTable, Told, Update},
};

impl Rooms {
    /// Returns who is in which room, if an option asks for that.
    pub(crate) fn members(&self) -> Option<&MemberTable> {
        self.members.as_ref()
    }

    /// Returns when the gatherer of members has something to do.
    pub(crate) fn next_members_due(&self) -> Option<Instant> {
        self.members.as_ref()?.next_due()
    }

    /// Gives up places whose time is over, and tells the watchers of one room, if it is time. Returns whether there may be
    /// more to do at once. One task of a server does it, so that what is told of a room is in order.
    pub(crate) fn tell_members(&self) -> bool {
        let Some(members) = &self.members else { return false };
        if members.expire() {
            return true;
        }
        let update = members.next_update();
        let has_more = update.is_some();
        if let Some(update) = update {
            self.push_update(update);
        }
        has_more
    }

    /// Encodes once for each form what the watchers of a room are told, and pushes it to their shards.
    fn push_update(&self, update: Update) {
        let Update { room, name, count, to_old, to_new, mut new, watchers } = update;
        let encode = |told: &Option<Told>, form: Form| {
            let told = told.as_ref()?;
            self.encode_told(told, |object| form.members(&name, count, object))
        };
        let mut frames = <[MembersFrames; OBJECT_FORMS.len()]>::default();
        for (index, form) in OBJECT_FORMS.into_iter().enumerate() {
            if watchers.iter().any(|of_shard| of_shard[index] > 0) {
                let (to_old, to_new) = (encode(&to_old, form), encode(&to_new, form));
                frames[index] = MembersFrames { to_old, to_new };
            }
        }
        for (shard, of_shard) in watchers.iter().enumerate() {
            if of_shard.iter().all(|count| *count == 0) {
                continue;
            }
            let of_shard: FxHashMap<ClientId, u64> =
                new.extract_if(|client, _| client.shard() == shard).collect();
            let told = MembersTold { room, frames: frames.clone(), new: of_shard };
            // Fails if the server stops.
            let _ = self.shards[shard].inbox.push(Command::Members(Box::new(told)));
        }
    }

    fn encode_told(
        &self,
        told: &Told,
        encode: impl FnOnce(&MembersObject<'_>) -> Option<Bytes>,
    ) -> Option<Bytes> {
        let wire_id = |client: ClientId| self.context.wire_id(client);
        let ids = |known: &[std::sync::Arc<Known>]| -> Vec<String> {
            known.iter().map(|known| wire_id(known.client)).collect()
        };
        match told {
            Told::Count => encode(&MembersObject::default()),
            Told::List(list) => {
                let ids = ids(list);
                let list: Vec<_> =
                    ids.iter().zip(list).map(|(id, known)| object(id, known, None)).collect();
                encode(&MembersObject { list: Some(&list), ..MembersObject::default() })
            }
            Told::Changes(Delta { joined, left, returned }) => {
                let joined_ids = ids(joined);
                let joined: Vec<_> = joined_ids
                    .iter()
                    .zip(joined)
                    .map(|(id, known)| object(id, known, None))
                    .collect();
                let left_ids: Vec<_> = left.iter().map(|client| wire_id(*client)).collect();
                let left: Vec<_> = left_ids
                    .iter()
                    .map(|id| MemberObject { client: id, name: None, was: None })
                    .collect();
                let returned_ids: Vec<_> = returned
                    .iter()
                    .map(|(known, was)| (wire_id(known.client), wire_id(*was)))
                    .collect();
                let returned: Vec<_> = returned_ids
                    .iter()
                    .zip(returned)
                    .map(|((id, was), (known, _))| object(id, known, Some(was)))
                    .collect();
                let (joined, left, returned) = (&joined[..], &left[..], &returned[..]);
                encode(&MembersObject { list: None, joined, left, returned })
            }
        }
    }
}

fn object<'a>(client: &'a str, known: &'a Known, was: Option<&'a str>) -> MemberObject<'a> {
    let name = known.name.as_ref();
    MemberObject { client, name: name.map(|name| (&*name.text, name.is_claimed)), was }
}
