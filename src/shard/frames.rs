//! Frames on their way to clients.

use std::ops::Deref;

use bytes::Bytes;

use super::backlog::{Backlog, Run};

/// Whole frames. The bytes are only lent, since most sockets take them at once; whoever must keep
/// them for later shares one copy of them with all others.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    lent: &'a [u8],
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Counted(&'a Bytes),
    Backlog(&'a Backlog, &'a Run),
}

impl<'a> Frames<'a> {
    /// What of a backlog goes into one write.
    pub(super) fn of(backlog: &'a Backlog, run: &'a Run) -> Self {
        Self { lent: backlog.frames(run), source: Source::Backlog(backlog, run) }
    }

    /// Calls `each` with the frames, counted by reference, of which the first `taken` bytes are sent, and
    /// with how many of its bytes are. Those that are sent whole may be left out.
    pub(crate) fn keep(&self, taken: usize, mut each: impl FnMut(&Bytes, usize)) {
        match self.source {
            Source::Counted(bytes) => each(bytes, taken),
            Source::Backlog(backlog, run) => backlog.keep(run, taken, each),
        }
    }
}

impl<'a> From<&'a Bytes> for Frames<'a> {
    fn from(counted: &'a Bytes) -> Self {
        Self { lent: counted, source: Source::Counted(counted) }
    }
}

impl Deref for Frames<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.lent
    }
}
