//! The clients of a shard that wait until the inboxes have space: they come before those with more to say.

use std::rc::Rc;

#[derive(Debug, Default)]
pub(crate) struct Line(Rc<()>);

/// A place in the line, to be kept until the client has its turn.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "it counts")] Rc<()>);

impl Line {
    /// Gives a client a place.
    pub(crate) fn join(&self) -> Place {
        Place(Rc::clone(&self.0))
    }

    /// Whether nobody has a place.
    pub(crate) fn is_empty(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_as_long_as_places_are_kept() {
        let line = Line::default();
        assert!(line.is_empty());
        let (first, second) = (line.join(), line.join());
        drop(first);
        assert!(!line.is_empty());
        drop(second);
        assert!(line.is_empty());
    }
}
