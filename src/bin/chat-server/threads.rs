//! The program's own threads.

use std::{
    io,
    thread::{Builder, JoinHandle},
};

/// The size of their stacks. Without it, RUST_MIN_STACK in the environment would give them another: one of a
/// few bytes is one that overflows.
const STACK_SIZE: usize = 2 * 1024 * 1024;

/// Starts a thread.
///
/// # Errors
/// The system has none left.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).stack_size(STACK_SIZE).spawn(body)
}
