//! What the Go binding and the Go client promise, kept: their own tests, in Go, against this build.

mod support;

use std::process::Command;

use support::{ROOT, go, go_with, run};

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
fn the_binding_passes_no_pointer_that_it_must_not_and_needs_one_processor_alone() {
    // cgocheck2 follows every pointer that is passed to C.
    let environment = [("GOEXPERIMENT", "cgocheck2"), ("GOMAXPROCS", "1")];
    go_with(&environment, &["test", "-count=1", "-timeout=5m", "./bindings/go"]);
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
