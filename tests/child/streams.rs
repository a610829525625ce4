//! Streams that do not take what is written to them.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, PipeReader, PipeWriter, Write, pipe},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    process::Stdio,
};

/// What is wrong with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A device without space.
    Full,
    /// A pipe whose reader is gone.
    Gone,
    /// A full pipe that nobody reads.
    Stalled,
    /// A full pipe that nobody reads, and that somebody has made non-blocking.
    StalledNonBlocking,
}

impl Broken {
    pub(crate) const ALL: [Self; 4] =
        [Self::Full, Self::Gone, Self::Stalled, Self::StalledNonBlocking];

    /// Makes the stream, and what must be kept for as long as it is in use.
    pub(crate) fn stream(self) -> (Stdio, Option<PipeReader>) {
        let (reader, writer) = full_pipe();
        match self {
            Self::Full => (OpenOptions::new().write(true).open("/dev/full").unwrap().into(), None),
            Self::Gone => (writer.into(), None),
            Self::Stalled => (writer.into(), Some(reader)),
            Self::StalledNonBlocking => (non_blocking(&writer).into(), Some(reader)),
        }
    }
}

/// A pipe that takes no more until what is in it is read: line feeds.
pub(crate) fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let mut filling = non_blocking(&writer);
    // The last bytes one by one.
    for piece in [&[b'\n'; 4096][..], b"\n"] {
        loop {
            match filling.write(piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    (reader, writer)
}

/// Opens a pipe once more, without touching the flags of the one that is open.
fn non_blocking(writer: &PipeWriter) -> File {
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap()
}
