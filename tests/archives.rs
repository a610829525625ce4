//! `libchat.a` beside another static library of Rust's, as `bindings/c/README.md` says.

#![allow(clippy::unwrap_used)] // A test reports by panicking.

mod support;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{C_FLAGS, LINK_FLAGS, compiler, native, run};

/// Uses enough of Rust's standard library that both archives have the same parts of it.
const OTHER: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn other(number: i32) -> i32 {
    let body = || std::thread::spawn(move || number + 1).join().unwrap();
    std::panic::catch_unwind(body).unwrap_or(0)
}
"#;

const HOST: &str = r#"
#include <libchat.h>

int other(int number);

int main(void) {
  chat_config *config = chat_config_new(CHAT_ABI_VERSION);
  chat_server *server = NULL;
  if (chat_config_add_listen(config, "127.0.0.1:0", 11) != CHAT_OK) return 1;
  if (chat_server_start(config, &server, NULL) != CHAT_OK) return 2;
  chat_config_free(config);
  int number = other(41);
  chat_server_free(server);
  return number == 42 ? 0 : 3;
}
"#;

/// Builds the other archive with flags of rustc, and returns how to link a program with both.
fn link_with_another(name: &str, flags: &[&str]) -> (Command, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("archives-{name}"));
    fs::create_dir_all(&folder).unwrap();
    let (other, host) = (folder.join("other.rs"), folder.join("host.c"));
    fs::write(&other, OTHER).unwrap();
    fs::write(&host, HOST).unwrap();
    let archive = folder.join("libother.a");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=staticlib", "-O"]).args(flags);
    run(command.arg(other).arg("-o").arg(&archive));
    let program = folder.join("host");
    let mut link = compiler("CC", "cc");
    link.args(C_FLAGS).arg(host).arg(native().join("libchat.a")).arg(archive);
    link.args(LINK_FLAGS).arg("-o").arg(&program);
    (link, program)
}

#[test]
fn another_archive_of_rusts_links_beside_libchat() {
    for (name, flags) in [("plain", &[][..]), ("abort", &["-Cpanic=abort"])] {
        let (mut link, program) = link_with_another(name, flags);
        run(&mut link);
        run(&mut Command::new(program));
    }
}

#[test]
fn an_archive_that_was_built_with_lto_does_not_and_the_manual_says_so() {
    for (name, flag) in [("thin", "-Clto=thin"), ("fat", "-Clto=fat")] {
        let (mut link, _) = link_with_another(name, &[flag]);
        let output = link.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && text.contains("multiple definition"),
            "with {name} LTO it links now: say so in bindings/c/README.md and src/ffi/mod.rs\n{text}"
        );
    }
}
