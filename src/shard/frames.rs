//! Frames on their way to clients.

use std::ops::Deref;

use bytes::Bytes;
use once_cell::unsync::OnceCell;

/// Whole frames. The bytes are only lent, since most sockets take them at once; whoever must keep
/// them for later shares one copy of them with all others.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    lent: &'a [u8],
    /// The same, if they are counted by reference already.
    counted: Option<&'a Bytes>,
    kept: OnceCell<Bytes>,
}

impl Frames<'_> {
    /// The frames, counted by reference: copied if nobody has kept them before.
    pub(crate) fn keep(&self) -> &Bytes {
        let copy = || Bytes::copy_from_slice(self.lent);
        self.kept.get_or_init(|| self.counted.cloned().unwrap_or_else(copy))
    }
}

impl<'a> From<&'a [u8]> for Frames<'a> {
    fn from(lent: &'a [u8]) -> Self {
        Self { lent, counted: None, kept: OnceCell::new() }
    }
}

impl<'a> From<&'a Bytes> for Frames<'a> {
    fn from(counted: &'a Bytes) -> Self {
        Self { lent: counted, counted: Some(counted), kept: OnceCell::new() }
    }
}

impl Deref for Frames<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.lent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_one_copy_for_all() {
        let lent = Frames::from(&b"frames"[..]);
        assert_eq!(lent.keep(), &b"frames"[..]);
        assert_eq!(lent.keep().as_ptr(), lent.keep().as_ptr());
        let counted = Bytes::from(vec![7; 9]);
        assert_eq!(Frames::from(&counted).keep().as_ptr(), counted.as_ptr());
    }
}
