//! What is known of a member, and how its identity is compared.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use crate::{event::ClientId, published::Name};

/// A client in a room ([`Handle::members`](crate::Handle::members)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The client.
    pub client: ClientId,
    /// What the host calls it ([`Handle::set_identity`](crate::Handle::set_identity)).
    pub identity: Option<Arc<str>>,
    /// What other clients are told that it is called ([`Handle::set_name`](crate::Handle::set_name)).
    pub name: Option<Arc<str>>,
    /// Whether only the client itself says that this is its name.
    pub is_name_claimed: bool,
    /// Whether its connection has ended, and its place waits for it to come back
    /// ([`Config::member_grace`](crate::Config::member_grace)).
    pub is_away: bool,
}

/// What is known of a client: its memberships share it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) client: ClientId,
    /// Never empty.
    pub(crate) identity: Option<Arc<str>>,
    pub(crate) name: Option<Name>,
}

impl Known {
    pub(crate) fn new(
        client: ClientId,
        identity: Option<Arc<str>>,
        name: Option<Name>,
    ) -> Arc<Self> {
        // C has no other word for none.
        let identity = identity.filter(|identity| !identity.is_empty());
        Arc::new(Self { client, identity, name })
    }

    pub(super) fn as_member(&self, is_away: bool) -> Member {
        Member {
            client: self.client,
            identity: self.identity.clone(),
            name: self.name.as_ref().map(|name| Arc::clone(&name.text)),
            is_name_claimed: self.name.as_ref().is_some_and(|name| name.is_claimed),
            is_away,
        }
    }
}

/// An identity, by a hash with a secret key: nobody can look for two identities with the same one, and of 100,000 in a
/// room two have the same with a probability of 1 to 3 billion. A room keeps one for each identity, so it is small.
pub(super) type IdentityKey = u64;

/// Hashes identities.
#[derive(Debug, Default)]
pub(super) struct IdentityHasher(RandomState);

impl IdentityHasher {
    pub(super) fn key(&self, known: &Known) -> Option<IdentityKey> {
        Some(self.0.hash_one(known.identity.as_deref()?))
    }
}
