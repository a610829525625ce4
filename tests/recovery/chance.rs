//! Random choices that a seed repeats.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    env,
    hash::{BuildHasher, RandomState},
};

/// The number in a variable of the environment, if it is set.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// The seed of a run, which it prints.
pub(crate) fn seed() -> u64 {
    let seed = number("RECOVERY_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("RECOVERY_SEED={seed}");
    seed
}

/// Random numbers that a seed repeats (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
