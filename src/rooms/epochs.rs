//! The epochs of rooms: random numbers, none of which two rooms have.

use std::{
    hash::{BuildHasher, RandomState},
    process,
    time::SystemTime,
};

/// Makes epochs.
#[derive(Debug)]
pub(super) struct Epochs {
    /// Its keys are the operating system's random numbers.
    keys: RandomState,
    /// What the child of a fork has not in common with its parent: it has a copy of the keys that later ones are
    /// made of.
    process: (u32, SystemTime),
    last_number: u64,
}

impl Default for Epochs {
    fn default() -> Self {
        let process = (process::id(), SystemTime::now());
        Self { keys: RandomState::new(), process, last_number: 0 }
    }
}

impl Epochs {
    /// Returns a new epoch, which is not 0.
    pub(super) fn next(&mut self) -> u64 {
        self.last_number += 1;
        self.keys.hash_one((self.process, self.last_number)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_rooms_have_one_epoch_and_no_two_servers_do() {
        let mut servers: Vec<_> = (0..100).map(|_| Epochs::default()).collect();
        let epochs: HashSet<_> =
            servers.iter_mut().flat_map(|server| [(); 1000].map(|()| server.next())).collect();
        assert_eq!(epochs.len(), 100_000);
        // All bits are used.
        let (all, any) = epochs.iter().fold((u64::MAX, 0), |(all, any), it| (all & it, any | it));
        assert_eq!((all, any), (0, u64::MAX));
    }

    #[test]
    fn the_child_of_a_fork_has_other_epochs() {
        let mut parent = Epochs { process: (1, SystemTime::UNIX_EPOCH), ..Epochs::default() };
        let keys = parent.keys.clone();
        let mut child = Epochs { keys, process: (2, SystemTime::UNIX_EPOCH), last_number: 0 };
        assert_ne!(parent.next(), child.next());
    }
}
