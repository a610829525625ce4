//! Random numbers that nobody else has: the epochs of rooms, and what tells this server's clients from others'.

use std::{
    hash::{BuildHasher, RandomState},
    process,
    time::SystemTime,
};

/// Makes numbers, none of which another server or another room has.
#[derive(Debug)]
pub(crate) struct UniqueNumbers {
    /// Its keys are the operating system's random numbers.
    keys: RandomState,
    /// What the child of a fork has not in common with its parent: it has a copy of the keys that later ones are
    /// made of.
    process: (u32, SystemTime),
    last_number: u64,
}

impl Default for UniqueNumbers {
    fn default() -> Self {
        let process = (process::id(), SystemTime::now());
        Self { keys: RandomState::new(), process, last_number: 0 }
    }
}

impl UniqueNumbers {
    /// Returns a new number, which is not 0.
    pub(crate) fn next(&mut self) -> u64 {
        self.last_number += 1;
        self.keys.hash_one((self.process, self.last_number)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_rooms_have_one_number_and_no_two_servers_do() {
        let mut servers: Vec<_> = (0..100).map(|_| UniqueNumbers::default()).collect();
        let numbers: HashSet<_> =
            servers.iter_mut().flat_map(|server| [(); 1000].map(|()| server.next())).collect();
        assert_eq!(numbers.len(), 100_000);
        // All bits are used.
        let (all, any) = numbers.iter().fold((u64::MAX, 0), |(all, any), it| (all & it, any | it));
        assert_eq!((all, any), (0, u64::MAX));
    }

    #[test]
    fn the_child_of_a_fork_has_other_numbers() {
        let mut parent =
            UniqueNumbers { process: (1, SystemTime::UNIX_EPOCH), ..UniqueNumbers::default() };
        let keys = parent.keys.clone();
        let mut child =
            UniqueNumbers { keys, process: (2, SystemTime::UNIX_EPOCH), last_number: 0 };
        assert_ne!(parent.next(), child.next());
    }
}
