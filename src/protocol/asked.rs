//! What a client asks for with its request: a value that the handshake reads and the client keeps nothing of.

use crate::{
    fanout::form::Form,
    past::{PastWanted, Since, SinceIn},
    published::Name,
};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) room: String,
    pub(crate) form: Form,
    /// Whether the client receives its own messages; `None` if the query does not say.
    pub(crate) echo: Option<bool>,
    /// What it says that it is called.
    pub(crate) name: Option<Name>,
    /// Whether it wants to be told of the members of its rooms.
    pub(crate) members: bool,
    /// How many of the room's last messages it wants, if it does not recover.
    pub(crate) history: Option<usize>,
    /// Where it has everything up to: in the room of its path.
    pub(crate) since: Option<Since>,
    /// The same for rooms by name.
    pub(crate) since_in: SinceIn,
}

impl Asked {
    pub(crate) fn new(room: String, form: Form) -> Self {
        Self {
            room,
            form,
            echo: None,
            name: None,
            members: false,
            history: None,
            since: None,
            since_in: SinceIn::default(),
        }
    }

    /// Returns where it was in the room of its path.
    fn since(&self) -> Option<Since> {
        self.since.or_else(|| self.since_in.get(&self.room))
    }

    /// Returns where it was in the rooms that it has not entered yet.
    pub(crate) fn since_in(&self, has_entered: bool) -> Option<Box<SinceIn>> {
        let mut since_in = self.since_in.clone();
        match self.since() {
            Some(since) if !has_entered => since_in.insert(&self.room, since),
            _ => since_in.remove(&self.room),
        }
        if let Some(since) = self.since
            && !has_entered
            && self.form.is_event_stream()
        {
            // It is in one room at a time, and its position need not say in which.
            since_in.insert_first(since);
        }
        (!since_in.is_empty()).then(|| Box::new(since_in))
    }

    /// Returns what it wants of the past of the room that it asks for.
    pub(crate) fn past(&self) -> PastWanted {
        let since = self.since();
        let is_told = self.form.says_more();
        PastWanted { since, last: self.history, most: usize::MAX, is_told }
    }
}
