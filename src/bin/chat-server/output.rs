//! Standard output and standard error, which may be full, gone, or stalled by a reader that does not read.
//!
//! Invariant: no thread but an output's own waits for its stream, and no failure of the stream ends anything.
//! Lines that the stream does not take are lost, and counted.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::threads;

/// How many bytes of lines may wait for a stream.
const MAX_WAITING: usize = 1024 * 1024;

/// The pause before another attempt on a stream that is full and does not block: somebody else has made it so.
const RETRY: Duration = Duration::from_millis(10);

/// Writes lines to a stream, on a thread of its own. Clones are one output.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    // A std mutex: it is held for a push or a pop, never during a write.
    state: Mutex<State>,
    added: Condvar,
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    /// Of the lines that wait, and of the one that is being written.
    bytes: usize,
    /// The lines that were lost since the last line that says how many.
    lost: u64,
}

#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    /// How many lines are lost if this one is: those that it counts.
    weight: u64,
}

impl Output {
    /// Starts the thread that writes to a stream.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(name: &str, stream: impl Write + Send + 'static) -> io::Result<Self> {
        let output = Self::default();
        let shared = Arc::clone(&output.0);
        threads::spawn(name, move || shared.run(stream))?;
        Ok(output)
    }

    /// Enqueues a line, whose text ends with its line feed. Does not wait.
    pub(crate) fn print(&self, line: &str) {
        self.push(line.as_bytes());
    }

    /// Says how many lines were lost, and waits until all are written, at most until a point in time.
    pub(crate) fn finish(&self, until: Instant) {
        self.0.report_lost(&mut self.0.lock());
        self.wait(until);
    }

    fn wait(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        // The result is left out: lines that are not written by then are lost.
        let _ = self.0.written.wait_timeout_while(self.0.lock(), left, |state| state.bytes > 0);
    }

    fn push(&self, text: &[u8]) {
        let mut state = self.0.lock();
        if !state.has_room(text.len()) {
            state.lost += 1;
            return;
        }
        self.0.report_lost(&mut state);
        self.0.add(&mut state, Line { text: text.to_vec(), weight: 1 });
    }
}

/// Each call of `write` is a line, as `tracing_subscriber` calls it.
impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    /// Whether a line fits. A line that is longer than all that may wait does, if it is alone.
    fn has_room(&self, length: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(length) <= MAX_WAITING
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line that says how many were lost, where they would stand.
    fn report_lost(&self, state: &mut State) {
        let weight = std::mem::take(&mut state.lost);
        if weight > 0 {
            let text =
                format!("chat-server: lines lost here, which could not be written: {weight}\n");
            self.add(state, Line { text: text.into_bytes(), weight });
        }
    }

    fn add(&self, state: &mut State, line: Line) {
        state.bytes += line.text.len();
        state.lines.push_back(line);
        self.added.notify_one();
    }

    /// Writes lines for as long as the program runs.
    fn run(&self, mut stream: impl Write) {
        let mut state = self.lock();
        loop {
            let Some(line) = state.lines.pop_front() else {
                state = self.added.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let result = write(&mut stream, &line.text);
            state = self.lock();
            state.bytes -= line.text.len();
            if result.is_err() {
                state.lost += line.weight;
            }
            self.written.notify_all();
        }
    }
}

/// Writes a whole line, however long that takes.
fn write(stream: &mut impl Write, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match stream.write(text) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => text = &text[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A stream whose writes wait until the test says how they end.
    struct Scripted {
        results: Receiver<io::Result<usize>>,
        written: Sender<String>,
    }

    impl Write for Scripted {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let count = self.results.recv().unwrap_or(Ok(usize::MAX))?.min(text.len());
            let _ = self.written.send(String::from_utf8_lossy(&text[..count]).into_owned());
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn scripted() -> (Output, Sender<io::Result<usize>>, Receiver<String>) {
        let ((results, script), (sender, written)) = (channel(), channel());
        let stream = Scripted { results: script, written: sender };
        (Output::start("scripted", stream).unwrap(), results, written)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn lines_that_do_not_fit_are_lost_and_counted_and_nobody_waits() {
        let (output, results, written) = scripted();
        let line = format!("{}\n", "x".repeat(1023));
        (0..1024 + 7).for_each(|_| output.print(&line));
        drop(results);
        output.finish(soon());
        output.print("after\n");
        output.finish(soon());
        let written: Vec<_> = written.try_iter().collect();
        assert_eq!(written[..1024], vec![line; 1024]);
        let lost = "chat-server: lines lost here, which could not be written: 7\n";
        assert_eq!(written[1024..], [lost, "after\n"]);
    }

    #[test]
    fn lines_that_could_not_be_written_are_counted_too_and_so_is_a_lost_count() {
        let (output, results, written) = scripted();
        let fail = || results.send(Err(ErrorKind::StorageFull.into())).unwrap();
        output.print("one\n");
        fail();
        output.wait(soon());
        // The counts of the lines before are lost too.
        for line in ["two\n", "three\n"] {
            output.print(line);
            fail();
            fail();
            output.wait(soon());
        }
        output.print("four\n");
        results.send(Ok(usize::MAX)).unwrap();
        fail();
        output.wait(soon());
        // The end says what is missing too.
        drop(results);
        output.finish(soon());
        let lost =
            |count| format!("chat-server: lines lost here, which could not be written: {count}\n");
        assert_eq!(written.try_iter().collect::<Vec<_>>(), [lost(3), lost(1)]);
    }

    #[test]
    fn a_line_longer_than_all_that_may_wait_is_written_if_it_is_alone() {
        let (output, results, written) = scripted();
        let line = "x".repeat(MAX_WAITING + 1);
        output.print(&line);
        output.print("lost\n");
        drop(results);
        output.finish(soon());
        assert!(written.recv().unwrap() == line);
    }

    #[test]
    fn a_line_is_written_whole_though_the_stream_takes_parts() {
        let (output, results, written) = scripted();
        let parts = [Ok(2), Err(ErrorKind::Interrupted), Err(ErrorKind::WouldBlock), Ok(1), Ok(9)];
        for part in parts {
            results.send(part.map_err(io::Error::from)).unwrap();
        }
        output.print("whole\n");
        output.finish(soon());
        assert_eq!(written.try_iter().collect::<Vec<_>>(), ["wh", "o", "le\n"]);
    }

    #[test]
    fn the_end_waits_for_the_lines_and_not_for_ever() {
        let (output, results, written) = scripted();
        output.print("last\n");
        output.finish(Instant::now() + Duration::from_millis(1));
        assert_eq!(written.try_recv().ok(), None);
        thread::spawn(move || results.send(Ok(5)));
        output.finish(soon());
        assert_eq!(written.try_recv().unwrap(), "last\n");
    }
}
