//! Frames on their way to clients: borrowed for the write, shared by reference if they must be kept.

use std::ops::Deref;

use bytes::Bytes;
use once_cell::unsync::OnceCell;

use super::segments::{Run, Segments};

/// Whole frames. The bytes are borrowed, since most sockets take them at once. The outboxes of clients whose
/// sockets did not share one copy.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    borrowed: &'a [u8],
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    /// Frames that are reference-counted already.
    Counted(&'a Bytes),
    Segments(&'a Segments, &'a Run),
    /// A merged buffer: the cell holds its copy, once one is made.
    Merged(&'a OnceCell<Bytes>),
}

impl<'a> Frames<'a> {
    /// Makes the frames of a run.
    pub(super) fn of(segments: &'a Segments, run: &'a Run) -> Self {
        Self { borrowed: segments.frames(run), source: Source::Segments(segments, run) }
    }

    /// Makes the frames of a merge. `kept` holds the copy that clients share.
    pub(super) fn merged(borrowed: &'a [u8], kept: &'a OnceCell<Bytes>) -> Self {
        Self { borrowed, source: Source::Merged(kept) }
    }

    /// Calls `each` with the reference-counted frames of which the socket took the first `taken` bytes, and with
    /// how many bytes of each it took. Frames that it took whole may be left out.
    pub(crate) fn keep(&self, taken: usize, mut each: impl FnMut(&Bytes, usize)) {
        match self.source {
            Source::Counted(bytes) => each(bytes, taken),
            Source::Segments(segments, run) => segments.keep(run, taken, each),
            Source::Merged(kept) => {
                each(kept.get_or_init(|| Bytes::copy_from_slice(self.borrowed)), taken);
            }
        }
    }
}

impl<'a> From<&'a Bytes> for Frames<'a> {
    fn from(counted: &'a Bytes) -> Self {
        Self { borrowed: counted, source: Source::Counted(counted) }
    }
}

impl Deref for Frames<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.borrowed
    }
}
