//! The host's functions that libchat calls, with their user data.

use std::ffi::c_void;

use super::{
    boundary::required,
    event::{chat_drop_fn, chat_event, chat_event_fn},
    failure::Failure,
};

/// A pointer that libchat only hands back, and the function that is called when libchat is done
/// with it.
pub(super) struct UserData {
    pointer: *mut c_void,
    drop: chat_drop_fn,
}

// SAFETY: libchat does not look behind the pointer. The header says that the handler and `drop` are
// called on libchat's threads, so a host that passes a pointer allows that.
unsafe impl Send for UserData {}
// SAFETY: as above; servers that share a config call its handler from several threads.
unsafe impl Sync for UserData {}

impl UserData {
    /// Takes the pointer over: from here on `drop` is called exactly once.
    pub(super) fn new(pointer: *mut c_void, drop: chat_drop_fn) -> Self {
        Self { pointer, drop }
    }

    /// Returns the host's pointer.
    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: the host's function for the host's pointer, which is not used after this.
            unsafe { drop(self.pointer) }
        }
    }
}

/// The host's event handler.
pub(super) struct Callback {
    function: chat_event_fn,
    user_data: UserData,
}

impl Callback {
    pub(super) fn new(function: chat_event_fn, user_data: UserData) -> Result<Self, Failure> {
        required(function, "handler")?;
        Ok(Self { function, user_data })
    }

    /// Calls the host.
    pub(super) fn call(&self, events: &[*const chat_event]) {
        if let Some(function) = self.function {
            // SAFETY: the host's function; the events outlive the call.
            unsafe { function(self.user_data.pointer, events.as_ptr(), events.len()) }
        }
    }
}
