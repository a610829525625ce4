//! Which pages may connect: pure functions of a request's head.

use super::{answer::Answer, head::Head};
use crate::origin::{self, Pattern};

/// Checks that a page may connect. Programs send no origin, and may always connect.
pub(super) fn check_origin(head: &Head<'_, '_>, allowed: &[Pattern]) -> Result<(), Answer> {
    let Some(origin) = head.one("Origin")? else { return Ok(()) };
    if origin::admits(allowed, origin, head.host) {
        return Ok(());
    }
    Err(Answer::foreign_page(origin, head.host))
}

/// Checks that a page of another site says which it is: without that, no rule of the option can admit it.
///
/// # Errors
/// What is answered to one that does not.
pub(super) fn check_site(head: &Head<'_, '_>) -> Result<(), Answer> {
    let is_foreign =
        head.all("Sec-Fetch-Site").any(|site| site.eq_ignore_ascii_case(b"cross-site"));
    if is_foreign && head.all("Origin").next().is_none() {
        return Err(Answer::nameless_page());
    }
    Ok(())
}
