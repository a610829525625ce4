//! What the Go binding and the Go client promise, kept: their own tests, in Go, against this build.

mod support;

use std::process::Command;

use support::{ROOT, go, run};

fn is_formatted(folder: &str) {
    let unformatted = run(Command::new("gofmt").current_dir(ROOT).args(["-l", folder]));
    assert_eq!(unformatted, "", "run: gofmt -w {folder}");
}

#[test]
fn the_binding_is_formatted_and_vetted() {
    is_formatted("bindings/go");
    go(&["vet", "./bindings/go/..."]);
}

#[test]
fn the_binding_keeps_its_promises() {
    go(&["test", "-count=1", "-timeout=5m", "./bindings/go/..."]);
}

#[test]
fn the_binding_has_no_data_race() {
    go(&["test", "-race", "-count=1", "-timeout=5m", "./bindings/go/..."]);
}

#[test]
fn the_client_keeps_its_promises() {
    is_formatted("go-client");
    go(&["vet", "./go-client"]);
    run(Command::new("go")
        .current_dir(ROOT)
        .args(["test", "-count=1", "-timeout=5m", "./go-client"])
        .env("LIBCHAT_SERVER", env!("CARGO_BIN_EXE_chat-server")));
}
