//! Which library this is, and whether a header fits it.

use std::ffi::{CStr, c_char};

use super::guard::guard;

/// The version of this header: the first number changes when hosts must be changed.
pub const CHAT_VERSION_MAJOR: u32 = 0;
/// The version of this header: the second number changes when something is added.
pub const CHAT_VERSION_MINOR: u32 = 1;
/// The version of this header: the third number changes when something is repaired.
pub const CHAT_VERSION_PATCH: u32 = 0;
/// The version of this header in one number that can be compared: `0xMMmmpp`.
pub const CHAT_VERSION_NUMBER: u32 =
    (CHAT_VERSION_MAJOR << 16) | (CHAT_VERSION_MINOR << 8) | CHAT_VERSION_PATCH;
/// The binary interface that this header describes. A library with another one does not fit.
pub const CHAT_ABI_VERSION: u32 = 1;

/// What build.rs gives the header as CHAT_VERSION_STRING.
const VERSION: &CStr = c"0.1.0";

/// The version of the library that is loaded, as CHAT_VERSION_NUMBER. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn chat_version_number() -> u32 {
    guard(|| CHAT_VERSION_NUMBER)
}

/// The version of the library that is loaded, such as "0.1.0": NUL-terminated, the library's own,
/// not to be freed. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn chat_version_string() -> *const c_char {
    guard(|| VERSION.as_ptr())
}

/// The binary interface of the library that is loaded, as CHAT_ABI_VERSION. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn chat_abi_version() -> u32 {
    guard(|| CHAT_ABI_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_of_the_package() {
        let numbers = format!("{CHAT_VERSION_MAJOR}.{CHAT_VERSION_MINOR}.{CHAT_VERSION_PATCH}");
        assert_eq!(numbers, env!("CARGO_PKG_VERSION"));
        assert_eq!(VERSION.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
