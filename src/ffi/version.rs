//! The version of the library, and the check that a header fits it.

use std::ffi::{CStr, c_char};

use super::guard::guard;

/// The first number of this header's version. It changes when hosts must be changed.
pub const CHAT_VERSION_MAJOR: u32 = 0;
/// The second number of this header's version. It changes when something is added.
pub const CHAT_VERSION_MINOR: u32 = 1;
/// The third number of this header's version. It changes when something is repaired.
pub const CHAT_VERSION_PATCH: u32 = 0;
/// The version of this header as one number that can be compared: `0xMMmmpp`.
pub const CHAT_VERSION_NUMBER: u32 =
    (CHAT_VERSION_MAJOR << 16) | (CHAT_VERSION_MINOR << 8) | CHAT_VERSION_PATCH;
/// The binary interface (ABI) that this header describes. It does not fit a library with another
/// one: pass it to chat_config_new, which checks that.
pub const CHAT_ABI_VERSION: u32 = 1;

/// The version as text; build.rs gives it to the header as CHAT_VERSION_STRING.
const VERSION: &CStr = c"0.1.0";

/// Returns the version of the loaded library, in the form of CHAT_VERSION_NUMBER. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn chat_version_number() -> u32 {
    guard(|| CHAT_VERSION_NUMBER)
}

/// Returns the version of the loaded library as text, such as "0.1.0". The text is NUL-terminated
/// and belongs to the library: do not free it. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn chat_version_string() -> *const c_char {
    guard(|| VERSION.as_ptr())
}

/// Returns the binary interface of the loaded library, in the form of CHAT_ABI_VERSION. Never
/// fails.
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
