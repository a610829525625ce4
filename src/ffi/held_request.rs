//! The request of an event, and what was decoded of it for C.

use std::{
    borrow::Cow,
    ffi::c_char,
    sync::{Arc, Mutex, PoisonError},
};

use super::boundary::text_parts;
use crate::event::Request;

/// The request of an event, and what was decoded of it for C: that lives as long as the event.
#[derive(Debug)]
pub(super) struct HeldRequest {
    pub(super) request: Arc<Request>,
    /// The values of parameters, by name: at most as many as the query has. What is here stays where it is in memory.
    // A mutex, though one thread at a time may use an event: a host that breaks the rule breaks no memory.
    decoded: Mutex<Vec<(Box<str>, Box<str>)>>,
}

impl HeldRequest {
    pub(super) fn new(request: &Arc<Request>) -> Self {
        Self { request: Arc::clone(request), decoded: Mutex::default() }
    }

    /// Returns a decoded parameter of the query, in memory that lives as long as this.
    pub(super) fn query_value(&self, name: &str) -> Option<(*const c_char, usize)> {
        match self.request.query_value(name)? {
            Cow::Borrowed(value) => Some(text_parts(value)),
            Cow::Owned(value) => {
                let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
                let known = decoded.iter().position(|(known, _)| **known == *name);
                let at = known.unwrap_or_else(|| {
                    decoded.push((name.into(), value.into()));
                    decoded.len() - 1
                });
                Some(text_parts(&decoded[at].1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_value_stays_where_it_is_and_is_kept_once() {
        let query = (0..50).map(|number| format!("a{number}=+{number}&")).collect::<String>();
        let request = Request::new(([127, 0, 0, 1], 1).into(), "/".into(), query, vec![]);
        let held = HeldRequest::new(&Arc::new(request));
        let value = |number: usize| held.query_value(&format!("a{number}")).unwrap();
        let first: Vec<_> = (0..50).map(value).collect();
        assert_eq!((0..50).map(value).collect::<Vec<_>>(), first);
        assert_eq!(held.decoded.lock().unwrap().len(), 50);
        assert_eq!(held.query_value("a50"), None);
        assert_eq!(&*held.decoded.lock().unwrap()[7].1, " 7");
    }
}
