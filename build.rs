//! Writes the C header to OUT_DIR, for the test that compares it with include/libchat.h; and says how
//! the shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // Once loaded it stays: threads of the host keep thread-locals of Rust's, and the child of a
        // fork calls into it.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    #[cfg(feature = "header")]
    header::write();
}

#[cfg(feature = "header")]
mod header {
    use std::{env, fs, path::Path};

    pub(crate) fn write() {
        println!("cargo::rerun-if-changed=cbindgen.toml");
        println!("cargo::rerun-if-changed=src/ffi");
        let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
        let out = env::var("OUT_DIR").expect("cargo says where its output goes");
        let root = Path::new(&root);
        let source = root.join("src/ffi/mod.rs");
        let text = fs::read_to_string(&source).expect("src/ffi/mod.rs can be read");
        let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml"))
            .expect("cbindgen.toml is in order");
        config.header = Some(manual(&text));
        let version = env::var("CARGO_PKG_VERSION").expect("cargo says the version");
        let version = format!(
            "\n\n/**\n * The version of this header as text.\n */\n#define CHAT_VERSION_STRING \"{version}\""
        );
        config.after_includes.get_or_insert_default().push_str(&version);
        cbindgen::Builder::new()
            .with_config(config)
            .with_src(source)
            .generate()
            .expect("src/ffi can be described in C")
            .write_to_file(Path::new(&out).join("libchat.h"));
    }

    /// The comment at the top of a Rust module as a comment of C.
    fn manual(source: &str) -> String {
        let mut text = String::from("/**\n");
        for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
            text.push_str(" *");
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(" *\n * Generated from src/ffi by cbindgen. Do not edit.\n */");
        text
    }
}
