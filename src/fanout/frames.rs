//! Frames on their way to clients.

use std::ops::Deref;

use bytes::Bytes;
use once_cell::unsync::OnceCell;

use super::segments::{Run, Segments};

/// Whole frames. The bytes are lent, since most sockets take them at once; clients that must keep them
/// share one copy.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    borrowed: &'a [u8],
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Counted(&'a Bytes),
    Segments(&'a Segments, &'a Run),
    /// A merged buffer, and the copy of it that is shared.
    Merged(&'a OnceCell<Bytes>),
}

impl<'a> Frames<'a> {
    /// The frames of a run.
    pub(super) fn of(segments: &'a Segments, run: &'a Run) -> Self {
        Self { borrowed: segments.frames(run), source: Source::Segments(segments, run) }
    }

    /// Merged frames, and where the copy of them is kept that clients share.
    pub(super) fn merged(borrowed: &'a [u8], kept: &'a OnceCell<Bytes>) -> Self {
        Self { borrowed, source: Source::Merged(kept) }
    }

    /// Calls `each` with the frames, counted by reference, of which the first `taken` bytes are sent, and
    /// with how many of its bytes are. Pieces that are sent whole may be left out.
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
